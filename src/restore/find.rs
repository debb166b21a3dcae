//! What there is to be restored.

use std::rc::Rc;

use serde_json::Value;

use crate::{
    bootstrap::{
        End, Scene, look,
        prove::{self, ProveError, Published, SecretsProven},
        record::{AccountRecord, VaultKey},
    },
    error::Code,
    ident::{KeyId, UserId},
    matrix::account_data,
    recovery::{
        KeyDescription,
        sealed::{RecoveryEntry, SealedDocument},
    },
    status::State,
};

use super::reading::Reading;

/// Secret storage as it is published, and the identity and backup that its secrets must derive.
pub struct Found {
    /// The default key.
    pub key_id: KeyId,
    /// Its description.
    pub description: KeyDescription,
    /// What the account says of it, where it was Keystead that made it.
    pub entry: Option<RecoveryEntry>,
    /// The identity, and the backup that it signed.
    pub(crate) published: Published,
    /// What all of it was read from.
    reading: Rc<Reading>,
}

impl Found {
    /// Did somebody else make it? Neither the account nor this browser knows it as ours.
    #[must_use]
    pub fn is_foreign(&self, record: &AccountRecord) -> bool {
        self.entry.is_none() && record.key(&self.key_id).is_none()
    }

    /// Did another browser put it in the place of a key that this one holds?
    #[must_use]
    pub fn is_successor(&self, record: &AccountRecord) -> bool {
        let new = record.key(&self.key_id).is_none() && !record.replaced.contains(&self.key_id);
        self.entry.is_some() && new && record.keeps_a_proven_key()
    }
}

impl Found {
    /// The signature that says whose it is, where there is one.
    pub(super) fn witness(&self) -> Option<&str> {
        self.entry.as_ref()?.witness.as_deref()
    }

    pub(super) fn of(reading: Rc<Reading>, user: &UserId) -> Result<Self, End> {
        let foreign = |code| End::Leave(State::Foreign, Some(code));
        let published = Published::of(&reading.keys, &reading.backup, user)?;
        let key_id = look::read_default_key(&reading.default_key)?.ok_or(foreign(Code::RecForeign))?;
        let key_id = KeyId::parse(&key_id).map_err(|_| foreign(Code::RecForeign))?;
        let description = reading.description.as_ref().ok_or(foreign(Code::RecDescription))?;
        let description: Option<Value> = account_data::read_get(description)?;
        let description = description.and_then(|value| serde_json::from_value(value).ok());
        let description = description.ok_or(foreign(Code::RecDescription))?;
        let sealed: SealedDocument = account_data::read_get(&reading.sealed)?.unwrap_or_default();
        Ok(Self { entry: sealed.entry(&key_id), key_id, description, published, reading })
    }

    /// Opens every secret with a key. Where a person was asked for it meanwhile, or what was read ahead does not prove it, all
    /// of it is read anew.
    pub(super) async fn prove(&mut self, scene: &Scene<'_>, key: &VaultKey) -> Result<SecretsProven, End> {
        if self.reading.holds(scene.io.now())
            && let Ok(proven) = prove::of_read(scene, key, &self.published, &self.reading.secrets).await
        {
            scene.setup.lately.keep(&self.reading);
            return Ok(proven);
        }
        let anew = read(scene).await?;
        if anew.key_id != self.key_id {
            return Err(ProveError::Description.into());
        }
        *self = anew;
        let proven = prove::of_read(scene, key, &self.published, &self.reading.secrets).await?;
        scene.setup.lately.keep(&self.reading);
        Ok(proven)
    }
}

/// What was read while the client came up, where it still holds.
pub(super) fn ahead(scene: &Scene<'_>) -> Option<Found> {
    let reading = scene.setup.lately.take(scene.io.now())?;
    Found::of(reading, &scene.setup.user_id).ok()
}

/// Reads it.
pub(super) async fn read(scene: &Scene<'_>) -> Result<Found, End> {
    let user = &scene.setup.user_id;
    Found::of(Rc::new(Reading::read(&scene.homeserver, user, scene.io.now()).await?), user)
}
