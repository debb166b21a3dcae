//! What the file of a native messaging host says: which program it is, and which extensions may start it.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use keystead_core::gnupg::HOST_NAME;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::place::Browser;

/// The extension's own manifest, which says what its ids are.
const MANIFEST: &str = include_str!("../../../manifest.json");

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Registration {
    name: String,
    description: String,
    /// The program.
    pub(super) path: PathBuf,
    #[serde(rename = "type")]
    kind: String,
    /// Chromium and Chrome.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allowed_origins: Vec<String>,
    /// Firefox.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allowed_extensions: Vec<String>,
}

/// An extension's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ExtensionId {
    /// In Chromium and Chrome.
    Chromium(String),
    /// In Firefox.
    Firefox(String),
}

impl ExtensionId {
    /// Reads an id as the browsers show it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let is_chromium = text.len() == 32 && text.chars().all(|c| ('a'..='p').contains(&c));
        // As in Firefox's schema of manifests: a name with an at sign, or a UUID in braces.
        let word = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let named = text.split_once('@').is_some_and(|(a, b)| !b.is_empty() && a.chars().chain(b.chars()).all(word));
        let braces = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let is_uuid = braces.is_some_and(|id| id.len() == 36 && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-'));
        if is_chromium {
            Ok(Self::Chromium(text.to_owned()))
        } else if named || is_uuid {
            Ok(Self::Firefox(text.to_owned()))
        } else {
            Err("an id has 32 letters from a to p (Chromium), or the form name@example.org or {UUID} (Firefox)".into())
        }
    }

    /// The ids that the extension has with its own manifest.
    pub(super) fn own() -> [Self; 2] {
        let manifest: serde_json::Value = serde_json::from_str(MANIFEST).unwrap_or_default();
        let key = manifest["key"].as_str().unwrap_or_default();
        let key = base64::engine::general_purpose::STANDARD.decode(key).unwrap_or_default();
        let gecko = manifest["browser_specific_settings"]["gecko"]["id"].as_str().unwrap_or_default();
        [Self::Chromium(id_of_key(&key)), Self::Firefox(gecko.to_owned())]
    }
}

/// Chromium's id of an extension: the first 16 bytes of the SHA-256 of its public key, in hex whose digits are a to p.
fn id_of_key(key: &[u8]) -> String {
    let digest = Sha256::digest(key);
    let nibbles = digest.iter().take(16).flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.map(|nibble| char::from(b'a' + nibble)).collect()
}

impl Registration {
    /// For a program, and the extension with these ids besides its own.
    pub(super) fn new(browser: Browser, program: &Path, more: &[ExtensionId]) -> Self {
        let ids = ExtensionId::own().into_iter().chain(more.iter().cloned());
        let (mut origins, mut extensions) = (Vec::new(), Vec::new());
        for id in ids {
            match (browser, id) {
                (Browser::Chromium | Browser::Chrome, ExtensionId::Chromium(id)) => {
                    origins.push(format!("chrome-extension://{id}/"));
                }
                (Browser::Firefox, ExtensionId::Firefox(id)) => extensions.push(id),
                (Browser::Chromium | Browser::Chrome, ExtensionId::Firefox(_))
                | (Browser::Firefox, ExtensionId::Chromium(_)) => (),
            }
        }
        Self {
            name: HOST_NAME.to_owned(),
            description: "GnuPG for Keystead: opens sealed recoveries".to_owned(),
            path: program.to_owned(),
            kind: "stdio".to_owned(),
            allowed_origins: origins,
            allowed_extensions: extensions,
        }
    }

    /// The file's text.
    pub(super) fn to_text(&self) -> String {
        // Strings and lists of strings are always JSON; only a path that is no Unicode is not, and `install` refuses it.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Reads a file's text; `Err` says what no browser would take.
    pub(super) fn read(browser: Browser, text: &str) -> Result<Self, String> {
        let found: Self = serde_json::from_str(text).map_err(|error| format!("not of the documented form: {error}"))?;
        let allowed = match browser {
            Browser::Chromium | Browser::Chrome => &found.allowed_origins,
            Browser::Firefox => &found.allowed_extensions,
        };
        if found.name != HOST_NAME || found.kind != "stdio" || !found.path.is_absolute() {
            return Err("name, type or path is not what browsers take".into());
        }
        if allowed.is_empty() {
            return Err("it lets no extension of this browser in".into());
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_that_the_browsers_show() {
        // Seen in Chromium with this manifest.
        let [chromium, firefox] = ExtensionId::own();
        assert_eq!(chromium, ExtensionId::Chromium("ocmpnnmohigfpgheeplelabeokajddab".into()));
        assert_eq!(firefox, ExtensionId::Firefox("keystead@keystead.example".into()));
        for id in ExtensionId::own() {
            let (ExtensionId::Chromium(text) | ExtensionId::Firefox(text)) = &id;
            assert_eq!(ExtensionId::parse(text), Ok(id.clone()));
        }
        assert!(ExtensionId::parse("{ec8030f7-c20a-464f-9b0e-13a3a9e97384}").is_ok());
        for bad in
            ["", "*", "abc", "chrome-extension://x/", "@", "a@", "a@b/", "{}", "qbcdefghijklmnopabcdefghijklmnop"]
        {
            assert!(ExtensionId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_browser_gets_what_it_reads_and_nothing_for_the_other() {
        let more = [ExtensionId::Firefox("own@example.org".into()), ExtensionId::Chromium("a".repeat(32))];
        let program = Path::new("/usr/bin/gpgme-json");
        for browser in Browser::ALL {
            let registration = Registration::new(browser, program, &more);
            let counts = (registration.allowed_origins.len(), registration.allowed_extensions.len());
            assert_eq!(counts, if browser == Browser::Firefox { (0, 2) } else { (2, 0) });
            assert_eq!(Registration::read(browser, &registration.to_text()), Ok(registration));
        }
        let chromium = Registration::new(Browser::Chromium, program, &[]);
        assert!(Registration::read(Browser::Firefox, &chromium.to_text()).is_err());
        let relative = Registration::new(Browser::Chromium, Path::new("gpgme-json"), &[]);
        assert!(Registration::read(Browser::Chromium, &relative.to_text()).is_err());
        assert!(Registration::read(Browser::Chromium, "{").is_err());
    }

    #[test]
    fn the_name_is_one_that_both_browsers_allow() {
        let part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        assert!(HOST_NAME.split('.').all(part));
    }
}
