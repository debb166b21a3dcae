//! The attack table: what a homeserver does → what that means → is the key held back? And what must stay silent.

mod world;

use serde_json::{Value, json};

use super::{Decision, Severity, Trust, Verdict};
use crate::{
    ident::DeviceId,
    policy::{OnChange, Pins, UnsignedDevices},
};
use world::{Person, World};

/// One attack on somebody who is pinned with the device `PHONE`.
struct Attack {
    name: &'static str,
    /// What the homeserver answers then.
    answer: fn(&mut Person) -> Value,
    /// The verdicts' codes.
    expect: &'static [&'static str],
    /// Does `PHONE` still get room keys?
    phone: bool,
    /// The ghost that must get none, until it is accepted: its device id.
    ghost: Option<&'static str>,
}

const ATTACKS: &[Attack] = &[
    Attack {
        name: "a ghost device",
        answer: |bob| {
            bob.add_device("GHOST", 66, false);
            bob.answer()
        },
        expect: &["KS-PIN-DEVICE"],
        phone: true,
        ghost: Some("GHOST"),
    },
    Attack {
        name: "a ghost device with a signature by another identity",
        answer: |bob| {
            let mut other = Person::new("@bob:a", 90);
            other.add_device("GHOST", 66, true);
            bob.add_device("GHOST", 66, false);
            let mut answer = bob.answer();
            answer["device_keys"]["@bob:a"]["GHOST"] = other.answer()["device_keys"]["@bob:a"]["GHOST"].clone();
            answer
        },
        expect: &["KS-PIN-DEVICE"],
        phone: true,
        ghost: Some("GHOST"),
    },
    Attack {
        name: "a ghost device with a forged signature",
        answer: |bob| {
            bob.add_device("GHOST", 66, true);
            let mut answer = bob.answer();
            answer["device_keys"]["@bob:a"]["GHOST"]["signatures"]["@bob:a"][bob.self_signing_id()] =
                answer["device_keys"]["@bob:a"]["PHONE"]["signatures"]["@bob:a"][bob.self_signing_id()].clone();
            answer
        },
        expect: &["KS-PIN-SIGNATURE"],
        phone: true,
        ghost: Some("GHOST"),
    },
    Attack {
        name: "the master key is swapped",
        answer: |_| {
            let mut other = Person::new("@bob:a", 90);
            other.add_device("GHOST", 66, true);
            other.answer()
        },
        expect: &["KS-PIN-IDENTITY", "KS-PIN-DEVICE"],
        phone: false,
        ghost: Some("GHOST"),
    },
    Attack {
        name: "the self-signing key is swapped",
        answer: |bob| {
            let mut other = Person::new("@bob:a", 90);
            other.add_device("GHOST", 66, true);
            let mut answer = other.answer();
            answer["master_keys"] = bob.answer()["master_keys"].clone();
            answer
        },
        expect: &["KS-PIN-SIGNATURE", "KS-PIN-DEVICE"],
        phone: false,
        ghost: None,
    },
    Attack {
        name: "all of the identity is taken away",
        answer: |bob| {
            bob.add_device("GHOST", 66, false);
            let mut answer = bob.answer();
            answer["master_keys"] = json!({});
            answer["self_signing_keys"] = json!({});
            answer
        },
        expect: &["KS-PIN-REMOVED", "KS-PIN-DEVICE"],
        phone: false,
        ghost: Some("GHOST"),
    },
    Attack {
        name: "only the self-signing key is taken away",
        answer: |bob| {
            let mut answer = bob.answer();
            answer["self_signing_keys"] = json!({});
            answer
        },
        expect: &["KS-PIN-MALFORMED"],
        phone: false,
        ghost: None,
    },
    Attack {
        name: "the signature of a device is stripped",
        answer: |bob| {
            let mut answer = bob.answer();
            let signatures = answer["device_keys"]["@bob:a"]["PHONE"]["signatures"]["@bob:a"].as_object_mut().unwrap();
            signatures.remove(&bob.self_signing_id());
            answer
        },
        expect: &["KS-PIN-VOUCHED"],
        phone: false,
        ghost: None,
    },
    Attack {
        name: "a device's key changes under its id",
        answer: |bob| {
            bob.add_device("PHONE", 66, false);
            bob.answer()
        },
        expect: &["KS-PIN-DEVICE-KEY"],
        phone: false,
        ghost: Some("PHONE"),
    },
    Attack {
        name: "a device's key changes under its id, and is signed",
        answer: |bob| {
            bob.add_device("PHONE", 66, true);
            bob.answer()
        },
        expect: &["KS-PIN-DEVICE-KEY"],
        phone: false,
        ghost: Some("PHONE"),
    },
    Attack {
        name: "a device that did not sign its own keys",
        answer: |bob| {
            bob.add_device("GHOST", 66, false);
            let mut answer = bob.answer();
            answer["device_keys"]["@bob:a"]["GHOST"]["signatures"] = json!({});
            answer
        },
        expect: &["KS-PIN-SIGNATURE"],
        phone: true,
        ghost: None,
    },
    Attack {
        name: "another user's device",
        answer: |bob| {
            let mut eve = Person::new("@eve:a", 90);
            eve.add_device("GHOST", 66, true);
            let mut answer = bob.answer();
            answer["device_keys"]["@bob:a"]["GHOST"] = eve.answer()["device_keys"]["@eve:a"]["GHOST"].clone();
            answer
        },
        expect: &["KS-PIN-MALFORMED"],
        phone: true,
        ghost: None,
    },
    Attack {
        name: "another user's identity",
        answer: |bob| {
            let mut answer = bob.answer();
            answer["master_keys"]["@bob:a"] = Person::new("@eve:a", 90).answer()["master_keys"]["@eve:a"].clone();
            answer
        },
        expect: &["KS-PIN-MALFORMED"],
        phone: false,
        ghost: None,
    },
    Attack {
        name: "wrong types",
        answer: |bob| {
            let mut answer = bob.answer();
            answer["device_keys"]["@bob:a"]["GHOST"] = json!(["GHOST"]);
            answer
        },
        expect: &["KS-PIN-MALFORMED"],
        phone: true,
        ghost: None,
    },
    Attack {
        name: "devices in a list",
        answer: |bob| {
            let mut answer = bob.answer();
            answer["device_keys"]["@bob:a"] = json!([]);
            answer
        },
        expect: &["KS-PIN-MALFORMED"],
        phone: false,
        ghost: None,
    },
];

