//! The flows of one deployment: when they start, and where what they say goes.

use std::{rc::Rc, time::Duration};

use futures_channel::oneshot;
use keystead_core::{
    bootstrap::{self, Ahead, Outcome, Setup},
    error::Code,
    ident::{KeyId, Origin, UserId},
    pins::{OwnDevice, PersonView, Severity},
    policy::Deployment,
    restore::{self, Way},
    secret::SecretText,
    status::{Progress, State as Stage},
    time::UnixMillis,
};
use serde_json::json;
use url::Url;
use wasm_bindgen_futures::spawn_local;

use crate::{
    adapter::webextension::{self, Tab},
    background::State,
    drill,
    driver::Driver,
    integrity::{self, Calls},
    pages, pins,
    protocol::Session,
    sessions, sharing,
};

/// How long a page may take to say who is logged in, and the homeserver to confirm it, where a person waits for that.
const BACK_WITHIN: Duration = Duration::from_secs(10);
/// How long a person waits for a run to end.
const ENDED_WITHIN: Duration = Duration::from_secs(60);

/// What is known of a deployment while the background runs.
#[derive(Default)]
pub(crate) struct Live {
    /// Who is logged in.
    pub(crate) account: Option<UserId>,
    /// How far things are.
    pub(crate) progress: Progress,
    /// The name the person typed at login, and when.
    pub(crate) typed: Option<(String, UnixMillis)>,
    /// A recovery key that waits to be kept.
    pub(crate) to_keep: Option<ToKeep>,
    /// Of whom something is to be said.
    pub(crate) people: Vec<PersonView>,
    /// The account's own devices.
    pub(crate) devices: Vec<OwnDevice>,
    /// What is wrong with what the person's browsers share, and since when.
    pub(crate) shared: Option<(Code, UnixMillis)>,
    /// What the person gave to restore with.
    given: Option<SecretText>,
    /// It is time to test the backup.
    pub(crate) drill_due: bool,
    /// What was found out ahead of the next run.
    pub(crate) ahead: Option<Ahead>,
    /// That was tried since somebody logged in.
    pub(crate) looked_ahead: bool,
    running: bool,
    /// What the person's browsers share is being looked at.
    sharing: bool,
    /// A run is wanted.
    wanted: bool,
    /// The person asked for the next run.
    asked: bool,
}

/// A recovery key that waits to be kept.
pub(crate) struct ToKeep {
    /// Its id.
    pub(crate) key_id: KeyId,
    /// In the Matrix base58 form.
    pub(crate) text: SecretText,
    /// Who waits for it.
    pub(crate) kept: oneshot::Sender<()>,
}

/// Does what can be done in a page whose session is confirmed.
pub(crate) async fn go_on(state: &Rc<State>, page: u32, origin: &Origin) {
    let session = state.pages.borrow().get(&page).and_then(|page| page.session.clone());
    match session {
        Some(Session { ready, unverified, .. }) if ready || unverified => run(state, origin).await,
        Some(Session { stuck: true, .. }) => glance(state, origin).await,
        Some(_) => look_ahead(state, origin).await,
        None => {}
    }
}

/// Finds out while Element comes up what the run will need.
async fn look_ahead(state: &Rc<State>, origin: &Origin) {
    // Once a login, whatever came of it.
    let wanted = |live: &mut Live| !live.running && !std::mem::replace(&mut live.looked_ahead, true);
    if !state.live(origin, wanted) {
        return;
    }
    let Some(setup) = setup(state, origin, false, |session| !session.ready) else { return };
    let user = setup.user_id.clone();
    let again = setup.clone();
    let ahead = Driver::new(state, origin, &user).run(|io| bootstrap::ahead(io, setup)).await;
    if ahead.is_none() {
        Driver::new(state, origin, &user).run(|io| restore::reading::ahead(io, again)).await;
    }
    state.live(origin, |live| live.ahead = ahead);
}

/// Says whose secret storage it is while Element waits for the person because of it.
async fn glance(state: &Rc<State>, origin: &Origin) {
    let Some(setup) = setup(state, origin, false, |session| session.stuck) else { return };
    let user = setup.user_id.clone();
    if let Some(progress) = Driver::new(state, origin, &user).run(|io| bootstrap::glance(io, setup)).await {
        report(state, origin, progress);
    }
}

