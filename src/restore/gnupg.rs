//! A way to the recovery key: GnuPG on the person's own machine opens the sealed recovery.
//!
//! Threat: windows that ask for a PIN whenever a server or a page would have them, until somebody types it to be rid of
//! them. GnuPG is asked by itself once a session, and soon after the login; again only when the person says so. So what
//! became of it is in the record before GnuPG is asked and after. What it opens is checked as what a person types is, and
//! believed as little.

use super::{
    find::Found,
    open::{self, Fitting, GivenError},
};
use crate::{
    bootstrap::{
        End, Scene,
        record::{AccountRecord, GnupgTried, RecordError},
    },
    bridge::READ_WINDOW,
    effect::Io,
    error::{Code, Coded as _},
    ident::{DeviceId, Origin, UserId},
    status::GnupgView,
};

/// Notes that the person wants GnuPG to be asked. It is, by the next run, if that begins within [`READ_WINDOW`]: the
/// browser may have to start the extension anew before it may speak to GnuPG.
///
/// # Errors
/// [`RecordError`].
pub async fn wish(io: Io, origin: &Origin, user_id: &UserId, device: &DeviceId) -> Result<(), RecordError> {
    let mut record = AccountRecord::load(&io, origin, user_id).await?;
    let now = io.now();
    let wished = |record: &mut AccountRecord| {
        if let Some(device) = record.devices.get_mut(device) {
            device.gnupg = Some(GnupgTried::Wished(now));
        }
    };
    record.change(&io, origin, wished).await
}

/// What a person is told of it; `None` where the policy names no host.
pub(super) fn view(scene: &Scene<'_>, record: &AccountRecord) -> Option<GnupgView> {
    scene.setup.policy.restore.as_ref()?.gnupg_host.as_ref()?;
    let problem = match record.devices.get(&scene.setup.device_id)?.gnupg {
        Some(GnupgTried::Failed(code)) => Some(code),
        // The browser ended, and GnuPG with it.
        Some(GnupgTried::Asked) => Some(Code::GpgDied),
        Some(GnupgTried::Wished(_) | GnupgTried::Opened) | None => None,
    };
    Some(GnupgView { problem })
}

/// May GnuPG be asked now?
pub(super) fn may_be_asked(scene: &Scene<'_>, record: &AccountRecord, silent: bool) -> bool {
    let Some(device) = record.devices.get(&scene.setup.device_id) else { return false };
    let in_time = |since| !silent || scene.io.now().since(since) <= READ_WINDOW;
    let again = match device.gnupg {
        // Nobody was asked anything.
        None | Some(GnupgTried::Failed(Code::GpgNoHost | Code::GpgPermission)) => in_time(device.since),
        Some(GnupgTried::Wished(at)) => in_time(at),
        Some(GnupgTried::Asked | GnupgTried::Opened | GnupgTried::Failed(_)) => false,
    };
    again && view(scene, record).is_some()
}

/// Has GnuPG open the sealed recovery; `None` where that gives no recovery key of this account's, and the record says why.
pub(super) async fn open(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    found: &Found,
    message: &str,
) -> Result<Option<Fitting>, End> {
    note(scene, record, GnupgTried::Asked).await?;
    let opened = match crate::gnupg::decrypt(scene.io, message).await {
        Ok(text) => open::fitting(scene, found, &text).map_err(|error: GivenError| error.code()),
        Err(error) => Err(error.code()),
    };
    if let Err(code) = &opened {
        note(scene, record, GnupgTried::Failed(*code)).await?;
    }
    Ok(opened.ok())
}

/// Puts into the record what became of it.
pub(super) async fn note(scene: &Scene<'_>, record: &mut AccountRecord, tried: GnupgTried) -> Result<(), RecordError> {
    let device = &scene.setup.device_id;
    let noted = |record: &mut AccountRecord| {
        if let Some(device) = record.devices.get_mut(device) {
            device.gnupg = Some(tried);
        }
    };
    record.change(scene.io, &scene.setup.origin, noted).await
}
