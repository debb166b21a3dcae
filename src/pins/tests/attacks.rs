//! The attack table: what a homeserver does → what that means → was a room key sent? → what was shown. `docs/attacks.md` has
//! what is observed here.

mod store;

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use serde_json::{Value, json};

use super::{person::Person, pinned, world::World};
use crate::{
    error::{Code, Coded as _},
    pins::{Decision, MAX_ANSWER_BYTES, PersonView, Severity},
    policy::{FirstContact, Pins},
};

/// One attack on somebody who is pinned with the device `PHONE`.
struct Attack {
    name: &'static str,
    /// What the homeserver answers then.
    answer: fn(&mut Person) -> Value,
    /// The verdicts' codes.
    expect: &'static [&'static str],
    /// Does `PHONE` still get room keys?
    phone: bool,
    /// The ghost that must get none, until it is accepted: its device id.
    ghost: Option<&'static str>,
}

const ATTACKS: &[Attack] = &[
    Attack {
        name: "a ghost device",
        answer: |bob| {
            bob.add_device("GHOST", 66, false);
            bob.answer()
        },
        expect: &["KS-PIN-DEVICE"],
        phone: true,
        ghost: Some("GHOST"),
    },
    Attack {
        name: "a ghost device with a signature by another identity",
        answer: |bob| {
            let mut other = Person::new("@bob:a", 90);
            other.add_device("GHOST", 66, true);
            bob.add_device("GHOST", 66, false);
            let mut answer = bob.answer();
            answer["device_keys"]["@bob:a"]["GHOST"] = other.answer()["device_keys"]["@bob:a"]["GHOST"].clone();
            answer
        },
        expect: &["KS-PIN-DEVICE"],
        phone: true,
        ghost: Some("GHOST"),
    },
    Attack {
        name: "a ghost device with a forged signature",
        answer: |bob| {
            bob.add_device("GHOST", 66, true);
            let mut answer = bob.answer();
            answer["device_keys"]["@bob:a"]["GHOST"]["signatures"]["@bob:a"][bob.self_signing_id()] =
                answer["device_keys"]["@bob:a"]["PHONE"]["signatures"]["@bob:a"][bob.self_signing_id()].clone();
            answer
        },
        expect: &["KS-PIN-SIGNATURE"],
        phone: true,
        ghost: Some("GHOST"),
    },
    Attack {
        name: "the master key is swapped",
        answer: |_| {
            let mut other = Person::new("@bob:a", 90);
            other.add_device("GHOST", 66, true);
            other.answer()
        },
        expect: &["KS-PIN-IDENTITY", "KS-PIN-DEVICE"],
        phone: false,
        ghost: Some("GHOST"),
    },
    Attack {
        name: "the self-signing key is swapped",
        answer: |bob| {
            let mut other = Person::new("@bob:a", 90);
            other.add_device("GHOST", 66, true);
            let mut answer = other.answer();
            answer["master_keys"] = bob.answer()["master_keys"].clone();
            answer
        },
        expect: &["KS-PIN-SIGNATURE", "KS-PIN-DEVICE"],
        phone: false,
        ghost: None,
    },
    Attack {
        name: "all of the identity is taken away",
        answer: |bob| {
            bob.add_device("GHOST", 66, false);
            let mut answer = bob.answer();
            answer["master_keys"] = json!({});
            answer["self_signing_keys"] = json!({});
            answer
        },
        expect: &["KS-PIN-REMOVED", "KS-PIN-DEVICE"],
        phone: false,
        ghost: Some("GHOST"),
    },
    Attack {
        name: "only the self-signing key is taken away",
        answer: |bob| {
            let mut answer = bob.answer();
            answer["self_signing_keys"] = json!({});
            answer
        },
        expect: &["KS-PIN-MALFORMED"],
        phone: false,
        ghost: None,
    },
    Attack {
        name: "the signature of a device is stripped",
        answer: |bob| {
            let mut answer = bob.answer();
            let signatures = answer["device_keys"]["@bob:a"]["PHONE"]["signatures"]["@bob:a"].as_object_mut().unwrap();
            signatures.remove(&bob.self_signing_id());
            answer
        },
        expect: &["KS-PIN-VOUCHED"],
        phone: false,
        ghost: None,
    },
    Attack {
        name: "a device's key changes under its id",
        answer: |bob| {
            bob.add_device("PHONE", 66, false);
            bob.answer()
        },
        expect: &["KS-PIN-DEVICE-KEY"],
        phone: false,
        ghost: Some("PHONE"),
    },
    Attack {
        name: "a device's key changes under its id, and is signed",
        answer: |bob| {
            bob.add_device("PHONE", 66, true);
            bob.answer()
        },
        expect: &["KS-PIN-DEVICE-KEY"],
        phone: false,
        ghost: Some("PHONE"),
    },
    Attack {
        name: "a device that did not sign its own keys",
        answer: |bob| {
            bob.add_device("GHOST", 66, false);
            let mut answer = bob.answer();
            answer["device_keys"]["@bob:a"]["GHOST"]["signatures"] = json!({});
            answer
        },
        expect: &["KS-PIN-SIGNATURE"],
        phone: true,
        ghost: None,
    },
    Attack {
        name: "another user's device",
        answer: |bob| {
            let mut eve = Person::new("@eve:a", 90);
            eve.add_device("GHOST", 66, true);
            let mut answer = bob.answer();
            answer["device_keys"]["@bob:a"]["GHOST"] = eve.answer()["device_keys"]["@eve:a"]["GHOST"].clone();
            answer
        },
        expect: &["KS-PIN-MALFORMED"],
        phone: true,
        ghost: None,
    },
    Attack {
        name: "another user's identity",
        answer: |bob| {
            let mut answer = bob.answer();
            answer["master_keys"]["@bob:a"] = Person::new("@eve:a", 90).answer()["master_keys"]["@eve:a"].clone();
            answer
        },
        expect: &["KS-PIN-MALFORMED"],
        phone: false,
        ghost: None,
    },
    Attack {
        name: "wrong types",
        answer: |bob| {
            let mut answer = bob.answer();
            answer["device_keys"]["@bob:a"]["GHOST"] = json!(["GHOST"]);
            answer
        },
        expect: &["KS-PIN-MALFORMED"],
        phone: true,
        ghost: None,
    },
    Attack {
        name: "devices in a list",
        answer: |bob| {
            let mut answer = bob.answer();
            answer["device_keys"]["@bob:a"] = json!([]);
            answer
        },
        expect: &["KS-PIN-MALFORMED"],
        phone: false,
        ghost: None,
    },
];

