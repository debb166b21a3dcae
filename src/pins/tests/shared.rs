//! What another browser knows of somebody, against what the homeserver says here.

use std::time::Duration;

use super::{
    person::Person,
    world::{Published, World},
};
use crate::{
    identity::PublicKey,
    pins::Decision,
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
        before: None,
    };
    world.hears(&SharedPin { user: bob.user(), sight: None, decided: Some(decided) });
    assert!(world.people().is_empty(), "nothing is held any more");
    assert_eq!(world.discarded(), 1, "and what was held is sent to it anew");
    assert!(world.gets("@bob:a", "LAPTOP", 66));
    // And can be withdrawn here.
    world.decide("@bob:a", &Decision::Withdraw).unwrap();
    assert!(!world.gets("@bob:a", "LAPTOP", 66));
}

/// Bob, whom this browser has seen; and another identity of his, which another browser saw a day before.
fn contested() -> (World, Person, Person) {
    let mut world = World::new();
    world.prove(&Person::new("@ann:a", 50));
    let mut bob = Person::new("@bob:a", 10);
    bob.add_device("PHONE", 20, true);
    let mut other = Person::new("@bob:a", 90);
    other.add_device("GHOST", 66, true);
    world.homeserver(bob.answer());
    world.observe(&bob.answer());
    assert!(world.gets("@bob:a", "PHONE", 20));
    let pin = seen_elsewhere(&world, &other, *other.master());
    world.hears(&pin);
    (world, bob, other)
}

#[test]
fn of_two_first_sights_neither_gets_keys_until_somebody_decides() {
    let (mut world, bob, other) = contested();
    let mut third = Person::new("@bob:a", 80);
    third.add_device("THIRD", 81, true);
    for _ in 0..2 {
        for (published, device, key) in [(&bob, "PHONE", 20), (&other, "GHOST", 66), (&third, "THIRD", 81)] {
            world.homeserver(published.answer());
            world.observe(&published.answer());
            world.later();
            assert!(!world.gets("@bob:a", device, key), "{device}");
            let [view] = &world.people()[..] else { panic!("nobody is told") };
            assert_eq!((view.code.as_str(), view.held, view.acceptable), ("KS-PIN-IDENTITY", true, true), "{device}");
            assert_ne!(view.old_code, view.new_code, "{device}");
        }
        // Whoever wants it held back has not said which one is right.
        world.decide("@bob:a", &Decision::KeepHolding).unwrap();
        assert_eq!(world.tells(&bob).decided, None);
        world.reopen();
    }
    // It is for the person to say, about what is published then.
    for (published, device, key) in [(&bob, "PHONE", 20), (&other, "GHOST", 66)] {
        let (mut world, _, _) = contested();
        world.homeserver(published.answer());
        world.observe(&published.answer());
        let shown = world.people()[0].shown.clone();
        world.decide("@bob:a", &Decision::Accept { shown, compared: true }).unwrap();
        assert!(world.people().is_empty() && world.gets("@bob:a", device, key), "{device}");
        let decided = world.tells(published).decided.unwrap();
        assert_eq!((decided.outcome, decided.master), (Outcome::Accepted, Some(*published.master())), "{device}");
        let (unwanted, device, key) = if key == 20 { (&other, "GHOST", 66) } else { (&bob, "PHONE", 20) };
        world.observe(&unwanted.answer());
        world.homeserver(unwanted.answer());
        assert!(!world.gets("@bob:a", device, key), "{device}");
    }
}

