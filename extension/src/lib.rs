//! The extension's background: binds the core to the browser.
//!
//! No rule of Keystead is in here. `adapter/` has the browser's APIs; [`driver`] performs what the core's flows ask for;
//! [`pages`] knows the tabs that are connected, [`sessions`] who is logged in there; [`asks`] is the bridge; [`deployment`]
//! runs the flows; [`requests`] answers the extension's own pages; [`policy`] finds the policy in force; this file is what
//! the JavaScript entry calls.

mod adapter;
mod asks;
mod background;
mod deployment;
mod drill;
mod driver;
mod pages;
mod policy;
mod protocol;
mod requests;
mod sessions;

use std::rc::Rc;

use wasm_bindgen::prelude::*;

use adapter::webextension::{Port, from_js, to_js};
use background::State;

/// The background as the JavaScript entry sees it: one method for each event of the browser.
#[wasm_bindgen]
pub struct Background(Rc<State>);

#[wasm_bindgen]
impl Background {
    /// Opens the storage and reads the policy.
    ///
    /// # Errors
    /// Where the browser's storage cannot be opened.
    pub async fn start() -> Result<Self, JsValue> {
        Ok(Self(State::start().await?))
    }

    /// A content script connected.
    pub fn page_connected(&self, page: u32, url: &str, port: Port) {
        pages::connected(&self.0, page, url, port);
    }

    /// A message of a content script. Messages of one page are handed over in their order.
    pub fn page_message(&self, page: u32, message: &JsValue) {
        pages::message(&self.0, page, from_js(message));
    }

    /// A content script, or its tab, is gone.
    pub fn page_gone(&self, page: u32) {
        pages::gone(&self.0, page);
    }

    /// A request of one of the extension's own pages.
    pub async fn request(&self, message: JsValue) -> JsValue {
        let reply = requests::answer(Rc::clone(&self.0), from_js(&message)).await;
        to_js(&serde_json::to_value(reply).unwrap_or_default())
    }

    /// An alarm that was set earlier.
    pub fn alarm(&self, name: &str) {
        deployment::alarm(&self.0, name);
    }

    /// A permission was granted.
    pub async fn permission_granted(&self) {
        adapter::native::granted().await;
        State::policy_changed(&self.0).await;
    }

    /// The policy, or a host permission, may have changed.
    pub async fn policy_changed(&self) {
        State::policy_changed(&self.0).await;
    }
}
