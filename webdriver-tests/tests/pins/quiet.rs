//! Ordinary life, each kind of it at least once: nobody is told anything, and everybody reads what is sent to them.

use anyhow::{Context, Result, ensure};
use keystead_testbed::{Action, Rule};
use keystead_webdriver_tests::client::Follower;
use keystead_webdriver_tests::{Browser, BrowserKind, Company, Employee, PATIENCE, rows::Rows, until};
use reqwest::Method;
use serde_json::json;

use crate::hand;
use crate::roster::{Roster, master_key, millis};
use crate::scene::Scene;

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add_shared(kind, "nothing ordinary is a reason to say anything", quiet(company, kind));
}

/// Has the page's session storage tell whether there ever was a notice.
const WATCH: &str = r"
    const note = () => page.document.querySelector('keystead-notice') && page.sessionStorage.setItem('keystead-noticed', 'yes');
    new MutationObserver(note).observe(page.document, { childList: true, subtree: true });
    note();
";

pub(crate) async fn watch(browser: &Browser) -> Result<()> {
    browser.in_page(WATCH, vec![]).await.map(drop)
}

/// Nothing is shown in the popup, and nothing ever was in the room.
pub(crate) async fn is_silent(browser: &Browser) -> Result<()> {
    let people = hand::people(browser).await?;
    ensure!(people.is_empty(), "the popup shows {people:?}");
    let noticed = browser.in_page("return page.sessionStorage.getItem('keystead-noticed');", vec![]).await?;
    ensure!(noticed.is_null(), "there was a notice");
    let shared = browser.status().await?.deployments.remove(0).shared;
    ensure!(shared.is_none(), "what is shared is said to be in trouble: {shared:?}");
    Ok(())
}

/// Ann writes to a room; its device reads it, and nothing is said.
pub(crate) async fn writes(browser: &Browser, device: &mut Follower, words: &str) -> Result<()> {
    let room = device.room_id.clone();
    browser.show_room(&room).await?;
    hand::send(browser, &room, words).await?;
    device.reads(words).await?;
    is_silent(browser).await.with_context(|| format!("after {words:?}"))
}

/// Somebody with a room that Ann is in, to whom she has written.
async fn met(company: &Company, scene: &Scene, who: &Employee, identity: &str) -> Result<Follower> {
    let mut device = company.follow(who, &json!({ "identity": identity, "invite": [scene.ann.user_id] })).await?;
    company.join(&scene.ann, &device.room_id).await?;
    writes(&scene.browser, &mut device, "good morning").await?;
    Ok(device)
}

async fn quiet(company: &Company, kind: BrowserKind) -> Result<()> {
    let (bot, dan) = (company.hire("bot").await?, company.hire("dan").await?);
    let (mut scene, roster) = Roster::set_up(company, kind, json!({ "exempt": [bot.user_id] })).await?;
    watch(&scene.browser).await?;
    let mut service = met(company, &scene, &bot, "keep").await?;
    let of_dan = met(company, &scene, &dan, "make").await?;

    logins(company, &mut scene).await.context("logins")?;
    signed_later(company, &mut scene).await.context("a device that is signed later")?;
    names(company, &mut scene).await.context("other names")?;
    away(&mut scene).await.context("servers that are away")?;
    starts_anew(company, &scene, &roster, (&dan, of_dan)).await.context("a reset")?;
    // A bot that is set up anew.
    let mut again = company.follow(&bot, &json!({ "roomId": service.room_id })).await?;
    hand::ask_for_keys(&scene.browser, &bot.user_id).await?;
    writes(&scene.browser, &mut service, "to a bot").await?;
    again.reads("to a bot").await.context("the bot that was set up anew")?;
    // Element is loaded again, then with a background that has just started.
    scene.load_again().await.context("loading again")?;
    watch(&scene.browser).await?;
    writes(&scene.browser, &mut scene.phone, "loaded again").await?;
    scene.start_again().await.context("starting again")?;
    watch(&scene.browser).await?;
    writes(&scene.browser, &mut scene.phone, "started again").await?;

    // One more browser of the same person.
    let there = scene.another_browser(company).await.context("the other browser")?;
    watch(&there).await?;
    writes(&there, &mut scene.phone, "from the other browser").await?;
    writes(&scene.browser, &mut scene.phone, "beside the other browser").await?;
    scene.all_is_shared(company, &scene.browser).await?;
    scene.all_is_shared(company, &there).await?;
    for browser in [&scene.browser, &there] {
        is_silent(browser).await?;
    }
    there.quit().await?;
    scene.browser.quit().await
}

