//! What is kept of an account between runs: one versioned record, written whole, so that it is never half new.
//!
//! Several flows may hold it at the same time (a run, the bridge, a login in another tab). None writes what it holds: each
//! says by [`AccountRecord::change`] what is to be different, and that is done to the record as it is then.

use serde::{Deserialize, Serialize};

use super::{pair::Typed, pause::Pause, unfinished::Unfinished};
use crate::{
    effect::{Answer, Effect, Io, StoreCommand},
    error::Code,
    events::{self, Event},
    ident::{DeviceId, Fingerprint, KeyId, Origin, UserId},
    identity::PublicKey,
    pins::shared::NamedStore,
    recovery::{KeyDescription, WrappedRecoveryKey, sealed::SealedRecovery},
    restore::drill::Drill,
    rotate::Rotation,
    sorted::SortedMap,
    status::RecipientView,
    time::UnixMillis,
    versioned,
};

/// What the vault's key for a recovery key is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyStatus {
    /// Made, not yet the account's default key.
    Pending,
    /// The account's default key: the only one that encrypts.
    Current,
    /// Replaced; kept until its successor is proven, never encrypts.
    Retired,
}

/// One recovery key as the vault and this record know it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VaultKey {
    /// The secret storage key's id.
    pub id: KeyId,
    /// What it is good for.
    pub status: KeyStatus,
    /// The recovery key under the vault's wrapping key; only while a session is logged in.
    pub wrapped: Option<WrappedRecoveryKey>,
    /// The key description as it was, or will be, published.
    pub description: KeyDescription,
    /// The master key of the identity that it was made for, and that the sealed recovery names.
    pub master_key: PublicKey,
    /// The sealed recovery; absent where the person keeps the recovery key.
    pub sealed: Option<SealedRecovery>,
    /// Who may open the sealed recovery.
    pub recipients: Vec<RecipientView>,
    /// The person said that the recovery key is kept.
    pub kept: bool,
    /// When the sealed recovery was last found as it was written.
    pub sealed_proven_at: Option<UnixMillis>,
    /// When everything was last read back and opened.
    pub proven_at: Option<UnixMillis>,
    /// The default key that it was made beside, by its id: somebody else's, which goes on opening what it opens.
    #[serde(default)]
    pub beside: Option<String>,
    /// The key of ours that it is to replace ([`crate::rotate`]).
    #[serde(default)]
    pub replaces: Option<KeyId>,
    /// The store of pins that its sealed recovery names.
    #[serde(default)]
    pub pins: Option<NamedStore>,
}

/// A device of this browser: one session, from login to logout.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeviceSeen {
    /// When it was first seen: the time of the login.
    pub since: UnixMillis,
    /// The secrets that the page was given for it.
    pub given: Vec<String>,
    /// When a restore opened the window in which it is given secrets.
    #[serde(default)]
    pub granted: Option<UnixMillis>,
    /// What was typed at the login. It says who logged in then, and nothing of a later login: somebody else's, perhaps.
    #[serde(default)]
    pub typed: Typed,
    /// Certificates the person confirmed as their own, logged in so.
    #[serde(default)]
    pub confirmed: Vec<Fingerprint>,
    /// Certificates the person refused, logged in so.
    #[serde(default)]
    pub refused: Vec<Fingerprint>,
    /// What became of having GnuPG open the sealed recovery; `None` before that.
    #[serde(default)]
    pub gnupg: Option<GnupgTried>,
    /// Its session has ended.
    #[serde(default)]
    pub ended: bool,
}

/// What became of having GnuPG open the sealed recovery ([`crate::restore::gnupg`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GnupgTried {
    /// The person asked for it.
    Wished(UnixMillis),
    /// It was asked and has not answered yet, or the browser ended before it did.
    Asked,
    /// It opened the sealed recovery.
    Opened,
    /// It did not, or what it opened is not of this account.
    Failed(Code),
}

impl DeviceSeen {
    /// A device that is seen for the first time.
    #[must_use]
    pub fn new(since: UnixMillis) -> Self {
        let (typed, confirmed, refused) = Default::default();
        Self { since, given: Vec::new(), granted: None, typed, confirmed, refused, gnupg: None, ended: false }
    }

    /// Whoever logged in so is gone: what was typed and answered says nothing of the next login.
    pub fn end_login(&mut self) {
        self.typed = Typed::Nothing;
        self.confirmed.clear();
        self.refused.clear();
    }
}