/// Runs the set-up of a deployment, or a restore, once at a time.
async fn run(state: &Rc<State>, origin: &Origin) {
    let started = state.live(origin, |live| {
        live.wanted = true;
        !std::mem::replace(&mut live.running, true)
    });
    if !started {
        return;
    }
    tell_to_wait(state, origin, true);
    while state.live(origin, |live| std::mem::take(&mut live.wanted)) {
        let asked = state.live(origin, |live| std::mem::take(&mut live.asked));
        let given = state.live(origin, |live| live.given.is_some());
        let outcome = if let Some(setup) = setup(state, origin, asked, |session| session.ready && given) {
            // Somebody else's secret storage, opened for a session that only lacks what is in it.
            let outcome = restore(state, origin, setup).await;
            let opened = matches!(outcome.progress.state, Stage::Complete | Stage::Working);
            state.live(origin, |live| live.wanted |= opened);
            outcome
        } else if let Some(setup) = setup(state, origin, asked, |session| session.ready) {
            cover_pages(state, origin, false);
            let user = setup.user_id.clone();
            let ahead = state.live(origin, |live| live.ahead.take());
            let outcome = Driver::new(state, origin, &user).run(|io| bootstrap::run_after(io, setup, ahead)).await;
            if outcome.progress.state == Stage::Complete {
                drill::remind(state, origin, &user).await;
                // The account's own identity is proven, and its devices may have keys.
                pins::enqueue(state, origin, &user, pins::Job::Look);
                sharing::soon(state, origin, &user);
            }
            outcome
        } else if let Some(setup) = setup(state, origin, asked, |session| session.unverified) {
            restore(state, origin, setup).await
        } else {
            continue;
        };
        if let Some(at) = outcome.retry_at {
            webextension::set_alarm(origin.as_str(), at).await;
        }
    }
    state.live(origin, |live| live.running = false);
    tell_to_wait(state, origin, is_working(state, origin));
    state.changed();
}

/// Restores the account on a session that nobody vouches for yet. Element's view that asks for a confirmation is covered
/// meanwhile, and uncovered where the person is needed after all.
async fn restore(state: &Rc<State>, origin: &Origin, setup: Setup) -> Outcome {
    let way = match state.live(origin, |live| live.given.take()) {
        Some(text) => Way::Given(text),
        None if setup.asked => Way::Asked,
        None => Way::Silent,
    };
    cover_pages(state, origin, true);
    let user = setup.user_id.clone();
    let outcome = Driver::new(state, origin, &user).run(|io| restore::run(io, setup, way)).await;
    if outcome.progress.state != Stage::Complete {
        cover_pages(state, origin, false);
    }
    outcome
}

/// Is something under way that does not wait for the person?
pub(crate) fn is_working(state: &State, origin: &Origin) -> bool {
    state.live(origin, |live| (live.running || live.sharing) && live.to_keep.is_none())
}

/// What a test of the backup is told; `None` where nobody is logged in. A background that was only just started is told first
/// who is.
pub(crate) async fn ready(state: &Rc<State>, origin: &Origin) -> Option<Setup> {
    let now = || setup(state, origin, true, |session| session.ready);
    if let Some(setup) = now() {
        return Some(setup);
    }
    retry(state, origin).await;
    now()
}

/// What a run is told; `None` where nobody is logged in and confirmed in a page that is as far as it must be.
fn setup(state: &State, origin: &Origin, asked: bool, far_enough: impl Fn(&Session) -> bool) -> Option<Setup> {
    let policy = state.policy.borrow().policy.clone()?;
    let server_name = policy.deployment(origin).map(|d| d.server_name.as_str().to_owned());
    let pages = state.pages.borrow();
    let (session, standing) = pages.values().rev().filter(|p| p.origin == *origin).find_map(|p| {
        let session = p.session.as_ref().filter(|session| far_enough(session))?;
        Some((p.confirmed(&session.who)?.clone(), session.standing.clone()))
    })?;
    Some(Setup {
        origin: origin.clone(),
        server_name,
        user_id: session.user_id,
        device_id: session.device_id,
        policy,
        standing,
        asked,
        lately: session.lately,
    })
}

/// Has the pages of a deployment cover what Element shows while it waits for the person, or uncover it.
fn cover_pages(state: &State, origin: &Origin, on: bool) {
    pages::send_all(state, origin, &json!({ "do": "cover", "on": on }));
}

/// Tells the relays whether something is under way that the background must be started again for.
pub(crate) fn tell_to_wait(state: &State, origin: &Origin, on: bool) {
    pages::send_all(state, origin, &json!({ "do": "wait", "on": on }));
}

/// What the person's browsers share is looked at from now on, or no longer.
pub(crate) fn share(state: &State, origin: &Origin, on: bool) {
    state.live(origin, |live| live.sharing = on);
    tell_to_wait(state, origin, is_working(state, origin));
}

/// A flow says how far it is.
pub(crate) fn report(state: &State, origin: &Origin, progress: Progress) {
    state.live(origin, |live| live.progress = progress);
    state.changed();
    announce(state);
}

