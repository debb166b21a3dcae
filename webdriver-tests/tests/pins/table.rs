//! The attack table: what a homeserver answers → what the person is told → who reads the next message. No attack has a
//! room key encrypted to a forged key before the person accepted it.

use anyhow::{Context, Result, ensure};
use keystead_core::pins::MAX_ANSWER_BYTES;
use keystead_testbed::{Action, Rule};
use keystead_webdriver_tests::{BrowserKind, Company, PATIENCE, until};
use serde_json::{Value, json};

use crate::forger::{Forger, GHOST};
use crate::scene::{Scene, set_up};

/// What an attack works with.
#[derive(Clone)]
struct Victim {
    forger: Forger,
    user: String,
    device: String,
    /// What is published of somebody else.
    other: Value,
    other_user: String,
}

type Answer = fn(Value, &Victim) -> String;

struct Attack {
    name: &'static str,
    /// What was answered before that.
    before: Option<Answer>,
    /// What becomes of an honest answer.
    answer: Answer,
    /// What the person is told.
    told: Option<&'static str>,
    /// Does the colleague's own device read what is sent then?
    reads: bool,
}

/// The part of a person in an answer.
fn of<'v>(answer: &'v mut Value, field: &str, user: &str) -> &'v mut Value {
    &mut answer[field][user]
}

const ATTACKS: &[Attack] = &[
    Attack {
        name: "a ghost device",
        before: None,
        answer: |mut answer, bob| {
            of(&mut answer, "device_keys", &bob.user)[GHOST] = bob.forger.device(GHOST);
            answer.to_string()
        },
        told: Some("KS-PIN-DEVICE"),
        reads: true,
    },
    Attack {
        name: "a ghost device that another identity vouches for",
        before: None,
        answer: |mut answer, bob| {
            of(&mut answer, "device_keys", &bob.user)[GHOST] = bob.forger.vouched_device(GHOST);
            answer.to_string()
        },
        told: Some("KS-PIN-DEVICE"),
        reads: true,
    },
    Attack {
        name: "the master key is swapped",
        before: None,
        answer: |mut answer, bob| {
            *of(&mut answer, "device_keys", &bob.user) = json!({ GHOST: bob.forger.vouched_device(GHOST) });
            *of(&mut answer, "master_keys", &bob.user) = bob.forger.master_key();
            *of(&mut answer, "self_signing_keys", &bob.user) = bob.forger.self_signing_key(&Forger::master_key_id());
            answer.to_string()
        },
        told: Some("KS-PIN-IDENTITY"),
        reads: false,
    },
    Attack {
        name: "the self-signing key is swapped",
        before: None,
        answer: |mut answer, bob| {
            let master = answer["master_keys"][&bob.user]["keys"].as_object().and_then(|keys| keys.keys().next());
            let key = bob.forger.self_signing_key(master.map_or("", |id| id));
            *of(&mut answer, "self_signing_keys", &bob.user) = key;
            of(&mut answer, "device_keys", &bob.user)[GHOST] = bob.forger.vouched_device(GHOST);
            answer.to_string()
        },
        told: Some("KS-PIN-SIGNATURE"),
        reads: false,
    },
    Attack {
        name: "the identity is taken away",
        before: None,
        answer: |mut answer, bob| {
            for field in ["master_keys", "self_signing_keys"] {
                if let Some(keys) = answer[field].as_object_mut() {
                    keys.remove(&bob.user);
                }
            }
            of(&mut answer, "device_keys", &bob.user)[GHOST] = bob.forger.device(GHOST);
            answer.to_string()
        },
        told: Some("KS-PIN-REMOVED"),
        reads: false,
    },
    Attack {
        name: "a known device has other keys",
        before: None,
        answer: |mut answer, bob| {
            of(&mut answer, "device_keys", &bob.user)[&bob.device] = bob.forger.device(&bob.device);
            answer.to_string()
        },
        told: Some("KS-PIN-DEVICE-KEY"),
        reads: false,
    },
    Attack {
        name: "a known device's key is swapped within its own signature",
        before: None,
        answer: |mut answer, bob| {
            let device = &mut of(&mut answer, "device_keys", &bob.user)[&bob.device];
            device["keys"][format!("curve25519:{}", bob.device)] = Forger::agreement_key().into();
            answer.to_string()
        },
        told: None,
        reads: true,
    },
    Attack {
        name: "somebody else's keys",
        before: None,
        answer: |mut answer, bob| {
            for field in ["device_keys", "master_keys", "self_signing_keys"] {
                answer[field][&bob.user] = bob.other[field][&bob.other_user].clone();
            }
            answer.to_string()
        },
        told: Some("KS-PIN-MALFORMED"),
        reads: false,
    },
    Attack {
        name: "a device that is a list",
        before: None,
        answer: |mut answer, bob| {
            of(&mut answer, "device_keys", &bob.user)[GHOST] = json!([bob.forger.device(GHOST)]);
            answer.to_string()
        },
        told: None,
        reads: true,
    },
    Attack {
        name: "a person is gone, and back with other keys",
        before: Some(|mut answer, bob| {
            for field in ["device_keys", "master_keys", "self_signing_keys"] {
                if let Some(people) = answer[field].as_object_mut() {
                    people.remove(&bob.user);
                }
            }
            *of(&mut answer, "device_keys", &bob.user) = json!({});
            answer.to_string()
        }),
        answer: |mut answer, bob| {
            *of(&mut answer, "device_keys", &bob.user) = json!({ GHOST: bob.forger.vouched_device(GHOST) });
            *of(&mut answer, "master_keys", &bob.user) = bob.forger.master_key();
            *of(&mut answer, "self_signing_keys", &bob.user) = bob.forger.self_signing_key(&Forger::master_key_id());
            answer.to_string()
        },
        told: Some("KS-PIN-IDENTITY"),
        reads: false,
    },
    Attack {
        name: "somebody whom nobody asked for",
        before: None,
        answer: |mut answer, bob| {
            let stranger = "@stranger:localhost";
            *of(&mut answer, "device_keys", stranger) = json!({ GHOST: bob.forger.vouched_device(GHOST) });
            *of(&mut answer, "master_keys", stranger) = bob.forger.master_key();
            answer.to_string()
        },
        told: None,
        reads: true,
    },
    Attack {
        name: "an answer that breaks off",
        before: None,
        answer: |answer, _| {
            let mut text = answer.to_string();
            text.truncate(text.len() / 2);
            text
        },
        told: None,
        reads: true,
    },
    Attack {
        name: "an answer of more than 5 MiB",
        before: None,
        answer: |answer, bob| with_ghost(answer, bob) + " ".repeat(MAX_ANSWER_BYTES).as_str(),
        told: Some("KS-PIN-MALFORMED"),
        reads: false,
    },
    Attack {
        name: "a person who is there twice",
        before: None,
        answer: |answer, bob| {
            let person = format!("\"{}\":{{", bob.user);
            with_ghost(answer, bob).replacen(&person, &format!("{person}}},{person}"), 1)
        },
        told: Some("KS-PIN-MALFORMED"),
        reads: false,
    },
    Attack {
        name: "half of a surrogate pair in a device",
        before: None,
        answer: |answer, bob| {
            with_ghost(answer, bob).replacen("\"unsigned\":{", "\"unsigned\":{\"of\":\"\\ud800\",", 1)
        },
        told: Some("KS-PIN-MALFORMED"),
        reads: false,
    },
];

