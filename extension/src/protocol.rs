//! The messages between the page hook and the background.

use std::collections::BTreeMap;

use keystead_core::{
    effect::PageAnswer,
    ident::{DeviceId, RoomId, UserId},
    pins::Decision,
    time::UnixMillis,
};
use serde::Deserialize;

/// What comes from the page hook; what is of no such form is dropped.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum FromPage {
    /// It tells something.
    Tell(Tell),
    /// It asks for something and waits for an answer with the same id.
    Ask(Ask),
}

/// Something the page hook tells.
#[derive(Deserialize)]
#[serde(tag = "tell", rename_all = "snake_case")]
pub(crate) enum Tell {
    /// Who is logged in.
    Session(Session),
    /// The person logged out.
    SignedOut(Who),
    /// Whoever is logged in is not to be served now: a guest, a soft logout, a page whose session another tab has taken.
    Away,
    /// The name the person typed at login, so far; empty where it is not known any more.
    Typed {
        /// The name.
        name: String,
        /// When.
        at: UnixMillis,
    },
    /// Which of the people to look out for are in the room that it shows.
    Room {
        /// Who.
        users: Vec<UserId>,
    },
    /// The person decided about somebody; said by the relay, never by the page.
    Decide {
        /// About whom.
        user_id: UserId,
        /// What.
        decision: Box<Decision>,
    },
    /// A command is done.
    Done {
        /// Which.
        id: u32,
        /// How it went.
        answer: PageAnswer,
    },
}

/// A session, by the page's word.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Who {
    /// The account.
    pub(crate) user_id: UserId,
    /// Its device.
    pub(crate) device_id: DeviceId,
}

/// Who is logged in, by the page's word.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Session {
    #[serde(flatten)]
    pub(crate) who: Who,
    /// Whose token it is.
    pub(crate) homeserver: String,
    pub(crate) token: String,
    /// Element's own set-up is over.
    pub(crate) ready: bool,
    /// Element asks the person to confirm the identity on this session.
    #[serde(default)]
    pub(crate) unverified: bool,
    /// Element's own set-up waits for the person.
    #[serde(default)]
    pub(crate) stuck: bool,
    /// What the page sees of the account that a run depends on.
    #[serde(default)]
    pub(crate) standing: String,
}

/// Something the page hook asks.
#[derive(Deserialize)]
pub(crate) struct Ask {
    /// The id the answer must carry.
    pub(crate) id: u32,
    /// In which session.
    #[serde(flatten)]
    pub(crate) who: Who,
    #[serde(flatten)]
    pub(crate) what: What,
}

/// What the page hook asks: the operations of secret storage, and what goes over the wire.
#[derive(Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub(crate) enum What {
    /// It was answered this to a keys query.
    Observe {
        /// The query's body.
        asked: String,
        /// The answer's body.
        answer: String,
    },
    /// It is about to send this to devices.
    Send {
        /// The request's body.
        body: String,
    },
    /// It has sent a message to an encrypted room.
    Used {
        /// Which.
        room: RoomId,
    },
    /// Read a secret.
    Get {
        /// Its name.
        name: String,
    },
    /// A secret is about to be removed.
    PutAside {
        /// Its name.
        name: String,
    },
    /// Store a secret.
    Store {
        /// Its name.
        name: String,
        /// The secret.
        secret: String,
    },
    /// Store all secrets, as the background wanted.
    HandOver {
        /// The secrets by their names.
        secrets: BTreeMap<String, String>,
    },
    /// Store all secrets beside what somebody else's recovery key opens.
    HandOverBeside {
        /// The secrets by their names.
        secrets: BTreeMap<String, String>,
    },
}
