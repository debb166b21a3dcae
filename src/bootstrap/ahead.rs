//! Step 2, taken while the client is still coming up: the directory is asked then, and not when the person waits.

use std::time::Duration;

use super::{
    Scene, Setup,
    recipients::{self, Chosen},
    record::AccountRecord,
};
use crate::{
    effect::Io,
    ident::{DeviceId, UserId},
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
    chosen: Chosen,
}

/// Finds out who may open the sealed recovery, for a run that begins in a moment. `None` where this browser has a key of
/// the account's, and where that run has to look for itself: nobody is asked about anything here.
pub async fn ahead(io: Io, setup: Setup) -> Option<Ahead> {
    let scene = Scene { io: &io, setup: &setup, homeserver: Homeserver::new(&io) };
    let mut record = AccountRecord::load(&io, &setup.origin, &setup.user_id).await.ok()?;
    if !record.keys.is_empty() {
        return None;
    }
    let at = io.now();
    let chosen = recipients::choose(&scene, &mut record, &mut Progress::default()).await.ok()?;
    let Setup { user_id, device_id, policy, .. } = setup;
    matches!(chosen, Chosen::Sealed(_)).then_some(Ahead { user_id, device_id, policy, at, chosen })
}

impl Ahead {
    /// The recipients, where they were found for this run.
    pub(super) fn chosen(self, scene: &Scene<'_>) -> Option<Chosen> {
        let Self { user_id, device_id, policy, at, chosen } = self;
        let Setup { user_id: user, device_id: device, policy: now, .. } = scene.setup;
        let fits = user_id == *user && device_id == *device && policy == *now;
        let fresh = at <= scene.io.now() && scene.io.now().since(at) <= FRESH;
        (fits && fresh).then_some(chosen)
    }
}
