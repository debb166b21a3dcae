//! The audit trail of one's own devices: every one that was ever seen, since when, with which key, and who vouches for it.

use serde::{Deserialize, Serialize};

use super::{
    book::Book,
    record::{DevicePin, Standing},
};
use crate::{ident::DeviceId, identity::PublicKey, time::UnixMillis};

/// One of the owner's devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnDevice {
    /// Its id.
    pub id: DeviceId,
    /// What it signs with.
    pub key: PublicKey,
    /// When it was first seen.
    pub first_seen: UnixMillis,
    /// The homeserver has it still.
    pub present: bool,
    /// Who vouches for it.
    pub standing: Standing,
}

impl Book {
    /// The owner's devices, the newest first.
    #[must_use]
    pub fn own_devices(&self) -> Vec<OwnDevice> {
        let own = |(id, pin): (&DeviceId, &DevicePin)| OwnDevice {
            id: id.clone(),
            key: pin.now().ed25519,
            first_seen: pin.first_seen,
            present: pin.present,
            standing: pin.standing,
        };
        let mut devices: Vec<_> =
            self.records.get(self.owner()).into_iter().flat_map(|record| record.devices.iter().map(own)).collect();
        devices.sort_by_key(|device| std::cmp::Reverse((device.present, device.first_seen)));
        devices
    }
}