fn with_ghost(mut answer: Value, bob: &Victim) -> String {
    of(&mut answer, "device_keys", &bob.user)[GHOST] = bob.forger.device(GHOST);
    answer.to_string()
}

/// All of them, one after the other, on the same people.
pub(crate) async fn attacks(company: &Company, kind: BrowserKind) -> Result<()> {
    let mut scene = set_up(company, kind).await?;
    let victim = victim(company, &scene).await?;
    for one in ATTACKS {
        attack(&mut scene, &victim, one).await.with_context(|| format!("attack: {}", one.name))?;
    }
    scene.browser.quit().await
}

/// Has the homeserver answer this about Bob.
fn forge(scene: &Scene, victim: &Victim, answer: Answer) {
    let of = victim.clone();
    let forged = Action::rewrite(move |_, mut response| {
        if let Ok(honest) = serde_json::from_slice::<Value>(&response.body)
            && honest["device_keys"].get(&of.user).is_some()
        {
            response.body = answer(honest, &of).into_bytes();
        }
        response
    });
    scene.desk.homeserver.add(Rule::when("forge keys", |asked| asked.path.ends_with("/keys/query"), forged));
}

async fn attack(scene: &mut Scene, victim: &Victim, attack: &Attack) -> Result<()> {
    let Attack { name, before, answer, told, reads } = attack;
    if let Some(before) = before {
        forge(scene, victim, *before);
        scene.ask_for_keys().await?;
        scene.desk.homeserver.behave();
    }
    forge(scene, victim, *answer);
    let of = victim.clone();
    let claimed = Action::rewrite_json(move |asked, answer| {
        let asked: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let devices = asked["one_time_keys"][&of.user].as_object().into_iter().flatten();
        for id in devices.map(|(id, _)| id).filter(|id| *id == GHOST || *id == &of.device) {
            answer["one_time_keys"][&of.user][id] = of.forger.one_time_key(id);
        }
    });
    scene.desk.homeserver.add(Rule::when("forge claims", |asked| asked.path.ends_with("/keys/claim"), claimed));
    scene.ask_for_keys().await?;
    scene.discard().await?;
    scene.send(name).await?;
    if *reads {
        scene.phone.reads(name).await?;
    } else {
        scene.phone.cannot_read().await?;
    }
    if let Some(code) = told {
        scene.shown(code).await?;
    }
    ensure!(scene.encrypted_to(&Forger::agreement_key())? == 0, "a forged key was sent something");
    scene.desk.homeserver.behave();
    scene.ask_for_keys().await?;
    let gone = async || Ok(scene.people().await?.is_empty().then_some(()));
    until("nobody in the popup", PATIENCE, gone).await
}

async fn victim(company: &Company, scene: &Scene) -> Result<Victim> {
    let carol = company.hire("carol").await?;
    let _device = company.client("send", &carol, &json!({ "crossSign": true })).await?;
    let other = company.published_keys(&carol).await?;
    Ok(Victim {
        forger: Forger::new(&scene.bob.user_id)?,
        user: scene.bob.user_id.clone(),
        device: scene.phone.device_id.clone(),
        other,
        other_user: carol.user_id,
    })
}
