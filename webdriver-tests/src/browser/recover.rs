//! The extension's page on which a person opens history by hand.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use thirtyfour::extensions::query::ElementQueryable;
use thirtyfour::{By, WebDriver, WebElement};

use super::Browser;
use crate::{PATIENCE, until};

const PAUSE: Duration = Duration::from_millis(50);
/// All that a document holds: its markup, what is in its fields, its title and its address. With the first of these texts put
/// into a field of it, and the second into its markup, for as long as it is looked at.
const EVERYTHING: &str = r"
    const [typed, written] = arguments;
    const field = document.body.appendChild(document.createElement('textarea'));
    const comment = document.body.appendChild(document.createComment(written));
    field.value = typed;
    const fields = [...document.querySelectorAll('input, textarea, select')].map((one) => one.value);
    const all = [document.documentElement.outerHTML, ...fields, document.title, location.href, JSON.stringify(history.state)];
    field.remove();
    comment.remove();
    return all.join('\n');
";

/// The page, open in a window of its own.
pub struct RecoverPage<'b>(&'b WebDriver);

impl Browser {
    /// Does something on the page.
    ///
    /// # Errors
    /// If the page does not open, or the doing fails.
    pub async fn on_recover_page<T>(
        &self,
        element: &str,
        act: impl AsyncFnOnce(&RecoverPage<'_>) -> Result<T>,
    ) -> Result<T> {
        let path = format!("pages/page.html#recover?origin={element}");
        self.in_own_page_at(&path, async |session| act(&RecoverPage(session)).await).await
    }
}

impl Browser {
    /// Does something on the page on which the backup is tested: its field and its message are the same.
    ///
    /// # Errors
    /// As for [`Browser::on_recover_page`].
    pub async fn on_drill_page<T>(
        &self,
        element: &str,
        act: impl AsyncFnOnce(&RecoverPage<'_>) -> Result<T>,
    ) -> Result<T> {
        let path = format!("pages/page.html#drill?origin={element}");
        self.in_own_page_at(&path, async |session| act(&RecoverPage(session)).await).await
    }
}

impl RecoverPage<'_> {
    /// The element that a selector finds, once it is there.
    ///
    /// # Errors
    /// If it does not come.
    pub async fn find(&self, selector: &str) -> Result<WebElement> {
        let found = self.0.query(By::Css(selector)).wait(PATIENCE, PAUSE).first().await;
        found.with_context(|| format!("the page has no {selector}"))
    }

    /// Pastes an opened sealed recovery, or types a recovery key, and sends it.
    ///
    /// # Errors
    /// If there is no field.
    pub async fn send(&self, text: &str) -> Result<()> {
        self.find("#opened").await?.send_keys(text).await?;
        Ok(self.find("#send").await?.click().await?)
    }

    /// What the page says is wrong, once it says so.
    ///
    /// # Errors
    /// If it does not.
    pub async fn trouble(&self) -> Result<String> {
        let told = async || {
            // The page may be drawn anew between the two.
            let said = self.find("#trouble").await?.text().await.unwrap_or_default();
            Ok(said.contains('.').then_some(said))
        };
        until("what is wrong", PATIENCE, told).await
    }

    /// The person says that the security code is theirs; over when the page says that history is open.
    ///
    /// # Errors
    /// If it does not come to that.
    pub async fn believe(&self) -> Result<()> {
        self.find("#mine").await?.click().await?;
        self.find(".outcome").await?;
        Ok(())
    }

    /// All that the document holds, with controls in it: one in a field and one in the markup.
    ///
    /// # Errors
    /// If the page cannot be asked.
    pub async fn everything(&self, typed: &str, written: &str) -> Result<String> {
        let all = self.0.execute(EVERYTHING, vec![typed.into(), written.into()]).await?;
        Ok(all.json().as_str().context("no text")?.to_owned())
    }

    /// The person leaves for another page, and goes back by the browser's own button.
    ///
    /// # Errors
    /// If the browser does not.
    pub async fn leave_and_come_back(&self) -> Result<()> {
        self.0.goto("about:blank").await?;
        self.0.back().await?;
        self.find("#view *").await?;
        Ok(())
    }

    /// A picture of all of it, in a window that shows it without a margin.
    ///
    /// # Errors
    /// If the browser makes none.
    pub async fn picture_of_all(&self, to: &Path) -> Result<()> {
        self.0.set_window_rect(0, 0, 720, 1200).await?;
        Ok(self.0.find(By::Css("body")).await?.screenshot(to).await?)
    }

    /// A picture of it.
    ///
    /// # Errors
    /// If the browser makes none.
    pub async fn picture(&self, to: &Path) -> Result<()> {
        Ok(self.0.screenshot(to).await?)
    }
}
