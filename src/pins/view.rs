//! What a person is shown of others' changes.

use serde::{Deserialize, Serialize};

use super::{
    book::Book,
    decide::{Decision, Shown},
    gate,
    log::Entry,
    record::PeerRecord,
    verdict::{Severity, Verdict},
};
use crate::{
    bootstrap::record::RecordError,
    effect::Io,
    error::{Code, Coded},
    ident::{DeviceId, UserId},
    identity::{PublicKey, shared_security_code},
    matrix::homeserver::Stop,
    policy::Pins,
    time::UnixMillis,
};

/// One person of whom something is to be said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonView {
    /// Who.
    pub user_id: UserId,
    /// What, in a word.
    pub code: Code,
    /// How loudly.
    pub severity: Severity,
    /// Since when.
    pub since: UnixMillis,
    /// Room keys are held back.
    pub held: bool,
    /// Can it be accepted?
    pub acceptable: bool,
    /// The security code with the pinned identity.
    pub old_code: Option<String>,
    /// The security code with the published one.
    pub new_code: Option<String>,
    /// What is asked.
    pub shown: Shown,
}

impl Book {
    /// The people of whom something is to be said, the loudest first.
    #[must_use]
    pub fn people(&self, pins: &Pins) -> Vec<PersonView> {
        let own = self.records.get(self.owner()).and_then(|record| record.identity.as_ref()).map(|own| own.master);
        let people = self.open.iter().filter(|user| !pins.exempt.contains(user));
        let mut views: Vec<_> =
            people.filter_map(|user| self.view(self.records.get(user)?, own.as_ref(), pins)).collect();
        views.sort_by_key(|view| std::cmp::Reverse(view.severity));
        views
    }

    /// What happened with a person, the oldest first.
    #[must_use]
    pub fn history(&self, user: &UserId) -> Vec<Entry> {
        self.log.of(user)
    }

    fn view(&self, record: &PeerRecord, own: Option<&PublicKey>, pins: &Pins) -> Option<PersonView> {
        let shown = record.shown();
        let unseen = |id: &&DeviceId| !record.devices.contains_key(id);
        let device = |id: &DeviceId| {
            let pin = record.devices.get(id)?;
            let unvouched = || (Verdict::DeviceUnvouched { device: id.clone() }, record.withheld.get(id).copied());
            let change = pin.change.as_ref().map(|change| (change.verdict.clone(), Some(change.at)));
            Some(change.unwrap_or_else(unvouched))
        };
        let unknown = record.withheld.iter().find(|(id, _)| unseen(id));
        let unknown = unknown.map(|(id, at)| (Verdict::DeviceUnvouched { device: id.clone() }, Some(*at)));
        let identity = record.change.as_ref().map(|change| (change.verdict.clone(), Some(change.at)));
        let (verdict, since) = identity.or_else(|| shown.devices.keys().find_map(device)).or(unknown)?;
        if record.quiet {
            return None;
        }
        let code = |master: &PublicKey| {
            let own = own.filter(|_| record.user_id != *self.owner());
            own.map(|own| shared_security_code((self.owner(), own), (&record.user_id, master)))
        };
        let new = match &verdict {
            Verdict::MasterChanged { new, .. } => Some(new),
            _ => None,
        };
        let invalid =
            matches!(shown.identity.as_deref(), Some(Verdict::Malformed { .. } | Verdict::SignatureInvalid { .. }));
        Some(PersonView {
            user_id: record.user_id.clone(),
            code: verdict.code(),
            severity: verdict.severity(record.trust()),
            since: since.unwrap_or(record.first_seen),
            held: verdict.holds(pins),
            acceptable: !invalid && (shown.identity.is_some() || !shown.devices.is_empty()),
            old_code: record.identity.as_ref().and_then(|pinned| code(&pinned.master)),
            new_code: new.and_then(code),
            shown,
        })
    }
}

/// Carries out a decision: the pin is changed, the person's keys are asked for again, and the next message of every room
/// goes to whom it may go now.
///
/// # Errors
/// [`Stop`]; the decision may have been kept nevertheless where only the homeserver did not answer.
pub async fn decide(io: &Io, book: &mut Book, pins: &Pins, peer: &UserId, decision: &Decision) -> Result<(), Stop> {
    book.decide(io, peer, decision).await?;
    match decision {
        Decision::KeepHolding | Decision::AskAgain => return Ok(()),
        Decision::Accept { .. } | Decision::Withdraw => {}
    }
    let queried = gate::query(io, book, pins, &std::iter::once(peer.clone()).collect()).await;
    book.release(io, pins).await.map_err(|error: RecordError| Stop::from(error))?;
    queried
}
