//! Page integrity, bound to the browser: which deployments are guarded, their manifests, and what was found.
//!
//! The judgement is the core's. Firefox hands over each body before it is used ([`filter`]); Chromium builds each document
//! from the record that it is given here ([`hold`]). Either way [`documents`] knows which documents may hold keys.

pub(crate) mod documents;
mod enrol;
pub(crate) mod filter;
pub(crate) mod hold;
pub(crate) mod refusals;
mod report;
pub(crate) mod views;

pub(crate) use enrol::enrol;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    future::Future,
    rc::Rc,
    time::Duration,
};

use futures_util::future::join_all;
use keystead_core::{
    effect::{Answer, Effect, HttpRequest, Io, Run, Step, StoreCommand, TransportError},
    error::Code,
    ident::Origin,
    integrity::{self, DocumentId, ExtensionVersion, IntegrityEntry, ManifestSet, Refreshed, RefusalView, Sources},
    openpgp::Certificate,
    policy::{IntegrityMode, PassiveKind},
    sorted::SortedMap,
    store::Store,
    time::UnixMillis,
};
use serde_json::json;
use url::Url;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

use crate::{
    adapter::{clock, fetch, later, webextension},
    background::State,
    deployment, pages,
};

/// The alarm for the next look at the manifests. No origin has such a name.
pub(crate) const ALARM: &str = "integrity";
/// How often the manifests are looked at.
const EVERY: Duration = Duration::from_secs(3600);
/// How soon they are looked at again because of something that is not in them.
const NOT_BEFORE: Duration = Duration::from_secs(60);
/// How long a page waits for the first manifest.
const PREPARED_WITHIN: Duration = Duration::from_secs(40);

#[wasm_bindgen]
extern "C" {
    /// `js/guard.js`: takes the modes of the deployments that are guarded, and does what follows from them.
    #[wasm_bindgen(catch, js_name = keysteadGuard)]
    async fn tell_guard(modes: &JsValue) -> Result<JsValue, JsValue>;
    /// `js/guard.js`: takes away what the browser keeps of a deployment's files.
    #[wasm_bindgen(catch, js_name = keysteadClear)]
    async fn tell_clear(origin: &str) -> Result<JsValue, JsValue>;
    /// `js/layer.js`: the session of which a deployment's pictures are had; none without a token.
    #[wasm_bindgen(catch, js_name = keysteadPictures)]
    async fn tell_pictures(origin: &str, homeserver: &str, token: &str) -> Result<JsValue, JsValue>;
    /// Whether this browser can hold back every body before it is used.
    #[wasm_bindgen(thread_local_v2, js_name = keysteadFilters)]
    static FILTERS: JsValue;
}

/// What is known of page integrity while the background runs.
#[derive(Default)]
pub(crate) struct Guard {
    sites: RefCell<SortedMap<Origin, Site>>,
    documents: RefCell<documents::Documents>,
    /// How often a tab was led to the page that explains a refusal, or the person tried again.
    explained: Cell<u32>,
    /// Whose IT is being told something, and whether there is more to tell.
    telling: RefCell<SortedMap<Origin, bool>>,
}

/// A deployment that is guarded.
pub(crate) struct Site {
    pub(crate) mode: IntegrityMode,
    passive: Vec<PassiveKind>,
    url: Url,
    signers: Vec<Certificate>,
    accepted: Option<Rc<ManifestSet>>,
    problem: Option<Code>,
    /// Nothing is known of its manifest yet.
    preparing: bool,
    looked: Option<UnixMillis>,
    /// No tab shows a document from before.
    enrolled: bool,
    checked: u32,
    refusals: Vec<RefusalView>,
    /// The files that were read again and judged, where nothing is held back.
    judged: BTreeSet<String>,
}

/// Does this browser hand over each body before it is used?
fn filters() -> bool {
    FILTERS.with(|filters| filters.is_truthy())
}

