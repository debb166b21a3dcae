//! The part of the core that is compiled when it is first called.

use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// `js/later.js`: reads the second part.
    #[wasm_bindgen(catch, js_name = keysteadWhole)]
    async fn whole() -> Result<JsValue, JsValue>;
}

/// Waits until any part of the core may be called. What the browser hands over has waited for that already, but for the
/// question how it stands; what a start does by itself has not.
pub(crate) async fn ready() {
    // Where it cannot be read, what needs it says so.
    let _ = whole().await;
}
