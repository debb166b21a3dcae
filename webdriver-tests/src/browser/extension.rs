//! The extension under test: a copy of the unpacked build that already holds its host permissions.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::BrowserKind;
use super::package::Package;

/// What the deployments of tests stand on.
const LOOPBACK: [&str; 3] = ["http://127.0.0.1/*", "http://localhost/*", "https://127.0.0.1/*"];

/// A copy of the unpacked extension, gone when this is dropped.
#[derive(Debug)]
pub struct Extension {
    dir: TempDir,
    id: String,
    beside: Vec<TempDir>,
    package: Option<Package>,
}

impl Extension {
    /// Copies `dist/chromium` or `dist/firefox` (or what stands in `KEYSTEAD_DIST`) and bakes in the host permissions
    /// for loopback, as an administrator's package has them for the organisation's hosts.
    ///
    /// # Errors
    /// If it is not built, or its manifest names no id.
    pub fn packed_for_tests(kind: BrowserKind) -> Result<Self> {
        let built = dist()?.join(kind.name());
        if !built.join("manifest.json").is_file() {
            bail!("{} is not built: run `cargo xtask build`", built.display());
        }
        Self::copy(kind, &built, &LOOPBACK)
    }

    /// Copies any unpacked extension, with these host permissions instead of its own.
    ///
    /// # Errors
    /// If it has no manifest, or that names no id.
    pub fn copy(kind: BrowserKind, built: &Path, host_permissions: &[&str]) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("keystead-extension-").tempdir()?;
        copy_dir(built, dir.path())?;
        let path = dir.path().join("manifest.json");
        let mut manifest: Value = serde_json::from_slice(&fs::read(&path)?)?;
        manifest["host_permissions"] = json!(host_permissions);
        fs::write(&path, manifest.to_string())?;
        let id = match kind {
            BrowserKind::Chromium => chromium_id(&manifest)?,
            BrowserKind::Firefox => {
                let id = &manifest["browser_specific_settings"]["gecko"]["id"];
                id.as_str().context("the manifest has no gecko id")?.to_owned()
            }
        };
        Ok(Self { dir, id, beside: Vec::new(), package: None })
    }

    /// Has the background read the part of the core that an ordinary start does not need only after a while, as from a slow
    /// disk.
    ///
    /// # Errors
    /// If the script that reads it is another one.
    pub fn reads_late(&self) -> Result<()> {
        const READS: &str = "const read = async () => {";
        let path = self.dir().join("js/later.js");
        let text = fs::read_to_string(&path)?;
        ensure!(text.matches(READS).count() == 1, "js/later.js reads in another way");
        Ok(fs::write(path, text.replace(READS, &format!("{READS}\n  await new Promise((r) => setTimeout(r, 1500));")))?)
    }

    /// Lets a script run before one of the extension's own, in its place: an ear for tests.
    ///
    /// # Errors
    /// If the extension has no such script.
    pub fn listen_before(&self, script: &str, ear: &str) -> Result<()> {
        let path = self.dir().join(script);
        let own = fs::read_to_string(&path).with_context(|| format!("the extension has no {script}"))?;
        Ok(fs::write(path, format!("{ear}\n{own}"))?)
    }

    /// Replaces a piece of one of the extension's own scripts.
    ///
    /// # Errors
    /// If the piece is not there.
    pub fn replace_in(&self, script: &str, piece: &str, with: &str) -> Result<()> {
        let path = self.dir().join(script);
        let own = fs::read_to_string(&path).with_context(|| format!("the extension has no {script}"))?;
        ensure!(own.contains(piece), "{script} does not say {piece} any more");
        Ok(fs::write(path, own.replace(piece, with))?)
    }

    /// Has it speak a language to a browser that speaks English, and lets tests look into what it draws in pages.
    ///
    /// # Errors
    /// If it does not speak that, or draws nothing.
    pub fn speak(&self, language: &str) -> Result<()> {
        let words = |language: &str| self.dir().join(format!("_locales/{language}/messages.json"));
        if language != "en" {
            fs::copy(words(language), words("en"))?;
        }
        for script in ["js/notice.js", "js/outdated.js"] {
            self.replace_in(script, r#"mode: "closed""#, r#"mode: "open""#)?;
        }
        Ok(())
    }

    /// Gives it a permission from the start that it would ask the person for, as an organisation's own package can.
    ///
    /// # Errors
    /// If it does not ask for this one.
    pub fn grant(&self, permission: &str) -> Result<()> {
        let path = self.dir().join("manifest.json");
        let mut manifest: Value = serde_json::from_slice(&fs::read(&path)?)?;
        let optional = manifest["optional_permissions"].as_array_mut().context("the extension asks for nothing")?;
        let before = optional.len();
        optional.retain(|name| name != permission);
        ensure!(optional.len() < before, "the extension does not ask for {permission}");
        manifest["permissions"].as_array_mut().context("the extension has no permissions")?.push(permission.into());
        Ok(fs::write(&path, manifest.to_string())?)
    }

    /// The version that its manifest names.
    ///
    /// # Errors
    /// If it names none.
    pub fn version(&self) -> Result<String> {
        let manifest: Value = serde_json::from_slice(&fs::read(self.dir().join("manifest.json"))?)?;
        manifest["version"].as_str().map(str::to_owned).context("the manifest names no version")
    }

    /// Makes another version of it.
    ///
    /// # Errors
    /// If its manifest cannot be written.
    pub fn set_version(&self, version: &str) -> Result<()> {
        let path = self.dir().join("manifest.json");
        let mut manifest: Value = serde_json::from_slice(&fs::read(&path)?)?;
        manifest["version"] = version.into();
        Ok(fs::write(&path, manifest.to_string())?)
    }

    /// Replaces everything in the folder by what is in another's, as a developer does before loading it again.
    pub(super) fn become_copy_of(&self, other: &Self) -> Result<()> {
        for entry in fs::read_dir(self.dir())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        copy_dir(other.dir(), self.dir())
    }

    /// Adds a file to the extension's folder.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add_file(&self, name: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.dir().join(name), text)?)
    }

    /// Has the browser load another extension as well, of these files.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn bring(&mut self, files: &[(&str, &str)]) -> Result<()> {
        let dir = tempfile::Builder::new().prefix("keystead-another-").tempdir()?;
        for (name, text) in files {
            fs::write(dir.path().join(name), text)?;
        }
        self.beside.push(dir);
        Ok(())
    }

    /// Has the browser install it as it is now because of the organisation's policy, and not load it from its folder.
    ///
    /// # Errors
    /// If it cannot be packed.
    pub fn install_by_policy(&mut self, kind: BrowserKind) -> Result<()> {
        let package = Package::make(kind, self.dir(), &self.id)?;
        package.id().clone_into(&mut self.id);
        self.package = Some(package);
        Ok(())
    }

    /// The package that the policy names; `None` where the extension is loaded from its folder.
    pub(super) fn package(&self) -> Option<&Package> {
        self.package.as_ref()
    }

    /// The directories that the browser loads, this one's first.
    pub(super) fn dirs(&self) -> impl Iterator<Item = &Path> {
        let own = self.package.is_none().then_some(&self.dir);
        own.into_iter().chain(&self.beside).map(TempDir::path)
    }

    /// The directory that the browser loads.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The id under which the browser knows it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

fn dist() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("KEYSTEAD_DIST") {
        return Ok(dir.into());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
    Ok(root.join("dist"))
}

/// Chromium's id of an extension: the first 16 bytes of its public key's SHA-256, in the letters a to p.
fn chromium_id(manifest: &Value) -> Result<String> {
    let key = manifest["key"].as_str().context("the manifest has no key")?;
    let hash = Sha256::digest(STANDARD.decode(key)?);
    let letter = |half: u8| char::from(b'a' + half);
    Ok(hash.iter().take(16).flat_map(|byte| [letter(byte >> 4), letter(byte & 15)]).collect())
}

pub(super) fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy_dir(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
