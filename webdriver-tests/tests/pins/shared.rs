//! What one browser of a person knows of a colleague another one knows too, and a homeserver that answers the two of them
//! differently is noticed by it.

use std::sync::Arc;

use anyhow::{Result, ensure};
use keystead_testbed::{Action, Asked, Rule};
use keystead_webdriver_tests::{BrowserKind, Company, PATIENCE, rows::Rows, until};
use serde_json::{Value, json};

use crate::forger::{Forger, GHOST};
use crate::hand;
use crate::scene::{Scene, set_up};
use crate::second::is_of;

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add_shared(
        kind,
        "a new browser of the person knows what the first one saw and what was decided there",
        known(company, kind),
    );
    rows.add_shared(
        kind,
        "different answers to two browsers of one person are noticed, and no room key goes to the other identity",
        different(company, kind),
    );
}

/// Whom a homeserver answers differently: sessions by their tokens.
type Whom = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Gives these sessions another identity of Bob's, with a device that it vouches for, and keys of that device.
fn forge(scene: &Scene, forger: &Forger, tokens: &[String], to: bool) {
    let tokens = tokens.to_vec();
    let whom: Whom = Arc::new(move |token| tokens.iter().any(|one| one == token) == to);
    let is_theirs = move |asked: &Asked, end: &str| {
        let given = asked.headers.get("authorization").and_then(|header| header.to_str().ok());
        asked.path.ends_with(end)
            && given.and_then(|header| header.strip_prefix("Bearer ")).is_some_and(|one| whom(one))
    };
    let (forged, bob) = (forger.clone(), scene.bob.user_id.clone());
    let keys = Action::rewrite_json(move |_, answer| {
        if answer["device_keys"].get(&bob).is_some() {
            answer["device_keys"][&bob] = json!({ GHOST: forged.vouched_device(GHOST) });
            answer["master_keys"][&bob] = forged.master_key();
            answer["self_signing_keys"][&bob] = forged.self_signing_key(&Forger::master_key_id());
        }
    });
    let (forged, bob) = (forger.clone(), scene.bob.user_id.clone());
    let claims = Action::rewrite_json(move |asked, answer| {
        let asked: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        if asked["one_time_keys"][&bob].get(GHOST).is_some() {
            answer["one_time_keys"][&bob][GHOST] = forged.one_time_key(GHOST);
        }
    });
    let theirs = is_theirs.clone();
    scene.desk.homeserver.add(Rule::when("forge keys", move |asked| theirs(asked, "/keys/query"), keys));
    scene.desk.homeserver.add(Rule::when("forge claims", move |asked| is_theirs(asked, "/keys/claim"), claims));
}

/// What happened with somebody, as the popup tells it.
fn has_happened(shown: &Value, what: &str) -> bool {
    shown["history"].as_array().is_some_and(|lines| lines.iter().any(|line| line["what"] == what))
}

async fn known(company: &Company, kind: BrowserKind) -> Result<()> {
    let scene = set_up(company, kind).await?;
    let (element, room) = (scene.desk.element.url(), scene.phone.room_id.clone());
    let bob = scene.bob.user_id.clone();
    let first = scene.pin(&scene.browser, &bob).await?["identity"]["master"].clone();
    // Bob has lost his phone and starts anew, calls Ann, and they compare the codes at her first browser.
    company.remove_device(&scene.bob, &scene.phone.device_id).await?;
    let mut other = company.follow(&scene.bob, &json!({ "roomId": room, "identity": "reset" })).await?;
    scene.send("held back").await?;
    other.cannot_read().await?;
    let shown = scene.shown("KS-PIN-IDENTITY").await?;
    hand::accept(&scene.browser, (&element, &scene.ann.user_id), &shown, true).await?;
    scene.send("after").await?;
    other.reads("after").await?;
    scene.all_is_shared(company, &scene.browser).await?;
    let here = scene.pin(&scene.browser, &bob).await?;
    ensure!(here["sight"]["k"] == first && here["identity"]["master"] != first, "the first browser keeps {here}");

    // The homeserver publishes the new identity alone: of the first one the second browser can only hear from the other.
    let there = scene.another_browser(company).await?;
    let same = |pin: &Value| {
        ["sight", "decided"].iter().all(|field| pin[field] == here[field])
            && pin["identity"]["master"] == here["identity"]["master"]
            && pin["identity"]["compared"] == true
    };
    scene.pin_when(&there, &bob, "what the first browser knows, in the second", same).await?;
    there.show_room(&room).await?;
    hand::send(&there, &room, "from the new browser").await?;
    other.reads("from the new browser").await?;
    for browser in [&scene.browser, &there] {
        let people = hand::people(browser).await?;
        ensure!(people.is_empty(), "the person is asked again: {people:?}");
        let shared = browser.status().await?.deployments.remove(0).shared;
        ensure!(shared.is_none(), "what is shared is said to be in trouble: {shared:?}");
    }

    // From now on the homeserver has another identity of Bob's for the second browser.
    let forger = Forger::new(&bob)?;
    forge(&scene, &forger, &[hand::token(&there).await?], true);
    hand::ask_for_keys(&there, &bob).await?;
    let shown = hand::shown(&there, &bob, "KS-PIN-IDENTITY").await?;
    ensure!(shown["held"] == true && shown["severity"] == "critical", "the identity before was compared: {shown}");
    ensure!(has_happened(&shown, "compared_elsewhere"), "the history does not tell of the other browser: {shown}");
    hand::notice(&there).await?;
    hand::discard(&there, &room).await?;
    hand::send(&there, &room, "held back there").await?;
    other.cannot_read().await?;
    scene.send("not here").await?;
    other.reads("not here").await?;
    ensure!(scene.people().await?.is_empty(), "the first browser was answered honestly");
    ensure!(scene.encrypted_to(&Forger::agreement_key())? == 0, "the forged key was sent something");
    scene.desk.homeserver.behave();
    hand::ask_for_keys(&there, &bob).await?;
    hand::nobody(&there).await?;
    hand::send(&there, &room, "as before").await?;
    other.reads("as before").await?;
    there.quit().await?;
    scene.browser.quit().await
}

