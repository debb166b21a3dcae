//! What of a log shows, and what stays in it.

use super::*;
use crate::{identity::derive_public, pins::verify_evidence, secret::SecretBytes};

#[test]
fn every_change_of_a_log_shows() {
    let (ann, bob) = (UserId::parse("@ann:a").unwrap(), UserId::parse("@bob:a").unwrap());
    let mut log = Log::default();
    for at in 0..5 {
        let peer = if at % 2 == 0 { &ann } else { &bob };
        assert_eq!(log.add(UnixMillis(at), peer, What::Seen(Box::new(Verdict::StoreRolledBack))).unwrap(), at + 1);
    }
    let text = log.to_text();
    let again = Log::parse(&text);
    assert_eq!((again.of(&ann).len(), again.of(&bob).len(), again.next), (3, 2, 6));
    assert!(again.agrees(&ann, 5) && again.agrees(&bob, 4));
    assert!(!again.agrees(&bob, 2), "the record is older");
    assert!(!again.agrees(&ann, 6) && !again.agrees(&bob, 5), "the log is older");
    let lines: Vec<_> = text.lines().collect();
    let without_fourth = Log::parse(&[&lines[..3], &lines[4..]].concat().join("\n"));
    assert!(!without_fourth.agrees(&bob, 4) && !without_fourth.agrees(&ann, 5), "a line is missing");
    let altered = Log::parse(&text.replace("\"at\":3,", "\"at\":9,"));
    assert!(!altered.agrees(&bob, 4), "a line was altered");
    let unreadable = lines[3].replace("\"number\":4", "\"number\":\"4\"");
    let mut unreadable = Log::parse(&[lines[0], lines[1], lines[2], &unreadable, lines[4]].join("\n"));
    assert!(!unreadable.agrees(&bob, 4), "a line that cannot be read");
    assert!(unreadable.agrees(&ann, 5), "the one after it");
    let number = unreadable.add(UnixMillis(9), &ann, What::Seen(Box::new(Verdict::StoreRolledBack))).unwrap();
    let again = Log::parse(&unreadable.to_text());
    assert!(again.agrees(&ann, number) && !again.agrees(&bob, 4), "it is known, once that was noted");
    assert_eq!(again.of(&ann).len(), 4, "nothing is lost");
}

