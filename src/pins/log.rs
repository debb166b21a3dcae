//! The log of what was seen of people, and what was decided: for the person, and for those who look into an incident.
//!
//! Entries are only ever added. Each carries a number, and the hash of the one before it. Records and log are written in one
//! transaction and name each other, so that one of them that is put back to an older state shows.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    decide::Decision,
    shared::{Decided, Sight},
    verdict::Verdict,
};
use crate::{
    bootstrap::record::RecordError,
    ident::{DeviceId, Origin, UserId},
    matrix::base64,
    time::UnixMillis,
};

/// How many entries are kept. Where there are more, the older half goes of the person that has most: whoever can have
/// something written of one person drives out nothing of another. Where nobody has two, nothing goes: records refer to them.
pub const MAX_ENTRIES: usize = 8192;
/// How many more are taken in before it is looked again whose entries could go, where nobody's could.
const CROWD: usize = 256;
/// How many entries are kept of one person.
pub const MAX_OF_ONE: usize = 128;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// Something was seen.
    Seen(Box<Verdict>),
    /// The person decided.
    Decided(Decision),
    /// Another browser of the owner's told it; one of the two is there.
    Elsewhere {
        /// What was decided there.
        decided: Option<Box<Decided>>,
        /// The first sight there.
        sight: Option<Box<Sight>>,
    },
    /// Devices were not given a room key.
    Withheld {
        /// Which.
        devices: Vec<DeviceId>,
    },
    /// Devices that had not been given one will be given the next.
    Released {
        /// Which.
        devices: Vec<DeviceId>,
    },
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1.
    pub number: u64,
    /// When.
    pub at: UnixMillis,
    /// Of whom.
    pub peer: UserId,
    /// What.
    #[serde(flatten)]
    pub what: What,
    /// SHA-256 of the line before, in base64 without padding; empty in the very first.
    pub previous: String,
}

/// What stands for lines that went.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Gone {
    /// The number of the first of them.
    pub(super) from: u64,
    /// The number of the last.
    pub(super) to: u64,
    /// The hash of the last.
    pub(super) hash: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Content {
    Entry(Entry),
    Gone { gone: Gone },
}

#[derive(Debug, Clone)]
struct Line {
    text: String,
    /// `None` where it cannot be read.
    head: Option<Head>,
}

/// What is read of every line when a log is opened. What happened is read when somebody wants to know.
#[derive(Debug, Clone, Deserialize)]
struct Head {
    number: Option<u64>,
    peer: Option<UserId>,
    previous: Option<String>,
    gone: Option<Gone>,
}

/// The log of one account.
#[derive(Debug, Clone, Default)]
pub struct Log {
    lines: Vec<Line>,
    next: u64,
    /// The number of the last entry about each person.
    last: BTreeMap<UserId, u64>,
    /// How many entries there are about each person.
    count: BTreeMap<UserId, usize>,
    /// People of whom the last entry may not be what was written.
    suspect: BTreeSet<UserId>,
    /// The numbers of entries that are missing or cannot be read.
    missing: Vec<Range<u64>>,
    /// So many lines there may be before it is looked again whose could go.
    crowded: usize,
}

impl Log {
    /// The store's key.
    #[must_use]
    pub fn store_key(origin: &Origin, owner: &UserId) -> String {
        format!("pin-log|{}|{}", origin.as_str(), owner.as_str())
    }

