//! What a browser keeps of the store that it shares: which one it is, and the newest state it has seen.
//!
//! Threat: a homeserver that hides the store from a browser, or serves an older one. Whoever has seen one knows its name and
//! its highest counter; whoever opened a sealed recovery knows the name from there.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::key::StoreId;
use crate::{
    bootstrap::record::{RecordError, VaultKey},
    effect::{Answer, Effect, Io, StoreCommand},
    error::{Code, Coded},
    events::{self, Event},
    ident::{KeyId, Origin, UserId},
    matrix::homeserver::Stop,
    recovery::EncryptedSecret,
    time::UnixMillis,
    versioned,
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
    /// Nothing more goes into it.
    #[error("the store is full")]
    Full,
}

impl Coded for Trouble {
    fn code(&self) -> Code {
        match self {
            Self::Gone | Self::Other | Self::Older | Self::Forked | Self::Damaged | Self::Full => Code::PinShared,
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
    /// What was wrong, and when; until the person has read it.
    pub(super) trouble: Option<(Trouble, UnixMillis)>,
    /// When each was told of last.
    pub(super) told: Vec<(Trouble, UnixMillis)>,
    /// Since when something is not as it must be, and how often that was seen: it may be over in a moment.
    pub(super) doubt: Option<(UnixMillis, u32)>,
    /// How often in a row what was written was not there afterwards, but an older state.
    pub(super) dropped: u32,
}

/// How often the same is told.
const TOLD_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a change is tried while somebody else changes the record as well.
const TRIES: usize = 8;

fn store_key(origin: &Origin, owner: &UserId) -> String {
    format!("pin-share|{}|{}", origin.as_str(), owner.as_str())
}

/// Has the person and the log know that something is wrong; what goes on, once a day.
pub(super) async fn tell(io: &Io, origin: &Origin, owner: &UserId, trouble: Trouble) -> Result<(), Stop> {
    let now = io.now();
    let local = Local::load(io, origin, owner).await?;
    let lately = |(known, at): &(Trouble, UnixMillis)| *known == trouble && *at <= now && now.since(*at) < TOLD_EVERY;
    if local.trouble.is_some_and(|(known, _)| known == trouble) || local.told.iter().any(lately) {
        return Ok(());
    }
    let told = |local: &mut Local| {
        local.trouble = Some((trouble, now));
        local.told.retain(|(known, _)| *known != trouble);
        local.told.push((trouble, now));
    };
    Local::change(io, origin, owner, told).await?;
    Ok(events::note(io, origin, owner, Event::SharedPinsLost { trouble }).await?)
}

impl Local {
    /// The store that there is under this recovery key, as far as this browser knows.
    pub(super) fn known<'a>(&'a self, key: &'a VaultKey) -> Option<&'a StoreId> {
        let named = key.pins.as_ref().map(|named| &named.id);
        self.newest.as_ref().map(|newest| &newest.id).or(named)
    }

    /// The store's key as it was read before under this recovery key.
    pub(super) fn entry_under(&self, id: &KeyId) -> Option<&EncryptedSecret> {
        self.entry.as_ref().filter(|(under, _)| under == id).map(|(_, entry)| entry)
    }

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
            let new = versioned::write(&local).ok_or(RecordError::Unreadable)?;
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
        Answer::Record(Some(text)) => {
            let local = versioned::read(&text).ok_or(RecordError::Unreadable)?;
            Ok((Some(text), local))
        }
        _ => Err(RecordError::Store),
    }
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