/// Tells the extension's open pages that something changed, and calls the person where that is needed.
pub(crate) fn announce(state: &State) {
    let known = |origin: &Origin| pages::deployment(state, origin).is_some();
    let critical =
        |live: &Live| live.shared.is_some() || live.people.iter().any(|person| person.severity == Severity::Critical);
    let asks = |live: &Live| {
        live.progress.calls() || critical(live) || (live.drill_due && live.progress.state == Stage::Complete)
    };
    let calls = |(origin, live): (&Origin, &Live)| live.account.is_some() && asks(live) && known(origin);
    let calls = state.deployments.borrow().iter().any(calls);
    let code = integrity::calls(state);
    let text = if calls || code.is_some() { "!" } else { "" };
    let colour = if code == Some(Calls::Refused) { "#9b1c1c" } else { "#b3541e" };
    spawn_local(async move {
        webextension::set_badge(text, colour).await;
        webextension::announce().await;
    });
}

/// The person asks for another try, or gave or answered something that a run needs: the pages say again who is logged in,
/// the homeserver confirms it again where it has not, and what can run does. Returns when that is over, or takes long;
/// `false` where nobody is logged in.
pub(crate) async fn retry(state: &Rc<State>, origin: &Origin) -> bool {
    state.live(origin, |live| live.asked = true);
    let here = pages::of(state, origin);
    for page in &here {
        pages::send(state, *page, &json!({ "do": "introduce" }));
        if pages::change(state, *page, |page| page.not_before.take().is_some()) == Some(true) {
            sessions::go_on(state, *page, origin);
        }
    }
    if here.is_empty() {
        wake(state, origin).await;
    }
    let confirmed = |page: &pages::Page| page.origin == *origin && page.confirmed.is_some();
    let back = || state.pages.borrow().values().any(confirmed).then_some(());
    if state.until(BACK_WITHIN, back).await.is_none() {
        state.live(origin, |live| live.asked = false);
        return false;
    }
    // A session that was only just confirmed has its run already.
    if state.live(origin, |live| {
        live.wanted |= live.asked;
        live.asked
    }) {
        let (state, origin) = (Rc::clone(state), origin.clone());
        spawn_local(async move {
            run(&state, &origin).await;
            if setup(&state, &origin, true, |session| session.ready || session.unverified).is_none() {
                glance(&state, &origin).await;
            }
        });
    }
    let ended = || state.live(origin, |live| !live.running && !live.wanted).then_some(());
    state.until(ENDED_WITHIN, ended).await;
    true
}

/// Restores with what the person gave.
pub(crate) async fn recover(state: &Rc<State>, origin: &Origin, text: SecretText) -> bool {
    state.live(origin, |live| live.given = Some(text));
    let tried = retry(state, origin).await;
    // A run that was no restore has not taken it, and the next one may be somebody else's.
    state.live(origin, |live| live.given = None);
    tried
}

/// An alarm that a run asked for.
pub(crate) fn alarm(state: &Rc<State>, name: &str) {
    let state = Rc::clone(state);
    if name == sessions::RETENTION {
        return spawn_local(async move { sessions::sweep(&state).await });
    }
    if name == integrity::ALARM {
        return integrity::renew_all(&state);
    }
    if name == sharing::ALARM {
        return sharing::look(&state);
    }
    let Ok(origin) = Origin::parse(name) else { return };
    spawn_local(async move {
        let here = pages::of(&state, &origin);
        for page in &here {
            sessions::go_on(&state, *page, &origin);
        }
        if here.is_empty() {
            wake(&state, &origin).await;
        }
    });
}

/// Wakes the pages of a deployment, which then connect and say who is logged in.
async fn wake(state: &Rc<State>, origin: &Origin) {
    let Some(deployment) = pages::deployment(state, origin) else { return };
    for tab in tabs(&deployment).await {
        spawn_local(async move {
            webextension::wake(tab.id).await;
        });
    }
}

/// The tabs that show exactly this deployment: patterns know no ports.
pub(crate) async fn tabs(deployment: &Deployment) -> Vec<Tab> {
    let Some(pattern) = deployment.page_pattern() else { return Vec::new() };
    let origin = |tab: &Tab| Url::parse(&tab.url).ok().map(|url| url.origin().ascii_serialization());
    let shows = |tab: &Tab| origin(tab).as_deref() == Some(deployment.origin.as_str());
    webextension::tabs(&pattern).await.into_iter().filter(shows).collect()
}

/// The policy changed: runs what can run now.
pub(crate) async fn refresh(state: &Rc<State>) {
    let origins: Vec<_> = state.deployments.borrow().keys().cloned().collect();
    for origin in origins {
        let state = Rc::clone(state);
        spawn_local(async move { run(&state, &origin).await });
    }
    webextension::announce().await;
}
