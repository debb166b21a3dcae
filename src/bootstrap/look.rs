//! Step 1: read what the account has.
//!
//! Threat: an account that somebody already looks after, a person who said no, a homeserver that slips in a default key
//! of its own, brings back an old one, or shows another identity. In every doubt the account is left as it is.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    End, Scene,
    prove::Published,
    record::{AccountRecord, KeyStatus, VaultKey},
    switch, unfinished,
};
use crate::{
    effect::{Answer, Effect, HttpResponse, PageAnswer, PageCommand, Readiness, VaultCommand},
    error::{Code, Coded},
    ident::KeyId,
    identity::PublishedIdentity,
    matrix::{BackupVersion, KeysQueryResponse, MatrixError, account_data, backup, keys},
    recovery::{KeyDescription, sealed, secret_name},
    restore,
    rotate::reset,
    status::State,
    time::UnixMillis,
};

/// Account-data types in which Element and others note that a person wants no key storage or no recovery, and the field
/// and value that say so.
const DECLINED: [(&str, &str, bool); 3] = [
    ("m.org.matrix.custom.backup_disabled", "disabled", true),
    ("m.key_backup", "enabled", false),
    ("io.element.recovery", "enabled", false),
];

/// How often, and after which pause, the server is asked again when it says that there is no key backup: homeservers with
/// several workers answer late.
const BACKUP_READS: usize = 2;
const BACKUP_PAUSE: Duration = Duration::from_secs(2);

/// How often, and with which pause, the client is asked whether it has the secrets.
const READINESS_ASKED: usize = 5;
const READINESS_PAUSE: Duration = Duration::from_secs(1);

/// Whose secret storage it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// There is none.
    Nothing,
    /// It is under a key of ours, pending or current.
    Ours(KeyId),
    /// It is under somebody else's default key, of this id, and this session has all that is in it.
    Foreign(String),
    /// It was under ours, and is under somebody else's default key, of this id, which does not open everything.
    Unfinished(String),
}

impl Found {
    /// Somebody else's default key, which is there until ours is switched to.
    #[must_use]
    pub fn gives_way(&self) -> Option<&str> {
        match self {
            Self::Foreign(id) | Self::Unfinished(id) => Some(id),
            Self::Nothing | Self::Ours(_) => None,
        }
    }

    /// Somebody else's default key, beside which ours comes.
    #[must_use]
    pub fn beside(&self) -> Option<&str> {
        match self {
            Self::Foreign(id) => Some(id),
            Self::Nothing | Self::Ours(_) | Self::Unfinished(_) => None,
        }
    }
}

/// What the account has, as far as it matters.
pub struct Looked {
    /// Whose secret storage it is.
    pub found: Found,
    /// The published identity, its own signatures checked, and the key backup, signed by it or by a device it vouches for.
    pub(crate) published: Published,
    /// The sealed recoveries on the server.
    pub sealed: sealed::SealedDocument,
    /// Which of the four secrets have an entry, by name and key id.
    pub present: Vec<(&'static str, Vec<String>)>,
    /// It was so no earlier than then.
    pub(super) at: UnixMillis,
}

/// Why there is nothing to go on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LookError {
    /// The account has no cross-signing identity yet.
    #[error("the account has no identity yet")]
    NoIdentity,
    /// The account's identity is not the one that this browser has seen in place.
    #[error("the account's identity changed")]
    OtherIdentity,
    /// Secret storage is under a key of ours that the vault no longer has.
    #[error("the vault no longer has the key")]
    VaultLost,
    /// Not even the client's own new backup is signed by the account.
    #[error("the key backup is not signed by the account")]
    BackupUntrusted,
    /// The session does not have the private keys itself: it was not verified, and another one may have them.
    #[error("this session does not have the account's keys")]
    NoSecrets,
    /// The client did not make a backup.
    #[error("the page did not do what it was asked")]
    Page,
}

impl Coded for LookError {
    fn code(&self) -> Code {
        match self {
            Self::NoIdentity => Code::RecNoIdentity,
            Self::OtherIdentity => Code::RecIdentity,
            Self::VaultLost => Code::RecVaultLost,
            Self::BackupUntrusted => Code::RecBackupUntrusted,
            Self::NoSecrets => Code::RecSession,
            Self::Page => Code::RecPage,
        }
    }
}

#[derive(Deserialize)]
struct DefaultKey {
    key: Option<String>,
}

