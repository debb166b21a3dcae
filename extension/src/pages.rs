//! The pages that are connected: whether they are served, what they say, what they are asked to do.

use std::{rc::Rc, time::Duration};

use futures_channel::oneshot;
use futures_util::{
    FutureExt,
    future::{Either, select},
};
use keystead_core::{
    bridge,
    effect::{PageAnswer, PageCommand},
    ident::{Origin, UserId},
    integrity::DocumentId,
    policy::Deployment,
    sorted::SortedMap,
    time::UnixMillis,
};
use serde_json::{Value, json};
use url::Url;
use wasm_bindgen_futures::spawn_local;

use crate::{
    adapter::{clock, webextension::Port},
    asks,
    background::State,
    integrity::{self, documents},
    pins,
    protocol::{FromPage, Session, Tell, Who},
    sessions,
};

/// How long a page may take for a command. The client's own waits in it are shorter.
const COMMAND_LIMIT: Duration = Duration::from_secs(45);
/// The same, for what it only has to look at, and somebody's message waits for: a tab may be frozen.
const LOOK_LIMIT: Duration = Duration::from_secs(3);

/// How long it takes until a tab that took the session over from another one says so.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(5);

/// A connected page.
pub(crate) struct Page {
    port: Port,
    pub(crate) origin: Origin,
    /// The homeserver that it is served for; `None` where the policy does not name the page.
    served: Option<String>,
    /// The name of its document, as the content script gave it.
    document: Option<DocumentId>,
    /// Who is logged in, by the page's word.
    pub(crate) session: Option<Session>,
    /// The same, when the homeserver has confirmed it.
    pub(crate) confirmed: Option<bridge::Session>,
    /// The homeserver is being asked.
    pub(crate) confirming: bool,
    /// The homeserver is not asked again before.
    pub(crate) not_before: Option<UnixMillis>,
    pub(crate) open_asks: usize,
    /// Of the people of whom something is to be said, those in the room that it shows.
    pub(crate) room: Vec<UserId>,
    /// What the policy has it do about people's keys.
    pins: PinsInForce,
    commands: SortedMap<u32, oneshot::Sender<PageAnswer>>,
}

impl Page {
    /// The session, if it is this one and the homeserver has confirmed it.
    pub(crate) fn confirmed(&self, who: &Who) -> Option<&bridge::Session> {
        self.confirmed.as_ref().filter(|session| session.user_id == who.user_id && session.device_id == who.device_id)
    }

    /// Is this session logged in here, by the page's word?
    pub(crate) fn has(&self, who: &Who) -> bool {
        self.session.as_ref().is_some_and(|session| session.who == *who)
    }
}

/// The name of the document that a tab shows of a deployment, where it is connected.
pub(crate) fn document_in(state: &State, tab: u32, origin: &Origin) -> Option<DocumentId> {
    let pages = state.pages.borrow();
    let mut here = pages.values().filter(|page| page.port.tab() == Some(tab) && page.origin == *origin);
    here.find_map(|page| page.document.clone())
}

/// Is this document still what a tab shows?
pub(crate) fn is_there(state: &State, tab: u32, document: &DocumentId) -> bool {
    let pages = state.pages.borrow();
    pages.values().any(|page| page.port.tab() == Some(tab) && page.document.as_ref() == Some(document))
}

/// A page connected. It is told whether it is served; one that the policy does not name is only heard when a session ends.
pub(crate) fn connected(state: &Rc<State>, page: u32, url: &str, port: Port) {
    let Some(origin) = Url::parse(url).ok().and_then(|u| Origin::parse(&u.origin().ascii_serialization()).ok()) else {
        return port.send(&json!({ "do": "off" }));
    };
    let label = port.label();
    let (name, age) = label.strip_prefix("page ").and_then(|label| label.split_once(' ')).unwrap_or_default();
    let document = DocumentId::parse(name).ok();
    let (tab, named) = (port.tab(), document.clone());
    let page_state = Page {
        port,
        origin,
        served: None,
        document,
        session: None,
        confirmed: None,
        confirming: false,
        not_before: None,
        open_asks: 0,
        room: Vec::new(),
        pins: PinsInForce::default(),
        commands: SortedMap::new(),
    };
    state.pages.borrow_mut().insert(page, page_state);
    integrity::connected(state, url, tab, named, age == "first");
    serve(state, page);
    state.changed();
}

