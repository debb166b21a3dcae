//! The flows of one deployment: when they start, and where what they say goes.

use std::rc::Rc;

use futures_channel::oneshot;
use keystead_core::{
    bootstrap::{
        self, Outcome, Setup,
        login::{self, Login},
        logout::{self, Logout},
        record::AccountRecord,
    },
    ident::{DeviceId, Origin, UserId},
    identity::PublicKey,
    restore::{self, Way},
    secret::SecretText,
    status::{Progress, Question, State as Stage},
    time::UnixMillis,
};
use serde_json::json;
use wasm_bindgen_futures::spawn_local;

use crate::{
    adapter::{clock, webextension},
    background::State,
    driver::Driver,
    pages,
    protocol::Session,
};

/// What is known of a deployment while the background runs.
#[derive(Default)]
pub(crate) struct Live {
    /// Who is logged in.
    pub(crate) account: Option<UserId>,
    /// How far things are.
    pub(crate) progress: Progress,
    /// The name the person typed at login, and when.
    pub(crate) typed: Option<(String, UnixMillis)>,
    /// A recovery key that waits to be kept, and who waits for that.
    pub(crate) to_keep: Option<(SecretText, oneshot::Sender<()>)>,
    /// What the person gave to restore with.
    given: Option<SecretText>,
    /// The person asked for the next run.
    asked: bool,
    running: bool,
    again: bool,
}

/// A page says who is logged in.
pub(crate) fn session(state: &Rc<State>, page: u32, origin: &Origin, session: Session) {
    let user = session.user_id.clone();
    let known = {
        let mut pages = state.pages.borrow_mut();
        let Some(page) = pages.get_mut(&page) else { return };
        let same = page.session.as_ref().is_some_and(|s| s.user_id == user && s.device_id == session.device_id);
        page.session = Some(session.clone());
        if !same {
            page.confirmed = None;
        }
        same
    };
    if !known {
        let fresh = Progress { state: Stage::Working, ..Progress::default() };
        state.live(origin, |live| {
            live.account = Some(user.clone());
            live.progress = fresh;
        });
    }
    let begun = state.pages.borrow_mut().get_mut(&page).is_none_or(|p| std::mem::replace(&mut p.confirming, true));
    if begun {
        return;
    }
    let typed = typed(state, origin);
    let (state, origin) = (Rc::clone(state), origin.clone());
    spawn_local(async move {
        if !is_confirmed(&state, page) {
            let mut driver = Driver::new(&state, &origin, &user);
            let others = others(&state, page, &origin, &user);
            let login = Login {
                origin: &origin,
                user_id: &user,
                device_id: &session.device_id,
                typed: typed.as_deref(),
                others: &others,
                retention: state.policy.borrow().policy.as_ref().map(|policy| policy.retention()),
            };
            match driver.run(|io| login::confirm(io, login)).await {
                Ok(confirmed) => {
                    // The record has it now. The next login may be somebody else's.
                    state.live(&origin, |live| live.typed = None);
                    pages::send(&state, page, &json!({ "do": "known" }));
                    change(&state, page, |p| p.confirmed = Some(confirmed));
                }
                // The person logged out meanwhile.
                Err(_) if state.pages.borrow().get(&page).is_none_or(|p| p.session.is_none()) => {}
                Err(stop) => {
                    let outcome = Outcome::of_login(stop, clock::now());
                    report(&state, &origin, outcome.progress);
                    come_back(&state, &origin, outcome.retry_at).await;
                }
            }
        }
        change(&state, page, pages::Page::end_confirming);
        // What the page said meanwhile counts.
        let ready = |p: &pages::Page| p.confirmed.is_some() && p.session.as_ref().is_some_and(|s| s.ready);
        let stuck = |p: &pages::Page| p.confirmed.is_some() && p.session.as_ref().is_some_and(|s| s.stuck);
        let unverified = |p: &pages::Page| p.confirmed.is_some() && p.session.as_ref().is_some_and(|s| s.unverified);
        let is = |what: &dyn Fn(&pages::Page) -> bool| state.pages.borrow().get(&page).is_some_and(what);
        if is(&ready) || is(&unverified) {
            run(&state, &origin).await;
        } else if is(&stuck) {
            glance(&state, &origin).await;
        }
    });
}

/// Says whose secret storage it is while Element waits for the person because of it.
async fn glance(state: &Rc<State>, origin: &Origin) {
    let Some(setup) = setup(state, origin, |session| session.stuck) else { return };
    let user = setup.user_id.clone();
    if let Some(progress) = Driver::new(state, origin, &user).run(|io| bootstrap::glance(io, setup)).await {
        report(state, origin, progress);
    }
}