    /// Reads a log. A line that cannot be read, is missing or does not follow from the one before it speaks against what
    /// is kept of the people it is about ([`Self::agrees`]), and against nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut log = Self::default();
        for text in text.lines() {
            let mut line = Line { text: text.to_owned(), head: serde_json::from_str(text).ok() };
            let begins = log.lines.is_empty();
            match &line.head {
                Some(Head { gone: Some(gone), .. }) => {
                    log.follow(gone.from, begins);
                    log.next = gone.to.saturating_add(1);
                }
                Some(Head { number: Some(number), peer: Some(peer), previous: Some(previous), .. }) => {
                    log.suspect.remove(peer);
                    // After one that cannot be read nobody else is blamed.
                    let follows = |line: &Line| line.head.is_none() || line.hash() == *previous;
                    let follows = log.lines.last().is_none_or(follows);
                    if !follows {
                        let before = log.lines.last().and_then(Line::peer).cloned();
                        log.suspect.extend(before.into_iter().chain([peer.clone()]));
                    }
                    log.follow(*number, begins);
                    log.next = number.saturating_add(1);
                    log.last.insert(peer.clone(), *number);
                    *log.count.entry(peer.clone()).or_default() += 1;
                }
                // The number that it had is missing in what follows.
                _ => line.head = None,
            }
            log.lines.push(line);
        }
        log
    }

    /// Notes which numbers are missing before this one.
    fn follow(&mut self, number: u64, begins: bool) {
        if !begins && number > self.next {
            self.missing.push(self.next..number);
        }
    }

    /// The text of it, a line for each entry.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.lines.iter().fold(String::new(), |text, line| text + &line.text + "\n")
    }

    /// Adds an entry; returns its number.
    ///
    /// # Errors
    /// [`RecordError::Unreadable`], which does not happen.
    pub fn add(&mut self, at: UnixMillis, peer: &UserId, what: What) -> Result<u64, RecordError> {
        let number = self.next.max(1);
        let previous = self.lines.last().map(Line::hash).unwrap_or_default();
        let line = Line::of_entry(&Entry { number, at, peer: peer.clone(), what, previous })?;
        self.lines.push(line);
        self.next = number + 1;
        self.last.insert(peer.clone(), number);
        self.suspect.remove(peer);
        let count = self.count.entry(peer.clone()).or_default();
        *count += 1;
        if *count > MAX_OF_ONE {
            self.trim(&peer.clone())?;
        } else if self.lines.len() > MAX_ENTRIES.max(self.crowded) {
            let most = self.count.iter().filter(|(_, count)| **count > 1).max_by_key(|(_, count)| **count);
            match most.map(|(peer, _)| peer.clone()) {
                Some(most) => self.trim(&most)?,
                None => self.crowded = self.lines.len() + CROWD,
            }
        }
        Ok(number)
    }

    /// Takes out the older half of a person's entries, but what the person decided; the last one stays. What stands in
    /// their place keeps the chain whole.
    fn trim(&mut self, peer: &UserId) -> Result<(), RecordError> {
        let count = self.count.get(peer).copied().unwrap_or_default();
        let mut left = count / 2;
        let decided = |what: &What| matches!(what, What::Decided(_) | What::Elsewhere { decided: Some(_), .. });
        let theirs = |line: &Line| line.peer() == Some(peer);
        let decisions = |line: &Line| theirs(line) && line.entry().is_some_and(|entry| decided(&entry.what));
        let spare = self.lines.iter().filter(|line| decisions(line)).count() <= count / 4;
        let mut lines: Vec<Line> = Vec::with_capacity(self.lines.len());
        for line in std::mem::take(&mut self.lines) {
            let goes = left > 0 && theirs(&line) && !(spare && decisions(&line));
            let gone = match &line.head {
                Some(Head { gone: Some(gone), .. }) => gone.clone(),
                Some(Head { number: Some(number), .. }) if goes => {
                    left -= 1;
                    Gone { from: *number, to: *number, hash: line_hash(&line.text) }
                }
                _ => {
                    lines.push(line);
                    continue;
                }
            };
            let before = lines.last().and_then(Line::gone).filter(|before| before.to + 1 == gone.from);
            let before = before.map(|before| before.from);
            if before.is_some() {
                lines.pop();
            }
            lines.push(Line::of_gone(Gone { from: before.unwrap_or(gone.from), ..gone })?);
        }
        self.lines = lines;
        self.count.insert(peer.clone(), count - count / 2 + left);
        Ok(())
    }

    /// Does a record whose last entry has this number belong to this log?
    #[must_use]
    pub fn agrees(&self, peer: &UserId, number: u64) -> bool {
        let there = match self.last.get(peer) {
            Some(last) => *last == number,
            None => number < self.next.max(1) && !self.missing.iter().any(|missing| missing.contains(&number)),
        };
        there && !self.suspect.contains(peer)
    }

    /// Does the log know this person?
    #[must_use]
    pub fn knows(&self, peer: &UserId) -> bool {
        self.last.contains_key(peer)
    }

    /// Everybody that the log knows.
    pub(super) fn people(&self) -> impl Iterator<Item = &UserId> {
        self.last.keys()
    }

    /// The number of the last entry of all.
    pub(super) const fn end(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    /// The number of the last entry of all, and what the next one would name as the one before it.
    pub(super) fn head(&self) -> (u64, String) {
        (self.end(), self.lines.last().map(Line::hash).unwrap_or_default())
    }

    /// The number of the last entry about a person; 0 where there is none.
    pub(super) fn last_of(&self, peer: &UserId) -> u64 {
        self.last.get(peer).copied().unwrap_or_default()
    }

    /// What happened with a person, the oldest first.
    #[must_use]
    pub fn of(&self, peer: &UserId) -> Vec<Entry> {
        self.lines.iter().filter(|line| line.peer() == Some(peer)).filter_map(Line::entry).collect()
    }
}