/// A login that the homeserver has not confirmed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginBegun {
    /// The session's device, by the page's word.
    pub device_id: DeviceId,
    /// What was typed.
    pub typed: Typed,
    /// When it was begun.
    pub at: UnixMillis,
}

/// What is known of one account on one deployment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccountRecord {
    /// The account.
    pub user_id: UserId,
    /// The name of this browser among those that hold the account's recovery key: random, made with the first key.
    #[serde(default)]
    pub browser: Option<String>,
    /// The master key that this browser has seen in place; kept through logout.
    pub master_key: Option<PublicKey>,
    /// The recovery keys, oldest first.
    pub keys: Vec<VaultKey>,
    /// A key that the person opened, and whose identity nobody has vouched for yet: nothing it opens reaches the page.
    #[serde(default)]
    pub opened: Option<VaultKey>,
    /// Somebody else's key, lent so that this session gets its secrets until ours is in its place: it encrypts nothing.
    #[serde(default)]
    pub lent: Option<VaultKey>,
    /// Of ours nothing is proven: the master key is known from somebody else's secret storage. Kept through logout.
    #[serde(default)]
    pub only_lent: bool,
    /// When the person said *not now* to opening somebody else's secret storage.
    #[serde(default)]
    pub not_now: Option<UnixMillis>,
    /// How the last test of the backup ended.
    #[serde(default)]
    pub drill: Option<Drill>,
    /// A master key that the person said is theirs, at a restore.
    #[serde(default)]
    pub believed: Option<PublicKey>,
    /// The ids of those that a proven successor replaced: one that comes back as the default key is an old state.
    #[serde(default)]
    pub replaced: Vec<KeyId>,
    /// The client was asked to make a key backup in place of one that nobody signed; not asked twice.
    #[serde(default)]
    pub backup_replaced: bool,
    /// What was typed at a login, while the homeserver is asked whose session it is: nobody types it twice.
    #[serde(default)]
    pub begun: Option<LoginBegun>,
    /// The devices of this browser's sessions.
    pub devices: SortedMap<DeviceId, DeviceSeen>,
    /// Certificates seen for this account, armored: a revocation once seen is kept.
    pub certificates: Vec<String>,
    /// Certificates that were once seen revoked: they are refused for good, whatever copy is served later.
    #[serde(default)]
    pub revoked: Vec<Fingerprint>,
    /// How the last run ended, where it is to be tried again.
    #[serde(default)]
    pub paused: Option<Pause>,
    /// What last stopped a run that was to be tried again, and when.
    #[serde(default)]
    pub trouble: Option<(Code, UnixMillis)>,
    /// When the account is to be looked at again: another browser may have written over what was switched to.
    #[serde(default)]
    pub settle_at: Option<UnixMillis>,
    /// Somebody else's default key that did not open everything when it was last looked at.
    #[serde(default)]
    pub unfinished: Option<Unfinished>,
    /// What is known of the recipients, and of rotations.
    #[serde(default)]
    pub rotation: Rotation,
    /// When the last session ended, while the wrapping keys of it are still here.
    #[serde(default)]
    pub ended_at: Option<UnixMillis>,
    /// The record as it lies in the store, as far as this copy knows.
    #[serde(skip)]
    saved: Option<String>,
}

/// How many certificates are remembered as revoked, but for those that policy, roster or the person mean.
pub const MAX_REVOKED: usize = 256;

/// How often a change is tried while others change the record as well.
const CHANGE_TRIES: usize = 16;

/// The store failed, or holds something that is no record of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The store failed.
    #[error("the browser's storage failed")]
    Store,
    /// The record is of a newer version, or damaged. It is left as it is.
    #[error("the saved record cannot be read")]
    Unreadable,
}

impl crate::error::Coded for RecordError {
    fn code(&self) -> Code {
        match self {
            Self::Store => Code::StoFailed,
            Self::Unreadable => Code::StoRecord,
        }
    }
}

impl AccountRecord {
    /// The record of an account that was never seen.
    #[must_use]
    pub const fn new(user_id: UserId) -> Self {
        Self {
            user_id,
            browser: None,
            master_key: None,
            keys: Vec::new(),
            opened: None,
            lent: None,
            only_lent: false,
            not_now: None,
            drill: None,
            believed: None,
            replaced: Vec::new(),
            backup_replaced: false,
            begun: None,
            devices: SortedMap::new(),
            certificates: Vec::new(),
            revoked: Vec::new(),
            paused: None,
            trouble: None,
            settle_at: None,
            unfinished: None,
            rotation: Rotation::new(),
            ended_at: None,
            saved: None,
        }
    }

