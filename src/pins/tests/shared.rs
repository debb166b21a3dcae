//! What another browser knows of somebody, against what the homeserver says here.

use std::time::Duration;

use super::{
    person::Person,
    world::{Published, World},
};
use crate::{
    identity::PublicKey,
    pins::shared::{Decided, Outcome, SharedPin, Sight},
    time::UnixMillis,
};

/// Somebody whom another browser saw a day ago.
fn seen_elsewhere(world: &World, person: &Person, master: PublicKey) -> SharedPin {
    let at = UnixMillis(world.now().0 - 86_400_000);
    SharedPin { user: person.user(), sight: Some(Sight { master, at }), decided: None }
}

#[test]
fn in_a_new_browser_another_identity_than_the_old_one_knew_is_a_change_and_held() {
    let mut world = World::new();
    let mut bob = Person::new("@bob:a", 10);
    bob.add_device("PHONE", 20, true);
    let mut other = Person::new("@bob:a", 90);
    other.add_device("GHOST", 66, true);
    let pin = seen_elsewhere(&world, &bob, *bob.master());
    world.hears(&pin);
    assert_eq!(world.observe(&other.answer()), ["KS-PIN-IDENTITY", "KS-PIN-DEVICE"]);
    world.homeserver(other.answer());
    assert!(!world.gets("@bob:a", "GHOST", 66));
    assert!(world.people()[0].held);
    world.homeserver(bob.answer());
    assert!(world.gets("@bob:a", "PHONE", 20), "the one that is known gets keys");
}

#[test]
fn the_one_that_the_old_browser_knew_is_no_news_and_neither_are_its_old_devices() {
    let mut world = World::new();
    let mut bob = Person::new("@bob:a", 10);
    bob.add_device("PHONE", 20, true);
    bob.add_device("OLD", 21, false);
    let pin = seen_elsewhere(&world, &bob, *bob.master());
    world.hears(&pin);
    world.wait(Duration::from_secs(3600));
    world.homeserver(bob.answer());
    world.observe(&bob.answer());
    world.settle();
    assert!(world.people().is_empty(), "nothing is to be said");
    assert!(world.gets("@bob:a", "PHONE", 20));
    bob.add_device("NEW", 22, false);
    world.wait(Duration::from_secs(3600));
    world.homeserver(bob.answer());
    world.observe(&bob.answer());
    world.settle();
    assert_eq!(world.people().len(), 1, "what comes later is told of");
}

#[test]
fn what_was_accepted_elsewhere_gets_keys_here() {
    let mut world = World::new();
    let mut bob = Person::new("@bob:a", 10);
    bob.add_device("PHONE", 20, true);
    let mut new = Person::new("@bob:a", 90);
    new.add_device("LAPTOP", 66, true);
    world.observe(&bob.answer());
    world.observe(&new.answer());
    world.homeserver(new.answer());
    assert!(!world.gets("@bob:a", "LAPTOP", 66));
    world.wait(Duration::from_secs(1));
    let decided = Decided {
        at: world.now(),
        outcome: Outcome::Accepted,
        master: Some(*new.master()),
        previous: Some(*bob.master()),
        compared: true,
    };
    world.hears(&SharedPin { user: bob.user(), sight: None, decided: Some(decided) });
    assert!(world.people().is_empty(), "nothing is held any more");
    assert_eq!(world.discarded(), 1, "and what was held is sent to it anew");
    assert!(world.gets("@bob:a", "LAPTOP", 66));
    // And can be withdrawn here.
    world.decide("@bob:a", &crate::pins::Decision::Withdraw).unwrap();
    assert!(!world.gets("@bob:a", "LAPTOP", 66));
}

#[test]
fn the_roster_counts_from_when_the_identity_was_pinned_anywhere() {
    let mut world = World::new();
    world.trust("signer");
    let mut bob = Person::new("@bob:a", 10);
    bob.add_device("PHONE", 20, true);
    let mut new = Person::new("@bob:a", 90);
    new.add_device("LAPTOP", 66, true);
    let pin = seen_elsewhere(&world, &bob, *bob.master());
    // IT named the new identity after the old browser had seen the old one, and before this browser heard of it.
    let since = UnixMillis(world.now().0 - 3_600_000);
    world.hears(&pin);
    world.publish(&Published { people: &[("@bob:a", Some(new.master()), Some(since))], ..Published::default() });
    assert_eq!(world.observe(&new.answer()), ["KS-PIN-RESET", "KS-PIN-FIRST"]);
}
