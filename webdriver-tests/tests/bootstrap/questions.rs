//! The extension's own pages, in the installed extension: what people without an organisation, or whose login the
//! organisation's policy cannot vouch for, are asked and shown.

use anyhow::{Context, Result, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{
    Browser, BrowserKind, BrowserOptions, Company, Desk, Extension, PATIENCE, State, until,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use thirtyfour::{By, WebDriver};

use crate::scene::finishes;

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add_shared(kind, "own pages: no directory, and the recovery key is shown to be kept", keep(company, kind));
    rows.add_shared(kind, "own pages: a policy of one's own is checked, saved and used", options(company, kind));
}

/// The address of a question about a deployment.
fn question(name: &str, desk: &Desk) -> String {
    let origin = desk.element.url();
    format!("pages/page.html#{name}?origin={}", utf8_percent_encode(&origin, NON_ALPHANUMERIC))
}

/// The person reads whose the certificate is, with these facts, and says that it is theirs, or not.
pub(crate) async fn answer(browser: &Browser, desk: &Desk, facts: &[&str], yes: bool) -> Result<()> {
    let page = question("confirm", desk);
    let answered = browser.in_own_page_at(&page, async |session| {
        text(session, "mine").await?;
        let shown: String = text(session, "view").await?.split_whitespace().collect();
        for fact in facts {
            ensure!(shown.contains(fact), "the page does not show {fact}");
        }
        click(session, if yes { "mine" } else { "not-mine" }).await?;
        until("the page's thanks", PATIENCE, async || {
            Ok(session.find_all(By::Id("mine")).await?.is_empty().then_some(()))
        })
        .await
    });
    answered.await
}

/// The text of an element of an own page, once it has one.
async fn text(session: &WebDriver, id: &str) -> Result<String> {
    let script = "return document.getElementById(arguments[0])?.textContent ?? '';";
    until(&format!("something in #{id}"), PATIENCE, async || {
        let text = session.execute(script, vec![id.into()]).await?.json().as_str().unwrap_or_default().to_owned();
        Ok((!text.trim().is_empty()).then_some(text))
    })
    .await
}

async fn click(session: &WebDriver, id: &str) -> Result<()> {
    let clicked = async || {
        session.find(By::Id(id)).await?.click().await?;
        Ok(Some(()))
    };
    until(&format!("pressing #{id}"), PATIENCE, clicked).await
}

async fn keep(company: &Company, kind: BrowserKind) -> Result<()> {
    let ann = company.hire("ann").await?;
    let desk = company.desk()?;
    let mut policy = company.policy(&desk);
    policy.as_object_mut().context("no policy")?.remove("directory");
    let browser = company.browser(kind, policy).await?;
    browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
    browser.wait_for_state(State::Keep, PATIENCE).await?;
    company.nothing_set_up(&ann).await?;

    let page = question("keep", &desk);
    let shown = browser.in_own_page_at(&page, async |session| {
        let shown = text(session, "recovery-key").await?;
        click(session, "copy").await?;
        let copied = text(session, "said").await?;
        ensure!(copied.starts_with("Copied"), "after copying the page says {copied:?}");
        click(session, "save").await?;
        click(session, "kept").await?;
        click(session, "done").await?;
        until("the end of the page", PATIENCE, async || {
            let gone = session.find_all(By::Id("recovery-key")).await?.is_empty();
            Ok(gone.then_some(()))
        })
        .await?;
        Ok(shown)
    });
    let shown = shown.await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    let saved = until("the saved file", PATIENCE, async || saved_file(&browser)).await?;
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    ensure!(saved.lines().any(|line| words(line) == words(&shown)), "the saved file has another key");

    // Shown once.
    let again = browser.ask(&json!({ "ask": "recovery_key", "origin": desk.element.url() })).await;
    ensure!(again.is_err(), "the recovery key is given out again");
    let documents = company.secret_documents(&ann).await?;
    let sealed = documents.get("io.keystead.recovery").and_then(|document| document["keys"].as_object());
    let messages = sealed.into_iter().flatten().filter(|(_, entry)| entry["message"].is_string()).count();
    ensure!(messages == 0, "there is a sealed recovery for somebody");
    browser.quit().await?;
    let opened = company.client("open", &ann, &json!({ "recoveryKey": shown.trim() })).await?;
    ensure!(opened["publicKeysMatch"] == true, "the recovery key opens something else");
    Ok(())
}

/// The text of the only file among the downloads.
fn saved_file(browser: &Browser) -> Result<Option<String>> {
    let mut files = std::fs::read_dir(browser.downloads())?.collect::<Result<Vec<_>, _>>()?;
    files.retain(|file| file.path().extension().is_some_and(|kind| kind == "txt"));
    let Some(file) = files.first() else { return Ok(None) };
    let text = std::fs::read_to_string(file.path())?;
    Ok((!text.is_empty()).then_some(text))
}

async fn options(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, fingerprint) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    let extension = Extension::packed_for_tests(kind)?;
    let browser = Browser::start(kind, BrowserOptions { extension, policy: Value::Null }).await?;
    let whole = company.policy(&desk);
    let file = tempfile::Builder::new().suffix(".json").tempfile()?;
    std::fs::write(file.path(), whole.to_string())?;

    browser
        .in_own_page_at("pages/page.html#options", async |session| {
            // A deployment without its homeserver: said at the field.
            let origin = until("the form", PATIENCE, async || {
                Ok(Some(session.find(By::Id("policy-deployments-0-origin")).await?))
            });
            origin.await?.send_keys(desk.element.url()).await?;
            click(session, "save").await?;
            let wrong = text(session, "policy-deployments-0-homeserver-error").await?;
            ensure!(wrong.contains("KS-POL-"), "the field says {wrong:?}");

            session.find(By::Id("import-file")).await?.send_keys(file.path().display().to_string()).await?;
            text(session, "said").await?;
            click(session, "save").await?;
            until("what was saved", PATIENCE, async || {
                let said = text(session, "said").await?;
                Ok(said.starts_with("Saved").then_some(()))
            })
            .await
        })
        .await?;
    let own = browser.ask(&json!({ "ask": "own_policy" })).await?;
    ensure!(own == whole, "another policy was saved: {own}");
    browser.wait_until_installed().await?;
    ensure!(browser.status().await?.policy == "own", "the policy in force is not the person's own");
    browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
    // Without an organisation nobody but the person vouches for the certificate: the certifier in the policy does.
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    finishes(company, &ann, &fingerprint, &desk, &browser).await?;
    browser.quit().await
}
