//! Secret storage that another client set up, under a passphrase: the person is asked once, may put that off, and ends with
//! a sealed recovery beside the key of their own.

use anyhow::{Context, Result, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::rows::{Rows, output_dir};
use keystead_webdriver_tests::{BrowserKind, Company, PATIENCE, State};
use serde_json::json;

const PASSPHRASE: &str = "correct horse battery staple";

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add_shared(
        kind,
        "adopt: a passphrase from elsewhere opens a new session, once asked",
        with_passphrase(company, kind),
    );
}

async fn with_passphrase(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let own = company.client("own-recovery", &ann, &json!({ "passphrase": PASSPHRASE, "logout": true })).await?;
    let recovery_key = own["recoveryKey"].as_str().context("no recovery key")?;
    let before = company.secret_documents(&ann).await?;
    let identity = company.identity(&ann).await?;
    let desk = company.desk()?;
    let element = desk.element.url();
    let browser = company.browser(kind, company.policy(&desk)).await?;
    browser.log_in(&element, &ann.localpart, &ann.password).await?;
    browser.wait_for_state(State::Adopt, PATIENCE).await?;
    browser.picture_of_popup(&output_dir()?.join(format!("popup-adopt-{}.png", kind.name()))).await?;

    // Put off: nobody is called, and the way stays open.
    browser.on_recover_page(&element, async |page| Ok(page.find("#not-now").await?.click().await?)).await?;
    browser.wait_for_state(State::Foreign, PATIENCE).await?;
    ensure!(company.secret_documents(&ann).await? == before, "secret storage was changed");

    let picture = output_dir()?.join(format!("adopt-{}.png", kind.name()));
    browser
        .on_recover_page(&element, async |page| {
            page.find("#opened").await?;
            page.picture(&picture).await?;
            page.send("correct horse battery stable").await?;
            page.trouble().await?;
            page.send(PASSPHRASE).await?;
            page.believe().await
        })
        .await?;
    browser.wait_until_logged_in().await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    ensure!(company.identity(&ann).await? == identity, "the identity was replaced");
    browser.quit().await?;
    let (key_id, sealed_key) = company.open_sealed_recovery(&ann).await?;
    ensure!(own["keyId"] != *key_id, "the key of their own is still the default key");
    for (whose, recovery_key) in [("their own", recovery_key), ("the sealed recovery's", &sealed_key)] {
        let opened = company.client("open", &ann, &json!({ "recoveryKey": recovery_key })).await?;
        ensure!(opened["publicKeysMatch"] == true, "with {whose} key: {opened}");
    }
    Ok(())
}
