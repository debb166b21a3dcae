//! What there is to be restored.

use serde_json::Value;

use crate::{
    bootstrap::{
        End, Scene, look,
        prove::{self, Published},
        record::AccountRecord,
    },
    error::Code,
    ident::KeyId,
    matrix::account_data,
    recovery::{
        KeyDescription,
        sealed::{self, RecoveryEntry, SealedDocument},
    },
    status::State,
};

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

/// Reads it all.
pub(super) async fn find(scene: &Scene<'_>) -> Result<Found, End> {
    let foreign = |code| End::Leave(State::Foreign, Some(code));
    let user = &scene.setup.user_id;
    let published = prove::read_published(&scene.homeserver, user).await?;
    let key_id = look::published_default_key(scene).await?.ok_or(foreign(Code::RecForeign))?;
    let key_id = KeyId::parse(&key_id).map_err(|_| foreign(Code::RecForeign))?;
    let kinds = [account_data::key_description(&key_id), sealed::ACCOUNT_DATA.to_owned()];
    let responses = scene.homeserver.send_all(kinds.map(|kind| account_data::get(user, &kind)).to_vec()).await?;
    let [description, sealed] = responses.as_slice() else { return Err(foreign(Code::RecForeign)) };
    let description: Option<Value> = account_data::read_get(description)?;
    let description = description.and_then(|value| serde_json::from_value(value).ok());
    let description = description.ok_or(foreign(Code::RecDescription))?;
    let sealed: SealedDocument = account_data::read_get(sealed)?.unwrap_or_default();
    Ok(Found { entry: sealed.entry(&key_id), key_id, description, published })
}
