//! What a person is shown of others' changes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    book::Book,
    decide::{Decision, Shown},
    gate,
    log::{Entry, What},
    record::PeerRecord,
    shared::Outcome,
    verdict::{Severity, Verdict},
};
use crate::{
    bootstrap::record::RecordError,
    effect::Io,
    error::{Code, Coded},
    ident::{DeviceId, UserId},
    identity::{PublicKey, shared_security_code},
    matrix::homeserver::Stop,
    policy::{Pins, UnsignedDevices},
    time::UnixMillis,
};

/// How much of what happened is shown.
const MAX_LINES: usize = 20;

/// One line of what happened with a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryLine {
    /// When.
    pub at: UnixMillis,
    /// What.
    pub what: Happened,
}

/// What happened with a person, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    /// This was seen.
    Seen(Code),
    /// It was accepted.
    Accepted,
    /// It was accepted after the security code was compared.
    Compared,
    /// It was to stay held back.
    Kept,
    /// It was to be shown again.
    Asked,
    /// An acceptance was withdrawn.
    Withdrawn,
    /// It was seen in another browser before.
    SeenElsewhere,
    /// It was accepted in another browser.
    AcceptedElsewhere,
    /// The same, after the security code was compared.
    ComparedElsewhere,
    /// It was to stay held back, in another browser.
    KeptElsewhere,
    /// An acceptance was withdrawn in another browser.
    WithdrawnElsewhere,
    /// The organisation's list of people named it, in another browser.
    ResetElsewhere,
    /// Room keys were held back.
    Withheld,
    /// New ones are not held back any more.
    Released,
}

impl From<&What> for Happened {
    fn from(what: &What) -> Self {
        match what {
            What::Seen(verdict) => Self::Seen(verdict.code()),
            What::Decided(Decision::Accept { compared: true, .. }) => Self::Compared,
            What::Decided(Decision::Accept { compared: false, .. }) => Self::Accepted,
            What::Decided(Decision::KeepHolding) => Self::Kept,
            What::Decided(Decision::AskAgain) => Self::Asked,
            What::Decided(Decision::Withdraw) => Self::Withdrawn,
            What::Elsewhere { decided: None, .. } => Self::SeenElsewhere,
            What::Elsewhere { decided: Some(decided), .. } => match decided.outcome {
                Outcome::Accepted if decided.compared => Self::ComparedElsewhere,
                Outcome::Accepted => Self::AcceptedElsewhere,
                Outcome::Kept => Self::KeptElsewhere,
                Outcome::Withdrawn => Self::WithdrawnElsewhere,
                Outcome::Reset => Self::ResetElsewhere,
            },
            What::Withheld { .. } => Self::Withheld,
            What::Released { .. } => Self::Released,
        }
    }
}

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
    /// The client wanted to send some that were.
    pub withheld: bool,
    /// Why the organisation's list of people has no word on it that could be used.
    pub roster: Option<Code>,
    /// Can it be accepted?
    pub acceptable: bool,
    /// The security code with the pinned identity.
    pub old_code: Option<String>,
    /// The security code with the published one.
    pub new_code: Option<String>,
    /// What is asked.
    pub shown: Shown,
    /// What happened with this person, the newest first.
    pub history: Vec<HistoryLine>,
}

impl Book {
    /// The people of whom something is to be said, the loudest first.
    #[must_use]
    pub fn people(&self, pins: &Pins) -> Vec<PersonView> {
        let own = self.own_master().copied();
        let people = self.open.iter().filter(|user| !pins.exempt.contains(user));
        let people = people.filter_map(|user| self.records.get(user)).filter(|record| !record.quiet);
        let mut views: Vec<_> = people.filter_map(|record| self.view(record, own.as_ref(), pins)).collect();
        views.sort_by_key(|view| std::cmp::Reverse(view.severity));
        views
    }

    /// What happened with a person, the oldest first.
    #[must_use]
    pub fn history(&self, user: &UserId) -> Vec<Entry> {
        self.log.of(user)
    }

    /// The last of it, in words.
    pub(super) fn lines(&self, user: &UserId) -> Vec<HistoryLine> {
        self.history(user).iter().rev().take(MAX_LINES).map(HistoryLine::from).collect()
    }

    /// What is to be said of somebody, also where the person wants to hear no more of it; `None` where that is nothing.
    pub(super) fn view(&self, record: &PeerRecord, own: Option<&PublicKey>, pins: &Pins) -> Option<PersonView> {
        let shown = record.shown();
        let unseen = |id: &&DeviceId| !record.devices.contains_key(id);
        // Of several, the loudest is said.
        let device = |id: &DeviceId| {
            let pin = record.devices.get(id)?;
            let since = record.withheld.get(id).copied().unwrap_or(pin.first_seen);
            let unvouched = || (Verdict::DeviceUnvouched { device: id.clone() }, Some(since));
            let change = pin.change.as_ref().map(|change| (change.verdict.clone(), Some(change.at)));
            Some(change.unwrap_or_else(unvouched))
        };
        let unknown = record.withheld.iter().find(|(id, _)| unseen(id) && !record.unseen);
        let unknown = unknown.map(|(id, at)| (Verdict::DeviceUnvouched { device: id.clone() }, Some(*at)));
        let identity = record.change.as_ref().map(|change| (change.verdict.clone(), Some(change.at)));
        let devices = shown.devices.keys().filter_map(device).rev();
        let devices = devices.max_by_key(|(verdict, _)| verdict.severity(record.trust()));
        let newcomer = || Some((shown.identity.as_deref()?.clone(), record.newcomer));
        let (verdict, since) = identity.or(devices).or(unknown).or_else(newcomer)?;
        let allowed = pins.unsigned_devices.unwrap_or_default() == UnsignedDevices::Allow;
        if allowed && matches!(verdict, Verdict::DeviceUnvouched { .. }) {
            return None;
        }
        let code = |master: &PublicKey| {
            let own = own.filter(|_| record.user_id != *self.owner());
            own.map(|own| shared_security_code((self.owner(), own), (&record.user_id, master)))
        };
        let new = match &verdict {
            Verdict::MasterChanged { new, .. } => Some(new),
            Verdict::Newcomer { master } | Verdict::Unlisted { master } => Some(master),
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
            withheld: !record.withheld.is_empty(),
            roster: self.roster_problem(record),
            acceptable: !invalid && (shown.identity.is_some() || !shown.devices.is_empty()),
            // Where only devices are in question, the code is as it was.
            old_code: match &verdict {
                Verdict::MasterChanged { old, .. } => Some(old),
                _ => record.identity.as_ref().or(record.previous.as_ref()).map(|pinned| &pinned.master),
            }
            .filter(|_| record.change.is_some())
            .and_then(code),
            new_code: new.and_then(code),
            shown,
            history: self.lines(&record.user_id),
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
    ask_again(io, book, pins, &std::iter::once(peer.clone()).collect()).await
}

/// Asks for the keys of people anew whose pin has changed, and has the next message of every room go to whom it may go now.
///
/// # Errors
/// [`Stop`]
pub async fn ask_again(io: &Io, book: &mut Book, pins: &Pins, people: &BTreeSet<UserId>) -> Result<(), Stop> {
    let queried = gate::query(io, book, pins, people).await;
    book.release(io, pins).await.map_err(|error: RecordError| Stop::from(error))?;
    queried
}
