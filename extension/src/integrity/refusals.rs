//! What was refused: remembered, shown in the tab, and kept for IT.

use std::{rc::Rc, time::Duration};

use keystead_core::{
    ident::Origin,
    integrity::{
        self, Happened, IntegrityEntry, Opened, OverrideAllowed, RefusalView, ServedAnswer, evidence, log_key,
        log_lines,
    },
    policy::{IntegrityMode, Policy},
    status::{Refusal, Reply},
    store::Store,
};
use serde_json::{Value, json};
use wasm_bindgen_futures::spawn_local;

use super::{change, documents, mode, place};
use crate::{
    adapter::{clock, webextension},
    background::State,
    deployment, pages,
};

/// How often, and after which pause, it is looked whether a tab shows what was refused.
const OVERTAKEN: usize = 3;
const LOOK_AGAIN: Duration = Duration::from_millis(400);

/// How many are remembered of a deployment.
const MAX: usize = 20;

/// Notes a refusal. In `tab` the page gives way to the one that explains it: in all tabs of the deployment, where the
/// browser does not say in which.
pub(crate) async fn note(state: &Rc<State>, origin: &Origin, refused: RefusalView, tab: Option<i32>) {
    let set = change(state, origin, |site| site.accepted.clone()).flatten();
    let entry = IntegrityEntry::of(Happened::Refused, &refused, set.as_deref());
    change(state, origin, |site| {
        let known = site.refusals.iter().position(|known| known.url == refused.url && known.code == refused.code);
        let since = known.map(|at| site.refusals.remove(at).since);
        site.refusals.insert(0, RefusalView { since: since.unwrap_or(refused.since), ..refused });
        site.refusals.truncate(MAX);
    });
    super::keep(state, origin).await;
    log(state, origin, entry);
    deployment::announce(state);
    let Some(tab) = tab else { return };
    match u32::try_from(tab) {
        Ok(tab) => explain(state, origin, tab).await,
        Err(_) => {
            let Some(deployment) = pages::deployment(state, origin) else { return };
            for tab in deployment::tabs(&deployment).await {
                explain(state, origin, tab.id).await;
            }
        }
    }
}

/// Has a tab show the page that explains what was refused. A document that was refused may be about to lead elsewhere, which
/// overtakes that; then once more.
async fn explain(state: &Rc<State>, origin: &Origin, tab: u32) {
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("origin", origin.as_str()).finish();
    let page = format!("pages/page.html#refused?{query}");
    let mine = state.guard.explained.get() + 1;
    state.guard.explained.set(mine);
    webextension::go_to_own(tab, &page).await;
    let (state, origin) = (Rc::clone(state), origin.clone());
    spawn_local(async move {
        for _ in 0..OVERTAKEN {
            clock::sleep(LOOK_AGAIN).await;
            // The person tried again meanwhile, or something else was refused.
            if state.guard.explained.get() != mine {
                return;
            }
            let place = (i32::try_from(tab).unwrap_or(-1), 0);
            let refused = state.guard.documents.borrow().is_refused(place);
            let Some(deployment) = pages::deployment(&state, &origin).filter(|_| refused) else { return };
            if deployment::tabs(&deployment).await.iter().all(|shown| shown.id != tab) {
                return;
            }
            webextension::go_to_own(tab, &page).await;
        }
    });
}

fn key(origin: &Origin) -> String {
    format!("integrity|{}|evidence", origin.as_str())
}

/// Keeps what was served, for IT: of the last refusal only.
pub(crate) async fn keep_evidence(state: &State, url: &str, served: ServedAnswer<'_>) {
    let Some((origin, _)) = place(url) else { return };
    let kept = change(state, &origin, |site| {
        let refused = site.refusals.iter().find(|refused| refused.is_of(url))?.clone();
        let set = site.accepted.clone();
        Some(evidence(&origin, set.as_deref(), &refused, served, clock::now()))
    });
    if let Some(document) = kept.flatten() {
        let _ = state.database.put(&key(&origin), &document.to_string()).await;
    }
}