async fn different(company: &Company, kind: BrowserKind) -> Result<()> {
    let mut scene = set_up(company, kind).await?;
    let (element, room) = (scene.desk.element.url(), scene.phone.room_id.clone());
    let (bob, account) = (scene.bob.user_id.clone(), scene.ann.user_id.clone());
    let honest = company.published_keys(&scene.bob).await?;
    scene.all_is_shared(company, &scene.browser).await?;
    let here = scene.pin(&scene.browser, &bob).await?;

    // To whoever is not the first browser, the homeserver shows an identity of its own from the beginning on.
    let forger = Forger::new(&bob)?;
    forge(&scene, &forger, &[hand::token(&scene.browser).await?], false);
    let there = scene.another_browser(company).await?;
    hand::ask_for_keys(&there, &bob).await?;
    let shown = hand::shown(&there, &bob, "KS-PIN-IDENTITY").await?;
    ensure!(shown["held"] == true && shown["acceptable"] == true, "{shown}");
    let first = |pin: &Value| pin["sight"]["k"] == here["identity"]["master"];
    scene.pin_when(&there, &bob, "the identity that the first browser saw", first).await?;
    there.show_room(&room).await?;
    hand::notice(&there).await?;
    hand::send(&there, &room, "held back").await?;
    scene.phone.cannot_read().await?;
    ensure!(scene.encrypted_to(&Forger::agreement_key())? == 0, "the forged key was sent something");
    scene.desk.homeserver.behave();
    // Which of the two is right, the second browser cannot know: the person says it.
    hand::ask_for_keys(&there, &bob).await?;
    hand::send(&there, &room, "held back still").await?;
    scene.phone.cannot_read().await?;
    let accepted = until("the identity that is published now", PATIENCE, async || {
        hand::ask_for_keys(&there, &bob).await?;
        let shown = hand::shown(&there, &bob, "KS-PIN-IDENTITY").await?;
        let right = shown["shown"]["identity"]["new"] == here["identity"]["master"];
        ensure!(right, "it shows {shown}");
        hand::accept(&there, (&element, &account), &shown, false).await.map(Some)
    });
    accepted.await?;
    hand::nobody(&there).await?;
    hand::send(&there, &room, "now").await?;
    scene.phone.reads("now").await?;

    // Bob has lost his phone and starts anew. The second browser is told so, and the person accepts it there; the first one is answered as before.
    company.remove_device(&scene.bob, &scene.phone.device_id).await?;
    let mut other = company.follow(&scene.bob, &json!({ "roomId": room, "identity": "reset" })).await?;
    let (token, of) = (hand::token(&scene.browser).await?, bob.clone());
    let replayed = Action::rewrite_json(move |_, answer| {
        if answer["device_keys"].get(&of).is_some() {
            for field in ["device_keys", "master_keys", "self_signing_keys"] {
                answer[field][&of] = honest[field][&of].clone();
            }
        }
    });
    let asks = move |asked: &Asked| asked.path.ends_with("/keys/query") && is_of(asked, &token);
    scene.desk.homeserver.add(Rule::when("replay", asks, replayed));
    scene.ask_for_keys().await?;
    hand::ask_for_keys(&there, &bob).await?;
    let shown = hand::shown(&there, &bob, "KS-PIN-IDENTITY").await?;
    hand::accept(&there, (&element, &account), &shown, false).await?;
    hand::send(&there, &room, "accepted").await?;
    other.reads("accepted").await?;
    scene.all_is_shared(company, &there).await?;
    // The first browser hears of it when it starts, if not before.
    scene.start_again().await?;
    let accepted = shown["shown"]["identity"]["new"].clone();
    ensure!(accepted.is_string(), "nothing was accepted: {shown}");
    let decided = |pin: &Value| pin["decided"]["k"] == accepted;
    scene.pin_when(&scene.browser, &bob, "what was accepted, in the first browser", decided).await?;
    scene.ask_for_keys().await?;
    let shown = scene.shown("KS-PIN-IDENTITY").await?;
    ensure!(has_happened(&shown, "accepted_elsewhere"), "the history does not tell of the other browser: {shown}");
    let before = scene.sent_to(&scene.phone.device_id)?;
    scene.discard().await?;
    scene.send("not to the identity of before").await?;
    other.cannot_read().await?;
    ensure!(scene.sent_to(&scene.phone.device_id)? == before, "the identity of before was sent a key");
    scene.desk.homeserver.behave();
    scene.ask_for_keys().await?;
    hand::nobody(&scene.browser).await?;
    scene.send("at last").await?;
    other.reads("at last").await?;
    there.quit().await?;
    scene.browser.quit().await
}
