//! The WebExtension APIs (`chrome.*`, which Firefox offers as well), as far as they are used.

use js_sys::Reflect;
use serde::Deserialize;
use serde_json::Value;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// One end of a connection with a content script.
    pub type Port;
    #[wasm_bindgen(method, catch, js_name = postMessage)]
    fn post_message(this: &Port, message: &JsValue) -> Result<(), JsValue>;

    #[wasm_bindgen(method, getter)]
    fn name(this: &Port) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn sender(this: &Port) -> JsValue;

    #[wasm_bindgen(catch, js_namespace = ["chrome", "tabs"], js_name = update)]
    async fn tabs_update(tab: f64, properties: &JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_namespace = ["chrome", "runtime"], js_name = getURL)]
    fn own_url(path: &str) -> String;
    #[wasm_bindgen(catch, js_namespace = ["chrome", "storage", "managed"], js_name = get)]
    async fn managed_get(keys: &JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["chrome", "management"], js_name = getSelf)]
    async fn get_self() -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["chrome", "permissions"], js_name = contains)]
    async fn permissions_contains(permissions: &JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["chrome", "scripting"], js_name = getRegisteredContentScripts)]
    async fn registered_scripts() -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["chrome", "scripting"], js_name = registerContentScripts)]
    async fn register_scripts(scripts: &JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["chrome", "scripting"], js_name = unregisterContentScripts)]
    async fn unregister_scripts(filter: &JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["chrome", "tabs"], js_name = query)]
    async fn tabs_query(query: &JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["chrome", "tabs"], js_name = reload)]
    async fn tabs_reload(tab: f64) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["chrome", "tabs"], js_name = sendMessage)]
    async fn tabs_send(tab: f64, message: &JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["chrome", "scripting"], js_name = executeScript)]
    async fn execute_script(injection: &JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["chrome", "runtime"], js_name = getManifest)]
    fn own_manifest() -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["chrome", "storage", "session"], js_name = get)]
    async fn session_get(keys: &JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["chrome", "storage", "session"], js_name = set)]
    async fn session_set(items: &JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["chrome", "storage", "session"], js_name = remove)]
    async fn session_remove(key: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["chrome", "alarms"], js_name = create)]
    async fn alarms_create(name: &str, info: &JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["chrome", "action"], js_name = setBadgeText)]
    async fn badge_text(details: &JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["chrome", "action"], js_name = setBadgeBackgroundColor)]
    async fn badge_colour(details: &JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["chrome", "runtime"], js_name = sendMessage)]
    async fn runtime_send(message: &JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["chrome", "runtime"], js_name = reload)]
    fn runtime_reload() -> Result<(), JsValue>;
}

/// A JSON value as a plain JavaScript value.
pub(crate) fn to_js(value: &Value) -> JsValue {
    js_sys::JSON::parse(&value.to_string()).unwrap_or(JsValue::NULL)
}

/// A plain JavaScript value as JSON; `null` for what JSON cannot say.
pub(crate) fn from_js(value: &JsValue) -> Value {
    let text = js_sys::JSON::stringify(value).ok().and_then(|s| s.as_string());
    text.and_then(|t| serde_json::from_str(&t).ok()).unwrap_or(Value::Null)
}

impl Port {
    /// What the content script named the connection.
    pub(crate) fn label(&self) -> String {
        self.name().unwrap_or_default()
    }

    /// The tab that the content script runs in.
    pub(crate) fn tab(&self) -> Option<u32> {
        let tab = from_js(&self.sender())["tab"]["id"].as_u64();
        tab.and_then(|tab| tab.try_into().ok())
    }

    /// Sends a message; one to a port that is gone is dropped.
    pub(crate) fn send(&self, message: &Value) {
        let _ = self.post_message(&to_js(message));
    }
}

/// The organisation's policy document: `None` where managed storage is empty or absent.
pub(crate) async fn managed_policy() -> Option<Value> {
    let value = from_js(&managed_get(&JsValue::NULL).await.ok()?);
    value.as_object().is_some_and(|o| !o.is_empty()).then_some(value)
}

