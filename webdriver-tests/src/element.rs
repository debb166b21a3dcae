//! What a person does in Element Web.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use thirtyfour::extensions::query::ElementQueryable;
use thirtyfour::{By, WebElement};

use crate::{Browser, PATIENCE, State, until};

/// Element's view once the person is logged in and Element's own set-up is over.
const LOGGED_IN: u64 = 8;
/// How long Element takes at most to remove what it stored, unless something keeps it from that.
const EMPTIED_WITHIN: Duration = Duration::from_secs(10);

impl Browser {
    /// Opens an encrypted room as soon as the client is in it.
    ///
    /// # Errors
    /// If it does not come to that.
    pub async fn show_room(&self, room_id: &str) -> Result<()> {
        const JOINED: &str = r"
            const [roomId] = arguments;
            const room = page.mxMatrixClientPeg.get().getRoom(roomId);
            return Boolean(room?.hasEncryptionStateEvent() && room.getMyMembership() === 'join');
        ";
        let joined = async || {
            let joined = self.in_page(JOINED, vec![room_id.into()]).await?;
            Ok((joined == true).then_some(()))
        };
        until("the room", PATIENCE, joined).await?;
        self.in_page("page.location.hash = '#/room/' + arguments[0];", vec![room_id.into()]).await?;
        self.find("header.mx_RoomHeader").await?;
        Ok(())
    }

    /// Types name and password into Element's login form, key by key, and sends it.
    ///
    /// # Errors
    /// If there is no form.
    pub async fn log_in(&self, element: &str, user: &str, password: &str) -> Result<()> {
        self.session().goto(format!("{element}/#/login")).await?;
        self.find("#mx_LoginForm_username").await?.send_keys(user).await?;
        self.find("#mx_LoginForm_password").await?.send_keys(password).await?;
        self.find(".mx_Login_submit").await?.click().await?;
        Ok(())
    }

    /// Logs out as Element's menu does, once the extension has seen to it, and Element has removed what it stored: it shows
    /// its login form before that, and what a quick login stores goes too.
    ///
    /// # Errors
    /// If it does not come to that.
    pub async fn log_out(&self) -> Result<()> {
        self.in_page("page.mxDispatcher.dispatch({ action: 'logout' });", vec![]).await?;
        self.wait_until_logged_out().await
    }

    /// Waits until a logout is over, as [`Browser::log_out`] does.
    ///
    /// # Errors
    /// If it does not come to that.
    pub async fn wait_until_logged_out(&self) -> Result<()> {
        self.wait_for_state(State::SignedOut, PATIENCE).await?;
        self.wait_until_emptied().await
    }

    /// Waits until Element has removed what it stored.
    ///
    /// # Errors
    /// If it does not come to that.
    pub async fn wait_until_emptied(&self) -> Result<()> {
        const STORES: &str = r"
            const done = arguments[0];
            indexedDB.databases().then(
                (all) => done(all.filter(({ name }) => name.startsWith('matrix-js-sdk')).length),
                () => done(null),
            );
        ";
        let empty = async || {
            let left = self.session().execute_async(STORES, vec![]).await?.json().as_u64();
            Ok((left == Some(0)).then_some(()))
        };
        if until("Element's empty storage", EMPTIED_WITHIN, empty).await.is_ok() {
            return Ok(());
        }
        // Something of the client that ended holds a database open: it goes with its page. What is not being removed then
        // is removed by the next login.
        self.session().refresh().await?;
        let _ = until("Element's empty storage", EMPTIED_WITHIN, empty).await;
        Ok(())
    }

    /// Waits until Element's client has decrypted this message, in a room that the person has joined.
    ///
    /// # Errors
    /// If it does not come to that.
    pub async fn wait_until_readable(&self, room_id: &str, words: &str) -> Result<()> {
        const READ: &str = r"
            const [roomId] = arguments;
            const room = page.mxMatrixClientPeg.get().getRoom(roomId);
            if (!room) return [];
            const bodies = [];
            for (const event of room.getLiveTimeline().getEvents()) {
                if (event.isDecryptionFailure()) event.attemptDecryption(page.mxMatrixClientPeg.get().getCrypto());
                bodies.push(String(event.getContent().body ?? ''));
            }
            return JSON.stringify(bodies);
        ";
        let readable = async || {
            let bodies = self.in_page(READ, vec![room_id.into()]).await?;
            let bodies: Vec<String> = serde_json::from_str(bodies.as_str().unwrap_or("[]"))?;
            Ok(bodies.iter().any(|body| body == words).then_some(()))
        };
        until("an old message in clear", PATIENCE, readable).await
    }

    /// Waits until Element shows the person's rooms.
    ///
    /// # Errors
    /// If it does not come to that.
    pub async fn wait_until_logged_in(&self) -> Result<()> {
        let view = async || Ok((self.view().await? == Some(LOGGED_IN)).then_some(()));
        until("Element's view of a logged-in person", PATIENCE, view).await
    }

