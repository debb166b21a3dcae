//! What is kept of one person: what was first seen, what changed since, and what was decided.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    device::{AgreementKey, DeviceKeyPair},
    shared::{Decided, Sight},
    verdict::{Trust, Verdict},
};
use crate::{
    bootstrap::record::RecordError,
    ident::{DeviceId, Origin, UserId},
    identity::PublicKey,
    policy::{Pins, UnsignedDevices},
    sorted::SortedMap,
    time::UnixMillis,
    versioned,
};

/// The identity that a person's devices are measured by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedIdentity {
    /// The master key.
    pub master: PublicKey,
    /// Since when it is pinned in this browser.
    pub since: UnixMillis,
    /// The security code was compared.
    pub compared: bool,
}

/// Why a device may have room keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The pinned identity signed these keys.
    Vouched,
    /// It may not, unless the policy lets unsigned devices have them.
    Unvouched,
    /// The person accepted these keys.
    Accepted,
}

/// A change that was not accepted, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Change {
    /// What changed.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// When that was seen.
    pub at: UnixMillis,
}

impl TryFrom<Value> for Change {
    type Error = serde_json::Error;

    fn try_from(mut change: Value) -> Result<Self, Self::Error> {
        let at = change.as_object_mut().and_then(|change| change.remove("at")).unwrap_or_default();
        Ok(Self { at: serde_json::from_value(at)?, verdict: serde_json::from_value(change)? })
    }
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevicePin {
    /// Its keys as they were first seen, or accepted since.
    pub keys: DeviceKeyPair,
    /// When it was first seen.
    pub first_seen: UnixMillis,
    /// It was in the last answer that had devices of the person.
    pub present: bool,
    /// Why it may have room keys.
    pub standing: Standing,
    /// What changed.
    pub change: Option<Change>,
    /// The keys it is said to have now, where they are others.
    pub offered: Option<Offered>,
    /// It was asked for again, and nobody vouches for it still: that is told.
    pub stays: bool,
}

/// Other keys of a known device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// The keys.
    pub keys: DeviceKeyPair,
    /// Why they may have room keys: what speaks for the keys before says nothing of these.
    pub standing: Standing,
}

/// What the person accepted last, for a decision that is withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acceptance {
    /// Another identity, or none.
    Identity,
    /// These devices.
    Devices(BTreeSet<DeviceId>),
}

/// What is known of one person. Kept through logout; nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRecord {
    /// The person.
    pub user_id: UserId,
    /// When the person was first seen.
    pub first_seen: UnixMillis,
    /// The pinned identity; `None` for somebody who has none.
    pub identity: Option<PinnedIdentity>,
    /// The one before: what the next is compared with where there is none now.
    pub previous: Option<PinnedIdentity>,
    /// What was accepted last.
    pub accepted: Option<Acceptance>,
    /// The first identity that was seen of the person, here or in another browser of the owner's.
    #[serde(default)]
    pub sight: Option<Sight>,
    /// What was decided last about the identity, here or in another browser of the owner's.
    #[serde(default)]
    pub decided: Option<Decided>,
    /// The identity is known from another browser, and nobody looked at the person here since: of the devices nothing is
    /// said until then.
    #[serde(default)]
    pub unseen: bool,
    /// Of the owner of the pins: the identity that this browser has proven, and which the record was begun with.
    pub proven: Option<PublicKey>,
    /// What changed of the identity.
    pub change: Option<Change>,
    /// Nobody wrote to this person yet since the identity is known.
    #[serde(default)]
    pub unmet: bool,
    /// The person is told since then that this one is new in a room in use.
    #[serde(default)]
    pub newcomer: Option<UnixMillis>,
    /// The devices, those that vanished as well.
    pub devices: SortedMap<DeviceId, DevicePin>,
    /// Devices that were not given a room key, and when that was last so: they need a new one once they may have it.
    pub withheld: SortedMap<DeviceId, UnixMillis>,
    /// The person was told and wants it to stay so: nothing is shown until something else changes.
    pub quiet: bool,
    /// The hash of what was last answered of this person.
    pub answer: String,
    /// The number of the last entry of the log about this person.
    pub entry: u64,
}

impl DevicePin {
    /// Is it there, and nobody vouches for it?
    #[must_use]
    pub fn is_unsigned(&self) -> bool {
        self.present && self.standing == Standing::Unvouched
    }

    /// The keys that it is said to have now.
    #[must_use]
    pub fn now(&self) -> &DeviceKeyPair {
        self.offered.as_ref().map_or(&self.keys, |offered| &offered.keys)
    }
}

