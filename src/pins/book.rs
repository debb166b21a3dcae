//! The pins of one account: records in memory and in the store.
//!
//! Records are read as they are needed, and written with the log in one transaction before anything is answered that
//! depends on them. One flow at a time uses a book.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    answer::{KeysAnswer, Malformed},
    decide::{DecideError, Decision},
    log::{Log, What},
    observe::{self, Contact},
    record::{Change, PeerRecord},
    verdict::Verdict,
};
use crate::{
    bootstrap::record::RecordError,
    effect::{Answer, Effect, Io, PageAnswer, PageCommand, StoreCommand},
    ident::{Origin, UserId},
    policy::Pins,
    time::UnixMillis,
};

/// The pins of one account on one deployment.
pub struct Book {
    origin: Origin,
    owner: UserId,
    pub(super) records: BTreeMap<UserId, PeerRecord>,
    pub(super) log: Log,
    /// The people of whom something may have to be said.
    pub(super) open: BTreeSet<UserId>,
    changed: BTreeSet<UserId>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "version")]
enum SavedOpen {
    #[serde(rename = "1")]
    V1 { people: BTreeSet<UserId> },
}

impl Book {
    /// Opens the pins of an account.
    ///
    /// # Errors
    /// [`RecordError`]
    pub async fn open(io: &Io, origin: &Origin, owner: &UserId) -> Result<Self, RecordError> {
        let keys = vec![Log::store_key(origin, owner), open_key(origin, owner)];
        let [log, open] = <[_; 2]>::try_from(get_all(io, keys).await?).map_err(|_| RecordError::Store)?;
        let log = Log::parse(&log.unwrap_or_default())?;
        let open = match open.map(|text| serde_json::from_str(&text)) {
            None => BTreeSet::new(),
            Some(Ok(SavedOpen::V1 { people })) => people,
            Some(Err(_)) => return Err(RecordError::Unreadable),
        };
        let (records, changed) = Default::default();
        let mut book = Self { origin: origin.clone(), owner: owner.clone(), records, log, open, changed };
        let people: Vec<_> = book.open.iter().cloned().chain([owner.clone()]).collect();
        book.load(io, people.iter()).await?;
        Ok(book)
    }

    /// Whose pins they are.
    #[must_use]
    pub const fn owner(&self) -> &UserId {
        &self.owner
    }

    /// Takes an answer to a keys query in, and keeps what it means. What it means for each person is returned.
    ///
    /// # Errors
    /// [`ObserveError`]; what cannot be understood as a whole changes nothing.
    pub async fn observe(
        &mut self,
        io: &Io,
        pins: &Pins,
        answer: &str,
        contact: Contact,
    ) -> Result<Vec<(UserId, Verdict)>, ObserveError> {
        let mut answer = KeysAnswer::read(answer)?;
        answer.0.retain(|user, _| !pins.exempt.contains(user));
        self.load(io, answer.0.keys()).await?;
        let now = io.now();
        let mut all = Vec::new();
        for (user, part) in &answer.0 {
            let record = self.records.entry(user.clone()).or_insert_with(|| PeerRecord::new(user.clone(), now));
            let verdicts = observe::observe(record, part, contact, now);
            if verdicts != [Verdict::Unchanged] {
                self.note(user, verdicts.iter().cloned().map(|verdict| What::Seen(Box::new(verdict))), now)?;
            }
            all.extend(verdicts.into_iter().map(|verdict| (user.clone(), verdict)));
        }
        self.save(io).await?;
        Ok(all)
    }

    /// Carries out what somebody decided about a person.
    ///
    /// # Errors
    /// [`ObserveError`]
    pub async fn decide(&mut self, io: &Io, peer: &UserId, decision: &Decision) -> Result<(), ObserveError> {
        self.load(io, [peer].into_iter()).await?;
        let now = io.now();
        let record = self.records.get_mut(peer).ok_or(DecideError::Nothing)?;
        record.decide(decision, now)?;
        self.note(peer, [What::Decided(decision.clone())].into_iter(), now)?;
        Ok(self.save(io).await?)
    }