fn pinned() -> (World, Person) {
    let (mut world, mut bob) = (World::new(), Person::new("@bob:a", 1));
    bob.add_device("PHONE", 10, true);
    assert_eq!(world.observe(&bob.answer()), ["KS-PIN-FIRST", "KS-PIN-FIRST"]);
    (world, bob)
}

#[test]
fn every_attack_has_its_verdict_and_gets_no_key_until_it_is_accepted() {
    for Attack { name, answer, expect, phone, ghost } in ATTACKS {
        let (mut world, mut bob) = pinned();
        let answer = answer(&mut bob);
        assert_eq!(world.observe(&answer), *expect, "{name}");
        assert_eq!(world.observe(&answer), ["KS-PIN-FIRST"], "{name}: no news twice");
        world.homeserver(answer);
        world.later();
        assert_eq!(world.gets("@bob:a", "PHONE", 10), *phone, "{name}: the phone");
        assert!(!world.gets("@bob:a", ghost.unwrap_or("GHOST"), 66), "{name}: the ghost");
        let Some(ghost) = ghost else { continue };
        let [view] = &world.people()[..] else { panic!("{name}: nobody is shown") };
        assert!(view.held && view.acceptable && view.severity >= Severity::Warning, "{name}: {view:?}");
        let shown = view.shown.clone();
        world.decide("@bob:a", &Decision::Accept { shown: shown.clone(), compared: false }).unwrap();
        // Devices that the accepted identity does not vouch for are another question.
        if let Some(rest) = world.people().first() {
            assert!(shown.identity.is_some() && !world.gets("@bob:a", ghost, 66), "{name}: accepted unseen");
            let shown = rest.shown.clone();
            world.decide("@bob:a", &Decision::Accept { shown, compared: false }).unwrap();
        }
        assert!(world.discarded() >= 1, "{name}: the next message has a new key");
        assert!(world.gets("@bob:a", ghost, 66), "{name}: accepted");
        assert!(world.people().is_empty(), "{name}: {:?}", world.people());
        assert!(world.decide("@bob:a", &Decision::Accept { shown, compared: false }).is_err(), "{name}: twice");
        world.reopen();
        assert!(world.gets("@bob:a", ghost, 66), "{name}: accepted for good");
        // Whom the pinned identity vouches for is not a matter of what was accepted.
        if !name.ends_with("and is signed") {
            world.decide("@bob:a", &Decision::Withdraw).unwrap();
            assert!(!world.gets("@bob:a", ghost, 66), "{name}: withdrawn");
        }
    }
}

