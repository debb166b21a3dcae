//! Reading the store: its key from secret storage, its head, and the chunks that are not as they were.
//!
//! Nothing in here touches the pins, and nothing waits for it.

use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    HEAD, KEY,
    entry::SharedPin,
    key::{Part, Sealed, ShareKey, StoreId},
    local::{self, Known, Local, Trouble},
};
use crate::{
    bootstrap::{
        look, prove,
        record::{AccountRecord, VaultKey},
    },
    effect::{Answer, Effect, HttpResponse, Io, VaultCommand},
    error::Code,
    ident::{Origin, UserId},
    matrix::{
        MatrixError, account_data,
        homeserver::{Homeserver, Stop},
    },
    policy::Pins,
    recovery::{EncryptedSecret, SecretDocument, VaultError},
    sorted::SortedMap,
    value,
};

/// What is not as it must be is read again so often, after this pause, before it is believed: homeservers with several
/// workers answer late, and another browser may be writing.
const DOUBTS: u32 = 3;
const DOUBT_PAUSE: Duration = Duration::from_secs(20);
/// How long another browser may take to write a key of its own over ours. The one that is there then is in force.
const SETTLES_WITHIN: Duration = Duration::from_secs(10);
const SETTLE_TRIES: usize = 3;
/// How often chunks are looked at that did not change.
const LOOK_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// How many chunks are asked for, or written, at a time.
pub(super) const AT_A_TIME: usize = 8;
/// How many chunks a store has at most: for some 14,000 people.
pub(super) const MAX_CHUNKS: usize = 64;
/// A rotation reads all account data at once, and that must go whatever else there is.
const _: () = assert!(MAX_CHUNKS * 50_000 <= account_data::MAX_LIST as usize / 2);

/// What the head says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct HeadContent {
    pub(super) writer: String,
    pub(super) chunks: Vec<Listed>,
}

/// A chunk as the head lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listed {
    #[serde(rename = "n")]
    pub(super) counter: u64,
    #[serde(rename = "h")]
    pub(super) hash: String,
}

/// The head, opened.
pub(super) struct Head {
    pub(super) counter: u64,
    pub(super) hash: String,
    pub(super) content: HeadContent,
}

/// A chunk, opened.
pub(super) struct Chunk {
    pub(super) counter: u64,
    pub(super) hash: String,
    pub(super) people: Vec<SharedPin>,
}

/// The store as it was read.
pub struct Read {
    pub(super) origin: Origin,
    pub(super) owner: UserId,
    pub(super) key: ShareKey,
    pub(super) local: Local,
    pub(super) head: Option<Head>,
    /// Those that were read and could be opened.
    pub(super) chunks: SortedMap<usize, Chunk>,
    /// All that the head lists were read.
    pub(super) all: bool,
    pub(super) trouble: Option<Trouble>,
}

impl Pins {
    /// Are pins shared between a person's browsers?
    #[must_use]
    pub fn shares(&self) -> bool {
        self.share.unwrap_or(true)
    }
}

/// Reads the store of an account; makes its key where there is none. `None` where there is nothing to be done: the policy
/// does not want it, or the account's secret storage is not under a proven key of ours.
///
/// # Errors
/// [`Stop`]; then it is to be tried again later.
pub async fn read(io: Io, origin: &Origin, owner: &UserId, pins: &Pins) -> Result<Option<Read>, Stop> {
    if !pins.shares() {
        return Ok(None);
    }
    let record = AccountRecord::load(&io, origin, owner).await?;
    let Some(key) = record.current().filter(|key| key.proven_at.is_some() && key.wrapped.is_some()) else {
        return Ok(None);
    };
    match io.ask(Effect::Vault(VaultCommand::Holds(key.id.clone()))).await {
        Answer::Holds(true) => {}
        Answer::Holds(false) => return Ok(None),
        _ => return Err(VaultError::Failed.into()),
    }
    let local = Local::load(&io, origin, owner).await?;
    let reader = Reader { io: &io, homeserver: Homeserver::new(&io), owner, key, local: &local };
    let Some(looked) = reader.look_until_sure(origin).await? else { return Ok(None) };
    if let Some(trouble) = looked.trouble {
        local::tell(&io, origin, owner, trouble).await?;
    }
    let Looked { share, head, chunks, all, trouble } = looked;
    // Of two stores, the one that the sealed recovery names; and none that it does not, where this browser knows neither.
    let gives_way =
        trouble == Some(Trouble::Other) && (reader.named_entry().is_some() || reader.known_entry().is_none());
    let (share, entry, head, chunks) = match share.filter(|_| !gives_way) {
        Some((share, entry)) => (share, entry, head, chunks),
        // Whoever made the other store may have put anything into it: nothing of it is taken.
        None => {
            let (share, entry) = reader.establish().await?;
            (share, entry, None, SortedMap::new())
        }
    };
    let entry = (key.id.clone(), entry);
    let local = if local.entry.as_ref() == Some(&entry) {
        local
    } else {
        Local::change(&io, origin, owner, |local| local.entry = Some(entry.clone())).await?
    };
    let (origin, owner) = (origin.clone(), owner.clone());
    Ok(Some(Read { origin, owner, key: share, local, head, chunks, all, trouble }))
}