/// Does as the policy says: who is guarded, how, and what is known of their manifests without a network.
pub(crate) async fn apply(state: &Rc<State>) {
    let policy = state.policy.borrow().policy.clone();
    // Whom a policy names is read with parts of the core that a start has not read yet.
    if policy.iter().any(|policy| policy.integrity_mode() != IntegrityMode::Off) {
        later::ready().await;
    }
    let mut wanted = SortedMap::new();
    for policy in policy.iter().filter(|policy| policy.integrity_mode() != IntegrityMode::Off) {
        for deployment in &policy.deployments {
            let Some(url) = policy.manifest_url(deployment) else { continue };
            let site = Site {
                mode: policy.integrity_mode(),
                passive: policy.passive_kinds().to_vec(),
                url,
                signers: policy.manifest_signers(),
                accepted: None,
                problem: None,
                preparing: true,
                looked: None,
                enrolled: false,
                checked: 0,
                refusals: Vec::new(),
                judged: BTreeSet::new(),
            };
            wanted.insert(deployment.origin.clone(), site);
        }
    }
    let origins: Vec<_> = wanted.keys().cloned().collect();
    let enforced = |(origin, site): (&Origin, &Site)| (site.mode == IntegrityMode::Enforce).then(|| origin.clone());
    let enforced: Vec<_> = wanted.iter().filter_map(enforced).collect();
    let before = state.guard.sites.replace(wanted);
    if !origins.is_empty() {
        documents::remember(state).await;
    }
    state.guard.documents.borrow_mut().forget_all_but(&enforced);
    pages::forget_unverified(state);
    if !enforced.is_empty() {
        for origin in enrol::known().await.into_iter().flatten() {
            change(state, &origin, |site| site.enrolled = site.mode == IntegrityMode::Enforce);
        }
    }
    for origin in &origins {
        restore(state, origin).await;
        if let Ok(refreshed) = refresh(state, origin, false).await {
            take(state, origin, Ok(refreshed));
        }
    }
    for (origin, was) in before {
        if let Some(site) = state.guard.sites.borrow_mut().get_mut(&origin) {
            site.checked = was.checked;
        }
    }
    let modes: Option<serde_json::Map<_, _>> = policy.is_some().then(|| {
        let sites = state.guard.sites.borrow();
        sites.iter().map(|(origin, site)| (origin.as_str().to_owned(), json!(site.mode))).collect()
    });
    let _ = tell_guard(&webextension::to_js(&json!(modes))).await;
    pages::forget_unverified(state);
    for origin in origins {
        renew(state, &origin);
    }
}

/// Looks for newer manifests, in the background.
pub(crate) fn renew(state: &Rc<State>, origin: &Origin) {
    let (state, origin) = (Rc::clone(state), origin.clone());
    spawn_local(async move { look(&state, &origin).await });
}

/// All of them; the alarm.
pub(crate) fn renew_all(state: &Rc<State>) {
    let origins: Vec<_> = state.guard.sites.borrow().keys().cloned().collect();
    origins.iter().for_each(|origin| renew(state, origin));
}

/// Looks for a newer manifest.
pub(crate) async fn look(state: &Rc<State>, origin: &Origin) {
    if change(state, origin, |site| site.looked = Some(clock::now())).is_none() {
        return;
    }
    let refreshed = refresh(state, origin, true).await;
    take(state, origin, refreshed);
    let now = clock::now();
    let warning = change(state, origin, |site| IntegrityEntry::warning(site.accepted.as_deref()?, now)).flatten();
    match warning {
        Some(entry) => refusals::log(state, origin, entry),
        None => refusals::tell_it(state, origin).await,
    }
    webextension::set_alarm(ALARM, now.plus(EVERY)).await;
    deployment::announce(state);
}

/// What the person should be called for: something was refused or differs, or a manifest ends soon.
pub(crate) fn calls(state: &State) -> Option<Calls> {
    let sites = state.guard.sites.borrow();
    let refused = |site: &Site| site.mode == IntegrityMode::Enforce && !site.refusals.is_empty();
    let differs = |site: &Site| site.mode == IntegrityMode::Report && site.refusals.iter().any(RefusalView::differs);
    let warned = |site: &Site| site.accepted.as_ref().is_some_and(|set| set.warning(clock::now()).is_some());
    if sites.values().any(refused) {
        return Some(Calls::Refused);
    }
    let waits = state.guard.documents.borrow().is_anything_before();
    (waits || sites.values().any(|site| differs(site) || warned(site))).then_some(Calls::Warned)
}

/// Why the person is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Calls {
    /// Something was refused.
    Refused,
    /// A manifest ends soon, or something differs that is not held back.
    Warned,
}

/// Looks again because of something that is in no manifest; says whether that was done.
async fn look_once(state: &Rc<State>, origin: &Origin) -> bool {
    let due = |site: &mut Site| site.looked.is_none_or(|looked| clock::now().since(looked) >= NOT_BEFORE);
    let due = change(state, origin, due) == Some(true);
    if due {
        look(state, origin).await;
    }
    due
}

