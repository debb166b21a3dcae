//! Pages and sessions that are none of Keystead's: left as they are, and heard of by nobody.

use std::fs;

use anyhow::{Result, ensure};
use keystead_testbed::{HostPage, HostPageOptions, KeyKind, Recorded};
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{
    Browser, BrowserKind, BrowserOptions, Company, Desk, Employee, Extension, PATIENCE, until,
};
use reqwest::header;
use serde_json::json;

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    let name = "not ours: Element on another port of the host is left as it is";
    rows.add_shared(kind, name, another_port(company, kind));
    let name = "not ours: a login at another homeserver hands over no token";
    rows.add_shared(kind, name, another_homeserver(company, kind));
    let name = "not ours: with a background that cannot start, Element has its own functions";
    rows.add_shared(kind, name, broken_background(company, kind));
}

async fn another_port(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    let elsewhere = element(company, &desk, &desk)?;
    let browser = company.browser(kind, company.policy(&desk)).await?;
    left_alone(&browser, &elsewhere, &ann).await?;
    ensure!(desk.keyserver.requests().is_empty(), "the key server was asked");
    company.nothing_set_up(&ann).await?;
    browser.quit().await
}

async fn another_homeserver(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let (desk, other) = (company.desk()?, company.desk()?);
    // The deployment's own Element, with a login at another homeserver.
    let page = element(company, &desk, &other)?;
    let mut policy = company.policy(&desk);
    policy["deployments"][0]["origin"] = json!(page.url());
    let browser = company.browser(kind, policy).await?;
    browser.log_in(&page.url(), &ann.localpart, &ann.password).await?;
    browser.wait_until_logged_in().await?;
    // Over when the page had all the time it needs to say who is logged in.
    browser.ask(&json!({ "ask": "retry", "origin": page.url() })).await?;
    let status = browser.status().await?;
    ensure!(status.deployments.iter().all(|one| one.account.is_none()), "the popup shows: {status}");
    let with_token = |it: &Recorded| it.asked.headers.contains_key(header::AUTHORIZATION);
    let handed_over = desk.homeserver.requests().iter().filter(|it| with_token(it)).count();
    ensure!(handed_over == 0, "the policy's homeserver got {handed_over} requests with another one's token");
    ensure!(other.homeserver.requests().iter().any(with_token), "nobody has logged in");
    company.nothing_set_up(&ann).await?;
    browser.quit().await
}

async fn broken_background(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    let extension = Extension::packed_for_tests(kind)?;
    let module = extension.dir().join("background/keystead_extension_bg.wasm");
    let browser = Browser::start(kind, BrowserOptions { extension, policy: company.policy(&desk) }).await?;
    browser.wait_until_installed().await?;
    browser.stop_background().await?;
    fs::remove_file(module)?;
    left_alone(&browser, &desk.element, &ann).await?;
    browser.quit().await
}

/// Somebody logs in, and finds Element as it is without Keystead.
async fn left_alone(browser: &Browser, page: &HostPage, who: &Employee) -> Result<()> {
    const LEFT: &str = "
        const handles = ['mxMatrixClientPeg', 'matrixChat', 'mxDispatcher'];
        const plain = (name) => 'value' in (Object.getOwnPropertyDescriptor(page, name) ?? {});
        const storage = page.mxMatrixClientPeg.get()?.secretStorage;
        const own = storage && !Object.hasOwn(storage, 'get') && !Object.hasOwn(storage, 'store');
        return Boolean(own) && handles.every(plain);";
    browser.log_in(&page.url(), &who.localpart, &who.password).await?;
    browser.wait_until_logged_in().await?;
    until(
        "Element's own functions",
        PATIENCE,
        async || Ok((browser.in_page(LEFT, vec![]).await? == true).then_some(())),
    )
    .await
}

/// Element Web as somebody else serves it on the host of `desk`, for the homeserver of `homeserver`.
fn element(company: &Company, desk: &Desk, homeserver: &Desk) -> Result<HostPage> {
    let name = company.synapse.server_name();
    HostPage::start(desk.element.dir(), &homeserver.homeserver.url(), name, HostPageOptions::default())
}
