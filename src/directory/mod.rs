//! Where certificates are found: HKP key servers and the Web Key Directory.
//!
//! Threat: every source is assumed hostile. A source can hide certificates, make up others, withhold a revocation, answer
//! a web page, megabytes, or nothing. So its word decides nothing: all sources are asked, copies are merged by
//! fingerprint with what was known before (a revocation once seen is kept), and only
//! [`crate::openpgp::AcceptanceRule`] says which certificate may be used ([`choose`]).

mod answer;
mod choice;
pub mod hkp;
mod lookup;
pub mod wkd;

pub use answer::{Answered, SourceError};
pub use choice::choose;
pub use lookup::{DirectoryConfig, Looked, MAX_CANDIDATES, Wanted, lookup, refresh};
