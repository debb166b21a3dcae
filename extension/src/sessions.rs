//! Who is logged in: by the page's word, then confirmed with the homeserver, until it ends.

use std::rc::Rc;

use keystead_core::{
    bootstrap::{
        Outcome,
        login::{self, Login, LoginError},
        logout::{self, Logout},
        record::AccountRecord,
        wipe,
    },
    error::Code,
    ident::{Origin, UserId},
    status::{Progress, Refusal, Reply, State as Stage},
    store::Store,
    time::UnixMillis,
};
use serde_json::json;
use wasm_bindgen_futures::spawn_local;

use crate::{
    adapter::{clock, webextension},
    background::State,
    deployment,
    driver::Driver,
    integrity, pages, pins,
    protocol::{Session, Who},
};

/// The alarm for wrapping keys whose time is over. No origin has such a name.
pub(crate) const RETENTION: &str = "retention";

/// A page says who is logged in. Its relay hears whether something is under way, and so that this was heard.
pub(crate) fn told(state: &Rc<State>, page: u32, origin: &Origin, session: Session) {
    if note(state, page, origin, session) {
        go_on(state, page, origin);
    } else {
        let working = deployment::is_working(state, origin);
        pages::send(state, page, &json!({ "do": "wait", "on": working }));
    }
}

/// Notes who is logged in; says whether there is a reason to look.
fn note(state: &Rc<State>, page: u32, origin: &Origin, session: Session) -> bool {
    let Some(deployment) = pages::deployment(state, origin) else { return false };
    // A token goes to the homeserver that gave it, or nowhere.
    if !deployment.homeserver.is(&session.homeserver) {
        away(state, page, origin);
        return false;
    }
    let user = session.who.user_id.clone();
    if user.server_name() != deployment.server_name.as_str() {
        away(state, page, origin);
        state.live(origin, |live| live.account = Some(user));
        deployment::report(state, origin, stranger());
        return false;
    }
    integrity::session(state, origin, Some(&session.token));
    let news = pages::change(state, page, |page| {
        let before = page.session.replace(session.clone());
        let same = before.as_ref().is_some_and(|before| before.who == session.who);
        if !same {
            page.confirmed = None;
        }
        if !same || before.as_ref().is_some_and(|before| before.token != session.token) {
            page.not_before = None;
        }
        // Another token alone is no reason to look again.
        !same || before.is_some_and(|before| Session { token: session.token.clone(), ..before } != session)
    });
    state.live(origin, |live| {
        if live.account.as_ref() != Some(&user) {
            live.account = Some(user);
            live.progress = Progress { state: Stage::Working, ..Progress::default() };
        }
    });
    state.changed();
    let unconfirmed = state.pages.borrow().get(&page).is_some_and(|page| page.confirmed.is_none());
    news == Some(true) || unconfirmed
}

/// Has a session confirmed, if it is not, and then does what can be done in it.
pub(crate) fn go_on(state: &Rc<State>, page: u32, origin: &Origin) {
    // What is under way looks again at its end.
    let begun = |page: &mut pages::Page| page.session.is_none() || std::mem::replace(&mut page.confirming, true);
    if pages::change(state, page, begun) != Some(false) {
        return;
    }
    let (state, origin) = (Rc::clone(state), origin.clone());
    spawn_local(async move {
        pages::send(&state, page, &json!({ "do": "wait", "on": true }));
        let confirmed = confirm(&state, page, &origin).await;
        pages::change(&state, page, |page| page.confirming = false);
        state.changed();
        if confirmed {
            deployment::go_on(&state, page, &origin).await;
        }
        pages::send(&state, page, &json!({ "do": "wait", "on": deployment::is_working(&state, &origin) }));
    });
}

