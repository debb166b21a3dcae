//! The one button after which the browser has no way to the account's keys, whatever the policy retains.

use anyhow::{Result, ensure};
use keystead_webdriver_tests::rows::{Rows, output_dir};
use keystead_webdriver_tests::{BrowserKind, Company, PATIENCE, State};
use serde_json::json;
use thirtyfour::By;

use crate::scene::{find, set_up};

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add_shared(kind, "wipe: afterwards only the sealed recovery opens the account here", wiped(company, kind));
}

async fn wiped(company: &Company, kind: BrowserKind) -> Result<()> {
    let (scene, browser) = set_up(company, kind, json!({ "retain_after_logout": "always" })).await?;
    let element = scene.desk.element.url();
    let before = company.secret_documents(&scene.ann).await?;
    let picture = output_dir()?.join(format!("popup-wipe-{}.png", kind.name()));
    browser
        .in_own_page(async |session| {
            session.refresh().await?;
            find(session, "#wiping-0 summary").await?.click().await?;
            session.set_window_rect(0, 0, 420, 1000).await?;
            session.find(By::Css("body")).await?.screenshot(&picture).await?;
            find(session, "#wipe-0").await?.click().await?;
            Ok(())
        })
        .await?;
    browser.wait_for_code("KS-REC-VAULT-LOST", PATIENCE).await?;
    ensure!(browser.wrapping_keys().await? == 0, "the vault holds a wrapping key");
    ensure!(company.secret_documents(&scene.ann).await? == before, "secret storage was changed");

    browser.log_out().await?;
    browser.log_in(&element, &scene.ann.localpart, &scene.ann.password).await?;
    browser.wait_for_state(State::Recover, PATIENCE).await?;
    let (_, message) = company.sealed_recovery(&scene.ann).await?;
    let opened = String::from_utf8(company.gpg.decrypt(&message).await?)?;
    // What was seen of the identity is kept: nobody is asked whose it is.
    browser
        .on_recover_page(&element, async |page| {
            page.send(&opened.replace('\n', " \n")).await?;
            page.find(".outcome").await?;
            Ok(())
        })
        .await?;
    scene.is_whole(company, &browser).await?;
    browser.quit().await
}