#[test]
fn a_new_identity_is_shown_with_both_codes_and_only_what_was_shown_is_accepted() {
    let (mut world, _) = pinned();
    world.observe_own();
    let mut other = Person::new("@bob:a", 90);
    other.add_device("GHOST", 66, true);
    world.homeserver(other.answer());
    world.observe(&other.answer());
    let view = world.people().remove(0);
    let (old, new) = (view.old_code.unwrap(), view.new_code.unwrap());
    assert_ne!(old, new);
    for code in [&old, &new] {
        assert_eq!(code.split(' ').count(), 12, "{code}");
    }
    let third = Person::new("@bob:a", 91);
    world.observe(&third.answer());
    let accept = Decision::Accept { shown: view.shown, compared: true };
    assert_eq!(world.decide("@bob:a", &accept), Err("KS-PIN-CHANGED"), "a third identity was not shown");
    world.observe(&other.answer());
    world.decide("@bob:a", &accept).unwrap();
    assert_eq!(world.book().records[&third.user()].trust(), Trust::Compared);
    assert_eq!(world.observe(&third.answer()), ["KS-PIN-IDENTITY"]);
    assert_eq!(world.people()[0].severity, Severity::Critical, "the one before was compared");
}

#[test]
fn a_compared_code_accepts_no_device_that_the_new_identity_does_not_vouch_for() {
    let (mut world, _) = pinned();
    let mut other = Person::new("@bob:a", 90);
    other.add_device("NEW", 65, true);
    other.add_device("GHOST", 66, false);
    world.homeserver(other.answer());
    world.observe(&other.answer());
    world.later();
    assert!(!world.gets("@bob:a", "NEW", 65) && !world.gets("@bob:a", "GHOST", 66));
    let shown = world.people()[0].shown.clone();
    world.decide("@bob:a", &Decision::Accept { shown, compared: true }).unwrap();
    assert!(world.gets("@bob:a", "NEW", 65), "vouched for");
    assert!(!world.gets("@bob:a", "GHOST", 66), "the code said nothing of it");
    assert_eq!(world.people()[0].code.as_str(), "KS-PIN-DEVICE");
}

#[test]
fn a_homeserver_that_answers_something_else_each_time_holds_nobody_up() {
    let (mut world, _) = pinned();
    world.observe(&Person::new("@bob:a", 80).answer());
    world.homeserver_in_turn((1..100).map(|n| Person::new("@bob:a", 80 + n % 2).answer()));
    let before = world.now();
    assert!(!world.gets("@bob:a", "PHONE", 10));
    assert!(world.now().since(before) <= 2 * super::SETTLES_WITHIN);
}