/// Asks the homeserver whose session a page has, until it has confirmed the one that the page has then.
async fn confirm(state: &Rc<State>, page: u32, origin: &Origin) -> bool {
    loop {
        let now = clock::now();
        let known = pages::change(state, page, |page| {
            let who = page.session.as_ref()?.who.clone();
            let done = page.confirmed(&who).is_some();
            (done || page.not_before.is_none_or(|at| at <= now)).then_some((who, done))
        });
        let Some((who, done)) = known.flatten() else { return false };
        if done {
            return true;
        }
        let outcome = ask(state, page, origin, &who).await;
        if !state.pages.borrow().get(&page).is_some_and(|page| page.has(&who)) {
            // Meanwhile it is another, or nobody's.
            continue;
        }
        match outcome {
            Ok(session) => {
                pages::change(state, page, |page| page.confirmed = Some(session));
                // The record has the name now. The next login may be somebody else's.
                state.live(origin, |live| live.typed = None);
                pages::send_all(state, origin, &json!({ "do": "known" }));
                pins::enqueue(state, origin, &who.user_id, pins::Job::Look);
                end_others(state, origin, &who.user_id).await;
            }
            Err(progress) => {
                pages::change(state, page, |page| page.not_before = progress.retry_at.or(Some(UnixMillis::MAX)));
                if let Some(at) = progress.retry_at {
                    webextension::set_alarm(origin.as_str(), at).await;
                }
                deployment::report(state, origin, progress);
                return false;
            }
        }
    }
}

async fn ask(
    state: &Rc<State>,
    page: u32,
    origin: &Origin,
    who: &Who,
) -> Result<keystead_core::bridge::Session, Progress> {
    let typed = typed(state, origin);
    let others: Vec<_> = {
        let pages = state.pages.borrow();
        let others = pages.iter().filter(|(id, other)| **id != page && other.origin == *origin);
        let sessions = others.filter_map(|(_, other)| other.session.as_ref());
        sessions.filter(|s| s.who.user_id == who.user_id).map(|s| s.who.device_id.clone()).collect()
    };
    let login = Login {
        origin,
        user_id: &who.user_id,
        device_id: &who.device_id,
        typed: typed.as_deref(),
        others: &others,
        retention: state.retention(),
    };
    let confirmed = Driver::new(state, origin, &who.user_id).run(|io| login::confirm(io, login)).await;
    confirmed.map_err(|stop| Outcome::of_login(stop, clock::now()).progress)
}

fn stranger() -> Progress {
    Outcome::of_login(LoginError::OtherAccount.into(), clock::now()).progress
}

/// The name that was typed, if that was not too long ago to belong to this login.
fn typed(state: &State, origin: &Origin) -> Option<String> {
    let now = clock::now();
    let recent = |(name, at): &(String, UnixMillis)| !name.is_empty() && now.since(*at) < login::TYPED_LIMIT;
    state.live(origin, |live| live.typed.clone().filter(recent).map(|(name, _)| name))
}

/// Nobody is to be served in a page any more, and nobody has logged out.
pub(crate) fn away(state: &Rc<State>, page: u32, origin: &Origin) {
    pages::change(state, page, |page| (page.session, page.confirmed) = (None, None));
    leave(state, origin);
    state.changed();
}

/// Says that nobody is logged in, if that is so.
fn leave(state: &Rc<State>, origin: &Origin) {
    let somebody = state.pages.borrow().values().any(|page| page.origin == *origin && page.session.is_some());
    if !somebody {
        integrity::session(state, origin, None);
        state.live(origin, |live| {
            live.account = None;
            live.to_keep = None;
            live.people.clear();
            live.devices.clear();
            live.shared = None;
            (live.ahead, live.looked_ahead) = (None, false);
        });
        deployment::report(state, origin, Progress { state: Stage::SignedOut, ..Progress::default() });
    }
}

/// A person logged out: what opens the recovery key goes, as the policy says; also where this background, which may have
/// been started by the message, knew of no session.
pub(crate) fn signed_out(state: &Rc<State>, origin: &Origin, who: Who) {
    for page in state.pages.borrow_mut().values_mut().filter(|page| page.origin == *origin && page.has(&who)) {
        (page.session, page.confirmed) = (None, None);
    }
    let goes_on = state.pages.borrow().values().any(|page| {
        page.origin == *origin && page.session.as_ref().is_some_and(|session| session.who.user_id == who.user_id)
    });
    if !goes_on {
        state.end_session(origin, &who.user_id);
    }
    state.live(origin, |live| live.typed = None);
    state.changed();
    let (state, origin) = (Rc::clone(state), origin.clone());
    spawn_local(async move {
        // Another session of the account that a page has open needs what opens the recovery key.
        if !goes_on {
            end(&state, &origin, &who).await;
        }
        leave(&state, &origin);
    });
}

