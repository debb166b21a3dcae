//! What a homeserver may try, and what must come of it.

use std::fs;

use anyhow::{Result, ensure};
use keystead_testbed::{Action, Rule};
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{BrowserKind, Company, PATIENCE, until};
use serde_json::{Value, json};

use crate::forger::{Forger, GHOST};
use crate::hand;
use crate::scene::{set_up, set_up_with};
use crate::secrets::{self, TO_COLLEAGUES};
use crate::table;

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add(
        kind,
        "a ghost device of a colleague gets no key of a room or a call until it is accepted",
        ghost(company, kind),
    );
    rows.add(kind, "another identity of a colleague gets no room key until it is accepted", identity(company, kind));
    rows.add_shared(
        kind,
        "every forged answer has its verdict, and no forged key gets a room key",
        table::attacks(company, kind),
    );
    rows.add_shared(kind, "what the page sends is looked at, whatever name is on it", names(company, kind));
    rows.add_shared(
        kind,
        "a device whose signature is stripped gets no room key, and does when it is back",
        stripped(company, kind),
    );
    rows.add_shared(
        kind,
        "with a background that cannot start, no room key goes out and the room says why",
        broken(company, kind),
    );
    rows.add_alone(
        kind,
        "nobody waits for the gate: the time of a message, with it and without it",
        time(company, kind),
    );
}

async fn ghost(company: &Company, kind: BrowserKind) -> Result<()> {
    let mut scene = set_up(company, kind).await?;
    let room = json!({ "roomId": scene.phone.room_id });
    let mut ghost = company.follow(&scene.bob, &room).await?;
    scene.ask_for_keys().await?;
    scene.send("held back").await?;
    scene.phone.reads("held back").await?;
    ghost.cannot_read().await?;
    // Keys of a call, and of what was written before, go to every device that takes part.
    let (bob, phone) = (scene.bob.user_id.clone(), scene.phone.device_id.clone());
    for kind in TO_COLLEAGUES {
        secrets::send(&scene.browser, kind, &[(&bob, &phone), (&bob, &ghost.device_id)]).await?;
        scene.phone.gets(kind).await?;
    }
    ensure!(scene.sent_to(&ghost.device_id)? == 0, "the ghost was sent a key");
    let shown = scene.shown("KS-PIN-DEVICE").await?;
    scene.notice().await?;
    scene.pictures("device").await?;
    scene.picture_of_popup("device").await?;
    scene.accept(&shown).await?;
    scene.send("after").await?;
    ghost.reads("after").await?;
    scene.phone.reads("after").await?;
    for kind in TO_COLLEAGUES {
        secrets::send(&scene.browser, kind, &[(&bob, &ghost.device_id)]).await?;
        ghost.gets(kind).await?;
    }
    scene.browser.quit().await
}

async fn identity(company: &Company, kind: BrowserKind) -> Result<()> {
    let scene = set_up(company, kind).await?;
    let room = json!({ "roomId": scene.phone.room_id, "identity": "reset" });
    let mut other = company.follow(&scene.bob, &room).await?;
    scene.send("held back").await?;
    other.cannot_read().await?;
    ensure!(scene.sent_to(&other.device_id)? == 0, "the other identity's device was sent a key");
    let shown = scene.shown("KS-PIN-IDENTITY").await?;
    scene.notice().await?;
    scene.pictures("identity").await?;
    scene.picture_of_popup("identity").await?;
    let digits = |name: &str| shown[name].as_str().map(|code| code.bytes().filter(u8::is_ascii_digit).count());
    ensure!(digits("old_code") == Some(60) && digits("new_code") == Some(60), "no security codes: {shown}");
    ensure!(shown["old_code"] != shown["new_code"], "the security code is the same");
    scene.badge_of_bob().await?;
    // A device of it that it vouches for needs no question of its own.
    scene.accept(&shown).await?;
    let gone = async || Ok((scene.badges(".mx_UserInfo").await? == 0).then_some(()));
    until("no badge", PATIENCE, gone).await?;
    scene.send("after").await?;
    other.reads("after").await?;
    // And the person thinks better of it.
    scene.take_back(&scene.bob.user_id).await?;
    scene.ask_for_keys().await?;
    scene.shown("KS-PIN-IDENTITY").await?;
    scene.send("held back again").await?;
    other.cannot_read().await?;
    // Then wants to be left in peace, and to be asked again after all.
    let before = scene.sent_to(&other.device_id)?;
    scene.keep_holding().await?;
    scene.no_notice().await?;
    scene.ask_again(&scene.bob.user_id).await?;
    let shown = scene.shown("KS-PIN-IDENTITY").await?;
    scene.notice().await?;
    scene.discard().await?;
    scene.send("still held back").await?;
    other.cannot_read().await?;
    ensure!(scene.sent_to(&other.device_id)? == before, "the other identity's device was sent a key");
    hand::accept(&scene.browser, (&scene.desk.element.url(), &scene.ann.user_id), &shown, false).await?;
    scene.send("at last").await?;
    other.reads("at last").await?;
    scene.browser.quit().await
}

