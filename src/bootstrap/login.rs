//! The beginning and the end of a session.

use std::time::Duration;

use super::{
    logout::{self, Logout},
    pair::Typed,
    record::{AccountRecord, DeviceSeen, LoginBegun},
};
use crate::{
    bridge::Session,
    effect::{Answer, Effect, Io, VaultCommand},
    error::{Code, Coded},
    ident::{DeviceId, Origin, UserId},
    matrix::{
        homeserver::{Homeserver, Stop},
        session,
    },
    policy::Retention,
    recovery::VaultError,
};

/// How long a name that was typed belongs to the login that follows it.
pub const TYPED_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Why a session is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The homeserver knows the token as another account's, or another device's.
    #[error("the session is not the one that the page says")]
    OtherAccount,
}

impl Coded for LoginError {
    fn code(&self) -> Code {
        match self {
            Self::OtherAccount => Code::DirOtherAccount,
        }
    }
}

/// A session, as a page tells of it.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// The deployment.
    pub origin: &'a Origin,
    /// The account.
    pub user_id: &'a UserId,
    /// The session's device.
    pub device_id: &'a DeviceId,
    /// The name the person typed at it, where one was seen.
    pub typed: Option<&'a str>,
    /// The devices that other pages of this browser have open for the account.
    pub others: &'a [DeviceId],
    /// How long wrapping keys stay after a session; `None` where no policy is in force.
    pub retention: Option<Retention>,
}

/// Asks the homeserver whose session it is. A device that this browser has not seen before is a login now: the name that
/// was typed at it, where one was seen, is remembered for it (before the homeserver is asked, so that it outlives a crash),
/// and sessions before it are over.
///
/// # Errors
/// [`Stop`] where the homeserver cannot be asked or says something else than the page.
pub async fn confirm(io: Io, login: Login<'_>) -> Result<Session, Stop> {
    let Login { origin, user_id: user, device_id: device, typed, others, retention } = login;
    let mut record = AccountRecord::load(&io, origin, user).await?;
    if let Some(text) = typed {
        let login = LoginBegun { device_id: device.clone(), typed: Typed::read(text, user), at: io.now() };
        record.change(&io, origin, |record| record.begun = Some(login.clone())).await?;
    }
    let response = Homeserver::new(&io).send(session::whoami()).await?;
    let whoami = session::read_whoami(&response)?;
    if whoami.user_id != *user || whoami.device_id.as_ref() != Some(device) {
        return Err(LoginError::OtherAccount.into());
    }
    let now = io.now();
    // Where a name was typed, that was a login, under whatever device ID: the homeserver chooses those.
    let this = |login: &LoginBegun| login.device_id == *device && now.since(login.at) < TYPED_LIMIT;
    let begun = record.begun.clone().filter(this);
    let new = !record.devices.contains_key(device);
    if new && !record.devices.is_empty() && !record.devices.keys().any(|known| others.contains(known)) {
        logout::superseded(&io, Logout { origin, user_id: user, device_id: None, retention }).await?;
    }
    let ended = record.ended_at.is_some() || record.devices.get(device).is_some_and(|seen| seen.ended);
    if record.begun.is_some() || new || ended {
        let seen = |record: &mut AccountRecord| {
            (record.begun, record.ended_at) = (None, None);
            let seen = record.devices.entry(device.clone()).or_insert_with(|| DeviceSeen::new(now));
            seen.ended = false;
            if let Some(login) = &begun {
                seen.end_login();
                seen.typed = login.typed.clone();
            }
        };
        record.change(&io, origin, seen).await?;
    }
    Ok(Session::new(origin.clone(), user.clone(), device.clone()))
}

/// After a logout: what opens the recovery key goes. The wrapped copies always; the wrapping keys unless the policy has them
/// kept, so that a later login of the same browser can open the account again with the copy that the server has. What was
/// seen and decided stays, and so does the sealed recovery. Of an account that was never seen nothing is noted.
///
/// # Errors
/// [`Stop`] where the vault or the store fails.
pub async fn end(io: Io, origin: &Origin, user: &UserId, keep_wrapping_keys: bool) -> Result<(), Stop> {
    let mut record = AccountRecord::load(&io, origin, user).await?;
    if record.is_new() {
        return Ok(());
    }
    if !keep_wrapping_keys {
        let Answer::Ids(ids) = io.ask(Effect::Vault(VaultCommand::Ids)).await else {
            return Err(VaultError::Failed.into());
        };
        for id in ids {
            if !matches!(io.ask(Effect::Vault(VaultCommand::Forget(id))).await, Answer::Done) {
                return Err(VaultError::Failed.into());
            }
        }
    }
    record.change(&io, origin, AccountRecord::end_session).await?;
    Ok(())
}
