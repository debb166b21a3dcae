//! Compares what a homeserver publishes of a person with what is known.

use serde_json::Value;

use super::{
    answer::Part,
    device::{self, Defect, Vouched},
    record::{Change, DevicePin, Offered, PeerRecord, PinnedIdentity, Standing},
    shared::Sight,
    verdict::Verdict,
};
use crate::{
    ident::DeviceId,
    identity::{IdentityError, PublishedIdentity, Signatures},
    sorted::SortedMap,
    time::UnixMillis,
};

/// How many devices are kept of a person. Those of people are counted in dozens, those of test accounts in hundreds.
const MAX_DEVICES: usize = 1000;

/// Before the hash of what was answered to ourselves.
const OURS: char = '~';

/// Where a person is met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Contact {
    /// Nothing is known of it.
    #[default]
    Plain,
    /// In an answer to ourselves, and not to the client: what is not in it may be in the client's, and is not gone.
    Ourselves,
}

/// Takes in what an answer has of a person, and says what that means. What the person accepted is changed by nothing in
/// here; a device that is not in the answer is left as it is.
///
/// `unlisted`: a first identity needs somebody's word, and has none.
pub(super) fn observe(
    record: &mut PeerRecord,
    part: &Part<'_>,
    contact: Contact,
    unlisted: bool,
    signatures: &Signatures,
    now: UnixMillis,
) -> Vec<Verdict> {
    let hash = part.hash();
    // What was answered to ourselves says nothing of what the client has: it is looked at again when the client is.
    let ours = format!("{OURS}{hash}");
    let known = record.answer == hash || (contact == Contact::Ourselves && record.answer == ours);
    // That somebody is not listed is the policy's word and the roster's, which change without the answer.
    let is_unlisted = |change: &Change| matches!(change.verdict, Verdict::Unlisted { .. });
    if known && !record.change.as_ref().is_some_and(is_unlisted) {
        return vec![Verdict::Unchanged];
    }
    let hash = if contact == Contact::Ourselves { ours } else { hash };
    let mut verdicts = Vec::new();
    let mut answer = match part.read(&record.user_id) {
        Ok(answer) => answer,
        Err(malformed) => {
            record.answer = hash;
            change(record, Verdict::Malformed { path: malformed.0 }, now, &mut verdicts);
            return verdicts;
        }
    };
    let published = match PublishedIdentity::read_keys(signatures, &answer, &record.user_id) {
        // Nothing is known, so nothing is said; and it is asked again.
        Err(IdentityError::NotAnswered) => return verdicts,
        published => published,
    };
    record.answer = hash;
    if std::mem::take(&mut record.unseen)
        && let Some(pinned) = &mut record.identity
    {
        // What is there at the first look is no change, as with somebody who is seen for the first time.
        pinned.since = now;
    }
    let identity = identity(record, published, unlisted, now, &mut verdicts);
    let devices = answer.device_keys.remove(record.user_id.as_str()).unwrap_or_default();
    if contact != Contact::Ourselves && !devices.is_empty() {
        record.devices.iter_mut().for_each(|(id, pin)| pin.present = devices.contains_key(id.as_str()));
    }
    observe_devices(record, devices, identity.as_ref(), signatures, now, &mut verdicts);
    if verdicts.iter().any(|verdict| verdict.severity(record.trust()) > super::Severity::Silent) {
        record.quiet = false;
    }
    verdicts
}