impl Line {
    fn of_entry(entry: &Entry) -> Result<Self, RecordError> {
        let text = serde_json::to_string(entry).map_err(|_| RecordError::Unreadable)?;
        let (number, peer, previous) = (entry.number, entry.peer.clone(), entry.previous.clone());
        let head = Head { number: Some(number), peer: Some(peer), previous: Some(previous), gone: None };
        Ok(Self { text, head: Some(head) })
    }

    fn of_gone(gone: Gone) -> Result<Self, RecordError> {
        let text = serde_json::to_string(&Content::Gone { gone: gone.clone() }).map_err(|_| RecordError::Unreadable)?;
        Ok(Self { text, head: Some(Head { number: None, peer: None, previous: None, gone: Some(gone) }) })
    }

    /// The person that it is about.
    fn peer(&self) -> Option<&UserId> {
        self.head.as_ref()?.peer.as_ref()
    }

    /// What it stands for.
    fn gone(&self) -> Option<&Gone> {
        self.head.as_ref()?.gone.as_ref()
    }

    /// All of it; `None` where another version wrote what happened.
    fn entry(&self) -> Option<Entry> {
        serde_json::from_str(&self.text).ok()
    }

    /// What the next line names: the hash of this one, or of the last of those that it stands for.
    fn hash(&self) -> String {
        self.gone().map_or_else(|| line_hash(&self.text), |gone| gone.hash.clone())
    }
}

/// The hash of the last of those lines that this one stands for.
pub(super) fn chain_hash(content: &Content) -> Option<String> {
    match content {
        Content::Gone { gone } => Some(gone.hash.clone()),
        Content::Entry(_) => None,
    }
}

