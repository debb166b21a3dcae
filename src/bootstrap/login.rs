//! The beginning and the end of a session.

use std::time::Duration;

use super::{
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

/// Asks the homeserver whose session it is. A device that this browser has not seen before is a login now; the name that
/// was typed at it, where one was seen, is remembered for it: before the homeserver is asked, so that it outlives a crash.
///
/// # Errors
/// [`Stop`] where the homeserver cannot be asked or says something else than the page.
pub async fn confirm(
    io: Io,
    origin: &Origin,
    user: &UserId,
    device: &DeviceId,
    typed: Option<&str>,
) -> Result<Session, Stop> {
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
    // Where a name was typed, that was a login, under whatever device ID: the homeserver chooses those.
    if record.begun.is_some() || !record.devices.contains_key(device) {
        let now = io.now();
        let seen = |record: &mut AccountRecord| {
            let seen = record.devices.entry(device.clone()).or_insert_with(|| DeviceSeen::new(now));
            let this = |login: &LoginBegun| login.device_id == *device && now.since(login.at) < TYPED_LIMIT;
            if let Some(login) = record.begun.take().filter(this) {
                seen.end_login();
                seen.typed = login.typed;
            }
        };
        record.change(&io, origin, seen).await?;
    }
    Ok(Session { origin: origin.clone(), user_id: user.clone(), device_id: device.clone() })
}

/// After a logout where the browser keeps what opens the recovery key: whoever logs in next is not the one who typed and
/// confirmed so far.
///
/// # Errors
/// [`Stop`] where the store fails.
pub async fn leave(io: Io, origin: &Origin, user: &UserId) -> Result<(), Stop> {
    let mut record = AccountRecord::load(&io, origin, user).await?;
    if record.is_new() {
        return Ok(());
    }
    let left = |record: &mut AccountRecord| {
        record.begun = None;
        record.devices.values_mut().for_each(DeviceSeen::end_login);
    };
    record.change(&io, origin, left).await?;
    Ok(())
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