#[test]
fn a_line_of_another_version_is_against_nobody_else() {
    let (ann, bob) = (UserId::parse("@ann:a").unwrap(), UserId::parse("@bob:a").unwrap());
    let seen = || What::Seen(Box::new(Verdict::StoreRolledBack));
    let mut log = Log::default();
    log.add(UnixMillis(0), &ann, seen()).unwrap();
    let unknown = format!(r#"{{"number":2,"event":"unheard_of","previous":"{}"}}"#, log.lines[0].hash());
    log.lines.push(Line { text: unknown, head: None });
    log.next = 3;
    log.add(UnixMillis(0), &ann, seen()).unwrap();
    let again = Log::parse(&log.to_text());
    assert!(again.agrees(&ann, 3) && !again.agrees(&bob, 2));
}

#[test]
fn of_many_people_each_keeps_its_one_entry_and_whoever_has_more_makes_room() {
    let person = |n: usize| UserId::parse(&format!("@p{n}:a")).unwrap();
    let seen = || What::Seen(Box::new(Verdict::StoreRolledBack));
    let mut log = Log::default();
    let many = MAX_ENTRIES + 2 * CROWD;
    (0..many).for_each(|n| assert!(log.add(UnixMillis(0), &person(n), seen()).is_ok()));
    let mut again = Log::parse(&log.to_text());
    assert!((0..many).all(|n| again.agrees(&person(n), n as u64 + 1)) && again.lines.len() == many);
    (0..40).for_each(|at| assert!(again.add(UnixMillis(at), &person(7), seen()).is_ok()));
    assert!(again.of(&person(7)).len() < 40 && again.agrees(&person(7), (many + 40) as u64));
    assert!((0..many).filter(|n| *n != 7).all(|n| again.agrees(&person(n), n as u64 + 1)));
}

#[test]
fn much_about_one_person_drives_out_nothing_of_another_and_keeps_the_chain() {
    let (ann, bob) = (UserId::parse("@ann:a").unwrap(), UserId::parse("@bob:a").unwrap());
    let seen = || What::Seen(Box::new(Verdict::StoreRolledBack));
    let mut log = Log::default();
    log.add(UnixMillis(0), &bob, seen()).unwrap();
    log.add(UnixMillis(0), &ann, What::Decided(Decision::KeepHolding)).unwrap();
    for at in 0..=MAX_ENTRIES as u64 {
        log.add(UnixMillis(at), &ann, seen()).unwrap();
        assert!(log.lines.len() < MAX_OF_ONE + 8);
    }
    assert_eq!(log.of(&bob).len(), 1);
    assert!(matches!(log.of(&ann)[0].what, What::Decided(_)), "what was decided stays");
    let mut again = Log::parse(&log.to_text());
    let last = MAX_ENTRIES as u64 + 3;
    assert!(again.agrees(&bob, 1) && again.agrees(&ann, last) && again.missing.is_empty());
    assert_eq!(again.add(UnixMillis(0), &ann, seen()).unwrap(), last + 1);
}

#[test]
fn whoever_has_much_written_drives_out_nothing_of_how_it_began() {
    let ann = UserId::parse("@ann:a").unwrap();
    let key = |seed: u8| derive_public(&SecretBytes::new([seed; 32]));
    let device = |name: &str| DeviceId::parse(name).unwrap();
    let seen = |verdict: Verdict| What::Seen(Box::new(verdict));
    let swapped = |to: u8| seen(Verdict::MasterChanged { old: key(1), new: key(to) });
    let ghost = |name: &str| seen(Verdict::DeviceUnvouched { device: device(name) });
    let withheld = |name: &str| What::Withheld { devices: vec![device(name)] };
    let began = [
        (1, seen(Verdict::FirstContact { master: key(1) })),
        (2, ghost("GHOST")),
        (3, withheld("GHOST")),
        (4, swapped(2)),
        (5, withheld("PHONE")),
    ];
    let mut log = Log::default();
    for (number, what) in &began {
        assert_eq!(log.add(UnixMillis(0), &ann, what.clone()).unwrap(), *number);
    }
    for at in 0..8 * MAX_OF_ONE as u64 {
        let what = match at % 4 {
            0 => swapped(3),
            1 => withheld("LAPTOP"),
            2 => swapped(2),
            _ => withheld("PHONE"),
        };
        log.add(UnixMillis(at), &ann, what).unwrap();
        assert!(log.of(&ann).len() <= MAX_OF_ONE);
    }
    let text = log.to_text();
    let again = Log::parse(&text);
    let entries = again.of(&ann);
    assert_eq!(entries.iter().take(5).map(|entry| (entry.number, entry.what.clone())).collect::<Vec<_>>(), began);
    assert!(again.agrees(&ann, log.end()) && entries.last().unwrap().number == log.end());
    assert_eq!(verify_evidence(&text).unwrap().last, log.end());
}

#[test]
fn the_last_entry_about_a_person_never_goes() {
    let ann = UserId::parse("@ann:a").unwrap();
    let seen = || What::Seen(Box::new(Verdict::StoreRolledBack));
    let mut log = Log::default();
    for what in [What::Decided(Decision::KeepHolding), seen(), seen(), seen()] {
        log.add(UnixMillis(0), &ann, what).unwrap();
    }
    for left in [3, 2, 1, 1] {
        log.trim(&ann).unwrap();
        assert_eq!(log.of(&ann).last().unwrap().number, 4);
        assert_eq!((log.of(&ann).len(), log.count[&ann]), (left, left));
    }
}

#[test]
fn a_change_before_lines_that_went_shows_unless_an_earlier_version_wrote_what_stands_for_them() {
    let (ann, bob) = (UserId::parse("@ann:a").unwrap(), UserId::parse("@bob:a").unwrap());
    let seen = || What::Seen(Box::new(Verdict::StoreRolledBack));
    let mut log = Log::default();
    for at in 0..10 {
        log.add(UnixMillis(at), if at == 1 { &bob } else { &ann }, seen()).unwrap();
    }
    log.trim(&ann).unwrap();
    log.trim(&ann).unwrap();
    let text = log.to_text();
    let gone = log.lines.iter().find_map(Line::gone).unwrap();
    assert_eq!((gone.from, gone.to), (3, 8));
    assert_eq!(gone.previous, Some(log.lines[1].hash()));
    assert!(Log::parse(&text).agrees(&bob, 2));
    let altered = Log::parse(&text.replacen("\"at\":1,", "\"at\":5,", 1));
    assert!(!altered.agrees(&bob, 2) && altered.agrees(&ann, 10));

    // It is read, goes on, and nothing of it is lost.
    let previous = format!("\"previous\":\"{}\",\"hash\"", gone.previous.as_ref().unwrap());
    let old = text.replace(&previous, "\"hash\"");
    assert_ne!(old, text);
    let mut again = Log::parse(&old);
    assert!(again.agrees(&bob, 2) && again.agrees(&ann, 10));
    assert_eq!(again.to_text(), old);
    (10..200).for_each(|at| assert!(again.add(UnixMillis(at), &ann, seen()).is_ok()));
    let evidence = verify_evidence(&again.to_text()).unwrap();
    assert_eq!((evidence.untied, evidence.last), (1, 200));
}