#[test]
fn an_older_sight_elsewhere_does_not_dismiss_what_is_said_here() {
    let mut world = World::new();
    let mut bob = Person::new("@bob:a", 10);
    bob.add_device("PHONE", 20, true);
    let mut other = Person::new("@bob:a", 90);
    other.add_device("GHOST", 66, true);
    world.observe(&bob.answer());
    world.homeserver(other.answer());
    world.observe(&other.answer());
    world.later();
    assert!(!world.gets("@bob:a", "GHOST", 66));
    let pin = seen_elsewhere(&world, &other, *other.master());
    world.hears(&pin);
    assert!(world.people()[0].held && !world.gets("@bob:a", "GHOST", 66), "it is a change here as before");
    assert_eq!(world.discarded(), 0);
    // The other browser goes by what it saw first, and takes nothing younger over.
    let mut elsewhere = World::new();
    let younger = Sight { master: *bob.master(), at: UnixMillis(world.now().0 + 1) };
    elsewhere.homeserver(other.answer());
    elsewhere.observe(&other.answer());
    elsewhere.hears(&SharedPin { user: bob.user(), sight: Some(younger), decided: None });
    assert!(elsewhere.people().is_empty() && elsewhere.gets("@bob:a", "GHOST", 66));
}

#[test]
fn two_browsers_that_saw_the_same_have_nothing_to_say() {
    let (mut one, mut other) = (World::new(), World::new());
    let mut bob = Person::new("@bob:a", 10);
    bob.add_device("PHONE", 20, true);
    one.observe(&bob.answer());
    other.wait(Duration::from_secs(86_400));
    for world in [&mut one, &mut other] {
        world.homeserver(bob.answer());
        world.observe(&bob.answer());
    }
    for _ in 0..2 {
        one.hears(&other.tells(&bob));
        other.hears(&one.tells(&bob));
        for world in [&mut one, &mut other] {
            assert!(world.people().is_empty() && world.gets("@bob:a", "PHONE", 20));
            assert_eq!(world.discarded(), 0);
        }
    }
}

#[test]
fn what_is_contested_ends_with_a_decision_elsewhere_or_the_roster() {
    for ours in [true, false] {
        let (mut world, bob, other) = contested();
        let (right, device, key) = if ours { (&bob, "PHONE", 20) } else { (&other, "GHOST", 66) };
        world.homeserver(right.answer());
        world.observe(&right.answer());
        world.later();
        assert!(!world.gets("@bob:a", device, key));
        let decided = Decided {
            at: world.now(),
            outcome: Outcome::Accepted,
            master: Some(*right.master()),
            previous: None,
            compared: false,
            before: None,
        };
        world.hears(&SharedPin { user: bob.user(), sight: None, decided: Some(decided) });
        assert!(world.people().is_empty() && world.gets("@bob:a", device, key), "{device}");
    }
    for (ago, believed) in [(86_400_001, false), (3_600_000, true)] {
        let (mut world, bob, _) = contested();
        world.trust("signer");
        let since = UnixMillis(world.now().0 - ago);
        world.publish(&Published { people: &[("@bob:a", Some(bob.master()), Some(since))], ..Published::default() });
        world.look();
        assert_eq!(world.gets("@bob:a", "PHONE", 20), believed, "{ago}");
        assert_eq!(world.people().is_empty(), believed, "{ago}");
    }
}

#[test]
fn whoever_may_not_have_the_next_key_does_not_keep_the_one_in_use() {
    let (mut world, _, _) = contested();
    assert_eq!(world.discarded(), 1, "what was said of an older sight");
    world.reopen();
    world.look();
    assert_eq!(world.discarded(), 1, "once");

    // A decision elsewhere; and a withdrawal here, which a client that is away is asked about again.
    let mut world = World::new();
    let (mut bob, mut new) = (Person::new("@bob:a", 10), Person::new("@bob:a", 90));
    bob.add_device("PHONE", 20, true);
    new.add_device("LAPTOP", 66, true);
    world.observe(&bob.answer());
    world.later();
    world.observe(&new.answer());
    world.homeserver(new.answer());
    let shown = world.people()[0].shown.clone();
    world.decide("@bob:a", &Decision::Accept { shown, compared: true }).unwrap();
    assert!(world.gets("@bob:a", "LAPTOP", 66));
    assert_eq!(world.discarded(), 0, "nobody was without");
    let (at, master) = (UnixMillis(world.now().0 + 1), Some(*bob.master()));
    let decided = Decided { at, outcome: Outcome::Withdrawn, master, previous: None, compared: false, before: None };
    let mut elsewhere = world.tells(&bob);
    elsewhere.decided = Some(decided);
    world.hears(&elsewhere);
    assert_eq!(world.discarded(), 1);
    let shown = world.people()[0].shown.clone();
    world.wait(Duration::from_secs(1));
    world.decide("@bob:a", &Decision::Accept { shown, compared: true }).unwrap();
    world.client_is_away(true);
    world.decide("@bob:a", &Decision::Withdraw).unwrap();
    world.reopen();
    assert_eq!(world.discarded(), 1);
    world.client_is_away(false);
    world.observe(&new.answer());
    world.observe(&new.answer());
    assert_eq!(world.discarded(), 2);
}

