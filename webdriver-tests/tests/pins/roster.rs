//! The organisation's list of people: whom it lets in at the first contact, and whose change it names.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use keystead_testbed::{KeyKind, KeySpec, Proxy};
use keystead_webdriver_tests::client::Follower;
use keystead_webdriver_tests::{BrowserKind, Company, Employee, PATIENCE, rows::Rows, until};
use serde_json::{Value, json};

use crate::hand;
use crate::scene::{Scene, set_up_under};

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add_shared(kind, "a reset that the roster names is accepted by itself, and no other", reset(company, kind));
    rows.add_shared(
        kind,
        "where the roster says who may be met, others get no room keys until somebody accepts them",
        listed(company, kind),
    );
}

/// The roster of a deployment.
pub(crate) struct Roster<'c> {
    company: &'c Company,
    files: Proxy,
    deployment: String,
    ann: Value,
    certificate: String,
}

impl<'c> Roster<'c> {
    /// Sets a room up under a policy that names a roster, with these fields of `pins`. The roster has Ann and Bob at first.
    pub(crate) async fn set_up(company: &'c Company, kind: BrowserKind, pins: Value) -> Result<(Scene, Self)> {
        let files = Proxy::start("http://127.0.0.1:9")?;
        let url = format!("{}/roster.json", files.url());
        let more = json!({ "pins": pins, "roster": { "url": url, "signers": [company.certifier_certificate] } });
        let mut roster = None;
        let scene = set_up_under(company, kind, more, async |desk, (ann, certificate), bob| {
            let ann = json!({ "matrix_id": ann.user_id, "email": ann.address, "fingerprint": certificate });
            let (deployment, certificate) = (desk.element.url(), certificate.to_owned());
            let written = Self { company, files, deployment, ann, certificate };
            written.publish(1, &[written.person(bob, json!({}))], &company.certifier).await?;
            roster = Some(written);
            Ok(())
        });
        Ok((scene.await?, roster.context("no roster")?))
    }

    /// Somebody, with these fields beside the usual ones.
    pub(crate) fn person(&self, who: &Employee, more: Value) -> Value {
        let mut person = json!({ "matrix_id": who.user_id, "email": who.address, "fingerprint": self.certificate });
        if let (Some(person), Value::Object(more)) = (person.as_object_mut(), more) {
            person.extend(more);
        }
        person
    }

    /// Publishes it with Ann and these people.
    pub(crate) async fn publish(&self, serial: u64, people: &[Value], signer: &str) -> Result<()> {
        let now = millis()?;
        let people: Vec<_> = std::iter::once(&self.ann).chain(people).collect();
        let document = json!({
            "kind": "roster", "version": 1, "deployment": self.deployment, "serial": serial,
            "issued": now - 60_000, "expires": now + 86_400_000, "people": people,
        });
        self.company.publish_roster(&self.files, &document, signer).await
    }
}

pub(crate) fn millis() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

/// The master key that is published for somebody.
pub(crate) async fn master_key(company: &Company, who: &Employee) -> Result<Value> {
    let identity = company.identity(who).await?;
    identity[0].as_object().and_then(|keys| keys.values().next()).cloned().context("no master key")
}

