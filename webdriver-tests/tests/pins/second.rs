//! Two browsers of one person: how the second one comes in, and what each of them keeps of what they share.

use anyhow::{Context, Result};
use keystead_testbed::Asked;
use keystead_webdriver_tests::{Browser, Company, PATIENCE, State, until};
use serde_json::Value;

use crate::{hand, scene::Scene};

/// The account data that says what is shared.
pub(crate) const HEAD: &str = "io.keystead.pins";

impl Scene {
    /// A new browser of Ann's, in which she opens her sealed recovery by hand.
    pub(crate) async fn another_browser(&self, company: &Company) -> Result<Browser> {
        let browser = company.browser(self.browser.kind(), self.policy.clone()).await?;
        self.restore(company, &browser).await?;
        Ok(browser)
    }

    /// Logs Ann in at a new browser, and opens her sealed recovery there.
    pub(crate) async fn restore(&self, company: &Company, browser: &Browser) -> Result<()> {
        let element = self.desk.element.url();
        browser.log_in(&element, &self.ann.localpart, &self.ann.password).await?;
        browser.wait_for_state(State::Recover, PATIENCE).await?;
        let (_, message) = company.sealed_recovery(&self.ann).await?;
        let opened = String::from_utf8(company.gpg.decrypt(&message).await?)?;
        browser
            .on_recover_page(&element, async |page| {
                page.send(&opened.replace('\n', " \n")).await?;
                page.believe().await
            })
            .await?;
        browser.wait_until_logged_in().await?;
        browser.wait_for_state(State::Complete, PATIENCE).await?;
        Ok(())
    }

    /// What a browser of Ann's keeps of somebody; null where that is nothing.
    pub(crate) async fn pin(&self, browser: &Browser, user: &str) -> Result<Value> {
        hand::record(browser, &format!("pin|{}|{}|{user}", self.desk.element.url(), self.ann.user_id)).await
    }

    /// Waits until what a browser keeps of somebody is as it should be, and answers with it.
    pub(crate) async fn pin_when(
        &self,
        browser: &Browser,
        user: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let kept = async || {
            let pin = self.pin(browser, user).await?;
            if wanted(&pin) { Ok(Some(pin)) } else { Err(anyhow::anyhow!("it keeps {pin}")) }
        };
        until(what, PATIENCE, kept).await
    }

    /// Waits until what is shared says all that a browser of Ann's knows; answers with the number of that state.
    pub(crate) async fn all_is_shared(&self, company: &Company, browser: &Browser) -> Result<u64> {
        let key = format!("pin-share|{}|{}", self.desk.element.url(), self.ann.user_id);
        until("a store that has heard of everything", PATIENCE, async || {
            let log = self.log_of(browser).await?;
            let last: Value = serde_json::from_str(log.lines().last().context("an empty log")?)?;
            let heard = hand::record(browser, &key).await?["heard"].as_u64();
            let all = heard.is_some() && heard == last["head"]["number"].as_u64();
            Ok(if all { self.state_of_store(company).await? } else { None })
        })
        .await
    }

    /// The number of the state that the homeserver has.
    pub(crate) async fn state_of_store(&self, company: &Company) -> Result<Option<u64>> {
        Ok(company.account_data(&self.ann).await?[HEAD]["counter"].as_u64())
    }
}

/// Has a request this token?
pub(crate) fn is_of(asked: &Asked, token: &str) -> bool {
    let given = asked.headers.get("authorization").and_then(|header| header.to_str().ok());
    given.and_then(|header| header.strip_prefix("Bearer ")) == Some(token)
}