#[test]
fn every_attack_has_its_verdict_and_gets_no_key_until_it_is_accepted() {
    for Attack { name, answer, expect, phone, ghost } in ATTACKS {
        let (mut world, mut bob) = pinned();
        let answer = answer(&mut bob);
        assert_eq!(world.observe(&answer), *expect, "{name}");
        assert_eq!(world.observe(&answer), ["KS-PIN-FIRST"], "{name}: no news twice");
        world.homeserver(answer);
        world.later();
        assert_eq!(world.gets("@bob:a", "PHONE", 10), *phone, "{name}: the phone");
        assert!(!world.gets("@bob:a", ghost.unwrap_or("GHOST"), 66), "{name}: the ghost");
        let Some(ghost) = ghost else { continue };
        let [view] = &world.people()[..] else { panic!("{name}: nobody is shown") };
        assert!(view.held && view.acceptable && view.severity >= Severity::Warning, "{name}: {view:?}");
        let shown = view.shown.clone();
        world.decide("@bob:a", &Decision::Accept { shown: shown.clone(), compared: false }).unwrap();
        // Devices that the accepted identity does not vouch for are another question.
        if let Some(rest) = world.people().first() {
            assert!(shown.identity.is_some() && !world.gets("@bob:a", ghost, 66), "{name}: accepted unseen");
            let shown = rest.shown.clone();
            world.decide("@bob:a", &Decision::Accept { shown, compared: false }).unwrap();
        }
        assert!(world.discarded() >= 1, "{name}: the next message has a new key");
        assert!(world.gets("@bob:a", ghost, 66), "{name}: accepted");
        assert!(world.people().is_empty(), "{name}: {:?}", world.people());
        assert!(world.decide("@bob:a", &Decision::Accept { shown, compared: false }).is_err(), "{name}: twice");
        world.reopen();
        assert!(world.gets("@bob:a", ghost, 66), "{name}: accepted for good");
        // Whom the pinned identity vouches for is not a matter of what was accepted.
        if !name.ends_with("and is signed") {
            world.decide("@bob:a", &Decision::Withdraw).unwrap();
            assert!(!world.gets("@bob:a", ghost, 66), "{name}: withdrawn");
        }
    }
}