#[test]
fn what_is_ordinary_is_silent() {
    let (mut world, mut bob) = pinned();
    // A new device, signed a second after it appeared.
    bob.add_device("LAPTOP", 20, false);
    world.homeserver(bob.answer());
    bob.add_device("LAPTOP", 20, true);
    world.homeserver_after(2, bob.answer());
    assert!(world.gets("@bob:a", "LAPTOP", 20), "it is waited for");
    assert!(world.people().is_empty());
    // A device that its owner signed a minute after it appeared, and whom a secret is sent at once.
    bob.add_device("TABLET", 21, false);
    world.observe(&bob.answer());
    world.later();
    bob.add_device("TABLET", 21, true);
    world.homeserver(bob.answer());
    assert!(world.gets("@bob:a", "TABLET", 21), "nothing is held without having asked");
    // A renamed device, one that vanished, a user whose server does not answer.
    let mut renamed = bob.answer();
    renamed["device_keys"]["@bob:a"]["PHONE"]["unsigned"] = json!({ "device_display_name": "New name" });
    assert!(world.observe(&renamed).is_empty());
    renamed["device_keys"]["@bob:a"].as_object_mut().unwrap().remove("PHONE");
    assert!(world.observe(&renamed).is_empty());
    assert!(world.observe(&json!({ "device_keys": {}, "failures": { "a": {} } })).is_empty());
    assert!(world.gets("@bob:a", "PHONE", 10));
    // Somebody who had no identity gets one.
    let mut eve = Person::new("@eve:a", 40);
    eve.add_device("WEB", 41, true);
    let mut before = eve.answer();
    before["master_keys"] = json!({});
    before["self_signing_keys"] = json!({});
    world.observe(&before);
    assert!(world.people().is_empty(), "nothing is held yet");
    world.homeserver(eve.answer());
    assert!(world.gets("@eve:a", "WEB", 41));
    assert!(world.people().is_empty());
}

#[test]
fn the_key_in_the_message_counts_and_not_the_name_on_it() {
    let (mut world, mut bob) = pinned();
    bob.add_device("GHOST", 66, false);
    world.homeserver(bob.answer());
    assert!(world.gets("@bob:a", "PHONE", 10));
    assert!(!world.gets("@bob:a", "PHONE", 66), "the ghost's ciphertext under the phone's name");
    assert!(!world.gets("@bob:a", "UNKNOWN", 10), "the phone's ciphertext under an unknown name");
    assert!(!world.gets("@mallory:a", "X", 10), "somebody whom the homeserver does not know");
    assert!(!world.gets("not a user", "X", 10));
}

#[test]
fn the_policy_says_what_is_held() {
    let hold =
        |on_change, unsigned| Pins { on_change: Some(on_change), unsigned_devices: Some(unsigned), ..Pins::default() };
    let (warn, allow) = (UnsignedDevices::Warn, UnsignedDevices::Allow);
    for (pins, ghost, changed) in [
        (Pins::default(), false, false),
        (hold(OnChange::Hold, warn), true, false),
        (hold(OnChange::Hold, allow), true, false),
        (hold(OnChange::Warn, UnsignedDevices::Hold), false, true),
        (hold(OnChange::Warn, warn), true, true),
        (Pins { exempt: vec![Person::new("@bob:a", 1).user()], ..Pins::default() }, true, true),
    ] {
        let (mut world, mut bob) = pinned();
        world.pins = pins.clone();
        bob.add_device("GHOST", 66, false);
        world.homeserver(bob.answer());
        world.observe(&bob.answer());
        world.later();
        assert_eq!(world.gets("@bob:a", "GHOST", 66), ghost, "{pins:?}");
        bob.add_device("PHONE", 67, true);
        world.homeserver(bob.answer());
        world.observe(&bob.answer());
        world.later();
        assert_eq!(world.gets("@bob:a", "PHONE", 67), changed, "{pins:?}");
    }
}

