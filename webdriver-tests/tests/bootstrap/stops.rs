//! A background that the browser stopped while nothing was under way: the popup goes on to say what it waits for, *Try again*
//! finds it, and a logout that starts the background is a whole logout.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{Browser, BrowserKind, BrowserOptions, Company, Extension, PATIENCE, State, until};
use thirtyfour::WebDriver;

use crate::scene::{at_work, complete, finishes, log_out};

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add_shared(
        kind,
        "stopped while it waits for a certificate, and again when there is one",
        waiting(company, kind),
    );
    rows.add_shared(
        kind,
        "stopped, and started by a logout: nothing that opens the recovery key is left",
        logout(company, kind),
    );
    rows.add(kind, "stopped where all is in place: a start compiles the first part alone", first_part(company, kind));
}

async fn waiting(company: &Company, kind: BrowserKind) -> Result<()> {
    let ann = company.hire("ann").await?;
    let (desk, browser) = at_work(company, kind, &ann).await?;
    let waits = browser.wait_for_code("KS-DIR-NONE", PATIENCE).await?;
    ensure!(waits.progress.state == State::Waiting, "the state is {:?}", waits.progress.state);
    ensure!(waits.progress.retry_at.is_some(), "nothing is due");
    browser.stop_background().await?;
    // The popup starts it, and the page tells it who is logged in.
    browser.wait_for_code("KS-DIR-NONE", PATIENCE).await?;

    let fingerprint = company.certified_key(&ann.address, KeyKind::Ed25519).await?;
    company.sks.add_key(&company.gpg.export(&fingerprint).await?).await?;
    browser.stop_background().await?;
    finishes(company, &ann, &fingerprint, &desk, &browser).await?;
    browser.quit().await
}

async fn logout(company: &Company, kind: BrowserKind) -> Result<()> {
    let (_ann, _desk, browser) = complete(company, kind).await?;
    ensure!(browser.wrapping_keys().await? == 1, "the vault does not hold one key");
    browser.stop_background().await?;
    log_out(&browser).await?;
    let gone = async || Ok((browser.wrapping_keys().await? == 0).then_some(()));
    until("an empty vault", PATIENCE, gone).await?;
    browser.quit().await
}

/// What an ordinary start calls is in the part of the background that is compiled at each start.
async fn first_part(company: &Company, kind: BrowserKind) -> Result<()> {
    const LOAD: &str = "export const load = () => {";
    const TELL: &str = "(globalThis.browser ?? chrome).storage.session.set({ later: new Error().stack });";
    const FORGET: &str = r"
        const done = arguments[0];
        const page = window.wrappedJSObject ?? window;
        (page.browser ?? page.chrome).storage.session.remove('later').then(() => done(true), () => done(false));
    ";
    const READ: &str = r"
        const done = arguments[0];
        const page = window.wrappedJSObject ?? window;
        (page.browser ?? page.chrome).storage.session.get('later').then(({ later }) => done(later ?? ''), () => done(null));
    ";
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    let extension = Extension::packed_for_tests(kind)?;
    extension.replace_in("js/later.js", LOAD, &format!("{LOAD} {TELL}"))?;
    let browser = Browser::start(kind, BrowserOptions { extension, policy: company.policy(&desk) }).await?;
    browser.wait_until_installed().await?;
    browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    let loaded = async || {
        let read = async |session: &WebDriver| Ok(session.execute_async(READ, vec![]).await?.json().clone());
        let stack = browser.in_own_page(read).await?;
        Ok::<_, anyhow::Error>(stack.as_str().context("no answer")?.to_owned())
    };
    ensure!(!loaded().await?.is_empty(), "the first set-up was done without OpenPGP");
    let forget = async |session: &WebDriver| Ok(session.execute_async(FORGET, vec![]).await?.json().clone());
    ensure!(browser.in_own_page(forget).await? == true, "nothing is forgotten");
    browser.stop_background().await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    // The page has told by then who is logged in, and a run has found everything in place.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let stack = loaded().await?;
    ensure!(stack.is_empty(), "the second part was loaded: {stack}");
    browser.quit().await
}
