//! The store: put back, damaged, or filled.

use std::collections::BTreeMap;

use serde_json::json;

use super::{person::Person, pinned};
use crate::{ident::DeviceId, pins::Decision};

#[test]
fn a_store_that_is_put_back_shows() {
    let (mut world, mut bob) = pinned();
    let before = world.records();
    bob.add_device("GHOST", 66, false);
    world.homeserver(bob.answer());
    world.observe(&bob.answer());
    let after = world.records();
    let log = |key: &String| key.starts_with("pin-log|");
    for (what, mixed) in [
        (
            "the record",
            after
                .iter()
                .map(|(k, v)| (k.clone(), if log(k) { v.clone() } else { before.get(k).unwrap_or(v).clone() }))
                .collect(),
        ),
        (
            "the log",
            after.iter().map(|(k, v)| (k.clone(), if log(k) { before[k].clone() } else { v.clone() })).collect(),
        ),
        ("the record is gone", after.clone().into_iter().filter(|(k, _)| !k.starts_with("pin|")).collect()),
    ] {
        world.put_back(mixed);
        assert!(!world.gets("@bob:a", "PHONE", 10), "{what}");
        assert_eq!(world.people()[0].code.as_str(), "KS-PIN-ROLLBACK", "{what}");
        let shown = world.people()[0].shown.clone();
        world.decide("@bob:a", &Decision::Accept { shown, compared: false }).unwrap();
        assert!(world.gets("@bob:a", "PHONE", 10), "{what}: accepted");
        world.reopen();
        assert!(world.gets("@bob:a", "PHONE", 10), "{what}: accepted for good");
    }
}

#[test]
fn a_record_that_cannot_be_read_is_against_that_person_alone() {
    let (mut world, bob) = pinned();
    let mut eve = Person::new("@eve:a", 40);
    eve.add_device("WEB", 41, true);
    world.observe(&eve.answer());
    let damaged = |damage: &dyn Fn(&str, &str) -> Option<String>| {
        let damage = |(key, text): (&String, &String)| Some((key.clone(), damage(key, text)?));
        world.records().iter().filter_map(damage).collect()
    };
    let cases: [(&str, BTreeMap<String, String>); 4] = [
        ("torn", damaged(&|key, text| Some(if key.ends_with("|@bob:a") { "{".into() } else { text.to_owned() }))),
        (
            "newer",
            damaged(&|key, text| {
                Some(if key.ends_with("|@bob:a") {
                    text.replace(r#""version":"1""#, r#""version":"2""#)
                } else {
                    text.into()
                })
            }),
        ),
        (
            "somebody else's",
            damaged(&|key, text| {
                Some(if key.ends_with("|@bob:a") { text.replace("@bob:a", "@mal:a") } else { text.into() })
            }),
        ),
        (
            "a line of the log",
            damaged(&|key, text| {
                Some(if key.starts_with("pin-log|") { text.replacen("@bob:a", "?", usize::MAX) } else { text.into() })
            }),
        ),
    ];
    for (name, records) in cases {
        world.put_back(records);
        world.homeserver_of(&[&bob, &eve], usize::MAX);
        world.later();
        assert_eq!(world.send(&[(&bob, "PHONE", 10), (&eve, "WEB", 41)]), ["@eve:a"], "{name}");
        let shown = world.people();
        assert_eq!((shown.len(), shown[0].code.as_str()), (1, "KS-PIN-ROLLBACK"), "{name}");
        // Neither what the homeserver says nor a new identity ends it.
        let other = Person::new("@bob:a", 90);
        world.observe(&other.answer());
        world.observe(&bob.answer());
        assert_eq!(world.people()[0].code.as_str(), "KS-PIN-ROLLBACK", "{name}");
        let shown = world.people().remove(0).shown;
        world.decide("@bob:a", &Decision::Accept { shown, compared: false }).unwrap();
        assert_eq!(world.send(&[(&bob, "PHONE", 10)]), ["@bob:a"], "{name}");
        world.reopen();
        assert_eq!(world.send(&[(&bob, "PHONE", 10), (&eve, "WEB", 41)]).len(), 2, "{name}");
    }
}

#[test]
fn a_homeserver_does_not_fill_the_store() {
    let (mut world, mut bob) = pinned();
    let before = world.records().len();
    let mut answer = json!({ "device_keys": {} });
    for n in 0..5000 {
        answer["device_keys"][format!("@m{n}:a")] = json!({ "D": [] });
    }
    world.observe_asked(&answer, &[bob.user()].into());
    assert_eq!(world.records().len(), before, "nobody asked for them");
    let mut answer = bob.answer();
    for n in 0..5000 {
        answer["device_keys"]["@bob:a"][format!("{n:0200}")] = json!([]);
    }
    assert_eq!(world.observe_asked(&answer, &[].into()), ["KS-PIN-MALFORMED"], "known, and one is enough");
    let longest = world.records().values().map(String::len).max().unwrap();
    assert!(longest < 4000, "{longest}");
    // Ever other devices: the newest stand, what was vouched for and is there stays.
    world.later();
    for round in 0..11_u8 {
        for n in 0..100_u8 {
            bob.add_device(&format!("G{round}-{n}"), n, false);
        }
        world.observe(&bob.answer());
        for n in 0..100_u8 {
            bob.remove_device(&format!("G{round}-{n}"));
        }
    }
    let record = &world.book().records[&bob.user()];
    assert!(record.devices.len() <= 1000 && record.devices.contains_key(&DeviceId::parse("PHONE").unwrap()));
    assert!(world.book().history(&bob.user()).len() <= crate::pins::MAX_OF_ONE);
}
