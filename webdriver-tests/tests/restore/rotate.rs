//! Another recovery key takes the place of the one in force, while matrix-js-sdk reads.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use keystead_testbed::{KeyKind, KeySpec};
use keystead_webdriver_tests::rows::{Rows, output_dir};
use keystead_webdriver_tests::{Browser, BrowserKind, Company, Deployment, Employee, PATIENCE, Progress, State, until};
use serde_json::{Value, json};

use crate::scene::{Scene, set_up_under};

/// How long it takes at most until a switch is settled, which is looked at a minute later, and what waited for that is done.
const SETTLED: Duration = Duration::from_secs(60 + 60);

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add_shared(
        kind,
        "rotate: an escrow certificate that is revoked opens nothing from then on, and another client reads all along",
        escrow_revoked(company, kind),
    );
    rows.add_shared(
        kind,
        "rotate: after a compromise, an identity that the person resets is set up when the person says so",
        reset(company, kind),
    );
    rows.add_shared(kind, "rotate: a successor is shown for 24 hours before it is used", announced(company, kind));
}

/// The person has Keystead look again; while a switch settles it does so afterwards.
async fn look_again(scene: &Scene, browser: &Browser) -> Result<()> {
    browser.tell(&json!({ "ask": "retry", "origin": scene.desk.element.url() })).await
}

/// Opens everything from a new session of matrix-js-sdk, with the recovery key that gpg has.
async fn read(company: &Company, who: &Employee) -> Result<String> {
    loop {
        let (id, key) = company.open_sealed_recovery(who).await?;
        match company.client("open", who, &json!({ "recoveryKey": key })).await {
            Ok(opened) => {
                ensure!(opened["publicKeysMatch"] == true, "the key opens something else");
                return Ok(id);
            }
            // The person's own client is given the new key in such a moment too: it asks for it then.
            Err(_) if company.sealed_recovery(who).await?.0 != id => {}
            Err(error) => return Err(error.context("the key in force opens nothing")),
        }
    }
}

/// Somebody is set up, with an escrow certificate in the policy.
async fn with_escrow(company: &Company, kind: BrowserKind) -> Result<(Scene, Browser, String)> {
    let escrow = company.gpg.generate(&KeySpec::new("Escrow <escrow@example.org>", KeyKind::Ed25519)).await?;
    let certificate = company.gpg.export(&escrow).await?;
    company.sks.add_key(&certificate).await?;
    let under = |policy: &mut Value| policy["escrow"] = json!({ "certificates": [certificate] });
    let (scene, browser) = set_up_under(company, kind, under).await?;
    Ok((scene, browser, escrow))
}

/// The certificate is revoked, and the person is told what that means.
async fn revoke(company: &Company, scene: &Scene, browser: &Browser, certificate: &str) -> Result<Progress> {
    company.sks.add_key(&company.gpg.revoked(certificate).await?).await?;
    let (before, _) = company.sealed_recovery(&scene.ann).await?;
    until("another recovery key", SETTLED, async || {
        look_again(scene, browser).await?;
        Ok((read(company, &scene.ann).await? != before).then_some(()))
    })
    .await?;
    let told = browser
        .wait_for("what the compromise means", PATIENCE, |seen| {
            let compromised = &seen.progress.rotation["compromised"];
            seen.progress.state == State::Complete && compromised.is_object() && compromised["backup"].is_null()
        })
        .await?;
    Ok(told.progress)
}

