//! What a homeserver may do to the store that a person's browsers share: it is noticed and said, nothing that is pinned is
//! lost, and no other identity is sent a room key by it.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use keystead_testbed::{Action, Answer, Asked, Rule};
use keystead_webdriver_tests::{BrowserKind, Company, PATIENCE, rows::Rows, until};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::hand;
use crate::scene::{Scene, set_up};
use crate::second::HEAD;

/// What is not as it must be is believed after a minute, and the browser looks some seconds after its start.
const NOTICED_WITHIN: Duration = Duration::from_secs(120);

/// What becomes of the store.
#[derive(Clone, Copy)]
enum Attack {
    /// It is put back to an older state.
    Older,
    /// It is not there, nor is its key.
    Hidden,
    /// It is something that nobody wrote.
    Garbage,
}

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    for (attack, name) in [(Attack::Older, "rolled back"), (Attack::Hidden, "hidden"), (Attack::Garbage, "garbage")] {
        let name = format!("what a person's browsers share is {name}: it is said, and nothing that is pinned is lost");
        rows.add_shared(kind, &name, attacked(company, kind, attack));
    }
}

/// The documents of the store.
async fn documents(company: &Company, scene: &Scene) -> Result<Map<String, Value>> {
    let data = company.account_data(&scene.ann).await?;
    let all = data.as_object().context("no account data")?.clone();
    Ok(all.into_iter().filter(|(kind, _)| kind.starts_with(HEAD)).collect())
}

impl Attack {
    async fn begin(self, company: &Company, scene: &Scene, old: &Map<String, Value>) -> Result<()> {
        match self {
            Self::Older => {
                for (kind, content) in old {
                    company.put_account_data(&scene.ann, kind, content).await?;
                }
            }
            Self::Hidden => {
                let missing = Answer::new(404, "application/json", r#"{"errcode":"M_NOT_FOUND","error":"Not found"}"#);
                let matcher = |asked: &Asked| {
                    asked.method == Method::GET && asked.path.contains(&format!("/account_data/{HEAD}"))
                };
                scene.desk.homeserver.add(Rule::when("hide", matcher, Action::Answer(missing)));
            }
            Self::Garbage => {
                let garbage =
                    json!({ "version": "1", "counter": "many", "ciphertext": [null, "\u{202e}", { "of": -1 }] });
                for kind in old.keys().filter(|kind| !kind.ends_with("key")) {
                    company.put_account_data(&scene.ann, kind, &garbage).await?;
                }
            }
        }
        Ok(())
    }
}

async fn attacked(company: &Company, kind: BrowserKind, attack: Attack) -> Result<()> {
    let scene = set_up(company, kind).await?;
    let (element, bob) = (scene.desk.element.url(), scene.bob.user_id.clone());
    scene.all_is_shared(company, &scene.browser).await?;
    let old = documents(company, &scene).await?;
    let carol = company.hire("carol").await?;
    let _device = company.client("send", &carol, &json!({ "crossSign": true })).await?;
    hand::ask_for_keys(&scene.browser, &carol.user_id).await?;
    let identified = |pin: &Value| pin["identity"]["master"].is_string();
    scene.pin_when(&scene.browser, &carol.user_id, "Carol's identity", identified).await?;
    let state = scene.all_is_shared(company, &scene.browser).await?;
    ensure!(documents(company, &scene).await? != old, "Carol is not in what is shared");
    let kept = async |browser, what: &str| -> Result<Vec<Value>> {
        let (one, two) = (scene.pin(browser, &bob).await?, scene.pin(browser, &carol.user_id).await?);
        Ok([one, two].iter().filter_map(|pin| pin.pointer(what).cloned()).collect())
    };
    let (pinned, first_seen) = ("/identity/master", "/sight/k");
    let before = kept(&scene.browser, pinned).await?;

    attack.begin(company, &scene, &old).await?;
    // And Bob has another identity, for everybody.
    let room = json!({ "roomId": scene.phone.room_id, "identity": "reset" });
    let mut other = company.follow(&scene.bob, &room).await?;
    scene.start_again().await?;
    scene.send("held back").await?;
    other.cannot_read().await?;
    scene.shown("KS-PIN-IDENTITY").await?;
    // Nobody asks the background anything meanwhile: the browser may stop it, as it does for everybody.
    let record = format!("pin-share|{element}|{}", scene.ann.user_id);
    let noticed = async || {
        let kept = hand::record(&scene.browser, &record).await?;
        Ok((!kept["trouble"].is_null()).then_some(()))
    };
    until("trouble with what is shared", NOTICED_WITHIN, noticed).await?;
    let told = |told: &Option<(String, u64)>| told.as_ref().is_some_and(|(code, _)| code == "KS-PIN-SHARED");
    scene.browser.wait_for("KS-PIN-SHARED", PATIENCE, |deployment| told(&deployment.shared)).await?;
    scene.picture_of_popup("store").await?;
    scene.discard().await?;
    scene.send("still held back").await?;
    other.cannot_read().await?;
    ensure!(scene.sent_to(&other.device_id)? == 0, "the other identity was sent a key");
    ensure!(kept(&scene.browser, pinned).await? == before, "something that was pinned is lost");

    // It ends: what is shared is written again, over the state that was there, and a new browser knows all of it.
    scene.desk.homeserver.behave();
    scene.start_again().await?;
    // What was only hidden is as it was.
    let least = if matches!(attack, Attack::Hidden) { state } else { state + 1 };
    let written = async || Ok(scene.state_of_store(company).await?.filter(|now| *now >= least).map(drop));
    until("the store anew", NOTICED_WITHIN, written).await?;
    let read = json!({ "ask": "shared_read", "origin": element, "account": scene.ann.user_id });
    scene.browser.ask(&read).await?;
    scene.all_is_shared(company, &scene.browser).await?;
    let there = scene.another_browser(company).await?;
    // The new browser may have seen Bob's other identity by itself before it read of the first one: then they are contested.
    let known = async || {
        let seen = kept(&there, first_seen).await?;
        if seen == before { Ok(Some(())) } else { Err(anyhow!("it knows {seen:?}")) }
    };
    until("everybody in a new browser", PATIENCE, known).await?;
    hand::ask_for_keys(&there, &bob).await?;
    hand::shown(&there, &bob, "KS-PIN-IDENTITY").await?;
    for browser in [&scene.browser, &there] {
        let shared = browser.status().await?.deployments.remove(0).shared;
        ensure!(shared.is_none(), "what is shared is said to be in trouble: {shared:?}");
    }
    ensure!(scene.sent_to(&other.device_id)? == 0, "the other identity was sent a key");
    there.quit().await?;
    scene.browser.quit().await
}
