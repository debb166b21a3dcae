//! The store between several browsers of one person and a homeserver that keeps, loses, mixes or brings back what it likes.

mod stores;
pub(in crate::pins) mod world;

use std::{collections::BTreeSet, time::Instant};

use super::{Outcome, Shared, Trouble};
use crate::{effect::Effect, pins::Happened};
use world::{Browser, Server, key, user};

/// Two browsers that share somebody whom the first has seen.
fn two() -> (Server, Browser, Browser) {
    let server = Server::new();
    let (mut one, mut other) = (server.browser(), server.browser());
    one.sees("@bob:a", 1);
    assert_eq!(one.shares(), Some(Shared::Same));
    assert_eq!(other.shares(), Some(Shared::Same));
    (server, one, other)
}

#[test]
fn what_one_browser_sees_and_decides_the_other_knows() {
    let (server, mut one, mut other) = two();
    assert_eq!(other.pinned("@bob:a"), Some(key(1)));
    assert_eq!(other.history("@bob:a"), [Happened::SeenElsewhere]);
    assert_eq!(other.record("@bob:a").first_seen, one.record("@bob:a").first_seen, "the first sight is the older one");

    one.sees("@bob:a", 2);
    assert!(one.is_held("@bob:a"));
    one.accepts("@bob:a", true);
    one.shares();
    let writes = server.writes();
    other.shares();
    assert_eq!(other.pinned("@bob:a"), Some(key(2)));
    assert!(other.record("@bob:a").identity.unwrap().compared);
    assert_eq!(other.history("@bob:a"), [Happened::SeenElsewhere, Happened::ComparedElsewhere]);
    assert_eq!(server.writes(), writes, "who has nothing to add writes nothing");

    other.withdraws("@bob:a");
    other.shares();
    one.shares();
    assert_eq!(one.pinned("@bob:a"), Some(key(1)), "the newer decision beats the older");
    assert!(one.is_held("@bob:a"), "what is published is measured by it");
    assert_eq!(one.history("@bob:a").iter().rev().nth(1), Some(&Happened::WithdrawnElsewhere));
    assert_eq!((one.trouble(), other.trouble()), (None, None));
}

#[test]
fn a_decision_beats_an_observation_and_the_older_sight_contests_the_pin() {
    let server = Server::new();
    let (mut one, mut other) = (server.browser(), server.browser());
    one.sees("@bob:a", 1);
    server.wait(1000);
    other.sees("@bob:a", 2);
    one.shares();
    other.shares();
    assert_eq!(other.pinned("@bob:a"), Some(key(2)), "what this one saw itself is not replaced");
    assert!(other.is_held("@bob:a"), "and held until somebody decides");
    assert_eq!(other.record("@bob:a").sight.unwrap().master, key(1));
    let history = other.history("@bob:a");
    assert!(history.contains(&Happened::Seen(crate::error::Code::PinIdentity)), "{history:?}");
    one.shares();
    assert_eq!(one.pinned("@bob:a"), Some(key(1)));
    assert!(!one.is_held("@bob:a"));

    // Held back on purpose; a third one saw another identity before anybody, on a clock that is wrong.
    one.sees("@bob:a", 2);
    one.keeps("@bob:a");
    one.shares();
    other.shares();
    assert_eq!(other.pinned("@bob:a"), Some(key(1)), "a decision counts");
    assert!(other.is_held("@bob:a"));
    let mut third = server.browser();
    third.off = -1_000_000;
    third.sees("@bob:a", 3);
    third.shares();
    assert_eq!(third.pinned("@bob:a"), Some(key(1)), "a decision beats an observation");
    assert_eq!(third.record("@bob:a").decided.unwrap().outcome, Outcome::Kept);
    one.shares();
    assert_eq!(one.pinned("@bob:a"), Some(key(1)));
    assert_eq!(one.record("@bob:a").sight.unwrap().master, key(3), "the first sight is not lost");
}

