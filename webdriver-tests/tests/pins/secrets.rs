//! What goes to devices encrypted and opens no room by itself: keys of calls and of a room's history for colleagues, secrets
//! and handed-on room keys between one's own devices, and the answers to those that ask for them.

use anyhow::{Result, ensure};
use keystead_webdriver_tests::{Browser, BrowserKind, Company, PATIENCE, rows::Rows, until};
use serde_json::{Value, json};

use crate::hand;
use crate::scene::{Scene, set_up};

/// What a client sends to the devices of colleagues beside keys of rooms.
pub(crate) const TO_COLLEAGUES: [&str; 2] = ["io.element.call.encryption_keys", "io.element.msc4268.room_key_bundle"];
/// The same, to devices of one's own.
const TO_OWN: [&str; 2] = ["m.secret.send", "m.forwarded_room_key"];

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add_shared(
        kind,
        "a ghost device of one's own gets no room key, secret or handed-on key until it is accepted",
        own_ghost(company, kind),
    );
}

/// Has the page's client encrypt something for devices, and send it: as `client.encryptAndSendToDevice` of a call, or one
/// that was made to believe that they are in order.
pub(crate) async fn send(browser: &Browser, kind: &str, devices: &[(&str, &str)]) -> Result<()> {
    const SEND: &str = r"
        const [type, devices, content] = arguments;
        const to = page.JSON.parse(devices).map(([userId, deviceId]) => ({ userId, deviceId }));
        page.mxMatrixClientPeg.get().encryptAndSendToDevice(type, to, page.JSON.parse(content));
    ";
    let (devices, content) = (json!(devices).to_string(), content(kind).to_string());
    browser.in_page(SEND, vec![kind.into(), devices.into(), content.into()]).await.map(drop)
}

/// Such a message as clients write it: what is none does not come to the one who gets it.
fn content(kind: &str) -> Value {
    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    match kind {
        "m.secret.send" => json!({ "request_id": "asked", "secret": KEY }),
        "m.forwarded_room_key" => json!({
            "algorithm": "m.megolm.v1.aes-sha2", "room_id": "!room:localhost", "session_id": KEY, "sender_key": KEY,
            "session_key": KEY, "sender_claimed_ed25519_key": KEY, "forwarding_curve25519_key_chain": [],
        }),
        "io.element.msc4268.room_key_bundle" => json!({ "room_id": "!room:localhost", "file": {
            "url": "mxc://localhost/bundle", "v": "v2", "iv": "AAAAAAAAAAAAAAAAAAAAAA", "hashes": { "sha256": KEY },
            "key": { "kty": "oct", "alg": "A256CTR", "ext": true, "key_ops": ["encrypt", "decrypt"], "k": KEY },
        } }),
        _ => json!({ "keys": { "index": 0, "key": KEY }, "room_id": "!room:localhost" }),
    }
}

/// Has the page's client vouch for another device of the person's, as after a verification.
async fn vouch(browser: &Browser, device: &str) -> Result<()> {
    const VOUCH: &str = r"
        const [device] = arguments;
        const client = page.mxMatrixClientPeg.get();
        page.keysteadVouched = undefined;
        client.getCrypto().getUserDeviceInfo([client.getUserId()], true)
            .then(() => client.getCrypto().crossSignDevice(device))
            .then(() => { page.keysteadVouched = 'yes'; }, (error) => { page.keysteadVouched = String(error); });
    ";
    browser.in_page(VOUCH, vec![device.into()]).await?;
    let done = async || {
        let said = browser.in_page("return page.keysteadVouched ?? null;", vec![]).await?;
        Ok((!said.is_null()).then_some(said))
    };
    let said = until("a signature of one's own device", PATIENCE, done).await?;
    ensure!(said == "yes", "the client does not vouch: {said}");
    Ok(())
}

/// What the last key of the room is called, for those who ask for it.
async fn session(scene: &Scene) -> Result<Value> {
    const LAST: &str = r"
        const room = page.mxMatrixClientPeg.get().getRoom(arguments[0]);
        const wire = room.getLiveTimeline().getEvents().map((event) => event.getWireContent());
        return wire.map(({ session_id }) => session_id).filter(Boolean).at(-1);
    ";
    scene.browser.in_page(LAST, vec![scene.phone.room_id.as_str().into()]).await
}

async fn own_ghost(company: &Company, kind: BrowserKind) -> Result<()> {
    let mut scene = set_up(company, kind).await?;
    let (ann, browser) = (scene.ann.user_id.clone(), &scene.browser);
    let room = json!({ "roomId": scene.phone.room_id });
    let (ghost, tablet) = tokio::join!(company.follow(&scene.ann, &room), company.follow(&scene.ann, &room));
    let (mut ghost, mut tablet) = (ghost?, tablet?);
    vouch(browser, &tablet.device_id).await?;
    let sent_to = |device: &str| hand::sent_to((&ann, device), &scene.desk.homeserver.requests());
    hand::ask_for_keys(browser, &ann).await?;

    hand::discard(browser, &scene.phone.room_id).await?;
    hand::send(browser, &scene.phone.room_id, "held back").await?;
    scene.phone.reads("held back").await?;
    tablet.reads("held back").await?;
    ghost.cannot_read().await?;
    for kind in TO_OWN {
        let before = sent_to(&tablet.device_id)?;
        send(browser, kind, &[(&ann, &tablet.device_id), (&ann, &ghost.device_id)]).await?;
        let sent = async || Ok((sent_to(&tablet.device_id)? > before).then_some(()));
        until(kind, PATIENCE, sent).await?;
    }
    // Both ask for what clients give to devices that are in order; the one that gets it asked last.
    let wanted = [
        ("m.secret.request", "m.secret.send", json!({ "name": "m.megolm_backup.v1" })),
        (
            "m.room_key_request",
            "m.forwarded_room_key",
            json!({ "body": {
                "algorithm": "m.megolm.v1.aes-sha2", "room_id": scene.phone.room_id, "session_id": session(&scene).await?,
            } }),
        ),
    ];
    for (request, answer, content) in &wanted {
        ghost.ask(request, content).await?;
        tablet.ask(request, content).await?;
        tablet.gets(answer).await?;
    }
    ensure!(sent_to(&ghost.device_id)? == 0, "the ghost was sent something");

    let shown = scene.shown_of(&ann, "KS-PIN-DEVICE").await?;
    scene.accept(&shown).await?;
    for kind in TO_OWN {
        let before = sent_to(&ghost.device_id)?;
        send(browser, kind, &[(&ann, &ghost.device_id)]).await?;
        let sent = async || Ok((sent_to(&ghost.device_id)? > before).then_some(()));
        until(kind, PATIENCE, sent).await?;
    }
    hand::send(browser, &scene.phone.room_id, "after").await?;
    ghost.reads("after").await?;
    scene.browser.quit().await
}
