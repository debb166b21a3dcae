//! Step 7: read everything back and open it, the way a new browser would have to.
//!
//! Threat: an account that looks complete and cannot be opened: a write that was answered and lost, a secret under
//! another key, a seed that is not the published one. [`SecretsProven`] can only be had by opening all four secrets
//! through the vault and comparing what they derive with what is published.

use super::{
    End, Scene, look,
    look::Looked,
    record::{AccountRecord, VaultKey},
    seal::Wanted,
    switch::Switched,
};
use crate::{
    effect::{Answer, Effect, HttpRequest, HttpResponse, Io, VaultCommand},
    error::{Code, Coded},
    ident::{KeyId, UserId},
    identity::{BackupTrusted, PublicKey, PublishedIdentity, derive_backup_public, derive_public},
    matrix::{
        account_data, backup,
        homeserver::{Homeserver, Stop},
        keys,
    },
    recovery::{
        DerivedKeys, EncryptedSecret, KeyDescription, SecretDocument, VaultError, decode_seed,
        sealed::{self, SealedDocument},
        secret_name,
    },
    secret::SecretText,
};

/// Stale reads are repeated this often.
const TRIES: usize = 3;

/// All four secrets were read from the server, opened through the vault, and derive what is published.
pub struct SecretsProven(PublicKey);

impl SecretsProven {
    /// The published master key that they were compared with.
    #[must_use]
    pub const fn master_key(&self) -> &PublicKey {
        &self.0
    }
}

/// Why the secrets are not proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProveError {
    /// A secret has no entry under the key.
    #[error("a secret is missing from secret storage")]
    Missing,
    /// A secret's entry cannot be opened with the key.
    #[error("a secret cannot be opened")]
    Unopened,
    /// A secret is not the one whose public half is published.
    #[error("a secret does not derive the published key")]
    Mismatch,
    /// The default key or its description is not what was written.
    #[error("secret storage is not as it was written")]
    Description,
    /// The sealed recovery is not what was written.
    #[error("the sealed recovery is not as it was written")]
    Sealed,
}

impl Coded for ProveError {
    fn code(&self) -> Code {
        match self {
            Self::Missing => Code::RecSecretMissing,
            Self::Unopened => Code::RecMac,
            Self::Mismatch => Code::RecSecretMismatch,
            Self::Description => Code::RecDescription,
            Self::Sealed => Code::RecReadBack,
        }
    }
}

/// Does each of the four secrets have an entry under the key? Says nothing about what is in them.
#[must_use]
pub fn all_present(looked: &Looked, id: &KeyId) -> bool {
    let under = |(_, ids): &&(&str, Vec<String>)| ids.iter().any(|i| i == id.as_str());
    looked.present.iter().filter(under).count() == secret_name::ALL.len()
}

/// Reads everything back.
pub(super) async fn prove(
    scene: &Scene<'_>,
    record: &AccountRecord,
    switched: &Switched,
) -> Result<SecretsProven, End> {
    let key = record.key(switched.key_id()).ok_or(ProveError::Description)?;
    let mut tries = 0;
    loop {
        tries += 1;
        match once(scene, record, key).await {
            Err(End::Stop(Stop {
                code: Code::RecSecretMissing | Code::RecReadBack | Code::RecDescription, ..
            })) if tries < TRIES => {}
            other => return other,
        }
    }
}

/// Reads everything at once: nothing of it has to be known before the rest is asked for.
async fn once(scene: &Scene<'_>, record: &AccountRecord, key: &VaultKey) -> Result<SecretsProven, End> {
    let user = &scene.setup.user_id;
    let kinds =
        [account_data::DEFAULT_KEY.to_owned(), account_data::key_description(&key.id), sealed::ACCOUNT_DATA.to_owned()];
    let mut requests: Vec<_> = kinds.iter().map(|kind| account_data::get(user, kind)).collect();
    requests.extend(published_requests(user));
    requests.extend(secret_requests(user));
    let responses = scene.homeserver.send_all(requests).await?;
    let [default_key, description, document, keys, backup, secrets @ ..] = responses.as_slice() else {
        return Err(End::Stop(Stop { code: Code::NetAnswer, not_before: None }));
    };
    if look::read_default_key(default_key)?.as_deref() != Some(key.id.as_str())
        || account_data::read_get::<KeyDescription>(description)?.as_ref() != Some(&key.description)
    {
        return Err(ProveError::Description.into());
    }
    let document: SealedDocument = account_data::read_get(document)?.unwrap_or_default();
    if !Wanted::of(record, key).map_err(|_| ProveError::Sealed)?.is_in(&document) {
        return Err(ProveError::Sealed.into());
    }
    let derived = derive(scene.io, key, "").await?;
    key.description.verify(&derived).map_err(|_| ProveError::Description)?;
    let published = Published::of(keys, backup, user)?;
    open_read(scene.io, key, &published, secrets).await?;
    Ok(SecretsProven(*published.identity.master()))
}

/// Opens every secret with a key, and compares what they derive with what was published.
pub(crate) async fn secrets(scene: &Scene<'_>, key: &VaultKey, published: &Published) -> Result<SecretsProven, End> {
    open_all(scene.io, &scene.homeserver, &scene.setup.user_id, key, published).await?;
    Ok(SecretsProven(*published.identity.master()))
}

/// The same, of the answers to [`secret_requests`].
pub(crate) async fn of_read(
    scene: &Scene<'_>,
    key: &VaultKey,
    published: &Published,
    responses: &[HttpResponse],
) -> Result<SecretsProven, End> {
    open_read(scene.io, key, published, responses).await?;
    Ok(SecretsProven(*published.identity.master()))
}

