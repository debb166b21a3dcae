//! What an observation means against its pin.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Code, Coded},
    ident::DeviceId,
    identity::PublicKey,
    policy::{FirstContact, OnChange, Pins, UnsignedDevices},
};

/// What an answer to a keys query means for one person, against what was known of that person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case", try_from = "Fields")]
pub enum Verdict {
    /// An identity where none was known: pinned.
    FirstContact {
        /// The master key.
        master: PublicKey,
    },
    /// The same, of somebody who would receive the keys of a room in use.
    Newcomer {
        /// The master key.
        master: PublicKey,
    },
    /// An identity where none was known, of somebody whom the roster does not have, or has with another one.
    Unlisted {
        /// The master key.
        master: PublicKey,
    },
    /// The person has another identity, and the roster says so: accepted.
    Reset {
        /// The pinned master key.
        old: PublicKey,
        /// The published one.
        new: PublicKey,
    },
    /// Byte for byte as it was.
    Unchanged,
    /// A device that the pinned identity vouches for.
    DeviceVouched {
        /// Which.
        device: DeviceId,
    },
    /// A device that nobody vouches for, or whom nobody pinned.
    DeviceUnvouched {
        /// Which.
        device: DeviceId,
    },
    /// A known device has other keys.
    DeviceKeyChanged {
        /// Which.
        device: DeviceId,
        /// What it signed with.
        old: PublicKey,
        /// What it is said to sign with.
        new: PublicKey,
    },
    /// The person has another identity.
    MasterChanged {
        /// The pinned master key.
        old: PublicKey,
        /// The published one.
        new: PublicKey,
    },
    /// The person's identity is gone, devices are there.
    IdentityRemoved {
        /// The pinned master key.
        old: PublicKey,
    },
    /// A signature does not fit.
    SignatureInvalid {
        /// Where in the answer.
        path: String,
    },
    /// The pinned identity vouched for a device, and is not said to do so any more.
    NoLongerVouched {
        /// Which.
        device: DeviceId,
    },
    /// The record of this person is older than the log of what happened to it, or the other way round.
    StoreRolledBack,
    /// A part of the answer cannot be understood.
    Malformed {
        /// Where in the answer.
        path: String,
    },
}

/// A verdict as it is read: one set of fields for all, which is a tenth of the code that one for each takes.
#[derive(Deserialize)]
struct Fields {
    verdict: String,
    master: Option<PublicKey>,
    old: Option<PublicKey>,
    new: Option<PublicKey>,
    device: Option<DeviceId>,
    path: Option<String>,
}

impl TryFrom<Fields> for Verdict {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        let Fields { verdict, master, old, new, device, path } = fields;
        let read = || {
            Some(match &*verdict {
                "first_contact" => Self::FirstContact { master: master? },
                "newcomer" => Self::Newcomer { master: master? },
                "unlisted" => Self::Unlisted { master: master? },
                "reset" => Self::Reset { old: old?, new: new? },
                "unchanged" => Self::Unchanged,
                "device_vouched" => Self::DeviceVouched { device: device? },
                "device_unvouched" => Self::DeviceUnvouched { device: device? },
                "device_key_changed" => Self::DeviceKeyChanged { device: device?, old: old?, new: new? },
                "master_changed" => Self::MasterChanged { old: old?, new: new? },
                "identity_removed" => Self::IdentityRemoved { old: old? },
                "signature_invalid" => Self::SignatureInvalid { path: path? },
                "no_longer_vouched" => Self::NoLongerVouched { device: device? },
                "store_rolled_back" => Self::StoreRolledBack,
                "malformed" => Self::Malformed { path: path? },
                _ => return None,
            })
        };
        read().ok_or("no verdict")
    }
}

/// What was trusted of a person before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Nothing.
    #[default]
    None,
    /// An identity, because it was the first.
    Pinned,
    /// An identity whose security code two people have compared.
    Compared,
}

/// How loudly a verdict is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Not at all.
    Silent,
    /// For information.
    Notice,
    /// In the room.
    Warning,
    /// In the room, in the extension's own pages and on its button: a page can hide what is drawn in it.
    Critical,
}

impl Verdict {
    /// How loudly it is said, by what was trusted before.
    #[must_use]
    pub const fn severity(&self, before: Trust) -> Severity {
        match (self, before) {
            (Self::FirstContact { .. } | Self::Reset { .. } | Self::Unchanged | Self::DeviceVouched { .. }, _) => {
                Severity::Silent
            }
            (Self::Newcomer { .. }, _) => Severity::Notice,
            (Self::DeviceKeyChanged { .. } | Self::SignatureInvalid { .. } | Self::StoreRolledBack, _)
            | (
                Self::MasterChanged { .. } | Self::IdentityRemoved { .. } | Self::NoLongerVouched { .. },
                Trust::Compared,
            )
            | (Self::DeviceUnvouched { .. }, Trust::Compared) => Severity::Critical,
            (Self::MasterChanged { .. } | Self::IdentityRemoved { .. } | Self::NoLongerVouched { .. }, _)
            | (Self::Unlisted { .. } | Self::DeviceUnvouched { .. } | Self::Malformed { .. }, _) => Severity::Warning,
        }
    }

    /// Is a room key held back because of it?
    #[must_use]
    pub fn holds(&self, pins: &Pins) -> bool {
        match self {
            Self::FirstContact { .. }
            | Self::Newcomer { .. }
            | Self::Reset { .. }
            | Self::Unchanged
            | Self::DeviceVouched { .. } => false,
            Self::Unlisted { .. } => pins.first_contact == Some(FirstContact::Roster),
            Self::DeviceUnvouched { .. } => pins.unsigned_devices.unwrap_or_default() == UnsignedDevices::Hold,
            Self::DeviceKeyChanged { .. }
            | Self::MasterChanged { .. }
            | Self::IdentityRemoved { .. }
            | Self::SignatureInvalid { .. }
            | Self::NoLongerVouched { .. }
            | Self::StoreRolledBack
            | Self::Malformed { .. } => pins.on_change.unwrap_or_default() == OnChange::Hold,
        }
    }
}

impl Coded for Verdict {
    fn code(&self) -> Code {
        match self {
            Self::FirstContact { .. } | Self::Unchanged | Self::DeviceVouched { .. } => Code::PinFirst,
            Self::Newcomer { .. } => Code::PinNewcomer,
            Self::Unlisted { .. } => Code::PinRoster,
            Self::Reset { .. } => Code::PinReset,
            Self::DeviceUnvouched { .. } => Code::PinDevice,
            Self::DeviceKeyChanged { .. } => Code::PinDeviceKey,
            Self::MasterChanged { .. } => Code::PinIdentity,
            Self::IdentityRemoved { .. } => Code::PinRemoved,
            Self::SignatureInvalid { .. } => Code::PinSignature,
            Self::NoLongerVouched { .. } => Code::PinVouched,
            Self::StoreRolledBack => Code::PinRollback,
            Self::Malformed { .. } => Code::PinMalformed,
        }
    }
}
