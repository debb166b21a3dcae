//! What an answer of the homeserver means before its content is looked at.

use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    effect::{HttpResponse, TransportError},
    error::{Code, Coded},
    value,
};

/// Why an answer of the homeserver cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MatrixError {
    /// There is no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The access token is not accepted (any longer).
    #[error("the server no longer accepts the session")]
    Token,
    /// Too many requests.
    #[error("the server asks to wait")]
    Limited {
        /// For how long, in milliseconds, if it says so. The server's word, without a bound.
        retry_after_ms: Option<u64>,
    },
    /// The server failed.
    #[error("the server failed with status {status}")]
    Server {
        /// The HTTP status.
        status: u16,
    },
    /// The server refuses, or does not know, what it was asked.
    #[error("the server refused with status {status}")]
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// The answer is not what the specification says.
    #[error("the server's answer is malformed: {0}")]
    Answer(
        /// Which document it should have been.
        &'static str,
    ),
}

impl Coded for MatrixError {
    fn code(&self) -> Code {
        match self {
            Self::Transport(TransportError::Unreachable | TransportError::Timeout) => Code::NetUnreachable,
            Self::Transport(TransportError::TooLarge | TransportError::Redirected) => Code::NetAnswer,
            Self::Transport(TransportError::NoToken) | Self::Token => Code::NetToken,
            Self::Limited { .. } => Code::NetLimited,
            Self::Server { .. } => Code::NetServer,
            Self::Refused { .. } => Code::NetRefused,
            Self::Answer(_) => Code::NetAnswer,
        }
    }
}

/// The standard error response (Client-Server API, "Standard error response").
#[derive(Default, Deserialize)]
#[serde(default)]
struct StandardError {
    errcode: String,
    retry_after_ms: Option<f64>,
}

impl StandardError {
    /// An error's body is often not JSON at all (a proxy's page): then nothing is known of it.
    fn of(response: &HttpResponse) -> Self {
        value::read_bytes(&response.body).unwrap_or_default()
    }
}

impl MatrixError {
    /// What a status other than success means; `None` for success.
    #[must_use]
    pub fn of_status(response: &HttpResponse) -> Option<Self> {
        let status = response.status;
        match status {
            200..=299 => None,
            401 => Some(Self::Token),
            429 => Some(Self::Limited { retry_after_ms: response.retry_after_ms.or_else(|| body_delay(response)) }),
            400..=499 => Some(Self::Refused { status }),
            500..=599 => Some(Self::Server { status }),
            _ => Some(Self::Answer("an answer with a known status")),
        }
    }
}

/// The delay that older servers name in the body; sub-milliseconds, negative and non-numbers are no delay.
fn body_delay(response: &HttpResponse) -> Option<u64> {
    let delay = StandardError::of(response).retry_after_ms?;
    // A float-to-integer cast saturates: the largest delay is the end of time.
    (delay >= 1.0).then_some(delay.ceil() as u64)
}

/// Reads a document that must be there.
pub(super) fn read<T: DeserializeOwned>(response: &HttpResponse, what: &'static str) -> Result<T, MatrixError> {
    match MatrixError::of_status(response) {
        None => {
            let text = std::str::from_utf8(&response.body).ok();
            text.and_then(|text| serde_json::from_str(text).ok()).ok_or(MatrixError::Answer(what))
        }
        Some(error) => Err(error),
    }
}

/// Reads a document that need not be there. Only the server's own `M_NOT_FOUND` says that it is not: any other 404 can be
/// a proxy that lost its way, and must not be taken for an account without keys.
pub(super) fn read_optional<T: DeserializeOwned>(
    response: &HttpResponse,
    what: &'static str,
) -> Result<Option<T>, MatrixError> {
    if response.status == 404 && StandardError::of(response).errcode == "M_NOT_FOUND" {
        return Ok(None);
    }
    read(response, what).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &str) -> HttpResponse {
        HttpResponse { status, content_type: String::new(), retry_after_ms: None, body: body.into() }
    }

    #[test]
    fn every_status_has_its_code() {
        let code = |status, body| MatrixError::of_status(&response(status, body)).map(|error| error.code());
        assert_eq!(code(200, ""), None);
        assert_eq!(code(401, r#"{"errcode":"M_UNKNOWN_TOKEN"}"#), Some(Code::NetToken));
        assert_eq!(code(429, "<html>"), Some(Code::NetLimited));
        for status in [400, 403, 404, 405, 413] {
            assert_eq!(code(status, r#"{"errcode":"M_FORBIDDEN"}"#), Some(Code::NetRefused), "{status}");
        }
        for status in [500, 502, 503, 504, 520] {
            assert_eq!(code(status, "<html>"), Some(Code::NetServer), "{status}");
        }
        for status in [0, 101, 302, 304, 999] {
            assert_eq!(code(status, ""), Some(Code::NetAnswer), "{status}");
        }
    }

    #[test]
    fn the_header_says_how_long_to_wait_and_else_the_body() {
        let delay = |header, body| match MatrixError::of_status(&HttpResponse {
            retry_after_ms: header,
            ..response(429, body)
        }) {
            Some(MatrixError::Limited { retry_after_ms }) => retry_after_ms,
            other => panic!("{other:?}"),
        };
        let body = r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":1500}"#;
        assert_eq!(delay(Some(3000), body), Some(3000));
        assert_eq!(delay(None, body), Some(1500));
        assert_eq!(delay(None, r#"{"retry_after_ms":1500.2}"#), Some(1501));
        for none in [r#"{"retry_after_ms":-5}"#, r#"{"retry_after_ms":"soon"}"#, "{}", "<html>", ""] {
            assert_eq!(delay(None, none), None, "{none}");
        }
    }

    #[test]
    fn only_the_servers_own_not_found_means_absent() {
        let read = |status, body| read_optional::<serde_json::Value>(&response(status, body), "test");
        assert_eq!(read(404, r#"{"errcode":"M_NOT_FOUND","error":"none"}"#), Ok(None));
        assert_eq!(read(404, r#"{"errcode":"M_UNRECOGNIZED"}"#), Err(MatrixError::Refused { status: 404 }));
        assert_eq!(read(404, "<html>not found</html>"), Err(MatrixError::Refused { status: 404 }));
        assert_eq!(read(403, r#"{"errcode":"M_NOT_FOUND"}"#), Err(MatrixError::Refused { status: 403 }));
        assert_eq!(read(200, "<html>"), Err(MatrixError::Answer("test")));
        assert_eq!(read(200, "1"), Ok(Some(1.into())));
    }
}
