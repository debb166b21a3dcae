//! The pages that are connected: who is logged in there, what they ask, what they are asked.

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use futures_channel::oneshot;
use futures_util::{FutureExt, future::select};
use keystead_core::{
    bridge::{self, Answer},
    effect::{PageAnswer, PageCommand},
    error::Code,
    ident::{Origin, UserId},
    secret::SecretText,
};
use serde_json::{Value, json};
use url::Url;
use wasm_bindgen_futures::spawn_local;

use crate::{
    adapter::{clock, webextension::Port},
    background::State,
    deployment,
    driver::Driver,
    protocol::{Ask, FromPage, Session, Tell, What},
};

/// How long a page may take for a command. The client's own waits in it are shorter.
const COMMAND_LIMIT: Duration = Duration::from_secs(45);
/// How many bridge requests of one page are worked on, or wait, at the same time.
const MAX_OPEN_REQUESTS: usize = 64;

/// A connected page.
pub(crate) struct Page {
    port: Port,
    pub(crate) origin: Origin,
    /// Who is logged in, by the page's word.
    pub(crate) session: Option<Session>,
    /// The same, when the homeserver has confirmed it.
    pub(crate) confirmed: Option<bridge::Session>,
    /// The homeserver is being asked.
    pub(crate) confirming: bool,
    commands: BTreeMap<u32, oneshot::Sender<PageAnswer>>,
    open_requests: usize,
    until_confirmed: Vec<oneshot::Sender<()>>,
}

/// A page connected. One that the policy does not name is not listened to.
pub(crate) fn connected(state: &Rc<State>, page: u32, url: &str, port: Port) {
    let Some(origin) = Url::parse(url).ok().and_then(|u| Origin::parse(&u.origin().ascii_serialization()).ok()) else {
        return;
    };
    let named = state.policy.borrow().policy.as_ref().is_some_and(|p| p.deployment(&origin).is_some());
    if !named {
        return;
    }
    let page_state = Page {
        port,
        origin,
        session: None,
        confirmed: None,
        confirming: false,
        commands: BTreeMap::new(),
        open_requests: 0,
        until_confirmed: Vec::new(),
    };
    state.pages.borrow_mut().insert(page, page_state);
}

/// A page is gone: what it was asked is not coming.
pub(crate) fn gone(state: &Rc<State>, page: u32) {
    state.pages.borrow_mut().remove(&page);
}

/// A page says something.
pub(crate) fn message(state: &Rc<State>, page: u32, message: Value) {
    let Ok(message) = serde_json::from_value::<FromPage>(message) else { return };
    let Some(origin) = state.pages.borrow().get(&page).map(|p| p.origin.clone()) else { return };
    match message {
        FromPage::Tell(Tell::Typed { name, at }) => {
            // A clock that was set back must not make a name last for ever.
            let at = at.min(clock::now());
            state.live(&origin, |live| live.typed = Some((name, at)));
        }
        FromPage::Tell(Tell::Session(session)) => deployment::session(state, page, &origin, session),
        FromPage::Tell(Tell::SignedOut { user_id }) => deployment::signed_out(state, page, &origin, user_id),
        FromPage::Tell(Tell::Done { id, answer }) => {
            let waiting = state.pages.borrow_mut().get_mut(&page).and_then(|p| p.commands.remove(&id));
            if let Some(waiting) = waiting {
                let _ = waiting.send(answer);
            }
        }
        FromPage::Ask(ask) => spawn_local(answer(Rc::clone(state), page, ask)),
    }
}

/// Sends something to a page.
pub(crate) fn send(state: &State, page: u32, message: &Value) {
    if let Some(page) = state.pages.borrow().get(&page) {
        page.port.send(message);
    }
}

/// Sends something to every page of a deployment.
pub(crate) fn send_all(state: &State, origin: &Origin, message: &Value) {
    for page in state.pages.borrow().values().filter(|page| page.origin == *origin) {
        page.port.send(message);
    }
}