/// The devices that other pages have open for an account.
fn others(state: &State, page: u32, origin: &Origin, user: &UserId) -> Vec<DeviceId> {
    let pages = state.pages.borrow();
    let others = pages.iter().filter(|(id, other)| **id != page && other.origin == *origin);
    let sessions = others.filter_map(|(_, other)| other.session.as_ref());
    sessions.filter(|session| session.user_id == *user).map(|session| session.device_id.clone()).collect()
}

fn is_confirmed(state: &State, page: u32) -> bool {
    state.pages.borrow().get(&page).is_some_and(|p| p.confirmed.is_some())
}

fn change(state: &State, page: u32, change: impl FnOnce(&mut pages::Page)) {
    if let Some(page) = state.pages.borrow_mut().get_mut(&page) {
        change(page);
    }
}

/// The name that was typed, if that was not too long ago to belong to this login.
fn typed(state: &State, origin: &Origin) -> Option<String> {
    let now = clock::now();
    let recent = |(name, at): &(String, UnixMillis)| !name.is_empty() && now.since(*at) < login::TYPED_LIMIT;
    state.live(origin, |live| live.typed.clone().filter(recent).map(|(name, _)| name))
}

/// Runs the set-up of a deployment, once at a time.
pub(crate) async fn run(state: &Rc<State>, origin: &Origin) {
    let started = state.live(origin, |live| {
        live.again |= live.running;
        !std::mem::replace(&mut live.running, true)
    });
    if !started {
        return;
    }
    loop {
        state.live(origin, |live| live.again = false);
        if let Some(setup) = setup(state, origin, |session| session.ready) {
            cover_pages(state, origin, false);
            tell_pages(state, origin, true);
            let user = setup.user_id.clone();
            let outcome = Driver::new(state, origin, &user).run(|io| bootstrap::run(io, setup)).await;
            state.live(origin, |live| live.asked = false);
            come_back(state, origin, outcome.retry_at).await;
        } else if let Some(setup) = setup(state, origin, |session| session.unverified) {
            restore(state, origin, setup).await;
        } else {
            // A session that could not be confirmed may be now.
            pages::send_all(state, origin, &json!({ "do": "introduce" }));
        }
        if !state.live(origin, |live| live.again) {
            break;
        }
    }
    state.live(origin, |live| live.running = false);
}

/// Restores the account on a session that nobody vouches for yet. Element's view that asks for a confirmation is covered
/// meanwhile, and uncovered where the person is needed after all.
async fn restore(state: &Rc<State>, origin: &Origin, setup: Setup) {
    let way = state.live(origin, |live| match (live.given.take(), std::mem::take(&mut live.asked)) {
        (Some(text), _) => Way::Given(text),
        (None, true) => Way::Asked,
        (None, false) => Way::Silent,
    });
    tell_pages(state, origin, true);
    cover_pages(state, origin, true);
    let user = setup.user_id.clone();
    let outcome = Driver::new(state, origin, &user).run(|io| restore::run(io, setup, way)).await;
    if outcome.progress.state != Stage::Complete {
        cover_pages(state, origin, false);
    }
    tell_pages(state, origin, outcome.retry_at.is_some());
    if let Some(at) = outcome.retry_at {
        webextension::set_alarm(origin.as_str(), at).await;
    }
}

/// Restores with what the person gave.
pub(crate) async fn recover(state: &Rc<State>, origin: &Origin, text: SecretText) {
    state.live(origin, |live| live.given = Some(text));
    run(state, origin).await;
}

/// Runs because the person asked for it.
pub(crate) async fn retry(state: &Rc<State>, origin: &Origin) {
    state.live(origin, |live| live.asked = true);
    run(state, origin).await;
}

/// The person answered whether an identity is theirs.
pub(crate) async fn believe(state: &Rc<State>, origin: &Origin, master_key: PublicKey, accept: bool) {
    let question = state.live(origin, |live| live.progress.question.clone());
    let Some(Question::Believe { account, master_key: asked, .. }) = question else { return };
    if asked != master_key {
        return;
    }
    let mut driver = Driver::new(state, origin, &account);
    let saved = driver.run(|io| AccountRecord::believe(io, origin, &account, master_key, accept)).await;
    if saved.is_ok() {
        retry(state, origin).await;
    }
}

