//! What the person answers on the extension's own pages counts, or is said not to count, whatever the browser does with the
//! background meanwhile; and what a script types is nobody's name.

use anyhow::{Context, Result, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{Browser, BrowserKind, Company, Desk, Employee, PATIENCE, State, until};
use serde_json::json;
use thirtyfour::{By, WebDriver};

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    let name = "answers: yes to a certificate counts although the background was stopped";
    rows.add_shared(kind, name, confirmed(company, kind));
    let name = "answers: a recovery key that was made anew is shown anew, and only that one is kept";
    rows.add_shared(kind, name, kept(company, kind));
    let name = "answers: a name that a script puts in the place of the typed one is nobody's";
    rows.add_shared(kind, name, typed_by_a_script(company, kind));
}

async fn confirmed(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, fingerprint) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    let browser = company.browser(kind, company.policy(&desk)).await?;
    log_in_by_script(&browser, &desk, "", &ann).await?;
    browser.wait_for_state(State::Confirm, PATIENCE).await?;
    company.nothing_set_up(&ann).await?;

    let page = own_page("confirm", &desk);
    let said = browser.in_own_page_at(&page, async |session| {
        text_of(session, "#mine").await?;
        browser.stop_background().await?;
        session.find(By::Css("#mine")).await?.click().await?;
        text_of(session, ".outcome h2").await
    });
    ensure!(!said.await?.is_empty(), "the page says nothing");
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    company.sealed_to_exactly(&ann, &[&fingerprint]).await?;
    browser.quit().await
}

async fn kept(company: &Company, kind: BrowserKind) -> Result<()> {
    let ann = company.hire("ann").await?;
    let desk = company.desk()?;
    let mut policy = company.policy(&desk);
    policy.as_object_mut().context("no policy")?.remove("directory");
    let browser = company.browser(kind, policy).await?;
    browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
    browser.wait_for_state(State::Keep, PATIENCE).await?;

    let page = own_page("keep", &desk);
    let shown = browser.in_own_page_at(&page, async |session| {
        let first = recovery_key(session).await?;
        session.find(By::Css("#kept")).await?.click().await?;
        browser.stop_background().await?;
        let second = until("another recovery key", PATIENCE, async || {
            let shown = recovery_key(session).await?;
            Ok((shown != first).then_some(shown))
        });
        let second = second.await?;
        ensure!(!text_of(session, "#trouble").await?.is_empty(), "the page does not say that it is another key");
        let ticked = session.find(By::Css("#kept")).await?.is_selected().await?;
        ensure!(!ticked, "what the person said of the first key counts for the second");
        session.find(By::Css("#kept")).await?.click().await?;
        session.find(By::Css("#done")).await?.click().await?;
        text_of(session, ".outcome h2").await?;
        Ok((first, second))
    });
    let (first, second) = shown.await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    browser.quit().await?;
    let opened = company.client("open", &ann, &json!({ "recoveryKey": second })).await?;
    ensure!(opened["publicKeysMatch"] == true, "the kept key opens something else");
    ensure!(
        company.client("open", &ann, &json!({ "recoveryKey": first })).await.is_err(),
        "the first key opens it too"
    );
    Ok(())
}

/// As a password manager does that fills in another account than the one that the person had begun to type.
async fn typed_by_a_script(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    let browser = company.browser(kind, company.policy(&desk)).await?;
    log_in_by_script(&browser, &desk, "somebody", &ann).await?;
    let asked = browser.wait_for("an end", PATIENCE, |seen| seen.progress.code().is_some()).await?;
    ensure!(asked.progress.code() == Some("KS-DIR-CONFIRM"), "the popup says {:?}", asked.progress.code());
    company.nothing_set_up(&ann).await?;
    browser.quit().await
}

/// Logs in with a name that the person typed first and a script replaced.
async fn log_in_by_script(browser: &Browser, desk: &Desk, typed: &str, who: &Employee) -> Result<()> {
    browser.session().goto(format!("{}/#/login", desk.element.url())).await?;
    browser.find("#mx_LoginForm_username").await?.send_keys(typed).await?;
    // As scripts have to do it where React looks after the field.
    let fill = "const field = document.querySelector('#mx_LoginForm_username');
        Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(field, arguments[0]);
        field.dispatchEvent(new Event('input', { bubbles: true }));";
    browser.in_page(fill, vec![who.localpart.clone().into()]).await?;
    browser.find("#mx_LoginForm_password").await?.send_keys(&who.password).await?;
    browser.find(".mx_Login_submit").await?.click().await?;
    Ok(())
}

fn own_page(view: &str, desk: &Desk) -> String {
    let origin = desk.element.url().replace(':', "%3A").replace('/', "%2F");
    format!("pages/page.html#{view}?origin={origin}")
}

/// The recovery key that the page shows, in one line.
async fn recovery_key(session: &WebDriver) -> Result<String> {
    let shown = text_of(session, "#recovery-key .key").await?;
    Ok(shown.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The text of the first element that a selector finds in the page of the extension, once it has one.
async fn text_of(session: &WebDriver, selector: &str) -> Result<String> {
    until(selector, PATIENCE, async || {
        let text = session.find(By::Css(selector)).await?.text().await?;
        Ok((!text.is_empty()).then_some(text))
    })
    .await
}
