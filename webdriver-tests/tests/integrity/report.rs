//! Where files are only compared: everything runs, and what is not as listed is told of.

use anyhow::{Context, Result, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::rows::{Rows, output_dir};
use keystead_webdriver_tests::{BrowserKind, Company, Guarded, PATIENCE, State, until};
use serde_json::{Value, json};

use crate::scene::{altered, wait_for_state};

/// How many files a page has loaded by the time somebody is logged in, at least.
const LOADED: u64 = 4;

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add(kind, "where files are only compared, what is changed runs, and is told of", told(company, kind));
}

async fn told(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let guarded = Guarded::start(company).await?;
    let mut policy = guarded.policy(company, "report");
    policy["evidence"] = json!({ "url": guarded.it.url() });
    let browser = company.browser(kind, policy).await?;
    wait_for_state(&browser, "reporting").await?;
    browser.log_in(&guarded.url(), &ann.localpart, &ann.password).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    let compared = until("files that were compared", PATIENCE, async || {
        let view = browser.integrity().await?;
        Ok((view["checked"].as_u64() >= Some(LOADED)).then_some(view))
    });
    let compared = compared.await?;
    ensure!(compared["refusals"] == json!([]) && compared["problem"].is_null(), "as listed, and told of: {compared}");

    let payload = guarded.payload("compared");
    guarded.attack(vec![altered(&guarded, "/init.js", |bytes| drop(bytes.splice(0..0, payload.bytes())))]);
    browser.empty_cache().await?;
    browser.session().refresh().await?;
    browser.wait_until_logged_in().await?;
    let changed = |view: &Value| {
        let all = view["refusals"].as_array().cloned().unwrap_or_default();
        let of = |one: &&Value| one["url"].as_str().is_some_and(|url| url.ends_with("/init.js"));
        all.iter().find(of).map(|one| one["code"].clone())
    };
    let code = until("what was changed", PATIENCE, async || Ok(changed(&browser.integrity().await?)));
    ensure!(code.await? == "KS-INT-CHANGED");
    ensure!(guarded.ran().iter().any(|path| path.ends_with("compared")), "it was held back");
    let shown = browser.session().current_url().await?;
    ensure!(shown.as_str().starts_with(&guarded.host.url()), "the tab shows {shown}");
    let entry = until("IT being told", PATIENCE, async || Ok(guarded.told().into_iter().next()));
    let entry = entry.await.context("what was changed")?;
    ensure!(entry["happened"] == "refused" && entry["code"] == "KS-INT-CHANGED", "IT was told {entry}");
    wait_for_state(&browser, "reporting").await?;
    browser.picture_of_popup(&output_dir()?.join(format!("popup-reporting-{}.png", kind.name()))).await?;
    browser.quit().await
}
