//! Who is new in a room in use.

use std::collections::BTreeMap;

use super::{person::Person, pinned, world::World};
use crate::{
    pins::{Decision, Severity, Trust},
    policy::{FirstContact, Pins},
};

const ROOM: &str = "!room:a";

fn carol() -> Person {
    let mut carol = Person::new("@carol:a", 40);
    carol.add_device("WEB", 41, true);
    carol
}

/// Bob is pinned, has been written to in the room, and Carol is in it now as well.
fn with_carol(first_contact: Option<FirstContact>) -> (World, Person, Person) {
    let (mut world, bob) = pinned();
    let carol = carol();
    world.pins = Pins { first_contact, ..Pins::default() };
    world.homeserver_of(&[&bob, &carol], usize::MAX);
    world.rooms = Some(BTreeMap::from([(ROOM, vec![bob.user()])]));
    assert_eq!(world.send(&[(&bob, "PHONE", 10)]), ["@bob:a"]);
    world.writes_to(ROOM);
    world.rooms.as_mut().unwrap().get_mut(ROOM).unwrap().push(carol.user());
    (world, bob, carol)
}

#[test]
fn a_newcomer_of_a_room_in_use_is_told_of_once_and_gets_keys() {
    let (mut world, bob, carol) = with_carol(None);
    world.observe(&carol.answer());
    let [view] = &world.people()[..] else { panic!("nobody is told of") };
    assert_eq!((view.code.as_str(), view.severity, view.held), ("KS-PIN-NEWCOMER", Severity::Notice, false));
    assert!(view.acceptable && view.user_id == carol.user() && view.old_code.is_none());
    assert_eq!(world.send(&[(&bob, "PHONE", 10), (&carol, "WEB", 41)]).len(), 2, "nothing is held back");
    world.reopen();
    assert_eq!(world.people().len(), 1, "until somebody has read it");
    world.observe(&carol.answer());
    let shown = world.people().remove(0).shown;
    world.decide("@carol:a", &Decision::Accept { shown, compared: true }).unwrap();
    assert!(world.people().is_empty());
    assert_eq!(world.book().records[&carol.user()].trust(), Trust::Compared);
    world.writes_to("!other:a");
    world.rooms.as_mut().unwrap().insert("!other:a", vec![carol.user()]);
    world.send(&[(&carol, "WEB", 41)]);
    assert!(world.people().is_empty(), "known by now");
    assert!(!world.book().history(&bob.user()).iter().any(|entry| format!("{entry:?}").contains("Newcomer")));
}

#[test]
fn one_whom_the_client_never_asked_for_is_told_of_at_the_first_key() {
    let (mut world, _, carol) = with_carol(None);
    assert_eq!(world.send(&[(&carol, "WEB", 41)]), ["@carol:a"]);
    assert_eq!(world.people()[0].code.as_str(), "KS-PIN-NEWCOMER");
    world.decide("@carol:a", &Decision::KeepHolding).unwrap();
    assert!(world.people().is_empty() && world.book().open.is_empty());
    // What comes later is told of all the same.
    let mut other = Person::new("@carol:a", 90);
    other.add_device("WEB", 66, true);
    world.observe(&other.answer());
    assert_eq!(world.people()[0].code.as_str(), "KS-PIN-IDENTITY");
}

#[test]
fn one_who_was_met_in_another_room_first_is_told_of_where_that_one_was_not_written_to() {
    let (mut world, bob, carol) = with_carol(None);
    // She is seen where nobody wrote to her, and comes to the room then.
    world.rooms.as_mut().unwrap().insert(ROOM, vec![bob.user()]);
    world.observe(&carol.answer());
    assert!(world.people().is_empty());
    world.rooms.as_mut().unwrap().insert(ROOM, vec![bob.user(), carol.user()]);
    world.send(&[(&carol, "WEB", 41)]);
    assert_eq!(world.people().len(), 1);
}

#[test]
fn where_nothing_is_new_nobody_is_told() {
    // The day it is rolled out: everybody is in the room before the first message.
    let (mut world, carol) = (World::new(), carol());
    world.rooms = Some(BTreeMap::from([(ROOM, vec![carol.user()])]));
    world.homeserver_of(&[&carol], usize::MAX);
    world.send(&[(&carol, "WEB", 41)]);
    world.writes_to(ROOM);
    world.send(&[(&carol, "WEB", 41)]);
    assert!(world.people().is_empty());
    // A room of two that begins.
    let (mut world, _, carol) = with_carol(None);
    world.rooms.as_mut().unwrap().clear();
    world.observe(&carol.answer());
    world.send(&[(&carol, "WEB", 41)]);
    world.writes_to("!direct:a");
    world.rooms.as_mut().unwrap().insert("!direct:a", vec![carol.user()]);
    world.send(&[(&carol, "WEB", 41)]);
    assert!(world.people().is_empty());
    // As the policy wants it.
    let (mut world, _, carol) = with_carol(Some(FirstContact::Silent));
    world.observe(&carol.answer());
    world.send(&[(&carol, "WEB", 41)]);
    assert!(world.people().is_empty());
    let (mut world, _, carol) = with_carol(None);
    world.pins.exempt = vec![carol.user()];
    world.send(&[(&carol, "WEB", 41)]);
    assert!(world.people().is_empty());
}

#[test]
fn a_client_that_does_not_say_is_asked_again() {
    let (mut world, _, carol) = with_carol(None);
    let rooms = world.rooms.take();
    world.send(&[(&carol, "WEB", 41)]);
    assert!(world.people().is_empty());
    world.rooms = rooms;
    world.send(&[(&carol, "WEB", 41)]);
    assert_eq!(world.people().len(), 1);
}
