//! What there is to be restored.

use std::time::Duration;

use serde_json::Value;

use crate::{
    bootstrap::{
        End, Scene, look,
        prove::{self, Published, SecretsProven},
        record::{AccountRecord, VaultKey},
    },
    effect::HttpResponse,
    error::Code,
    ident::KeyId,
    matrix::{account_data, homeserver::Stop},
    recovery::{
        KeyDescription,
        sealed::{self, RecoveryEntry, SealedDocument},
    },
    status::State,
    time::UnixMillis,
};

/// How long the secrets that were read are what is there.
const FRESH: Duration = Duration::from_secs(1);

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
    /// The four secrets as they were read with it, and when.
    secrets: (Vec<HttpResponse>, UnixMillis),
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
    /// Opens every secret with a key. Where a person was asked for it meanwhile, they are read anew.
    pub(super) async fn prove(&self, scene: &Scene<'_>, key: &VaultKey) -> Result<SecretsProven, End> {
        let ((secrets, at), now) = (&self.secrets, scene.io.now());
        if *at <= now && now.since(*at) <= FRESH {
            prove::of_read(scene, key, &self.published, secrets).await
        } else {
            prove::secrets(scene, key, &self.published).await
        }
    }
}

/// Reads it all, as far as it can be asked for at once: a person waits.
pub(super) async fn find(scene: &Scene<'_>) -> Result<Found, End> {
    let foreign = |code| End::Leave(State::Foreign, Some(code));
    let (user, at) = (&scene.setup.user_id, scene.io.now());
    let mut requests = prove::published_requests(user).to_vec();
    requests.extend([account_data::DEFAULT_KEY, sealed::ACCOUNT_DATA].map(|kind| account_data::get(user, kind)));
    requests.extend(prove::secret_requests(user));
    let responses = scene.homeserver.send_all(requests).await?;
    let [keys, backup, default_key, sealed, secrets @ ..] = responses.as_slice() else {
        return Err(End::Stop(Stop { code: Code::NetAnswer, not_before: None }));
    };
    let published = Published::of(keys, backup, user)?;
    let key_id = look::read_default_key(default_key)?.ok_or(foreign(Code::RecForeign))?;
    let key_id = KeyId::parse(&key_id).map_err(|_| foreign(Code::RecForeign))?;
    let description = account_data::get(user, &account_data::key_description(&key_id));
    let description: Option<Value> = account_data::read_get(&scene.homeserver.send(description).await?)?;
    let description = description.and_then(|value| serde_json::from_value(value).ok());
    let description = description.ok_or(foreign(Code::RecDescription))?;
    let sealed: SealedDocument = account_data::read_get(sealed)?.unwrap_or_default();
    let secrets = (secrets.to_vec(), at);
    Ok(Found { entry: sealed.entry(&key_id), key_id, description, published, secrets })
}