/// SHA-256 of a line, in base64 without padding.
pub(super) fn line_hash(line: &str) -> String {
    base64::encode_unpadded(&Sha256::digest(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_of_a_log_shows() {
        let (ann, bob) = (UserId::parse("@ann:a").unwrap(), UserId::parse("@bob:a").unwrap());
        let mut log = Log::default();
        for at in 0..5 {
            let peer = if at % 2 == 0 { &ann } else { &bob };
            assert_eq!(log.add(UnixMillis(at), peer, What::Seen(Box::new(Verdict::StoreRolledBack))).unwrap(), at + 1);
        }
        let text = log.to_text();
        let again = Log::parse(&text);
        assert_eq!((again.of(&ann).len(), again.of(&bob).len(), again.next), (3, 2, 6));
        assert!(again.agrees(&ann, 5) && again.agrees(&bob, 4));
        assert!(!again.agrees(&bob, 2), "the record is older");
        assert!(!again.agrees(&ann, 6) && !again.agrees(&bob, 5), "the log is older");
        let lines: Vec<_> = text.lines().collect();
        let without_fourth = Log::parse(&[&lines[..3], &lines[4..]].concat().join("\n"));
        assert!(!without_fourth.agrees(&bob, 4) && !without_fourth.agrees(&ann, 5), "a line is missing");
        let altered = Log::parse(&text.replace("\"at\":3,", "\"at\":9,"));
        assert!(!altered.agrees(&bob, 4), "a line was altered");
        let unreadable = lines[3].replace("\"number\":4", "\"number\":\"4\"");
        let mut unreadable = Log::parse(&[lines[0], lines[1], lines[2], &unreadable, lines[4]].join("\n"));
        assert!(!unreadable.agrees(&bob, 4), "a line that cannot be read");
        assert!(unreadable.agrees(&ann, 5), "the one after it");
        let number = unreadable.add(UnixMillis(9), &ann, What::Seen(Box::new(Verdict::StoreRolledBack))).unwrap();
        let again = Log::parse(&unreadable.to_text());
        assert!(again.agrees(&ann, number) && !again.agrees(&bob, 4), "it is known, once that was noted");
        assert_eq!(again.of(&ann).len(), 4, "nothing is lost");
    }

    #[test]
    fn a_line_of_another_version_is_against_nobody_else() {
        let (ann, bob) = (UserId::parse("@ann:a").unwrap(), UserId::parse("@bob:a").unwrap());
        let seen = || What::Seen(Box::new(Verdict::StoreRolledBack));
        let mut log = Log::default();
        log.add(UnixMillis(0), &ann, seen()).unwrap();
        let unknown = format!(r#"{{"number":2,"event":"unheard_of","previous":"{}"}}"#, log.lines[0].hash());
        log.lines.push(Line { text: unknown, head: None });
        log.next = 3;
        log.add(UnixMillis(0), &ann, seen()).unwrap();
        let again = Log::parse(&log.to_text());
        assert!(again.agrees(&ann, 3) && !again.agrees(&bob, 2));
    }

    #[test]
    fn of_many_people_each_keeps_its_one_entry_and_whoever_has_more_makes_room() {
        let person = |n: usize| UserId::parse(&format!("@p{n}:a")).unwrap();
        let seen = || What::Seen(Box::new(Verdict::StoreRolledBack));
        let mut log = Log::default();
        let many = MAX_ENTRIES + 2 * CROWD;
        (0..many).for_each(|n| assert!(log.add(UnixMillis(0), &person(n), seen()).is_ok()));
        let mut again = Log::parse(&log.to_text());
        assert!((0..many).all(|n| again.agrees(&person(n), n as u64 + 1)) && again.lines.len() == many);
        (0..40).for_each(|at| assert!(again.add(UnixMillis(at), &person(7), seen()).is_ok()));
        assert!(again.of(&person(7)).len() < 40 && again.agrees(&person(7), (many + 40) as u64));
        assert!((0..many).filter(|n| *n != 7).all(|n| again.agrees(&person(n), n as u64 + 1)));
    }

    #[test]
    fn much_about_one_person_drives_out_nothing_of_another_and_keeps_the_chain() {
        let (ann, bob) = (UserId::parse("@ann:a").unwrap(), UserId::parse("@bob:a").unwrap());
        let seen = || What::Seen(Box::new(Verdict::StoreRolledBack));
        let mut log = Log::default();
        log.add(UnixMillis(0), &bob, seen()).unwrap();
        log.add(UnixMillis(0), &ann, What::Decided(Decision::KeepHolding)).unwrap();
        for at in 0..=MAX_ENTRIES as u64 {
            log.add(UnixMillis(at), &ann, seen()).unwrap();
            assert!(log.lines.len() < MAX_OF_ONE + 8);
        }
        assert_eq!(log.of(&bob).len(), 1);
        assert!(matches!(log.of(&ann)[0].what, What::Decided(_)), "what was decided stays");
        let mut again = Log::parse(&log.to_text());
        let last = MAX_ENTRIES as u64 + 3;
        assert!(again.agrees(&bob, 1) && again.agrees(&ann, last) && again.missing.is_empty());
        assert_eq!(again.add(UnixMillis(0), &ann, seen()).unwrap(), last + 1);
    }
}
