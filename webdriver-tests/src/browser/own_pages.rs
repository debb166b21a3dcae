//! The extension's own pages and its background, from the outside.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use thirtyfour::common::command::FormatRequestData;
use thirtyfour::{By, RequestData, SessionId, WebDriver, WindowHandle};

use super::{Browser, BrowserKind};
use crate::{PATIENCE, until};

/// Sends a message as the extension's popup does. Firefox runs WebDriver's scripts beside the page, not in it.
const SEND: &str = r"
    const [message, done] = arguments;
    const page = window.wrappedJSObject ?? window;
    const api = page.browser ?? page.chrome;
    const own = typeof cloneInto === 'function' ? cloneInto(message, page) : message;
    api.runtime.sendMessage(own).then(
        (answer) => done({ answer: JSON.stringify(answer ?? null) }),
        (error) => done({ error: String(error) }),
    );
";

impl Browser {
    /// Asks the background as the popup does.
    ///
    /// # Errors
    /// If the extension does not answer, or refuses.
    pub async fn ask(&self, message: &Value) -> Result<Value> {
        self.in_own_page(async |session| {
            let answer = session.execute_async(SEND, vec![message.clone()]).await?.json().clone();
            if let Some(error) = answer["error"].as_str() {
                bail!("the background did not answer: {error}");
            }
            let mut reply: Value = serde_json::from_str(answer["answer"].as_str().context("no answer")?)?;
            match reply.get_mut("Ok") {
                Some(answer) => Ok(answer.take()),
                None => bail!("the background refuses: {reply}"),
            }
        })
        .await
    }

    /// Asks the background as the popup does, and does not wait for the answer.
    ///
    /// # Errors
    /// If the popup does not open.
    pub async fn tell(&self, message: &Value) -> Result<()> {
        const TELL: &str = r"
            const page = window.wrappedJSObject ?? window;
            const api = page.browser ?? page.chrome;
            const message = typeof cloneInto === 'function' ? cloneInto(arguments[0], page) : arguments[0];
            api.runtime.sendMessage(message).then(() => {}, () => {});
        ";
        self.in_own_page(async |session| {
            session.execute(TELL, vec![message.clone()]).await?;
            Ok(())
        })
        .await
    }

    /// Waits until the browser has an extension that a policy names.
    ///
    /// # Errors
    /// If it does not come.
    pub async fn wait_until_there(&self) -> Result<()> {
        let page = format!("{}pages/page.html#popup", self.extension_url);
        until("the extension", PATIENCE, async || {
            self.session().goto(&page).await?;
            let is_there = self.session().current_url().await?.as_str() == page;
            Ok((is_there && self.session().title().await? == "Keystead").then_some(()))
        })
        .await
    }

    /// Waits until the extension has its policy and its scripts are in place, as on a machine where it was installed
    /// before the person sat down at it. Browsers hand a policy over some seconds after a first installation.
    ///
    /// # Errors
    /// If it does not come to that.
    pub async fn wait_until_installed(&self) -> Result<()> {
        const SCRIPTS: &str = r"
            const done = arguments[0];
            const page = window.wrappedJSObject ?? window;
            const api = page.browser ?? page.chrome;
            if (!api?.scripting) done(0);
            else api.scripting.getRegisteredContentScripts().then((scripts) => done(scripts.length), () => done(0));
        ";
        until("the extension's scripts in place", PATIENCE, async || {
            let registered =
                self.in_own_page(async |session| Ok(session.execute_async(SCRIPTS, vec![]).await?.json().as_u64()));
            Ok(registered.await?.filter(|scripts| *scripts >= 2).map(|_| ()))
        })
        .await
    }

