//! How rows begin, and how they look at what came of it.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use keystead_testbed::{Asked, KeyKind, Proxy};
use keystead_webdriver_tests::{Browser, BrowserKind, Company, Desk, Employee, PATIENCE, State, until};
use reqwest::Method;
use reqwest::header::ORIGIN;
use serde_json::{Value, json};
use thirtyfour::extensions::query::ElementQueryable as _;
use thirtyfour::{By, WebDriver, WebElement};

/// Somebody whose first set-up is complete, with a message in the backup.
pub(crate) struct Scene {
    pub(crate) ann: Employee,
    /// The fingerprint of the certificate.
    pub(crate) certificate: String,
    pub(crate) desk: Rc<Desk>,
    pub(crate) room_id: String,
    pub(crate) words: &'static str,
    /// The account's published identity.
    pub(crate) identity: Value,
}

/// Sets somebody up under the usual policy, with this in its `restore` section.
pub(crate) async fn set_up(company: &Company, kind: BrowserKind, restore: Value) -> Result<(Scene, Browser)> {
    set_up_under(company, kind, |policy| policy["restore"] = restore).await
}

/// Sets somebody up under the usual policy, changed so.
pub(crate) async fn set_up_under(
    company: &Company,
    kind: BrowserKind,
    change: impl FnOnce(&mut Value),
) -> Result<(Scene, Browser)> {
    let desk = Rc::new(company.desk()?);
    let mut policy = company.policy(&desk);
    change(&mut policy);
    let browser = company.browser(kind, policy).await?;
    let scene = set_up_at(company, desk, &browser).await?;
    Ok((scene, browser))
}

/// Sets somebody up at a browser where nobody is logged in.
pub(crate) async fn set_up_at(company: &Company, desk: Rc<Desk>, browser: &Browser) -> Result<Scene> {
    let (ann, certificate) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;

    let bob = company.hire("bob").await?;
    let room =
        company.client("send", &bob, &json!({ "messages": [], "invite": [ann.user_id], "logout": true })).await?;
    let room_id = room["roomId"].as_str().context("no room")?.to_owned();
    company.join(&ann, &room_id).await?;
    let words = "written in the session before";
    let sent = json!({ "roomId": room_id, "messages": [words], "awaitJoin": [ann.user_id], "logout": true });
    company.client("send", &bob, &sent).await?;
    until("the message's key in the backup", PATIENCE, async || {
        Ok((company.backed_up_keys(&ann).await? > 0).then_some(()))
    })
    .await?;
    let identity = company.identity(&ann).await?;
    Ok(Scene { ann, certificate, desk, room_id, words, identity })
}

impl Scene {
    /// Everything is as it was, and the old message can be read.
    pub(crate) async fn is_whole(&self, company: &Company, browser: &Browser) -> Result<()> {
        browser.wait_until_logged_in().await?;
        browser.wait_until_readable(&self.room_id, self.words).await?;
        browser.wait_for_state(State::Complete, PATIENCE).await?;
        ensure!(company.identity(&self.ann).await? == self.identity, "the identity was replaced");
        Ok(())
    }
}

/// Requests of the extension, not of Element's page, that end with this path.
pub(crate) fn by_extension(desk: &Desk, method: Method, path: &str) -> impl Fn(&Asked) -> bool + Send + Sync + 'static {
    let (element, path) = (desk.element.url(), path.to_owned());
    move |asked| {
        let of_page = asked.headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes() == element.as_bytes());
        asked.method == method && !of_page && asked.path.ends_with(&path)
    }
}

/// Waits until a rule of this name has decided about a request.
pub(crate) async fn met(proxy: &Proxy, rule: &str, browser: &Browser, limit: Duration) -> Result<()> {
    until(rule, limit, async || {
        let met = proxy.requests().iter().any(|request| request.rule.as_deref() == Some(rule));
        if met { Ok(Some(())) } else { bail!("the popup shows: {}", browser.status().await?) }
    })
    .await
}

/// One recovery key is in force, sealed to these certificates and no other; what gpg takes from it opens the account for
/// matrix-js-sdk. Returns its id.
pub(crate) async fn one_in_force(company: &Company, who: &Employee, fingerprints: &[&str]) -> Result<String> {
    company.sealed_to_exactly(who, fingerprints).await?;
    let (id, key) = company.open_sealed_recovery(who).await?;
    let opened = company.client("open", who, &json!({ "recoveryKey": key })).await?;
    ensure!(opened["keyId"] == id && opened["publicKeysMatch"] == true, "the recovery key opens something else");
    Ok(id)
}

/// The first element of the window that is shown that a selector finds, once it is there.
pub(crate) async fn find(session: &WebDriver, selector: &str) -> Result<WebElement> {
    let found = session.query(By::Css(selector)).wait(PATIENCE, Duration::from_millis(50)).first().await;
    found.with_context(|| format!("the page has no {selector}"))
}
