//! Time and waiting.

use std::time::Duration;

use js_sys::{Function, Promise};
use keystead_core::time::UnixMillis;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, milliseconds: f64) -> JsValue;
}

/// The time now.
pub(crate) fn now() -> UnixMillis {
    UnixMillis(js_sys::Date::now() as u64)
}

/// Waits; a background that is stopped meanwhile does not come back from this.
pub(crate) async fn sleep(duration: Duration) {
    let promise = Promise::new(&mut |resolve, _| {
        set_timeout(&resolve, duration.as_millis() as f64);
    });
    let _ = JsFuture::from(promise).await;
}