/// A client that was made to believe something, or a script of the page: the gate goes by the key in the message.
async fn names(company: &Company, kind: BrowserKind) -> Result<()> {
    const SEND: &str = r"
        const [user, device, key] = arguments;
        const client = page.mxMatrixClientPeg.get();
        const content = { algorithm: 'm.olm.v1.curve25519-aes-sha2', sender_key: key, ciphertext: { [key]: { type: 0, body: 'AwogF' } } };
        const url = `${client.getHomeserverUrl()}/_matrix/client/v3/sendToDevice/m.room.encrypted/keystead-${device}`;
        page.keysteadSent = undefined;
        page.fetch(url, {
            method: 'PUT',
            headers: { Authorization: `Bearer ${client.getAccessToken()}`, 'Content-Type': 'application/json' },
            body: JSON.stringify({ messages: { [user]: { [device]: content } } }),
        }).then((response) => { page.keysteadSent = response.status; }, () => { page.keysteadSent = 'failed'; });
    ";
    let scene = set_up(company, kind).await?;
    for device in [&scene.phone.device_id, GHOST] {
        let (user, device) = (scene.bob.user_id.as_str().into(), device.into());
        scene.browser.in_page(SEND, vec![user, device, Forger::agreement_key().into()]).await?;
        let sent = async || {
            let sent = scene.browser.in_page("return page.keysteadSent ?? null;", vec![]).await?;
            Ok((!sent.is_null()).then_some(sent))
        };
        let sent = until("an answer to what was sent", PATIENCE, sent).await?;
        ensure!(sent == 200, "the request came to {sent}");
    }
    ensure!(scene.encrypted_to(&Forger::agreement_key())? == 0, "the key was sent something");
    scene.browser.quit().await
}

async fn stripped(company: &Company, kind: BrowserKind) -> Result<()> {
    let mut scene = set_up(company, kind).await?;
    let (user, device) = (scene.bob.user_id.clone(), scene.phone.device_id.clone());
    let strip = Action::rewrite_json(move |_, answer| {
        let path = format!("/device_keys/{user}/{device}/signatures/{user}");
        if let Some(signatures) = answer.pointer_mut(&path).and_then(Value::as_object_mut) {
            signatures.retain(|id, _| *id == format!("ed25519:{device}"));
        }
    });
    scene.desk.homeserver.add(Rule::when("strip", |asked| asked.path.ends_with("/keys/query"), strip));
    // Something is new, so Element asks.
    company.client("login-only", &scene.bob, &json!({ "keys": true, "logout": true })).await?;
    scene.shown("KS-PIN-VOUCHED").await?;
    let before = scene.sent_to(&scene.phone.device_id)?;
    // A device that is not given a key is in none of the requests.
    scene.discard().await?;
    scene.send("held back").await?;
    scene.phone.cannot_read().await?;
    ensure!(scene.sent_to(&scene.phone.device_id)? == before, "the device was sent a key");
    scene.desk.homeserver.behave();
    company.client("login-only", &scene.bob, &json!({ "keys": true, "logout": true })).await?;
    let gone = async || Ok(scene.people().await?.is_empty().then_some(()));
    until("nobody in the popup", PATIENCE, gone).await?;
    scene.send("after").await?;
    scene.phone.reads("after").await?;
    scene.browser.quit().await
}

async fn broken(company: &Company, kind: BrowserKind) -> Result<()> {
    let mut scene = set_up(company, kind).await?;
    let before = scene.sent_to(&scene.phone.device_id)?;
    let module = fs::read(&scene.module)?;
    scene.browser.stop_background().await?;
    fs::remove_file(&scene.module)?;
    scene.discard().await?;
    scene.send("not sent").await?;
    scene.notice().await?;
    scene.pictures("stopped").await?;
    ensure!(scene.sent_to(&scene.phone.device_id)? == before, "the device was sent a key");
    fs::write(&scene.module, module)?;
    scene.browser.stop_background().await.ok();
    scene.load_again().await?;
    scene.send("after").await?;
    scene.phone.reads("after").await?;
    scene.browser.quit().await
}

#[allow(clippy::print_stdout)]
async fn time(company: &Company, kind: BrowserKind) -> Result<()> {
    let scene = set_up(company, kind).await?;
    let with = scene.time_of_a_message().await?;
    scene.browser.quit().await?;
    let scene = set_up_with(company, kind, None).await?;
    let without = scene.time_of_a_message().await?;
    scene.browser.quit().await?;
    println!("        a message with a new key: {with:.0} ms with the gate, {without:.0} ms without it");
    ensure!(with < without + 150.0, "{with:.0} ms with the gate, {without:.0} ms without it");
    Ok(())
}