/// Was the extension installed by an administrator? A browser that does not say is taken to say yes: then nobody's own
/// settings stand in for the organisation's.
pub(crate) async fn installed_by_admin() -> bool {
    let Ok(own) = get_self().await else { return true };
    let install_type = Reflect::get(&own, &"installType".into()).ok().and_then(|t| t.as_string());
    install_type.is_none_or(|install_type| install_type == "admin")
}

/// Does the extension hold these host permissions (match patterns)?
pub(crate) async fn holds_hosts(patterns: &[String]) -> bool {
    let query = to_js(&serde_json::json!({ "origins": patterns }));
    permissions_contains(&query).await.is_ok_and(|held| held.is_truthy())
}

/// Does the extension hold this permission?
pub(crate) async fn holds_permission(name: &str) -> bool {
    let query = to_js(&serde_json::json!({ "permissions": [name] }));
    permissions_contains(&query).await.is_ok_and(|held| held.is_truthy())
}

/// Starts the extension anew. Its pages close; the tabs that it serves are loaded again, where nobody loses anything by it.
pub(crate) async fn restart() {
    let _ = unregister_scripts(&JsValue::UNDEFINED).await;
    let _ = runtime_reload();
}

/// Registers the page hook and the relay for exactly these match patterns; for some of them what builds documents, and for
/// some what tells what documents have loaded.
pub(crate) async fn register_page_scripts(
    patterns: &[String],
    built: &[String],
    asked: &[String],
) -> Result<(), JsValue> {
    // Scripts of one extension run in the order of their ids: the hook must be there before its port is offered.
    let mut wanted = serde_json::json!([
        { "id": "a-hook", "js": ["js/hook.js"], "world": "MAIN", "matches": patterns, "runAt": "document_start",
          "persistAcrossSessions": true },
        { "id": "b-relay", "world": "ISOLATED",
          "js": ["js/cover.js", "js/notice-style.js", "js/notice.js", "js/badge.js", "js/relay.js"],
          "matches": patterns, "runAt": "document_start", "persistAcrossSessions": true },
    ]);
    let first = serde_json::json!([
        { "id": "0-hold", "js": ["js/hold.js"], "world": "MAIN", "matches": built, "runAt": "document_start",
          "allFrames": true, "persistAcrossSessions": true },
        { "id": "1-hold-port", "js": ["js/hold-port.js"], "world": "ISOLATED", "matches": built, "runAt": "document_start",
          "allFrames": true, "persistAcrossSessions": true },
    ]);
    let tells = serde_json::json!([
        { "id": "c-report", "js": ["js/report.js"], "world": "ISOLATED", "matches": asked, "runAt": "document_start",
          "allFrames": true, "persistAcrossSessions": true },
    ]);
    for (more, matches) in [(first, built), (tells, asked)] {
        if let (Value::Array(wanted), Value::Array(more), false) = (&mut wanted, more, matches.is_empty()) {
            wanted.extend(more);
        }
    }
    let present = from_js(&registered_scripts().await?);
    let matches = |scripts: &Value| -> Vec<(Value, Value)> {
        let each = |script: &Value| (script["id"].clone(), script["matches"].clone());
        let mut all: Vec<_> = scripts.as_array().into_iter().flatten().map(each).collect();
        all.sort_by(|(a, _), (b, _)| a.as_str().cmp(&b.as_str()));
        all
    };
    if matches(&present) == matches(&wanted) {
        return Ok(());
    }
    let present = present.as_array().cloned().unwrap_or_default();
    if !present.is_empty() {
        unregister_scripts(&JsValue::UNDEFINED).await?;
    }
    if patterns.is_empty() {
        return Ok(());
    }
    register_scripts(&to_js(&wanted)).await?;
    Ok(())
}

/// A tab.
#[derive(Clone, Deserialize)]
pub(crate) struct Tab {
    /// Its id.
    pub(crate) id: u32,
    /// What it shows, where we may know.
    #[serde(default)]
    pub(crate) url: String,
    /// The browser has put it aside: nothing runs in it until somebody looks at it.
    #[serde(default)]
    pub(crate) discarded: bool,
}