/// What a run is told; `None` where nobody is logged in and confirmed in a page that is as far as it must be.
fn setup(state: &State, origin: &Origin, far_enough: impl Fn(&Session) -> bool) -> Option<Setup> {
    let policy = state.policy.borrow().policy.clone()?;
    let server_name = policy.deployment(origin).map(|d| d.server_name.as_str().to_owned());
    let pages = state.pages.borrow();
    let session = pages.values().rev().filter(|p| p.origin == *origin).find_map(|p| {
        let far_enough = p.session.as_ref().is_some_and(&far_enough);
        p.confirmed.clone().filter(|_| far_enough)
    })?;
    Some(Setup {
        origin: origin.clone(),
        server_name,
        user_id: session.user_id,
        device_id: session.device_id,
        policy,
        standing: String::new(),
        asked: state.live(origin, |live| live.asked),
    })
}

/// Has the pages of a deployment cover what Element shows while it waits for the person, or uncover it.
fn cover_pages(state: &State, origin: &Origin, on: bool) {
    pages::send_all(state, origin, &json!({ "do": "cover", "on": on }));
}

/// Tells the relays whether there is something that the background must be started again for.
fn tell_pages(state: &State, origin: &Origin, waiting: bool) {
    pages::send_all(state, origin, &json!({ "do": "wait", "on": waiting }));
}

/// Has the deployment looked at again at this time, or not.
async fn come_back(state: &State, origin: &Origin, at: Option<UnixMillis>) {
    tell_pages(state, origin, at.is_some());
    if let Some(at) = at {
        webextension::set_alarm(origin.as_str(), at).await;
    }
}

/// A flow says how far it is.
pub(crate) fn report(state: &State, origin: &Origin, progress: Progress) {
    let calls = progress.question.is_some() || matches!(progress.state, Stage::Failed);
    state.live(origin, |live| live.progress = progress.clone());
    spawn_local(async move {
        webextension::set_badge(if calls { "!" } else { "" }, "#b3541e").await;
        webextension::announce().await;
    });
}

/// The person logged out: what opens the recovery key goes, as the policy says. A background that was started by this
/// message has not heard of the session before.
pub(crate) fn signed_out(state: &Rc<State>, page: u32, origin: &Origin, user: UserId) {
    change(state, page, |page| {
        page.session = None;
        page.confirmed = None;
    });
    state.live(origin, |live| {
        live.account = None;
        live.progress = Progress { state: Stage::SignedOut, ..Progress::default() };
        live.to_keep = None;
        live.typed = None;
    });
    state.end_session(origin, &user);
    let retention = state.policy.borrow().policy.as_ref().map(|p| p.retention());
    let (state, origin) = (Rc::clone(state), origin.clone());
    spawn_local(async move {
        let mut driver = Driver::new(&state, &origin, &user);
        let logout = Logout { origin: &origin, user_id: &user, device_id: None, retention };
        let _ = driver.run(|io| logout::end(io, logout)).await;
        report(&state, &origin, Progress { state: Stage::SignedOut, ..Progress::default() });
    });
}

/// An alarm that a run asked for: wakes the pages, which then say who is logged in.
pub(crate) fn alarm(state: &Rc<State>, name: &str) {
    let Ok(origin) = Origin::parse(name) else { return };
    let state = Rc::clone(state);
    spawn_local(async move {
        let connected = state.pages.borrow().values().any(|p| p.origin == origin);
        if connected {
            run(&state, &origin).await;
        } else {
            for tab in webextension::tabs(&[format!("{}/*", without_port(&origin))]).await {
                webextension::wake(tab).await;
            }
        }
    });
}

fn without_port(origin: &Origin) -> String {
    let host = url::Url::parse(origin.as_str()).ok();
    host.and_then(|u| Some(format!("{}://{}", u.scheme(), u.host_str()?))).unwrap_or_default()
}

/// The policy changed: runs what can run now.
pub(crate) async fn refresh(state: &Rc<State>) {
    let origins: Vec<_> = state.deployments.borrow().keys().cloned().collect();
    for origin in origins {
        run(state, &origin).await;
    }
    webextension::announce().await;
}

/// The person answered whether a certificate is theirs.
pub(crate) async fn confirm(
    state: &Rc<State>,
    origin: &Origin,
    fingerprint: keystead_core::ident::Fingerprint,
    accept: bool,
) {
    let question = state.live(origin, |live| live.progress.question.clone());
    let Some(Question::Confirm { account, fingerprint: asked, .. }) = question else { return };
    if asked != fingerprint {
        return;
    }
    let device = state.pages.borrow().values().rev().filter(|p| p.origin == *origin).find_map(|p| {
        let session = p.confirmed.as_ref().filter(|session| session.user_id == account)?;
        Some(session.device_id.clone())
    });
    let Some(device) = device else { return };
    let mut driver = Driver::new(state, origin, &account);
    let saved = driver.run(|io| AccountRecord::answer(io, origin, &account, &device, fingerprint, accept)).await;
    if saved.is_ok() {
        run(state, origin).await;
    }
}