struct Reader<'a> {
    io: &'a Io,
    homeserver: Homeserver<'a>,
    owner: &'a UserId,
    key: &'a VaultKey,
    local: &'a Local,
}

struct Looked {
    share: Option<(ShareKey, EncryptedSecret)>,
    head: Option<Head>,
    chunks: SortedMap<usize, Chunk>,
    all: bool,
    trouble: Option<Trouble>,
}

/// An opened head, or why there is none.
enum Opened {
    Head(Head),
    Nothing,
    Damaged,
}

impl Reader<'_> {
    /// Looks, and again where something is not as it must be. How often that was is kept: the browser may stop the background
    /// at any time.
    async fn look_until_sure(&self, origin: &Origin) -> Result<Option<Looked>, Stop> {
        let mut doubt = self.local.doubt;
        loop {
            let Some(looked) = self.look().await? else { return Ok(None) };
            let now = self.io.now();
            let sure = doubt.is_some_and(|(since, times)| {
                times >= DOUBTS && since <= now && now.since(since) >= DOUBT_PAUSE * DOUBTS
            });
            if looked.trouble.is_some() && sure {
                return Ok(Some(looked));
            }
            let next = doubt.filter(|(since, _)| *since <= now).map_or((now, 1), |(since, times)| (since, times + 1));
            let next = looked.trouble.map(|_| next);
            if doubt != next {
                Local::change(self.io, origin, self.owner, |local| local.doubt = next).await?;
            }
            if next.is_none() {
                return Ok(Some(looked));
            }
            doubt = next;
            self.io.ask(Effect::SleepUntil(now.plus(DOUBT_PAUSE))).await;
        }
    }

    /// Looks once; `None` where the account's secret storage is not under our key now.
    async fn look(&self) -> Result<Option<Looked>, Stop> {
        let kinds = [account_data::DEFAULT_KEY, KEY, HEAD];
        let requests = kinds.iter().map(|kind| account_data::get(self.owner, kind)).collect();
        let responses = self.homeserver.send_all(requests).await?;
        let [default_key, secret, head] = responses.as_slice() else {
            return Err(Stop { code: Code::NetAnswer, not_before: None });
        };
        if look::read_default_key(default_key)?.as_deref() != Some(self.key.id.as_str()) {
            return Ok(None);
        }
        let mut looked = Looked { share: None, head: None, chunks: SortedMap::new(), all: false, trouble: None };
        looked.share = self.open_key(secret).await?;
        let Some((share, _)) = &looked.share else {
            looked.trouble = self.expects_key().then_some(Trouble::Gone);
            return Ok(Some(looked));
        };
        looked.trouble = self.judge_id(&share.id());
        match open_head(share, self.owner, head)? {
            Opened::Nothing => {
                let gone = self.expects(&share.id()).then_some(Trouble::Gone);
                looked.trouble = looked.trouble.or(gone);
            }
            Opened::Damaged => {
                // Of a store whose key is lost a head may be left; whoever knew that one makes another.
                let left = self.local.newest.as_ref().is_some_and(|newest| newest.id != share.id());
                looked.trouble = looked.trouble.or((!left).then_some(Trouble::Damaged));
            }
            Opened::Head(head) => {
                looked.trouble = looked.trouble.or_else(|| self.judge(&share.id(), &head));
                looked.all = looked.trouble.is_some() || self.looks_at_all();
                let (chunks, whole) = self.chunks(share, &head, looked.all).await?;
                looked.trouble = looked.trouble.or((!whole).then_some(Trouble::Damaged));
                (looked.head, looked.chunks) = (Some(head), chunks);
            }
        }
        Ok(Some(looked))
    }

    /// The key of the store, as secret storage has it.
    async fn open_key(&self, response: &HttpResponse) -> Result<Option<(ShareKey, EncryptedSecret)>, Stop> {
        let document: Option<SecretDocument> = document(response)?.flatten();
        let Some(entry) = document.and_then(|document| document.entry(&self.key.id).ok().flatten()) else {
            return Ok(None);
        };
        Ok(self.decrypt(&entry).await?.map(|share| (share, entry)))
    }

    async fn decrypt(&self, entry: &EncryptedSecret) -> Result<Option<ShareKey>, Stop> {
        let derived = prove::derive(self.io, self.key, KEY).await?;
        Ok(ShareKey::from_entry(entry, &derived))
    }

    /// The store's key as it was read before under the recovery key in force.
    fn known_entry(&self) -> Option<&EncryptedSecret> {
        self.local.entry_under(&self.key.id)
    }

    /// The newest state is one of this store.
    fn knows(&self, id: &StoreId) -> bool {
        self.local.newest.as_ref().is_some_and(|newest| newest.id == *id)
    }

    /// Is there one, as far as this browser can know?
    fn expects_key(&self) -> bool {
        self.known_entry().is_some() || self.key.pins.as_ref().is_some_and(|named| self.expects(&named.id))
    }

    /// Must the store of this name have a head, as far as this browser can know?
    fn expects(&self, id: &StoreId) -> bool {
        let told = self.key.pins.as_ref().is_some_and(|named| named.entry.is_none() && named.id == *id);
        told || self.knows(id)
    }

    /// Is it another store than this browser knows of?
    fn judge_id(&self, id: &StoreId) -> Option<Trouble> {
        let named = self.key.pins.as_ref().map(|named| &named.id);
        // With another recovery key there may be another store: after a compromise one is made, and the sealed recovery
        // names it; and whoever resets secret storage loses the key of the one before.
        let known = self.local.newest.as_ref().filter(|_| self.known_entry().is_some()).map(|newest| &newest.id);
        let other = named != Some(id) && known.or(named).is_some_and(|right| right != id);
        other.then_some(Trouble::Other)
    }

    /// Is it a state from before what this browser has seen?
    fn judge(&self, id: &StoreId, head: &Head) -> Option<Trouble> {
        let newest = self.local.newest.as_ref().filter(|newest| newest.id == *id)?;
        if head.counter < newest.counter {
            return Some(Trouble::Older);
        }
        // Two browsers may write the same number at the same time; one never does so twice.
        let same_writer = head.content.writer == newest.writer;
        let forked = head.counter == newest.counter && head.hash != newest.hash && same_writer;
        forked.then_some(Trouble::Forked)
    }

    fn looks_at_all(&self) -> bool {
        let now = self.io.now();
        self.local.looked_at.is_none_or(|at| at > now || now.since(at) >= LOOK_AFTER)
    }

    /// Reads the chunks that are not as they were last seen, or all; `false` beside them where one is not as the head says.
    async fn chunks(&self, share: &ShareKey, head: &Head, all: bool) -> Result<(SortedMap<usize, Chunk>, bool), Stop> {
        let known = |index: usize, listed: &Listed| {
            let known: Option<&Known> = self.local.chunks.get(index);
            known.is_some_and(|known| known.counter == listed.counter && known.hash == listed.hash)
        };
        let of = head.content.chunks.len();
        let same =
            self.local.chunks.len() == of && self.local.newest.as_ref().is_some_and(|newest| newest.id == share.id());
        let wanted = head.content.chunks.iter().enumerate();
        let wanted: Vec<_> = wanted.filter(|(index, listed)| all || !same || !known(*index, listed)).collect();
        let (mut chunks, mut whole) = (SortedMap::new(), true);
        for batch in wanted.chunks(AT_A_TIME) {
            let get = |index: usize| account_data::get(self.owner, &Part::Chunk(index).kind());
            let responses = self.homeserver.send_all(batch.iter().map(|(index, _)| get(*index)).collect()).await?;
            for ((index, listed), response) in batch.iter().zip(&responses) {
                match open_chunk(share, self.owner, *index, response)? {
                    // One that is newer belongs to a state that is being written, or whose writer did not come to its end.
                    Some(chunk) if chunk.counter >= listed.counter => drop(chunks.insert(*index, chunk)),
                    // What is older is true nevertheless.
                    Some(chunk) => {
                        whole = false;
                        chunks.insert(*index, chunk);
                    }
                    None => whole = false,
                }
            }
        }
        Ok((chunks, whole))
    }

    /// The key of the store that the sealed recovery names, where this browser has it.
    fn named_entry(&self) -> Option<&EncryptedSecret> {
        let named = self.key.pins.as_ref()?;
        named.entry.as_ref().or_else(|| self.known_entry().filter(|_| self.knows(&named.id)))
    }

    /// Puts a key of the store into secret storage: the one that was there, else a new one. Where another browser does the
    /// same, whichever is there in the end is in force.
    async fn establish(&self) -> Result<(ShareKey, EncryptedSecret), Stop> {
        let entry = match self.named_entry().or_else(|| self.known_entry()) {
            Some(entry) => entry.clone(),
            None => {
                let share = ShareKey::make_random().map_err(|_| VaultError::Failed)?;
                let derived = prove::derive(self.io, self.key, KEY).await?;
                EncryptedSecret::encrypt(&derived, &share.to_secret()).map_err(|_| VaultError::Failed)?
            }
        };
        let response = self.homeserver.send(account_data::get(self.owner, KEY)).await?;
        let mut document: SecretDocument = document(&response)?.flatten().unwrap_or_default();
        document.set_entry(&self.key.id, &entry);
        let content = serde_json::to_value(&document).unwrap_or(Value::Null);
        account_data::read_put(&self.homeserver.send(account_data::put(self.owner, KEY, &content)).await?)?;
        for _ in 0..SETTLE_TRIES {
            self.io.ask(Effect::SleepUntil(self.io.now().plus(SETTLES_WITHIN))).await;
            let response = self.homeserver.send(account_data::get(self.owner, KEY)).await?;
            if let Some(there) = self.open_key(&response).await? {
                return Ok(there);
            }
        }
        Err(Stop { code: Code::RecReadBack, not_before: None })
    }
}