/// Compares the identity; returns it where it is the pinned one.
fn identity(
    record: &mut PeerRecord,
    published: Result<Option<PublishedIdentity>, IdentityError>,
    unlisted: bool,
    now: UnixMillis,
    verdicts: &mut Vec<Verdict>,
) -> Option<PublishedIdentity> {
    let pinned = record.identity.as_ref().map(|pinned| pinned.master);
    let gone = record.previous.as_ref().filter(|_| pinned.is_none()).map(|previous| previous.master);
    let rolled_back = record.change.as_ref().is_some_and(|change| change.verdict == Verdict::StoreRolledBack);
    let verdict = match (published, pinned) {
        // That it is gone was accepted: the next one is no first contact.
        (Ok(published), None) if gone.is_some() && !rolled_back => {
            let (published, old) = (published?, gone?);
            if *published.master() == old {
                record.change = None;
                record.identity = record.previous.take();
                return Some(published);
            }
            Verdict::MasterChanged { old, new: *published.master() }
        }
        // A rollback is over when somebody says so, not when the homeserver does.
        (Ok(Some(published)), None) if !rolled_back && unlisted => Verdict::Unlisted { master: *published.master() },
        (Ok(published), None) if !rolled_back => {
            record.change = None;
            let published = published?;
            let master = *published.master();
            record.identity = Some(PinnedIdentity { master, since: now, compared: false });
            record.sight.get_or_insert(Sight { master, at: now });
            verdicts.push(Verdict::FirstContact { master });
            return Some(published);
        }
        (Ok(_), None) => Verdict::StoreRolledBack,
        // Another browser saw another one before.
        (Ok(Some(published)), Some(new)) if *published.master() == new && record.contested_by().is_some() => {
            Verdict::MasterChanged { old: record.contested_by()?, new }
        }
        (Ok(Some(published)), Some(old)) if *published.master() == old => {
            if !rolled_back {
                record.change = None;
            }
            return Some(published);
        }
        (Ok(Some(published)), Some(old)) => Verdict::MasterChanged { old, new: *published.master() },
        (Ok(None), Some(old)) => Verdict::IdentityRemoved { old },
        (Err(IdentityError::Signature { path, .. }), _) => Verdict::SignatureInvalid { path: path.to_owned() },
        (Err(IdentityError::Malformed(path) | IdentityError::OtherUser(path) | IdentityError::Usage(path)), _) => {
            Verdict::Malformed { path: path.to_owned() }
        }
        (Err(IdentityError::NotAnswered), _) => return None,
    };
    change(record, verdict, now, verdicts);
    None
}

/// Takes in that nobody can say what a homeserver has of a person: too much, or nothing that can be understood.
pub(super) fn unreadable(record: &mut PeerRecord, now: UnixMillis) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    record.answer.clear();
    change(record, Verdict::Malformed { path: super::answer::DEVICES.into() }, now, &mut verdicts);
    verdicts
}

/// Notes a change of the identity, unless it is known already. What the store lost is not known again by whatever the
/// homeserver says since: that the record is not what it was stays said until somebody decides.
fn change(record: &mut PeerRecord, verdict: Verdict, now: UnixMillis, verdicts: &mut Vec<Verdict>) {
    if record.change.as_ref().is_some_and(|known| known.verdict == Verdict::StoreRolledBack) {
        return;
    }
    if record.change.as_ref().is_none_or(|known| known.verdict != verdict) {
        record.quiet = false;
        record.change = Some(Change { verdict: verdict.clone(), at: now });
        verdicts.push(verdict);
    }
}

fn observe_devices(
    record: &mut PeerRecord,
    devices: SortedMap<String, Value>,
    identity: Option<&PublishedIdentity>,
    signatures: &Signatures,
    now: UnixMillis,
    verdicts: &mut Vec<Verdict>,
) {
    // Of what is no device, one is said: a homeserver can invent any number.
    let (mut malformed, mut unsigned) = (None, None);
    for (id, document) in devices {
        let Ok(id) = DeviceId::parse(&id) else {
            malformed.get_or_insert(super::answer::DEVICES.to_owned());
            continue;
        };
        match device::read(&id, &document, &record.user_id, identity, signatures) {
            Ok((keys, vouched)) => {
                let seen = if let Some(pin) = record.devices.get_mut(&id) {
                    known(pin, &id, keys, vouched, identity.is_some(), now)
                } else if make_room(record) {
                    let (pin, verdict) = first_seen(&id, keys, vouched, now);
                    record.devices.insert(id, pin);
                    Some(verdict)
                } else {
                    malformed.get_or_insert(super::answer::DEVICES.to_owned());
                    None
                };
                verdicts.extend(seen);
            }
            // A known device stays what it is: nothing else is sent to it.
            Err(Defect::Malformed(place)) => drop(malformed.get_or_insert(place.0)),
            Err(Defect::Unsigned { path }) => drop(unsigned.get_or_insert(path)),
        }
    }
    verdicts.extend(malformed.map(|path| Verdict::Malformed { path }));
    verdicts.extend(unsigned.map(|path| Verdict::SignatureInvalid { path }));
}

