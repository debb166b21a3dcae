//! What the store says, and what this browser knows: one goes into the other, and what the store lacks is written.

use std::{collections::BTreeSet, time::Duration};

use sha2::{Digest as _, Sha256};

use super::{
    entry::SharedPin,
    local::{Known, Trouble},
    read::{Chunk, MAX_CHUNKS, Read},
};
use crate::{
    effect::Io,
    ident::UserId,
    matrix::{base64, homeserver::Stop},
    pins::{book::Book, record::PeerRecord},
    policy::Pins,
    sorted::SortedMap,
};

/// How long the text of a chunk is at most, in bytes: encrypted and in base64 it is below 50,000, which every homeserver
/// takes.
const MAX_TEXT: usize = 36_000;

/// How far another browser's clock may be ahead: what it says of a later time is not taken in, or it would count as the
/// newest for ever. Far more than two clocks differ as a rule, for what is not taken in is not written again either.
const CLOCKS_DIFFER: Duration = Duration::from_secs(24 * 60 * 60);

/// A chunk that is to be written.
pub(super) struct Wanted {
    pub(super) index: usize,
    pub(super) text: String,
    /// The hash of it.
    pub(super) content: String,
}

/// What there is to be written, and what is known of the rest.
pub struct Merged {
    pub(super) read: Read,
    pub(super) writes: Vec<Wanted>,
    /// The chunks as they are, but those that are written.
    pub(super) known: SortedMap<usize, Known>,
    pub(super) of: usize,
    /// The number of the last entry of the log that is in it.
    pub(super) heard: u64,
    /// Not everybody has a place.
    pub(super) full: bool,
    /// People of whom another identity is pinned now, and who were not given a room key: they are to be looked at again.
    pub moved: BTreeSet<UserId>,
}

impl Book {
    /// Takes the store in, and says what it lacks. Asks nobody but the browser's own storage; and the client to make new room
    /// keys, where somebody is not to have them any more.
    ///
    /// # Errors
    /// [`Stop`] where that fails.
    pub async fn share(&mut self, io: &Io, pins: &Pins, read: Read) -> Result<Merged, Stop> {
        // What is known of oneself is proven in each browser, and not by hearsay.
        let owner = self.owner().clone();
        let whole = read.trouble.is_some() || read.head.is_none() || read.local.heard > self.log.end();
        let before = read.local.chunks.len().clamp(1, MAX_CHUNKS);
        let mut of = read.head.as_ref().map_or(before, |head| head.content.chunks.len());
        let news = |user: &&UserId| whole || self.log.last_of(user) > read.local.heard;
        let news = self.log.people().filter(news).filter(|user| **user != owner);
        let mut touched: BTreeSet<usize> = news.map(|user| read.key.place(user, of)).collect();
        touched.extend(read.chunks.keys().copied().filter(|index| *index < of));
        if whole {
            touched.extend(0..of);
        }

        let latest = io.now().plus(CLOCKS_DIFFER);
        let theirs = read.chunks.values().flat_map(|chunk| &chunk.people).filter(|pin| pin.user != owner);
        let theirs = theirs.map(|pin| pin.until(latest)).filter(|pin| !pin.is_empty()).collect::<Vec<_>>();
        let moved = self.take_all(io, pins, &theirs).await?;
        self.release(io, pins).await?;

        let mut heard = self.log.end();
        let mut chunks = self.chunks(io, &read, of, &touched).await?;
        if of < MAX_CHUNKS && chunks.values().any(|people| text(people).len() > MAX_TEXT) {
            // Everybody's place is another one then.
            let all = self.chunks(io, &read, MAX_CHUNKS, &(0..MAX_CHUNKS).collect()).await?;
            (of, chunks) = divide(all, of);
            // Reading a record may note that it was lost.
            heard = self.log.end();
        }
        let mut full = false;
        let texts = chunks.into_iter().map(|(index, people)| (index, fitting(people, &mut full))).collect::<Vec<_>>();
        let grown = read.head.as_ref().is_none_or(|head| head.content.chunks.len() != of);
        let mut known = known(&read);
        let mut writes = Vec::new();
        for (index, text) in texts {
            let content = hash(&text);
            let same = known.get(&index).is_some_and(|known| known.content == content);
            if whole || grown || !same {
                known.remove(&index);
                writes.push(Wanted { index, text, content });
            }
        }
        Ok(Merged { read, writes, known, of, heard, full, moved })
    }

