//! Whose keys were decided about lately, or reset on purpose: for whom there is nothing to be asked any more, and something
//! that may have to be taken back.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    book::Book,
    decide::Decision,
    log::{Entry, What},
    record::{Acceptance, PeerRecord, Standing},
    verdict::Verdict,
    view::{Happened, HistoryLine},
};
use crate::sorted::SortedMap;
use crate::{bootstrap::record::RecordError, effect::Io, ident::UserId, policy::Pins, value};

/// How many people are shown.
const MAX_PEOPLE: usize = 20;
/// One of these words is in every line of the log that matters here. Most lines are of a first sight, and need not be
/// understood.
const WORDS: [&str; 4] = ["decided", "reset", "newcomer", "\"elsewhere\""];

/// One person about whom something was decided, or whom the organisation reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidedView {
    /// Who.
    pub user_id: UserId,
    /// What that was, the last time.
    pub last: HistoryLine,
    /// An acceptance of this browser's person is in force: [`Decision::Withdraw`] takes it back.
    pub withdrawable: bool,
    /// Something is held back, and the person wanted to be left in peace: [`Decision::AskAgain`] shows it again.
    pub held_quietly: bool,
    /// What happened with this person, the newest first.
    pub history: Vec<HistoryLine>,
}

impl Book {
    /// The last people about whom something was decided, here or in another browser of the owner's, or whom the
    /// organisation's list of people reset; the newest first. Reads all of the log.
    ///
    /// # Errors
    /// [`RecordError`]
    pub async fn decided(&mut self, io: &Io, pins: &Pins) -> Result<Vec<DecidedView>, RecordError> {
        let mut last: Vec<_> =
            decisions(&self.log.to_text()).into_values().filter(|entry| !pins.exempt.contains(&entry.peer)).collect();
        last.sort_by_key(|entry| std::cmp::Reverse(entry.number));
        last.truncate(MAX_PEOPLE);
        self.load(io, last.iter().map(|entry| &entry.peer)).await?;
        // What was lost is noted.
        self.save(io).await?;
        Ok(last.iter().map(|entry| self.decided_of(entry, pins)).collect())
    }

    fn decided_of(&self, entry: &Entry, pins: &Pins) -> DecidedView {
        let record = self.records.get(&entry.peer);
        let held = |record: &PeerRecord| self.view(record, None, pins).is_some_and(|view| view.held);
        DecidedView {
            user_id: entry.peer.clone(),
            last: HistoryLine::from(entry),
            withdrawable: record.is_some_and(PeerRecord::has_acceptance),
            held_quietly: record.is_some_and(|record| record.quiet && held(record)),
            history: self.lines(&entry.peer),
        }
    }
}

impl PeerRecord {
    /// Is something in force that was accepted, and can be withdrawn?
    #[must_use]
    pub fn has_acceptance(&self) -> bool {
        let accepted = |id| self.devices.get(id).is_some_and(|pin| pin.standing == Standing::Accepted);
        match &self.accepted {
            None => false,
            Some(Acceptance::Identity) => true,
            Some(Acceptance::Devices(ids)) => ids.iter().any(accepted),
        }
    }
}

/// The last entry about each person that is a decision or a reset. That somebody read of a newcomer is neither.
fn decisions(log: &str) -> SortedMap<UserId, Entry> {
    let mut newcomers = BTreeSet::new();
    let mut last = SortedMap::new();
    let matters = |line: &&str| WORDS.iter().any(|word| line.contains(word));
    // A line that stands for others, or of another version, says nothing of a person.
    let entries = log.lines().filter(matters).filter_map(value::read::<Entry>);
    for entry in entries {
        let decided = match &entry.what {
            What::Seen(verdict) if matches!(**verdict, Verdict::Newcomer { .. }) => {
                newcomers.insert(entry.peer.clone());
                false
            }
            What::Seen(verdict) => matches!(**verdict, Verdict::Reset { .. }),
            What::Decided(Decision::Accept { shown, compared }) => {
                let newcomer = matches!(shown.identity.as_deref(), Some(Verdict::Newcomer { .. }));
                newcomers.remove(&entry.peer);
                *compared || !newcomer
            }
            // The answer to a newcomer, where several are told of together.
            What::Decided(Decision::KeepHolding) => !newcomers.remove(&entry.peer),
            What::Decided(Decision::Withdraw) | What::Elsewhere { decided: Some(_), .. } => true,
            What::Decided(Decision::AskAgain)
            | What::Elsewhere { decided: None, .. }
            | What::Withheld { .. }
            | What::Released { .. } => false,
        };
        if decided {
            last.insert(entry.peer.clone(), entry);
        }
    }
    last
}

impl From<&Entry> for HistoryLine {
    fn from(entry: &Entry) -> Self {
        Self { at: entry.at, what: Happened::from(&entry.what) }
    }
}
