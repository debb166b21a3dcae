//! Which version of each tool Keystead is built and tested with, and where it stands.
//!
//! `cargo xtask setup` puts tools into these places, the testbed and the other commands take them from there. Versions
//! come from `/tools.toml` (and, for wasm-bindgen, from `/Cargo.lock`), read at compile time so that a test binary needs
//! no work tree to find its services.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The text of `/tools.toml`.
pub const TOOLS_TOML: &str = include_str!("../../../tools.toml");
const CARGO_LOCK: &str = include_str!("../../../Cargo.lock");

/// What `/tools.toml` says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versions {
    /// Debian packages.
    pub debian: Debian,
    /// Commands from the Rust crate registry.
    pub cargo: CargoTools,
    /// Packages from npm.
    pub npm: NpmTools,
    /// Packages from PyPI.
    pub python: PythonTools,
}

/// Debian packages; their versions are the distribution's.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Debian {
    /// By package, the commands of which one must be there.
    pub packages: BTreeMap<String, Vec<String>>,
    /// Needed where no Python can make virtual environments.
    pub python: Vec<String>,
    /// Needed where rustup cannot add the WASM target.
    pub wasm_fallback: Vec<String>,
    /// The source package that gpgme-json is built from where the distribution has no package of it.
    pub gpgme_json_source: String,
    /// What building it needs.
    pub gpgme_json_build: Vec<String>,
}

/// Commands from the Rust crate registry.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CargoTools {
    /// Builds the extension's pages.
    pub trunk: String,
    /// Drives Firefox.
    pub geckodriver: String,
    /// Checks licences and sources of dependencies.
    pub cargo_deny: String,
}

/// Packages from npm.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NpmTools {
    /// Runs the reference client.
    pub node: String,
    /// Holds wasm-opt.
    pub binaryen: String,
}

/// Packages from PyPI.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PythonTools {
    /// The homeserver.
    pub matrix_synapse: String,
    /// Its optional parts.
    pub matrix_synapse_extras: Vec<String>,
}

impl Versions {
    /// Reads `/tools.toml`.
    ///
    /// # Errors
    /// If the file is not what this type says.
    pub fn read() -> Result<Self> {
        toml::from_str(TOOLS_TOML).context("tools.toml is not as keystead-tools expects")
    }
}

/// The version of wasm-bindgen in `Cargo.lock`: library and command must be the same.
///
/// # Errors
/// If the lock file has no such package.
pub fn wasm_bindgen_version() -> Result<String> {
    #[derive(Deserialize)]
    struct Lock {
        package: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        version: String,
    }
    let lock: Lock = toml::from_str(CARGO_LOCK).context("Cargo.lock does not parse")?;
    let found = lock.package.into_iter().find(|package| package.name == "wasm-bindgen");
    Ok(found.context("Cargo.lock has no package wasm-bindgen")?.version)
}

/// The cache where tools are kept: `$KEYSTEAD_CACHE`, else `$XDG_CACHE_HOME/keystead`, else `~/.cache/keystead`.
///
/// # Errors
/// If none of the three variables is set.
pub fn cache_dir() -> Result<PathBuf> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("KEYSTEAD_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|dir| dir.join("keystead")))
        .or_else(|| variable("HOME").map(|dir| dir.join(".cache/keystead")))
        .context("no place for the tools: set KEYSTEAD_CACHE or HOME")
}

/// Where `cargo install --root` puts one command.
#[must_use]
pub fn cargo_root(cache: &Path, krate: &str, version: &str) -> PathBuf {
    cache.join("cargo").join(format!("{krate}-{version}"))
}

/// Where npm puts one pinned package.
#[must_use]
pub fn npm_root(cache: &Path, package: &str, version: &str) -> PathBuf {
    cache.join("npm").join(format!("{package}-{version}"))
}

/// The virtual environment that holds Synapse.
#[must_use]
pub fn synapse_venv(cache: &Path, version: &str) -> PathBuf {
    cache.join(format!("synapse-{version}"))
}

/// The npm package that holds Node for this machine; installing it runs no script.
#[must_use]
pub fn node_package() -> String {
    let os = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    format!("node-{os}-{arch}")
}

/// The file that says that everything of Synapse's virtual environment is there.
#[must_use]
pub fn synapse_complete(cache: &Path, version: &str) -> PathBuf {
    synapse_venv(cache, version).join("keystead-complete")
}

/// The Python interpreter that can run Synapse.
///
/// # Errors
/// If Synapse is not installed.
pub fn synapse_python() -> Result<PathBuf> {
    let version = Versions::read()?.python.matrix_synapse;
    let cache = cache_dir()?;
    installed(synapse_complete(&cache, &version), &format!("Synapse {version}"))?;
    Ok(synapse_venv(&cache, &version).join("bin/python"))
}

