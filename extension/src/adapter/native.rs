//! Native messaging, through `runtime.connectNative`. Never prompts: the permission is asked for by a page, after a click.

use std::{cell::RefCell, rc::Rc, time::Duration};

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use js_sys::{Function, JSON, Reflect};
use keystead_core::{
    effect::{NativeError, NativeRequest},
    gnupg::why_disconnected,
    secret::SecretText,
};
use wasm_bindgen::prelude::*;

use super::{clock, webextension};

/// The permission, which is optional.
const PERMISSION: &str = "nativeMessaging";

#[wasm_bindgen]
extern "C" {
    type NativePort;
    #[wasm_bindgen(catch, js_namespace = ["chrome", "runtime"], js_name = connectNative)]
    fn connect_native(host: &str) -> Result<NativePort, JsValue>;
    #[wasm_bindgen(method, catch, js_name = postMessage)]
    fn post_message(this: &NativePort, message: &JsValue) -> Result<(), JsValue>;
    #[wasm_bindgen(method)]
    fn disconnect(this: &NativePort);
    #[wasm_bindgen(method, getter, js_name = onMessage)]
    fn on_message(this: &NativePort) -> Event;
    #[wasm_bindgen(method, getter, js_name = onDisconnect)]
    fn on_disconnect(this: &NativePort) -> Event;

    type Event;
    #[wasm_bindgen(method, js_name = addListener)]
    fn add_listener(this: &Event, listener: &Function);
}

type Answered = Rc<RefCell<Option<oneshot::Sender<Result<SecretText, NativeError>>>>>;

/// The host, while it runs; ended when this is dropped.
struct Connection {
    port: NativePort,
    /// Whoever waits for the next message.
    answered: Answered,
    _listeners: [Closure<dyn FnMut(JsValue)>; 2],
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.port.disconnect();
    }
}

/// A native messaging host; one process of it at most runs at a time.
#[derive(Default)]
pub(crate) struct NativeHost {
    running: RefCell<Option<Connection>>,
}

impl NativeHost {
    /// Sends a message to the host of this name and waits for the next one.
    pub(crate) async fn exchange(&self, host: &str, request: &NativeRequest) -> Result<SecretText, NativeError> {
        // Out of its place: whatever goes wrong now ends the host.
        let running = self.running.take();
        let connection = match running {
            Some(connection) => connection,
            None => Connection::open(host).await?,
        };
        let (sender, answer) = oneshot::channel();
        connection.answered.replace(Some(sender));
        let message = JSON::parse(&request.message).map_err(|_| NativeError::Died)?;
        connection.port.post_message(&message).map_err(|_| NativeError::Died)?;
        let limit = clock::sleep(Duration::from_millis(request.timeout_ms.into()));
        let answer = match select(answer, Box::pin(limit)).await {
            Either::Left((answer, _)) => answer.unwrap_or(Err(NativeError::Died))?,
            Either::Right(_) => return Err(NativeError::Timeout),
        };
        self.running.replace(Some(connection));
        Ok(answer)
    }

    /// Ends the host.
    pub(crate) fn close(&self) {
        self.running.take();
    }
}

impl Connection {
    async fn open(host: &str) -> Result<Self, NativeError> {
        if !webextension::holds_permission(PERMISSION).await {
            return Err(NativeError::NoPermission);
        }
        let port = connect_native(host).map_err(|_| NativeError::Missing)?;
        let answered = Answered::default();
        let tell = |answered: &Answered, answer| {
            if let Some(sender) = answered.take() {
                // Nobody may wait any more.
                let _ = sender.send(answer);
            }
        };
        let heard = Rc::clone(&answered);
        let on_message = Closure::<dyn FnMut(JsValue)>::new(move |message: JsValue| {
            let text = JSON::stringify(&message).ok().and_then(|text| text.as_string());
            tell(&heard, text.map(SecretText::new).ok_or(NativeError::Died));
        });
        let gone = Rc::clone(&answered);
        let on_disconnect = Closure::<dyn FnMut(JsValue)>::new(move |port: JsValue| {
            tell(&gone, Err(why_disconnected(&reason(&port))));
        });
        port.on_message().add_listener(on_message.as_ref().unchecked_ref());
        port.on_disconnect().add_listener(on_disconnect.as_ref().unchecked_ref());
        Ok(Self { port, answered, _listeners: [on_message, on_disconnect] })
    }
}

/// Why a port closed, while its event is handled: in Chromium's words, or in Firefox's.
fn reason(port: &JsValue) -> String {
    let text = |from: &JsValue, path: &[&str]| {
        let found = path.iter().try_fold(from.clone(), |at, name| Reflect::get(&at, &(*name).into()).ok());
        found.and_then(|value| value.as_string())
    };
    let chromium = text(&js_sys::global(), &["chrome", "runtime", "lastError", "message"]);
    chromium.or_else(|| text(port, &["error", "message"])).unwrap_or_default()
}

/// To be called when a permission was granted. Chromium gives a background that runs already nothing of this one: then
/// the extension starts anew, with the tabs of its deployments.
pub(crate) async fn granted() {
    let runtime = Reflect::get(&js_sys::global(), &"chrome".into()).and_then(|c| Reflect::get(&c, &"runtime".into()));
    let connect = runtime.and_then(|runtime| Reflect::get(&runtime, &"connectNative".into()));
    let missing = connect.is_ok_and(|connect| connect.is_undefined());
    if missing && webextension::holds_permission(PERMISSION).await {
        webextension::restart().await;
    }
}
