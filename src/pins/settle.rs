//! A device that nobody vouches for yet: its owner may sign it in a moment, so it is asked for again before anybody is
//! bothered. One that stays unsigned is told of, whether the client would have sent it room keys or not.
//!
//! Told of are devices that came after the identity of their owner was pinned: what was there before is no change, and is
//! told of when a room key is held back because of it. On the day Keystead is rolled out nobody is told of old devices.

use std::{collections::BTreeSet, time::Duration};

use super::{
    book::Book,
    gate::{SETTLES_WITHIN, query},
    organisation::{ROSTER_AFTER, ask_roster},
    record::{DevicePin, PeerRecord, Standing},
};
use crate::{
    effect::Io,
    ident::{DeviceId, UserId},
    matrix::homeserver::Stop,
    policy::{Pins, UnsignedDevices},
    time::UnixMillis,
};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(3);
/// The pause after one that nobody answered.
const LONG_PAUSE: Duration = Duration::from_secs(60);

impl PeerRecord {
    /// The devices that came after the identity was pinned, that nobody vouches for, and that nobody was told of yet.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = (&DeviceId, &DevicePin)> {
        let since = self.identity.as_ref().filter(|_| self.change.is_none()).map(|pinned| pinned.since);
        let unsettled = move |pin: &DevicePin| {
            pin.present
                && !pin.stays
                && pin.change.is_none()
                && pin.standing == Standing::Unvouched
                && since.is_some_and(|since| pin.first_seen > since)
        };
        self.devices.iter().filter(move |(_, pin)| unsettled(pin))
    }
}

impl Book {
    /// The device that this browser is: Element itself says how it stands with it.
    pub fn is_here(&mut self, device: DeviceId) {
        if self.here.as_ref() != Some(&device) {
            self.here = Some(device);
            self.revision += 1;
        }
    }

    /// When to look again; `None` where there is nobody to look at.
    #[must_use]
    pub fn look_again_at(&self, pins: &Pins, now: UnixMillis) -> Option<UnixMillis> {
        let at = self.next_look.filter(|at| *at > now).unwrap_or(now.plus(PAUSE));
        let roster = self.next_roster(now);
        (!self.unsettled(pins).is_empty()).then_some(at).into_iter().chain(roster).min()
    }

    fn unsettled(&self, pins: &Pins) -> BTreeSet<UserId> {
        if pins.unsigned_devices.unwrap_or_default() == UnsignedDevices::Allow {
            return BTreeSet::new();
        }
        let own = |user: &UserId, id: &DeviceId| user == self.owner() && self.here.as_ref() == Some(id);
        let wanted = |(user, record): &(&UserId, &PeerRecord)| {
            !pins.exempt.contains(*user) && record.unsettled().any(|(id, _)| !own(user, id))
        };
        self.records.iter().filter(wanted).map(|(user, _)| user.clone()).collect()
    }

    /// Those of a person that are unsigned still, when the time to sign them is over: `true` where there is news.
    fn settle(&mut self, user: &UserId, asked_at: UnixMillis) -> bool {
        let here = self.here.clone().filter(|_| user == self.owner());
        let Some(record) = self.records.get_mut(user) else { return false };
        // What a clock that was set back has put into the future is old.
        let over = |pin: &DevicePin| pin.first_seen > asked_at || asked_at.since(pin.first_seen) >= SETTLES_WITHIN;
        let late = record.unsettled().filter(|(id, pin)| here.as_ref() != Some(*id) && over(pin));
        let late: Vec<_> = late.map(|(id, _)| id.clone()).collect();
        for id in &late {
            if let Some(pin) = record.devices.get_mut(id) {
                pin.stays = true;
                record.quiet = false;
            }
        }
        !late.is_empty()
    }
}

/// Looks at those devices again.
///
/// # Errors
/// [`Stop`]
pub async fn settle(io: &Io, book: &mut Book, pins: &Pins) -> Result<(), Stop> {
    ask_roster(io, book, pins, ROSTER_AFTER).await?;
    let (people, now) = (book.unsettled(pins), io.now());
    book.next_look = Some(now.plus(LONG_PAUSE));
    if people.is_empty() {
        return Ok(());
    }
    for user in &people {
        if let Some(record) = book.records.get_mut(user) {
            // That it is answered shows in what was answered.
            record.answer.clear();
        }
    }
    query(io, book, pins, &people).await?;
    for user in &people {
        if book.records.get(user).is_some_and(|record| record.answer.is_empty()) {
            continue;
        }
        book.next_look = None;
        if book.settle(user, now) {
            book.note(user, std::iter::empty(), now)?;
        }
    }
    Ok(book.save(io).await?)
}
