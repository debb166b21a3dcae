//! Where things are in the work tree.

use std::env;
use std::path::{Path, PathBuf};

/// The root of the work tree.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// The unpacked extensions.
pub(crate) fn dist() -> PathBuf {
    root().join("dist")
}

/// The host page's sources and node packages.
pub(crate) fn host() -> PathBuf {
    root().join("webdriver-tests/host")
}

/// Cargo's output.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
