//! What a person decides about a change, and what it does to the pin.

use serde::{Deserialize, Serialize};

use super::{
    record::{Acceptance, DevicePin, PeerRecord, PinnedIdentity, Standing},
    shared::Outcome,
    verdict::Verdict,
};
use crate::{
    error::{Code, Coded},
    ident::DeviceId,
    identity::PublicKey,
    sorted::SortedMap,
    time::UnixMillis,
};

/// What a person decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case", try_from = "Fields")]
pub enum Decision {
    /// What was shown is right: the identity, if that changed; else these devices with these keys.
    Accept {
        /// What was shown; what has changed since is not accepted.
        shown: Shown,
        /// Two people compared the security code.
        compared: bool,
    },
    /// It stays as it is, and nothing more is said.
    KeepHolding,
    /// It is to be shown again.
    AskAgain,
    /// The last acceptance was a mistake.
    Withdraw,
}

/// A decision as it is read.
#[derive(Deserialize)]
struct Fields {
    decision: String,
    shown: Option<Shown>,
    compared: Option<bool>,
}

impl TryFrom<Fields> for Decision {
    type Error = &'static str;

    fn try_from(Fields { decision, shown, compared }: Fields) -> Result<Self, Self::Error> {
        match (&*decision, shown, compared) {
            ("accept", Some(shown), Some(compared)) => Ok(Self::Accept { shown, compared }),
            ("keep_holding", ..) => Ok(Self::KeepHolding),
            ("ask_again", ..) => Ok(Self::AskAgain),
            ("withdraw", ..) => Ok(Self::Withdraw),
            _ => Err("no decision"),
        }
    }
}

/// What of a person is not as it was, as a question to somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// What changed of the identity.
    pub identity: Option<Box<Verdict>>,
    /// The devices that nobody vouches for, or that changed, with the key that they sign with.
    pub devices: SortedMap<DeviceId, PublicKey>,
}

/// Why a decision cannot be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecideError {
    /// Something else has changed since it was shown.
    #[error("something else has changed")]
    Changed,
    /// There is nothing that could be accepted: what is published is not valid.
    #[error("what is published is not valid")]
    Invalid,
    /// There is nothing to decide.
    #[error("nothing to decide")]
    Nothing,
}

impl Coded for DecideError {
    fn code(&self) -> Code {
        match self {
            Self::Changed | Self::Nothing => Code::PinChanged,
            Self::Invalid => Code::PinSignature,
        }
    }
}

impl PeerRecord {
    /// What somebody would be asked.
    #[must_use]
    pub fn shown(&self) -> Shown {
        let open = |(id, pin): (&DeviceId, &DevicePin)| {
            let told = pin.is_unsigned() && !self.unseen && (pin.stays || self.withheld.contains_key(id));
            (told || (pin.present && pin.change.is_some())).then(|| (id.clone(), pin.now().ed25519))
        };
        let devices: SortedMap<_, _> = self.devices.iter().filter_map(open).collect();
        let newcomer = self.newcomer.filter(|_| devices.is_empty()).and(self.identity.as_ref());
        let newcomer = newcomer.map(|pinned| Verdict::Newcomer { master: pinned.master });
        let identity = self.change.as_ref().map(|change| change.verdict.clone()).or(newcomer);
        Shown { identity: identity.map(Box::new), devices }
    }

    /// Carries a decision out. After an acceptance the person's keys are to be asked for again: the record no longer knows
    /// what was answered last.
    ///
    /// # Errors
    /// [`DecideError`]; then nothing is changed.
    pub fn decide(&mut self, decision: &Decision, now: UnixMillis) -> Result<(), DecideError> {
        self.remember();
        match decision {
            Decision::KeepHolding => {
                self.newcomer = None;
                self.quiet = true;
                let other = self.change.as_ref().map(|change| &change.verdict);
                let other = matches!(other, Some(Verdict::MasterChanged { .. } | Verdict::IdentityRemoved { .. }));
                // Where two are contested, that says nothing of which one is right.
                if other && self.contested_by().is_none() {
                    self.settle_on(Outcome::Kept, now);
                }
            }
            Decision::AskAgain => self.quiet = false,
            Decision::Accept { shown, compared } => self.accept(shown, *compared, now)?,
            Decision::Withdraw => self.withdraw(now)?,
        }
        Ok(())
    }

    fn accept(&mut self, shown: &Shown, compared: bool, now: UnixMillis) -> Result<(), DecideError> {
        if *shown != self.shown() {
            return Err(DecideError::Changed);
        }
        if shown.identity.is_none() && shown.devices.is_empty() {
            return Err(DecideError::Nothing);
        }
        match shown.identity.as_deref() {
            // A security code says who somebody is, and nothing of devices: the identity vouches for them, or they are
            // asked about for themselves.
            None => self.accept_devices(shown),
            Some(Verdict::Newcomer { .. }) => {
                if let Some(pinned) = &mut self.identity {
                    pinned.compared |= compared;
                }
            }
            Some(Verdict::Unlisted { master }) => {
                self.identity = Some(PinnedIdentity { master: *master, since: now, compared });
                self.accepted = Some(Acceptance::Identity);
            }
            Some(Verdict::StoreRolledBack) => self.accepted = None,
            Some(Verdict::MasterChanged { old, new }) => {
                self.succeed(*old, PinnedIdentity { master: *new, since: now, compared });
                self.accepted = Some(Acceptance::Identity);
            }
            Some(Verdict::IdentityRemoved { .. }) => {
                self.previous = self.identity.take();
                self.accepted = Some(Acceptance::Identity);
                self.demote();
            }
            Some(_) => return Err(DecideError::Invalid),
        }
        // Whoever was accepted was looked at.
        (self.change, self.newcomer) = (None, None);
        self.quiet = false;
        self.answer.clear();
        let looked_at = matches!(shown.identity.as_deref(), Some(Verdict::Newcomer { .. }));
        let lost = matches!(shown.identity.as_deref(), None | Some(Verdict::StoreRolledBack));
        if !lost && (compared || !looked_at) {
            self.settle_on(Outcome::Accepted, now);
        }
        Ok(())
    }

    fn accept_devices(&mut self, shown: &Shown) {
        for id in shown.devices.keys() {
            let Some(pin) = self.devices.get_mut(id) else { continue };
            if let Some(offered) = pin.offered.take() {
                pin.keys = offered.keys;
            }
            pin.standing = Standing::Accepted;
            pin.change = None;
        }
        self.accepted = Some(Acceptance::Devices(shown.devices.keys().cloned().collect()));
    }

    fn withdraw(&mut self, now: UnixMillis) -> Result<(), DecideError> {
        match self.accepted.take().ok_or(DecideError::Nothing)? {
            Acceptance::Identity => {
                self.identity = self.previous.take();
                self.demote();
                self.settle_on(Outcome::Withdrawn, now);
            }
            Acceptance::Devices(ids) => {
                let accepted =
                    |(id, pin): &(&DeviceId, &mut DevicePin)| ids.contains(*id) && pin.standing == Standing::Accepted;
                for (_, pin) in self.devices.iter_mut().filter(accepted) {
                    pin.standing = Standing::Unvouched;
                }
            }
        }
        self.quiet = false;
        self.answer.clear();
        Ok(())
    }

    /// Whom the identity before vouched for says nothing of this one.
    pub(super) fn demote(&mut self) {
        for pin in self.devices.values_mut().filter(|pin| pin.standing == Standing::Vouched) {
            pin.standing = Standing::Unvouched;
        }
    }
}