#[test]
fn nothing_happens_where_it_must_not() {
    let server = Server::new();
    let mut browser = server.browser();
    browser.sees("@bob:a", 1);
    browser.pins.share = Some(false);
    assert_eq!(browser.shares(), None, "the policy does not want it");
    browser.pins.share = None;
    server.put("m.secret_storage.default_key", Some(serde_json::json!({ "key": "theirs" })));
    assert_eq!(browser.shares(), None, "foreign");
    server.put("m.secret_storage.default_key", Some(serde_json::json!({})));
    assert_eq!(browser.shares(), None, "switched off");
    let mut unproven = server.browser();
    unproven.change_key(|key| key.proven_at = None);
    assert_eq!(unproven.shares(), None, "not complete");
    let mut logged_out = server.browser();
    logged_out.change_key(|key| key.wrapped = None);
    assert_eq!(logged_out.shares(), None, "logged out");
    assert_eq!(server.writes(), 0);
}

/// What a homeserver does to a store that a browser knows → what that is.
#[test]
fn every_way_to_put_it_back_is_told_and_put_right_once() {
    type Attack = fn(&Server, &std::collections::BTreeMap<String, serde_json::Value>);
    let attacks: [(&str, Trouble, Attack); 10] = [
        ("an older state", Trouble::Older, |server, old| server.put_back(old, |_| true)),
        ("an older head", Trouble::Older, |server, old| server.put_back(old, |kind| kind == super::HEAD)),
        ("an older chunk", Trouble::Damaged, |server, old| server.put_back(old, |kind| kind != super::HEAD)),
        ("the head is gone", Trouble::Gone, |server, _| server.put(super::HEAD, None)),
        ("the head is empty", Trouble::Gone, |server, _| server.put(super::HEAD, Some(serde_json::json!({})))),
        ("the key is gone", Trouble::Gone, |server, _| server.put(super::KEY, None)),
        ("all is gone", Trouble::Gone, |server, _| {
            server.kinds().iter().filter(|kind| kind.starts_with(super::HEAD)).for_each(|kind| server.put(kind, None));
        }),
        ("the head is altered", Trouble::Damaged, |server, _| {
            let mut head = server.get(super::HEAD).unwrap();
            head["counter"] = 1000.into();
            server.put(super::HEAD, Some(head));
        }),
        ("what no browser writes", Trouble::Damaged, |server, _| {
            server.put(super::HEAD, Some(serde_json::json!({ "version": "9" })));
        }),
        ("the key is another one", Trouble::Gone, |server, _| {
            let mut secret = server.get(super::KEY).unwrap();
            secret["encrypted"][world::KEY_ID]["mac"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".into();
            server.put(super::KEY, Some(secret));
        }),
    ];
    for (name, expected, attack) in attacks {
        let (server, mut one, mut other) = two();
        let old = server.documents();
        one.sees("@carol:a", 5);
        one.shares();
        other.shares();
        attack(&server, &old);
        one.looks_at_all();
        one.shares();
        assert_eq!(one.trouble(), Some(expected), "{name}");
        assert_eq!(one.events(), [expected], "{name}: the log knows");
        // Put right: whoever comes next is told nothing, and knows everything.
        one.shares();
        assert_eq!(one.events(), [expected], "{name}: told once");
        let mut third = server.browser();
        third.shares();
        assert_eq!((third.pinned("@bob:a"), third.pinned("@carol:a")), (Some(key(1)), Some(key(5))), "{name}");
        assert_eq!(third.trouble(), None, "{name}");
        other.shares();
        assert_eq!(other.trouble(), None, "{name}: what was put right is no trouble for others");
        one.reads_trouble();
        one.shares();
        assert_eq!((one.trouble(), one.events().len()), (None, 1), "{name}");
    }
}

/// Browsers stop a background in which nothing happens, and a doubt lasts longer than that.
#[test]
fn a_browser_that_stops_its_background_in_every_pause_is_told_all_the_same() {
    let (server, mut one, _) = two();
    let old = server.documents();
    one.sees("@carol:a", 5);
    one.shares();
    server.put_back(&old, |_| true);
    one.looks_at_all();
    let mut starts = 0;
    while one.trouble().is_none() {
        assert!(starts < 8, "nobody is told");
        let stopped = one.shares_to_the_pause();
        assert!(stopped || one.trouble().is_some(), "it went on before it was told");
        starts += 1;
        one = one.restarts();
        server.wait(30_000);
    }
    assert_eq!((one.trouble(), starts), (Some(Trouble::Older), 4), "not before the fourth look");
    one.shares();
    assert_eq!(one.events(), [Trouble::Older], "told once");

    // One look at it as it must be, and the doubt is gone.
    let old = server.documents();
    one.reads_trouble();
    one.sees("@dora:a", 6);
    one.shares();
    let new = server.documents();
    for _ in 0..3 {
        server.put_back(&old, |_| true);
        one.looks_at_all();
        for _ in 0..3 {
            assert!(one.shares_to_the_pause());
            one = one.restarts();
            server.wait(30_000);
        }
        server.put_back(&new, |_| true);
        one.shares();
    }
    assert_eq!((one.trouble(), one.events().len()), (None, 1));
}

#[test]
fn chunks_cannot_be_mixed() {
    let server = Server::new();
    let mut one = server.browser();
    (0..1500).for_each(|number| one.knows(&format!("@person{number}:example.org"), 1));
    one.save();
    one.shares();
    let kinds: Vec<_> = server.kinds().into_iter().filter(|kind| kind.starts_with("io.keystead.pins.")).collect();
    assert!(kinds.len() > 4, "{kinds:?}");
    let old = server.documents();
    let (a, b) = (server.get("io.keystead.pins.0"), server.get("io.keystead.pins.1"));
    server.put("io.keystead.pins.0", b.clone());
    server.put("io.keystead.pins.1", a);
    assert_eq!(one.looks_at_all().shares(), Some(Shared::Same));
    assert_eq!(one.trouble(), Some(Trouble::Damaged), "swapped");
    one.reads_trouble();
    server.put("io.keystead.pins.1", None);
    one.looks_at_all().shares();
    assert_eq!(one.trouble(), Some(Trouble::Damaged), "one is missing");
    one.reads_trouble();
    server.put("io.keystead.pins.2", old.get("io.keystead.pins.2").cloned());
    one.looks_at_all().shares();
    assert_eq!(one.trouble(), Some(Trouble::Damaged), "one of an older state");

    // Of another account.
    let other = Server::of("@ann:other");
    let mut theirs = other.browser();
    theirs.sees("@eve:a", 9);
    theirs.shares();
    one.reads_trouble();
    for kind in [super::HEAD, "io.keystead.pins.0"] {
        server.put(kind, other.get(kind));
    }
    one.looks_at_all().shares();
    assert_eq!(one.trouble(), Some(Trouble::Damaged), "another account's");
    assert_eq!(one.pinned("@eve:a"), None);
}

#[test]
fn what_is_of_the_future_is_not_believed() {
    const HOUR: i64 = 60 * 60 * 1000;
    for (off, believed) in [(HOUR, true), (48 * HOUR, false), (i64::MAX / 2, false)] {
        let (_, mut one, mut other) = two();
        other.off = off;
        other.sees("@bob:a", 2);
        other.accepts("@bob:a", false);
        other.sees("@carol:a", 3);
        other.shares();
        one.shares();
        let expected = if believed { (Some(key(2)), Some(key(3))) } else { (Some(key(1)), None) };
        assert_eq!((one.pinned("@bob:a"), one.pinned("@carol:a")), expected, "{off}");
        // What is decided here afterwards counts, and somebody else may see the person.
        one.sees("@bob:a", if believed { 1 } else { 4 });
        one.accepts("@bob:a", false);
        one.sees("@carol:a", 3);
        one.shares();
        assert_eq!(one.shares(), Some(Shared::Same));
        let expected = if believed { key(1) } else { key(4) };
        assert_eq!((one.pinned("@bob:a"), one.pinned("@carol:a")), (Some(expected), Some(key(3))), "{off}");
    }
}

#[test]
fn a_writer_may_die_anywhere() {
    let mut at = 0;
    loop {
        let (server, mut one, mut other) = two();
        (0..300).for_each(|number| one.knows(&format!("@person{number}:example.org"), 1));
        one.save();
        let died = one.shares_and_dies_at(at);
        let mut one = one.restarts();
        other.looks_at_all().shares();
        one.shares();
        other.shares();
        let mut third = server.browser();
        third.shares();
        for browser in [&one, &other, &third] {
            assert_eq!(browser.trouble(), None, "at {at}");
            assert_eq!(browser.pinned("@person7:example.org"), Some(key(1)), "at {at}");
        }
        if !died {
            break;
        }
        at += 1;
    }
    assert!(at > 10, "{at}");
}

#[test]
fn two_that_write_at_the_same_time_lose_nothing() {
    // The other one writes all of its own before this effect of the one.
    for at in 0..40 {
        let (server, mut one, mut other) = two();
        one.sees("@carol:a", 2);
        other.sees("@dora:a", 3);
        one.shares_while(at, || assert!(other.shares().is_some()));
        for _ in 0..3 {
            one.shares();
            other.shares();
        }
        for browser in [&one, &other] {
            assert_eq!(browser.trouble(), None, "at {at}");
            let people: BTreeSet<_> = browser.people();
            assert_eq!(people, ["@bob:a", "@carol:a", "@dora:a"].map(user).into(), "at {at}");
        }
        let writes = server.writes();
        one.shares();
        other.shares();
        assert_eq!(server.writes(), writes, "at {at}: it comes to rest");
    }
}

#[test]
fn two_that_make_the_key_at_the_same_time_use_one() {
    for at in 0..12 {
        let server = Server::new();
        let (mut one, mut other) = (server.browser(), server.browser());
        one.sees("@bob:a", 1);
        other.sees("@carol:a", 2);
        one.shares_while(at, || other.shares_to_the_key());
        for _ in 0..3 {
            other.shares();
            one.shares();
        }
        assert_eq!(one.store_id(), other.store_id(), "at {at}");
        assert_eq!((one.trouble(), other.trouble()), (None, None), "at {at}");
        assert_eq!((one.pinned("@carol:a"), other.pinned("@bob:a")), (Some(key(2)), Some(key(1))), "at {at}");
    }
}

#[test]
fn a_homeserver_that_is_late_or_away_is_no_trouble() {
    let (server, mut one, _) = two();
    let old = server.documents();
    one.sees("@carol:a", 5);
    one.shares();
    server.is_late(old, 2);
    one.looks_at_all().shares();
    assert_eq!((one.trouble(), one.events().len()), (None, 0));
    server.is_away(true);
    assert_eq!(one.shares_or_stops(), Err("KS-NET-UNREACHABLE"));
    server.is_away(false);
    assert_eq!((one.shares(), one.trouble()), (Some(Shared::Same), None));
}

#[test]
fn a_homeserver_that_drops_what_is_written_is_told_of() {
    let (server, mut one, mut other) = two();
    one.sees("@carol:a", 5);
    server.drops(Some(super::HEAD));
    for _ in 0..2 {
        assert_eq!(one.shares(), Some(Shared::Again));
        assert_eq!(one.trouble(), None, "another browser may have been faster");
    }
    let mut one = one.restarts();
    for day in 0..3 {
        for _ in 0..5 {
            one.shares();
            assert_eq!(one.trouble(), Some(Trouble::Older));
        }
        one.reads_trouble();
        one.shares();
        assert_eq!((one.trouble(), one.events().len()), (None, day + 1), "once a day");
        server.wait(24 * 60 * 60 * 1000);
    }
    server.drops(None);
    assert_eq!(one.shares(), Some(Shared::Same));
    other.shares();
    assert_eq!((other.trouble(), other.pinned("@carol:a")), (None, Some(key(5))));
    // Now and then, it is nothing.
    for number in 0..6 {
        one.sees(&format!("@person{number}:a"), 6);
        server.drops(Some(super::HEAD));
        one.shares();
        server.drops(None);
        one.shares();
        assert_eq!(one.trouble(), None);
    }
}

#[test]
fn a_doubt_goes_on_where_the_background_was_stopped() {
    let (server, mut one, mut other) = two();
    let old = server.documents();
    one.sees("@carol:a", 5);
    one.shares();
    // It is stopped while it waits to look again.
    let stops = |browser: &mut Browser| browser.shares_until(|effect| matches!(effect, Effect::SleepUntil(_)));
    server.put_back(&old, |_| true);
    for _ in 0..3 {
        stops(&mut one);
        assert_eq!(one.trouble(), None, "it may be late");
        one = one.restarts();
        server.wait(10_000);
    }
    server.wait(60_000);
    stops(&mut one);
    assert_eq!(one.trouble(), Some(Trouble::Older));
    // What was over in between begins anew.
    one.shares();
    other.shares();
    let new = server.documents();
    for _ in 0..4 {
        server.put_back(&old, |_| true);
        stops(&mut other);
        server.wait(600_000);
        server.put_back(&new, |_| true);
        assert_eq!(other.shares(), Some(Shared::Same));
        assert_eq!(other.trouble(), None);
    }
}

#[test]
fn what_goes_into_no_store_is_told_of_and_decisions_come_first() {
    let server = Server::new();
    let (mut one, mut other) = (server.browser(), server.browser());
    let long = "x".repeat(200);
    let people: Vec<_> = (0..9000).map(|number| format!("@{long}{number}:matrix.example.org")).collect();
    people.iter().for_each(|person| one.knows(person, 1));
    one.save();
    assert_eq!(one.shares(), Some(Shared::Same));
    assert_eq!((one.trouble(), one.events()), (Some(Trouble::Full), vec![Trouble::Full]));
    let parts = || server.documents().into_iter().filter(|(kind, _)| kind.starts_with(super::HEAD));
    let size: usize = parts().map(|(_, content)| content.to_string().len()).sum();
    assert!(size < 4 << 20, "{size}: a rotation reads all of it at once");
    assert_eq!(other.shares(), Some(Shared::Same));
    let known = other.people();
    assert!(known.len() > 5000 && known.len() < people.len(), "{}", known.len());
    // Somebody who has no place gets one by what was decided; and it comes to rest.
    let left_out = people.iter().find(|person| !known.contains(&user(person))).unwrap();
    server.wait(1000);
    one.sees(left_out, 2);
    one.accepts(left_out, true);
    assert_eq!(one.shares(), Some(Shared::Same));
    other.shares();
    assert_eq!(other.pinned(left_out), Some(key(2)));
    let writes = server.writes();
    for browser in [&mut one, &mut other] {
        assert_eq!(browser.looks_at_all().shares(), Some(Shared::Same));
    }
    assert_eq!(server.writes(), writes);
}

#[test]
fn five_thousand_people() {
    let server = Server::new();
    let (mut one, mut other) = (server.browser(), server.browser());
    (0..5000).for_each(|number| one.knows(&format!("@firstname.lastname{number}:matrix.example.org"), 1));
    one.save();
    let begun = Instant::now();
    assert_eq!(one.shares(), Some(Shared::Same));
    let written = begun.elapsed();
    let sizes: Vec<_> = server
        .documents()
        .iter()
        .filter(|(kind, _)| kind.starts_with(super::HEAD))
        .map(|(_, content)| content.to_string().len())
        .collect();
    let (largest, all) = (*sizes.iter().max().unwrap(), sizes.iter().sum::<usize>());
    assert!(largest < 50_000, "{largest}");
    let begun = Instant::now();
    assert_eq!(other.shares(), Some(Shared::Same));
    let taken = begun.elapsed();
    assert_eq!(other.people().len(), 5000);
    let (writes, bytes) = (server.writes(), server.bytes());
    one.sees("@new.colleague:matrix.example.org", 4);
    let begun = Instant::now();
    one.shares();
    let added = begun.elapsed();
    let (writes, bytes) = (server.writes() - writes, server.bytes() - bytes);
    assert_eq!(writes, 2, "one chunk and the head");
    assert!(bytes < 60_000, "{bytes}");
    other.shares();
    assert_eq!(other.pinned("@new.colleague:matrix.example.org"), Some(key(4)));
    println!(
        "5,000 people: {} documents, {all} bytes, the largest {largest}; written in {written:?}, taken over in {taken:?}; \
         one more: {bytes} bytes in {added:?}",
        sizes.len()
    );
}