async fn escrow_revoked(company: &Company, kind: BrowserKind) -> Result<()> {
    let (scene, browser, escrow) = with_escrow(company, kind).await?;
    let (before, old_key) = company.open_sealed_recovery(&scene.ann).await?;
    company.sealed_to_exactly(&scene.ann, &[&scene.certificate, &escrow]).await?;
    ensure!(read(company, &scene.ann).await? == before);

    let told = revoke(company, &scene, &browser, &escrow).await?;
    ensure!(told.rotation["compromised"]["recipients"][0]["fingerprint"] == *escrow);
    ensure!(told.recipients.len() == 1, "the popup shows {:?}", told.recipients);
    company.sealed_to_exactly(&scene.ann, &[&scene.certificate]).await?;
    browser.picture_of_popup(&output_dir()?.join(format!("popup-compromised-{}.png", kind.name()))).await?;

    // The old messages came along into the new backup.
    until("the old message's key in the new backup", PATIENCE, async || {
        Ok((company.backed_up_keys(&scene.ann).await? > 0).then_some(()))
    })
    .await?;
    until("no entry under the old key", SETTLED, async || {
        read(company, &scene.ann).await?;
        let documents = company.secret_documents(&scene.ann).await?;
        Ok(documents.values().all(|document| document["encrypted"].get(&before).is_none()).then_some(()))
    })
    .await?;
    ensure!(
        company.client("open", &scene.ann, &json!({ "recoveryKey": old_key })).await.is_err(),
        "the old key opens secret storage still"
    );
    scene.is_whole(company, &browser).await?;
    let read = json!({ "ask": "compromise_read", "origin": scene.desk.element.url(), "account": scene.ann.user_id });
    browser.tell(&read).await?;
    browser
        .wait_for("no more of it", PATIENCE, |seen| {
            seen.progress.state == State::Complete && seen.progress.rotation["compromised"].is_null()
        })
        .await?;
    browser.quit().await
}

async fn reset(company: &Company, kind: BrowserKind) -> Result<()> {
    let (scene, browser, escrow) = with_escrow(company, kind).await?;
    revoke(company, &scene, &browser, &escrow).await?;
    let before = company.identity(&scene.ann).await?;
    browser.reset_identity(&scene.ann.password).await?;
    until("another identity", PATIENCE, async || Ok((company.identity(&scene.ann).await? != before).then_some(())))
        .await?;
    let after = company.identity(&scene.ann).await?;
    browser.wait_for_state(State::Believe, SETTLED).await?;
    ensure!(company.sealed_recovery(&scene.ann).await.is_err(), "it is set up before the person says anything");
    let picture = output_dir()?.join(format!("reset-{}.png", kind.name()));
    browser
        .on_recover_page(&scene.desk.element.url(), async |page| {
            page.find("#mine").await?;
            page.picture(&picture).await?;
            page.believe().await
        })
        .await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    ensure!(company.identity(&scene.ann).await? == after, "the new identity was replaced");
    read(company, &scene.ann).await?;
    company.sealed_to_exactly(&scene.ann, &[&scene.certificate]).await?;
    browser.quit().await
}

async fn announced(company: &Company, kind: BrowserKind) -> Result<()> {
    let (scene, browser) = set_up_under(company, kind, |_| ()).await?;
    let (before, _) = company.open_sealed_recovery(&scene.ann).await?;
    let successor = company.certified_key(&scene.ann.address, KeyKind::Ed25519).await?;
    company.sks.add_key(&company.gpg.export(&successor).await?).await?;
    company.sks.add_key(&company.gpg.revoked(&scene.certificate).await?).await?;
    let shows = |seen: &Deployment| seen.progress.rotation["upcoming"][0].is_object();
    let shown = until("the successor", SETTLED, async || {
        look_again(&scene, &browser).await?;
        browser.wait_for_state(State::Complete, PATIENCE).await.map(|seen| shows(&seen).then_some(seen))
    })
    .await?;
    let upcoming = &shown.progress.rotation["upcoming"][0];
    ensure!(upcoming["recipient"]["fingerprint"] == *successor, "the popup shows {upcoming}");
    let from = upcoming["from"].as_u64().context("no time")?;
    let since = shown.progress.sealed_proven_at.context("never proven")?;
    ensure!(from - since > 23 * 3_600_000, "it is used {} ms after it was shown", from - since);
    ensure!(read(company, &scene.ann).await? == before, "the recovery key was replaced at once");
    company.sealed_to_exactly(&scene.ann, &[&scene.certificate]).await?;
    browser.picture_of_popup(&output_dir()?.join(format!("popup-upcoming-{}.png", kind.name()))).await?;
    browser.quit().await
}
