//! A new session in the browser that has the key: no click.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{BrowserKind, Company, PATIENCE, State, until};
use serde_json::json;

use crate::scene::set_up;

/// How long Element's question may be on the screen.
const LONGEST: Duration = Duration::from_secs(1);
/// Element's view that asks to confirm the identity.
const CONFIRM_IDENTITY: u64 = 6;

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add_alone(
        kind,
        "same browser: after a logout and a login old messages open by themselves",
        retained(company, kind),
    );
    rows.add_shared(kind, "same browser: where nothing is retained, the person is asked", not_retained(company, kind));
}

async fn retained(company: &Company, kind: BrowserKind) -> Result<()> {
    let (scene, browser) = set_up(company, kind, json!({ "retain_after_logout": "always" })).await?;
    for _ in 0..2 {
        browser.log_out().await?;
        browser.log_in(&scene.desk.element.url(), &scene.ann.localpart, &scene.ann.password).await?;
        let shown = async || Ok((browser.view().await? == Some(CONFIRM_IDENTITY)).then(Instant::now));
        let shown = until("Element's question", PATIENCE, shown).await?;
        browser.wait_until_logged_in().await?;
        let took = shown.elapsed();
        ensure!(took <= LONGEST, "Element's question was there for {} ms", took.as_millis());
        scene.is_whole(company, &browser).await?;
    }
    browser.quit().await
}

async fn not_retained(company: &Company, kind: BrowserKind) -> Result<()> {
    let (scene, browser) = set_up(company, kind, json!({ "retain_after_logout": "never" })).await?;
    browser.log_out().await?;
    browser.log_in(&scene.desk.element.url(), &scene.ann.localpart, &scene.ann.password).await?;
    browser.wait_for_state(State::Recover, PATIENCE).await?;
    ensure!(browser.view().await? == Some(CONFIRM_IDENTITY), "Element's own question is gone");
    let covered = browser.in_page("return Boolean(document.querySelector('keystead-cover'));", vec![]).await?;
    ensure!(covered == false, "Element's own question is covered");
    browser.quit().await
}
