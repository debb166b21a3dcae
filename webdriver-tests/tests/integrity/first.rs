//! The first page right after the start of a browser that has the extension because the organisation's policy says so: it is
//! there before anything of the extension's background is.

use anyhow::{Result, ensure};
use keystead_testbed::{Action, Answer};
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{Browser, BrowserKind, BrowserOptions, Company, Extension, Guarded};
use serde_json::json;

use crate::scene::{altered, at, note, page_with, refused, shown, wait_for_refusal, wait_for_state, works};

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    let name = "the first page after the start of a browser that has the extension by policy runs known code only";
    rows.add(kind, name, first(company, kind));
}

async fn first(company: &Company, kind: BrowserKind) -> Result<()> {
    let guarded = Guarded::start(company).await?;
    let mut extension = Extension::packed_for_tests(kind)?;
    extension.install_by_policy(kind)?;
    let policy = guarded.policy(company, "enforce");
    let mut browser = Browser::start(kind, BrowserOptions { extension, policy }).await?;
    browser.wait_until_there().await?;
    browser.wait_until_installed().await?;
    wait_for_state(&browser, "protected").await?;
    let page = format!("{}/", guarded.url());

    browser.restart_with_page(&page).await?;
    shown(&browser, works(&browser).await).await?;
    let view = wait_for_state(&browser, "protected").await?;
    ensure!(view["refusals"] == json!([]), "refused: {view}");

    let html = format!("<script>{}</script><input id=fake>", guarded.payload("first").trim());
    let index = Answer::new(200, "text/html", page_with(&guarded, &html));
    let payload = guarded.payload("bundle");
    let bundle = altered(&guarded, "/bundle.js", |bytes| drop(bytes.splice(0..0, payload.bytes())));
    let document = || at("/", Action::Answer(index.clone()));
    let all = [("a document", vec![document()]), ("a script", vec![bundle])];
    for (name, rules) in all {
        guarded.attack(rules);
        browser.restart_with_page(&page).await?;
        let outcome = async {
            let code = refused(&browser, &["KS-INT-CHANGED"]).await?;
            wait_for_refusal(&browser).await?;
            Ok(code)
        };
        let code = shown(&browser, outcome.await).await?;
        ensure!(guarded.ran().is_empty(), "payloads ran: {:?}", guarded.ran());
        note(&format!("        {:8}  first page, {name}: 0 payloads ran; {code}", kind.name()));
        guarded.behave();
    }
    browser.quit().await
}
