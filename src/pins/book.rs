//! The pins of one account: records in memory and in the store.
//!
//! Records are read as they are needed, and written with the log in one transaction before anything is answered that
//! depends on them. One flow at a time uses a book.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    answer::{KeysAnswer, Malformed, Part},
    decide::{DecideError, Decision},
    device::AgreementKey,
    heard::{Answered, Heard},
    log::{Log, What},
    newcomers,
    observe::{self, Contact},
    organisation::{self, Organisation},
    record::{Change, PeerRecord, PinnedIdentity, Standing},
    verdict::Verdict,
};
use crate::{
    bootstrap::record::{AccountRecord, RecordError},
    effect::{Answer, Effect, Io, PageAnswer, PageCommand, StoreCommand},
    ident::{DeviceId, Origin, RoomId, UserId},
    identity::{PublicKey, Signatures},
    policy::{FirstContact, Pins},
    time::UnixMillis,
    versioned,
};

/// How many people of an answer are looked up that nobody asked for.
const MAX_OTHERS: usize = 250;
/// In an answer about so many people signatures are verified together.
const MANY: usize = 16;
/// How many entries one answer makes of one person.
const MAX_NOTED: usize = 16;

/// The pins of one account on one deployment.
pub struct Book {
    origin: Origin,
    owner: UserId,
    pub(super) records: BTreeMap<UserId, PeerRecord>,
    pub(super) log: Log,
    /// The people of whom something may have to be said.
    pub(super) open: BTreeSet<UserId>,
    /// The owner's identity, where this browser has proven it.
    proven: Option<PublicKey>,
    /// The owner's device that this browser is.
    pub(super) here: Option<DeviceId>,
    /// When to look again at what may be over in a moment.
    pub(super) next_look: Option<UnixMillis>,
    /// The rooms that this account wrote to from this browser.
    pub(super) rooms: BTreeSet<RoomId>,
    pub(super) organisation: Organisation,
    pub(super) heard: Heard,
    /// Whoever had the keys that rooms use now is not all to have the next: the client has to make new ones.
    pub(super) outdated: bool,
    changed: BTreeSet<UserId>,
    /// How often something of it has changed.
    pub(super) revision: u64,
}

#[derive(Serialize, Deserialize)]
struct SavedOpen {
    people: BTreeSet<UserId>,
    #[serde(default)]
    outdated: bool,
}

impl Book {
    /// Opens the pins of an account.
    ///
    /// # Errors
    /// [`RecordError`]
    pub async fn open(io: &Io, origin: &Origin, owner: &UserId) -> Result<Self, RecordError> {
        let log = Log::load(io, origin, owner).await?;
        let keys = vec![open_key(origin, owner), newcomers::store_key(origin, owner)];
        let [open, rooms] = <[_; 2]>::try_from(get_all(io, keys).await?).map_err(|_| RecordError::Store)?;
        let (open, outdated, whole) = match open.map(|text| versioned::read(&text)) {
            None => (BTreeSet::new(), false, true),
            Some(Some(SavedOpen { people, outdated })) => (people, outdated, true),
            // It can be made anew, from everybody's records.
            Some(None) => (log.people().cloned().collect(), true, false),
        };
        let rooms = newcomers::parse_rooms(rooms.as_deref());
        let (origin, owner) = (origin.clone(), owner.clone());
        let (records, changed, proven, here, next_look, organisation, heard) = Default::default();
        let mut book = Self {
            origin,
            owner,
            records,
            log,
            open,
            proven,
            here,
            next_look,
            rooms,
            organisation,
            heard,
            outdated,
            changed,
            revision: 0,
        };
        let people: Vec<_> = book.open.iter().cloned().chain([book.owner.clone()]).collect();
        book.load(io, people.iter()).await?;
        if !whole {
            book.open.retain(|user| book.records.get(user).is_some_and(|record| !record.is_calm()));
        }
        book.prove_owner(io).await?;
        Ok(book)
    }