/// The Node of the pinned version.
///
/// # Errors
/// If it is not installed.
pub fn node() -> Result<PathBuf> {
    let version = Versions::read()?.npm.node;
    let root = npm_root(&cache_dir()?, "node", &version).join("node_modules");
    installed(root.join(node_package()).join("bin/node"), &format!("Node {version}"))
}

/// The `wasm-opt` of the pinned version.
///
/// # Errors
/// If it is not installed.
pub fn wasm_opt() -> Result<PathBuf> {
    let version = Versions::read()?.npm.binaryen;
    let root = npm_root(&cache_dir()?, "binaryen", &version);
    installed(root.join("node_modules/binaryen/bin/wasm-opt"), &format!("wasm-opt {version}"))
}

/// The driver of Firefox.
///
/// # Errors
/// If it is not installed.
pub fn geckodriver() -> Result<PathBuf> {
    cargo_command("geckodriver", &Versions::read()?.cargo.geckodriver, "geckodriver")
}

/// The driver of Chromium.
///
/// # Errors
/// If it is not installed.
pub fn chromedriver() -> Result<PathBuf> {
    system_command("chromium-driver")
}

/// Chromium itself.
///
/// # Errors
/// If it is not installed.
pub fn chromium() -> Result<PathBuf> {
    system_command("chromium")
}

/// Firefox itself.
///
/// # Errors
/// If it is not installed.
pub fn firefox() -> Result<PathBuf> {
    system_command("firefox-esr")
}

/// Where gpgme-json is put where the distribution has no package of it.
#[must_use]
pub fn gpgme_json_built(cache: &Path) -> PathBuf {
    cache.join("gpgme-json/bin/gpgme-json")
}

/// gpgme-json, GnuPG's native messaging host: the system's, else the one that was built.
///
/// # Errors
/// If it is neither.
pub fn gpgme_json() -> Result<PathBuf> {
    match on_path("gpgme-json") {
        Some(found) => Ok(found),
        None => installed(gpgme_json_built(&cache_dir()?), "gpgme-json"),
    }
}

/// The first command that stands for a Debian package of `/tools.toml`.
fn system_command(package: &str) -> Result<PathBuf> {
    let packages = Versions::read()?.debian.packages;
    let commands = packages.get(package).with_context(|| format!("tools.toml does not name {package}"))?;
    let found = commands.iter().find_map(|command| on_path(command));
    found.with_context(|| format!("{package} is not installed: run `cargo xtask setup`"))
}

/// A command from the Rust crate registry: the cache's, else one in `PATH` or cargo's own folder (whose version `setup`
/// has checked).
///
/// # Errors
/// If it is in none of these.
pub fn cargo_command(krate: &str, version: &str, command: &str) -> Result<PathBuf> {
    let kept = cargo_root(&cache_dir()?, krate, version).join("bin").join(command);
    if kept.is_file() {
        return Ok(kept);
    }
    match on_path(command) {
        Some(found) => Ok(found),
        None => installed(kept, &format!("{krate} {version}")),
    }
}

/// The first file of this name in `PATH`, cargo's own folder of commands, or the system's folders that are often not in
/// a person's `PATH`.
#[must_use]
pub fn on_path(command: &str) -> Option<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::var_os("HOME").map(|dir| Path::new(&dir).join(".cargo")));
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(home.map(|dir| dir.join("bin")))
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/lib/gnupg"].map(PathBuf::from))
        .map(|dir| dir.join(command))
        .find(|file| file.is_file())
}

fn installed(file: PathBuf, what: &str) -> Result<PathBuf> {
    if !file.is_file() {
        bail!("{what} is not installed (looked for {}): run `cargo xtask setup`", file.display());
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_file_is_complete_and_exact() {
        let versions = Versions::read().unwrap();
        let exact = [
            &versions.cargo.trunk,
            &versions.cargo.geckodriver,
            &versions.cargo.cargo_deny,
            &versions.npm.node,
            &versions.npm.binaryen,
            &versions.python.matrix_synapse,
        ];
        for version in exact {
            assert_eq!(version.split('.').filter(|part| part.parse::<u32>().is_ok()).count(), 3, "{version}");
        }
    }

    #[test]
    fn wasm_bindgen_comes_from_the_lock_file() {
        let version = wasm_bindgen_version().unwrap();
        let manifest = include_str!("../../../Cargo.toml");
        assert!(manifest.contains(&format!("wasm-bindgen = \"={version}\"")), "{version}");
    }
}
