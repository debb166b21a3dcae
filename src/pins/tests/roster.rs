//! What the organisation's list of people says of identities.

use std::time::Duration;

use super::{
    person::Person,
    pinned,
    world::{Published, World},
};
use crate::{
    pins::{Decision, Happened},
    policy::{FirstContact, Pins},
    time::UnixMillis,
};

const HOUR: Duration = Duration::from_secs(3600);

fn reset_bob() -> Person {
    let mut other = Person::new("@bob:a", 90);
    other.add_device("NEW", 65, true);
    other
}

/// Bob is pinned, an hour ago.
fn an_hour_later() -> (World, Person) {
    let (mut world, bob) = pinned();
    world.trust("signer");
    world.wait(HOUR);
    (world, bob)
}

fn codes(world: &World, of: &Person) -> Vec<String> {
    let seen = |entry: &crate::pins::Entry| format!("{:?}", Happened::from(&entry.what));
    world.book().history(&of.user()).iter().map(seen).collect()
}

#[test]
fn a_reset_that_the_roster_names_is_accepted_quietly_and_shown_in_the_history() {
    let (mut world, _) = an_hour_later();
    let other = reset_bob();
    let since = Some(world.now());
    world.publish(&Published { people: &[("@bob:a", Some(other.master()), since)], ..Published::default() });
    world.homeserver(other.answer());
    world.observe(&other.answer());
    assert!(world.people().is_empty(), "{:?}", world.people());
    assert!(world.gets("@bob:a", "NEW", 65) && !world.gets("@bob:a", "PHONE", 10), "its devices, and no others");
    let history = codes(&world, &other);
    assert!(history.contains(&"Seen(PinReset)".to_owned()), "{history:?}");
    assert!(!history.contains(&"Seen(PinIdentity)".to_owned()), "{history:?}");
    world.reopen();
    world.trust("signer");
    assert!(world.gets("@bob:a", "NEW", 65));
    // The next one is a change like any other.
    world.observe(&Person::new("@bob:a", 91).answer());
    assert_eq!(world.people()[0].code.as_str(), "KS-PIN-IDENTITY");
}

#[test]
fn a_reset_that_the_roster_names_later_is_accepted_then() {
    for look in [World::look, World::settle] {
        let (mut world, _) = an_hour_later();
        let other = reset_bob();
        world.publish(&Published { people: &[("@bob:a", None, None)], ..Published::default() });
        world.homeserver(other.answer());
        world.observe(&other.answer());
        world.later();
        assert!(!world.gets("@bob:a", "NEW", 65));
        assert_eq!(world.people()[0].code.as_str(), "KS-PIN-IDENTITY");
        let people: &[_] = &[("@bob:a", Some(other.master()), Some(world.now()))];
        world.publish(&Published { serial: 2, people, ..Published::default() });
        world.wait(Duration::from_secs(30));
        look(&mut world);
        assert!(world.people().is_empty(), "{:?}", world.people());
        assert!(world.gets("@bob:a", "NEW", 65));
    }
    // And where somebody writes to the person, a minute later at the most.
    let (mut world, _) = an_hour_later();
    let other = reset_bob();
    world.homeserver(other.answer());
    world.observe(&other.answer());
    world.later();
    assert!(!world.gets("@bob:a", "NEW", 65));
    assert_eq!(world.people()[0].roster.map(|code| code.as_str()), Some("KS-DIR-UNREACHABLE"));
    let since = Some(world.now());
    world.publish(&Published { people: &[("@bob:a", Some(other.master()), since)], ..Published::default() });
    world.wait(Duration::from_secs(60));
    assert!(world.gets("@bob:a", "NEW", 65));
}

#[test]
fn a_roster_that_is_not_to_be_believed_resets_nobody() {
    let other = reset_bob();
    let (name, day) = ("@bob:a", Duration::from_secs(86_400));
    let signed_by = |signer| Published { signer, ..Published::default() };
    for (what, trusted, roster, code) in [
        ("wrong signer", "signer", signed_by("stranger"), Some("KS-SGN-SIGNER")),
        ("revoked signer", "revoked", signed_by("revoked"), Some("KS-SGN-SIGNER")),
        (
            "other deployment",
            "signer",
            Published { deployment: "https://chat.example.com", ..Published::default() },
            Some("KS-SGN-DEPLOYMENT"),
        ),
        (
            "expired",
            "signer",
            Published { holds: Duration::from_secs(1), ..Published::default() },
            Some("KS-SGN-EXPIRED"),
        ),
    ] {
        let (mut world, _) = an_hour_later();
        world.trust(trusted);
        let people: &[_] = &[(name, Some(other.master()), Some(world.now()))];
        world.publish(&Published { people, ..roster });
        world.wait(day / 24);
        world.homeserver(other.answer());
        world.observe(&other.answer());
        let [view] = &world.people()[..] else { panic!("{what}: nobody is told of") };
        assert_eq!(view.code.as_str(), "KS-PIN-IDENTITY", "{what}");
        assert_eq!(view.roster.map(|code| code.as_str()), code, "{what}");
        world.later();
        assert!(!world.gets(name, "NEW", 65), "{what}");
    }
}