    /// Looks which identity of the owner this browser has proven: what a homeserver says of it is no first contact.
    pub(super) async fn prove_owner(&mut self, io: &Io) -> Result<(), RecordError> {
        let [record] =
            <[_; 1]>::try_from(get_all(io, vec![AccountRecord::store_key(&self.origin, &self.owner)]).await?)
                .map_err(|_| RecordError::Store)?;
        // A record that cannot be read proves nothing.
        self.proven = record.and_then(|text| AccountRecord::parse(&text).ok()).and_then(|record| record.master_key);
        let Some(master) = self.proven else { return Ok(()) };
        let (owner, now) = (self.owner.clone(), io.now());
        let record = self.records.entry(owner.clone()).or_insert_with(|| PeerRecord::new(owner.clone(), now));
        if record.proven == Some(master) {
            return Ok(());
        }
        record.proven = Some(master);
        if record.identity.as_ref().is_none_or(|pinned| pinned.master != master) {
            record.identity = Some(PinnedIdentity { master, since: now, compared: false });
            record.change = record.change.take().filter(|change| change.verdict == Verdict::StoreRolledBack);
            record.demote();
        }
        record.answer.clear();
        self.touch(&owner);
        self.save(io).await
    }

    /// The same, where nothing is known of it yet: a proven identity is looked for again whenever something is taken in.
    pub(super) async fn prove_owner_once(&mut self, io: &Io) -> Result<(), RecordError> {
        if self.proven.is_some() { Ok(()) } else { self.prove_owner(io).await }
    }

    /// The owner's pinned identity, where that is more than the homeserver's word.
    pub(super) fn own_master(&self) -> Option<&PublicKey> {
        self.proven?;
        self.records.get(&self.owner)?.identity.as_ref().map(|pinned| &pinned.master)
    }

    /// Whose pins they are.
    #[must_use]
    pub const fn owner(&self) -> &UserId {
        &self.owner
    }

    /// Takes in what the client was answered, and keeps it in mind.
    ///
    /// # Errors
    /// As [`Self::observe`].
    pub async fn hear(&mut self, io: &Io, pins: &Pins, answered: &Answered) -> Result<(), ObserveError> {
        let Answered { asked, answer, digest } = answered;
        let text = answer.as_deref().ok_or_else(Malformed::whole)?;
        let (people, _) = self.take_in(io, pins, text, &super::asked(asked), Contact::Plain).await?;
        if let (Some(digest), Some(people)) = (digest, people) {
            self.keep_in_mind(pins, digest, people);
        }
        Ok(())
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
        asked: &BTreeSet<UserId>,
        contact: Contact,
    ) -> Result<Vec<(UserId, Verdict)>, ObserveError> {
        Ok(self.take_in(io, pins, answer, asked, contact).await?.1)
    }