fn take(state: &Rc<State>, origin: &Origin, refreshed: Result<Refreshed, Code>) {
    change(state, origin, |site| {
        site.preparing = false;
        match refreshed {
            Ok(Refreshed { set, manifest_problem, revocation_problem }) => {
                site.accepted = Some(Rc::new(set));
                site.problem = manifest_problem.or(revocation_problem);
            }
            // What was good stays so until it expires, which is looked at whenever it is used.
            Err(code) => site.problem = Some(code),
        }
    });
    state.changed();
}

async fn refresh(state: &Rc<State>, origin: &Origin, online: bool) -> Result<Refreshed, Code> {
    let sources = change(state, origin, |site| (site.url.clone(), site.signers.clone()));
    let (url, signers) = sources.ok_or(Code::IntNoManifest)?;
    let extension: ExtensionVersion = env!("CARGO_PKG_VERSION").parse().map_err(|_| Code::IntExtension)?;
    let flow = |io: Io| async move {
        let sources = Sources { url: &url, signers: &signers, deployment: origin, extension };
        integrity::refresh(&io, sources).await
    };
    run(state, online, flow).await
}

/// Runs a flow that needs records and, where it is `online`, the network, and nobody's account.
async fn run<'a, T, F: Future<Output = T> + 'a>(state: &State, online: bool, flow: impl FnOnce(Io) -> F) -> T {
    let mut run = Run::start(clock::now(), flow);
    loop {
        match run.step() {
            Step::Done(result) => return result,
            Step::Do(effect) => {
                let answer = perform(state, online, effect).await;
                run.answer(answer, clock::now());
            }
        }
    }
}

async fn perform(state: &State, online: bool, effect: Effect) -> Answer {
    let http = async |request: &HttpRequest| match online {
        true => fetch::perform(request, None).await,
        false => Err(TransportError::Unreachable),
    };
    match effect {
        Effect::Http(requests) => Answer::Http(join_all(requests.iter().map(http)).await),
        Effect::Store(StoreCommand::Get(key)) => state.database.get(&key).await.map_or(Answer::Failed, Answer::Record),
        Effect::Store(StoreCommand::Replace { key, old, new }) => {
            let replaced = state.database.replace(&key, old.as_deref(), &new).await;
            replaced.map_or(Answer::Failed, Answer::Replaced)
        }
        _ => Answer::Failed,
    }
}

/// Changes what is known of a guarded deployment; `None` where it is not guarded.
fn change<T>(state: &State, origin: &Origin, change: impl FnOnce(&mut Site) -> T) -> Option<T> {
    state.guard.sites.borrow_mut().get_mut(origin).map(change)
}

/// So many files more are checked, or cannot be used unchecked.
fn checked(state: &State, origin: &Origin, files: usize) {
    let files = u32::try_from(files).unwrap_or(u32::MAX);
    change(state, origin, |site| site.checked = site.checked.saturating_add(files));
}

/// The deployments of which documents are built from the release's text: all that are guarded, where the browser holds
/// nothing back itself.
pub(crate) fn is_built(state: &State, origin: &Origin) -> bool {
    !filters() && mode(state, origin) == IntegrityMode::Enforce
}

/// The deployments whose documents say what they have loaded: where files are only compared, and the browser hands over no
/// bodies.
pub(crate) fn is_asked(state: &State, origin: &Origin) -> bool {
    !filters() && mode(state, origin) == IntegrityMode::Report
}

/// What matches the pages of this origin and of no other port: no page besides is to be built.
pub(crate) fn pattern(origin: &Origin) -> Option<String> {
    let url = Url::parse(origin.as_str()).ok()?;
    Some(format!("{}://{}:{}/*", url.scheme(), url.host_str()?, url.port_or_known_default()?))
}

/// How a deployment is guarded.
pub(crate) fn mode(state: &State, origin: &Origin) -> IntegrityMode {
    change(state, origin, |site| site.mode).unwrap_or_default()
}

/// What may run in a deployment, once that is known; `None` where nothing may.
async fn accepted(state: &State, origin: &Origin) -> Option<Rc<ManifestSet>> {
    let look = || match change(state, origin, |site| (site.preparing, site.accepted.clone())) {
        Some((true, None)) => None,
        Some((_, accepted)) => Some(accepted),
        None => Some(None),
    };
    state.until(PREPARED_WITHIN, look).await.flatten()
}

