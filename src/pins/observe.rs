//! Compares what a homeserver publishes of a person with what is known.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    answer::Part,
    device::{self, Defect, Vouched},
    record::{Change, DevicePin, PeerRecord, PinnedIdentity, Standing},
    verdict::Verdict,
};
use crate::{
    ident::DeviceId,
    identity::{IdentityError, PublishedIdentity},
    time::UnixMillis,
};

/// Where a person is met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Contact {
    /// Nothing is known of it.
    #[default]
    Plain,
    /// As a newcomer who would receive the keys of a room in use.
    RoomInUse,
}

/// Takes in what an answer has of a person, and says what that means. What the person accepted is changed by nothing in
/// here; a device that is not in the answer is left as it is.
pub(super) fn observe(record: &mut PeerRecord, part: &Part<'_>, contact: Contact, now: UnixMillis) -> Vec<Verdict> {
    let hash = part.hash();
    if record.answer == hash {
        return vec![Verdict::Unchanged];
    }
    let mut verdicts = Vec::new();
    let answer = match part.read(&record.user_id) {
        Ok(answer) => answer,
        Err(malformed) => {
            record.answer = hash;
            change(record, Verdict::Malformed { path: malformed.0 }, now, &mut verdicts);
            return verdicts;
        }
    };
    let published = match PublishedIdentity::read(&answer, &record.user_id) {
        // Nothing is known, so nothing is said; and it is asked again.
        Err(IdentityError::NotAnswered) => return verdicts,
        published => published,
    };
    record.answer = hash;
    let identity = identity(record, published, contact, now, &mut verdicts);
    let devices = answer.device_keys.get(record.user_id.as_str()).cloned().unwrap_or_default();
    observe_devices(record, devices, identity.as_ref(), now, &mut verdicts);
    if verdicts.iter().any(|verdict| verdict.severity(record.trust()) > super::Severity::Silent) {
        record.quiet = false;
    }
    verdicts
}

/// Compares the identity; returns it where it is the pinned one.
fn identity(
    record: &mut PeerRecord,
    published: Result<Option<PublishedIdentity>, IdentityError>,
    contact: Contact,
    now: UnixMillis,
    verdicts: &mut Vec<Verdict>,
) -> Option<PublishedIdentity> {
    let pinned = record.identity.as_ref().map(|pinned| pinned.master);
    let verdict = match (published, pinned) {
        // A rollback is over when somebody says so, not when the homeserver does.
        (Ok(published), None) if record.change.as_ref().is_none_or(|c| c.verdict != Verdict::StoreRolledBack) => {
            record.change = None;
            let published = published?;
            let master = *published.master();
            record.identity = Some(PinnedIdentity { master, since: now, compared: false });
            verdicts.push(match contact {
                Contact::Plain => Verdict::FirstContact { master },
                Contact::RoomInUse => Verdict::Newcomer { master },
            });
            return Some(published);
        }
        (Ok(_), None) => Verdict::StoreRolledBack,
        (Ok(Some(published)), Some(old)) if *published.master() == old => {
            if record.change.as_ref().is_some_and(|change| change.verdict != Verdict::StoreRolledBack) {
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

/// Notes a change of the identity, unless it is known already.
fn change(record: &mut PeerRecord, verdict: Verdict, now: UnixMillis, verdicts: &mut Vec<Verdict>) {
    if record.change.as_ref().is_none_or(|known| known.verdict != verdict) {
        record.quiet = false;
        record.change = Some(Change { verdict: verdict.clone(), at: now });
        verdicts.push(verdict);
    }
}

fn observe_devices(
    record: &mut PeerRecord,
    devices: BTreeMap<String, Value>,
    identity: Option<&PublishedIdentity>,
    now: UnixMillis,
    verdicts: &mut Vec<Verdict>,
) {
    if !devices.is_empty() {
        record.devices.values_mut().for_each(|pin| pin.present = false);
    }
    for (id, document) in devices {
        let Ok(id) = DeviceId::parse(&id) else {
            verdicts.push(Verdict::Malformed { path: "device_keys".into() });
            continue;
        };
        match device::read(&id, &document, &record.user_id, identity) {
            Ok((keys, vouched)) => {
                let pin = record.devices.get_mut(&id);
                let seen = match pin {
                    Some(pin) => known(pin, &id, keys, vouched, identity.is_some(), now),
                    None => {
                        let (pin, verdict) = first_seen(&id, keys, vouched, now);
                        record.devices.insert(id, pin);
                        Some(verdict)
                    }
                };
                verdicts.extend(seen);
            }
            // A known device stays what it is: nothing else is sent to it.
            Err(Defect::Malformed(malformed)) => verdicts.push(Verdict::Malformed { path: malformed.0 }),
            Err(Defect::Unsigned { path }) => verdicts.push(Verdict::SignatureInvalid { path }),
        }
    }
}

fn first_seen(id: &DeviceId, keys: device::DeviceKeyPair, vouched: Vouched, now: UnixMillis) -> (DevicePin, Verdict) {
    let (standing, verdict) = match vouched {
        Vouched::Yes => (Standing::Vouched, Verdict::DeviceVouched { device: id.clone() }),
        Vouched::No => (Standing::Unvouched, Verdict::DeviceUnvouched { device: id.clone() }),
        Vouched::Invalid => (Standing::Unvouched, invalid(id)),
    };
    let change = (vouched == Vouched::Invalid).then(|| Change { verdict: verdict.clone(), at: now });
    (DevicePin { keys, first_seen: now, present: true, standing, change, offered: None }, verdict)
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
        pin.offered = Some(keys);
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
