//! Sessions that begin, end and go on while the browser stops and starts the background at will.

use anyhow::{Context, Result, bail, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{Browser, BrowserKind, Company, PATIENCE, State, until};
use serde_json::{Value, json};

use crate::scene::{at_work, complete, retry};

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    let name = "sessions: a logout that starts the background leaves nothing that opens the recovery key";
    rows.add_shared(kind, name, logout_starts_the_background(company, kind));
    let name = "sessions: after logout and login Element's own dialog takes the key that gpg opened";
    rows.add(kind, name, logout_and_login(company, kind));
    let name = "sessions: a login ends the session of somebody else that nobody saw end";
    rows.add_shared(kind, name, ended_unseen(company, kind));
    let name = "sessions: what Element stores goes over the bridge, also where that starts the background";
    rows.add_shared(kind, name, store_starts_the_background(company, kind));
    let name = "sessions: a background that is started again keeps to the pause; the person does not have to";
    rows.add_shared(kind, name, pause(company, kind));
}

async fn logout_starts_the_background(company: &Company, kind: BrowserKind) -> Result<()> {
    let (_ann, _desk, browser) = complete(company, kind).await?;
    ensure!(kept(&browser).await? == (1, true), "a complete set-up leaves {:?}", kept(&browser).await?);
    browser.stop_background().await?;
    browser.in_page("page.mxDispatcher.dispatch({ action: 'logout' });", vec![]).await?;
    until("nothing that opens the recovery key", PATIENCE, async || {
        let kept = kept(&browser).await?;
        if kept == (0, false) { Ok(Some(())) } else { bail!("wrapping keys and wrapped copies: {kept:?}") }
    })
    .await?;
    browser.quit().await
}

async fn logout_and_login(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, desk, browser) = complete(company, kind).await?;
    let (_, recovery_key) = company.open_sealed_recovery(&ann).await?;
    browser.in_page("page.mxDispatcher.dispatch({ action: 'logout' });", vec![]).await?;
    browser.wait_for_state(State::SignedOut, PATIENCE).await?;

    browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
    browser.wait_for_state(State::Recover, PATIENCE).await?;
    browser.press("Use recovery key").await?;
    browser.find("#mx_securityKey").await?.send_keys(&recovery_key).await?;
    browser.press("Continue").await?;
    browser.press("Done").await?;
    browser.wait_until_logged_in().await?;
    browser.quit().await
}

async fn ended_unseen(company: &Company, kind: BrowserKind) -> Result<()> {
    let (_ann, desk, browser) = complete(company, kind).await?;
    let (bob, _) = company.hire_with_key("bob", KeyKind::Ed25519).await?;
    // The person clears the site's data.
    browser.session().goto(format!("{}/sw.js", desk.element.url())).await?;
    browser.in_page("page.localStorage.clear(); page.sessionStorage.clear();", vec![]).await?;
    browser.log_in(&desk.element.url(), &bob.localpart, &bob.password).await?;
    let complete = |deployment: &keystead_webdriver_tests::Deployment| {
        deployment.account.as_ref() == Some(&bob.user_id) && deployment.progress.state == State::Complete
    };
    browser.wait_for("the second person's set-up", PATIENCE, complete).await?;
    ensure!(kept(&browser).await? == (1, true), "of two people there is left {:?}", kept(&browser).await?);
    browser.quit().await
}

async fn store_starts_the_background(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, _desk, browser) = complete(company, kind).await?;
    let (key_id, _) = company.sealed_recovery(&ann).await?;
    browser.stop_background().await?;
    let store = "void page.mxMatrixClientPeg.get().secretStorage.store('org.example.secret', 'of an application');";
    browser.in_page(store, vec![]).await?;
    until("the secret in secret storage", PATIENCE, async || {
        let data = company.account_data(&ann).await?;
        Ok(data["org.example.secret"]["encrypted"][&key_id]["ciphertext"].is_string().then_some(()))
    })
    .await?;
    let dialogs = browser.in_page("return document.querySelectorAll('.mx_Dialog').length;", vec![]).await?;
    ensure!(dialogs == 0, "Element asks the person for the recovery key");
    browser.quit().await
}

async fn pause(company: &Company, kind: BrowserKind) -> Result<()> {
    let ann = company.hire("ann").await?;
    let (desk, browser) = at_work(company, kind, &ann).await?;
    let first = browser.wait_for_code("KS-DIR-NONE", PATIENCE).await?;
    let asked = desk.keyserver.requests().len();
    browser.stop_background().await?;
    let again = browser.wait_for_code("KS-DIR-NONE", PATIENCE).await?;
    ensure!(again.progress.problem == first.progress.problem, "it was tried again");
    ensure!(again.progress.retry_at == first.progress.retry_at, "the next try was put off");
    ensure!(desk.keyserver.requests().len() == asked, "the key server was asked again");

    retry(&browser, &desk).await?;
    let pressed = browser.wait_for_code("KS-DIR-NONE", PATIENCE).await?;
    ensure!(pressed.progress.problem != first.progress.problem, "the person's own try was held up");
    ensure!(desk.keyserver.requests().len() > asked, "the key server was not asked");
    browser.quit().await
}

/// How many wrapping keys the vault has, and whether a record has a wrapped copy of a recovery key.
async fn kept(browser: &Browser) -> Result<(u64, bool)> {
    const READ: &str = r"
        const done = arguments[0];
        const opening = indexedDB.open('keystead');
        opening.onerror = () => done(null);
        opening.onsuccess = () => {
            const transaction = opening.result.transaction(['records', 'wrapping_keys']);
            const keys = transaction.objectStore('wrapping_keys').count();
            const records = transaction.objectStore('records').getAll();
            transaction.oncomplete = () => {
                opening.result.close();
                done([keys.result, records.result.map(String).join('\n')]);
            };
        };
    ";
    let read = browser.in_own_page(async |session| Ok(session.execute_async(READ, vec![]).await?.json().clone()));
    let read = read.await?;
    let keys = read[0].as_u64().context("the extension's database was not read")?;
    let records = read[1].as_str().context("no records")?.lines();
    let accounts = records.filter_map(|text| serde_json::from_str::<Value>(text).ok());
    let wrapped = |account: &Value| {
        let keys = account["keys"].as_array().cloned().unwrap_or_default();
        keys.iter().any(|key| key["wrapped"] != json!(null)) || !account["opened"].is_null()
    };
    let accounts: Vec<_> = accounts.filter(|record| record["keys"].is_array()).collect();
    Ok((keys, accounts.iter().any(wrapped)))
}