#[test]
fn a_browser_that_was_not_told_yet_takes_back_nothing() {
    let (mut one, mut stale) = (World::new(), World::new());
    let mut bob = Person::new("@bob:a", 10);
    bob.add_device("PHONE", 20, true);
    let mut new = Person::new("@bob:a", 90);
    new.add_device("LAPTOP", 66, true);
    for world in [&mut one, &mut stale] {
        world.homeserver(bob.answer());
        world.observe(&bob.answer());
        world.later();
        world.homeserver(new.answer());
        world.observe(&new.answer());
    }
    let shown = one.people()[0].shown.clone();
    one.decide("@bob:a", &Decision::Accept { shown, compared: true }).unwrap();
    stale.wait(Duration::from_secs(60));
    stale.decide("@bob:a", &Decision::KeepHolding).unwrap();
    // The pin of the one is not moved, and what the other holds back stays held until its person says so.
    one.hears(&stale.tells(&bob));
    assert!(one.people().is_empty() && one.gets("@bob:a", "LAPTOP", 66));
    stale.hears(&one.tells(&bob));
    assert!(stale.people()[0].held && !stale.gets("@bob:a", "LAPTOP", 66));
    // Who has seen nothing goes by the acceptance; whoever keeps it held back now has heard of it.
    let mut third = World::new();
    third.homeserver(new.answer());
    third.hears(&stale.tells(&bob));
    assert!(third.gets("@bob:a", "LAPTOP", 66));
    stale.decide("@bob:a", &Decision::KeepHolding).unwrap();
    one.hears(&stale.tells(&bob));
    assert!(one.people()[0].held && !one.gets("@bob:a", "LAPTOP", 66));
}

#[test]
fn the_rosters_word_is_as_old_as_it_says() {
    let mut bob = Person::new("@bob:a", 10);
    bob.add_device("PHONE", 20, true);
    let mut named = Person::new("@bob:a", 80);
    named.add_device("TABLET", 81, true);
    let mut newest = Person::new("@bob:a", 90);
    newest.add_device("LAPTOP", 66, true);
    let (mut one, mut stale) = (World::new(), World::new());
    for world in [&mut one, &mut stale] {
        world.homeserver(bob.answer());
        world.observe(&bob.answer());
        world.wait(Duration::from_secs(3600));
    }
    let since = one.now();
    one.wait(Duration::from_secs(3600));
    one.homeserver(newest.answer());
    one.observe(&newest.answer());
    let shown = one.people()[0].shown.clone();
    one.decide("@bob:a", &Decision::Accept { shown, compared: true }).unwrap();
    // A browser that was closed meanwhile does what the roster said before that.
    stale.wait(Duration::from_secs(86_400));
    stale.trust("signer");
    stale.publish(&Published { people: &[("@bob:a", Some(named.master()), Some(since))], ..Published::default() });
    stale.homeserver(named.answer());
    assert_eq!(stale.observe(&named.answer())[0], "KS-PIN-RESET");
    one.hears(&stale.tells(&bob));
    assert!(one.people().is_empty() && one.gets("@bob:a", "LAPTOP", 66));
    stale.homeserver(newest.answer());
    stale.hears(&one.tells(&bob));
    assert!(stale.gets("@bob:a", "LAPTOP", 66));
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
