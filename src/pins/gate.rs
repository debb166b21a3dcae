//! The gate: which messages of a request that sends to devices may go.
//!
//! A room key is encrypted to a device's Curve25519 key. So a message passes only if its device may have room keys *and*
//! the key that it is encrypted to is that device's: a name that the client was given for somebody else's key is of no use.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    Contact, Malformed,
    body::{Body, Entry, outline},
    book::{Book, ObserveError},
    log::What,
    organisation::ask_roster,
    record::{Change, PeerRecord, Standing},
    verdict::Verdict,
};
use crate::{
    effect::{Effect, HttpRequest, Io},
    error::Code,
    ident::{DeviceId, UserId},
    matrix::{
        homeserver::{Homeserver, Stop},
        keys::query_all,
    },
    policy::{FirstContact, OnChange, Pins, UnsignedDevices},
    time::UnixMillis,
};

/// How long something new may take to become what it should be, before anybody hears of it: devices are signed seconds
/// after they appear, and a homeserver with several workers answers with what was a moment ago.
pub const SETTLES_WITHIN: Duration = Duration::from_secs(10);
/// The pause between two looks meanwhile.
const PAUSE: Duration = Duration::from_secs(1);
/// How old the roster may be where something is held that it may have a word on.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// How many people are asked for at a time.
const BATCH: usize = 250;

impl Pins {
    /// Does anything in it hold room keys back? Else nothing has to wait for the gate.
    #[must_use]
    pub fn gates(&self) -> bool {
        self.on_change.unwrap_or_default() == OnChange::Hold
            || self.unsigned_devices.unwrap_or_default() == UnsignedDevices::Hold
            || self.first_contact == Some(FirstContact::Roster)
    }
}

/// What a client is about to send to devices.
pub enum Sent {
    /// The body of its request.
    Whole(String),
    /// To whom, and under which keys, as the page read it from the body: `{user: {device: Curve25519 key}}` in JSON. A body
    /// for thousands of devices is long, and most of the time all of it may go.
    Outline(String),
}

/// What of it may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passage {
    /// All, as it is.
    AsItIs,
    /// This body in its place.
    Without(String),
    /// What the outline does not say: the body is needed.
    Unclear,
}

/// Decides about what a client is about to send to devices. By an outline nobody is asked for anything: where not all may go
/// at once, the body is what is decided about.
///
/// # Errors
/// As [`gate`].
pub async fn pass(io: &Io, book: &mut Book, pins: &Pins, sent: &Sent) -> Result<Passage, Stop> {
    let text = match sent {
        Sent::Whole(body) => {
            return Ok(gate(io, book, pins, body).await?.map_or(Passage::AsItIs, Passage::Without));
        }
        Sent::Outline(text) => text,
    };
    let Some(entries) = outline(text) else { return Ok(Passage::Unclear) };
    let people = people(entries.iter());
    book.load(io, people.iter()).await?;
    book.prove_owner_once(io).await?;
    if !entries.iter().all(|entry| passes(book, pins, entry)) {
        return Ok(Passage::Unclear);
    }
    book.greet(io, pins, people.into_iter().collect(), true).await?;
    book.save(io).await?;
    Ok(Passage::AsItIs)
}

fn people<'a>(entries: impl Iterator<Item = &'a Entry<'a>>) -> BTreeSet<UserId> {
    entries.filter_map(Entry::named).map(|(user, _)| user.clone()).collect()
}

/// Decides about the body of a request to `/sendToDevice/m.room.encrypted/…`: `None` where it may go as it is, else the body
/// without the messages that are held back. People that are not known are asked for first.
///
/// # Errors
/// [`Stop`] where nothing can be decided now: then the request must wait.
pub async fn gate(io: &Io, book: &mut Book, pins: &Pins, text: &str) -> Result<Option<String>, Stop> {
    let body = Body::read(text).ok_or(Stop { code: Code::PinBody, not_before: None })?;
    let people = people(body.entries());
    book.load(io, people.iter()).await?;
    book.prove_owner(io).await?;
    let mut asked = BTreeSet::new();
    // Whatever a homeserver does meanwhile: one that answers something else each time makes nobody wait for ever.
    let deadline = io.now().plus(SETTLES_WITHIN);
    loop {
        let now = io.now();
        let ask = |entry: &Entry<'_>| {
            let (user, device) = entry.named()?;
            let known = book.records.get(user);
            let again = now < deadline && known.is_some_and(|record| settles(record, device, now));
            // A device that was signed a moment ago is sent secrets only once: nothing is held without having asked.
            let first = !asked.contains(user);
            let held = !pins.exempt.contains(user) && !passes(book, pins, entry);
            (held && (again || first)).then(|| user.clone())
        };
        let ask: BTreeSet<UserId> = body.entries().filter_map(ask).collect();
        if ask.is_empty() {
            break;
        }
        if ask.is_subset(&asked) {
            io.ask(Effect::SleepUntil(now.plus(PAUSE))).await;
        }
        query(io, book, pins, &ask).await?;
        asked.extend(ask);
    }
    if body.entries().any(|entry| !passes(book, pins, entry)) {
        ask_roster(io, book, pins, AGAIN_AFTER).await?;
    }
    book.greet(io, pins, people.iter().cloned().collect(), true).await?;
    book.save(io).await?;
    let held: BTreeSet<(String, String)> = body
        .entries()
        .filter(|entry| !passes(book, pins, entry))
        .map(|entry| (entry.user.clone(), entry.device.clone()))
        .collect();
    if held.is_empty() {
        return Ok(None);
    }
    withhold(io, book, &held).await?;
    Ok(Some(body.without(|entry| held.contains(&(entry.user.clone(), entry.device.clone())))))
}

