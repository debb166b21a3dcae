//! Which store it is: by what a browser has seen, by what a sealed recovery names, and after the recovery key was replaced.

use super::{
    two,
    world::{self, Server, key},
};
use crate::pins::shared::{self, Shared, Trouble};

#[test]
fn whoever_can_know_of_a_store_notices_that_it_is_hidden() {
    let (server, one, _) = two();
    let id = one.store_id();
    server.kinds().iter().filter(|kind| kind.starts_with(shared::HEAD)).for_each(|kind| server.put(kind, None));
    // Somebody opened a sealed recovery in a browser that has seen nothing yet.
    let mut told = server.browser();
    told.is_told_of(&id);
    told.shares();
    assert_eq!(told.trouble(), Some(Trouble::Gone));
    // What it made is another store, which the first one does not take for its own.
    let mut one = one;
    one.shares();
    assert_eq!(one.trouble(), Some(Trouble::Other));
    assert_eq!(one.pinned("@bob:a"), Some(key(1)), "nothing is lost");
    // Without having opened one, nobody can know.
    let server = Server::new();
    let mut untold = server.browser();
    untold.shares();
    assert_eq!(untold.trouble(), None);
}

#[test]
fn a_sealed_recovery_names_the_store_before_it_is_there() {
    let server = Server::new();
    let mut maker = server.browser();
    let id = maker.names_a_store();
    maker.sees("@bob:a", 1);
    maker.shares();
    assert_eq!((maker.trouble(), maker.store_id()), (None, id.clone()));
    let mut told = server.browser();
    told.is_told_of(&id);
    told.shares();
    assert_eq!((told.trouble(), told.pinned("@bob:a")), (None, Some(key(1))));
    // And comes back under its name, where a homeserver loses even the key.
    server.kinds().iter().filter(|kind| kind.starts_with(shared::HEAD)).for_each(|kind| server.put(kind, None));
    told.shares();
    assert_eq!((told.trouble(), told.store_id()), (Some(Trouble::Gone), id));
}

#[test]
fn after_a_compromise_there_is_another_key_and_nobody_is_told() {
    let (server, mut one, mut other) = two();
    let before = one.store_id();
    other.sees("@carol:a", 2);
    other.shares();
    let named = one.rotates(true);
    // Whoever has the old recovery key has the key of the store, and writes what they like.
    let mut thief = server.browser();
    thief.sees("@eve:a", 6);
    let old = server.get("m.secret_storage.default_key");
    server.put("m.secret_storage.default_key", Some(serde_json::json!({ "key": world::KEY_ID })));
    thief.shares();
    thief.sees("@bob:a", 6);
    thief.accepts("@bob:a", true);
    assert_eq!((thief.shares(), thief.store_id()), (Some(Shared::Same), before.clone()));
    server.put("m.secret_storage.default_key", old);
    // The other browser opens the new one.
    other.has_next_key(shared::NamedStore::known(named.id.clone()));
    for _ in 0..2 {
        one.shares();
        other.shares();
    }
    assert_ne!(before, named.id);
    assert_eq!((one.store_id(), other.store_id()), (named.id.clone(), named.id));
    assert_eq!((one.trouble(), other.trouble()), (None, None));
    for browser in [&one, &other] {
        assert_eq!(browser.pinned("@carol:a"), Some(key(2)), "what a browser knew is not lost");
        assert_eq!(
            (browser.pinned("@eve:a"), browser.pinned("@bob:a")),
            (None, Some(key(1))),
            "nor taken from a thief"
        );
    }
    let writes = server.writes();
    one.shares();
    assert_eq!(server.writes(), writes, "once");
}

#[test]
fn a_rotation_goes_on_with_the_store_though_its_key_is_hidden_meanwhile() {
    let (server, mut one, mut other) = two();
    let hidden = server.get(shared::KEY).unwrap();
    server.put(shared::KEY, None);
    let before = one.store_id();
    let named = one.rotates(false);
    assert_eq!(named.id, before);
    other.has_next_key(shared::NamedStore::known(named.id));
    let mut told = server.browser();
    told.has_next_key(shared::NamedStore::known(before.clone()));
    for browser in [&mut other, &mut told, &mut one] {
        browser.shares();
        assert_eq!((browser.trouble(), browser.store_id()), (None, before.clone()));
        assert_eq!(browser.pinned("@bob:a"), Some(key(1)));
    }
    // And whoever made the recovery key notices where it is hidden under that one.
    server.put(shared::KEY, Some(hidden));
    let (server, mut one, _) = two();
    one.rotates(false);
    server.put(shared::KEY, None);
    one.shares();
    assert_eq!(one.trouble(), Some(Trouble::Gone));
}

#[test]
fn under_a_new_recovery_key_only_the_store_that_it_names_is_right() {
    let (server, mut one, mut other) = two();
    let carried = server.carried_over();
    let named = one.rotates(true);
    // The old key of the store, which a thief has, under the new recovery key.
    let mut thief = server.browser();
    thief.sees("@eve:a", 6);
    server.put("m.secret_storage.default_key", Some(serde_json::json!({ "key": world::KEY_ID })));
    thief.shares();
    server.put("m.secret_storage.default_key", Some(serde_json::json!({ "key": world::NEXT_KEY_ID })));
    server.enter_next(&carried);
    other.has_next_key(shared::NamedStore::known(named.id.clone()));
    other.shares();
    assert_eq!((other.trouble(), other.pinned("@eve:a")), (Some(Trouble::Other), None));
    server.enter_next(&carried);
    one.shares();
    assert_eq!((one.trouble(), one.pinned("@eve:a"), one.store_id()), (Some(Trouble::Other), None, named.id.clone()));
    other.shares();
    assert_eq!(other.store_id(), named.id, "the right one comes back");
    assert_eq!((one.pinned("@bob:a"), other.pinned("@bob:a")), (Some(key(1)), Some(key(1))));
}

#[test]
fn nothing_is_taken_from_a_store_that_gives_way() {
    // There is another store than the one that the sealed recovery names.
    let (server, mut one, _) = two();
    let named = one.store_id();
    one.is_told_of(&named);
    let another = Server::new();
    let mut theirs = another.browser();
    theirs.sees("@eve:a", 6);
    theirs.sees("@bob:a", 1);
    theirs.sees("@bob:a", 6);
    theirs.accepts("@bob:a", true);
    theirs.shares();
    another
        .kinds()
        .iter()
        .filter(|kind| kind.starts_with(shared::HEAD))
        .for_each(|kind| server.put(kind, another.get(kind)));
    one.shares();
    assert_eq!((one.trouble(), one.store_id()), (Some(Trouble::Other), named));
    assert_eq!((one.pinned("@eve:a"), one.pinned("@bob:a")), (None, Some(key(1))));
    one.shares();
    assert_eq!((one.pinned("@eve:a"), one.pinned("@bob:a")), (None, Some(key(1))), "and not later");
}