/// What IT is to be told.
pub(crate) async fn last_evidence(state: &State, origin: &Origin) -> Value {
    let kept = state.database.get(&key(origin)).await.ok().flatten();
    let kept: Option<Value> = kept.and_then(|kept| serde_json::from_str(&kept).ok());
    let views = change(state, origin, |site| json!({ "refusals": site.refusals, "problem": site.problem }));
    let log = state.database.get(&log_key(origin)).await.ok().flatten();
    let log = log_lines(log.as_deref()).unwrap_or_default();
    json!({ "now": views, "last": kept, "log": log, "enforced": mode(state, origin) == IntegrityMode::Enforce })
}

/// Adds an entry to the deployment's log, and tells IT where the policy says so.
pub(super) fn log(state: &Rc<State>, origin: &Origin, entry: IntegrityEntry) {
    let (state, origin) = (Rc::clone(state), origin.clone());
    spawn_local(async move {
        let noted = async |io| integrity::note(&io, &origin, &entry).await;
        let _ = super::run(&state, false, noted).await;
        tell_it(&state, &origin).await;
    });
}

/// Tells IT what it has not been told yet; what does not arrive is told with the next look at the manifest.
pub(super) async fn tell_it(state: &State, origin: &Origin) {
    let url = state.policy.borrow().policy.as_ref().and_then(Policy::evidence_url);
    let Some(url) = url else { return };
    // One after the other, so that nothing is told twice.
    let telling = &state.guard.telling;
    if let Some(again) = telling.borrow_mut().get_mut(origin) {
        *again = true;
        return;
    }
    telling.borrow_mut().insert(origin.clone(), false);
    loop {
        let _ = super::run(state, true, async |io| integrity::tell_it(&io, origin, &url).await).await;
        // What came meanwhile.
        match telling.borrow_mut().get_mut(origin) {
            Some(again @ true) => *again = false,
            _ => break,
        }
    }
    telling.borrow_mut().remove(origin);
}

fn allowed(state: &State) -> Option<OverrideAllowed> {
    state.policy.borrow().policy.as_ref().and_then(Policy::override_allowed)
}

/// Can the person be asked whether to open what was refused?
pub(super) fn may_open(state: &State, refused: &[RefusalView]) -> bool {
    allowed(state).is_some() && refused.first().is_some_and(RefusalView::may_be_opened)
}

/// What was opened in the document that a tab shows, as long as the policy allows it.
pub(super) fn opened(state: &State, tab: i32) -> Option<Opened> {
    allowed(state)?;
    state.guard.documents.borrow().opened(tab).cloned()
}

/// Is this what a person opened in this tab?
pub(super) fn is_opened(state: &State, tab: i32, refused: &RefusalView) -> bool {
    let opened = opened(state, tab);
    allowed(state).zip(opened).is_some_and(|(allowed, opened)| opened.lets(refused, &allowed))
}

/// A person opens in a tab what was refused. It is in the log before it is opened.
pub(crate) async fn open(state: &Rc<State>, origin: &Origin, tab: Option<i32>) -> Reply<()> {
    let (refused, set) =
        change(state, origin, |site| (site.refusals.clone(), site.accepted.clone())).unwrap_or_default();
    let opened = allowed(state).and_then(|allowed| Opened::of(&refused, &allowed));
    let (opened, tab) = opened.zip(tab).ok_or(Refusal::NotAsked)?;
    for one in opened.each() {
        let entry = IntegrityEntry::of(Happened::Opened, one, set.as_deref());
        let noted = async |io| integrity::note(&io, origin, &entry).await;
        super::run(state, false, noted).await.map_err(|_| Refusal::NotSaved)?;
    }
    state.guard.documents.borrow_mut().open(tab, opened);
    documents::keep_opened(state).await;
    let (state, origin) = (Rc::clone(state), origin.clone());
    spawn_local(async move { tell_it(&state, &origin).await });
    Ok(())
}

/// The person tries again: what was refused is forgotten, and told anew if it is still so.
pub(crate) async fn forget(state: &Rc<State>, origin: &Origin) {
    state.guard.explained.set(state.guard.explained.get() + 1);
    change(state, origin, |site| site.refusals.clear());
    let _ = super::tell_clear(origin.as_str()).await;
    super::keep(state, origin).await;
    deployment::announce(state);
    super::look(state, origin).await;
}
