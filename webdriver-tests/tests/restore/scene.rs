//! How rows begin.

use anyhow::{Context, Result};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::{Browser, BrowserKind, Company, Desk, Employee, PATIENCE, State, until};
use serde_json::{Value, json};

/// Somebody whose first set-up is complete, with a message in the backup.
pub(crate) struct Scene {
    pub(crate) ann: Employee,
    /// The fingerprint of the certificate.
    pub(crate) certificate: String,
    pub(crate) desk: Desk,
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
    let (ann, certificate) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    let mut policy = company.policy(&desk);
    change(&mut policy);
    let browser = company.browser(kind, policy).await?;
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
    Ok((Scene { ann, certificate, desk, room_id, words, identity }, browser))
}

impl Scene {
    /// Everything is as it was, and the old message can be read.
    pub(crate) async fn is_whole(&self, company: &Company, browser: &Browser) -> Result<()> {
        browser.wait_until_logged_in().await?;
        browser.wait_until_readable(&self.room_id, self.words).await?;
        browser.wait_for_state(State::Complete, PATIENCE).await?;
        anyhow::ensure!(company.identity(&self.ann).await? == self.identity, "the identity was replaced");
        Ok(())
    }
}
