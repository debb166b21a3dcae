//! The organisation's word for people's identities: a change on purpose, and who may be met at all.
//!
//! Threat: a homeserver that shows an old roster, none, or one of somebody else's: the reader of signed documents sees to
//! that. And one that brings back an identity which the roster named once: so a change is accepted only where the roster
//! names the new identity since a time after the one before it was pinned.

use std::{collections::BTreeSet, time::Duration};

use super::{
    book::Book,
    gate::query,
    log::What,
    record::{PeerRecord, PinnedIdentity},
    shared::Outcome,
    verdict::Verdict,
};
use crate::{
    bootstrap::recipients::RosterSource,
    effect::Io,
    error::Code,
    ident::UserId,
    matrix::homeserver::Stop,
    policy::Pins,
    signed::{CLOCK_SKEW, Roster},
    time::UnixMillis,
};

/// How old the roster may be where somebody has just changed.
pub(super) const FRESH: Duration = Duration::from_secs(10);
/// How often it is read again while somebody waits for its word.
pub(super) const ROSTER_AFTER: Duration = Duration::from_secs(15 * 60);

/// Where the organisation's word is, and what it was.
#[derive(Default)]
pub(super) struct Organisation {
    source: Option<RosterSource>,
    read: Option<Read>,
}

struct Read {
    at: UnixMillis,
    roster: Option<Roster>,
    problem: Option<Code>,
}

impl Organisation {
    fn is_older(&self, than: Duration, now: UnixMillis) -> bool {
        self.read.as_ref().is_none_or(|read| read.at > now || now.since(read.at) >= than)
    }
}

impl PeerRecord {
    /// Could the organisation have a word on what changed?
    fn waits_for_roster(&self) -> bool {
        let verdict = self.change.as_ref().map(|change| &change.verdict);
        matches!(verdict, Some(Verdict::MasterChanged { .. } | Verdict::Unlisted { .. }))
    }
}

impl Book {
    /// Where the organisation's list of people lies; `None` where the policy has none.
    pub fn trust_roster(&mut self, source: Option<RosterSource>) {
        if self.organisation.source != source {
            self.organisation = Organisation { source, read: None };
        }
    }

    pub(super) fn waits_for_roster(&self, user: &UserId) -> bool {
        self.organisation.source.is_some()
            && user != self.owner()
            && self.records.get(user).is_some_and(PeerRecord::waits_for_roster)
    }

    /// When to read the roster again; `None` where nobody waits for it.
    pub(super) fn next_roster(&self, now: UnixMillis) -> Option<UnixMillis> {
        let waits = self.open.iter().any(|user| self.waits_for_roster(user));
        let last = self.organisation.read.as_ref().map_or(now, |read| read.at.min(now));
        waits.then(|| last.plus(ROSTER_AFTER))
    }

    /// Why there is no word of the organisation's for somebody who waits for one.
    pub(super) fn roster_problem(&self, record: &PeerRecord) -> Option<Code> {
        self.organisation.read.as_ref().filter(|_| record.waits_for_roster()).and_then(|read| read.problem)
    }

    /// Reads the roster, where what was read is older than this.
    pub(super) async fn read_roster(&mut self, io: &Io, than: Duration) {
        let Some(source) = self.organisation.source.clone() else { return };
        if self.organisation.is_older(than, io.now()) {
            let (roster, problem) = match source.read(io, self.origin(), self.owner()).await {
                Ok(fetched) => (Some(fetched.document.body), fetched.problem),
                Err(code) => (None, Some(code)),
            };
            self.organisation.read = Some(Read { at: io.now(), roster, problem });
        }
    }

    /// Does what the roster says of what changed with a person: `None` where that is nothing, else the verdict, if it is
    /// one of its own. The person's keys are to be looked at again then.
    pub(super) fn by_roster(&mut self, user: &UserId, now: UnixMillis) -> Option<Option<Verdict>> {
        if !self.waits_for_roster(user) {
            return None;
        }
        let person = self.organisation.read.as_ref()?.roster.as_ref()?.person(user)?;
        let (named, since) = (person.master_key, person.since);
        let record = self.records.get_mut(user)?;
        let reset = match record.change.as_ref()?.verdict {
            Verdict::Unlisted { master } if named.is_none_or(|named| named == master) => None,
            Verdict::MasterChanged { old, new } if named == Some(new) => {
                let contested = record.sight.filter(|sight| record.contested_by() == Some(old) && sight.master == old);
                let before = match contested {
                    Some(sight) => sight.at,
                    None => record.known_since(record.identity.as_ref().or(record.previous.as_ref())?),
                };
                let since = since.filter(|since| *since > before && *since <= now.plus(CLOCK_SKEW))?;
                record.remember();
                record.succeed(old, PinnedIdentity { master: new, since: now, compared: false });
                // What somebody has decided since, in whichever browser, is newer.
                record.settle_on(Outcome::Reset, since);
                Some(Verdict::Reset { old, new })
            }
            _ => return None,
        };
        record.change = None;
        record.answer.clear();
        Some(reset)
    }
}

/// Looks whether the organisation has a word by now for those who wait for one.
///
/// # Errors
/// [`Stop`]
pub async fn look(io: &Io, book: &mut Book, pins: &Pins) -> Result<(), Stop> {
    ask_roster(io, book, pins, FRESH).await
}

/// Reads the roster, where somebody waits for its word and what was read is older than this, and does what it says.
///
/// # Errors
/// [`Stop`]
pub(super) async fn ask_roster(io: &Io, book: &mut Book, pins: &Pins, than: Duration) -> Result<(), Stop> {
    let waiting: Vec<_> = book.open.iter().filter(|user| book.waits_for_roster(user)).cloned().collect();
    if waiting.is_empty() || !book.organisation.is_older(than, io.now()) {
        return Ok(());
    }
    book.read_roster(io, than).await;
    let now = io.now();
    let mut heard: BTreeSet<UserId> = BTreeSet::new();
    for user in waiting {
        let Some(reset) = book.by_roster(&user, now) else { continue };
        book.note(&user, reset.into_iter().map(|verdict| What::Seen(Box::new(verdict))), now)?;
        heard.insert(user);
    }
    book.save(io).await?;
    query(io, book, pins, &heard).await
}
