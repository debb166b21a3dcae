//! How rows begin, and what they ask of the extension.

use anyhow::{Result, bail, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::{Browser, BrowserKind, Company, Desk, Employee, PATIENCE, State, until};
use serde_json::json;

/// Somebody has just sent Element's login form, in a browser with the usual policy.
pub(crate) async fn at_work(company: &Company, kind: BrowserKind, who: &Employee) -> Result<(Desk, Browser)> {
    let desk = company.desk()?;
    let browser = company.browser(kind, company.policy(&desk)).await?;
    browser.log_in(&desk.element.url(), &who.localpart, &who.password).await?;
    Ok((desk, browser))
}

/// Somebody whose first set-up is complete.
pub(crate) async fn complete(company: &Company, kind: BrowserKind) -> Result<(Employee, Desk, Browser)> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let (desk, browser) = at_work(company, kind, &ann).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    Ok((ann, desk, browser))
}

/// The popup's *Try again*; over when the run is.
pub(crate) async fn retry(browser: &Browser, desk: &Desk) -> Result<()> {
    browser.ask(&json!({ "ask": "retry", "origin": desk.element.url() })).await?;
    Ok(())
}

/// The person sees Element as ever.
pub(crate) async fn usable(browser: &Browser) -> Result<()> {
    let view = browser.view().await?;
    ensure!(view == Some(8), "Element shows view {view:?}");
    Ok(())
}

/// The job is finished, at the latest when the person presses *Try again*: one recovery key is in force, there is one sealed
/// recovery, for it, to the person's own certificate, and what gpg takes from it opens the account.
pub(crate) async fn finishes(
    company: &Company,
    ann: &Employee,
    fingerprint: &str,
    desk: &Desk,
    browser: &Browser,
) -> Result<()> {
    let finished = until("Complete, at the latest after *Try again*", PATIENCE * 2, async || {
        let status = browser.status().await?;
        match status.deployments.first().map(|deployment| deployment.progress.state) {
            Some(State::Complete) => Ok(Some(())),
            // The next try is due within a minute; the person does not wait for it.
            Some(State::Failed | State::Waiting) => {
                retry(browser, desk).await?;
                bail!("the popup shows: {status}")
            }
            _ => bail!("the popup shows: {status}"),
        }
    });
    finished.await?;
    let documents = company.secret_documents(ann).await?;
    let keys = documents.keys().filter(|kind| kind.starts_with("m.secret_storage.key.")).count();
    let sealed = documents["io.keystead.recovery"]["keys"].as_object().map_or(0, serde_json::Map::len);
    ensure!((keys, sealed) == (1, 1), "{keys} recovery keys, {sealed} sealed recoveries");
    company.sealed_to_exactly(ann, &[fingerprint]).await?;
    let (key_id, recovery_key) = company.open_sealed_recovery(ann).await?;
    let opened = company.client("open", ann, &json!({ "recoveryKey": recovery_key })).await?;
    ensure!(opened["keyId"] == key_id && opened["publicKeysMatch"] == true, "the recovery key opens something else");
    Ok(())
}

/// The person logs out, in Element.
pub(crate) async fn log_out(browser: &Browser) -> Result<()> {
    browser.in_page("page.mxDispatcher.dispatch({ action: 'logout' });", vec![]).await?;
    browser.wait_for_state(State::SignedOut, PATIENCE).await?;
    Ok(())
}