/// The same, of documents that were read with others.
pub(crate) async fn documents(
    scene: &Scene<'_>,
    key: &VaultKey,
    published: &Published,
    read: impl Fn(&str) -> Option<SecretDocument>,
) -> Result<SecretsProven, End> {
    let derived = derive(scene.io, key, "").await?;
    key.description.verify(&derived).map_err(|_| ProveError::Description)?;
    for name in secret_name::ALL {
        open_one(scene.io, key, published, name, &read(name).ok_or(ProveError::Missing)?).await?;
    }
    Ok(SecretsProven(*published.identity.master()))
}

/// What the server publishes of the account, its signatures checked.
pub(crate) struct Published {
    pub(crate) identity: PublishedIdentity,
    pub(crate) backup: BackupTrusted,
}

impl Published {
    /// Reads the answers to [`published_requests`].
    pub(crate) fn of(keys: &HttpResponse, backup: &HttpResponse, user: &UserId) -> Result<Self, Stop> {
        let keys = keys::read_query(keys)?;
        let identity = PublishedIdentity::read(&keys, user)?.ok_or(look::LookError::NoIdentity)?;
        let backup = backup::read_version(backup)?.ok_or(look::LookError::BackupUntrusted)?;
        let backup = identity.check_backup(&backup)?;
        Ok(Self { identity, backup })
    }
}

/// What reads what is published.
pub(crate) fn published_requests(user: &UserId) -> [HttpRequest; 2] {
    [keys::query(user), backup::version()]
}

/// What reads the four secrets.
pub(crate) fn secret_requests(user: &UserId) -> impl Iterator<Item = HttpRequest> {
    secret_name::ALL.iter().map(|name| account_data::get(user, name))
}

/// Reads the identity and the backup that the server publishes.
pub(crate) async fn read_published(homeserver: &Homeserver<'_>, user: &UserId) -> Result<Published, Stop> {
    let responses = homeserver.send_all(published_requests(user).to_vec()).await?;
    let [keys, backup] = responses.as_slice() else {
        return Err(Stop { code: Code::NetAnswer, not_before: None });
    };
    Published::of(keys, backup, user)
}

/// Reads the four secrets, opens them through the vault and compares what they derive with what is published. They are
/// returned in the order of [`secret_name::ALL`].
async fn open_all(
    io: &Io,
    homeserver: &Homeserver<'_>,
    user: &UserId,
    key: &VaultKey,
    published: &Published,
) -> Result<Vec<SecretText>, Stop> {
    let responses = homeserver.send_all(secret_requests(user).collect()).await?;
    open_read(io, key, published, &responses).await
}

/// The same, of secrets that were read.
async fn open_read(
    io: &Io,
    key: &VaultKey,
    published: &Published,
    responses: &[HttpResponse],
) -> Result<Vec<SecretText>, Stop> {
    let mut opened = Vec::new();
    for (response, name) in responses.iter().zip(secret_name::ALL) {
        let document: SecretDocument = account_data::read_get(response)?.ok_or(ProveError::Missing)?;
        opened.push(open_one(io, key, published, name, &document).await?);
    }
    if opened.len() == secret_name::ALL.len() { Ok(opened) } else { Err(ProveError::Missing.into()) }
}

async fn open_one(
    io: &Io,
    key: &VaultKey,
    published: &Published,
    name: &str,
    document: &SecretDocument,
) -> Result<SecretText, Stop> {
    let entry = document.entry(&key.id).map_err(|_| ProveError::Unopened)?.ok_or(ProveError::Missing)?;
    let secret = entry.decrypt(&derive(io, key, name).await?).map_err(|_| ProveError::Unopened)?;
    if fits(name, &secret, published) { Ok(secret) } else { Err(ProveError::Mismatch.into()) }
}

/// Is this the secret whose public half is published under this name? For other names nothing is published: yes.
pub(crate) fn fits(name: &str, secret: &SecretText, published: &Published) -> bool {
    let Published { identity, backup } = published;
    let Ok(seed) = decode_seed(secret) else { return !secret_name::ALL.contains(&name) };
    match name {
        secret_name::MASTER => derive_public(&seed) == *identity.master(),
        secret_name::SELF_SIGNING => derive_public(&seed) == *identity.self_signing(),
        secret_name::USER_SIGNING => identity.user_signing() == Some(&derive_public(&seed)),
        secret_name::MEGOLM_BACKUP => derive_backup_public(&seed) == backup.public_key(),
        _ => true,
    }
}

/// Has the vault derive the keys for one secret.
pub(crate) async fn derive(io: &Io, key: &VaultKey, info: &str) -> Result<DerivedKeys, VaultError> {
    let wrapped = key.wrapped.clone().ok_or(VaultError::Absent)?;
    let command = VaultCommand::Derive { id: key.id.clone(), wrapped, info: info.to_owned() };
    match io.ask(Effect::Vault(command)).await {
        Answer::Derived(derived) => Ok(derived),
        _ => Err(VaultError::Failed),
    }
}

/// Puts the entry of a key into a secret document.
pub(crate) fn enter(
    document: &mut SecretDocument,
    id: &KeyId,
    derived: &DerivedKeys,
    secret: &SecretText,
) -> Result<(), VaultError> {
    let entry = EncryptedSecret::encrypt(derived, secret).map_err(|_| VaultError::Failed)?;
    document.set_entry(id, &entry);
    Ok(())
}
