//! The secret-storage bridge: what the client stores in, and reads from, secret storage passes through here.
//!
//! Threat: a page that asks for more than it needs; a homeserver that makes the client believe that there is nothing to
//! read (then the client makes a new identity over the old one), or that hands it a backup key of the server's own. The
//! rules:
//!
//! - It acts only while the account's default key is the vault's current one; else Element's own functions run.
//! - Reading never resolves to nothing once an identity is published: it is refused.
//! - Nothing is handed out before every secret was opened here and derives the published keys.
//! - A cross-signing seed is stored only if it derives the published key.
//! - Reading is answered once per new device and secret, within [`READ_WINDOW`] of a login that was confirmed with the
//!   homeserver.

use std::time::Duration;

use crate::{
    bootstrap::{
        prove::{self, Published},
        record::{AccountRecord, KeyStatus, VaultKey},
    },
    effect::Io,
    error::Code,
    ident::{DeviceId, Origin, UserId},
    matrix::{
        account_data,
        homeserver::{Homeserver, Stop},
        keys,
    },
    recovery::{SecretDocument, secret_name},
    secret::SecretText,
};

/// How long after a login secrets are handed to the page.
pub const READ_WINDOW: Duration = Duration::from_secs(60);

/// A session that the homeserver confirmed.
#[derive(Debug, Clone)]
pub struct Session {
    /// The deployment.
    pub origin: Origin,
    /// The account.
    pub user_id: UserId,
    /// Its device.
    pub device_id: DeviceId,
}

/// What the page hook is told.
pub enum Answer {
    /// Not ours: Element's own function runs.
    Own,
    /// Stored.
    Stored,
    /// The secret.
    Secret(SecretText),
    /// Refused.
    Refused(Code),
}

impl Answer {
    fn of(result: Result<Self, Stop>) -> Self {
        result.unwrap_or_else(|stop| Self::Refused(stop.code))
    }
}

/// Stores a secret the client hands over.
pub async fn store(io: Io, session: &Session, name: &str, secret: &SecretText) -> Answer {
    Answer::of(try_store(&io, session, name, secret).await)
}

async fn try_store(io: &Io, session: &Session, name: &str, secret: &SecretText) -> Result<Answer, Stop> {
    let homeserver = Homeserver::new(io);
    let user = &session.user_id;
    let Some(key) = current_key(io, &homeserver, session).await? else { return Ok(Answer::Own) };
    let responses = homeserver.send_all(vec![account_data::get(user, name), keys::query(user)]).await?;
    let [document, keys] = responses.as_slice() else {
        return Err(Stop { code: Code::NetAnswer, not_before: None });
    };
    if let Some(code) = refuses(name, secret, user, keys)? {
        return Ok(Answer::Refused(code));
    }
    let document: Option<SecretDocument> = account_data::read_get(document)?;
    let derived = prove::derive(io, &key, name).await?;
    let content = prove::with_entry(document, &key.id, &derived, secret)?;
    account_data::read_put(&homeserver.send(account_data::put(user, name, &content)).await?)?;
    Ok(Answer::Stored)
}

/// A cross-signing seed must derive the key that is published.
fn refuses(
    name: &str,
    secret: &SecretText,
    user: &UserId,
    keys: &crate::effect::HttpResponse,
) -> Result<Option<Code>, Stop> {
    use crate::identity::{PublishedIdentity, derive_public};
    if ![secret_name::MASTER, secret_name::SELF_SIGNING, secret_name::USER_SIGNING].contains(&name) {
        return Ok(None);
    }
    let Some(identity) = PublishedIdentity::read(&keys::read_query(keys)?, user)? else {
        return Ok(Some(Code::RecNoIdentity));
    };
    let published = match name {
        secret_name::MASTER => Some(identity.master()),
        secret_name::SELF_SIGNING => Some(identity.self_signing()),
        _ => identity.user_signing(),
    };
    let fits = crate::recovery::decode_seed(secret).is_ok_and(|seed| Some(&derive_public(&seed)) == published);
    Ok((!fits).then_some(Code::RecSecretMismatch))
}

/// Reads a secret for the client.
pub async fn get(io: Io, session: &Session, name: &str) -> Answer {
    Answer::of(try_get(&io, session, name).await)
}

async fn try_get(io: &Io, session: &Session, name: &str) -> Result<Answer, Stop> {
    let homeserver = Homeserver::new(io);
    let Some(key) = current_key(io, &homeserver, session).await? else { return Ok(Answer::Own) };
    let mut record = AccountRecord::load(io, &session.origin, &session.user_id).await?;
    // Noted before it is given: a crash between the two must not make it twice.
    let now = io.now();
    let note = |record: &mut AccountRecord| {
        let Some(device) = record.devices.get_mut(&session.device_id) else { return false };
        if now.since(device.since) > READ_WINDOW || device.given.iter().any(|given| given == name) {
            return false;
        }
        device.given.push(name.to_owned());
        true
    };
    if !record.change(io, &session.origin, note).await? {
        return Ok(Answer::Refused(Code::RecBridge));
    }
    let published: Published = prove::read_published(&homeserver, &session.user_id).await?;
    let opened = prove::open_all(io, &homeserver, &session.user_id, &key, &published).await?;
    if let Some((secret, _)) = opened.into_iter().zip(secret_name::ALL).find(|(_, n)| *n == name) {
        return Ok(Answer::Secret(secret));
    }
    // A secret of another name: there is nothing published to compare it with.
    let response = homeserver.send(account_data::get(&session.user_id, name)).await?;
    let document: Option<SecretDocument> = account_data::read_get(&response)?;
    let Some(entry) = document.and_then(|d| d.entry(&key.id).ok().flatten()) else {
        return Ok(Answer::Refused(Code::RecSecretMissing));
    };
    let derived = prove::derive(io, &key, name).await?;
    Ok(entry.decrypt(&derived).map_or(Answer::Refused(Code::RecMac), Answer::Secret))
}

/// The vault's current key, if it is the account's default key right now.
async fn current_key(io: &Io, homeserver: &Homeserver<'_>, session: &Session) -> Result<Option<VaultKey>, Stop> {
    let record = AccountRecord::load(io, &session.origin, &session.user_id).await?;
    let Some(key) = record.keys.into_iter().find(|key| key.status == KeyStatus::Current) else { return Ok(None) };
    let request = account_data::get(&session.user_id, account_data::DEFAULT_KEY);
    let response = homeserver.send(request).await?;
    let document: Option<serde_json::Value> = account_data::read_get(&response)?;
    let ours = document.as_ref().and_then(|d| d.get("key")?.as_str()) == Some(key.id.as_str());
    Ok(ours.then_some(key))
}