/// A document; `Some(None)` where there is one that is none of ours. What a homeserver refuses to give, or answers in a form
/// that nobody wrote, is not taken for a homeserver that is away: it could hide the store so.
fn document<T: DeserializeOwned>(response: &HttpResponse) -> Result<Option<Option<T>>, Stop> {
    match account_data::read_get::<Value>(response) {
        Ok(content) => Ok(content.map(|content| serde_json::from_value(content).ok())),
        Err(MatrixError::Answer(_) | MatrixError::Refused { .. }) => Ok(Some(None)),
        Err(error) => Err(error.into()),
    }
}

fn open_head(share: &ShareKey, owner: &UserId, response: &HttpResponse) -> Result<Opened, Stop> {
    let sealed: Sealed = match document(response)? {
        None => return Ok(Opened::Nothing),
        Some(None) => return Ok(Opened::Damaged),
        Some(Some(sealed)) => sealed,
    };
    let opened = share.open(owner, Part::Head, &sealed);
    let content: Option<HeadContent> = opened.and_then(|bytes| value::read_bytes(&bytes));
    let of = sealed.of;
    let content = content.filter(|content| content.chunks.len() == of && of.is_power_of_two() && of <= MAX_CHUNKS);
    let head = |content| Head { counter: sealed.counter, hash: sealed.hash(), content };
    Ok(content.map(head).map_or(Opened::Damaged, Opened::Head))
}

fn open_chunk(share: &ShareKey, owner: &UserId, index: usize, response: &HttpResponse) -> Result<Option<Chunk>, Stop> {
    let Some(Some(sealed)) = document::<Sealed>(response)? else { return Ok(None) };
    let opened = share.open(owner, Part::Chunk(index), &sealed);
    let people = opened.and_then(|bytes| value::read_bytes(&bytes));
    Ok(people.map(|people| Chunk { counter: sealed.counter, hash: sealed.hash(), people }))
}
