//! The store that a sealed recovery names: so that a browser that opens one knows of the store before it has seen it.

use serde::{Deserialize, Serialize};

use super::{
    KEY,
    key::{ShareKey, StoreId},
    local,
};
use crate::{
    bootstrap::record::RecordError,
    effect::Io,
    ident::{Origin, UserId},
    recovery::{EncryptedSecret, RecoveryKey},
    secret::NoRandomness,
};

/// A store by the name that a sealed recovery gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedStore {
    /// Which.
    pub id: StoreId,
    /// The store's key under the recovery key that is sealed, where both were made together: the store is yet to be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<EncryptedSecret>,
}

impl NamedStore {
    /// One that somebody else has made.
    #[must_use]
    pub const fn known(id: StoreId) -> Self {
        Self { id, entry: None }
    }

    /// The store for a recovery key that is being made: in a rotation (`replaced`, with what the sealed recovery of before
    /// names) the one that there is, whose key comes along; else a new one.
    pub(crate) async fn for_key(
        io: &Io,
        origin: &Origin,
        owner: &UserId,
        replaced: Option<Option<&Self>>,
        key: &RecoveryKey,
    ) -> Result<Self, NamedError> {
        if let Some(before) = replaced {
            let known = local::known_store(io, origin, owner).await.map_err(NamedError::Record)?;
            let told = before.filter(|before| before.entry.is_none());
            let known = known.or_else(|| told.map(|before| before.id.clone()));
            if let Some(id) = known {
                return Ok(Self::known(id));
            }
        }
        let share = ShareKey::make_random()?;
        let entry = EncryptedSecret::encrypt(&key.derive_keys(KEY), &share.to_secret())?;
        Ok(Self { id: share.id(), entry: Some(entry) })
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