/// Has the page of an account do something. With several tabs open it is the one that is ready.
pub(crate) async fn command(state: &Rc<State>, origin: &Origin, user: &UserId, command: &PageCommand) -> PageAnswer {
    let Some(page) = page_for(state, origin, user, command) else { return PageAnswer::Gone };
    let id = state.next_command.get();
    state.next_command.set(id.wrapping_add(1));
    let (sender, receiver) = oneshot::channel();
    let Ok(Value::Object(mut message)) = serde_json::to_value(command) else { return PageAnswer::Failed };
    message.insert("id".into(), id.into());
    if let Some(page) = state.pages.borrow_mut().get_mut(&page) {
        page.commands.insert(id, sender);
        page.port.send(&Value::Object(message));
    }
    let limit = clock::sleep(COMMAND_LIMIT).boxed_local();
    match select(receiver, limit).await {
        futures_util::future::Either::Left((Ok(answer), _)) => answer,
        _ => PageAnswer::Gone,
    }
}

/// The page where an account is logged in and set up, else one where it waits to be confirmed, if there is one. A token can
/// be renewed anywhere.
fn page_for(state: &State, origin: &Origin, user: &UserId, command: &PageCommand) -> Option<u32> {
    let pages = state.pages.borrow();
    let page = |far_enough: fn(&Session) -> bool| {
        let there = |session: &Session| session.user_id == *user && far_enough(session);
        let found = pages.iter().rev().find(|(_, p)| p.origin == *origin && p.session.as_ref().is_some_and(there));
        found.map(|(id, _)| *id)
    };
    let far_enough = page(|session| session.ready).or_else(|| page(|session| session.unverified));
    far_enough.or_else(|| if matches!(command, PageCommand::RenewToken) { page(|_| true) } else { None })
}

/// The access token of an account, as the last page handed it over.
pub(crate) fn token(state: &State, origin: &Origin, user: &UserId) -> Option<String> {
    let pages = state.pages.borrow();
    let session = |p: &&Page| p.origin == *origin && p.session.as_ref().is_some_and(|s| s.user_id == *user);
    pages.values().rev().find(session).and_then(|p| p.session.as_ref().map(|s| s.token.clone()))
}

impl Page {
    /// The homeserver has been asked whose session it is, with whatever outcome.
    pub(crate) fn end_confirming(&mut self) {
        self.confirming = false;
        self.until_confirmed.clear();
    }
}

/// Waits while the homeserver is being asked whose session it is.
async fn confirming(state: &State, page: u32) {
    let asking = state.pages.borrow_mut().get_mut(&page).filter(|page| page.confirming).map(|page| {
        let (sender, over) = oneshot::channel();
        page.until_confirmed.push(sender);
        over
    });
    if let Some(over) = asking {
        // Nothing is sent: it is over when the other end is dropped.
        let _ = over.await;
    }
}

/// Answers what a page asks of the bridge.
async fn answer(state: Rc<State>, page: u32, ask: Ask) {
    let within = state.pages.borrow_mut().get_mut(&page).is_some_and(|page| {
        page.open_requests += 1;
        page.open_requests <= MAX_OPEN_REQUESTS
    });
    if within {
        confirming(&state, page).await;
    }
    let session = state.pages.borrow().get(&page).filter(|_| within).and_then(|page| page.confirmed.clone());
    let answer = match session {
        // Before the session is confirmed nothing here can be ours: Element's own functions run.
        None => Answer::Own,
        Some(session) => {
            let mut driver = Driver::new(&state, &session.origin, &session.user_id);
            match ask.what {
                What::Store { name, secret } => {
                    let secret = SecretText::new(secret);
                    driver.run(|io| bridge::store(io, &session, &name, &secret)).await
                }
                What::PutAside { name } => driver.run(|io| bridge::put_aside(io, &session, &name)).await,
                What::Get { name } => driver.run(|io| bridge::get(io, &session, &name)).await,
            }
        }
    };
    if let Some(page) = state.pages.borrow_mut().get_mut(&page) {
        page.open_requests -= 1;
    }
    let mut message = match answer {
        Answer::Own => json!({ "own": true }),
        Answer::Stored => json!({}),
        Answer::Secret(secret) => json!({ "value": secret.expose("the client asked for it, by the rules") }),
        Answer::Refused(code) => json!({ "refused": Code::as_str(code) }),
    };
    message["re"] = ask.id.into();
    send(&state, page, &message);
}
