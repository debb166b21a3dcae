//! The extension's own pages in every language, light and dark: nothing is cut, nothing is missing. Leaves pictures.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::fit::{LANGUAGES, fits};
use keystead_webdriver_tests::rows::{Rows, output_dir};
use keystead_webdriver_tests::{BrowserKind, Company, PATIENCE, State};
use serde_json::json;
use thirtyfour::By;
use thirtyfour::extensions::query::ElementQueryable as _;

/// The views of an account whose set-up is complete, and what is there when they are drawn.
const VIEWS: [(&str, &str, (u32, u32)); 4] = [
    ("popup", ".more", (420, 1000)),
    ("options", "fieldset", (900, 1000)),
    ("phone", "ol", (900, 1000)),
    ("drill", "#opened", (900, 1300)),
];

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    for language in LANGUAGES {
        let name = format!("pages: nothing is cut or missing in {language}, light and dark");
        rows.add_shared(kind, &name, fit(company, kind, language));
    }
}

async fn fit(company: &Company, kind: BrowserKind, language: &str) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    let element = desk.element.url();
    let mut policy = company.policy(&desk);
    policy["language"] = json!(language);
    policy["restore"] = json!({ "gnupg_host": "com.keystead.gpgme" });
    let browser = company.browser(kind, policy).await?;
    browser.log_in(&element, &ann.localpart, &ann.password).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    let mut headings = Vec::new();
    for (view, drawn, (width, height)) in VIEWS {
        let path = format!("pages/page.html#{view}?origin={element}");
        for dark in [false, true] {
            let scheme = if dark { "dark" } else { "light" };
            let picture = output_dir()?.join(format!("page-{view}-{language}-{scheme}-{}.png", kind.name()));
            let shown = browser.in_own_page_at(&path, async |session| {
                browser.prefer_dark(dark).await?;
                session.set_window_rect(0, 0, width, height).await?;
                session.query(By::Css(drawn)).wait(PATIENCE, Duration::from_millis(50)).first().await?;
                let fits = fits(session, "#view").await;
                session.find(By::Css("body")).await?.screenshot(&picture).await?;
                fits.with_context(|| format!("{view} in {language}, {scheme}"))?;
                Ok(session.find(By::Css("h1")).await?.text().await?)
            });
            headings.push(shown.await.with_context(|| format!("{view} in {language}, {scheme}"))?);
        }
    }
    ensure!(headings.iter().all(|heading| !heading.is_empty()), "{headings:?}");
    browser.quit().await
}
