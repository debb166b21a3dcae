//! Whose keys were decided about lately, and what can be taken back.

use std::{collections::BTreeMap, time::Duration};

use super::{
    person::Person,
    pinned,
    world::{Published, World},
};
use crate::pins::{DecidedView, Decision, Happened};

fn other_bob() -> Person {
    let mut other = Person::new("@bob:a", 90);
    other.add_device("NEW", 65, true);
    other
}

/// Bob is pinned, and has another identity now.
fn changed() -> World {
    let (mut world, _) = pinned();
    let other = other_bob();
    world.homeserver(other.answer());
    world.observe(&other.answer());
    world
}

fn accept(world: &mut World) {
    let shown = world.people().remove(0).shown;
    world.decide("@bob:a", &Decision::Accept { shown, compared: false }).unwrap();
}

/// The one that there is, after a restart: nothing of it is of this run alone.
fn only(world: &mut World) -> DecidedView {
    world.reopen();
    let mut decided = world.decided();
    assert_eq!(decided.len(), 1, "{decided:?}");
    decided.remove(0)
}

#[test]
fn an_acceptance_is_there_to_be_taken_back_and_gone_when_it_is() {
    let mut world = changed();
    assert!(world.decided().is_empty(), "that it was seen is no decision");
    accept(&mut world);
    assert!(world.people().is_empty(), "nothing is asked any more");
    let decided = only(&mut world);
    assert_eq!((decided.user_id.as_str(), decided.last.what), ("@bob:a", Happened::Accepted));
    assert!(decided.withdrawable && !decided.held_quietly);
    assert!(decided.history.contains(&decided.last) && decided.history.len() > 1, "{:?}", decided.history);
    world.decide("@bob:a", &Decision::Withdraw).unwrap();
    let decided = only(&mut world);
    assert_eq!(decided.last.what, Happened::Withdrawn);
    assert!(!decided.withdrawable);
    assert!(!world.gets("@bob:a", "NEW", 65) && world.people().len() == 1, "it is held back, and asked about again");
}

#[test]
fn accepted_devices_can_be_taken_back_as_long_as_nobody_vouches_for_them() {
    let (mut world, mut bob) = pinned();
    bob.add_device("TABLET", 67, false);
    world.homeserver(bob.answer());
    world.observe(&bob.answer());
    world.later();
    assert!(!world.gets("@bob:a", "TABLET", 67));
    accept(&mut world);
    assert!(only(&mut world).withdrawable);
    let (_, mut bob) = pinned();
    bob.add_device("TABLET", 67, true);
    world.homeserver(bob.answer());
    world.observe(&bob.answer());
    let decided = only(&mut world);
    assert!(!decided.withdrawable && decided.last.what == Happened::Accepted, "{decided:?}");
}

#[test]
fn what_is_held_back_in_peace_can_be_asked_again() {
    let mut world = changed();
    world.decide("@bob:a", &Decision::KeepHolding).unwrap();
    let decided = only(&mut world);
    assert_eq!(decided.last.what, Happened::Kept);
    assert!(decided.held_quietly && !decided.withdrawable && world.people().is_empty());
    world.decide("@bob:a", &Decision::AskAgain).unwrap();
    let decided = only(&mut world);
    assert_eq!(decided.last.what, Happened::Kept, "to be asked again is no decision");
    assert!(!decided.held_quietly && world.people().len() == 1);
    world.decide("@bob:a", &Decision::KeepHolding).unwrap();
    let (mut world, bob) = (world, pinned().1);
    world.homeserver(bob.answer());
    world.observe(&bob.answer());
    assert!(!only(&mut world).held_quietly, "nothing is held back any more");
}

#[test]
fn a_quiet_reset_is_there_and_cannot_be_taken_back() {
    let (mut world, _) = pinned();
    world.trust("signer");
    world.wait(Duration::from_secs(3600));
    let other = other_bob();
    let since = Some(world.now());
    world.publish(&Published { people: &[("@bob:a", Some(other.master()), since)], ..Published::default() });
    world.homeserver(other.answer());
    world.observe(&other.answer());
    assert!(world.people().is_empty());
    let decided = only(&mut world);
    assert_eq!(decided.last.what, Happened::Seen(crate::error::Code::PinReset));
    assert!(!decided.withdrawable && !decided.held_quietly);
}

#[test]
fn that_somebody_read_of_a_newcomer_is_not_there() {
    let (mut world, bob) = pinned();
    let mut people: Vec<_> = (40..43_u8).map(|seed| Person::new(&format!("@p{seed}:a"), seed)).collect();
    people.iter_mut().for_each(|person| person.add_device("WEB", 60, true));
    let everybody: Vec<_> = people.iter().chain([&bob]).collect();
    world.homeserver_of(&everybody, usize::MAX);
    world.rooms = Some(BTreeMap::from([("!room:a", vec![bob.user()])]));
    world.send(&[(&bob, "PHONE", 10)]);
    world.writes_to("!room:a");
    world.rooms.as_mut().unwrap().get_mut("!room:a").unwrap().extend(people.iter().map(Person::user));
    people.iter().for_each(|person| assert!(world.observe(&person.answer()).len() > 1));
    assert_eq!(world.people().len(), 3);
    let shown = |world: &World, user: &str| {
        world.people().into_iter().find(|view| view.user_id.as_str() == user).unwrap().shown
    };
    let read = Decision::Accept { shown: shown(&world, "@p40:a"), compared: false };
    world.decide("@p40:a", &read).unwrap();
    world.decide("@p41:a", &Decision::KeepHolding).unwrap();
    assert!(world.decided().is_empty(), "{:?}", world.decided());
    let compared = Decision::Accept { shown: shown(&world, "@p42:a"), compared: true };
    world.decide("@p42:a", &compared).unwrap();
    let decided = only(&mut world);
    assert_eq!((decided.user_id.as_str(), decided.last.what), ("@p42:a", Happened::Compared));
    assert!(!decided.withdrawable, "the identity was pinned before");
}

#[test]
fn the_last_twenty_are_there_the_newest_first_and_nobody_who_is_exempt() {
    let mut world = World::new();
    for n in 0..23_u8 {
        let name = format!("@p{n}:a");
        world.observe(&Person::new(&name, n + 1).answer());
        world.observe(&Person::new(&name, n + 101).answer());
        world.wait(Duration::from_secs(60));
        world.decide(&name, &Decision::KeepHolding).unwrap();
    }
    let names = |decided: Vec<DecidedView>| -> Vec<String> {
        decided.iter().map(|view| view.user_id.as_str().to_owned()).collect()
    };
    let expected: Vec<_> = (3..23).rev().map(|n| format!("@p{n}:a")).collect();
    assert_eq!(names(world.decided()), expected);
    world.decide("@p0:a", &Decision::AskAgain).unwrap();
    assert_eq!(names(world.decided()), expected, "to be asked again is no decision");
    world.decide("@p0:a", &Decision::KeepHolding).unwrap();
    assert_eq!(names(world.decided())[0], "@p0:a");
    world.pins.exempt.push(Person::new("@p0:a", 1).user());
    assert_eq!(names(world.decided()), expected);
}
