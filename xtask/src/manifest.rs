//! The extension's manifest: what packaging bakes in, and the ids that browsers derive from it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::Browser;
use crate::hosts::Pattern;

/// A manifest as it stands in a file.
pub(crate) struct Manifest(Value);

impl Manifest {
    /// Reads one.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self(serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?))
    }

    /// Writes it.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.0)?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }

    /// Gives access to these sites from the start; the others stay optional.
    pub(crate) fn grant(&mut self, sites: &[Pattern]) {
        self.0["host_permissions"] = json!(sites.iter().map(Pattern::as_str).collect::<Vec<_>>());
    }

    /// Asks for what this browser alone has: guarding a page's code is another thing in each.
    pub(crate) fn permit(&mut self, browser: Browser) {
        let own: &[&str] = match browser {
            Browser::Chromium => &["browsingData", "declarativeNetRequestWithHostAccess"],
            Browser::Firefox => &[
                "browsingData",
                "webRequest",
                "webRequestBlocking",
                "webRequestFilterResponse",
                "webRequestFilterResponse.serviceWorkerScript",
            ],
        };
        if let Some(permissions) = self.0["permissions"].as_array_mut() {
            permissions.extend(own.iter().map(|name| json!(name)));
        }
    }

    /// The extension's version.
    pub(crate) fn version(&self) -> Result<&str> {
        self.0["version"].as_str().context("the manifest names no version")
    }

    /// The id under which a browser knows the extension.
    pub(crate) fn id(&self, browser: Browser) -> Result<String> {
        match browser {
            Browser::Chromium => {
                let key = self.0["key"].as_str().context("the manifest has no key")?;
                Ok(chromium_id(&STANDARD.decode(key).context("the manifest's key is not base64")?))
            }
            Browser::Firefox => {
                let id = &self.0["browser_specific_settings"]["gecko"]["id"];
                Ok(id.as_str().context("the manifest has no gecko id")?.to_owned())
            }
        }
    }
}

/// The first 16 bytes of the public key's SHA-256 (of its DER form), in the letters a to p.
fn chromium_id(key: &[u8]) -> String {
    let letter = |half: u8| char::from(b'a' + half);
    Sha256::digest(key).iter().take(16).flat_map(|byte| [letter(byte >> 4), letter(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths;

    #[test]
    fn the_version_is_that_of_the_workspace() {
        let manifest = Manifest::read(&paths::root().join("manifest.json")).unwrap();
        assert_eq!(manifest.version().unwrap(), env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn granting_changes_nothing_else() {
        let path = paths::root().join("manifest.json");
        let mut manifest = Manifest::read(&path).unwrap();
        manifest.grant(&["https://chat.example.org/*".parse().unwrap()]);
        let mut granted = manifest.0;
        let permissions = granted.as_object_mut().unwrap().shift_remove("host_permissions");
        assert_eq!(permissions, Some(json!(["https://chat.example.org/*"])));
        assert_eq!(granted, Manifest::read(&path).unwrap().0);
    }
}
