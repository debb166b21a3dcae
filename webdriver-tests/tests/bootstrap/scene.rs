//! How rows begin, and what they ask of the extension.

use anyhow::{Result, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::{Browser, BrowserKind, Company, Desk, Employee, PATIENCE, State};
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