/// Asks the homeserver for the keys of people. Where an answer is too long or cannot be understood, its people are asked
/// for in halves, until it is known whose part is to blame: nobody else's keys wait for that.
pub(super) async fn query(io: &Io, book: &mut Book, pins: &Pins, people: &BTreeSet<UserId>) -> Result<(), Stop> {
    let people: Vec<_> = people.iter().cloned().collect();
    let mut batches: Vec<&[UserId]> = people.chunks(BATCH).collect();
    // All at once, as long as nothing is wrong.
    let mut together = batches.len();
    while !batches.is_empty() {
        let rest = batches.split_off(together.min(batches.len()));
        let asked = std::mem::replace(&mut batches, rest);
        let requests: Vec<HttpRequest> = asked.iter().map(|batch| query_all(batch.iter())).collect();
        let responses = match Homeserver::new(io).send_all(requests).await {
            Ok(responses) => responses,
            Err(Stop { code: Code::NetAnswer, .. }) => {
                together = 1;
                for batch in &asked {
                    divide(io, book, batch, asked.len() > 1, &mut batches).await?;
                }
                continue;
            }
            Err(stop) => return Err(stop),
        };
        for (batch, response) in asked.into_iter().zip(responses) {
            if response.status != 200 {
                continue;
            }
            let of = batch.iter().cloned().collect();
            let observed = match String::from_utf8(response.body) {
                Ok(text) => book.observe(io, pins, &text, &of, Contact::Ourselves).await,
                Err(_) => Err(ObserveError::Malformed(Malformed::whole())),
            };
            match observed {
                Ok(_) => {}
                Err(ObserveError::Malformed(_)) => {
                    together = 1;
                    divide(io, book, batch, false, &mut batches).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Has a batch be asked for again: alone, where it was not, else in halves; of a single person nothing can be said then.
async fn divide<'a>(
    io: &Io,
    book: &mut Book,
    batch: &'a [UserId],
    was_together: bool,
    batches: &mut Vec<&'a [UserId]>,
) -> Result<(), Stop> {
    match batch {
        _ if was_together => batches.push(batch),
        [] => {}
        [user] => book.unreadable(io, user).await?,
        several => {
            let (one, other) = several.split_at(several.len() / 2);
            batches.extend([one, other]);
        }
    }
    Ok(())
}

fn passes(book: &Book, pins: &Pins, entry: &Entry<'_>) -> bool {
    let Some((user, device)) = entry.named() else { return false };
    if pins.exempt.contains(user) {
        return true;
    }
    entry.recipient().is_some_and(|key| book.passes(user, device, key, pins))
}

/// May what holds a device back be over in a moment?
fn settles(record: &PeerRecord, device: &DeviceId, now: UnixMillis) -> bool {
    // What a clock that was set back has put into the future is old.
    let fresh = |at: UnixMillis| at <= now && now.since(at) < SETTLES_WITHIN;
    let pin = record.devices.get(device);
    let unsigned = pin.filter(|pin| pin.standing == Standing::Unvouched).map(|pin| pin.first_seen);
    // What needs somebody's word is not over by itself.
    let lasts = |change: &&Change| !matches!(change.verdict, Verdict::Unlisted { .. });
    let changes = record.change.iter().filter(lasts).chain(pin.and_then(|pin| pin.change.as_ref()));
    let times: Vec<_> = changes.map(|change| change.at).chain(unsigned).collect();
    !times.is_empty() && times.into_iter().all(fresh)
}

/// Notes who was not given a room key.
async fn withhold(io: &Io, book: &mut Book, held: &BTreeSet<(String, String)>) -> Result<(), Stop> {
    let now = io.now();
    let mut people: BTreeMap<UserId, Vec<DeviceId>> = BTreeMap::new();
    for (user, device) in held {
        if let (Ok(user), Ok(device)) = (UserId::parse(user), DeviceId::parse(device)) {
            people.entry(user).or_default().push(device);
        }
    }
    for (user, devices) in people {
        let record = book.records.entry(user.clone()).or_insert_with(|| PeerRecord::new(user.clone(), now));
        let news: Vec<_> = devices.iter().filter(|id| !record.withheld.contains_key(id)).cloned().collect();
        if !news.is_empty() && record.change.is_none() {
            record.quiet = false;
        }
        record.withheld.extend(devices.into_iter().map(|id| (id, now)));
        let note = (!news.is_empty()).then_some(What::Withheld { devices: news });
        book.note(&user, note.into_iter(), now)?;
    }
    Ok(book.save(io).await?)
}
