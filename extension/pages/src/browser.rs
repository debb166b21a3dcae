//! The browser as the pages use it: the only file that names `chrome`.
//!
//! Both browsers offer the promise-based API under `chrome` to Manifest V3 extensions.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use gloo::{
    file::{Blob, ObjectUrl},
    timers::callback::{Interval, Timeout},
};
use js_sys::{Array, Function, JSON, Promise, Reflect};
use keystead_core::{
    secret::SecretText,
    status::{PageRequest, Refusal, Reply},
};
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{HtmlAnchorElement, Response};

use crate::dom::el;

mod chrome {
    use super::*;

    #[wasm_bindgen]
    extern "C" {
        #[wasm_bindgen(catch, js_namespace = ["chrome", "runtime"], js_name = sendMessage)]
        pub(super) fn send_message(message: &JsValue) -> Result<Promise, JsValue>;

        #[derive(Clone)]
        pub(super) type Port;
        #[wasm_bindgen(method, catch, js_name = postMessage)]
        pub(super) fn post_message(this: &Port, message: &JsValue) -> Result<(), JsValue>;
        #[wasm_bindgen(method, getter, js_name = onDisconnect)]
        pub(super) fn on_disconnect(this: &Port) -> Event;

        pub(super) type Event;
        #[wasm_bindgen(method, js_name = addListener)]
        pub(super) fn add_listener(this: &Event, listener: &Function);

        #[wasm_bindgen(catch, js_namespace = ["chrome", "runtime"], js_name = connect)]
        pub(super) fn connect() -> Result<Port, JsValue>;

        #[wasm_bindgen(js_namespace = ["chrome", "runtime", "onMessage"], js_name = addListener)]
        pub(super) fn on_message(listener: &Function);

        #[wasm_bindgen(catch, js_namespace = ["chrome", "runtime"], js_name = openOptionsPage)]
        pub(super) fn open_options_page() -> Result<Promise, JsValue>;

        #[wasm_bindgen(js_namespace = ["chrome", "i18n"], js_name = getMessage)]
        pub(super) fn get_message(name: &str, substitutions: &Array) -> String;

        #[wasm_bindgen(js_namespace = ["chrome", "i18n"], js_name = getUILanguage)]
        pub(super) fn ui_language() -> String;

        #[wasm_bindgen(catch, js_namespace = ["chrome", "permissions"], js_name = request)]
        pub(super) fn request_permissions(wanted: &JsValue) -> Result<Promise, JsValue>;

        #[wasm_bindgen(catch, js_namespace = ["chrome", "permissions"], js_name = contains)]
        pub(super) fn contains_permissions(wanted: &JsValue) -> Result<Promise, JsValue>;

        #[wasm_bindgen(catch, js_namespace = ["chrome", "storage", "managed"], js_name = get)]
        pub(super) fn managed(keys: &JsValue) -> Result<Promise, JsValue>;

        #[wasm_bindgen(catch, js_namespace = ["chrome", "tabs"], js_name = create)]
        pub(super) fn create_tab(properties: &JsValue) -> Result<Promise, JsValue>;

        #[wasm_bindgen(catch, js_namespace = ["chrome", "tabs"], js_name = getCurrent)]
        pub(super) fn current_tab() -> Result<Promise, JsValue>;

        #[wasm_bindgen(catch, js_namespace = ["chrome", "tabs"], js_name = remove)]
        pub(super) fn remove_tab(id: &JsValue) -> Result<Promise, JsValue>;
    }
}

/// The background did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotDone {
    /// It did not answer, or not in the documented form.
    NoAnswer,
    /// It said why.
    Refused(Refusal),
}

/// Asks the background.
///
/// # Errors
/// [`NotDone`]
pub(crate) async fn ask<A: DeserializeOwned>(request: &impl Serialize) -> Result<A, NotDone> {
    let none = NotDone::NoAnswer;
    let message = serde_json::to_string(request).map_err(|_| none)?;
    let message = JSON::parse(&message).map_err(|_| none)?;
    let promise = chrome::send_message(&message).map_err(|_| none)?;
    let answer = JsFuture::from(promise).await.map_err(|_| none)?;
    from_json::<Reply<A>>(&answer).ok_or(none)?.map_err(NotDone::Refused)
}

