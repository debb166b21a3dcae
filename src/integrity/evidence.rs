//! What IT is told of a refusal: enough to see what the host served, and by which manifest it was refused.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{ManifestSet, RefusalView};
use crate::{ident::Origin, time::UnixMillis};

/// How much of a body is kept.
const MAX_BODY: usize = 4 << 20;
/// The headers whose values are kept. In others there may be what is the person's: a session, a token of a proxy, an address.
const KEPT: [&str; 24] = [
    "accept-ranges",
    "age",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-security-policy",
    "content-security-policy-report-only",
    "content-type",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "date",
    "etag",
    "expires",
    "last-modified",
    "link",
    "server",
    "strict-transport-security",
    "transfer-encoding",
    "vary",
    "via",
    "x-content-type-options",
];
/// What is written in the place of those values.
const NOT_KEPT: &str = "(not kept)";

/// Which answer of the host it is that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// The one that the page was given, or would have been.
    ByThePage,
    /// One to the extension, which asked for the same once more: this browser shows the page's to nobody else.
    AskedAgain,
}

/// A header field of an answer (RFC 9110, section 6.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value; `None` where that is no text.
    #[serde(default)]
    pub value: Option<String>,
}

/// What the host served.
#[derive(Debug, Clone, Copy)]
pub struct ServedAnswer<'a> {
    /// To whom.
    pub seen: Seen,
    /// The status code.
    pub status: u16,
    /// The header fields, in their order.
    pub headers: &'a [Header],
    /// The bytes, unpacked.
    pub body: &'a [u8],
}

/// The document of a refusal: what was served, with which headers, what was expected, and by whose word.
#[must_use]
pub fn evidence(
    deployment: &Origin,
    set: Option<&ManifestSet>,
    refused: &RefusalView,
    served: ServedAnswer<'_>,
    now: UnixMillis,
) -> Value {
    let ServedAnswer { seen, status, headers, body } = served;
    let manifest = set.map(|set| {
        let signature = set.signature();
        let releases: Vec<_> = set.releases().map(|release| release.id().as_str()).collect();
        json!({
            "serial": signature.serial(),
            "signer": signature.signer().as_str(),
            "expires": signature.expires(),
            "releases": releases,
        })
    });
    let headers: Vec<_> = headers.iter().map(impersonal).collect();
    json!({
        "kind": "keystead_integrity_evidence",
        "version": 1,
        "deployment": deployment,
        "at": now,
        "extension": env!("CARGO_PKG_VERSION"),
        "manifest": manifest,
        "refused": refused,
        "served": {
            "seen": seen,
            "status": status,
            "headers": headers,
            "size": body.len(),
            "base64": STANDARD.encode(&body[..body.len().min(MAX_BODY)]),
        },
    })
}

/// A header as it may leave the machine.
fn impersonal(header: &Header) -> Header {
    let is_kept = KEPT.iter().any(|name| header.name.eq_ignore_ascii_case(name));
    if is_kept { header.clone() } else { Header { value: Some(NOT_KEPT.to_owned()), ..header.clone() } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn headers_are_kept_but_for_what_is_the_person_s() {
        let header = |name: &str, value: &str| Header { name: name.into(), value: Some(value.into()) };
        let headers =
            [header("Server", "nginx"), header("Set-Cookie", "session=secret"), header("X-Auth-Token", "secret")];
        let origin = Origin::parse("https://chat.example.org").expect("an origin");
        let refused =
            RefusalView::without_bytes("https://chat.example.org/?loginToken=secret", Code::IntChanged, UnixMillis(1));
        let served = ServedAnswer { seen: Seen::AskedAgain, status: 200, headers: &headers, body: b"served" };
        let document = evidence(&origin, None, &refused, served, UnixMillis(2));
        assert_eq!(document["served"]["headers"][0], json!({ "name": "Server", "value": "nginx" }));
        assert_eq!(document["served"]["headers"][1]["name"], "Set-Cookie");
        assert_eq!((&document["served"]["seen"], &document["served"]["status"]), (&json!("asked_again"), &json!(200)));
        assert_eq!(document["served"]["base64"], "c2VydmVk");
        assert!(!document.to_string().contains("secret"), "{document}");
    }
}