    /// The store's key for an account's record.
    #[must_use]
    pub fn store_key(origin: &Origin, user_id: &UserId) -> String {
        format!("account|{}|{}", origin.as_str(), user_id.as_str())
    }

    /// What the store's keys for the records of a deployment's accounts begin with; of all accounts without a deployment.
    #[must_use]
    pub fn store_prefix(origin: Option<&Origin>) -> String {
        origin.map_or_else(|| "account|".to_owned(), |origin| format!("account|{}|", origin.as_str()))
    }

    /// Whose record lies under a key of the store.
    #[must_use]
    pub fn owner(store_key: &str) -> Option<(Origin, UserId)> {
        let (origin, user) = store_key.strip_prefix("account|")?.split_once('|')?;
        Some((Origin::parse(origin).ok()?, UserId::parse(user).ok()?))
    }

    /// Reads an account's record; a new one where there is none.
    ///
    /// # Errors
    /// [`RecordError`] where the store fails or the record cannot be read.
    pub async fn load(io: &Io, origin: &Origin, user_id: &UserId) -> Result<Self, RecordError> {
        let key = Self::store_key(origin, user_id);
        match io.ask(Effect::Store(StoreCommand::Get(key))).await {
            Answer::Record(None) => Ok(Self::new(user_id.clone())),
            Answer::Record(Some(text)) => Self::parse(&text),
            _ => Err(RecordError::Store),
        }
    }

    /// Reads a saved record.
    ///
    /// # Errors
    /// [`RecordError::Unreadable`].
    pub fn parse(text: &str) -> Result<Self, RecordError> {
        let record: Self = versioned::read(text).ok_or(RecordError::Unreadable)?;
        Ok(Self { saved: Some(text.to_owned()), ..record })
    }