/// How often a page says a word to the background that must not be stopped: browsers stop it after 30 s of silence.
const WORD_EVERY_MS: u32 = 20_000;
/// After which pause a background that was stopped all the same is started again.
const AGAIN_AFTER_MS: u32 = 300;

/// Keeps the background from being stopped for as long as this document is open. Where it is stopped all the same, it is
/// started again, and the bell rings.
pub(crate) fn stay_awake(bell: &Bell) {
    let Ok(port) = chrome::connect() else { return };
    let speaking = port.clone();
    let words = Interval::new(WORD_EVERY_MS, move || {
        let _ = speaking.post_message(&JsValue::TRUE);
    });
    let bell = bell.clone();
    let gone = Closure::once_into_js(move || {
        drop(words);
        Timeout::new(AGAIN_AFTER_MS, move || {
            stay_awake(&bell);
            bell.ring();
        })
        .forget();
    });
    port.on_disconnect().add_listener(gone.unchecked_ref());
}

/// The policy as the organisation set it, checked or not; `None` where the browser has none to give.
pub(crate) async fn managed_policy() -> Option<serde_json::Value> {
    let promise = chrome::managed(&JsValue::NULL).ok()?;
    from_json(&JsFuture::from(promise).await.ok()?)
}

/// The policy that the person saved, if any.
pub(crate) async fn own_policy() -> Option<serde_json::Value> {
    ask::<Option<serde_json::Value>>(&PageRequest::OwnPolicy).await.ok().flatten()
}

/// The document that the policy in force is read from: the organisation's, else the person's own.
pub(crate) async fn policy_document() -> Option<serde_json::Value> {
    let managed = managed_policy().await;
    match managed.filter(|policy| policy.as_object().is_some_and(|fields| !fields.is_empty())) {
        Some(managed) => Some(managed),
        None => own_policy().await,
    }
}

/// A text file of the extension's package.
pub(crate) async fn read_file(path: &str) -> Option<String> {
    let answer = JsFuture::from(gloo::utils::window().fetch_with_str(path)).await.ok()?;
    let text = answer.unchecked_into::<Response>().text().ok()?;
    JsFuture::from(text).await.ok()?.as_string()
}

/// Says which language the document is in, for screen readers and for hyphens.
pub(crate) fn set_language(language: &str) {
    if let Some(document) = gloo::utils::document().document_element() {
        let _ = document.set_attribute("lang", language);
    }
}

/// A value of the browser as what its JSON says; `undefined` counts as `null`.
fn from_json<A: DeserializeOwned>(value: &JsValue) -> Option<A> {
    let text = JSON::stringify(value).ok().and_then(|text| text.as_string()).unwrap_or_else(|| "null".to_owned());
    // One of the answers is a recovery key.
    let text = SecretText::new(text);
    serde_json::from_str(text.expose("read as what it says")).ok()
}

/// Rings when the background says that something changed, when a time has passed, or when it is told to.
#[derive(Clone, Default)]
pub(crate) struct Bell(Rc<BellState>);

#[derive(Default)]
struct BellState {
    rung: Cell<bool>,
    waiting: RefCell<Option<Function>>,
}

impl Bell {
    /// A bell that the background's `{changed: true}` rings.
    pub(crate) fn of_background() -> Self {
        let bell = Self::default();
        let ringing = bell.clone();
        let listener = Closure::<dyn FnMut(JsValue)>::new(move |message: JsValue| {
            if Reflect::get(&message, &"changed".into()).is_ok_and(|changed| changed.is_truthy()) {
                ringing.ring();
            }
        });
        chrome::on_message(listener.as_ref().unchecked_ref());
        // It listens as long as the document lives.
        listener.forget();
        bell
    }

    /// Ends the wait, or the next one where nobody waits now.
    pub(crate) fn ring(&self) {
        self.0.rung.set(true);
        if let Some(wake) = self.0.waiting.take() {
            let _ = wake.call0(&JsValue::NULL);
        }
    }

