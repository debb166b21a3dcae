//! G1: with a managed policy a first login ends with everything in place, without a dialog and without a click.

use anyhow::{Context, Result, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::rows::{Rows, output_dir};
use keystead_webdriver_tests::{BrowserKind, Company, PATIENCE, State, until};
use serde_json::{Value, json};

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add(kind, "a first login needs no click, and an independent client opens what it left", silent(company, kind));
}

async fn silent(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let bob = company.hire("bob").await?;
    let desk = company.desk()?;
    let browser = company.browser(kind, company.policy(&desk)).await?;

    browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
    let deployment = browser.wait_for_state(State::Complete, PATIENCE).await?;
    ensure!(deployment.account.as_deref() == Some(&*ann.user_id), "the popup names another account");
    ensure!(deployment.progress.recipients.len() == 1, "{} recipients", deployment.progress.recipients.len());
    ensure!(deployment.progress.sealed_proven_at.is_some(), "the sealed recovery was not proven");
    ensure!(browser.view().await? == Some(8), "Element asks the person something");
    // Element asks everybody whether it may notify; that has nothing to do with keys.
    let asked = "return [...document.querySelectorAll('.mx_Dialog, .mx_Toast_toast')]
        .map((it) => it.innerText).filter((text) => !/^Notifications/.test(text)).join(' / ');";
    let asked = browser.in_page(asked, vec![]).await?;
    ensure!(asked == "", "Element asks the person: {asked}");

    // Bob writes while Ann's browser is her only device.
    let room =
        company.client("send", &bob, &json!({ "messages": [], "invite": [ann.user_id], "logout": true })).await?;
    let room_id = room["roomId"].as_str().context("no room")?;
    company.join(&ann, room_id).await?;
    let words = "written before the second device existed";
    let sent = json!({ "roomId": room_id, "messages": [words], "awaitJoin": [ann.user_id], "logout": true });
    let sent = company.client("send", &bob, &sent).await?;
    let event_id = &sent["eventIds"][0];
    until("the message's key in the backup", PATIENCE, async || {
        Ok((company.backed_up_keys(&ann).await? > 0).then_some(()))
    })
    .await?;

    let (key_id, recovery_key) = company.open_sealed_recovery(&ann).await?;
    let open = json!({ "recoveryKey": recovery_key, "events": [{ "roomId": room_id, "eventId": event_id }] });
    let opened = company.client("open", &ann, &open).await?;
    for check in ["secretStorageReady", "crossSigningReady", "deviceVerified", "backupActive", "publicKeysMatch"] {
        ensure!(opened[check] == true, "the independent client says {check}: {}", opened[check]);
    }
    ensure!(opened["keyId"] == key_id, "another key is in force");
    ensure!(opened["events"][0]["plaintext"] == words, "the message did not open: {}", opened["events"][0]);
    ensure!(opened["events"][0]["error"] == Value::Null);

    browser.picture(&output_dir()?.join(format!("first-login-{}.png", kind.name()))).await?;
    browser.picture_of_popup(&output_dir()?.join(format!("popup-complete-{}.png", kind.name()))).await?;
    browser.quit().await
}