async fn reset(company: &Company, kind: BrowserKind) -> Result<()> {
    let (scene, roster) = Roster::set_up(company, kind, json!({})).await?;
    let room = json!({ "roomId": scene.phone.room_id, "identity": "reset" });
    let mut other = company.follow(&scene.bob, &room).await?;
    let named = json!({ "master_key": master_key(company, &scene.bob).await?, "since": millis()? });
    let people = [roster.person(&scene.bob, named)];
    // What somebody else signed is no word of the organisation's.
    let stranger = company.gpg.generate(&KeySpec::new("Stranger <stranger@example.org>", KeyKind::Ed25519)).await?;
    roster.publish(2, &people, &stranger).await?;
    scene.start_again().await?;
    scene.send("held back").await?;
    other.cannot_read().await?;
    let shown = scene.shown("KS-PIN-IDENTITY").await?;
    ensure!(shown["roster"] == "KS-SGN-SIGNER", "{shown}");
    scene.pictures("roster-refused").await?;
    roster.publish(2, &people, &company.certifier).await?;
    scene.start_again().await?;
    let noted = async || Ok(scene.log().await?.contains(r#""verdict":"reset""#).then_some(()));
    until("a reset in the history", PATIENCE, noted).await?;
    hand::nobody(&scene.browser).await?;
    ensure!(scene.sent_to(&other.device_id)? == 0, "the device was sent a key before");
    // The client was started with the page, and makes new keys when it is asked to.
    let released = async || Ok(scene.log().await?.contains(r#""event":"released""#).then_some(()));
    until("new room keys for the device", PATIENCE, released).await?;
    scene.send("after").await?;
    other.reads("after").await?;
    scene.browser.quit().await
}

/// Somebody at whose room Ann arrives: the device, which their own identity vouches for.
struct Met {
    who: Employee,
    device: Follower,
}

impl Met {
    async fn hire(company: &Company, stem: &str) -> Result<Self> {
        let who = company.hire(stem).await?;
        let device = company.follow(&who, &json!({ "identity": "make" })).await?;
        Ok(Self { who, device })
    }

    /// Ann comes into the room, and writes.
    async fn is_written_to(&self, company: &Company, scene: &Scene, words: &str) -> Result<()> {
        company.invite(&self.who, &self.device.room_id, &scene.ann).await?;
        company.join(&scene.ann, &self.device.room_id).await?;
        scene.browser.show_room(&self.device.room_id).await?;
        hand::send(&scene.browser, &self.device.room_id, words).await
    }
}

async fn listed(company: &Company, kind: BrowserKind) -> Result<()> {
    let (scene, roster) = Roster::set_up(company, kind, json!({ "first_contact": "roster" })).await?;
    let (mut carol, mut dora) = (Met::hire(company, "carol").await?, Met::hire(company, "dora").await?);
    let mut frank = Met::hire(company, "frank").await?;
    let (carols, franks) = (master_key(company, &carol.who).await?, master_key(company, &frank.who).await?);
    let named = |who: &Employee, key: &Value| roster.person(who, json!({ "master_key": key, "since": 1 }));
    // Carol with her own key, Frank with another one than he has, and Dora not at all.
    let people = [roster.person(&scene.bob, json!({})), named(&carol.who, &carols), named(&frank.who, &carols)];
    roster.publish(2, &people, &company.certifier).await?;
    scene.start_again().await?;

    carol.is_written_to(company, &scene, "to Carol").await?;
    carol.device.reads("to Carol").await?;
    ensure!(scene.people().await?.is_empty(), "somebody whom the roster has is told of");

    for met in [&mut dora, &mut frank] {
        met.is_written_to(company, &scene, "held back").await?;
        met.device.cannot_read().await?;
        let shown = scene.shown_of(&met.who.user_id, "KS-PIN-ROSTER").await?;
        ensure!(shown["held"] == true && shown["severity"] == "warning", "{shown}");
        hand::notice(&scene.browser).await?;
    }
    scene.pictures("roster").await?;
    for met in [&dora, &frank] {
        let sent = hand::sent_to((&met.who.user_id, &met.device.device_id), &scene.desk.homeserver.requests())?;
        ensure!(sent == 0, "somebody whom the roster does not have was sent a key");
    }

    // Somebody accepts Dora.
    let shown = scene.shown_of(&dora.who.user_id, "KS-PIN-ROSTER").await?;
    hand::accept(&scene.browser, (&scene.desk.element.url(), &scene.ann.user_id), &shown, false).await?;
    hand::send(&scene.browser, &dora.device.room_id, "to Dora").await?;
    dora.device.reads("to Dora").await?;
    // IT names the key that Frank has.
    let people = [roster.person(&scene.bob, json!({})), named(&carol.who, &carols), named(&frank.who, &franks)];
    roster.publish(3, &people, &company.certifier).await?;
    scene.start_again().await?;
    hand::nobody(&scene.browser).await?;
    scene.browser.show_room(&frank.device.room_id).await?;
    hand::send(&scene.browser, &frank.device.room_id, "to Frank").await?;
    frank.device.reads("to Frank").await?;
    scene.browser.quit().await
}
