//! Packages from npm: Node itself, wasm-opt, what the host page is made of, and what benches compare.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use keystead_tools::{node_package, npm_root, on_path};

use super::Setup;
use crate::{paths, run};

/// The copy of the lock file that a folder's packages were installed from.
const INSTALLED_LOCK: &str = "node_modules/.keystead-lock.json";

/// The files that say that Node and wasm-opt are there.
pub(super) fn binaries(setup: &Setup) -> Vec<PathBuf> {
    packages(setup).map(|package| package.file).to_vec()
}

/// The folders of the work tree that have node packages.
fn folders() -> [(&'static str, PathBuf); 2] {
    [("the host page", paths::host()), ("the benches", paths::bench())]
}

/// Whether every folder's packages are those of its lock file.
pub(super) fn folders_are_current() -> bool {
    folders().iter().all(|(_, folder)| is_current(folder))
}

fn is_current(folder: &Path) -> bool {
    let Ok(wanted) = fs::read(folder.join("package-lock.json")) else { return true };
    fs::read(folder.join(INSTALLED_LOCK)).is_ok_and(|installed| installed == wanted)
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
    /// Installs Node, wasm-opt and the packages of the work tree's folders.
    pub(super) fn node_packages(&self) -> Result<()> {
        for package in packages(self) {
            if !package.file.is_file() {
                let spec = format!("{}@{}", package.name, package.version);
                self.report.step(&spec, || self.install_package(&package, &spec))?;
            }
        }
        for (name, folder) in folders().iter().filter(|(_, folder)| !is_current(folder)) {
            self.report.step(&format!("node packages of {name}"), || self.install_folder(folder))?;
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

    fn install_folder(&self, folder: &Path) -> Result<()> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        run::quiet(npm(["ci".as_ref()])?.current_dir(folder), &self.log(&format!("npm-{name}")))?;
        fs::copy(folder.join("package-lock.json"), folder.join(INSTALLED_LOCK))?;
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
