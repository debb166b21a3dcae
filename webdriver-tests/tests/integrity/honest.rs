//! Nothing is refused that is as it should be.

use anyhow::{Result, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::rows::{Rows, output_dir};
use keystead_webdriver_tests::{BrowserKind, Company, PATIENCE, State};
use serde_json::json;

use crate::scene::{guarded, shown, wait_for_state};

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add(kind, "a first login in enforce mode is as silent as ever", silent(company, kind));
}

async fn silent(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let (guarded, browser) = guarded(company, kind).await?;
    browser.log_in(&guarded.host.url(), &ann.localpart, &ann.password).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    ensure!(browser.view().await? == Some(8), "Element asks the person something");
    let (key_id, recovery_key) = company.open_sealed_recovery(&ann).await?;
    let opened = company.client("open", &ann, &json!({ "recoveryKey": recovery_key })).await?;
    ensure!(opened["keyId"] == key_id && opened["publicKeysMatch"] == true, "the recovery key opens something else");
    for _ in 0..5 {
        browser.session().refresh().await?;
        shown(&browser, browser.wait_until_logged_in().await).await?;
    }
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    let view = wait_for_state(&browser, "protected").await?;
    ensure!(view["refusals"] == json!([]), "refused: {view}");
    ensure!(view["checked"].as_u64() > Some(0), "nothing was checked");
    browser.picture_of_popup(&output_dir()?.join(format!("popup-protected-{}.png", kind.name()))).await?;
    browser.quit().await
}
