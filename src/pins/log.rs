//! The log of what was seen of people, and what was decided: for the person, and for those who look into an incident.
//!
//! Entries are only ever added. Each carries a number, and the hash of the one before it. Records and log are written in one
//! transaction and name each other, so that one of them that is put back to an older state shows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{decide::Decision, verdict::Verdict};
use crate::{
    bootstrap::record::RecordError,
    ident::{DeviceId, Origin, UserId},
    matrix::base64,
    time::UnixMillis,
};

/// How many entries are kept; then the older half goes.
pub const MAX_ENTRIES: usize = 4096;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// Something was seen.
    Seen(Box<Verdict>),
    /// The person decided.
    Decided(Decision),
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

/// The log of one account.
#[derive(Debug, Clone, Default)]
pub struct Log {
    lines: Vec<String>,
    next: u64,
    /// The number of the last entry about each person.
    last: BTreeMap<UserId, u64>,
}

impl Log {
    /// The store's key.
    #[must_use]
    pub fn store_key(origin: &Origin, owner: &UserId) -> String {
        format!("pin-log|{}|{}", origin.as_str(), owner.as_str())
    }

    /// Reads a log, and checks that each entry follows from the one before it.
    ///
    /// # Errors
    /// [`RecordError::Unreadable`]
    pub fn parse(text: &str) -> Result<Self, RecordError> {
        let mut log = Self::default();
        for line in text.lines() {
            let entry: Entry = serde_json::from_str(line).map_err(|_| RecordError::Unreadable)?;
            let follows = log.lines.last().is_none_or(|last| hash(last) == entry.previous && log.next == entry.number);
            if !follows {
                return Err(RecordError::Unreadable);
            }
            log.next = entry.number + 1;
            log.last.insert(entry.peer, entry.number);
            log.lines.push(line.to_owned());
        }
        Ok(log)
    }

    /// The text of it, a line for each entry.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.lines.iter().fold(String::new(), |text, line| text + line + "\n")
    }

    /// Adds an entry; returns its number.
    ///
    /// # Errors
    /// [`RecordError::Unreadable`], which does not happen.
    pub fn add(&mut self, at: UnixMillis, peer: &UserId, what: What) -> Result<u64, RecordError> {
        let number = self.next.max(1);
        let previous = self.lines.last().map(|line| hash(line)).unwrap_or_default();
        let entry = Entry { number, at, peer: peer.clone(), what, previous };
        self.lines.push(serde_json::to_string(&entry).map_err(|_| RecordError::Unreadable)?);
        if self.lines.len() > MAX_ENTRIES {
            self.lines.drain(..MAX_ENTRIES / 2);
        }
        self.next = number + 1;
        self.last.insert(peer.clone(), number);
        Ok(number)
    }

    /// Does a record whose last entry has this number belong to this log?
    #[must_use]
    pub fn agrees(&self, peer: &UserId, number: u64) -> bool {
        number < self.next.max(1) && self.last.get(peer).is_none_or(|last| *last <= number)
    }

    /// Does the log know this person?
    #[must_use]
    pub fn knows(&self, peer: &UserId) -> bool {
        self.last.contains_key(peer)
    }

    /// What happened with a person, the oldest first.
    #[must_use]
    pub fn of(&self, peer: &UserId) -> Vec<Entry> {
        let entries = self.lines.iter().filter_map(|line| serde_json::from_str::<Entry>(line).ok());
        entries.filter(|entry| entry.peer == *peer).collect()
    }
}

fn hash(line: &str) -> String {
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
        let again = Log::parse(&text).unwrap();
        assert_eq!((again.of(&ann).len(), again.of(&bob).len(), again.next), (3, 2, 6));
        assert!(again.agrees(&ann, 5) && again.agrees(&bob, 4) && again.agrees(&bob, 5));
        assert!(!again.agrees(&bob, 2), "the record is older");
        assert!(!again.agrees(&ann, 6), "the log is older");
        let lines: Vec<_> = text.lines().collect();
        assert!(Log::parse(&[lines[0], lines[2]].join("\n")).is_err());
        assert!(Log::parse(&text.replace("\"at\":1,", "\"at\":9,")).is_err());
    }

    #[test]
    fn a_long_log_loses_its_older_half_and_goes_on_counting() {
        let ann = UserId::parse("@ann:a").unwrap();
        let mut log = Log::default();
        for at in 0..=MAX_ENTRIES as u64 {
            log.add(UnixMillis(at), &ann, What::Seen(Box::new(Verdict::StoreRolledBack))).unwrap();
        }
        assert_eq!(log.of(&ann).len(), MAX_ENTRIES / 2 + 1);
        let mut again = Log::parse(&log.to_text()).unwrap();
        let next = MAX_ENTRIES as u64 + 2;
        assert_eq!(again.add(UnixMillis(0), &ann, What::Seen(Box::new(Verdict::StoreRolledBack))).unwrap(), next);
    }
}