#[test]
fn a_store_that_is_put_back_shows() {
    let (mut world, mut bob) = pinned();
    let before = world.records();
    bob.add_device("GHOST", 66, false);
    world.homeserver(bob.answer());
    world.observe(&bob.answer());
    let after = world.records();
    let log = |key: &String| key.starts_with("pin-log|");
    for (what, mixed) in [
        (
            "the record",
            after
                .iter()
                .map(|(k, v)| (k.clone(), if log(k) { v.clone() } else { before.get(k).unwrap_or(v).clone() }))
                .collect(),
        ),
        (
            "the log",
            after.iter().map(|(k, v)| (k.clone(), if log(k) { before[k].clone() } else { v.clone() })).collect(),
        ),
        ("the record is gone", after.clone().into_iter().filter(|(k, _)| !k.starts_with("pin|")).collect()),
    ] {
        world.put_back(mixed);
        assert!(!world.gets("@bob:a", "PHONE", 10), "{what}");
        assert_eq!(world.people()[0].code.as_str(), "KS-PIN-ROLLBACK", "{what}");
        let shown = world.people()[0].shown.clone();
        world.decide("@bob:a", &Decision::Accept { shown, compared: false }).unwrap();
        assert!(world.gets("@bob:a", "PHONE", 10), "{what}: accepted");
        world.reopen();
        assert!(world.gets("@bob:a", "PHONE", 10), "{what}: accepted for good");
    }
}

#[test]
fn what_is_gone_by_itself_lets_the_key_through_and_the_next_message_has_a_new_one() {
    let (mut world, bob) = pinned();
    let other = Person::new("@bob:a", 90);
    world.observe(&other.answer());
    world.homeserver(other.answer());
    world.later();
    assert!(!world.gets("@bob:a", "PHONE", 10));
    world.observe(&bob.answer());
    assert_eq!(world.discarded(), 1);
    assert!(world.gets("@bob:a", "PHONE", 10));
    assert!(world.people().is_empty());
}

#[test]
fn somebody_who_keeps_it_so_is_left_in_peace_until_something_else_changes() {
    let (mut world, _) = pinned();
    let other = Person::new("@bob:a", 90);
    world.observe(&other.answer());
    world.homeserver(other.answer());
    world.later();
    world.decide("@bob:a", &Decision::KeepHolding).unwrap();
    assert!(!world.gets("@bob:a", "PHONE", 10));
    assert!(world.people().is_empty());
    world.decide("@bob:a", &Decision::AskAgain).unwrap();
    assert_eq!(world.people().len(), 1);
    world.decide("@bob:a", &Decision::KeepHolding).unwrap();
    world.observe(&Person::new("@bob:a", 91).answer());
    assert_eq!(world.people().len(), 1, "a third identity");
}

#[test]
fn severity_is_by_what_was_trusted() {
    let key = *Person::new("@bob:a", 1).master();
    let device = DeviceId::parse("D").unwrap();
    let path = String::new();
    use Severity::{Critical, Notice, Silent, Warning};
    for (verdict, pinned, compared) in [
        (Verdict::FirstContact { master: key }, Silent, Silent),
        (Verdict::Newcomer { master: key }, Notice, Notice),
        (Verdict::Unchanged, Silent, Silent),
        (Verdict::DeviceVouched { device: device.clone() }, Silent, Silent),
        (Verdict::DeviceUnvouched { device: device.clone() }, Warning, Critical),
        (Verdict::DeviceKeyChanged { device: device.clone(), old: key, new: key }, Critical, Critical),
        (Verdict::MasterChanged { old: key, new: key }, Warning, Critical),
        (Verdict::IdentityRemoved { old: key }, Warning, Critical),
        (Verdict::SignatureInvalid { path: path.clone() }, Critical, Critical),
        (Verdict::NoLongerVouched { device }, Warning, Critical),
        (Verdict::StoreRolledBack, Critical, Critical),
        (Verdict::Malformed { path }, Warning, Warning),
    ] {
        assert_eq!(verdict.severity(Trust::Pinned), pinned, "{verdict:?}");
        assert_eq!(verdict.severity(Trust::Compared), compared, "{verdict:?}");
    }
}
