//! A new browser, without GnuPG's help: the sealed recovery is opened elsewhere, and what came out of it is pasted.

use anyhow::{Context, Result, ensure};
use keystead_webdriver_tests::rows::{Rows, output_dir};
use keystead_webdriver_tests::{Browser, BrowserKind, Company, PATIENCE, State, until};
use serde_json::json;
use thirtyfour::By;
use thirtyfour::extensions::query::ElementQueryable;

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
    let path = format!("pages/page.html#recover?origin={element}");
    browser
        .in_own_page_at(&path, async |session| {
            let find = async |selector: &str| session.query(By::Css(selector)).wait(PATIENCE, PAUSE).first().await;
            let shown = find("#message").await?.text().await?;
            ensure!(shown.trim() == message.trim(), "the page shows another message");
            session.screenshot(&pictures[0]).await?;

            find("#opened").await?.send_keys(&typo).await?;
            find("#send").await?.click().await?;
            let told = async || {
                let said = find("#trouble").await?.text().await?;
                Ok((said.contains('.')).then_some(said))
            };
            until("what is wrong with a mistyped key", PATIENCE, told).await?;
            ensure!(find("#opened").await?.prop("value").await?.unwrap_or_default().is_empty(), "what was typed stays");

            find("#opened").await?.send_keys(&opened.replace('\n', " \n")).await?;
            find("#send").await?.click().await?;
            find("#mine").await?;
            session.screenshot(&pictures[1]).await?;
            find("#mine").await?.click().await?;
            find(".outcome").await?;
            Ok(())
        })
        .await?;
    scene.is_whole(company, &browser).await?;
    let entry = company.account_data(&scene.ann).await?["io.keystead.recovery"]["keys"].take();
    let wrapped = entry.as_object().and_then(|keys| keys.values().next()?["wrapped"].as_object().map(|it| it.len()));
    ensure!(wrapped == Some(2), "{wrapped:?} browsers have a copy");
    leaves_nothing(&browser, key).await?;
    browser.quit().await
}

const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// What was typed is in no page of the extension afterwards.
async fn leaves_nothing(browser: &Browser, key: &str) -> Result<()> {
    let text = browser.in_own_page(async |session| Ok(session.source().await?)).await?;
    ensure!(!text.contains(key), "the recovery key is in the popup");
    Ok(())
}
