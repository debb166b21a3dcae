//! The end of a session: what stays in this browser, and for how long.
//!
//! Threat: whoever gets at the disk after the person has left, and has the homeserver's copy of the account as well. The
//! wrapped copies of the recovery key go at once, whatever the policy says. The wrapping keys, which open the copy that the
//! homeserver has, go as `restore.retain_after_logout` says. A browser that is stopped between the two goes on at its next
//! start, and so does one whose policy is not known yet: until it is, nothing more goes.

use std::time::Duration;

use super::{login, record::AccountRecord};
use crate::{
    effect::Io,
    ident::{DeviceId, Origin, UserId},
    matrix::homeserver::Stop,
    policy::Retention,
    time::UnixMillis,
};

/// How late a page may tell that a session has ended: its background may have been stopped.
const LATE: Duration = Duration::from_secs(5 * 60);

/// Whose session, and what the policy says of it.
#[derive(Debug, Clone, Copy)]
pub struct Logout<'a> {
    /// The deployment.
    pub origin: &'a Origin,
    /// The account.
    pub user_id: &'a UserId,
    /// The session's device; `None` for whatever sessions there were.
    pub device_id: Option<&'a DeviceId>,
    /// How long wrapping keys stay; `None` where no policy is in force.
    pub retention: Option<Retention>,
}

/// The session has ended. Returns when to come back for the wrapping keys ([`overdue`]), if that is known.
///
/// # Errors
/// [`Stop`] where the vault or the store fails.
pub async fn end(io: Io, logout: Logout<'_>) -> Result<Option<UnixMillis>, Stop> {
    let Logout { origin, user_id, device_id, .. } = logout;
    let mut record = AccountRecord::load(&io, origin, user_id).await?;
    if record.is_new() {
        return Ok(None);
    }
    let now = io.now();
    let ended = |record: &mut AccountRecord| {
        // What is told late of an older session is not about the one that followed it, nor what is told twice.
        if let Some(device) = device_id {
            let followed = is_followed(record, device, now);
            let told = record.devices.get_mut(device).is_some_and(|seen| std::mem::replace(&mut seen.ended, true));
            if followed || told {
                return;
            }
        }
        record.end_session();
        record.paused = None;
        record.ended_at.get_or_insert(now);
    };
    record.change(&io, origin, ended).await?;
    overdue(io, logout).await
}

/// Removes the wrapping keys of an account whose last session has ended, where their time is over. Returns when to come
/// back, if that is known.
///
/// # Errors
/// [`Stop`] where the vault or the store fails.
pub async fn overdue(io: Io, logout: Logout<'_>) -> Result<Option<UnixMillis>, Stop> {
    let Logout { origin, user_id, retention, .. } = logout;
    let mut record = AccountRecord::load(&io, origin, user_id).await?;
    let Some(ended_at) = record.ended_at else { return Ok(None) };
    match retention {
        None | Some(Retention::Always) => return Ok(None),
        Some(Retention::For(time)) if io.now() < ended_at.plus(time) => return Ok(Some(ended_at.plus(time))),
        Some(Retention::Never | Retention::For(_)) => {}
    }
    login::end(io.clone(), origin, user_id, false).await?;
    record.change(&io, origin, |record| record.ended_at = None).await?;
    Ok(None)
}

/// A session of this account has begun: the ones before it are over, whether or not this browser saw their end.
pub(super) async fn superseded(io: &Io, logout: Logout<'_>) -> Result<(), Stop> {
    end(io.clone(), Logout { device_id: None, ..logout }).await.map(drop)
}

/// Has another session begun since, and only just? One that began long ago may be over without a word, and does not keep
/// what opens the recovery key here.
fn is_followed(record: &AccountRecord, device: &DeviceId, now: UnixMillis) -> bool {
    let Some(ended) = record.devices.get(device) else { return false };
    let just = |since: UnixMillis| since <= now && now.since(since) <= LATE;
    record.devices.values().any(|other| other.since > ended.since && just(other.since))
}