/// The access to hosts was withdrawn, and may be given back at any moment: nothing is held back in between.
pub(crate) async fn withdrawn(state: &Rc<State>) {
    let enforced: Vec<_> = {
        let sites = state.guard.sites.borrow();
        sites.iter().filter(|(_, site)| site.mode == IntegrityMode::Enforce).map(|(origin, _)| origin.clone()).collect()
    };
    documents::remember(state).await;
    for origin in enforced {
        state.guard.documents.borrow_mut().forget(&origin);
        change(state, &origin, |site| site.enrolled = false);
        enrol::unplaced(&origin).await;
    }
    documents::keep(state).await;
}

/// A document's content script connected, for the `first` time in its life or again. In a browser that hands over each body, a
/// new document of a guarded deployment whose body nobody saw was made up by something in the page's own origin: it is loaded
/// again, and where that does not help, it gives way. Where documents are built, a new one asks what of by itself. One that was
/// there before, as one that the browser had put aside, never becomes a verified one.
pub(crate) fn connected(state: &Rc<State>, url: &str, tab: Option<u32>, document: Option<DocumentId>, first: bool) {
    let (Some((origin, path)), Some(tab), Some(document)) = (place(url), tab, document) else { return };
    let at = (i32::try_from(tab).unwrap_or(-1), 0);
    documents::show(state, at.0);
    let is_verified = match first && filters() {
        true => documents::claim(state, at, url, &document),
        false => documents::is_verified(state, at, url, &document),
    };
    let known = is_verified || refusals::opened(state, at.0).is_some();
    let is_built = first && !filters();
    let refused = state.guard.documents.borrow().is_refused(at);
    if known || refused || is_built || mode(state, &origin) != IntegrityMode::Enforce {
        return;
    }
    let (state, url) = (Rc::clone(state), url.to_owned());
    spawn_local(async move {
        // While there is no manifest nothing has been let through.
        let _ = accepted(&state, &origin).await;
        // Nor is it known what was there before.
        let enrolled = || change(&state, &origin, |site| site.enrolled).unwrap_or(true).then_some(());
        state.until(PREPARED_WITHIN, enrolled).await;
        if !first {
            if !documents::is_verified(&state, at, &url, &document) && pages::is_there(&state, tab, &document) {
                enrol::from_before(&state, &origin, at.0);
                documents::keep(&state).await;
            }
            return;
        }
        if documents::claim(&state, at, &url, &document) {
            return;
        }
        if webextension::note_once(&format!("unverified {tab} {path}")).await {
            return webextension::reload(tab).await;
        }
        let refused = RefusalView::without_bytes(&url, Code::IntUnlisted, clock::now());
        refusals::note(&state, &origin, refused, Some(at.0)).await;
    });
}

fn kept_key(origin: &Origin) -> String {
    format!("integrity {}", origin.as_str())
}

/// Keeps what is to be known again when the background was stopped.
async fn keep(state: &State, origin: &Origin) {
    let kept = change(state, origin, |site| json!([site.mode, site.refusals]));
    if let Some(kept) = kept {
        webextension::session_write(&kept_key(origin), &kept).await;
    }
}

async fn restore(state: &State, origin: &Origin) {
    let kept = webextension::session_read(&kept_key(origin)).await;
    let Ok((before, refusals)) = serde_json::from_value::<(IntegrityMode, _)>(kept) else { return };
    // What was only told of was not refused.
    change(state, origin, |site| {
        if site.mode == before {
            site.refusals = refusals;
        }
    });
}

/// A session of a deployment began, or has another token; without one, it ended.
pub(crate) fn session(state: &Rc<State>, origin: &Origin, token: Option<&str>) {
    let Some(deployment) = pages::deployment(state, origin).filter(|_| is_built(state, origin)) else { return };
    let (origin, token) = (origin.clone(), token.unwrap_or_default().to_owned());
    spawn_local(async move {
        let _ = tell_pictures(origin.as_str(), deployment.homeserver.as_str(), &token).await;
    });
}

/// The origin of a URL, and its path.
fn place(url: &str) -> Option<(Origin, String)> {
    let url = Url::parse(url).ok()?;
    Some((Origin::parse(&url.origin().ascii_serialization()).ok()?, url.path().to_owned()))
}
