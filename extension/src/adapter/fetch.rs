//! HTTP through the browser's `fetch`.

use js_sys::{Reflect, Uint8Array};
use keystead_core::{
    effect::{HttpRequest, HttpResponse, Method, Target, TransportError},
    integrity::Header,
};
use wasm_bindgen::{JsCast, JsValue, prelude::*};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, AbortSignal, Headers, ReadableStreamDefaultReader, ReferrerPolicy, Request, RequestCache,
    RequestCredentials, RequestInit, RequestRedirect, Response,
};

use super::webextension;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch)]
    fn global_fetch(request: &Request) -> js_sys::Promise;
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &js_sys::Function, milliseconds: f64) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);
}

/// The homeserver and token that [`Target::Homeserver`] stands for.
pub(crate) struct Session<'a> {
    /// The base URL, without a slash at its end.
    pub(crate) homeserver: &'a str,
    /// The access token.
    pub(crate) token: &'a str,
}

/// Performs one request within its limits: no cookies, no cache, no referrer, redirects on the same origin only.
pub(crate) async fn perform(
    request: &HttpRequest,
    session: Option<Session<'_>>,
) -> Result<HttpResponse, TransportError> {
    perform_whole(request, session).await.map(|(answer, _)| answer)
}

/// The same, with all header fields of the answer that the browser shows: not those of cookies.
pub(crate) async fn perform_whole(
    request: &HttpRequest,
    session: Option<Session<'_>>,
) -> Result<(HttpResponse, Headers), TransportError> {
    let headers = Headers::new().map_err(broken)?;
    let url = match &request.target {
        Target::Url(url) => url.to_string(),
        Target::Homeserver(path) => {
            let session = session.ok_or(TransportError::NoToken)?;
            headers.set("Authorization", &format!("Bearer {}", session.token)).map_err(broken)?;
            format!("{}{path}", session.homeserver)
        }
    };
    let abort = AbortController::new().map_err(broken)?;
    let init = RequestInit::new();
    init.set_method(match request.method {
        Method::Get => "GET",
        Method::Put => "PUT",
        Method::Post => "POST",
    });
    if let Some(body) = &request.body {
        headers.set("Content-Type", "application/json").map_err(broken)?;
        init.set_body(&body.into());
    }
    init.set_headers(&headers);
    init.set_cache(RequestCache::NoStore);
    init.set_credentials(RequestCredentials::Omit);
    init.set_referrer_policy(ReferrerPolicy::NoReferrer);
    // Not even asked: a browser that follows would carry a server's request to whatever host it names.
    init.set_redirect(RequestRedirect::Manual);
    init.set_signal(Some(&abort.signal()));

    let stop = Closure::once_into_js({
        let abort = abort.clone();
        move || abort.abort()
    });
    let timer = set_timeout(stop.unchecked_ref(), f64::from(request.timeout_ms));
    let outcome = exchange(&url, &init, request.max_bytes as usize).await;
    clear_timeout(&timer);
    if outcome.as_ref().is_err_and(|error| *error != TransportError::Unreachable) {
        abort.abort();
    }
    match outcome {
        Err(TransportError::Unreachable) if abort.signal().aborted() => Err(TransportError::Timeout),
        other => other,
    }
}

/// Does the host serve this with a body that cannot be read? Not where there was no time for it.
pub(crate) async fn is_unreadable(url: &str, timeout_ms: u32) -> bool {
    let init = RequestInit::new();
    let time = AbortSignal::timeout_with_u32(timeout_ms);
    init.set_cache(RequestCache::NoStore);
    init.set_credentials(RequestCredentials::Omit);
    init.set_redirect(RequestRedirect::Manual);
    init.set_signal(Some(&time));
    let Ok(request) = Request::new_with_str_and_init(url, &init) else { return false };
    let answer = JsFuture::from(global_fetch(&request)).await;
    let Some(answer) = answer.ok().and_then(|answer| answer.dyn_into::<Response>().ok()) else { return false };
    let Ok(body) = answer.array_buffer() else { return false };
    answer.ok() && JsFuture::from(body).await.is_err() && !time.aborted()
}

/// Names and values of header fields.
pub(crate) fn pairs(headers: &Headers) -> Vec<(String, String)> {
    serde_json::from_value(webextension::from_js(&js_sys::Array::from(headers))).unwrap_or_default()
}

/// The same as fields.
pub(crate) fn headers(pairs: Vec<(String, String)>) -> Vec<Header> {
    pairs.into_iter().map(|(name, value)| Header { name, value: Some(value) }).collect()
}

async fn exchange(url: &str, init: &RequestInit, max_bytes: usize) -> Result<(HttpResponse, Headers), TransportError> {
    let request = Request::new_with_str_and_init(url, init).map_err(broken)?;
    let response: Response =
        JsFuture::from(global_fetch(&request)).await.map_err(broken)?.dyn_into().map_err(broken)?;
    if Reflect::get(&response, &"type".into()).is_ok_and(|kind| kind == "opaqueredirect") {
        return Err(TransportError::Redirected);
    }
    let header = |name: &str| response.headers().get(name).ok().flatten();
    let retry_after_ms =
        header("Retry-After").and_then(|s| s.trim().parse::<u64>().ok()).map(|s| s.saturating_mul(1000));
    let content_type = header("Content-Type").unwrap_or_default();
    let status = response.status();
    let body = read_body(&response, max_bytes).await?;
    Ok((HttpResponse { status, content_type, retry_after_ms, body }, response.headers()))
}

async fn read_body(response: &Response, max_bytes: usize) -> Result<Vec<u8>, TransportError> {
    let Some(stream) = response.body() else { return Ok(Vec::new()) };
    let reader: ReadableStreamDefaultReader = stream.get_reader().dyn_into().map_err(broken)?;
    let mut body = Vec::new();
    loop {
        let chunk = JsFuture::from(reader.read()).await.map_err(broken)?;
        if Reflect::get(&chunk, &"done".into()).map_err(broken)?.is_truthy() {
            return Ok(body);
        }
        let bytes: Uint8Array = Reflect::get(&chunk, &"value".into()).map_err(broken)?.dyn_into().map_err(broken)?;
        if body.len() + bytes.length() as usize > max_bytes {
            let _ = reader.cancel();
            return Err(TransportError::TooLarge);
        }
        body.extend_from_slice(&bytes.to_vec());
    }
}

fn broken<E>(_: E) -> TransportError {
    TransportError::Unreachable
}
