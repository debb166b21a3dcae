//! Step 2, taken while the client is still coming up: the directory is asked then, and not when the person waits.
//!
//! Threat: what was found out for one login is used for another, or after something has come up against it. So all that
//! [`recipients::choose`] rests on is kept with it, and must be the same when it is used; and nobody is asked about an
//! account that the run would leave alone.

use std::time::Duration;

use super::{
    Scene, Setup, look,
    pair::Typed,
    pause::{self, Flow},
    recipients::{self, Chosen},
    record::{AccountRecord, DeviceSeen},
};
use crate::{
    effect::Io,
    ident::{DeviceId, Fingerprint, UserId},
    matrix::homeserver::Homeserver,
    policy::Policy,
    status::Progress,
    time::UnixMillis,
};

/// How old it may be when it is used: a revocation is not overlooked for longer.
const FRESH: Duration = Duration::from_secs(60);

/// Who may open the sealed recovery of an account, found out at this login and by this policy.
pub struct Ahead {
    user_id: UserId,
    device_id: DeviceId,
    policy: Policy,
    at: UnixMillis,
    /// This login, as the record knows it: what was typed, who was confirmed or refused.
    login: Option<Login>,
    /// Certificates that were seen revoked.
    revoked: Vec<Fingerprint>,
    chosen: Chosen,
}

/// What a login says of who the person is.
#[derive(PartialEq, Eq)]
struct Login {
    since: UnixMillis,
    typed: Typed,
    confirmed: Vec<Fingerprint>,
    refused: Vec<Fingerprint>,
}

impl Login {
    fn of(record: &AccountRecord, device_id: &DeviceId) -> Option<Self> {
        let DeviceSeen { since, typed, confirmed, refused, .. } = record.devices.get(device_id)?.clone();
        Some(Self { since, typed, confirmed, refused })
    }
}

/// Finds out who may open the sealed recovery, for a run that begins in a moment. `None` where this browser has a key of
/// the account's, and where that run has to look for itself: nobody is asked about anything here.
pub async fn ahead(io: Io, setup: Setup) -> Option<Ahead> {
    let scene = Scene { io: &io, setup: &setup, homeserver: Homeserver::new(&io) };
    let mut record = AccountRecord::load(&io, &setup.origin, &setup.user_id).await.ok()?;
    if !record.is_untouched() || pause::is_held(&scene, Flow::SetUp).await || !look::is_open(&scene).await {
        return None;
    }
    let at = io.now();
    let chosen = recipients::choose(&scene, &mut record, &mut Progress::default()).await.ok()?;
    let Setup { user_id, device_id, policy, .. } = setup;
    let login = Login::of(&record, &device_id);
    let revoked = record.revoked;
    matches!(chosen, Chosen::Sealed(_)).then_some(Ahead { user_id, device_id, policy, at, login, revoked, chosen })
}

impl Ahead {
    /// The recipients, where they were found for this run.
    pub(super) fn chosen(self, scene: &Scene<'_>, record: &AccountRecord) -> Option<Chosen> {
        let Self { user_id, device_id, policy, at, login, revoked, chosen } = self;
        let Setup { user_id: user, device_id: device, policy: now, .. } = scene.setup;
        let same = login == Login::of(record, &device_id) && revoked == record.revoked;
        let fits = same && user_id == *user && device_id == *device && policy == *now;
        let fresh = at <= scene.io.now() && scene.io.now().since(at) <= FRESH;
        (fits && fresh).then_some(chosen)
    }
}
