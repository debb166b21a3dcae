//! A wipe: the person has this browser forget all that opens anything of the account.
//!
//! Threat: whoever sits at this machine next, or takes its disk, and has the homeserver's copy of the account as well. The
//! wrapping keys go whatever the policy says of them, and so do the wrapped copies, what was lent, and the sealed recovery's
//! local copy. What was seen stays, and above all the pin: a homeserver that waits for a wipe could else come with an
//! identity of its own.

use super::{login, record::AccountRecord};
use crate::{
    effect::{Answer, Effect, Io, VaultCommand},
    events::{self, Event},
    ident::{Origin, UserId},
    matrix::homeserver::Stop,
    recovery::VaultError,
};

/// Wipes; nothing is left half done that a second press does not take up.
///
/// # Errors
/// [`Stop`] where the vault or the store fails.
pub async fn wipe(io: Io, origin: &Origin, user_id: &UserId) -> Result<(), Stop> {
    let mut record = AccountRecord::load(&io, origin, user_id).await?;
    if record.is_new() {
        return Ok(());
    }
    login::end(io.clone(), origin, user_id, false).await?;
    record.change(&io, origin, AccountRecord::forget_keys).await?;
    Ok(events::note(&io, origin, user_id, Event::Wiped).await?)
}

/// Is there anything here that opens the account, alone or with what the homeserver has?
///
/// # Errors
/// [`Stop`] where the vault fails.
pub async fn holds_keys(io: Io) -> Result<bool, Stop> {
    match io.ask(Effect::Vault(VaultCommand::Ids)).await {
        Answer::Ids(ids) => Ok(!ids.is_empty()),
        _ => Err(VaultError::Failed.into()),
    }
}
