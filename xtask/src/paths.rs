//! Where things are in the work tree.

use std::env;
use std::path::{Path, PathBuf};

/// The root of the work tree. Cargo says which one it runs in: where several share its output, this may have been built in
/// another one.
pub(crate) fn root() -> PathBuf {
    let own =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().map(Path::to_owned).unwrap_or(own)
}

/// The unpacked extensions.
pub(crate) fn dist() -> PathBuf {
    root().join("dist")
}

/// The host page's sources and node packages.
pub(crate) fn host() -> PathBuf {
    root().join("webdriver-tests/host")
}

/// What benches compare, and its node packages.
pub(crate) fn bench() -> PathBuf {
    root().join("webdriver-tests/bench")
}

/// Cargo's output.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Where cargo keeps the sources of dependencies.
pub(crate) fn cargo_home() -> PathBuf {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| env::home_dir().map(|dir| dir.join(".cargo"))).unwrap_or_else(|| root().join(".cargo"))
}

/// The folders whose names say on which machine something was built.
pub(crate) fn local() -> [PathBuf; 3] {
    [root(), cargo_home(), target()]
}
