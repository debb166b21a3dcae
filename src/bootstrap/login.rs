//! The beginning and the end of a session.

use super::{
    pair::names,
    record::{AccountRecord, DeviceSeen},
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
/// was typed at it, where one was seen and means this account, is remembered.
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
    let response = Homeserver::new(&io).send(session::whoami()).await?;
    let whoami = session::read_whoami(&response)?;
    if whoami.user_id != *user || whoami.device_id.as_ref() != Some(device) {
        return Err(LoginError::OtherAccount.into());
    }
    let mut record = AccountRecord::load(&io, origin, user).await?;
    if !record.devices.contains_key(device) {
        let since = io.now();
        let seen = |record: &mut AccountRecord| {
            record.devices.entry(device.clone()).or_insert_with(|| DeviceSeen {
                since,
                given: Vec::new(),
                granted: None,
            });
            record.typed |= typed.is_some_and(|name| names(name, user));
        };
        record.change(&io, origin, seen).await?;
    }
    Ok(Session { origin: origin.clone(), user_id: user.clone(), device_id: device.clone() })
}

/// After a logout: what opens the recovery key goes. The wrapped copies always; the wrapping keys unless the policy has them
/// kept, so that a later login of the same browser can open the account again with the copy that the server has. What was
/// seen and decided stays, and so does the sealed recovery.
///
/// # Errors
/// [`Stop`] where the vault or the store fails.
pub async fn end(io: Io, origin: &Origin, user: &UserId, keep_wrapping_keys: bool) -> Result<(), Stop> {
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
    let mut record = AccountRecord::load(&io, origin, user).await?;
    record.change(&io, origin, AccountRecord::end_session).await?;
    Ok(())
}
