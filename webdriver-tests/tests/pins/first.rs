//! Whom the room says something of before anything has changed, and whose change the organisation's list of people names.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use keystead_testbed::{KeyKind, KeySpec, Proxy};
use keystead_webdriver_tests::{BrowserKind, Company, PATIENCE, rows::Rows, until};
use serde_json::{Value, json};

use crate::scene::{Scene, set_up, set_up_under};

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add_shared(
        kind,
        "somebody new in a room in use is told of, and reads what is sent then",
        newcomer(company, kind),
    );
    rows.add_shared(kind, "a reset that the roster names is accepted by itself, and no other", reset(company, kind));
}

async fn newcomer(company: &Company, kind: BrowserKind) -> Result<()> {
    let mut scene = set_up(company, kind).await?;
    let carol = company.hire("carol").await?;
    company.invite(&scene.bob, &scene.phone.room_id, &carol).await?;
    company.join(&carol, &scene.phone.room_id).await?;
    let room = json!({ "roomId": scene.phone.room_id, "identity": "make" });
    let mut web = company.follow(&carol, &room).await?;
    let shown = scene.shown_of(&carol.user_id, "KS-PIN-NEWCOMER").await?;
    scene.notice().await?;
    scene.pictures("newcomer").await?;
    scene.picture_of_popup("newcomer").await?;
    ensure!(shown["severity"] == "notice" && shown["held"] == false, "{shown}");
    scene.send("welcome").await?;
    web.reads("welcome").await?;
    scene.phone.reads("welcome").await?;
    scene.accept(&shown).await?;
    scene.start_again().await?;
    scene.send("again").await?;
    web.reads("again").await?;
    ensure!(scene.people().await?.is_empty(), "told of twice");
    scene.browser.quit().await
}

/// The roster of a deployment.
struct Roster<'c> {
    company: &'c Company,
    files: &'c Proxy,
    deployment: String,
    people: [Value; 2],
}

impl Roster<'_> {
    async fn publish(&self, serial: u64, bobs: Value, signer: &str) -> Result<()> {
        let now = millis()?;
        let [ann, mut bob] = self.people.clone();
        if let (Some(bob), Value::Object(more)) = (bob.as_object_mut(), bobs) {
            bob.extend(more);
        }
        let document = json!({
            "kind": "roster", "version": 1, "deployment": self.deployment, "serial": serial,
            "issued": now - 60_000, "expires": now + 86_400_000, "people": [ann, bob],
        });
        self.company.publish_roster(self.files, &document, signer).await
    }
}

fn millis() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

async fn reset(company: &Company, kind: BrowserKind) -> Result<()> {
    let files = Proxy::start("http://127.0.0.1:9")?;
    let url = format!("{}/roster.json", files.url());
    let more = json!({ "pins": {}, "roster": { "url": url, "signers": [company.certifier_certificate] } });
    let mut roster = None;
    let scene = set_up_under(company, kind, more, async |desk, (ann, certificate), bob| {
        let person = |id: &str, email: &str| json!({ "matrix_id": id, "email": email, "fingerprint": certificate });
        let people = [person(&ann.user_id, &ann.address), person(&bob.user_id, &bob.address)];
        let written = Roster { company, files: &files, deployment: desk.element.url(), people };
        written.publish(1, json!({}), &company.certifier).await?;
        roster = Some(written);
        Ok(())
    });
    let scene: Scene = scene.await?;
    let roster = roster.context("no roster")?;
    let room = json!({ "roomId": scene.phone.room_id, "identity": "reset" });
    let mut other = company.follow(&scene.bob, &room).await?;
    let identity = company.identity(&scene.bob).await?;
    let master = identity[0].as_object().and_then(|keys| keys.values().next()).context("no master key")?;
    let named = json!({ "master_key": master, "since": millis()? });
    // What somebody else signed is no word of the organisation's.
    let stranger = company.gpg.generate(&KeySpec::new("Stranger <stranger@example.org>", KeyKind::Ed25519)).await?;
    roster.publish(2, named.clone(), &stranger).await?;
    scene.start_again().await?;
    scene.send("held back").await?;
    other.cannot_read().await?;
    let shown = scene.shown("KS-PIN-IDENTITY").await?;
    ensure!(shown["roster"] == "KS-SGN-SIGNER", "{shown}");
    scene.pictures("roster-refused").await?;
    roster.publish(2, named, &company.certifier).await?;
    scene.start_again().await?;
    let noted = async || Ok(scene.log().await?.contains(r#""verdict":"reset""#).then_some(()));
    until("a reset in the history", PATIENCE, noted).await?;
    let gone = async || Ok(scene.people().await?.is_empty().then_some(()));
    until("nobody in the popup", PATIENCE, gone).await?;
    ensure!(scene.sent_to(&other.device_id)? == 0, "the device was sent a key before");
    // The client was started with the page, and makes new keys when it is asked to.
    let released = async || Ok(scene.log().await?.contains(r#""event":"released""#).then_some(()));
    until("new room keys for the device", PATIENCE, released).await?;
    scene.send("after").await?;
    other.reads("after").await?;
    scene.browser.quit().await
}