impl PeerRecord {
    /// Of somebody who was never seen.
    #[must_use]
    pub fn new(user_id: UserId, now: UnixMillis) -> Self {
        Self {
            user_id,
            first_seen: now,
            identity: None,
            previous: None,
            accepted: None,
            sight: None,
            decided: None,
            unseen: false,
            proven: None,
            change: None,
            unmet: true,
            newcomer: None,
            devices: SortedMap::new(),
            withheld: SortedMap::new(),
            quiet: false,
            answer: String::new(),
            entry: 0,
        }
    }

    /// The store's key: one record for each person that an account of a deployment writes to.
    #[must_use]
    pub fn store_key(origin: &Origin, owner: &UserId, peer: &UserId) -> String {
        format!("pin|{}|{}|{}", origin.as_str(), owner.as_str(), peer.as_str())
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`RecordError::Unreadable`] where it is damaged or of a newer version.
    pub fn parse(text: &str) -> Result<Self, RecordError> {
        versioned::read(text).ok_or(RecordError::Unreadable)
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`RecordError::Unreadable`], which does not happen.
    pub fn to_text(&self) -> Result<String, RecordError> {
        versioned::write(self).ok_or(RecordError::Unreadable)
    }

    /// What was trusted of the person.
    #[must_use]
    pub fn trust(&self) -> Trust {
        match self.identity.as_ref().or(self.previous.as_ref()) {
            None => Trust::None,
            Some(PinnedIdentity { compared: false, .. }) => Trust::Pinned,
            Some(PinnedIdentity { compared: true, .. }) => Trust::Compared,
        }
    }

    /// The first identity that another browser of the owner's saw, before this one saw the pinned one, where nobody has
    /// decided between the two. Neither is anything but a homeserver's word then: both are held back.
    #[must_use]
    pub fn contested_by(&self) -> Option<PublicKey> {
        let pinned = self.identity.as_ref().filter(|_| self.decided.is_none() && self.proven.is_none())?;
        self.sight.map(|sight| sight.master).filter(|master| *master != pinned.master)
    }

    /// Pins what takes another identity's place.
    pub(super) fn succeed(&mut self, old: PublicKey, pinned: PinnedIdentity) {
        let (master, since) = (pinned.master, pinned.since);
        let before = self.identity.replace(pinned).filter(|before| before.master != master);
        // Of two that were contested the pinned one may be the right one.
        let contested = || (old != master).then_some(PinnedIdentity { master: old, since, compared: false });
        self.previous = before.or(self.previous.take()).or_else(contested);
        self.accepted = None;
        self.demote();
    }

    /// May a room key that is encrypted to this key go to this device?
    #[must_use]
    pub fn passes(&self, device: &DeviceId, key: &AgreementKey, pins: &Pins) -> bool {
        let holds = |change: &Option<Change>| change.as_ref().is_some_and(|change| change.verdict.holds(pins));
        let Some(pin) = self.devices.get(device) else { return false };
        if holds(&self.change) || holds(&pin.change) {
            return false;
        }
        // A change that the policy only warns of goes with the keys that changed.
        let offered = pin.offered.as_ref().filter(|offered| offered.keys.curve25519 == *key);
        let standing = match offered {
            Some(offered) => offered.standing,
            None if pin.keys.curve25519 == *key => pin.standing,
            None => return false,
        };
        match standing {
            Standing::Vouched | Standing::Accepted => true,
            Standing::Unvouched => pins.unsigned_devices.unwrap_or_default() != UnsignedDevices::Hold,
        }
    }

    /// Is there nothing that something may have to be said of?
    #[must_use]
    pub fn is_calm(&self) -> bool {
        let calm = |pin: &DevicePin| pin.change.is_none() && !(pin.stays && pin.is_unsigned());
        self.change.is_none()
            && self.newcomer.is_none()
            && self.withheld.is_empty()
            && self.unsettled().next().is_none()
            && self.devices.values().all(calm)
    }

    /// The devices that were not given a room key and may have it now.
    #[must_use]
    pub fn released(&self, pins: &Pins) -> BTreeSet<DeviceId> {
        let passes =
            |id: &DeviceId| self.devices.get(id).is_some_and(|pin| self.passes(id, &pin.now().curve25519, pins));
        self.withheld.keys().filter(|id| passes(id)).cloned().collect()
    }

    /// The devices that may have room keys.
    #[must_use]
    pub fn passing(&self, pins: &Pins) -> BTreeSet<DeviceId> {
        let passes = |(id, pin): &(&DeviceId, &DevicePin)| self.passes(id, &pin.now().curve25519, pins);
        self.devices.iter().filter(passes).map(|(id, _)| id.clone()).collect()
    }
}