/// What a page does about people's keys.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct PinsInForce {
    /// It hands over what the homeserver says of them.
    pinned: bool,
    /// What it sends to devices waits for the gate.
    gated: bool,
}

impl PinsInForce {
    fn of(state: &State) -> Self {
        let pins = pins::settings(state);
        Self { pinned: pins.is_some(), gated: pins.is_some_and(|pins| pins.gates()) }
    }
}

fn serve(state: &State, page: u32) {
    let pins = PinsInForce::of(state);
    let told = change(state, page, |page| {
        page.pins = pins;
        page.served = deployment(state, &page.origin).map(|deployment| deployment.homeserver.as_str().to_owned());
        if page.served.is_none() {
            (page.session, page.confirmed) = (None, None);
        }
        match &page.served {
            Some(homeserver) => {
                json!({ "do": "serve", "homeserver": homeserver, "pinned": pins.pinned, "gated": pins.gated })
            }
            None => json!({ "do": "off" }),
        }
    });
    if let Some(told) = told {
        send(state, page, &told);
    }
}

/// The policy may have changed: tells those pages for which it has.
pub(crate) fn serve_all(state: &State) {
    let pins = PinsInForce::of(state);
    let news = |page: &Page| {
        let homeserver = deployment(state, &page.origin).map(|deployment| deployment.homeserver.as_str().to_owned());
        homeserver != page.served || page.pins != pins
    };
    let pages: Vec<_> = state.pages.borrow().iter().filter(|(_, page)| news(page)).map(|(id, _)| *id).collect();
    for page in pages {
        serve(state, page);
    }
}

/// The deployment that the policy names for an origin.
pub(crate) fn deployment(state: &State, origin: &Origin) -> Option<Deployment> {
    state.policy.borrow().policy.as_ref().and_then(|policy| policy.deployment(origin)).cloned()
}

/// A page is gone: what it was asked is not coming.
pub(crate) fn gone(state: &Rc<State>, page: u32) {
    state.pages.borrow_mut().remove(&page);
    state.changed();
}

/// A page says something.
pub(crate) fn message(state: &Rc<State>, page: u32, message: Value, long: Option<String>) {
    let known = state.pages.borrow().get(&page).map(|p| (p.origin.clone(), p.served.is_some()));
    let Some((origin, served)) = known else { return };
    // A list would be read as the parts of a message, and the relay knows those by their names.
    let Value::Object(message) = message else { return };
    let asked = message.get("id").filter(|_| message.contains_key("ask")).cloned();
    let Some(parsed) = FromPage::read(message, long) else {
        if let Some(id) = asked {
            asks::refuse(state, page, &id);
        }
        return;
    };
    if !may_hold_keys(state, page) {
        // Nothing is heard of a document that is not known to run known code only.
        if let FromPage::Ask(ask) = parsed {
            asks::refuse(state, page, &ask.id.into());
        }
        return;
    }
    match parsed {
        FromPage::Tell(Tell::SignedOut(who)) => sessions::signed_out(state, &origin, who),
        _ if !served => {}
        FromPage::Tell(Tell::Typed { name, at }) => {
            // A clock that was set back must not make a name last for ever.
            let at = at.min(clock::now());
            state.live(&origin, |live| live.typed = Some((name, at)));
        }
        FromPage::Tell(Tell::Session(session)) => sessions::told(state, page, &origin, session),
        FromPage::Tell(Tell::Away) => sessions::away(state, page, &origin),
        FromPage::Tell(Tell::Room { users }) => {
            change(state, page, |page| page.room = users);
            pins::show(state, page, &origin);
        }
        FromPage::Tell(Tell::Decide { user_id, decision }) => {
            let account = |page: &mut Page| page.confirmed.as_ref().map(|session| session.user_id.clone());
            let account = change(state, page, account).flatten();
            let (state, origin) = (Rc::clone(state), origin);
            spawn_local(async move {
                if let Some(account) = account {
                    let _ = pins::decide(&state, &origin, &account, user_id, *decision).await;
                    pins::show(&state, page, &origin);
                }
            });
        }
        FromPage::Tell(Tell::Done { id, answer }) => {
            let waiting = change(state, page, |page| page.commands.remove(&id)).flatten();
            if let Some(waiting) = waiting {
                let _ = waiting.send(answer);
            }
        }
        FromPage::Ask(ask) => spawn_local(asks::answer(Rc::clone(state), page, origin, ask)),
    }
}

