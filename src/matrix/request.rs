//! What all requests to the homeserver have in common.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::effect::{HttpRequest, Method, Target};

/// The most of an answer that is read, where nothing else is said: 1 MiB.
pub(super) const MAX_BYTES: u32 = 1 << 20;
/// The time limit of a request: 30 seconds.
const TIMEOUT_MS: u32 = 30_000;

/// All but RFC 3986's unreserved characters: no identifier can add a segment or a query to a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Joins path segments, each percent-encoded, behind `/_matrix/client/v3`.
pub(super) fn path(segments: &[&str]) -> String {
    let mut path = String::from("/_matrix/client/v3");
    for segment in segments {
        path.push('/');
        path.extend(utf8_percent_encode(segment, SEGMENT));
    }
    path
}

pub(super) fn get(name: &'static str, segments: &[&str]) -> HttpRequest {
    request(name, Method::Get, segments, None)
}

pub(super) fn put(name: &'static str, segments: &[&str], body: &Value) -> HttpRequest {
    request(name, Method::Put, segments, Some(body))
}

pub(super) fn post(name: &'static str, segments: &[&str], body: &Value) -> HttpRequest {
    request(name, Method::Post, segments, Some(body))
}

fn request(name: &'static str, method: Method, segments: &[&str], body: Option<&Value>) -> HttpRequest {
    HttpRequest {
        name,
        method,
        target: Target::Homeserver(path(segments)),
        body: body.map(Value::to_string),
        timeout_ms: TIMEOUT_MS,
        max_bytes: MAX_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_stays_within_its_segment() {
        assert_eq!(path(&["user", "@a/../b?c#d%:x.y"]), "/_matrix/client/v3/user/%40a%2F..%2Fb%3Fc%23d%25%3Ax.y");
        assert_eq!(path(&["ü"]), "/_matrix/client/v3/%C3%BC");
    }
}
