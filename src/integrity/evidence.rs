//! What IT is told of a refusal: enough to see what the host served, and by which manifest it was refused.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{ManifestSet, RefusalView};
use crate::{ident::Origin, time::UnixMillis};

/// How much of a body is kept.
const MAX_BODY: usize = 4 << 20;

/// The document of a refusal: what was served, with which headers, what was expected, and by whose word.
#[must_use]
pub fn evidence(
    deployment: &Origin,
    set: Option<&ManifestSet>,
    refused: &RefusalView,
    headers: &Value,
    body: &[u8],
    now: UnixMillis,
) -> Value {
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
    json!({
        "kind": "keystead_integrity_evidence",
        "version": 1,
        "deployment": deployment,
        "at": now,
        "extension": env!("CARGO_PKG_VERSION"),
        "manifest": manifest,
        "refused": refused,
        "served": {
            "headers": headers,
            "size": body.len(),
            "base64": STANDARD.encode(&body[..body.len().min(MAX_BODY)]),
        },
    })
}
