//! What is said of people, in the room and in the popup, in every language, light and dark: nothing is cut, nothing is
//! missing. Leaves pictures.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use keystead_webdriver_tests::fit::{LANGUAGES, fits};
use keystead_webdriver_tests::rows::{Rows, output_dir};
use keystead_webdriver_tests::{BrowserKind, Company, Extension, PATIENCE};
use serde_json::{Value, json};
use thirtyfour::By;
use thirtyfour::extensions::query::ElementQueryable as _;

use crate::hand;
use crate::roster::millis;
use crate::scene::{Scene, set_up_as};

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    for language in LANGUAGES {
        let name = format!("what is said of people fits in {language}, light and dark, in the room and in the popup");
        rows.add_shared(kind, &name, fit(company, kind, language));
    }
}

/// Looks at the notice in the room, wide and narrow.
async fn notice_fits(scene: &Scene, language: &str, name: &str) -> Result<()> {
    let browser = &scene.browser;
    for (dark, scheme) in [(true, "dark"), (false, "light")] {
        browser.prefer_dark(dark).await?;
        for width in [1280, 640] {
            browser.session().set_window_rect(0, 0, width, 900).await?;
            let picture = format!("notice-{name}-{language}-{scheme}-{width}-{}.png", browser.kind().name());
            browser.picture(&output_dir()?.join(picture)).await?;
            let place = "header.mx_RoomHeader + keystead-notice";
            fits(browser.session(), place).await.with_context(|| format!("{name}, {scheme}, {width} wide"))?;
        }
    }
    browser.session().set_window_rect(0, 0, 1280, 900).await?;
    Ok(())
}

/// Presses what is in the notice.
async fn press(scene: &Scene, selector: &str) -> Result<()> {
    const FIND: &str = "const notice = document.querySelector('header.mx_RoomHeader + keystead-notice');
        return notice.shadowRoot.querySelector(arguments[0]);";
    let found = scene.browser.session().execute(FIND, vec![selector.into()]).await?;
    Ok(found.element()?.click().await?)
}

/// Looks at the popup.
async fn popup_fits(scene: &Scene, language: &str, name: &str) -> Result<()> {
    for (dark, scheme) in [(true, "dark"), (false, "light")] {
        let picture = format!("popup-{name}-{language}-{scheme}-{}.png", scene.browser.kind().name());
        let picture = output_dir()?.join(picture);
        let looked = scene.browser.in_own_page_at("pages/page.html#popup", async |session| {
            scene.browser.prefer_dark(dark).await?;
            session.set_window_rect(0, 0, 420, 1500).await?;
            session.query(By::Css(".problem")).wait(PATIENCE, Duration::from_millis(50)).first().await?;
            session.find(By::Css("body")).await?.screenshot(&picture).await?;
            // What is to be read is not smaller than what explains it.
            let sizes = "return ['.problem > p:not(.small)', '.problem > .small'].map((selector) =>
                parseFloat(getComputedStyle(document.querySelector(selector)).fontSize));";
            let sizes: [f64; 2] = session.execute(sizes, vec![]).await?.convert()?;
            ensure!(sizes[0] > sizes[1], "text of {} px beside small text of {} px", sizes[0], sizes[1]);
            fits(session, "#view").await
        });
        looked.await.with_context(|| format!("the popup, {name}, {scheme}"))?;
    }
    Ok(())
}

async fn fit(company: &Company, kind: BrowserKind, language: &str) -> Result<()> {
    let extension = Extension::packed_for_tests(kind)?;
    extension.speak(language)?;
    let more = json!({ "language": language, "pins": { "ask_it": "mailto:it@example.org" } });
    let scene = set_up_as(company, kind, extension, more, async |_, _, _| Ok(())).await?;
    let (element, account) = (scene.desk.element.url(), scene.ann.user_id.clone());

    // Somebody new, with a security code.
    let carol = company.hire("carol").await?;
    company.invite(&scene.bob, &scene.phone.room_id, &carol).await?;
    company.join(&carol, &scene.phone.room_id).await?;
    let room = json!({ "roomId": scene.phone.room_id, "identity": "make" });
    let _web = company.follow(&carol, &room).await?;
    let shown = scene.shown_of(&carol.user_id, "KS-PIN-NEWCOMER").await?;
    hand::notice(&scene.browser).await?;
    notice_fits(&scene, language, "newcomer").await?;
    scene.accept(&shown).await?;

    // Another identity, held back; with the history, and while the codes are compared.
    let room = json!({ "roomId": scene.phone.room_id, "identity": "reset" });
    let _other = company.follow(&scene.bob, &room).await?;
    scene.ask_for_keys().await?;
    scene.discard().await?;
    scene.send("held back").await?;
    scene.shown("KS-PIN-IDENTITY").await?;
    hand::notice(&scene.browser).await?;
    notice_fits(&scene, language, "identity").await?;
    press(&scene, "summary").await?;
    press(&scene, "button.first").await?;
    notice_fits(&scene, language, "comparing").await?;

    // What the person's browsers share was altered, as this browser would keep it.
    let key = format!("pin-share|{element}|{account}");
    scene.all_is_shared(company, &scene.browser).await?;
    let mut share = hand::record(&scene.browser, &key).await?;
    ensure!(share["version"] == "1", "{share}");
    share["trouble"] = json!(["older", millis()?]);
    scene.browser.write_records(&json!({ key.as_str(): share.to_string() })).await?;
    scene.start_again().await?;
    let told = |shared: &Option<(String, u64)>| shared.as_ref().is_some_and(|(code, _)| code == "KS-PIN-SHARED");
    scene.browser.wait_for("KS-PIN-SHARED", PATIENCE, |deployment| told(&deployment.shared)).await?;
    popup_fits(&scene, language, "identity").await?;

    // The device that the new identity does not vouch for.
    let shown = scene.shown("KS-PIN-IDENTITY").await?;
    hand::accept(&scene.browser, (&element, &account), &shown, true).await?;
    scene.discard().await?;
    scene.send("to some").await?;
    let shown: Value = scene.shown("KS-PIN-DEVICE").await?;
    ensure!(shown["shown"]["devices"].as_object().is_some_and(|devices| devices.len() == 1), "{shown}");
    hand::notice(&scene.browser).await?;
    notice_fits(&scene, language, "device").await?;
    popup_fits(&scene, language, "device").await?;
    scene.browser.quit().await
}