/// What one round of reading gives.
pub(super) struct Documents {
    at: UnixMillis,
    default_key: Option<Value>,
    pub(super) declined: bool,
    sealed: sealed::SealedDocument,
    pub(super) present: Vec<(&'static str, Vec<String>)>,
    pub(super) backup: Option<BackupVersion>,
    keys: KeysQueryResponse,
}

/// Reads the account and decides whether it is ours to set up.
pub(super) async fn look(scene: &Scene<'_>, record: &mut AccountRecord) -> Result<Looked, End> {
    let mut documents = read(scene).await?;
    if PublishedIdentity::read(&documents.keys, &scene.setup.user_id)?.is_none() {
        documents = make_identity(scene, record, documents).await?;
    }
    let mut identity = PublishedIdentity::read(&documents.keys, &scene.setup.user_id)?.ok_or(LookError::NoIdentity)?;
    if record.master_key.as_ref().is_some_and(|seen| seen != identity.master()) {
        reset::follow(scene, record, &identity).await?;
        // With the next look, in which nothing is of before.
        documents = read(scene).await?;
        identity = PublishedIdentity::read(&documents.keys, &scene.setup.user_id)?.ok_or(LookError::NoIdentity)?;
        if record.master_key.as_ref() != Some(identity.master()) {
            return Err(LookError::OtherIdentity.into());
        }
    } else {
        reset::wait(scene, record).await?;
    }
    let found = whose(scene, record, &documents).await?;
    let mut pauses = BACKUP_READS;
    let mut made = false;
    let backup = loop {
        if let Some(trusted) = documents.backup.as_ref().and_then(|backup| identity.check_backup(backup).ok()) {
            break trusted;
        }
        // Making a backup removes every older one: not for a stale answer, nor over one that has something in it.
        match &documents.backup {
            _ if found.beside().is_some() => {
                return Err(End::Leave(State::Foreign, Some(Code::RecBackupUntrusted)));
            }
            Some(backup) if backup.count > 0 || record.backup_replaced => return Err(LookError::BackupUntrusted.into()),
            Some(_) => {
                let asked = |record: &mut AccountRecord| record.backup_replaced = true;
                record.change(scene.io, &scene.setup.origin, asked).await?;
                make_backup(scene).await?;
            }
            None if pauses > 0 => {
                pauses -= 1;
                scene.io.ask(Effect::SleepUntil(scene.io.now().plus(BACKUP_PAUSE))).await;
            }
            None if made => return Err(LookError::BackupUntrusted.into()),
            None => {
                made = true;
                make_backup(scene).await?;
            }
        }
        documents = read(scene).await?;
    };
    let published = Published { identity, backup };
    let Documents { sealed, present, at, .. } = documents;
    Ok(Looked { found, published, sealed, present, at })
}

/// Asks the client whether it has the secrets at all: from a session without them, secret storage would be made with
/// nothing in it, and the session that has them could no longer set it up. A client that has only just made them is asked
/// again for a moment.
pub(crate) async fn session_holds_secrets(scene: &Scene<'_>) -> Result<(), End> {
    for _ in 0..READINESS_ASKED {
        if holds_secrets(scene).await? {
            return Ok(());
        }
        scene.io.ask(Effect::SleepUntil(scene.io.now().plus(READINESS_PAUSE))).await;
    }
    Err(LookError::NoSecrets.into())
}

/// Asks the client once.
pub(crate) async fn holds_secrets(scene: &Scene<'_>) -> Result<bool, End> {
    match scene.io.ask(Effect::Page(PageCommand::Readiness)).await {
        Answer::Page(PageAnswer::Ready(Readiness { holds_secrets })) => Ok(holds_secrets),
        _ => Err(LookError::Page.into()),
    }
}

async fn make_backup(scene: &Scene<'_>) -> Result<(), End> {
    match scene.io.ask(Effect::Page(PageCommand::MakeBackup)).await {
        Answer::Page(PageAnswer::Done) => Ok(()),
        _ => Err(LookError::Page.into()),
    }
}

/// A client makes its identity at a first login; one that was interrupted there never publishes it. So it is asked to, and
/// the account is read again. New keys are made only where neither this browser nor the account itself shows that there has
/// been an identity, which then a homeserver hides.
async fn make_identity(scene: &Scene<'_>, record: &AccountRecord, documents: Documents) -> Result<Documents, End> {
    let anew = record.master_key.is_none()
        && record.keys.is_empty()
        && !documents.declined
        && default_key(&documents).is_none()
        && documents.backup.is_none()
        && documents.present.iter().all(|(_, ids)| ids.is_empty())
        && documents.sealed.is_empty();
    match scene.io.ask(Effect::Page(PageCommand::MakeIdentity { anew })).await {
        Answer::Page(PageAnswer::Done) => read(scene).await,
        _ => Ok(documents),
    }
}

async fn read(scene: &Scene<'_>) -> Result<Documents, End> {
    let (user, at) = (&scene.setup.user_id, scene.io.now());
    let mut requests = vec![
        keys::query(user),
        backup::version(),
        account_data::get(user, account_data::DEFAULT_KEY),
        account_data::get(user, sealed::ACCOUNT_DATA),
    ];
    requests.extend(DECLINED.iter().map(|(kind, _, _)| account_data::get(user, kind)));
    let responses = scene.homeserver.send_all(requests).await?;
    let [keys, backup, default_key, sealed, declined @ ..] = responses.as_slice() else {
        return Err(End::Stop(crate::matrix::homeserver::Stop { code: Code::NetAnswer, not_before: None }));
    };
    let keys = keys::read_query(keys)?;
    let default_key: Option<Value> = account_data::read_get(default_key)?;
    let has_identity = keys.master_keys.contains_key(user.as_str());
    // Browsers ask six things at a time. An account that has an identity and no secret storage is what most first logins
    // find; there nothing depends on what else there may be.
    let secrets = match default_key.is_none() && has_identity {
        true => Vec::new(),
        false => {
            let requests = secret_name::ALL.iter().map(|name| account_data::get(user, name));
            scene.homeserver.send_all(requests.collect()).await?
        }
    };
    let said_no = said_no(declined)?;
    let mut present = Vec::new();
    for (response, name) in secrets.iter().zip(secret_name::ALL) {
        let document = account_data::read_get::<Map<String, Value>>(response)?;
        let entries = document.as_ref().and_then(|d| d.get("encrypted")?.as_object());
        present.push((name, entries.map(|e| e.keys().cloned().collect()).unwrap_or_default()));
    }
    Ok(Documents {
        at,
        default_key,
        declined: said_no,
        sealed: account_data::read_get(sealed)?.unwrap_or_default(),
        present,
        backup: backup::read_version(backup)?,
        keys,
    })
}

/// The default key's id, if there is one.
fn default_key(documents: &Documents) -> Option<String> {
    let document = documents.default_key.clone()?;
    serde_json::from_value::<DefaultKey>(document).ok()?.key.filter(|id| !id.is_empty())
}

/// Decides whose secret storage it is, or that the account is to be left alone.
async fn whose(scene: &Scene<'_>, record: &mut AccountRecord, documents: &Documents) -> Result<Found, End> {
    let Some(default_key) = default_key(documents) else {
        if documents.declined && !scene.setup.policy.bootstrap_required() {
            return Err(End::Leave(State::Declined, Some(Code::RecDeclined)));
        }
        return Ok(Found::Nothing);
    };
    let foreign = |code| Err(End::Leave(State::Foreign, Some(code)));
    if switch::was_lost(record, &default_key) {
        record.change(scene.io, &scene.setup.origin, switch::take_back).await?;
    }
    let key = match of_ours(record, &default_key, &documents.sealed) {
        Err(End::Leave(State::Foreign, Some(Code::RecForeign)))
            if adoptable(scene, record, documents, &default_key) =>
        {
            // What the person opened goes on where it was left.
            if record.opened.is_none() && session_holds_secrets(scene).await.is_ok() {
                return Ok(Found::Foreign(default_key));
            }
            return Err(restore::foreign::ask(scene, record, &default_key).await?);
        }
        Err(End::Leave(State::Foreign, Some(Code::RecForeign)))
            if unfinished::is(scene, record, documents, &default_key) =>
        {
            unfinished::wait(scene, record, &default_key).await?;
            return Ok(Found::Unfinished(default_key));
        }
        ours_or_not => ours_or_not?,
    };
    let id = key.id.clone();
    let published = published_description(scene, &id).await?;
    if published.as_ref() != Some(&key.description) {
        return foreign(Code::RecDescription);
    }
    if openable(scene, key).await? { Ok(Found::Ours(id)) } else { foreign(Code::RecVaultLost) }
}

/// May somebody else's secret storage come into our care? Only where it has something in it (a default key by itself is
/// easily slipped in), and never what a person made of an account that was in our care before.
fn adoptable(scene: &Scene<'_>, record: &AccountRecord, documents: &Documents, default_key: &str) -> bool {
    let mut identity = documents.present.iter().filter(|(name, _)| *name != secret_name::MEGOLM_BACKUP);
    let in_use = identity.all(|(_, ids)| ids.iter().any(|id| id == default_key));
    let wanted = !documents.declined || scene.setup.policy.bootstrap_required();
    in_use && wanted && record.is_untouched()
}

/// Are both halves of the key here, the wrapping key in the vault and the wrapped copy?
async fn openable(scene: &Scene<'_>, key: &VaultKey) -> Result<bool, End> {
    match scene.io.ask(Effect::Vault(VaultCommand::Holds(key.id.clone()))).await {
        Answer::Holds(held) => Ok(held && key.wrapped.is_some()),
        _ => Err(crate::recovery::VaultError::Failed.into()),
    }
}

/// The key of ours that is the default key; else why the account is to be left alone.
fn of_ours<'r>(
    record: &'r AccountRecord,
    default_key: &str,
    sealed: &sealed::SealedDocument,
) -> Result<&'r VaultKey, End> {
    let foreign = |code| Err(End::Leave(State::Foreign, Some(code)));
    let Ok(id) = KeyId::parse(default_key) else { return foreign(Code::RecForeign) };
    match record.key(&id) {
        Some(key) if key.status != KeyStatus::Retired => Ok(key),
        None if !record.replaced.contains(&id) => {
            // One that this deployment's sealed recoveries list was ours, in another browser or before a logout.
            foreign(match sealed.entry(&id) {
                Some(_) if record.keeps_a_proven_key() => Code::RecReplaced,
                Some(_) => Code::RecVaultLost,
                None => Code::RecForeign,
            })
        }
        _ => Err(End::Leave(State::Failed, Some(Code::RecRollback))),
    }
}