    /// The same; whom the answer is about is returned as well, where all of it was of concern.
    pub(super) async fn take_in(
        &mut self,
        io: &Io,
        pins: &Pins,
        answer: &str,
        asked: &BTreeSet<UserId>,
        contact: Contact,
    ) -> Result<(Option<Vec<UserId>>, Vec<(UserId, Verdict)>), ObserveError> {
        let mut answer = KeysAnswer::read(answer)?;
        answer.0.retain(|user, _| !pins.exempt.contains(user));
        let people = answer.0.len();
        self.prove_owner(io).await?;
        // Whom nobody asked for is of no concern, unless it is somebody known: a homeserver can invent any number.
        let mut others = 0_usize;
        answer.0.retain(|user, _| {
            let wanted = asked.contains(user) || self.records.contains_key(user);
            others += usize::from(!wanted);
            wanted || others <= MAX_OTHERS
        });
        self.load(io, answer.0.keys()).await?;
        answer.0.retain(|user, _| asked.contains(user) || self.records.contains_key(user));
        let now = io.now();
        let (mut all, mut first) = (Vec::new(), Vec::new());
        let seen = self.compare(pins, &answer, contact, now);
        if seen.iter().any(|(user, _, verdicts)| *verdicts != [Verdict::Unchanged] && self.waits_for_roster(user)) {
            self.read_roster(io, organisation::FRESH).await;
        }
        for (user, part, mut verdicts) in seen {
            if let Some(reset) = self.by_roster(user, now)
                && let Some(record) = self.records.get_mut(user)
            {
                let again = observe::observe(record, part, contact, false, &Signatures::at_once(), now);
                verdicts = reset.into_iter().chain(again).collect();
            }
            let is_first = verdicts.iter().any(|verdict| matches!(verdict, Verdict::FirstContact { .. }));
            first.extend(is_first.then(|| user.clone()));
            if verdicts != [Verdict::Unchanged] {
                self.note(user, verdicts.iter().cloned().map(|verdict| What::Seen(Box::new(verdict))), now)?;
            }
            all.extend(verdicts.into_iter().map(|verdict| (user.clone(), verdict)));
        }
        self.greet(io, pins, first, false).await?;
        self.save(io).await?;
        // Who was of no concern may be the next time.
        let whole = answer.0.len() == people;
        Ok((whole.then(|| answer.0.into_keys().collect()), all))
    }

    /// Compares an answer with what is known. The signatures of many people are verified together: where one of them does
    /// not hold, all that was found is forgotten, and each is verified by itself.
    fn compare<'p, 'a>(
        &mut self,
        pins: &Pins,
        answer: &'p KeysAnswer<'a>,
        contact: Contact,
        now: UnixMillis,
    ) -> Vec<(&'p UserId, &'p Part<'a>, Vec<Verdict>)> {
        if answer.0.len() >= MANY {
            let before: Vec<_> = answer.0.keys().map(|user| (user, self.records.get(user).cloned())).collect();
            let together = Signatures::together();
            let seen = self.compare_each(pins, answer, contact, &together, now);
            if together.hold() {
                return seen;
            }
            for (user, record) in before {
                match record {
                    Some(record) => drop(self.records.insert(user.clone(), record)),
                    None => drop(self.records.remove(user)),
                }
            }
        }
        self.compare_each(pins, answer, contact, &Signatures::at_once(), now)
    }

    fn compare_each<'p, 'a>(
        &mut self,
        pins: &Pins,
        answer: &'p KeysAnswer<'a>,
        contact: Contact,
        signatures: &Signatures,
        now: UnixMillis,
    ) -> Vec<(&'p UserId, &'p Part<'a>, Vec<Verdict>)> {
        let mut seen = Vec::new();
        for (user, part) in &answer.0 {
            let record = self.records.entry(user.clone()).or_insert_with(|| PeerRecord::new(user.clone(), now));
            let unlisted = *user != self.owner && pins.first_contact == Some(FirstContact::Roster);
            let verdicts = observe::observe(record, part, contact, unlisted, signatures, now);
            if *user == self.owner && self.proven.is_none() {
                // Whoever vouches for one's own devices is nobody yet.
                record.demote();
            }
            seen.push((user, part, verdicts));
        }
        seen
    }

    /// Takes in that what the homeserver has of a person cannot be read.
    pub(super) async fn unreadable(&mut self, io: &Io, user: &UserId) -> Result<(), RecordError> {
        self.load(io, [user].into_iter()).await?;
        let now = io.now();
        let record = self.records.entry(user.clone()).or_insert_with(|| PeerRecord::new(user.clone(), now));
        let verdicts = observe::unreadable(record, now);
        self.note(user, verdicts.into_iter().map(|verdict| What::Seen(Box::new(verdict))), now)?;
        self.save(io).await
    }

    /// May a room key that is encrypted to this key go to this device of a person?
    pub(super) fn passes(&self, user: &UserId, device: &DeviceId, key: &AgreementKey, pins: &Pins) -> bool {
        let record = self.records.get(user);
        self.may_have_keys(user, device) && record.is_some_and(|record| record.passes(device, key, pins))
    }