#[test]
fn an_older_roster_resets_nobody() {
    let (mut world, _) = an_hour_later();
    let other = reset_bob();
    let people: &[_] = &[("@bob:a", None, None)];
    world.publish(&Published { serial: 7, people, ..Published::default() });
    world.homeserver(other.answer());
    world.observe(&other.answer());
    let people: &[_] = &[("@bob:a", Some(other.master()), Some(world.now()))];
    world.publish(&Published { serial: 6, people, ..Published::default() });
    world.wait(HOUR);
    world.look();
    let view = world.people().remove(0);
    assert_eq!((view.code.as_str(), view.roster.map(|code| code.as_str())), ("KS-PIN-IDENTITY", Some("KS-SGN-SERIAL")));
    assert!(!world.gets("@bob:a", "NEW", 65));
}

#[test]
fn only_what_the_roster_names_since_the_pin_is_a_reset() {
    let (other, third) = (reset_bob(), Person::new("@bob:a", 91));
    let long_ago = |world: &World| UnixMillis(world.now().0 - 2 * 3_600_000);
    let tomorrow = |world: &World| world.now().plus(Duration::from_secs(86_400));
    let now = |world: &World| world.now();
    for (what, user, master, since) in [
        ("another key", "@bob:a", third.master(), Some(&now as &dyn Fn(&World) -> UnixMillis)),
        ("another person", "@eve:a", other.master(), Some(&now as _)),
        ("no time", "@bob:a", other.master(), None),
        ("a time before the pin", "@bob:a", other.master(), Some(&long_ago as _)),
        ("a time that has not come", "@bob:a", other.master(), Some(&tomorrow as _)),
    ] {
        let (mut world, _) = an_hour_later();
        let since = since.map(|since| since(&world));
        world.publish(&Published { people: &[(user, Some(master), since)], ..Published::default() });
        world.homeserver(other.answer());
        world.observe(&other.answer());
        assert_eq!(world.people()[0].code.as_str(), "KS-PIN-IDENTITY", "{what}");
        world.later();
        assert!(!world.gets("@bob:a", "NEW", 65), "{what}");
    }
}

#[test]
fn with_a_roster_for_first_contact_only_its_people_get_keys_until_somebody_is_accepted() {
    let mut carol = Person::new("@carol:a", 40);
    carol.add_device("WEB", 41, true);
    let named = *Person::new("@carol:a", 44).master();
    for (what, people, listed) in [
        ("without a key", &[("@carol:a", None, None)] as &[_], true),
        ("with her key", &[("@carol:a", Some(carol.master()), None)], true),
        ("with another key", &[("@carol:a", Some(&named), None)], false),
        ("not at all", &[("@dan:a", None, None)], false),
    ] {
        let (mut world, bob) = an_hour_later();
        world.pins = Pins { first_contact: Some(FirstContact::Roster), ..Pins::default() };
        world.publish(&Published { people, ..Published::default() });
        world.homeserver_of(&[&bob, &carol], usize::MAX);
        let got = world.send(&[(&bob, "PHONE", 10), (&carol, "WEB", 41)]);
        assert_eq!(got.contains(&"@carol:a".to_owned()), listed, "{what}");
        assert!(got.contains(&"@bob:a".to_owned()), "{what}: he is pinned");
        if listed {
            assert!(world.people().is_empty(), "{what}");
            continue;
        }
        let view = world.people().remove(0);
        assert_eq!((view.code.as_str(), view.held, view.acceptable), ("KS-PIN-ROSTER", true, true), "{what}");
        // The policy may change, and IT may list her.
        let mut other = (Pins::default(), world.pins.clone());
        std::mem::swap(&mut world.pins, &mut other.0);
        world.observe(&carol.answer());
        assert_eq!(world.send(&[(&carol, "WEB", 41)]), ["@carol:a"], "{what}: another policy");
    }
    let (mut world, _) = an_hour_later();
    world.pins = Pins { first_contact: Some(FirstContact::Roster), ..Pins::default() };
    world.homeserver(carol.answer());
    assert!(!world.gets("@carol:a", "WEB", 41), "no roster is no word");
    assert_eq!(world.people()[0].roster.map(|code| code.as_str()), Some("KS-DIR-UNREACHABLE"));
    world.publish(&Published { people: &[("@carol:a", None, None)], ..Published::default() });
    world.wait(HOUR);
    world.look();
    assert!(world.gets("@carol:a", "WEB", 41) && world.people().is_empty(), "listed since");
    world.publish(&Published { serial: 2, people: &[], ..Published::default() });
    let mut dan = Person::new("@dan:a", 45);
    dan.add_device("WEB", 46, true);
    world.homeserver(dan.answer());
    world.wait(HOUR);
    assert!(!world.gets("@dan:a", "WEB", 46));
    let shown = world.people().remove(0).shown;
    world.decide("@dan:a", &Decision::Accept { shown, compared: false }).unwrap();
    assert!(world.gets("@dan:a", "WEB", 46) && world.people().is_empty(), "accepted");
    world.decide("@dan:a", &Decision::Withdraw).unwrap();
    world.homeserver(dan.answer());
    assert!(!world.gets("@dan:a", "WEB", 46), "withdrawn");
}
