//! A new browser, without GnuPG's help: the sealed recovery is opened elsewhere, and what came out of it is pasted.

use anyhow::{Context, Result, ensure};
use keystead_webdriver_tests::rows::{Rows, output_dir};
use keystead_webdriver_tests::{Browser, BrowserKind, Company, PATIENCE, State};
use serde_json::json;

use crate::scene::set_up;

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add(kind, "by hand: a new browser opens history with what gpg opened", by_hand(company, kind));
}

async fn by_hand(company: &Company, kind: BrowserKind) -> Result<()> {
    let (scene, first) = set_up(company, kind, json!({ "retain_after_logout": "never" })).await?;
    first.quit().await?;
    let element = scene.desk.element.url();
    let browser = company.browser(kind, company.policy(&scene.desk)).await?;
    browser.log_in(&element, &scene.ann.localpart, &scene.ann.password).await?;
    browser.wait_for_state(State::Recover, PATIENCE).await?;
    browser.picture_of_popup(&output_dir()?.join(format!("popup-recover-{}.png", kind.name()))).await?;

    let (_, message) = company.sealed_recovery(&scene.ann).await?;
    let opened = String::from_utf8(company.gpg.decrypt(&message).await?)?;
    let key = opened.lines().find_map(|line| line.strip_prefix("Recovery key: ")).context("no recovery key")?;
    let typo = format!("{}{}", &key[..key.len() - 1], if key.ends_with('1') { '2' } else { '1' });
    let pictures = [
        output_dir()?.join(format!("recover-{}.png", kind.name())),
        output_dir()?.join(format!("believe-{}.png", kind.name())),
    ];
    browser
        .on_recover_page(&element, async |page| {
            let shown = page.find("#message").await?.text().await?;
            ensure!(shown.trim() == message.trim(), "the page shows another message");
            page.picture(&pictures[0]).await?;
            page.send(&typo).await?;
            let said = page.trouble().await?;
            ensure!(said.contains("group 12"), "the page does not say where the mistake is: {said}");
            let left = page.find("#opened").await?.prop("value").await?.unwrap_or_default();
            ensure!(left.is_empty(), "what was typed stays");

            page.send(&opened.replace('\n', " \n")).await?;
            page.find("#mine").await?;
            page.picture(&pictures[1]).await?;
            page.believe().await
        })
        .await?;
    scene.is_whole(company, &browser).await?;
    let entry = company.account_data(&scene.ann).await?["io.keystead.recovery"]["keys"].take();
    let wrapped = entry.as_object().and_then(|keys| keys.values().next()?["wrapped"].as_object().map(|it| it.len()));
    ensure!(wrapped == Some(2), "{wrapped:?} browsers have a copy");
    leaves_nothing(&browser, key).await?;
    browser.quit().await
}

/// What was typed is in no page of the extension afterwards.
async fn leaves_nothing(browser: &Browser, key: &str) -> Result<()> {
    let text = browser.in_own_page(async |session| Ok(session.source().await?)).await?;
    ensure!(!text.contains(key), "the recovery key is in the popup");
    Ok(())
}
