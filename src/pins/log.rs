//! The log of what was seen of people, and what was decided: for the person, and for those who look into an incident.
//!
//! Entries are only ever added. Each carries a number, and the hash of the one before it. Records and log are written in one
//! transaction and name each other, so that one of them that is put back to an older state shows.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{
    decide::Decision,
    shared::{Decided, Sight},
    verdict::Verdict,
};
use crate::{
    bootstrap::record::RecordError,
    error::Coded as _,
    ident::{DeviceId, Origin, UserId},
    matrix::base64,
    time::UnixMillis,
    value,
};

/// How many entries are kept. Where there are more, the older half goes of the person that has most: whoever can have
/// something written of one person drives out nothing of another. Where nobody has two, nothing goes: records refer to them.
pub const MAX_ENTRIES: usize = 8192;
/// How many more are taken in before it is looked again whose entries could go, where nobody's could.
const CROWD: usize = 256;
/// How many entries are kept of one person.
pub const MAX_OF_ONE: usize = 128;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[serde(try_from = "Value")]
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
    /// The hash of the line before the first; `None` where an earlier version wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<String>,
    /// The hash of the last.
    pub(super) hash: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged, try_from = "Value")]
pub(super) enum Content {
    Entry(Entry),
    Gone { gone: Gone },
}

impl TryFrom<Value> for Entry {
    type Error = &'static str;

    fn try_from(line: Value) -> Result<Self, Self::Error> {
        read(line).ok_or("no entry")
    }
}

impl TryFrom<Value> for Content {
    type Error = &'static str;

    fn try_from(mut line: Value) -> Result<Self, Self::Error> {
        match line.as_object_mut().and_then(|line| line.remove("gone")) {
            Some(gone) => serde_json::from_value(gone).map(|gone| Self::Gone { gone }).map_err(|_| "no entry"),
            None => Entry::try_from(line).map(Self::Entry),
        }
    }
}

/// Reads an entry: what happened has its fields beside the others.
fn read(line: Value) -> Option<Entry> {
    fn take<T: DeserializeOwned>(line: &mut Map<String, Value>, name: &str) -> Option<T> {
        serde_json::from_value(line.remove(name).unwrap_or_default()).ok()
    }
    let Value::Object(mut line) = line else { return None };
    let (number, at) = (take(&mut line, "number")?, take(&mut line, "at")?);
    let (peer, previous) = (take(&mut line, "peer")?, take(&mut line, "previous")?);
    let event: String = take(&mut line, "event")?;
    let what = match &*event {
        "seen" => What::Seen(serde_json::from_value(line.into()).ok()?),
        "decided" => What::Decided(serde_json::from_value(line.into()).ok()?),
        "elsewhere" => What::Elsewhere { decided: take(&mut line, "decided")?, sight: take(&mut line, "sight")? },
        "withheld" => What::Withheld { devices: take(&mut line, "devices")? },
        "released" => What::Released { devices: take(&mut line, "devices")? },
        _ => return None,
    };
    Some(Entry { number, at, peer, what, previous })
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
    /// In how many parts it is kept.
    parts: usize,
    /// So many lines from the first are as they are kept.
    unchanged: usize,
}

impl Log {
    /// The store's key; that of its first part, where it is long.
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
            // After one that cannot be read nobody else is blamed.
            let last = log.lines.last();
            let follows = |previous: &str| last.is_none_or(|line| line.head.is_none() || line.hash() == previous);
            let before = || last.and_then(Line::peer).cloned();
            match &line.head {
                Some(Head { gone: Some(gone), .. }) => {
                    if !gone.previous.as_deref().is_none_or(follows) {
                        let before = before();
                        log.suspect.extend(before);
                    }
                    log.follow(gone.from, begins);
                    log.next = gone.to.saturating_add(1);
                }
                Some(Head { number: Some(number), peer: Some(peer), previous: Some(previous), .. }) => {
                    let broken = (!follows(previous)).then(|| before().into_iter().chain([peer.clone()]));
                    log.suspect.remove(peer);
                    log.suspect.extend(broken.into_iter().flatten());
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

    /// Takes out the older half of a person's entries, but those that are kept ([`Self::kept`]). What stands in
    /// their place keeps the chain whole.
    fn trim(&mut self, peer: &UserId) -> Result<(), RecordError> {
        let count = self.count.get(peer).copied().unwrap_or_default();
        let mut left = count / 2;
        let kept = self.kept(peer, count / 4);
        let mut lines: Vec<Line> = Vec::with_capacity(self.lines.len());
        let mut unchanged = self.unchanged;
        for line in std::mem::take(&mut self.lines) {
            let theirs = line.peer() == Some(peer);
            let gone = match &line.head {
                Some(Head { gone: Some(gone), .. }) => gone.clone(),
                Some(Head { number: Some(number), previous, .. }) if theirs && left > 0 && !kept.contains(number) => {
                    left -= 1;
                    Gone { from: *number, to: *number, previous: previous.clone(), hash: line_hash(&line.text) }
                }
                _ => {
                    lines.push(line);
                    continue;
                }
            };
            // Two that do not follow from each other stay two: it shows that something was altered there.
            let follows = |before: &Gone| gone.previous.as_ref().is_none_or(|previous| *previous == before.hash);
            let before = lines.last().and_then(Line::gone);
            let before = before.filter(|before| before.to + 1 == gone.from && follows(before)).cloned();
            let gone = match before {
                Some(Gone { from, previous, .. }) => {
                    lines.pop();
                    Gone { from, previous, ..gone }
                }
                None => gone,
            };
            let line = Line::of_gone(gone)?;
            unchanged = unchanged.min(lines.len());
            lines.push(line);
        }
        self.lines = lines;
        self.unchanged = unchanged;
        self.count.insert(peer.clone(), count - count / 2 + left);
        Ok(())
    }

    /// The numbers of a person's entries that do not go where others do: the last one; what the person decided, unless that
    /// is more than so many; and, up to so many, what was seen first under each code, and what was first withheld after
    /// that. Whoever has something written again and again so drives out none of how it began.
    fn kept(&self, peer: &UserId, at_most: usize) -> BTreeSet<u64> {
        let (mut decided, mut firsts) = (BTreeSet::new(), vec![]);
        let (mut code, mut met) = (None, BTreeSet::new());
        for Entry { number, what, .. } in self.of(peer) {
            let first = match what {
                What::Decided(_) | What::Elsewhere { decided: Some(_), .. } => {
                    decided.insert(number);
                    false
                }
                What::Seen(verdict) => {
                    code = Some(verdict.code().as_str());
                    met.insert((code, "seen"))
                }
                What::Withheld { .. } => met.insert((code, "withheld")),
                What::Elsewhere { .. } | What::Released { .. } => false,
            };
            if first {
                firsts.push(number);
            }
        }
        firsts.truncate(at_most);
        if decided.len() > at_most {
            decided.clear();
        }
        decided.extend(firsts.into_iter().chain([self.last_of(peer)]));
        decided
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
        value::read(&self.text)
    }

    /// What the next line names: the hash of this one, or of the last of those that it stands for.
    fn hash(&self) -> String {
        self.gone().map_or_else(|| line_hash(&self.text), |gone| gone.hash.clone())
    }
}

/// SHA-256 of a line, or of many, in base64 without padding.
pub(super) fn line_hash(line: &str) -> String {
    base64::encode_unpadded(&Sha256::digest(line))
}

mod parts;
#[cfg(test)]
mod tests;

pub(super) use parts::read as read_kept;
