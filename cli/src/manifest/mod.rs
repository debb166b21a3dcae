//! `keystead manifest`: builds, signs and compares the list of files of Element Web that may run.

mod add_site;
mod build;
mod check;
mod classify;
mod diff;
mod folder;
mod html;
mod javascript;
mod listing;
mod open;
mod part;
mod release_file;
mod revoke;
mod sign;
mod tarball;

pub use add_site::ManifestAddSite;
pub use build::ManifestBuild;
pub use check::ManifestCheck;
pub use diff::ManifestDiff;
pub use revoke::ManifestRevoke;
pub use sign::{ManifestSign, ManifestVerify};

use keystead_core::error::Code;

use crate::failure::Failure;

/// A refusal that names what it is about.
fn refused(code: Code, detail: impl Into<String>) -> Failure {
    Failure::Refused { code, detail: detail.into() }
}