    /// Where devices may have room keys that were not given one: has the client make new ones. A client that does not is
    /// asked again the next time.
    ///
    /// # Errors
    /// [`RecordError`]
    pub async fn release(&mut self, io: &Io, pins: &Pins) -> Result<bool, RecordError> {
        let released = self.open.iter().filter_map(|user| {
            let devices = self.records.get(user)?.released(pins);
            (!devices.is_empty()).then(|| (user.clone(), devices))
        });
        let released: Vec<_> = released.collect();
        if released.is_empty() {
            return Ok(false);
        }
        if !matches!(io.ask(Effect::Page(PageCommand::DiscardSessions)).await, Answer::Page(PageAnswer::Done)) {
            return Ok(false);
        }
        let now = io.now();
        for (user, devices) in released {
            if let Some(record) = self.records.get_mut(&user) {
                record.withheld.retain(|id, _| !devices.contains(id));
            }
            self.note(&user, [What::Released { devices: devices.into_iter().collect() }].into_iter(), now)?;
        }
        self.save(io).await?;
        Ok(true)
    }

    /// Reads the records of people, if they are not here yet.
    pub(super) async fn load(&mut self, io: &Io, people: impl Iterator<Item = &UserId>) -> Result<(), RecordError> {
        let missing: BTreeSet<UserId> = people.filter(|user| !self.records.contains_key(user)).cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let keys = missing.iter().map(|user| PeerRecord::store_key(&self.origin, &self.owner, user)).collect();
        let now = io.now();
        for (user, text) in missing.into_iter().zip(get_all(io, keys).await?) {
            let mut record = match text {
                Some(text) => PeerRecord::parse(&text)?,
                None if self.log.knows(&user) => PeerRecord::new(user.clone(), now),
                None => continue,
            };
            let agrees = record.user_id == user && self.log.agrees(&user, record.entry);
            if !agrees {
                record.change = Some(Change { verdict: Verdict::StoreRolledBack, at: now });
                record.quiet = false;
            }
            self.records.insert(user.clone(), record);
            if !agrees {
                self.note(&user, [What::Seen(Box::new(Verdict::StoreRolledBack))].into_iter(), now)?;
            }
        }
        Ok(())
    }

    /// Notes what happened with a person. That a colleague has one more device in good order is no news for anybody.
    pub(super) fn note(
        &mut self,
        user: &UserId,
        what: impl Iterator<Item = What>,
        now: UnixMillis,
    ) -> Result<(), RecordError> {
        let own = *user == self.owner;
        let Some(record) = self.records.get_mut(user) else { return Ok(()) };
        for what in what.filter(|what| {
            own || !matches!(what, What::Seen(verdict) if matches!(**verdict, Verdict::DeviceVouched { .. }))
        }) {
            record.entry = self.log.add(now, user, what)?;
        }
        let calm = record.change.is_none()
            && record.withheld.is_empty()
            && record.devices.values().all(|d| d.change.is_none());
        if calm {
            self.open.remove(user)
        } else {
            self.open.insert(user.clone())
        };
        self.changed.insert(user.clone());
        Ok(())
    }

    /// Writes what has changed.
    pub(super) async fn save(&mut self, io: &Io) -> Result<(), RecordError> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let open = SavedOpen::V1 { people: self.open.clone() };
        let open = serde_json::to_string(&open).map_err(|_| RecordError::Unreadable)?;
        let mut texts = vec![
            (Log::store_key(&self.origin, &self.owner), self.log.to_text()),
            (open_key(&self.origin, &self.owner), open),
        ];
        for user in &self.changed {
            let Some(record) = self.records.get(user) else { continue };
            texts.push((PeerRecord::store_key(&self.origin, &self.owner, user), record.to_text()?));
        }
        match io.ask(Effect::Store(StoreCommand::PutAll(texts))).await {
            Answer::Done => {
                self.changed.clear();
                Ok(())
            }
            _ => Err(RecordError::Store),
        }
    }
}

/// Why an observation or a decision was not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObserveError {
    /// The answer as a whole cannot be understood.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The decision cannot be carried out.
    #[error(transparent)]
    Decide(#[from] DecideError),
    /// The records cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl crate::error::Coded for ObserveError {
    fn code(&self) -> crate::error::Code {
        match self {
            Self::Malformed(_) => crate::error::Code::PinMalformed,
            Self::Decide(error) => error.code(),
            Self::Record(error) => error.code(),
        }
    }
}

fn open_key(origin: &Origin, owner: &UserId) -> String {
    format!("pin-open|{}|{}", origin.as_str(), owner.as_str())
}

async fn get_all(io: &Io, keys: Vec<String>) -> Result<Vec<Option<String>>, RecordError> {
    let count = keys.len();
    match io.ask(Effect::Store(StoreCommand::GetAll(keys))).await {
        Answer::Records(records) if records.len() == count => Ok(records),
        _ => Err(RecordError::Store),
    }
}