    /// Was there none in the store when this was read?
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.saved.is_none()
    }

    /// The record as it is saved.
    ///
    /// # Errors
    /// [`RecordError::Unreadable`] where it cannot be written as JSON.
    pub fn to_text(&self) -> Result<String, RecordError> {
        versioned::write(self).ok_or(RecordError::Unreadable)
    }

    /// Changes the record in the store, and this copy of it; on the disk when this returns. `change` is done to the record
    /// as it is in the store then, and again if that changed meanwhile.
    ///
    /// # Errors
    /// [`RecordError::Store`] where the store fails, [`RecordError::Unreadable`] where somebody put something else there.
    pub async fn change<T>(
        &mut self,
        io: &Io,
        origin: &Origin,
        change: impl Fn(&mut Self) -> T,
    ) -> Result<T, RecordError> {
        let key = Self::store_key(origin, &self.user_id);
        let mut record = self.clone();
        for _ in 0..CHANGE_TRIES {
            let done = change(&mut record);
            let new = record.to_text()?;
            let command = StoreCommand::Replace { key: key.clone(), old: record.saved.clone(), new: new.clone() };
            match io.ask(Effect::Store(command)).await {
                Answer::Replaced(true) => {
                    *self = Self { saved: Some(new), ..record };
                    return Ok(done);
                }
                Answer::Replaced(false) => record = Self::load(io, origin, &self.user_id).await?,
                _ => return Err(RecordError::Store),
            }
        }
        Err(RecordError::Store)
    }

    /// Notes what the person who is logged in says of a certificate: theirs, or not. Of a device that was never seen
    /// nothing is noted.
    ///
    /// # Errors
    /// [`RecordError`]
    pub async fn answer(
        io: Io,
        origin: &Origin,
        user_id: &UserId,
        device: &DeviceId,
        certificate: Fingerprint,
        accept: bool,
    ) -> Result<(), RecordError> {
        let mut record = Self::load(&io, origin, user_id).await?;
        let noted = |record: &mut Self| {
            let Some(device) = record.devices.get_mut(device) else { return };
            device.confirmed.retain(|f| *f != certificate);
            device.refused.retain(|f| *f != certificate);
            let list = if accept { &mut device.confirmed } else { &mut device.refused };
            list.push(certificate.clone());
        };
        record.change(&io, origin, noted).await?;
        let event = Event::RecipientAnswered { fingerprint: certificate, accepted: accept };
        events::note(&io, origin, user_id, event).await
    }

    /// Notes what the person says of an identity, at a restore or after a reset: theirs, or not.
    ///
    /// # Errors
    /// [`RecordError`]
    pub async fn believe(
        io: Io,
        origin: &Origin,
        user_id: &UserId,
        master_key: PublicKey,
        accept: bool,
    ) -> Result<(), RecordError> {
        let mut record = Self::load(&io, origin, user_id).await?;
        let noted = |record: &mut Self| {
            if accept {
                record.believed = Some(master_key);
            } else {
                (record.opened, record.believed, record.rotation.reset) = (None, None, None);
            }
        };
        record.change(&io, origin, noted).await?;
        events::note(&io, origin, user_id, Event::IdentityAnswered { master_key, accepted: accept }).await
    }

    /// The key of this id, if it is one of ours.
    #[must_use]
    pub fn key(&self, id: &KeyId) -> Option<&VaultKey> {
        self.keys.iter().find(|k| k.id == *id)
    }

    /// The key that may encrypt, if there is one.
    #[must_use]
    pub fn current(&self) -> Option<&VaultKey> {
        self.keys.iter().find(|k| k.status == KeyStatus::Current)
    }

    /// The key that may encrypt, if everything was proven under it before and the vault still opens it.
    #[must_use]
    pub fn proven(&self, held: &[KeyId]) -> Option<&VaultKey> {
        self.current().filter(|key| key.proven_at.is_some() && key.wrapped.is_some() && held.contains(&key.id))
    }

    /// Does this browser hold a recovery key that was in force, and proven?
    #[must_use]
    pub fn keeps_a_proven_key(&self) -> bool {
        self.current().is_some_and(|key| key.proven_at.is_some() && key.wrapped.is_some())
    }

    /// Has this browser never had the account's secret storage in its care? Opening somebody else's is not that.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        let taking_over = self.taking_over().map_or(0, |_| 1);
        let unseen = self.master_key.is_none() || self.lent.is_some() || self.only_lent;
        self.keys.len() == taking_over && unseen && self.replaced.is_empty()
    }

    /// Has the person given a key that waits for something?
    #[must_use]
    pub fn has_given(&self) -> bool {
        self.opened.is_some() || self.lent.is_some()
    }

    /// The key of this id that the person gave, and that is not ours: believed ([`Self::lent`]) or not yet.
    #[must_use]
    pub fn given(&self, id: &str) -> Option<&VaultKey> {
        let given = |key: &&VaultKey| key.id.as_str() == id && self.key(&key.id).is_none();
        self.opened.as_ref().filter(given).or(self.lent.as_ref().filter(given))
    }

    /// A key that was made beside somebody else's default key, and has not been proven in its place.
    #[must_use]
    pub fn taking_over(&self) -> Option<&VaultKey> {
        self.keys.iter().find(|key| key.beside.is_some() && key.proven_at.is_none())
    }

    /// A key that was made and is not in force yet.
    #[must_use]
    pub fn pending(&self) -> Option<&VaultKey> {
        self.keys.iter().find(|k| k.status == KeyStatus::Pending)
    }

    /// A key that was made to replace the one in force, and has not done so yet.
    #[must_use]
    pub fn replacement(&self) -> Option<&VaultKey> {
        let current = self.current()?;
        self.keys.iter().find(|k| k.status == KeyStatus::Pending && k.replaces.as_ref() == Some(&current.id))
    }

    /// Notes that a certificate was seen revoked. One that is not `meant` by anybody but a directory's word is noted only
    /// while there is room, so that a directory cannot fill the store with certificates that it makes up.
    pub fn note_revoked(&mut self, certificate: &Fingerprint, meant: bool) {
        if !self.revoked.contains(certificate) && (meant || self.revoked.len() < MAX_REVOKED) {
            self.revoked.push(certificate.clone());
        }
    }

    /// Changes the key of this id.
    pub fn update(&mut self, id: &KeyId, change: impl FnOnce(&mut VaultKey)) {
        if let Some(key) = self.keys.iter_mut().find(|k| k.id == *id) {
            change(key);
        }
    }

    /// What remains when the person has this browser forget the account's keys: what was seen, above all the pin.
    pub fn forget_keys(&mut self) {
        self.end_session();
        self.keys.clear();
        self.drill = None;
        (self.browser, self.believed, self.not_now, self.paused, self.ended_at) = Default::default();
    }

    /// What remains when the session ends: what was seen, and no way to a recovery key.
    pub fn end_session(&mut self) {
        self.begun = None;
        self.devices.values_mut().for_each(DeviceSeen::end_login);
        for key in &mut self.keys {
            key.wrapped = None;
        }
        (self.opened, self.lent) = (None, None);
    }
}