    /// Has Element's client the key of the key backup?
    ///
    /// # Errors
    /// If nobody is logged in, or the client does not say.
    pub async fn page_has_backup_key(&self) -> Result<bool> {
        const ASK: &str = r"
            const done = arguments[0];
            const page = window.wrappedJSObject ?? window;
            const crypto = page.mxMatrixClientPeg?.get()?.getCrypto();
            if (!crypto) done('no client');
            else crypto.getSessionBackupPrivateKey().then((key) => done(Boolean(key)), (error) => done(String(error)));
        ";
        let said = self.session().execute_async(ASK, vec![]).await?.json().clone();
        said.as_bool().with_context(|| format!("the client says: {said}"))
    }

    /// Closes the page's tab, as the person does, and opens Element in another.
    ///
    /// # Errors
    /// If the browser refuses.
    pub async fn open_elsewhere(&mut self, element: &str) -> Result<()> {
        self.session().close_window().await?;
        self.go_to_new_window().await?;
        self.session().goto(element).await?;
        Ok(())
    }

    /// What Element keeps in Local Storage.
    ///
    /// # Errors
    /// If the page cannot be asked.
    pub async fn local_storage(&self) -> Result<Value> {
        let script = "const all = {};
            for (let at = 0; at < page.localStorage.length; at += 1) {
                const key = page.localStorage.key(at);
                all[key] = page.localStorage.getItem(key);
            }
            return all;";
        self.in_page(script, vec![]).await
    }

    /// Opens Element after a crash that came when Local Storage was as in `stored`, which browsers write to the disk in their
    /// own time (Chromium up to a minute later), and as long after it as Element waits for a tab that held its session lock.
    ///
    /// # Errors
    /// If the browser refuses.
    pub async fn open_after_crash(&self, element: &str, stored: Value) -> Result<()> {
        let script = "for (const [key, value] of Object.entries(arguments[0])) page.localStorage.setItem(key, value);
            page.localStorage.removeItem('react_sdk_session_lock_ping');";
        // A page of the origin that neither starts Element nor is shown by the browser in a viewer of its own.
        self.session().goto(format!("{element}/sw.js")).await?;
        self.in_page(script, vec![stored]).await?;
        self.session().goto(element).await?;
        Ok(())
    }

    /// Element's view, by its number.
    ///
    /// # Errors
    /// If the page cannot be asked.
    pub async fn view(&self) -> Result<Option<u64>> {
        Ok(self.in_page("return page.matrixChat?.state?.view ?? null;", vec![]).await?.as_u64())
    }

    /// Runs a script in the page's window; `page` is its `window` with everything that its own scripts put there.
    ///
    /// # Errors
    /// If it throws.
    pub async fn in_page(&self, script: &str, arguments: Vec<Value>) -> Result<Value> {
        let script = format!("const page = window.wrappedJSObject ?? window; {script}");
        Ok(self.session().execute(script, arguments).await?.json().clone())
    }

    /// The first element that a selector finds, once it is there.
    ///
    /// # Errors
    /// If it does not come.
    pub async fn find(&self, selector: &str) -> Result<WebElement> {
        let query = self.session().query(By::Css(selector)).wait(PATIENCE, Duration::from_millis(50));
        query.first().await.with_context(|| format!("the page has no {selector}"))
    }

    /// Presses the button with this text, once it is there and can be pressed.
    ///
    /// # Errors
    /// If it does not come to that.
    pub async fn press(&self, text: &str) -> Result<()> {
        // A page that draws itself anew takes a button away while it is being pressed.
        let pressed = async || {
            self.button(text).await?.click().await?;
            Ok(Some(()))
        };
        until(&format!("pressing {text:?}"), PATIENCE, pressed).await
    }

    /// The button with this text, once it is there and can be pressed.
    ///
    /// # Errors
    /// If it does not come to that.
    pub async fn button(&self, text: &str) -> Result<WebElement> {
        let query = self.session().query(By::XPath(button(text))).wait(PATIENCE, Duration::from_millis(50));
        query.and_enabled().and_displayed().first().await.with_context(|| format!("the page has no button {text:?}"))
    }

    /// Opens Element's settings, where they are about encryption.
    ///
    /// # Errors
    /// If they do not open.
    pub async fn open_encryption_settings(&self) -> Result<()> {
        let script = "page.mxDispatcher.dispatch(arguments[0]);";
        let action = json!({ "action": "view_user_settings", "initialTabId": "USER_ENCRYPTION_TAB" });
        let dispatched: Value = self.in_page(script, vec![action]).await?;
        ensure!(dispatched.is_null(), "the settings did not open");
        Ok(())
    }

    /// Resets the cryptographic identity there.
    ///
    /// # Errors
    /// If Element does not come to that.
    pub async fn reset_identity(&self, password: &str) -> Result<()> {
        self.open_encryption_settings().await?;
        self.press("Reset cryptographic identity").await?;
        self.press("Continue").await?;
        self.find("input[name=passwordField]").await?.send_keys(password).await?;
        self.find(".mx_InteractiveAuthEntryComponents_passwordSection .mx_Dialog_primary").await?.click().await?;
        Ok(())
    }
}

/// Element's buttons are `button` or elements with that role.
fn button(text: &str) -> String {
    format!("//*[(self::button or @role='button') and normalize-space()={text:?}]")
}
