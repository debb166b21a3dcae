//! HTTP as the core asks for it: no cookies, no cache, redirects on the same origin only, a time limit for the whole
//! exchange and a limit of bytes that holds while they arrive.

use std::time::Duration;

use keystead_core::effect::{HttpResponse, Method, TransportError};
use reqwest::{Client, RequestBuilder, Response, header, redirect};
use url::Url;

/// The most redirects that are followed for one request.
const MAX_REDIRECTS: usize = 5;

/// An HTTP client.
#[derive(Clone)]
pub struct Http {
    /// By the environment's proxy, if it names one.
    outside: Client,
    /// Never by a proxy: it would not find what is on this machine.
    loopback: Client,
}

/// One request, as the core describes it, with the credentials that only the driver knows.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) body: Option<String>,
    pub(crate) token: Option<&'a str>,
    pub(crate) timeout: Duration,
    pub(crate) max_bytes: usize,
}

/// An answer whose body was handed on as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Streamed {
    pub(crate) status: u16,
}

impl Http {
    /// Makes a client.
    ///
    /// # Errors
    /// [`TransportError::Unreachable`] where the platform has no TLS.
    pub fn new() -> Result<Self, TransportError> {
        let client = || Client::builder().redirect(redirect::Policy::custom(same_origin)).referer(false);
        let built = |builder: reqwest::ClientBuilder| builder.build().map_err(|_| TransportError::Unreachable);
        Ok(Self { outside: built(client())?, loopback: built(client().no_proxy())? })
    }

    pub(crate) async fn send(&self, request: Request<'_>) -> Result<HttpResponse, TransportError> {
        let limit = request.timeout;
        tokio::time::timeout(limit, self.exchange(request)).await.unwrap_or(Err(TransportError::Timeout))
    }

    /// Gets a URL and hands its body on as it comes, if the status is 200.
    pub(crate) async fn stream(
        &self,
        url: Url,
        limit: Duration,
        max_bytes: u64,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<Streamed, TransportError> {
        let request = Request { method: Method::Get, url, body: None, token: None, timeout: limit, max_bytes: 0 };
        let exchange = async {
            let mut response = self.build(request).send().await.map_err(|error| reason(&error))?;
            let (status, mut size) = (response.status().as_u16(), 0);
            while status == 200
                && let Some(chunk) = response.chunk().await.map_err(|error| reason(&error))?
            {
                size += chunk.len() as u64;
                if size > max_bytes {
                    return Err(TransportError::TooLarge);
                }
                take(&chunk);
            }
            Ok(Streamed { status })
        };
        tokio::time::timeout(limit, exchange).await.unwrap_or(Err(TransportError::Timeout))
    }

    async fn exchange(&self, request: Request<'_>) -> Result<HttpResponse, TransportError> {
        let max_bytes = request.max_bytes;
        let response = self.build(request).send().await.map_err(|error| reason(&error))?;
        let mut answer = HttpResponse {
            status: response.status().as_u16(),
            content_type: header_text(&response, &header::CONTENT_TYPE).unwrap_or_default().to_owned(),
            retry_after_ms: header_text(&response, &header::RETRY_AFTER).and_then(retry_after_ms),
            body: Vec::new(),
        };
        let mut response = response;
        while let Some(chunk) = response.chunk().await.map_err(|error| reason(&error))? {
            if answer.body.len() + chunk.len() > max_bytes {
                return Err(TransportError::TooLarge);
            }
            answer.body.extend_from_slice(&chunk);
        }
        Ok(answer)
    }

    fn build(&self, request: Request<'_>) -> RequestBuilder {
        let is_loopback = matches!(request.url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let client = if is_loopback { &self.loopback } else { &self.outside };
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Put => reqwest::Method::PUT,
            Method::Post => reqwest::Method::POST,
        };
        let mut builder = client.request(method, request.url);
        if let Some(token) = request.token {
            builder = builder.bearer_auth(token);
        }
        match request.body {
            Some(body) => builder.header(header::CONTENT_TYPE, "application/json").body(body),
            None => builder,
        }
    }
}

fn same_origin(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let elsewhere = attempt.previous().first().is_none_or(|first| first.origin() != attempt.url().origin());
    if elsewhere || attempt.previous().len() > MAX_REDIRECTS {
        attempt.error(TransportError::Redirected)
    } else {
        attempt.follow()
    }
}

fn reason(error: &reqwest::Error) -> TransportError {
    if error.is_redirect() {
        TransportError::Redirected
    } else if error.is_timeout() {
        TransportError::Timeout
    } else {
        TransportError::Unreachable
    }
}

fn header_text<'a>(response: &'a Response, name: &header::HeaderName) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// `Retry-After` in seconds; the other form, a date, is not used by homeservers.
fn retry_after_ms(text: &str) -> Option<u64> {
    text.trim().parse::<u64>().ok()?.checked_mul(1000)
}
