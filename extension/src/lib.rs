//! The extension's background: binds the core to the browser.
//!
//! No rule of Keystead is in here. `adapter/` has the browser's APIs; [`driver`] performs what the core's flows ask for;
//! [`pins`] checks what goes to devices, [`sharing`] has a person's browsers know the same of it; [`integrity`] guards the
//! page's code; [`pages`] knows the tabs that are connected, [`sessions`] who is logged in there; [`asks`] is the bridge;
//! [`deployment`] runs the flows; [`requests`] answers the extension's own pages; [`policy`] finds the policy in force; this
//! file is what the JavaScript entry calls.

mod adapter;
mod asks;
mod background;
mod deployment;
mod drill;
mod driver;
mod integrity;
mod pages;
mod pins;
mod policy;
mod protocol;
mod requests;
mod sessions;
mod sharing;

use std::rc::Rc;

use wasm_bindgen::prelude::*;

use adapter::webextension::{Port, from_js, to_js};
use background::State;
use integrity::{filter, hold, refusals};
use keystead_core::integrity::{Header, Seen, ServedAnswer, Sha256Digest};

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

    /// Waits until anything may be asked of it, and not only how it stands.
    pub async fn ready(&self) {
        self.0.swept().await;
    }

    /// A content script connected.
    pub fn page_connected(&self, page: u32, url: &str, port: Port) {
        pages::connected(&self.0, page, url, port);
    }

    /// A message of a content script, and the long text that it came with. Messages of one page are handed over in their
    /// order.
    pub fn page_message(&self, page: u32, message: &JsValue, long: &JsValue) {
        pages::message(&self.0, page, from_js(message), long.as_string());
    }

    /// A content script, or its tab, is gone.
    pub fn page_gone(&self, page: u32) {
        pages::gone(&self.0, page);
    }

    /// A request of one of the extension's own pages, in a tab or not in one.
    pub async fn request(&self, message: JsValue, tab: Option<i32>) -> JsValue {
        let reply = requests::answer(Rc::clone(&self.0), from_js(&message), tab).await;
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

    /// Is the body of this request to be judged before it is used?
    pub async fn is_judged(&self, asked: JsValue) -> bool {
        match serde_json::from_value(from_js(&asked)) {
            Ok(asked) => filter::is_judged(&self.0, &asked).await == Some(true),
            Err(_) => true,
        }
    }

    /// Judges a body by its SHA-256; settings by themselves.
    pub async fn judge(&self, asked: JsValue, sha256: Vec<u8>, body: Vec<u8>) -> JsValue {
        self.judged(&asked, sha256, &body, false).await
    }

    /// A body that was refused had come to its end: notes it.
    pub async fn note_refused(&self, asked: JsValue, sha256: Vec<u8>, body: Vec<u8>) {
        self.judged(&asked, sha256, &body, true).await;
    }

    /// The sources of scripts in a document itself; nothing where no answer is to be changed.
    pub fn inline_sources(&self, url: &str) -> Option<Vec<String>> {
        filter::inline_sources(&self.0, url)
    }

    /// A request for a file of a release was sent elsewhere.
    pub async fn redirected(&self, asked: JsValue) {
        if let Ok(asked) = serde_json::from_value(from_js(&asked)) {
            filter::redirected(&self.0, &asked).await;
        }
    }

    /// A tab's request for a document came to nothing.
    pub fn not_shown(&self, tab: i32) {
        filter::not_shown(&self.0, tab);
    }

    /// Keeps what was served where it was refused.
    pub async fn keep_evidence(&self, url: String, status: u16, headers: JsValue, body: Vec<u8>) {
        let headers: Vec<Header> = serde_json::from_value(from_js(&headers)).unwrap_or_default();
        let served = ServedAnswer { seen: Seen::ByThePage, status, headers: &headers, body: &body };
        refusals::keep_evidence(&self.0, &url, served).await;
    }

    /// A document asks what it is to be built of, or about a file.
    pub async fn hold(&self, message: JsValue, sender: JsValue) -> JsValue {
        let message = serde_json::from_value(from_js(&message));
        let sender = serde_json::from_value(from_js(&sender));
        let answer = match (message, sender) {
            (Ok(message), Ok(sender)) => hold::answer(&self.0, message, sender).await,
            _ => serde_json::Value::Null,
        };
        to_js(&answer)
    }

    /// The access to hosts was withdrawn: what was verified there is no more, from this moment on.
    pub async fn hosts_withdrawn(&self) {
        integrity::withdrawn(&self.0).await;
        State::policy_changed(&self.0).await;
    }

    /// The policy, or a host permission, may have changed.
    pub async fn policy_changed(&self) {
        State::policy_changed(&self.0).await;
    }
}

impl Background {
    async fn judged(&self, asked: &JsValue, sha256: Vec<u8>, body: &[u8], noted: bool) -> JsValue {
        let asked = serde_json::from_value(from_js(asked));
        let verdict = match (asked, <[u8; 32]>::try_from(sha256)) {
            (Ok(asked), Ok(sha256)) => filter::judge(&self.0, asked, Sha256Digest::new(sha256), body, noted).await,
            _ => filter::Verdict::default(),
        };
        to_js(&serde_json::to_value(verdict).unwrap_or_default())
    }
}