async fn end(state: &Rc<State>, origin: &Origin, who: &Who) {
    let logout =
        Logout { origin, user_id: &who.user_id, device_id: Some(&who.device_id), retention: state.retention() };
    let ended = Driver::new(state, origin, &who.user_id).run(|io| logout::end(io, logout)).await;
    if ended.is_ok() {
        sweep(state).await;
    }
}

/// A login ends the sessions of others in this browser, unless a page has them open (a browser can have several jars of
/// cookies).
async fn end_others(state: &Rc<State>, origin: &Origin, user: &UserId) {
    let mut swept = false;
    for (origin, other) in accounts(state, Some(origin)).await {
        let open = state.pages.borrow().values().any(|page| {
            page.origin == origin && page.session.as_ref().is_some_and(|session| session.who.user_id == other)
        });
        if other == *user || open {
            continue;
        }
        let logout = Logout { origin: &origin, user_id: &other, device_id: None, retention: state.retention() };
        let ended = Driver::new(state, &origin, &other).run(|io| logout::end(io, logout)).await;
        swept |= ended.is_ok();
    }
    if swept {
        sweep(state).await;
    }
}

/// Removes the wrapping keys whose time is over.
pub(crate) async fn sweep(state: &Rc<State>) {
    let mut next: Option<UnixMillis> = None;
    for (origin, user_id) in accounts(state, None).await {
        let logout = Logout { origin: &origin, user_id: &user_id, device_id: None, retention: state.retention() };
        let due = Driver::new(state, &origin, &user_id).run(|io| logout::overdue(io, logout)).await;
        next = due.ok().flatten().into_iter().chain(next).min();
    }
    come_back(next).await;
}

/// Has this browser forget the keys of an account; of all of a deployment, where none is named.
pub(crate) async fn wipe(state: &Rc<State>, origin: &Origin, account: Option<UserId>) -> Reply<()> {
    for (origin, user) in concerned(state, origin, account.as_ref()).await {
        // What is under way must not put back what goes.
        state.end_session(&origin, &user);
        let wiped = Driver::new(state, &origin, &user).run(|io| wipe::wipe(io, &origin, &user)).await;
        wiped.map_err(|_| Refusal::NotSaved)?;
    }
    state.live(origin, |live| live.to_keep = None);
    if account.is_some() {
        let problem = Some((Code::RecVaultLost, clock::now()));
        deployment::report(state, origin, Progress { state: Stage::Foreign, problem, ..Progress::default() });
    }
    Ok(())
}

/// Does this browser hold keys of an account; of any of a deployment, where none is named?
pub(crate) async fn hold_keys(state: &Rc<State>, origin: &Origin, account: Option<&UserId>) -> bool {
    for (origin, user) in concerned(state, origin, account).await {
        if Driver::new(state, &origin, &user).run(wipe::holds_keys).await.unwrap_or(true) {
            return true;
        }
    }
    false
}

async fn concerned(state: &State, origin: &Origin, account: Option<&UserId>) -> Vec<(Origin, UserId)> {
    match account {
        Some(user) => vec![(origin.clone(), user.clone())],
        None => accounts(state, Some(origin)).await,
    }
}

async fn come_back(at: Option<UnixMillis>) {
    if let Some(at) = at {
        webextension::set_alarm(RETENTION, at).await;
    }
}

/// The accounts that there are records of.
pub(crate) async fn accounts(state: &State, origin: Option<&Origin>) -> Vec<(Origin, UserId)> {
    let keys = Store::keys(&state.database, &AccountRecord::store_prefix(origin)).await.unwrap_or_default();
    keys.iter().filter_map(|key| AccountRecord::owner(key)).collect()
}
