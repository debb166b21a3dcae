//! The messages between the page hook and the background.
//!
//! They are read by hand: what they may be is little, some of them are long, and serde's way to read a value first as one
//! thing and then as another copies them and is a tenth of the module.

use keystead_core::{
    effect::PageAnswer,
    ident::{DeviceId, RoomId, UserId},
    pins::{Answered, Decision, Sent},
    sorted::SortedMap,
    time::UnixMillis,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What comes from the page hook; what is of no such form is dropped.
pub(crate) enum FromPage {
    /// It tells something.
    Tell(Tell),
    /// It asks for something and waits for an answer with the same id.
    Ask(Ask),
}

/// Something the page hook tells.
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
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Who {
    /// The account.
    pub(crate) user_id: UserId,
    /// Its device.
    pub(crate) device_id: DeviceId,
}

/// Who is logged in, by the page's word.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) who: Who,
    /// Whose token it is.
    pub(crate) homeserver: String,
    pub(crate) token: String,
    /// Element's own set-up is over.
    pub(crate) ready: bool,
    /// Element asks the person to confirm the identity on this session.
    pub(crate) unverified: bool,
    /// Element's own set-up waits for the person.
    pub(crate) stuck: bool,
    /// What the page sees of the account that a run depends on.
    pub(crate) standing: String,
}

/// Something the page hook asks.
pub(crate) struct Ask {
    /// The id the answer must carry.
    pub(crate) id: u32,
    /// In which session.
    pub(crate) who: Who,
    pub(crate) what: What,
}

/// What the page hook asks: the operations of secret storage, and what goes over the wire.
pub(crate) enum What {
    /// It was answered this to a keys query.
    Observe(Answered),
    /// Has what it was answered been taken in before?
    Known {
        /// The digest of query and answer.
        digest: String,
    },
    /// It is about to send this to devices.
    Send(Sent),
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
        secrets: SortedMap<String, String>,
    },
    /// Store all secrets beside what somebody else's recovery key opens.
    HandOverBeside {
        /// The secrets by their names.
        secrets: SortedMap<String, String>,
    },
}

impl FromPage {
    /// Reads a message, and the long text that it came with; `None` where it has no such form.
    pub(crate) fn read(message: Map<String, Value>, long: Option<String>) -> Option<Self> {
        let mut fields = Fields(message);
        match fields.text("tell") {
            Some(kind) => Tell::read(&kind, fields).map(Self::Tell),
            None => Ask::read(fields, long).map(Self::Ask),
        }
    }
}

impl Tell {
    fn read(kind: &str, mut fields: Fields) -> Option<Self> {
        Some(match kind {
            "session" => Self::Session(Session {
                who: fields.who()?,
                homeserver: fields.text("homeserver")?,
                token: fields.text("token")?,
                ready: fields.flag("ready")?,
                unverified: fields.flag("unverified").unwrap_or_default(),
                stuck: fields.flag("stuck").unwrap_or_default(),
                standing: fields.text("standing").unwrap_or_default(),
            }),
            "signed_out" => Self::SignedOut(fields.who()?),
            "away" => Self::Away,
            "typed" => Self::Typed { name: fields.text("name")?, at: fields.read("at")? },
            "room" => Self::Room { users: fields.read("users")? },
            "decide" => Self::Decide { user_id: fields.user()?, decision: Box::new(fields.read("decision")?) },
            "done" => Self::Done { id: fields.read("id")?, answer: fields.read("answer")? },
            _ => return None,
        })
    }
}

impl Ask {
    fn read(mut fields: Fields, long: Option<String>) -> Option<Self> {
        let what = match &*fields.text("ask")? {
            "observe" => {
                let asked = fields.text("asked")?;
                What::Observe(match long {
                    Some(answer) => Answered::new(asked, answer, fields.text("digest")),
                    None => Answered::too_long(asked, fields.read("size")?)?,
                })
            }
            "known" => What::Known { digest: fields.text("digest")? },
            "outline" => What::Send(Sent::Outline(long?)),
            "send" => What::Send(Sent::Whole(long?)),
            "used" => What::Used { room: fields.read("room")? },
            "get" => What::Get { name: fields.text("name")? },
            "put_aside" => What::PutAside { name: fields.text("name")? },
            "store" => What::Store { name: fields.text("name")?, secret: fields.text("secret")? },
            "hand_over" => What::HandOver { secrets: fields.read("secrets")? },
            "hand_over_beside" => What::HandOverBeside { secrets: fields.read("secrets")? },
            _ => return None,
        };
        Some(Self { id: fields.read("id")?, who: fields.who()?, what })
    }
}

/// The fields of a message, each read once.
struct Fields(Map<String, Value>);

impl Fields {
    fn text(&mut self, name: &str) -> Option<String> {
        match self.0.remove(name)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    fn flag(&mut self, name: &str) -> Option<bool> {
        self.0.remove(name)?.as_bool()
    }

    fn read<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        serde_json::from_value(self.0.remove(name)?).ok()
    }

    fn user(&mut self) -> Option<UserId> {
        UserId::parse(&self.text("user_id")?).ok()
    }

    fn who(&mut self) -> Option<Who> {
        Some(Who { user_id: self.user()?, device_id: DeviceId::parse(&self.text("device_id")?).ok()? })
    }
}
