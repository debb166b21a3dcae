//! A background that the browser stopped while nothing was under way: the popup goes on to say what it waits for, *Try again*
//! finds it, and a logout that starts the background is a whole logout.

use anyhow::{Result, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{BrowserKind, Company, PATIENCE, State, until};

use crate::scene::{at_work, complete, finishes, log_out};

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add(kind, "stopped while it waits for a certificate, and again when there is one", waiting(company, kind));
    rows.add(
        kind,
        "stopped, and started by a logout: nothing that opens the recovery key is left",
        logout(company, kind),
    );
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
