//! What a person decides about a change, and what it does to the pin.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    record::{PeerRecord, PinnedIdentity, Standing},
    verdict::Verdict,
};
use crate::{
    error::{Code, Coded},
    ident::DeviceId,
    identity::PublicKey,
    time::UnixMillis,
};

/// What a person decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
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

/// What of a person is not as it was, as a question to somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// What changed of the identity.
    pub identity: Option<Box<Verdict>>,
    /// The devices that have no room keys, with the key that they sign with.
    pub devices: BTreeMap<DeviceId, PublicKey>,
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
        let open = |(id, pin): (&DeviceId, &super::DevicePin)| {
            let held = pin.standing == Standing::Unvouched && self.withheld.contains_key(id);
            (pin.present && (pin.change.is_some() || held))
                .then(|| (id.clone(), pin.offered.as_ref().unwrap_or(&pin.keys).ed25519))
        };
        let devices = self.devices.iter().filter_map(open).collect();
        Shown { identity: self.change.as_ref().map(|change| Box::new(change.verdict.clone())), devices }
    }

    /// Carries a decision out. After an acceptance the person's keys are to be asked for again: the record no longer knows
    /// what was answered last.
    ///
    /// # Errors
    /// [`DecideError`]; then nothing is changed.
    pub fn decide(&mut self, decision: &Decision, now: UnixMillis) -> Result<(), DecideError> {
        match decision {
            Decision::KeepHolding => self.quiet = true,
            Decision::AskAgain => self.quiet = false,
            Decision::Accept { shown, compared } => self.accept(shown, *compared, now)?,
            Decision::Withdraw => self.withdraw()?,
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
            None | Some(Verdict::StoreRolledBack) => {}
            Some(Verdict::MasterChanged { new, .. }) => {
                self.previous = self.identity.replace(PinnedIdentity { master: *new, since: now, compared });
                // Whom the identity before vouched for says nothing of this one.
                self.demote(Standing::Unvouched);
            }
            Some(Verdict::IdentityRemoved { .. }) => {
                self.previous = self.identity.take();
                self.demote(Standing::Accepted);
            }
            Some(_) => return Err(DecideError::Invalid),
        }
        self.change = None;
        // A security code says who somebody is, and nothing of devices: the identity vouches for them, or they are asked about.
        let devices = shown.devices.keys().filter(|_| shown.identity.is_none());
        for id in devices {
            let Some(pin) = self.devices.get_mut(id) else { continue };
            pin.keys = pin.offered.take().unwrap_or_else(|| pin.keys.clone());
            pin.standing = Standing::Accepted;
            pin.change = None;
        }
        if let Some(identity) = &mut self.identity {
            identity.compared |= compared;
        }
        self.quiet = false;
        self.answer.clear();
        Ok(())
    }

    fn withdraw(&mut self) -> Result<(), DecideError> {
        let accepted = self.devices.values().any(|pin| pin.standing == Standing::Accepted);
        if self.previous.is_none() && !accepted {
            return Err(DecideError::Nothing);
        }
        if let Some(previous) = self.previous.take() {
            self.identity = Some(previous);
        }
        self.demote(Standing::Unvouched);
        for pin in self.devices.values_mut().filter(|pin| pin.standing == Standing::Accepted) {
            pin.standing = Standing::Unvouched;
        }
        self.quiet = false;
        self.answer.clear();
        Ok(())
    }

    fn demote(&mut self, to: Standing) {
        for pin in self.devices.values_mut().filter(|pin| pin.standing == Standing::Vouched) {
            pin.standing = to;
        }
    }
}