/// Sees to it that there is a place for one more device: the oldest of those that vanished and were never accepted makes
/// it. `false` where nothing can go.
fn make_room(record: &mut PeerRecord) -> bool {
    if record.devices.len() < MAX_DEVICES {
        return true;
    }
    let gone = record.devices.iter().filter(|(_, pin)| !pin.present && pin.standing != Standing::Accepted);
    let oldest = gone.min_by_key(|(_, pin)| pin.first_seen).map(|(id, _)| id.clone());
    oldest.is_some_and(|id| {
        record.withheld.remove(&id);
        record.devices.remove(&id).is_some()
    })
}

fn first_seen(id: &DeviceId, keys: device::DeviceKeyPair, vouched: Vouched, now: UnixMillis) -> (DevicePin, Verdict) {
    let (standing, verdict) = match vouched {
        Vouched::Yes => (Standing::Vouched, Verdict::DeviceVouched { device: id.clone() }),
        Vouched::No => (Standing::Unvouched, Verdict::DeviceUnvouched { device: id.clone() }),
        Vouched::Invalid => (Standing::Unvouched, invalid(id)),
    };
    let change = (vouched == Vouched::Invalid).then(|| Change { verdict: verdict.clone(), at: now });
    (DevicePin { keys, first_seen: now, present: true, standing, change, offered: None, stays: false }, verdict)
}

/// Compares a device with its pin. Without the pinned identity in the answer, nothing is known of who vouches for it.
fn known(
    pin: &mut DevicePin,
    id: &DeviceId,
    keys: device::DeviceKeyPair,
    vouched: Vouched,
    has_identity: bool,
    now: UnixMillis,
) -> Option<Verdict> {
    let before = pin.change.take().map(|change| (change.verdict.clone(), change));
    let device = id.clone();
    pin.present = true;
    let (verdict, holds) = if pin.keys != keys {
        let (old, new) = (pin.keys.ed25519, keys.ed25519);
        let standing = if vouched == Vouched::Yes { Standing::Vouched } else { Standing::Unvouched };
        pin.offered = Some(Offered { keys, standing });
        (Some(Verdict::DeviceKeyChanged { device, old, new }), true)
    } else {
        pin.offered = None;
        match (pin.standing, vouched) {
            (Standing::Vouched, Vouched::No) if has_identity => (Some(Verdict::NoLongerVouched { device }), true),
            (Standing::Vouched | Standing::Unvouched, Vouched::Invalid) => (Some(invalid(id)), true),
            (Standing::Unvouched, Vouched::Yes) => {
                pin.standing = Standing::Vouched;
                (Some(Verdict::DeviceVouched { device }), false)
            }
            (Standing::Accepted, Vouched::Yes) => {
                pin.standing = Standing::Vouched;
                (None, false)
            }
            (Standing::Vouched, Vouched::Yes | Vouched::No)
            | (Standing::Unvouched, Vouched::No)
            | (Standing::Accepted, Vouched::No | Vouched::Invalid) => (None, false),
        }
    };
    if holds {
        let verdict = verdict?;
        let (news, change) = match before {
            Some((known, change)) if known == verdict => (None, change),
            _ => (Some(verdict.clone()), Change { verdict, at: now }),
        };
        pin.change = Some(change);
        return news;
    }
    verdict
}

fn invalid(id: &DeviceId) -> Verdict {
    Verdict::SignatureInvalid { path: format!("device_keys/{}/signatures", id.as_str()) }
}
