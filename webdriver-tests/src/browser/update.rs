//! Another version of the extension in the place of the one that runs, under the open page.

use anyhow::{Context, Result, ensure};
use thirtyfour::extensions::addons::firefox::FirefoxTools;

use super::{Browser, BrowserKind, Extension, extension_url};
use crate::{PATIENCE, until};

/// Reads the version of the extension that an own page is of.
const VERSION: &str = r"
    const page = window.wrappedJSObject ?? window;
    return (page.browser ?? page.chrome)?.runtime?.getManifest?.().version ?? null;
";
/// Starts the extension anew from its folder, once this is answered: the page that does it is closed by it.
const RELOAD: &str = "setTimeout(() => chrome.runtime.reload(), 100);";

impl Browser {
    /// Puts another version of the extension in the place of the one that runs, as the browser's own update does: the same
    /// profile, and the page stays open. Returns when the other one runs.
    ///
    /// # Errors
    /// If it does not come to that.
    pub async fn update(&mut self, newer: Extension) -> Result<()> {
        let version = newer.version()?;
        match self.kind {
            BrowserKind::Chromium => {
                self.options.extension.become_copy_of(&newer)?;
                self.in_own_page(async |session| Ok(session.execute(RELOAD, vec![]).await.map(drop)?)).await?;
            }
            BrowserKind::Firefox => {
                self.close_own_window().await?;
                let dir = newer.dir().to_str().context("a path that is no text")?;
                FirefoxTools::new(self.session.handle().clone()).install_addon(dir, Some(true)).await?;
                self.options.extension = newer;
            }
        }
        until("the other version", PATIENCE, async || {
            let runs = self.running_version().await;
            Ok((runs.ok().as_deref() == Some(&*version)).then_some(()))
        })
        .await?;
        self.close_own_window().await?;
        self.extension_url = extension_url(self.kind, &self.session, &self.options).await?;
        Ok(())
    }

    /// The version of the extension, as a page of its own knows it.
    async fn running_version(&self) -> Result<String> {
        let url = extension_url(self.kind, &self.session, &self.options).await?;
        let window = self.session.new_window().await?;
        self.session.switch_to_window(window).await?;
        let asked = async {
            self.session.goto(format!("{url}pages/page.html#popup")).await?;
            let version = self.session.execute(VERSION, vec![]).await?;
            version.json().as_str().map(str::to_owned).context("no page of the extension")
        };
        let asked = asked.await;
        // The browser may have closed it with the extension that it was of.
        let _ = self.session.close_window().await;
        self.session.switch_to_window(self.page.clone()).await?;
        asked
    }

    /// Closes the window of the extension's own pages; one that the browser closed is gone as well.
    async fn close_own_window(&self) -> Result<()> {
        let Some(window) = self.own.lock().await.take() else { return Ok(()) };
        if self.session.windows().await?.contains(&window) {
            self.session.switch_to_window(window).await?;
            self.session.close_window().await?;
        }
        self.session.switch_to_window(self.page.clone()).await?;
        let left = self.session.windows().await?.len();
        ensure!(left == 1, "{left} windows are left");
        Ok(())
    }
}
