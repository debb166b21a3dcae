//! Several tabs and windows of one browser.

use anyhow::Result;
use thirtyfour::WindowHandle;

use super::Browser;
use crate::{PATIENCE, until};

/// Where another page is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Beside {
    /// In a tab of the same window, which covers the page's.
    Tab,
    /// In a window of its own.
    Window,
}

/// Element's view of a tab whose session another tab has taken over.
const LOCK_STOLEN: u64 = 10;

impl Browser {
    /// Opens an address beside the page's, which stays open; what is opened is the page from then on. Returns the page before.
    ///
    /// # Errors
    /// If the browser refuses.
    pub async fn open_beside(&mut self, address: &str, place: Beside) -> Result<WindowHandle> {
        let session = self.session().clone();
        let window = match place {
            Beside::Tab => session.new_tab().await?,
            Beside::Window => session.new_window().await?,
        };
        session.switch_to_window(window.clone()).await?;
        session.goto(address).await?;
        Ok(std::mem::replace(&mut self.page, window))
    }

    /// Opens Element beside the page's and has it take the session over, as a person does who finds it open already. Returns
    /// the page before.
    ///
    /// # Errors
    /// If it does not come to that.
    pub async fn take_over_beside(&mut self, element: &str, place: Beside) -> Result<WindowHandle> {
        // At a login it forgets that it holds the session, and says so again within five seconds.
        let held = "return page.localStorage.getItem('react_sdk_session_lock_ping') !== null;";
        let holds = async || Ok((self.in_page(held, vec![]).await? == true).then_some(()));
        until("a tab that holds the session", PATIENCE, holds).await?;
        let before = self.open_beside(element, place).await?;
        if let Err(error) = self.press("Continue").await {
            let view = self.view().await?;
            return Err(error.context(format!("Element shows view {view:?} beside the other one")));
        }
        self.wait_until_logged_in().await?;
        let given_up = async || Ok((self.view().await? == Some(LOCK_STOLEN)).then_some(()));
        self.in_tab(&before, async || until("the other tab's farewell", PATIENCE, given_up).await).await?;
        Ok(before)
    }

    /// Does something in another page's tab.
    ///
    /// # Errors
    /// If the tab is gone, or the doing fails.
    pub async fn in_tab<T>(&self, tab: &WindowHandle, act: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        self.session().switch_to_window(tab.clone()).await?;
        let done = act().await;
        self.session().switch_to_window(self.page.clone()).await?;
        done
    }
}