/// May keys and tokens pass between the background and a page?
pub(crate) fn may_hold_keys(state: &State, page: u32) -> bool {
    let known = state.pages.borrow().get(&page).map(|page| (page.origin.clone(), page.document.clone()));
    known.is_some_and(|(origin, document)| documents::may_hold_keys(state, &origin, document.as_ref()))
}

/// Page integrity may be wanted now: what pages said that are not known to run known code only, is forgotten.
pub(crate) fn forget_unverified(state: &State) {
    let all: Vec<_> = state.pages.borrow().keys().copied().collect();
    for page in all.into_iter().filter(|page| !may_hold_keys(state, *page)) {
        change(state, page, |page| (page.session, page.confirmed) = (None, None));
    }
}

/// Changes what is known of a page; `None` where it is gone.
pub(crate) fn change<T>(state: &State, page: u32, change: impl FnOnce(&mut Page) -> T) -> Option<T> {
    state.pages.borrow_mut().get_mut(&page).map(change)
}

/// Sends something to a page.
pub(crate) fn send(state: &State, page: u32, message: &Value) {
    if let Some(page) = state.pages.borrow().get(&page) {
        page.port.send(message);
    }
}

/// The pages of a deployment that are connected and served, the newest first.
pub(crate) fn of(state: &State, origin: &Origin) -> Vec<u32> {
    let pages = state.pages.borrow();
    pages.iter().rev().filter(|(_, p)| p.origin == *origin && p.served.is_some()).map(|(id, _)| *id).collect()
}

/// Sends something to all pages of a deployment.
pub(crate) fn send_all(state: &State, origin: &Origin, message: &Value) {
    for page in of(state, origin) {
        send(state, page, message);
    }
}

/// Has the page of an account do something. With several tabs open it is the one that is furthest.
pub(crate) async fn command(state: &Rc<State>, origin: &Origin, user: &UserId, command: &PageCommand) -> PageAnswer {
    let looks = matches!(command, PageCommand::WhoIsIn { .. });
    let there = || page_for(state, origin, user, command);
    let page = match there() {
        None if !looks => state.until(TAKEN_OVER_WITHIN, there).await,
        page => page,
    };
    let Some(page) = page else { return PageAnswer::Gone };
    let id = state.next_command.get();
    state.next_command.set(id.wrapping_add(1));
    let (sender, receiver) = oneshot::channel();
    let Ok(Value::Object(mut message)) = serde_json::to_value(command) else { return PageAnswer::Failed };
    message.insert("id".into(), id.into());
    change(state, page, |page| {
        page.commands.insert(id, sender);
        page.port.send(&Value::Object(message));
    });
    let limit = if looks { LOOK_LIMIT } else { COMMAND_LIMIT };
    match select(receiver, clock::sleep(limit).boxed_local()).await {
        Either::Left((Ok(answer), _)) => answer,
        _ => PageAnswer::Gone,
    }
}

/// The page where an account is logged in and set up, else one where it waits to be confirmed; for a token any will do.
fn page_for(state: &State, origin: &Origin, user: &UserId, command: &PageCommand) -> Option<u32> {
    let pages = state.pages.borrow();
    let page = |far_enough: &dyn Fn(&Session) -> bool| {
        let there = |session: &Session| session.who.user_id == *user && far_enough(session);
        let found = pages.iter().rev().find(|(_, p)| p.origin == *origin && p.session.as_ref().is_some_and(there));
        found.map(|(id, _)| *id)
    };
    let any = *command == PageCommand::RenewToken;
    page(&|session| session.ready).or_else(|| page(&|session| session.unverified || any))
}

/// The access token of an account, as the last page handed it over.
pub(crate) fn token(state: &State, origin: &Origin, user: &UserId) -> Option<String> {
    // The policy may have changed since the page said whose it is.
    let homeserver = deployment(state, origin)?.homeserver;
    let pages = state.pages.borrow();
    let fits = |session: &Session| session.who.user_id == *user && homeserver.is(&session.homeserver);
    let session = |p: &&Page| p.origin == *origin && p.session.as_ref().is_some_and(fits);
    pages.values().rev().find(session).and_then(|p| p.session.as_ref().map(|s| s.token.clone()))
}
