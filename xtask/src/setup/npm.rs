//! Packages from npm: Node itself, wasm-opt, and what the host page is made of.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use keystead_tools::{node_package, npm_root, on_path};

use super::Setup;
use crate::{paths, run};

/// The copy of the lock file that the host page's packages were installed from.
const INSTALLED_LOCK: &str = "node_modules/.keystead-lock.json";

/// The files that say that Node and wasm-opt are there.
pub(super) fn binaries(setup: &Setup) -> Vec<PathBuf> {
    packages(setup).map(|package| package.file).to_vec()
}

/// Whether the host page's packages are those of its lock file.
pub(super) fn host_packages_are_current() -> bool {
    let Ok(wanted) = fs::read(paths::host().join("package-lock.json")) else { return true };
    fs::read(paths::host().join(INSTALLED_LOCK)).is_ok_and(|installed| installed == wanted)
}

/// One pinned package in a folder of its own.
struct Package {
    name: String,
    version: String,
    root: PathBuf,
    file: PathBuf,
}

fn packages(setup: &Setup) -> [Package; 2] {
    let npm = &setup.versions.npm;
    let (node, node_root) = (node_package(), npm_root(&setup.cache, "node", &npm.node));
    let binaryen_root = npm_root(&setup.cache, "binaryen", &npm.binaryen);
    [
        Package {
            file: node_root.join("node_modules").join(&node).join("bin/node"),
            name: node,
            version: npm.node.clone(),
            root: node_root,
        },
        Package {
            file: binaryen_root.join("node_modules/binaryen/bin/wasm-opt"),
            name: "binaryen".to_owned(),
            version: npm.binaryen.clone(),
            root: binaryen_root,
        },
    ]
}

impl Setup {
    /// Installs Node, wasm-opt and the host page's packages.
    pub(super) fn node_packages(&self) -> Result<()> {
        for package in packages(self) {
            if !package.file.is_file() {
                let spec = format!("{}@{}", package.name, package.version);
                self.report.step(&spec, || self.install_package(&package, &spec))?;
            }
        }
        if !host_packages_are_current() {
            self.report.step("node packages of the host page", || self.install_host_packages())?;
        }
        Ok(())
    }

    /// Installs beside the final place and moves: what is there is complete.
    fn install_package(&self, package: &Package, spec: &str) -> Result<()> {
        let partial = package.root.with_extension("partial");
        remove_if_there(&partial)?;
        remove_if_there(&package.root)?;
        fs::create_dir_all(&partial)?;
        let arguments = ["install".as_ref(), "--prefix".as_ref(), partial.as_os_str(), OsStr::new(spec)];
        run::quiet(npm(arguments)?.current_dir(&partial), &self.log(&package.name))?;
        fs::rename(&partial, &package.root).context("cannot move the package into place")
    }

    fn install_host_packages(&self) -> Result<()> {
        let host = paths::host();
        run::quiet(npm(["ci".as_ref()])?.current_dir(&host), &self.log("host-page"))?;
        fs::copy(host.join("package-lock.json"), host.join(INSTALLED_LOCK))?;
        Ok(())
    }
}

/// `npm`, which runs no script of any package.
fn npm<'a>(arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<Command> {
    let mut npm = Command::new(on_path("npm").context("npm is missing")?);
    npm.args(arguments).args(["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]);
    Ok(npm)
}

fn remove_if_there(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    Ok(())
}
