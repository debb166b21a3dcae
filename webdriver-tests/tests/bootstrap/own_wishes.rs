//! What people decided themselves stays: secret storage of their own, key storage switched off, Element's own buttons.

use anyhow::{Context, Result, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{Browser, BrowserKind, Company, Desk, Employee, PATIENCE, State, until};
use serde_json::json;

use crate::scene::{at_work, complete, retry, usable};

/// The documents in which clients note that the person wants no recovery or no key storage.
const DECLINED: [(&str, &str, bool); 3] = [
    ("m.org.matrix.custom.backup_disabled", "disabled", true),
    ("m.key_backup", "enabled", false),
    ("io.element.recovery", "enabled", false),
];

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    let name = "own wishes: secret storage of one's own is left untouched, and adopted where the session has all of it";
    rows.add_shared(kind, name, own_storage(company, kind));
    rows.add_shared(kind, "own wishes: Change recovery key works, and is respected", change(company, kind));
    rows.add_shared(kind, "own wishes: Delete key storage works, and stays", delete(company, kind));
    rows.add_shared(
        kind,
        "own wishes: Reset cryptographic identity works, and is not followed in silence",
        reset(company, kind),
    );
    for (document, field, value) in DECLINED {
        let name = format!("own wishes: {document} with {field}: {value} means no, and stays no");
        rows.add_shared(kind, &name, declined(company, kind, document, field, value));
    }
}

async fn own_storage(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let own = company.client("own-recovery", &ann, &json!({ "logout": false })).await?;
    let recovery_key = own["recoveryKey"].as_str().context("no recovery key")?;
    let before = company.secret_documents(&ann).await?;
    let identity = company.identity(&ann).await?;

    let (_desk, browser) = at_work(company, kind, &ann).await?;
    browser.wait_for_code("KS-REC-FOREIGN", PATIENCE).await?;
    browser.wait_for_state(State::Adopt, PATIENCE).await?;
    ensure!(company.secret_documents(&ann).await? == before, "secret storage was changed");

    // The person confirms the device with the key of their own, in Element, as ever.
    browser.press("Use recovery key").await?;
    browser.find("#mx_securityKey").await?.send_keys(recovery_key).await?;
    browser.press("Continue").await?;
    browser.press("Done").await?;
    browser.wait_until_logged_in().await?;
    // Now this session has everything: a sealed recovery comes beside the key of their own, which goes on opening it all.
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    ensure!(company.identity(&ann).await? == identity, "the identity was replaced");
    browser.quit().await?;
    let (key_id, sealed_key) = company.open_sealed_recovery(&ann).await?;
    ensure!(own["keyId"] != *key_id, "the key of their own is still the default key");
    for (whose, recovery_key) in [("their own", recovery_key), ("the sealed recovery's", &sealed_key)] {
        let opened = company.client("open", &ann, &json!({ "recoveryKey": recovery_key })).await?;
        ensure!(opened["publicKeysMatch"] == true, "with {whose} key: {opened}");
        ensure!(opened["deviceVerified"] == true, "with {whose} key: {opened}");
    }
    Ok(())
}

async fn change(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, desk, browser) = complete(company, kind).await?;
    browser.open_encryption_settings().await?;
    browser.press("Change recovery key").await?;
    let shown = browser.find(".mx_KeyPanel_key").await?.text().await?;
    browser.press("Continue").await?;
    browser.find("input[name=recoveryKey]").await?.send_keys(&shown).await?;
    browser.press("Confirm new recovery key").await?;
    let other = async || Ok((company.sealed_recovery(&ann).await.is_err()).then_some(()));
    until("another default key", PATIENCE, other).await?;
    browser.button("Change recovery key").await?;

    retry(&browser, &desk).await?;
    browser.wait_for_state(State::Foreign, PATIENCE).await?;
    browser.quit().await?;
    let opened = company.client("open", &ann, &json!({ "recoveryKey": shown })).await?;
    ensure!(opened["publicKeysMatch"] == true, "the new key opens something else");
    Ok(())
}

async fn delete(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, desk, browser) = complete(company, kind).await?;
    browser.open_encryption_settings().await?;
    browser.find("input[name=keyStorage]").await?;
    browser.in_page("page.document.querySelector('input[name=keyStorage]').click();", vec![]).await?;
    browser.press("Delete key storage").await?;
    let gone = async || {
        let data = company.account_data(&ann).await?;
        Ok((data["m.org.matrix.custom.backup_disabled"]["disabled"] == true).then_some(()))
    };
    until("the person's no in the account data", PATIENCE, gone).await?;
    ensure!(company.backed_up_keys(&ann).await.is_err(), "there still is a backup");
    ensure!(company.sealed_recovery(&ann).await.is_err(), "there still is secret storage");
    still_declined(company, &ann, &desk, &browser).await?;
    browser.quit().await
}

async fn reset(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, desk, browser) = complete(company, kind).await?;
    let before = company.identity(&ann).await?;
    browser.reset_identity(&ann.password).await?;
    let changed = async || Ok((company.identity(&ann).await? != before).then_some(()));
    until("another identity", PATIENCE, changed).await?;
    let after = company.identity(&ann).await?;

    retry(&browser, &desk).await?;
    browser.wait_for_code("KS-REC-IDENTITY", PATIENCE).await?;
    ensure!(company.identity(&ann).await? == after, "the new identity was replaced");
    usable(&browser).await?;
    browser.quit().await
}

async fn declined(company: &Company, kind: BrowserKind, document: &str, field: &str, value: bool) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    company.put_account_data(&ann, document, &json!({ field: value })).await?;
    let (desk, browser) = at_work(company, kind, &ann).await?;
    still_declined(company, &ann, &desk, &browser).await?;
    company.nothing_set_up(&ann).await?;
    browser.quit().await
}

/// The popup says *declined*, also when asked to try again, and after a reload.
async fn still_declined(company: &Company, ann: &Employee, desk: &Desk, browser: &Browser) -> Result<()> {
    browser.wait_until_logged_in().await?;
    for again in ["", "retry", "reload"] {
        match again {
            "retry" => retry(browser, desk).await?,
            "reload" => {
                browser.session().refresh().await?;
                browser.wait_until_logged_in().await?;
            }
            _ => {}
        }
        let seen = browser.wait_for_state(State::Declined, PATIENCE).await.with_context(|| format!("after {again}"))?;
        ensure!(seen.progress.code() == Some("KS-REC-DECLINED"), "the code is {:?}", seen.progress.code());
    }
    ensure!(company.sealed_recovery(ann).await.is_err(), "there is secret storage");
    Ok(())
}
