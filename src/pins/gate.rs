//! The gate: which messages of a request that sends to devices may go.
//!
//! A room key is encrypted to a device's Curve25519 key. So a message passes only if its device may have room keys *and*
//! the key that it is encrypted to is that device's: a name that the client was given for somebody else's key is of no use.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    Contact,
    body::{Body, Entry},
    book::{Book, ObserveError},
    log::What,
    record::{PeerRecord, Standing},
};
use crate::{
    effect::{Effect, HttpRequest, Io},
    error::Code,
    ident::{DeviceId, UserId},
    matrix::{
        homeserver::{Homeserver, Stop},
        keys::query_all,
    },
    policy::{OnChange, Pins, UnsignedDevices},
    time::UnixMillis,
};

/// How long something new may take to become what it should be, before anybody hears of it: devices are signed seconds
/// after they appear, and a homeserver with several workers answers with what was a moment ago.
pub const SETTLES_WITHIN: Duration = Duration::from_secs(10);
/// The pause between two looks meanwhile.
const PAUSE: Duration = Duration::from_secs(1);
/// How many people are asked for at a time.
const BATCH: usize = 250;

impl Pins {
    /// Does anything in it hold room keys back? Else nothing has to wait for the gate.
    #[must_use]
    pub fn gates(&self) -> bool {
        self.on_change.unwrap_or_default() == OnChange::Hold
            || self.unsigned_devices.unwrap_or_default() == UnsignedDevices::Hold
    }
}

/// Decides about the body of a request to `/sendToDevice/m.room.encrypted/…`: `None` where it may go as it is, else the body
/// without the messages that are held back. People that are not known are asked for first.
///
/// # Errors
/// [`Stop`] where nothing can be decided now: then the request must wait.
pub async fn gate(io: &Io, book: &mut Book, pins: &Pins, text: &str) -> Result<Option<String>, Stop> {
    let body = Body::read(text).ok_or(Stop { code: Code::PinBody, not_before: None })?;
    let people: BTreeSet<UserId> = body.entries().filter_map(|entry| UserId::parse(&entry.user).ok()).collect();
    book.load(io, people.iter()).await?;
    let mut asked = BTreeSet::new();
    // Whatever a homeserver does meanwhile: one that answers something else each time makes nobody wait for ever.
    let deadline = io.now().plus(SETTLES_WITHIN);
    loop {
        let now = io.now();
        let ask = |entry: &Entry<'_>| {
            let (user, device) = names(entry)?;
            let known = book.records.get(&user);
            let again = now < deadline && known.is_some_and(|record| settles(record, &device, now));
            // A device that was signed a moment ago is sent secrets only once: nothing is held without having asked.
            let first = !asked.contains(&user);
            let held = !pins.exempt.contains(&user) && !passes(book, pins, entry);
            (held && (again || first)).then_some(user)
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

/// Asks the homeserver for the keys of people. An answer that cannot be understood says nothing of anybody.
pub(super) async fn query(io: &Io, book: &mut Book, pins: &Pins, people: &BTreeSet<UserId>) -> Result<(), Stop> {
    let people: Vec<_> = people.iter().collect();
    let requests: Vec<HttpRequest> = people.chunks(BATCH).map(|batch| query_all(batch.iter().copied())).collect();
    for response in Homeserver::new(io).send_all(requests).await? {
        let Some(text) = String::from_utf8(response.body).ok().filter(|_| response.status == 200) else { continue };
        match book.observe(io, pins, &text, Contact::Plain).await {
            Ok(_) | Err(ObserveError::Malformed(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn names(entry: &Entry<'_>) -> Option<(UserId, DeviceId)> {
    Some((UserId::parse(&entry.user).ok()?, DeviceId::parse(&entry.device).ok()?))
}

fn passes(book: &Book, pins: &Pins, entry: &Entry<'_>) -> bool {
    let Some((user, device)) = names(entry) else { return false };
    if pins.exempt.contains(&user) {
        return true;
    }
    let record = book.records.get(&user);
    record.zip(entry.recipient()).is_some_and(|(record, key)| record.passes(&device, &key, pins))
}

/// May what holds a device back be over in a moment?
fn settles(record: &PeerRecord, device: &DeviceId, now: UnixMillis) -> bool {
    // What a clock that was set back has put into the future is old.
    let fresh = |at: UnixMillis| at <= now && now.since(at) < SETTLES_WITHIN;
    let pin = record.devices.get(device);
    let unsigned = pin.filter(|pin| pin.standing == Standing::Unvouched).map(|pin| pin.first_seen);
    let changes = record.change.iter().chain(pin.and_then(|pin| pin.change.as_ref()));
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