    /// Of the owner's own devices only those that the owner accepted, where nothing is known but the homeserver's word.
    fn may_have_keys(&self, user: &UserId, device: &DeviceId) -> bool {
        let pin = || self.records.get(user).and_then(|record| record.devices.get(device));
        *user != self.owner
            || self.own_master().is_some()
            || pin().is_some_and(|pin| pin.standing == Standing::Accepted)
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
        self.outdated |= *decision == Decision::Withdraw;
        self.note(peer, [What::Decided(decision.clone())].into_iter(), now)?;
        Ok(self.save(io).await?)
    }

    /// Looks whether something may go now that might not before.
    ///
    /// # Errors
    /// [`RecordError`]
    pub async fn look(&mut self, io: &Io, pins: &Pins) -> Result<(), RecordError> {
        self.prove_owner(io).await?;
        self.release(io, pins).await.map(drop)
    }

    /// The number of the last entry of the log.
    #[must_use]
    pub const fn last_entry(&self) -> u64 {
        self.log.end()
    }

    /// Notes that a record is not as it was saved.
    pub(super) fn touch(&mut self, user: &UserId) {
        self.changed.insert(user.clone());
        self.revision += 1;
    }

    /// A number that is another whenever something of it has changed that may show, or may hold something back.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Which deployment it is for.
    pub(super) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Where devices may have room keys that were not given one, or have some and are not to have more: has the client make
    /// new ones. A client that does not is asked again the next time.
    ///
    /// # Errors
    /// [`RecordError`]
    pub async fn release(&mut self, io: &Io, pins: &Pins) -> Result<bool, RecordError> {
        let released = self.open.iter().filter_map(|user| {
            let mut devices = self.records.get(user)?.released(pins);
            devices.retain(|id| self.may_have_keys(user, id));
            (!devices.is_empty()).then(|| (user.clone(), devices))
        });
        let released: Vec<_> = released.collect();
        if released.is_empty() && !self.outdated {
            return Ok(false);
        }
        if !matches!(io.ask(Effect::Page(PageCommand::DiscardSessions)).await, Answer::Page(PageAnswer::Done)) {
            return Ok(false);
        }
        if std::mem::take(&mut self.outdated) {
            self.touch(&self.owner.clone());
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
            let read = match text {
                Some(text) => PeerRecord::parse(&text).ok().filter(|record| record.user_id == user),
                None if self.log.knows(&user) => None,
                None => continue,
            };
            let agrees = read.as_ref().is_some_and(|record| self.log.agrees(&user, record.entry));
            // Nobody else is kept waiting for one that is lost.
            let mut record = read.unwrap_or_else(|| PeerRecord::new(user.clone(), now));
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
        let told = |what: &What| {
            own || !matches!(what, What::Seen(verdict) if matches!(**verdict, Verdict::DeviceVouched { .. }))
        };
        for what in what.filter(told).take(MAX_NOTED) {
            record.entry = self.log.add(now, user, what)?;
        }
        if record.is_calm() {
            self.open.remove(user)
        } else {
            self.open.insert(user.clone())
        };
        self.touch(user);
        Ok(())
    }

    /// Writes what has changed.
    pub(super) async fn save(&mut self, io: &Io) -> Result<(), RecordError> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let open = SavedOpen { people: self.open.clone(), outdated: self.outdated };
        let open = versioned::write(&open).ok_or(RecordError::Unreadable)?;
        let mut texts = self.log.unsaved(&self.origin, &self.owner);
        texts.push((open_key(&self.origin, &self.owner), open));
        for user in &self.changed {
            let Some(record) = self.records.get(user) else { continue };
            texts.push((PeerRecord::store_key(&self.origin, &self.owner, user), record.to_text()?));
        }
        match io.ask(Effect::Store(StoreCommand::PutAll(texts))).await {
            Answer::Done => {
                self.changed.clear();
                self.log.is_saved();
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
