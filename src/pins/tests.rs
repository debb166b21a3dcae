//! What a homeserver does, and what comes of it; and what must stay silent.

mod attacks;
mod history;
mod newcomers;
mod person;
mod quiet;
mod roster;
mod shared;
mod stores;
mod world;

use serde_json::json;

use super::{Decision, Severity, Trust, Verdict};
use crate::{
    ident::DeviceId,
    policy::{FirstContact, OnChange, Pins, UnsignedDevices},
};
use person::Person;
use world::World;

fn pinned() -> (World, Person) {
    let (mut world, mut bob) = (World::new(), Person::new("@bob:a", 1));
    bob.add_device("PHONE", 10, true);
    assert_eq!(world.observe(&bob.answer()), ["KS-PIN-FIRST", "KS-PIN-FIRST"]);
    (world, bob)
}

#[test]
fn a_new_identity_is_shown_with_both_codes_and_only_what_was_shown_is_accepted() {
    let (mut world, _) = pinned();
    assert!(world.people().is_empty());
    world.prove(&Person::new("@ann:a", 50));
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
fn of_many_people_one_whose_signature_does_not_hold_is_found_and_the_others_are_pinned() {
    let people: Vec<_> = (0..40_u8)
        .map(|n| {
            let mut person = Person::new(&format!("@p{n}:a"), n);
            person.add_device("WEB", n, true);
            person
        })
        .collect();
    let mut all = json!({});
    for person in &people {
        for (field, of_one) in person.answer().as_object().unwrap() {
            for (user, value) in of_one.as_object().unwrap() {
                all[field][user] = value.clone();
            }
        }
    }
    let stolen = all["self_signing_keys"]["@p7:a"]["signatures"]["@p7:a"].take();
    let key_id = stolen.as_object().unwrap().keys().next().unwrap();
    let other = all["self_signing_keys"]["@p8:a"]["signatures"]["@p8:a"].as_object().unwrap();
    all["self_signing_keys"]["@p7:a"]["signatures"]["@p7:a"] = json!({ key_id: other.values().next().unwrap() });
    let mut world = World::new();
    let codes = world.observe(&all);
    let count = |code: &str| codes.iter().filter(|one| **one == code).count();
    assert_eq!((count("KS-PIN-SIGNATURE"), count("KS-PIN-FIRST"), count("KS-PIN-DEVICE")), (1, 78, 1), "{codes:?}");
    for (number, person) in people.iter().enumerate() {
        let pinned = world.book().records[&person.user()].identity.as_ref().map(|pinned| pinned.master);
        assert_eq!(pinned.as_ref(), (number != 7).then(|| person.master()), "{number}");
    }
    assert!(world.gets("@p8:a", "WEB", 8) && !world.gets("@p7:a", "WEB", 7));
}

#[test]
fn an_answer_is_known_as_long_as_nobody_in_it_was_answered_for_otherwise() {
    let (mut world, mut bob) = pinned();
    let first = bob.answer();
    assert!(world.knows(&first) && !World::new().knows(&first));
    bob.add_device("TABLET", 11, true);
    assert!(!world.knows(&bob.answer()));
    world.observe(&bob.answer());
    assert!(world.knows(&bob.answer()) && !world.knows(&first), "what was is news again");
    world.observe(&first);
    assert!(world.knows(&first) && !world.knows(&bob.answer()));
    // The policy may have another word on the same answer.
    world.pins = Pins { on_change: Some(OnChange::Warn), ..Pins::default() };
    assert!(!world.knows(&first));
    world.observe(&first);
    assert!(world.knows(&first));
    // What Keystead itself was answered says nothing of what the client has.
    world.homeserver(bob.answer());
    assert!(!world.gets("@bob:a", "TABLET", 12));
    assert!(!world.knows(&first));
    let mut carol = Person::new("@carol:a", 40);
    carol.add_device("WEB", 41, true);
    world.pins = Pins { first_contact: Some(FirstContact::Roster), ..Pins::default() };
    world.observe(&carol.answer());
    assert!(!world.knows(&carol.answer()), "a roster may have a word on it");
    world.reopen();
    assert!(!world.knows(&first));
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
fn a_device_that_stays_unsigned_is_told_of_whatever_the_client_sends_it() {
    let (mut world, mut bob) = pinned();
    world.later();
    bob.add_device("GHOST", 66, false);
    world.homeserver(bob.answer());
    world.observe(&bob.answer());
    assert!(world.people().is_empty(), "its owner may sign it yet");
    let before = world.now();
    world.settle();
    assert!(world.now().since(before) >= super::SETTLES_WITHIN);
    world.reopen();
    let [view] = &world.people()[..] else { panic!("nobody is told") };
    assert_eq!((view.code.as_str(), view.held, view.acceptable, view.withheld), ("KS-PIN-DEVICE", true, true, false));
    assert_eq!(world.book().look_again_at(&world.pins, world.now()), None, "once");
    let shown = view.shown.clone();
    world.decide("@bob:a", &Decision::Accept { shown, compared: false }).unwrap();
    assert!(world.people().is_empty() && world.gets("@bob:a", "GHOST", 66));
}

#[test]
fn a_device_that_only_the_client_is_shown_is_held_back_and_told_of() {
    let (mut world, mut bob) = pinned();
    world.later();
    world.homeserver(bob.answer());
    bob.add_device("GHOST", 66, false);
    world.observe(&bob.answer());
    world.settle();
    assert!(!world.gets("@bob:a", "GHOST", 66) && world.gets("@bob:a", "PHONE", 10));
    assert_eq!(world.people()[0].code.as_str(), "KS-PIN-DEVICE");
    bob.remove_device("GHOST");
    world.observe(&bob.answer());
    assert!(world.people().is_empty(), "the client is not shown it any more");
}

#[test]
fn of_a_device_that_nobody_vouches_for_yet_nobody_is_told() {
    let told = |pins: Pins, then: &dyn Fn(&mut World, &mut Person)| {
        let (mut world, mut bob) = pinned();
        world.pins = pins;
        world.later();
        bob.add_device("LAPTOP", 20, false);
        world.homeserver(bob.answer());
        world.observe(&bob.answer());
        then(&mut world, &mut bob);
        world.settle();
        world.people().into_iter().map(|person| person.held).collect::<Vec<_>>()
    };
    let unsigned = |value| Pins { unsigned_devices: Some(value), ..Pins::default() };
    assert_eq!(told(unsigned(UnsignedDevices::Hold), &|_, _| {}), [true]);
    assert_eq!(told(unsigned(UnsignedDevices::Warn), &|_, _| {}), [false], "told, not held");
    assert_eq!(told(unsigned(UnsignedDevices::Allow), &|_, _| {}), [false; 0]);
    assert_eq!(told(Pins { exempt: vec![Person::new("@bob:a", 1).user()], ..Pins::default() }, &|_, _| {}), [false; 0]);
    let signed: &dyn Fn(&mut World, &mut Person) = &|world, bob| {
        bob.add_device("LAPTOP", 20, true);
        world.homeserver_after(2, bob.answer());
    };
    assert_eq!(told(Pins::default(), signed), [false; 0], "signed while it is waited for");
    let gone: &dyn Fn(&mut World, &mut Person) = &|world, bob| {
        world.look_once();
        bob.remove_device("LAPTOP");
        world.homeserver(bob.answer());
        world.observe(&bob.answer());
    };
    assert_eq!(told(Pins::default(), gone), [false; 0], "a login that was given up");
    let silent: &dyn Fn(&mut World, &mut Person) =
        &|world, _| world.homeserver(json!({ "device_keys": {}, "failures": { "a": {} } }));
    assert_eq!(told(Pins::default(), silent), [false; 0], "a homeserver that does not answer");
}

#[test]
fn nobody_is_told_of_devices_that_were_there_before_nor_of_this_browser() {
    let (mut world, mut bob) = (World::new(), Person::new("@bob:a", 1));
    bob.add_device("OLD", 10, false);
    world.homeserver(bob.answer());
    world.observe(&bob.answer());
    world.settle();
    assert!(world.people().is_empty(), "the day it is rolled out");
    let mut ann = Person::new("@ann:a", 50);
    world.prove(&ann);
    world.later();
    ann.add_device("HERE", 51, false);
    world.is_here("HERE");
    world.homeserver(ann.answer());
    world.observe(&ann.answer());
    world.settle();
    assert!(world.people().is_empty(), "Element says how it stands with this session");
    ann.add_device("GHOST", 66, false);
    world.homeserver(ann.answer());
    world.observe(&ann.answer());
    world.settle();
    assert_eq!(world.people().len(), 1, "a ghost among one's own");
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
fn one_person_whose_answer_is_too_long_keeps_nobody_else_waiting() {
    let mut world = World::new();
    let mut people: Vec<_> = (0..40_u8).map(|n| Person::new(&format!("@p{n}:a"), n + 1)).collect();
    people.iter_mut().for_each(|person| person.add_device("D", 60, true));
    for key in 0..100 {
        people[17].add_device(&format!("D{key}"), key, false);
    }
    world.homeserver_of(&people.iter().collect::<Vec<_>>(), 20_000);
    let got = world.send(&people.iter().map(|person| (person, "D", 60)).collect::<Vec<_>>());
    assert_eq!(got.len(), 39, "{got:?}");
    assert!(!got.contains(&"@p17:a".to_owned()));
    let shown = world.people();
    assert_eq!((shown.len(), shown[0].code.as_str(), shown[0].held), (1, "KS-PIN-MALFORMED", true));
    assert!(!shown[0].acceptable, "nobody knows what");
    world.homeserver_of(&people.iter().collect::<Vec<_>>(), usize::MAX);
    world.later();
    assert_eq!(world.send(&[(&people[17], "D", 60)]), ["@p17:a"], "it is over when it is over");
}

#[test]
fn the_next_identity_after_one_that_was_taken_away_is_no_first_contact() {
    let (mut world, bob) = pinned();
    let mut gone = bob.answer();
    gone["master_keys"] = json!({});
    gone["self_signing_keys"] = json!({});
    world.homeserver(gone.clone());
    world.observe(&gone);
    let shown = world.people().remove(0).shown;
    world.decide("@bob:a", &Decision::Accept { shown, compared: false }).unwrap();
    world.later();
    assert!(!world.gets("@bob:a", "PHONE", 10), "nobody vouches for it any more: a question of its own");
    let device = world.people().remove(0);
    assert_eq!((device.code.as_str(), device.shown.devices.len()), ("KS-PIN-DEVICE", 1));
    let other = Person::new("@bob:a", 90);
    assert_eq!(world.observe(&other.answer()), ["KS-PIN-IDENTITY"]);
    world.prove(&Person::new("@ann:a", 50));
    let shown = world.people().remove(0);
    assert!(shown.held && shown.old_code.is_some() && shown.old_code != shown.new_code);
    // The old one back is no change.
    world.homeserver(bob.answer());
    world.observe(&bob.answer());
    assert!(world.gets("@bob:a", "PHONE", 10));
    assert!(world.people().is_empty());
}

#[test]
fn of_the_owner_only_what_this_browser_has_proven_counts() {
    let mut world = World::new();
    let (mut ann, mut forged) = (Person::new("@ann:a", 50), Person::new("@ann:a", 51));
    ann.add_device("OTHER", 55, true);
    forged.add_device("GHOST", 66, true);
    world.observe(&forged.answer());
    world.homeserver(forged.answer());
    world.later();
    assert!(!world.gets("@ann:a", "GHOST", 66), "the homeserver's word");
    let shown = world.people();
    assert!(shown.iter().all(|person| person.old_code.is_none() && person.new_code.is_none()));
    world.prove(&ann);
    assert!(!world.gets("@ann:a", "GHOST", 66));
    assert_eq!(world.people()[0].code.as_str(), "KS-PIN-IDENTITY");
    world.homeserver(ann.answer());
    world.observe(&ann.answer());
    assert!(world.gets("@ann:a", "OTHER", 55) && !world.gets("@ann:a", "GHOST", 66));
}

#[test]
fn a_swapped_device_that_is_only_warned_of_is_still_an_unsigned_device() {
    let (mut world, mut bob) = pinned();
    world.pins.on_change = Some(OnChange::Warn);
    bob.add_device("PHONE", 66, false);
    world.homeserver(bob.answer());
    world.observe(&bob.answer());
    world.later();
    assert!(!world.gets("@bob:a", "PHONE", 66));
    assert!(world.gets("@bob:a", "PHONE", 10), "the keys before");
}

#[test]
fn what_is_withdrawn_is_what_was_accepted_last() {
    let (mut world, bob) = pinned();
    let mut other = Person::new("@bob:a", 90);
    other.add_device("NEW", 65, true);
    other.add_device("TABLET", 67, false);
    world.homeserver(other.answer());
    world.observe(&other.answer());
    let accept = |world: &mut World| {
        let shown = world.people().remove(0).shown;
        world.decide("@bob:a", &Decision::Accept { shown, compared: false }).unwrap();
    };
    accept(&mut world);
    world.later();
    assert!(!world.gets("@bob:a", "TABLET", 67));
    accept(&mut world);
    assert!(world.gets("@bob:a", "TABLET", 67));
    world.decide("@bob:a", &Decision::Withdraw).unwrap();
    assert!(!world.gets("@bob:a", "TABLET", 67), "the device");
    assert!(world.gets("@bob:a", "NEW", 65), "and not the identity");
    assert!(world.decide("@bob:a", &Decision::Withdraw).is_err(), "once");
    world.homeserver(bob.answer());
    world.observe(&bob.answer());
    assert_eq!(world.people()[0].code.as_str(), "KS-PIN-IDENTITY");
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
        (Verdict::Unlisted { master: key }, Warning, Warning),
        (Verdict::Reset { old: key, new: key }, Silent, Silent),
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
        // As it is kept.
        let text = serde_json::to_string(&verdict).unwrap();
        assert_eq!(serde_json::from_str::<Verdict>(&text).ok(), Some(verdict), "{text}");
    }
    for text in [r#"{"verdict":"reset"}"#, r#"{"verdict":"unheard_of"}"#, "{}", r#"{"verdict":"unchanged","old":"x"}"#]
    {
        assert!(serde_json::from_str::<Verdict>(text).is_err(), "{text}");
    }
}
