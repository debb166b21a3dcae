//! The store that a sealed recovery names: so that a browser that opens one knows of the store before it has seen it.

use serde::{Deserialize, Serialize};

use super::{
    KEY,
    key::{ShareKey, StoreId},
    local::Local,
};
use crate::{
    bootstrap::{
        prove,
        record::{RecordError, VaultKey},
    },
    effect::Io,
    ident::{Origin, UserId},
    recovery::{EncryptedSecret, RecoveryKey},
    secret::{NoRandomness, SecretText},
};

/// A store by the name that a sealed recovery gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedStore {
    /// Which.
    pub id: StoreId,
    /// The store's key under the recovery key that is sealed, where this browser had it when that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<EncryptedSecret>,
}

impl NamedStore {
    /// One that somebody else has made.
    #[must_use]
    pub const fn known(id: StoreId) -> Self {
        Self { id, entry: None }
    }

    /// The store for a recovery key that is being made: in place of one that nobody else has (`replaced`) the store that
    /// there is, whose key comes along; else a new one.
    pub(crate) async fn for_key(
        io: &Io,
        origin: &Origin,
        owner: &UserId,
        replaced: Option<&VaultKey>,
        key: &RecoveryKey,
    ) -> Result<Self, NamedError> {
        let enter = |share: &ShareKey| EncryptedSecret::encrypt(&key.derive_keys(KEY), &share.to_secret());
        if let Some(old) = replaced {
            let local = Local::load(io, origin, owner).await.map_err(NamedError::Record)?;
            if let Some(id) = local.known(old) {
                // A homeserver that hides the key now does not have it lost.
                let derived = prove::derive(io, old, KEY).await.ok();
                let named = old.pins.as_ref().and_then(|named| named.entry.as_ref());
                let here = local.entry_under(&old.id).into_iter().chain(named);
                let mut here = here.filter_map(|entry| ShareKey::from_entry(entry, derived.as_ref()?));
                let entry = here.find(|share| share.id() == *id).map(|share| enter(&share)).transpose()?;
                return Ok(Self { id: id.clone(), entry });
            }
        }
        let share = ShareKey::make_random()?;
        Ok(Self { id: share.id(), entry: Some(enter(&share)?) })
    }

    /// Is it the one that there is under this recovery key, as far as this browser knows?
    pub(crate) async fn is_under(
        &self,
        io: &Io,
        origin: &Origin,
        owner: &UserId,
        key: &VaultKey,
    ) -> Result<bool, RecordError> {
        Ok(Local::load(io, origin, owner).await?.known(key) == Some(&self.id))
    }

    /// Is this secret the key of it?
    pub(crate) fn is_of(&self, secret: &SecretText) -> bool {
        ShareKey::from_secret(secret).is_some_and(|share| share.id() == self.id)
    }
}

/// Why no store can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NamedError {
    /// The record of the store cannot be read.
    #[error(transparent)]
    Record(RecordError),
    /// The platform gave no randomness.
    #[error("no random bytes")]
    Randomness,
}

impl From<NoRandomness> for NamedError {
    fn from(_: NoRandomness) -> Self {
        Self::Randomness
    }
}

impl crate::error::Coded for NamedError {
    fn code(&self) -> crate::error::Code {
        match self {
            Self::Record(error) => error.code(),
            Self::Randomness => crate::error::Code::RecVault,
        }
    }
}