    /// Takes in what others know of these people.
    pub(in crate::pins) async fn take_all(
        &mut self,
        io: &Io,
        pins: &Pins,
        theirs: &[SharedPin],
    ) -> Result<BTreeSet<UserId>, Stop> {
        self.load(io, theirs.iter().map(|pin| &pin.user)).await?;
        let now = io.now();
        let mut moved = BTreeSet::new();
        for pin in theirs {
            let first_seen = pin.sight.map_or(now, |sight| sight.at.min(now));
            let record = self.records.entry(pin.user.clone());
            let record = record.or_insert_with(|| PeerRecord::new(pin.user.clone(), first_seen));
            let passed = record.passing(pins);
            let taken = record.take(pin, now);
            self.outdated |= !passed.is_subset(&record.passing(pins)) && !pins.exempt.contains(&pin.user);
            if taken.moved && !record.withheld.is_empty() {
                moved.insert(pin.user.clone());
            }
            if taken.changed {
                self.note(&pin.user, taken.told.into_iter(), now)?;
            }
        }
        self.save(io).await?;
        Ok(moved)
    }

    /// Who is in these chunks, of so many.
    async fn chunks(
        &mut self,
        io: &Io,
        read: &Read,
        of: usize,
        touched: &BTreeSet<usize>,
    ) -> Result<SortedMap<usize, Vec<SharedPin>>, Stop> {
        let people: Vec<UserId> = self
            .log
            .people()
            .filter(|user| **user != *self.owner() && touched.contains(&read.key.place(user, of)))
            .cloned()
            .collect();
        self.load(io, people.iter()).await?;
        // What was lost is noted.
        self.save(io).await?;
        let mut chunks: SortedMap<usize, Vec<SharedPin>> = touched.iter().map(|index| (*index, Vec::new())).collect();
        for user in &people {
            let pin = self.records.get(user).map(PeerRecord::shared).filter(|pin| !pin.is_empty());
            if let (Some(pin), Some(chunk)) = (pin, chunks.get_mut(&read.key.place(user, of))) {
                chunk.push(pin);
            }
        }
        Ok(chunks)
    }
}

impl Merged {
    /// Is there nothing to be written?
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.writes.is_empty()
    }

    /// What was wrong with the store.
    #[must_use]
    pub const fn trouble(&self) -> Option<Trouble> {
        self.read.trouble
    }
}

/// The chunks that are as the head lists them, and what they say.
fn known(read: &Read) -> SortedMap<usize, Known> {
    let Some(head) = &read.head else { return SortedMap::new() };
    let content = |index: usize, listed: &super::read::Listed| match read.chunks.get(&index) {
        Some(Chunk { hash: there, people, .. }) if *there == listed.hash => Some(hash(&text(people))),
        Some(_) => None,
        None => {
            read.local.chunks.get(index).filter(|known| known.hash == listed.hash).map(|known| known.content.clone())
        }
    };
    let known = |(index, listed): (usize, &super::read::Listed)| {
        let content = content(index, listed)?;
        Some((index, Known { counter: listed.counter, hash: listed.hash.clone(), content }))
    };
    head.content.chunks.iter().enumerate().filter_map(known).collect()
}

/// Puts everybody, who is given by the finest division, into as many chunks as are needed, and more than there were.
fn divide(all: SortedMap<usize, Vec<SharedPin>>, were: usize) -> (usize, SortedMap<usize, Vec<SharedPin>>) {
    let sizes: Vec<usize> = all.values().map(|people| text(people).len()).collect();
    let fit = |of: &usize| (0..*of).all(|index| sizes.iter().skip(index).step_by(*of).sum::<usize>() <= MAX_TEXT);
    let more = std::iter::successors(Some(were * 2), |of| Some(of * 2)).take_while(|of| *of < MAX_CHUNKS);
    let of = more.into_iter().find(fit).unwrap_or(MAX_CHUNKS);
    let mut chunks: SortedMap<usize, Vec<SharedPin>> = SortedMap::new();
    for (index, people) in all {
        chunks.entry(index % of).or_default().extend(people);
    }
    chunks.values_mut().for_each(|people| people.sort_by(|one, other| one.user.cmp(&other.user)));
    (of, chunks)
}

/// What a chunk is to say. Where that is too much, decisions come first, then the oldest sights: every browser chooses the
/// same.
fn fitting(mut people: Vec<SharedPin>, full: &mut bool) -> String {
    let all = text(&people);
    if all.len() <= MAX_TEXT {
        return all;
    }
    people.sort_by_cached_key(|pin| (pin.decided.is_none(), pin.sight.map(|sight| sight.at), pin.user.clone()));
    let mut length = 1;
    people.retain(|pin| {
        length += text(std::slice::from_ref(pin)).len() - 1;
        length <= MAX_TEXT
    });
    people.sort_by(|one, other| one.user.cmp(&other.user));
    *full = true;
    text(&people)
}

fn text(people: &[SharedPin]) -> String {
    serde_json::to_string(people).unwrap_or_default()
}

/// SHA-256, in base64 without padding.
pub(super) fn hash(text: &str) -> String {
    base64::encode_unpadded(&Sha256::digest(text))
}
