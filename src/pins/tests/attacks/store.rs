//! Attacks on what a person's browsers share, and through what only one of them is answered.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::{Scene, Seen, accept, seen};
use crate::pins::{
    shared::{self, tests::world::Server},
    tests::{person::Person, pinned, world::World},
};

/// Bob under another identity, which vouches for a device.
fn another_bob() -> Person {
    let mut other = Person::new("@bob:a", 90);
    other.add_device("GHOST", 66, true);
    other
}

/// Something becomes of what the person's browsers share, and Bob has another identity. What is shared was of an older state
/// once, and Eve came after that.
fn store(attack: fn(&Server, &BTreeMap<String, Value>)) -> Seen {
    let server = Server::new();
    let (mut world, _) = pinned();
    world.joins(&server);
    world.shares();
    let old = server.documents();
    let (mut eve, other) = (Person::new("@eve:a", 40), another_bob());
    eve.add_device("WEB", 41, true);
    world.observe(&eve.answer());
    world.shares();
    attack(&server, &old);
    world.homeserver_of(&[&other, &eve], usize::MAX);
    let verdicts = world.observe(&other.answer());
    world.wait(Duration::from_secs(86_400));
    world.shares();
    // Nothing is lost by it: a new browser begins with everybody as they were first seen.
    let mut there = World::new();
    there.homeserver_of(&[&other, &eve], usize::MAX);
    there.joins(&server);
    there.shares();
    assert_eq!(there.observe(&other.answer()), ["KS-PIN-IDENTITY", "KS-PIN-DEVICE"]);
    assert!(!there.gets("@bob:a", "GHOST", 66) && there.gets("@eve:a", "WEB", 41));
    assert_eq!(there.trouble(), None, "it was put right");
    seen(&mut world, verdicts, "@bob:a", "GHOST")
}

/// Is it part of what is shared?
fn is_shared(kind: &str) -> bool {
    kind.starts_with(shared::HEAD)
}

pub(super) const SCENES: &[Scene] = &[
    ("another identity for a new browser of the person, once that has heard of the one before", || {
        let server = Server::new();
        let (mut world, _) = pinned();
        world.joins(&server);
        world.shares();
        let (mut there, other) = (World::new(), another_bob());
        there.homeserver_of(&[&other], usize::MAX);
        there.joins(&server);
        there.wait(Duration::from_secs(3600));
        let verdicts = there.observe(&other.answer());
        there.shares();
        seen(&mut there, verdicts, "@bob:a", "GHOST")
    }),
    (
        "the identity of before for a browser of the person, after another one was told of the new one, which was accepted",
        || {
            let server = Server::new();
            let (mut world, mut bob) = pinned();
            world.joins(&server);
            world.shares();
            let (mut there, mut other) = (World::new(), Person::new("@bob:a", 90));
            other.add_device("PHONE", 10, true);
            there.homeserver_of(&[&other], usize::MAX);
            there.joins(&server);
            there.wait(Duration::from_secs(3600));
            there.shares();
            there.observe(&other.answer());
            accept(&mut there, "@bob:a");
            there.shares();
            bob.add_device("GHOST", 66, true);
            world.homeserver(bob.answer());
            let verdicts = world.observe(&bob.answer());
            world.shares();
            seen(&mut world, verdicts, "@bob:a", "GHOST")
        },
    ),
    ("what the person's browsers share is put back to an older state, and an identity is another one", || {
        store(|server, old| server.put_back(old, |_| true))
    }),
    ("what the person's browsers share is hidden, and an identity is another one", || {
        store(|server, _| {
            server.kinds().iter().filter(|kind| is_shared(kind)).for_each(|kind| server.put(kind, None));
        })
    }),
    ("what the person's browsers share is something that nobody wrote, and an identity is another one", || {
        store(|server, _| {
            let garbage = json!({ "version": "1", "counter": "many", "ciphertext": [null] });
            let kinds = server.kinds();
            let parts = kinds.iter().filter(|kind| is_shared(kind) && **kind != *shared::KEY);
            parts.for_each(|kind| server.put(kind, Some(garbage.clone())));
        })
    }),
];
