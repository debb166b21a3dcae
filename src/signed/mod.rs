//! Signed documents: what an organisation says of its people and releases, whoever hosts it.
//!
//! Threat: the web host that serves a document is hostile. It can serve another document, an old one, one of another
//! deployment or kind, or a very large one; it cannot sign. So a document is a file NAME with a detached OpenPGP
//! signature in NAME.asc, by a certificate that the policy names, and says itself of what kind it is, for which
//! deployment, which serial number it has and until when it holds. One [`Reader`] checks them all, the signature first:
//! nothing that is not signed is parsed. Form: `docs/signed-documents.md`.

mod envelope;
mod fetch;
mod json;
mod reader;
mod roster;

pub use envelope::{Body, Envelope, Kind, MAX_BYTES, Written, lines};
pub use fetch::{Fetched, fetch, store_key};
pub use json::{JsonError, parse_json};
pub use reader::{CLOCK_SKEW, Reader, SignatureValid, SignedDocument, SignedError};
pub use roster::{Person, Roster, RosterError};
