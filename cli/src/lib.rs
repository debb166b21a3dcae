//! The native side of Keystead: what performs the core's effects outside a browser, and the parts of the `keystead`
//! command.
//!
//! [`Driver`] runs any flow of the core over real HTTP, with whatever vault, store and page it is given; the command and
//! the tests of the core use the same one.

mod dates;
mod directory;
mod driver;
mod evidence;
mod failure;
mod files;
mod http;
mod manifest;
mod native;
mod native_host;
mod plan;
mod policy;
mod roster;
mod signing;
mod staff;
mod words;

pub use dates::{now, parse_date, show_date};
pub use directory::DirectoryCheck;
pub use driver::{Driver, Homeserver, NoPage, Page};
pub use evidence::EvidenceVerify;
pub use failure::{Ending, Failure};
pub use http::Http;
pub use manifest::{
    ManifestAddSite, ManifestBuild, ManifestCheck, ManifestDiff, ManifestRevoke, ManifestSign, ManifestVerify,
};
pub use native::NativeHost;
pub use native_host::{NativeHostInstall, NativeHostStatus, NativeHostUninstall};
pub use policy::{PolicyCheck, PolicyHosts};
pub use roster::{RosterBuild, RosterSet, RosterSign, RosterVerify};