    /// How many wrapping keys the vault holds.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn wrapping_keys(&self) -> Result<u64> {
        const COUNT: &str = r"
            const done = arguments[0];
            const opening = indexedDB.open('keystead');
            opening.onerror = () => done(null);
            opening.onsuccess = () => {
                const counting = opening.result.transaction('wrapping_keys').objectStore('wrapping_keys').count();
                counting.onsuccess = () => { opening.result.close(); done(counting.result); };
                counting.onerror = () => done(null);
            };
        ";
        self.in_own_page(async |session| {
            session.execute_async(COUNT, vec![]).await?.json().as_u64().context("the vault cannot be counted")
        })
        .await
    }

    /// The master key that this browser has seen in place for an account, as it keeps it; `None` where it has seen none.
    ///
    /// # Errors
    /// If the database refuses, or what is in it cannot be read.
    pub async fn pin(&self, element: &str, user_id: &str) -> Result<Option<String>> {
        Ok(self.record(element, user_id).await?["master_key"].as_str().map(str::to_owned))
    }

    async fn record(&self, element: &str, user_id: &str) -> Result<Value> {
        const READ: &str = r"
            const [key, done] = arguments;
            const opening = indexedDB.open('keystead');
            opening.onerror = () => done(null);
            opening.onsuccess = () => {
                const reading = opening.result.transaction('records').objectStore('records').get(key);
                reading.onsuccess = () => { opening.result.close(); done(reading.result ?? '{}'); };
                reading.onerror = () => done(null);
            };
        ";
        let key = format!("account|{element}|{user_id}");
        self.in_own_page(async |session| {
            let record = session.execute_async(READ, vec![key.into()]).await?.json().clone();
            Ok(serde_json::from_str(record.as_str().context("the record cannot be read")?)?)
        })
        .await
    }

    /// Removes the vault's wrapping keys, as a browser that cleans up does.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn lose_vault(&self) -> Result<()> {
        const CLEAR: &str = r"
            const done = arguments[0];
            const opening = indexedDB.open('keystead');
            opening.onerror = () => done('not opened');
            opening.onsuccess = () => {
                const transaction = opening.result.transaction('wrapping_keys', 'readwrite');
                transaction.objectStore('wrapping_keys').clear();
                transaction.oncomplete = () => { opening.result.close(); done('cleared'); };
                transaction.onabort = () => done('not cleared');
            };
        ";
        self.in_own_page(async |session| {
            let said = session.execute_async(CLEAR, vec![]).await?.json().clone();
            if said == "cleared" { Ok(()) } else { bail!("the vault was {said}") }
        })
        .await
    }

    /// Does something in a window that shows the extension's popup page; the page's window is the session's again after.
    ///
    /// # Errors
    /// If the page does not open, or the doing fails.
    pub async fn in_own_page<T>(&self, act: impl AsyncFnOnce(&WebDriver) -> Result<T>) -> Result<T> {
        let session = self.session();
        // One at a time: a WebDriver session has one window at a time.
        let mut own = self.own.lock().await;
        match own.as_ref() {
            Some(window) => session.switch_to_window(window.clone()).await?,
            None => *own = Some(self.open_own_window("pages/page.html#popup").await?),
        }
        let done = act(session).await;
        session.switch_to_window(self.page.clone()).await?;
        done
    }

    /// Does something in a window of its own that shows a page of the extension's folder.
    ///
    /// # Errors
    /// If the page does not open, or the doing fails.
    pub async fn in_own_page_at<T>(&self, path: &str, act: impl AsyncFnOnce(&WebDriver) -> Result<T>) -> Result<T> {
        let _one = self.own.lock().await;
        self.open_own_window(path).await?;
        let done = act(self.session()).await;
        self.session().close_window().await?;
        self.session().switch_to_window(self.page.clone()).await?;
        done
    }

    /// Makes a new window the page's.
    pub(crate) async fn go_to_new_window(&mut self) -> Result<()> {
        let session = self.session().clone();
        // WebDriver needs a window to speak from, and the one it had is closed.
        let left = session.windows().await?.into_iter().next().context("no window is left")?;
        session.switch_to_window(left).await?;
        let window = session.new_window().await?;
        session.switch_to_window(window.clone()).await?;
        self.page = window;
        Ok(())
    }

    /// Opens a window, not a tab: the page's tab must not fall asleep in the background.
    async fn open_own_window(&self, path: &str) -> Result<WindowHandle> {
        let window = self.session().new_window().await?;
        self.session().switch_to_window(window.clone()).await?;
        self.session().goto(format!("{}{path}", self.extension_url)).await?;
        Ok(window)
    }

    /// What pages wrote to the console so far. (Chromium forgets what it has told.)
    ///
    /// # Errors
    /// If the browser does not tell.
    pub async fn console(&self) -> Result<String> {
        match self.kind {
            BrowserKind::Chromium => {
                let entries = self.session().browser_log().await?;
                Ok(entries.into_iter().map(|entry| entry.message).collect::<Vec<_>>().join("\n"))
            }
            BrowserKind::Firefox => self.output(),
        }
    }

    /// A picture of the page that is shown to the person.
    ///
    /// # Errors
    /// If the browser makes none.
    pub async fn picture(&self, to: &Path) -> Result<()> {
        Ok(self.session().screenshot(to).await?)
    }

    /// Has pages believe that the person likes them dark, or light.
    ///
    /// # Errors
    /// If the browser refuses.
    pub async fn prefer_dark(&self, dark: bool) -> Result<()> {
        match self.kind {
            BrowserKind::Chromium => {
                let value = if dark { "dark" } else { "light" };
                let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
                self.session().cdp().send_raw("Emulation.setEmulatedMedia", media).await?;
            }
            BrowserKind::Firefox => {
                let script =
                    "Services.prefs.setIntPref('layout.css.prefers-color-scheme.content-override', arguments[0]);";
                in_chrome(self.session(), script, vec![json!(i32::from(!dark))]).await?;
            }
        }
        Ok(())
    }

    /// Takes away what the browser keeps of files that it had.
    ///
    /// # Errors
    /// If the browser refuses.
    pub async fn empty_cache(&self) -> Result<()> {
        match self.kind {
            BrowserKind::Chromium => {
                self.session().cdp().send_raw("Network.clearBrowserCache", json!({})).await?;
            }
            BrowserKind::Firefox => {
                in_chrome(self.session(), "Services.cache2.clear();", vec![]).await?;
            }
        }
        Ok(())
    }

    /// A picture of the extension's popup, in the popup's own size.
    ///
    /// # Errors
    /// If the browser makes none.
    pub async fn picture_of_popup(&self, to: &Path) -> Result<()> {
        self.in_own_page(async |session| {
            session.set_window_rect(0, 0, 420, 720).await?;
            Ok(session.find(By::Css("body")).await?.screenshot(to).await?)
        })
        .await
    }

    /// Stops the extension's background, as the browser does when it is idle.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn stop_background(&self) -> Result<()> {
        match self.kind {
            BrowserKind::Chromium => {
                let targets = self.session().cdp().send_raw("Target.getTargets", json!({})).await?;
                let targets = targets["targetInfos"].as_array().cloned().unwrap_or_default();
                let ours = targets.iter().find(|target| {
                    let url = target["url"].as_str().unwrap_or_default();
                    target["type"] == "service_worker" && url.starts_with(&self.extension_url)
                });
                let id = &ours.context("the background does not run")?["targetId"];
                self.session().cdp().send_raw("Target.closeTarget", json!({ "targetId": id })).await?;
            }
            BrowserKind::Firefox => {
                let script = "const [id, done] = arguments;
                    WebExtensionPolicy.getByID(id).extension.terminateBackground({ ignoreDevToolsAttached: true })
                        .then(() => done(true), (error) => done(String(error)));";
                let id = self.options.extension.id();
                let stopped = in_chrome_async(self.session(), script, vec![id.into()]).await?;
                if stopped != true {
                    bail!("the background was not stopped: {stopped}");
                }
            }
        }
        Ok(())
    }
}

/// Runs a script in Firefox's own windows, where its internals are.
pub(super) async fn in_chrome(session: &WebDriver, script: &str, arguments: Vec<Value>) -> Result<Value> {
    session.cmd(ScriptsRunIn("chrome")).await?;
    let result = session.execute(script, arguments).await;
    session.cmd(ScriptsRunIn("content")).await?;
    Ok(result?.json().clone())
}

async fn in_chrome_async(session: &WebDriver, script: &str, arguments: Vec<Value>) -> Result<Value> {
    session.cmd(ScriptsRunIn("chrome")).await?;
    let result = session.execute_async(script, arguments).await;
    session.cmd(ScriptsRunIn("content")).await?;
    Ok(result?.json().clone())
}

/// Geckodriver's command that says where scripts run.
#[derive(Debug)]
struct ScriptsRunIn(&'static str);

impl FormatRequestData for ScriptsRunIn {
    fn format_request(&self, session: &SessionId) -> RequestData {
        let uri = format!("/session/{session}/moz/context");
        RequestData::new(reqwest::Method::POST, uri).add_body(json!({ "context": self.0 }))
    }
}