/// Logins that come and go.
async fn logins(company: &Company, scene: &mut Scene) -> Result<()> {
    for words in ["one", "two"] {
        company.client("login-only", &scene.bob, &json!({ "keys": true, "logout": true })).await?;
        writes(&scene.browser, &mut scene.phone, words).await?;
    }
    Ok(())
}

/// A device that is signed while a message waits for that; and then it is not there any more.
async fn signed_later(company: &Company, scene: &mut Scene) -> Result<()> {
    let mut laptop = company.follow(&scene.bob, &json!({ "roomId": scene.phone.room_id })).await?;
    scene.ask_for_keys().await?;
    scene.discard().await?;
    scene.send("to a new device").await?;
    scene.phone.sign(&laptop.device_id).await?;
    laptop.reads("to a new device").await?;
    writes(&scene.browser, &mut scene.phone, "to both devices").await?;
    laptop.reads("to both devices").await?;
    company.remove_device(&scene.bob, &laptop.device_id).await?;
    scene.ask_for_keys().await?;
    writes(&scene.browser, &mut scene.phone, "to the one that is left").await
}

/// Other display names, of the person and of the device.
async fn names(company: &Company, scene: &mut Scene) -> Result<()> {
    let puppet = company.synapse.login_as(&scene.bob.user_id).await?;
    let profile = format!("/_matrix/client/v3/profile/{}/displayname", scene.bob.user_id);
    let name = json!({ "displayname": "Robert" });
    company.synapse.call(Method::PUT, &profile, Some(&puppet.access_token), Some(&name)).await?.ok()?;
    let device = format!("/_synapse/admin/v2/users/{}/devices/{}", scene.bob.user_id, scene.phone.device_id);
    company.synapse.administer(Method::PUT, &device, Some(&json!({ "display_name": "Robert's phone" }))).await?.ok()?;
    scene.ask_for_keys().await?;
    scene.discard().await?;
    writes(&scene.browser, &mut scene.phone, "to Robert").await
}

/// Bob's server does not answer ours; then ours does not answer.
async fn away(scene: &mut Scene) -> Result<()> {
    let bob = scene.bob.user_id.clone();
    let fails = Action::rewrite_json(move |_, answer| {
        for field in ["device_keys", "master_keys", "self_signing_keys"] {
            if let Some(people) = answer[field].as_object_mut() {
                people.remove(&bob);
            }
        }
        answer["failures"] = json!({ "localhost": { "status": 503 } });
    });
    scene.desk.homeserver.add(Rule::when("fail", |asked| asked.path.ends_with("/keys/query"), fails));
    scene.ask_for_keys().await?;
    scene.discard().await?;
    writes(&scene.browser, &mut scene.phone, "while Bob's server is away").await?;
    scene.desk.homeserver.behave();
    scene.desk.homeserver.cut();
    scene.ask_for_keys().await?;
    is_silent(&scene.browser).await?;
    scene.desk.homeserver.mend();
    scene.ask_for_keys().await?;
    writes(&scene.browser, &mut scene.phone, "it is back").await
}

/// Dan has lost his device and starts anew; IT names his new identity before anybody's browser sees it.
async fn starts_anew(
    company: &Company,
    scene: &Scene,
    roster: &Roster<'_>,
    (dan, before): (&Employee, Follower),
) -> Result<()> {
    scene.desk.homeserver.cut();
    company.remove_device(dan, &before.device_id).await?;
    let room = json!({ "roomId": before.room_id, "identity": "reset" });
    let mut other = company.follow(dan, &room).await?;
    let named = json!({ "master_key": master_key(company, dan).await?, "since": millis()? });
    let people = [roster.person(&scene.bob, json!({})), roster.person(dan, named)];
    roster.publish(2, &people, &company.certifier).await?;
    scene.desk.homeserver.mend();
    hand::ask_for_keys(&scene.browser, &dan.user_id).await?;
    writes(&scene.browser, &mut other, "to the one who started anew").await?;
    let noted = async || Ok(scene.log().await?.contains(r#""verdict":"reset""#).then_some(()));
    until("a reset in the history", PATIENCE, noted).await
}