/// May the account be set up, as far as a first glance tells? Nobody set up secret storage, and nobody said no.
pub(super) async fn is_open(scene: &Scene<'_>) -> bool {
    let kinds = DECLINED.map(|(kind, _, _)| kind).into_iter().chain([account_data::DEFAULT_KEY]);
    let requests = kinds.map(|kind| account_data::get(&scene.setup.user_id, kind)).collect();
    let Ok(responses) = scene.homeserver.send_all(requests).await else { return false };
    let (declined, default_key) = responses.split_at(DECLINED.len().min(responses.len()));
    let nobody = default_key.iter().all(|response| matches!(read_default_key(response), Ok(None)));
    let open = scene.setup.policy.bootstrap_required() || said_no(declined).is_ok_and(|said_no| !said_no);
    nobody && open
}

/// Did the person say no?
fn said_no(declined: &[HttpResponse]) -> Result<bool, End> {
    let mut said_no = false;
    for (response, (_, field, value)) in declined.iter().zip(DECLINED) {
        let document = account_data::read_get::<Map<String, Value>>(response)?;
        said_no |= document.is_some_and(|d| d.get(field) == Some(&Value::Bool(value)));
    }
    Ok(said_no)
}

/// Looks only whether the account's secret storage is somebody else's, and says so by [`End::Leave`].
pub(super) async fn glance(scene: &Scene<'_>, record: &AccountRecord) -> Result<(), End> {
    let user = &scene.setup.user_id;
    let kinds = [account_data::DEFAULT_KEY, sealed::ACCOUNT_DATA];
    let responses = scene.homeserver.send_all(kinds.map(|kind| account_data::get(user, kind)).to_vec()).await?;
    let [default_key, sealed] = responses.as_slice() else { return Ok(()) };
    let sealed = account_data::read_get(sealed)?.unwrap_or_default();
    match read_default_key(default_key)? {
        Some(key) => match openable(scene, of_ours(record, &key, &sealed)?).await? {
            true => Ok(()),
            false => Err(End::Leave(State::Foreign, Some(Code::RecVaultLost))),
        },
        None => Ok(()),
    }
}

/// Reads a key description as it is published.
pub(crate) async fn published_description(scene: &Scene<'_>, id: &KeyId) -> Result<Option<KeyDescription>, End> {
    let kind = account_data::key_description(id);
    let response = scene.homeserver.send(account_data::get(&scene.setup.user_id, &kind)).await?;
    Ok(account_data::read_get(&response)?)
}

/// Reads the default key's id as it is published now.
pub(crate) async fn published_default_key(scene: &Scene<'_>) -> Result<Option<String>, End> {
    let response = scene.homeserver.send(account_data::get(&scene.setup.user_id, account_data::DEFAULT_KEY)).await?;
    Ok(read_default_key(&response)?)
}

/// Reads the default key's id in an answer; `None` where there is none.
pub(crate) fn read_default_key(response: &HttpResponse) -> Result<Option<String>, MatrixError> {
    let document: Option<DefaultKey> = account_data::read_get(response)?;
    Ok(document.and_then(|d| d.key).filter(|k| !k.is_empty()))
}
