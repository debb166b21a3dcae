//! What a browser keeps of the store that it shares: which one it is, and the newest state it has seen.
//!
//! Threat: a homeserver that hides the store from a browser, or serves an older one. Whoever has seen one knows its name and
//! its highest counter; whoever opened a sealed recovery knows the name from there.

use serde::{Deserialize, Serialize};

use super::key::StoreId;
use crate::{
    bootstrap::record::RecordError,
    effect::{Answer, Effect, Io, StoreCommand},
    error::{Code, Coded},
    ident::{KeyId, Origin, UserId},
    recovery::EncryptedSecret,
    time::UnixMillis,
};

/// How a store is not what it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// There is none, and there was, or a sealed recovery names one.
    #[error("the store is gone")]
    Gone,
    /// It is another one.
    #[error("it is another store")]
    Other,
    /// It is in a state from before the newest that this browser has seen.
    #[error("the store is in an older state")]
    Older,
    /// It is as new as the newest state that this browser has seen, and another one of the same writer.
    #[error("the store is in another state")]
    Forked,
    /// A part of it is missing, is of an older state, or cannot be opened.
    #[error("a part of the store is missing or altered")]
    Damaged,
}

impl Coded for Trouble {
    fn code(&self) -> Code {
        match self {
            Self::Gone | Self::Other | Self::Older | Self::Forked | Self::Damaged => Code::PinShared,
        }
    }
}

/// The newest state of a store that a browser has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Newest {
    pub(super) id: StoreId,
    pub(super) counter: u64,
    /// Which browser wrote it: two that write at the same time may use one counter, one browser never does twice.
    pub(super) writer: String,
    /// What names the head.
    pub(super) hash: String,
}

/// A chunk as a browser last saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) counter: u64,
    pub(super) hash: String,
    /// The hash of what it says.
    pub(super) content: String,
}

/// A store that is not as it must be, which is not believed yet. Kept, because a browser stops its background when nothing
/// happens: looks of several backgrounds count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Doubt {
    /// How often it was seen so, and never as it must be in between.
    pub(super) looks: usize,
    /// When it was looked at last.
    pub(super) at: UnixMillis,
}

/// What is kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Local {
    pub(super) newest: Option<Newest>,
    /// The store's key, as secret storage has it under the key of this id.
    pub(super) entry: Option<(KeyId, EncryptedSecret)>,
    /// This browser's name as a writer.
    pub(super) writer: Option<String>,
    /// The highest counter that this browser ever began to write.
    pub(super) begun: u64,
    pub(super) chunks: Vec<Known>,
    /// The number of the last entry of the log of pins that the store has heard of.
    pub(super) heard: u64,
    /// When every chunk was last looked at.
    pub(super) looked_at: Option<UnixMillis>,
    /// What is not believed yet.
    pub(super) doubt: Option<Doubt>,
    /// What was wrong, and when; until the person has read it.
    pub(super) trouble: Option<(Trouble, UnixMillis)>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "version")]
enum Saved {
    #[serde(rename = "1")]
    V1(Box<Local>),
}

/// How often a change is tried while somebody else changes the record as well.
const TRIES: usize = 8;

fn store_key(origin: &Origin, owner: &UserId) -> String {
    format!("pin-share|{}|{}", origin.as_str(), owner.as_str())
}

impl Local {
    pub(super) async fn load(io: &Io, origin: &Origin, owner: &UserId) -> Result<Self, RecordError> {
        Ok(read(io, &store_key(origin, owner)).await?.1)
    }

    /// Changes what is kept, as it is then; it is on the disk when this returns.
    pub(super) async fn change(
        io: &Io,
        origin: &Origin,
        owner: &UserId,
        change: impl Fn(&mut Self),
    ) -> Result<Self, RecordError> {
        let key = store_key(origin, owner);
        for _ in 0..TRIES {
            let (old, mut local) = read(io, &key).await?;
            change(&mut local);
            let new =
                serde_json::to_string(&Saved::V1(Box::new(local.clone()))).map_err(|_| RecordError::Unreadable)?;
            let command = StoreCommand::Replace { key: key.clone(), old, new };
            match io.ask(Effect::Store(command)).await {
                Answer::Replaced(true) => return Ok(local),
                Answer::Replaced(false) => {}
                _ => return Err(RecordError::Store),
            }
        }
        Err(RecordError::Store)
    }
}

async fn read(io: &Io, key: &str) -> Result<(Option<String>, Local), RecordError> {
    match io.ask(Effect::Store(StoreCommand::Get(key.to_owned()))).await {
        Answer::Record(None) => Ok((None, Local::default())),
        Answer::Record(Some(text)) => match serde_json::from_str(&text) {
            Ok(Saved::V1(local)) => Ok((Some(text), *local)),
            Err(_) => Err(RecordError::Unreadable),
        },
        _ => Err(RecordError::Store),
    }
}

/// The store that an account's sealed recovery is to name, if this browser knows one.
///
/// # Errors
/// [`RecordError`]
pub(crate) async fn known_store(io: &Io, origin: &Origin, owner: &UserId) -> Result<Option<StoreId>, RecordError> {
    Ok(Local::load(io, origin, owner).await?.newest.map(|newest| newest.id))
}

/// What was wrong with an account's store, and when, unless the person has read it.
///
/// # Errors
/// [`RecordError`]
pub async fn trouble(io: Io, origin: &Origin, owner: &UserId) -> Result<Option<(Trouble, UnixMillis)>, RecordError> {
    Ok(Local::load(&io, origin, owner).await?.trouble)
}

/// The person has read what was wrong.
///
/// # Errors
/// [`RecordError`]
pub async fn read_by_person(io: Io, origin: &Origin, owner: &UserId) -> Result<(), RecordError> {
    Local::change(&io, origin, owner, |local| local.trouble = None).await.map(drop)
}