/// What came of an attack.
struct Seen {
    verdicts: Vec<&'static str>,
    /// Was a room key sent to the attacker's key?
    sent: bool,
    /// Does the person's own device go on being sent room keys?
    goes_on: bool,
    shown: Vec<PersonView>,
    /// What the popup says of what the person's browsers share.
    trouble: Option<Code>,
}

/// Looks at it when whatever may settle has settled.
fn seen(world: &mut World, verdicts: Vec<&'static str>, person: &str, ghost: &str) -> Seen {
    world.settle();
    world.later();
    let goes_on = world.gets(person, "PHONE", 10);
    let sent = world.gets(person, ghost, 66);
    let trouble = world.trouble().map(|trouble| trouble.code());
    Seen { verdicts, sent, goes_on, shown: world.people(), trouble }
}

/// An attack that takes more than one answer, or is no answer at all.
type Scene = (&'static str, fn() -> Seen);

/// Bob with the device of somebody who has no business there, and the text of the answer that has it.
fn with_ghost() -> (World, Person, String) {
    let (world, mut bob) = pinned();
    bob.add_device("GHOST", 66, false);
    let text = bob.answer().to_string();
    (world, bob, text)
}

/// The page gets a text in which something was replaced; we are told the truth when we ask ourselves.
fn text(change: impl FnOnce(String) -> String) -> Seen {
    let (mut world, bob, text) = with_ghost();
    world.homeserver(bob.answer());
    let verdicts = world.observe_text(&change(text), &bob.user());
    seen(&mut world, verdicts, "@bob:a", "GHOST")
}

fn accept(world: &mut World, user: &str) {
    while let Some(view) = world.people().into_iter().find(|view| view.user_id.as_str() == user && view.acceptable) {
        world.decide(user, &Decision::Accept { shown: view.shown, compared: false }).unwrap();
    }
}

fn newcomer(first_contact: Option<FirstContact>) -> Seen {
    const ROOM: &str = "!room:a";
    let (mut world, bob) = pinned();
    world.pins = Pins { first_contact, ..Pins::default() };
    let mut ghost = Person::new("@b0b:a", 90);
    ghost.add_device("GHOST", 66, true);
    world.homeserver_of(&[&bob, &ghost], usize::MAX);
    world.rooms = Some(BTreeMap::from([(ROOM, vec![bob.user()])]));
    world.send(&[(&bob, "PHONE", 10)]);
    world.writes_to(ROOM);
    world.rooms.as_mut().unwrap().get_mut(ROOM).unwrap().push(ghost.user());
    let verdicts = world.observe(&ghost.answer());
    world.later();
    let sent = world.send(&[(&bob, "PHONE", 10), (&ghost, "GHOST", 66)]);
    let is_sent = |user: &str| sent.iter().any(|to| to == user);
    Seen { verdicts, sent: is_sent("@b0b:a"), goes_on: is_sent("@bob:a"), shown: world.people(), trouble: None }
}

const SCENES: &[Scene] = &[
    ("a ghost device of one's own", || {
        let (mut world, mut ann) = (World::new(), Person::new("@ann:a", 50));
        ann.add_device("PHONE", 10, true);
        world.prove(&ann);
        world.observe(&ann.answer());
        world.later();
        ann.add_device("GHOST", 66, false);
        world.homeserver(ann.answer());
        let verdicts = world.observe(&ann.answer());
        seen(&mut world, verdicts, "@ann:a", "GHOST")
    }),
    ("the ghost's ciphertext under the name of a pinned device", || {
        let (mut world, bob) = pinned();
        world.homeserver(bob.answer());
        let verdicts = world.observe(&bob.answer());
        seen(&mut world, verdicts, "@bob:a", "PHONE")
    }),
    ("the identity is taken away, which is accepted, and another one comes", || {
        let (mut world, bob) = pinned();
        let mut gone = bob.answer();
        (gone["master_keys"], gone["self_signing_keys"]) = (json!({}), json!({}));
        world.homeserver(gone.clone());
        world.observe(&gone);
        world.later();
        accept(&mut world, "@bob:a");
        let mut other = Person::new("@bob:a", 90);
        other.add_device("GHOST", 66, true);
        world.homeserver(other.answer());
        let verdicts = world.observe(&other.answer());
        seen(&mut world, verdicts, "@bob:a", "GHOST")
    }),
    ("somebody new in a room in use, under a colleague's display name, by a hidden join", || newcomer(None)),
    ("the same, with `first_contact: roster`", || newcomer(Some(FirstContact::Roster))),
    ("a device that only the page is shown", || {
        let (mut world, bob, _) = with_ghost();
        let mut honest = bob.answer();
        honest["device_keys"]["@bob:a"].as_object_mut().unwrap().remove("GHOST");
        world.homeserver(honest);
        let verdicts = world.observe(&bob.answer());
        seen(&mut world, verdicts, "@bob:a", "GHOST")
    }),
    ("a device that only we are shown, or another browser of the person", || {
        let (mut world, bob, _) = with_ghost();
        world.homeserver(bob.answer());
        seen(&mut world, Vec::new(), "@bob:a", "GHOST")
    }),
    ("an answer about somebody who was not asked for, of whom nothing is known", || {
        let (mut world, bob) = pinned();
        let mut eve = Person::new("@eve:a", 90);
        eve.add_device("GHOST", 66, false);
        world.homeserver_of(&[&bob, &eve], usize::MAX);
        let verdicts = world.observe_asked(&eve.answer(), &[bob.user()].into());
        let goes_on = world.gets("@bob:a", "PHONE", 10);
        let sent = world.gets("@eve:a", "GHOST", 66);
        Seen { verdicts, sent, goes_on, shown: world.people(), trouble: None }
    }),
    ("the keys of two people are swapped", || {
        let (mut world, bob) = pinned();
        let mut eve = Person::new("@eve:a", 90);
        eve.add_device("GHOST", 66, true);
        world.observe(&eve.answer());
        let (mut answer, of_eve) = (bob.answer(), eve.answer());
        for field in ["device_keys", "master_keys", "self_signing_keys"] {
            answer[field] = json!({ "@bob:a": of_eve[field]["@eve:a"] });
        }
        world.homeserver(answer.clone());
        let verdicts = world.observe(&answer);
        seen(&mut world, verdicts, "@bob:a", "GHOST")
    }),
    ("the answer from before an identity that was accepted, replayed", || {
        let (mut world, mut bob) = pinned();
        bob.add_device("GHOST", 66, true);
        let old = bob.answer();
        let mut other = Person::new("@bob:a", 90);
        other.add_device("PHONE", 10, true);
        world.homeserver(other.answer());
        world.observe(&other.answer());
        world.later();
        accept(&mut world, "@bob:a");
        world.homeserver(old.clone());
        let verdicts = world.observe(&old);
        seen(&mut world, verdicts, "@bob:a", "GHOST")
    }),
    ("on roll-out day, when Element knows everybody and asks nobody: a ghost device", || {
        let (mut world, mut bob) = (World::new(), Person::new("@bob:a", 1));
        bob.add_device("PHONE", 10, true);
        bob.add_device("GHOST", 66, false);
        world.homeserver(bob.answer());
        seen(&mut world, Vec::new(), "@bob:a", "GHOST")
    }),
    ("an answer of more than 5 MiB", || text(|text| format!("{text}{}", " ".repeat(MAX_ANSWER_BYTES)))),
    ("the same, of which the page says no more than its length", || {
        let (mut world, bob, _) = with_ghost();
        world.homeserver(bob.answer());
        let verdicts = world.observe_too_long(MAX_ANSWER_BYTES + 1, &bob.user());
        seen(&mut world, verdicts, "@bob:a", "GHOST")
    }),
    ("an answer that breaks off", || text(|text| text[..text.len() / 2].to_owned())),
    ("a person who is there twice", || text(|text| text.replacen("{\"@bob:a\":", "{\"@bob:a\":{},\"@bob:a\":", 1))),
    ("a key that is there twice in a device", || {
        text(|text| text.replacen("\"device_id\":\"GHOST\"", "\"device_id\":\"GHOST\",\"device_id\":\"GHOST\"", 1))
    }),
    ("half of a surrogate pair in a device", || {
        text(|text| text.replacen("\"device_id\":\"GHOST\"", "\"device_id\":\"GHOST\\ud800\"", 1))
    }),
    ("the browser's own store is put back", || {
        let (mut world, mut bob) = pinned();
        let before = world.records();
        bob.add_device("GHOST", 66, false);
        world.homeserver(bob.answer());
        world.observe(&bob.answer());
        let log = |key: &str| key.starts_with("pin-log|");
        let after = world.records().into_iter();
        world.put_back(
            after
                .map(
                    |(key, now)| {
                        if log(&key) { (key, now) } else { (key.clone(), before.get(&key).cloned().unwrap_or(now)) }
                    },
                )
                .collect(),
        );
        seen(&mut world, Vec::new(), "@bob:a", "GHOST")
    }),
];

/// Those that the policy's own words let through: nobody is known to be another than said, and it is said.
const BELIEVED: &str = "somebody new in a room in use, under a colleague's display name, by a hidden join";

const HEAD: &str = "# Attacks on pinned peers

What a homeserver, or whoever stands before it, may do; what Keystead takes it for; whether the attacker's key was sent a room
key; whether the person's own device went on being sent them; and what was shown. Observed by the tests of `src/pins`, where
nothing was accepted; they write this file (`KEYSTEAD_WRITE=1 cargo test -p keystead-core attacks`) and fail where it says
something else. `cargo xtask test e2e pins` does many of them between a real homeserver and real browsers.

The verdict is that on the answer that the page gets; *none*: there is no such answer, or nothing in it is looked at. What is
shown is what there is to say after the client tried to send both devices a room key.

| attack | verdict | key sent to the attacker | own device goes on | shown |
|---|---|---|---|---|
";

#[test]
fn what_comes_of_each_attack_is_what_the_document_says() {
    let single = ATTACKS.iter().map(|Attack { name, answer, ghost, .. }| {
        let (mut world, mut bob) = pinned();
        let answer = answer(&mut bob);
        let verdicts = world.observe(&answer);
        world.homeserver(answer);
        (*name, seen(&mut world, verdicts, "@bob:a", ghost.unwrap_or("GHOST")))
    });
    let mut document = HEAD.to_owned();
    for (name, Seen { verdicts, sent, goes_on, shown, trouble }) in
        single.chain(SCENES.iter().chain(store::SCENES).map(|(name, act)| (*name, act())))
    {
        assert_eq!(sent, name == BELIEVED, "{name}: the attacker's key");
        let code = |code: &str| if code == "KS-PIN-FIRST" { "in good order".to_owned() } else { format!("`{code}`") };
        let verdicts = match &verdicts[..] {
            [] => "none".to_owned(),
            some => some.iter().map(|verdict| code(verdict)).collect::<Vec<_>>().join(", "),
        };
        let said = |view: &PersonView| {
            let severity = match view.severity {
                Severity::Silent | Severity::Notice => "notice",
                Severity::Warning => "warning",
                Severity::Critical => "critical",
            };
            format!("{severity}: `{}`", view.code.as_str())
        };
        let trouble = trouble.map(|code| format!("in the popup: `{}`", code.as_str()));
        let shown: Vec<_> = shown.iter().map(said).chain(trouble).collect();
        let shown = if shown.is_empty() { "nothing".to_owned() } else { shown.join(", ") };
        let yes = |yes| if yes { "yes" } else { "no" };
        writeln!(document, "| {name} | {verdicts} | {} | {} | {shown} |", yes(sent), yes(goes_on)).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/attacks.md");
    if std::env::var_os("KEYSTEAD_WRITE").is_some_and(|value| !value.is_empty()) {
        fs::write(&path, &document).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), document, "docs/attacks.md says something else");
}