/// The tabs that show this match pattern.
pub(crate) async fn tabs(pattern: &str) -> Vec<Tab> {
    let query = to_js(&serde_json::json!({ "url": pattern }));
    let found = tabs_query(&query).await.map(|found| from_js(&found)).unwrap_or_default();
    let tabs = found.as_array().cloned().unwrap_or_default().into_iter();
    tabs.filter_map(|tab| serde_json::from_value(tab).ok()).collect()
}

/// Reloads a tab.
pub(crate) async fn reload(tab: u32) {
    let _ = tabs_reload(tab.into()).await;
}

/// Is this what a script of this version answers? Right after an update a browser may hand what is meant for a tab to the
/// scripts of the version before.
fn is_own_version(answer: &Value) -> bool {
    let version = own_manifest().map(|manifest| from_js(&manifest)["version"].clone());
    version.is_ok_and(|version| version.is_string() && version == *answer)
}

/// Wakes the relay in a tab, so that it connects again; says whether there is one of this version.
pub(crate) async fn wake(tab: u32) -> bool {
    let answer = tabs_send(tab.into(), &to_js(&serde_json::json!({ "wake": true }))).await;
    answer.is_ok_and(|version| is_own_version(&from_js(&version)))
}

/// Has a tab say that its page is older than this version, and load it again by itself where nobody loses by it; says whether
/// it does, or a page of this version is there by now.
pub(crate) async fn tell_outdated(tab: u32) -> bool {
    tell_page(tab, "js/updated.js").await
}

/// Has a tab say that its page is older than the check of its code, and load it again by itself where nobody loses by it;
/// says whether the browser took that to the page.
pub(crate) async fn tell_from_before(tab: u32) -> bool {
    tell_page(tab, "js/enrolled.js").await
}

async fn tell_page(tab: u32, last: &str) -> bool {
    let run = async |files: &[&str]| {
        execute_script(&to_js(&serde_json::json!({ "target": { "tabId": tab }, "files": files }))).await
    };
    let is_ours = run(&["js/version.js"]).await.is_ok_and(|ran| is_own_version(&from_js(&ran)[0]["result"]));
    is_ours && run(&["js/notice-style.js", "js/busy.js", "js/outdated.js", last]).await.is_ok()
}

/// Notes something for as long as the browser runs; says whether it is news.
pub(crate) async fn note_once(key: &str) -> bool {
    let known = session_get(&key.into()).await.map(|found| from_js(&found)).unwrap_or_default();
    let news = known.get(key).is_none();
    news && session_set(&to_js(&serde_json::json!({ key: true }))).await.is_ok()
}

/// What was noted for as long as the browser runs; `null` where nothing was.
pub(crate) async fn session_read(key: &str) -> Value {
    let known = session_get(&key.into()).await.map(|found| from_js(&found)).unwrap_or_default();
    known.get(key).cloned().unwrap_or_default()
}

/// Notes something for as long as the browser runs.
pub(crate) async fn session_write(key: &str, value: &Value) {
    let _ = session_set(&to_js(&serde_json::json!({ key: value }))).await;
}

/// Forgets what was noted for as long as the browser runs.
pub(crate) async fn session_forget(key: &str) {
    let _ = session_remove(key).await;
}

/// Has a tab show a page of the extension's own folder.
pub(crate) async fn go_to_own(tab: u32, path: &str) {
    let _ = tabs_update(tab.into(), &to_js(&serde_json::json!({ "url": own_url(path) }))).await;
}

/// Has the browser start the background at a time, if it does not run by then.
pub(crate) async fn set_alarm(name: &str, at: keystead_core::time::UnixMillis) {
    let _ = alarms_create(name, &to_js(&serde_json::json!({ "when": at.0 }))).await;
}

/// Sets the badge of the toolbar button: empty for none.
pub(crate) async fn set_badge(text: &str, colour: &str) {
    let _ = badge_colour(&to_js(&serde_json::json!({ "color": colour }))).await;
    let _ = badge_text(&to_js(&serde_json::json!({ "text": text }))).await;
}

/// Tells the extension's open pages that the status changed.
pub(crate) async fn announce() {
    let _ = runtime_send(&to_js(&serde_json::json!({ "changed": true }))).await;
}