    /// Waits until it rings, but not longer than `at_most_ms`.
    pub(crate) async fn wait(&self, at_most_ms: Option<u32>) {
        let ringing = self.clone();
        let _timer = at_most_ms.map(|ms| Timeout::new(ms, move || ringing.ring()));
        if !self.0.rung.get() {
            let rings = Promise::new(&mut |wake, _| {
                self.0.waiting.replace(Some(wake));
            });
            let _ = JsFuture::from(rings).await;
        }
        self.0.rung.set(false);
    }
}

/// A text of `_locales` in the browser's language; empty where there is none of that name.
pub(crate) fn message(name: &str, substitutions: &[&str]) -> String {
    chrome::get_message(name, &substitutions.iter().map(|text| JsValue::from_str(text)).collect())
}

/// The browser's language, such as `de-AT`.
pub(crate) fn ui_language() -> String {
    chrome::ui_language()
}

/// Asks the person for host permissions. Must be called in the handler of a click, before anything is awaited; resolves
/// to whether they are held.
pub(crate) fn request_hosts(patterns: &[String]) -> impl Future<Output = bool> + use<> {
    request("origins", patterns)
}

fn request(kind: &str, names: &[String]) -> impl Future<Output = bool> + use<> {
    let wanted = js_sys::Object::new();
    let names: Array = names.iter().map(|name| JsValue::from_str(name)).collect();
    let _ = Reflect::set(&wanted, &kind.into(), &names);
    let asked = chrome::request_permissions(&wanted);
    async move {
        // Firefox refuses to ask for what a package has from the start.
        is_yes(asked).await || is_yes(chrome::contains_permissions(&wanted)).await
    }
}

async fn is_yes(asked: Result<Promise, JsValue>) -> bool {
    match asked {
        Ok(promise) => JsFuture::from(promise).await.is_ok_and(|granted| granted.is_truthy()),
        Err(_) => false,
    }
}

/// Asks the person for a permission, unless it is held. Must be called in the handler of a click, before anything is
/// awaited; resolves to whether it is held.
pub(crate) fn request_permission(name: &str) -> impl Future<Output = bool> + use<> {
    request("permissions", &[name.to_owned()])
}

/// Opens another view of this document in a tab of its own.
pub(crate) fn open_tab(hash: &str) {
    let here = gloo::utils::window().location().href().unwrap_or_default();
    let address = format!("{}{hash}", here.split('#').next().unwrap_or_default());
    let properties = js_sys::Object::new();
    let _ = Reflect::set(&properties, &"url".into(), &address.into());
    settle(chrome::create_tab(&properties));
}

/// Opens the options page.
pub(crate) fn open_options() {
    settle(chrome::open_options_page());
}

/// Closes the tab that this document is in.
pub(crate) async fn close_tab() {
    let Ok(asked) = chrome::current_tab() else { return };
    if let Ok(tab) = JsFuture::from(asked).await
        && let Ok(id) = Reflect::get(&tab, &"id".into())
    {
        settle(chrome::remove_tab(&id));
    }
}

/// Offers a text as a file among the person's downloads.
pub(crate) fn save_file(name: &str, kind: &str, content: &str) {
    let url = ObjectUrl::from(Blob::new_with_options(content, Some(kind)));
    let link: HtmlAnchorElement = el("a").attr("href", &url).attr("download", name).as_node();
    link.click();
    // The browser reads the blob after the click; its address goes a little later.
    Timeout::new(10_000, move || drop(url)).forget();
}

/// Leaves for another page; the way back does not lead here.
pub(crate) fn go_to(url: &str) {
    let _ = gloo::utils::window().location().replace(url);
}

/// The location's hash.
pub(crate) fn location_hash() -> String {
    gloo::utils::window().location().hash().unwrap_or_default()
}

/// Lets a promise end by itself: there is nothing to do where it fails, and nothing to say that the browser does not say.
fn settle(promise: Result<Promise, JsValue>) {
    if let Ok(promise) = promise {
        wasm_bindgen_futures::spawn_local(async move {
            let _ = JsFuture::from(promise).await;
        });
    }
}
