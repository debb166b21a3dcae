//! What the documentation gives administrators to copy: every policy in it is good, every id in it is the extension's, and
//! the manifest allows the extension to ask for every site that a policy may name.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keystead_core::{
    bootstrap::pair::{Typed, pair},
    ident::UserId,
    policy::Policy,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const PAGES: [&str; 2] = ["README.md", "docs/policy.md"];
/// Stands in the pages for a whole certificate, as JSON text.
const CUT_SHORT: &str = r"-----BEGIN PGP PUBLIC KEY BLOCK-----\n…\n-----END PGP PUBLIC KEY BLOCK-----\n";

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn manifest() -> Value {
    serde_json::from_str(&read("manifest.json")).unwrap()
}

/// The document of a good vector.
fn good(name: &str) -> Value {
    let text = read(&format!("tests/vectors/policy/good/{name}.txt"));
    serde_json::from_str(text.split_once("\n\n").unwrap().1).unwrap()
}

/// What Chromium makes of the manifest's key: the first 16 bytes of its SHA-256, in the letters a to p.
fn chromium_id() -> String {
    let key = STANDARD.decode(manifest()["key"].as_str().unwrap()).unwrap();
    let letter = |half: u8| char::from(b'a' + half);
    Sha256::digest(key).iter().take(16).flat_map(|byte| [letter(byte >> 4), letter(byte & 15)]).collect()
}

fn firefox_id() -> String {
    manifest()["browser_specific_settings"]["gecko"]["id"].as_str().unwrap().to_owned()
}

/// The JSON blocks of a page, with a real certificate in the place of those cut short.
fn blocks(page: &str) -> Vec<Value> {
    let certificate = good("full")["escrow"]["certificates"][0].to_string();
    let text = read(page).replace(CUT_SHORT, certificate.trim_matches('"'));
    let blocks = text.split("```json\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
    blocks.map(|block| serde_json::from_str(block).unwrap_or_else(|error| panic!("{page}: {error}\n{block}"))).collect()
}

/// The policies of a block, in whatever stands around them; what a browser is told must be told of this extension.
fn policies(block: &Value) -> Vec<Value> {
    let browsers = [("", "extensions", chromium_id()), ("/policies", "Extensions", firefox_id())];
    for (above, name, id) in browsers {
        let Some(extensions) = block.pointer(&format!("{above}/3rdparty/{name}")).and_then(Value::as_object) else {
            continue;
        };
        assert_eq!(extensions.keys().collect::<Vec<_>>(), [&id]);
        let settings = &block.pointer(&format!("{above}/ExtensionSettings")).unwrap()[&id];
        assert_eq!(settings["installation_mode"], "force_installed", "{id} is installed by the same file");
        return extensions.values().cloned().collect();
    }
    if block.get("deployments").is_some() {
        return vec![block.clone()];
    }
    // Fields to be added to a policy.
    let mut whole = good("minimal");
    whole.as_object_mut().unwrap().extend(block.as_object().unwrap().clone());
    vec![whole]
}

#[test]
fn every_policy_in_the_docs_is_good() {
    for page in PAGES {
        let found: Vec<Value> = blocks(page).iter().flat_map(policies).collect();
        assert!(found.len() >= 3, "{page}");
        for policy in found {
            Policy::parse(&policy).unwrap_or_else(|error| panic!("{page}: {error}\n{policy:#}"));
        }
    }
}

/// "Nothing to click" is promised: the templates keep it, for whoever types a name and has a certificate that is certified.
#[test]
fn every_policy_in_the_docs_that_has_a_directory_is_silent_for_who_types_a_name() {
    let ann = UserId::parse("@ann:example.org").unwrap();
    for page in PAGES {
        let found: Vec<Value> = blocks(page).iter().flat_map(policies).collect();
        let with_directory: Vec<_> = found.iter().filter(|policy| policy.get("directory").is_some()).collect();
        assert!(with_directory.len() >= 3, "{page}");
        for policy in with_directory.into_iter().map(|policy| Policy::parse(policy).unwrap()) {
            assert!(pair(&policy, Some("example.org"), None, &ann, &Typed::Account).is_silent(&policy), "{page}");
        }
    }
}

#[test]
fn both_browsers_templates_hold_the_same_policy() {
    for page in PAGES {
        let blocks = blocks(page);
        let policy = |pointer: &str| {
            let extensions = blocks.iter().find_map(|block| block.pointer(pointer)).unwrap_or_else(|| panic!("{page}"));
            extensions.as_object().unwrap().values().next().unwrap()
        };
        assert_eq!(policy("/3rdparty/extensions"), policy("/policies/3rdparty/Extensions"), "{page}");
    }
}

#[test]
fn every_chromium_id_in_the_docs_is_the_extensions() {
    let id = chromium_id();
    for page in PAGES {
        let text = read(page);
        let ids = text
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| word.len() == id.len() && word.bytes().all(|byte| matches!(byte, b'a'..=b'p')));
        let ids: Vec<&str> = ids.collect();
        assert!(ids.len() >= 2, "{page} names the id");
        assert!(ids.iter().all(|found| *found == id), "{page}: {ids:?}, and the extension is {id}");
        assert!(!text.contains("EXTENSION_ID"), "{page}");
    }
}

#[test]
fn packages_that_the_docs_build_exist() {
    let lock = read("Cargo.lock");
    for page in
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/policy.md", "docs/adr/0001-openpgp-backend.md"]
    {
        for named in read(page).split("cargo build --release -p ").skip(1) {
            let name = named.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap();
            assert!(lock.contains(&format!("name = \"{name}\"\n")), "{page}: {name}");
        }
    }
}

/// The browser refuses to ask for a site that the manifest does not list; the person could then not go on.
#[test]
fn the_extension_may_ask_for_every_site_that_a_policy_may_name() {
    let manifest = manifest();
    let optional: Vec<&str> =
        manifest["optional_host_permissions"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
    let mut policies = ["full", "silent-hkp-certifier"].map(good).to_vec();
    let loopback = json!({ "origin": "http://[::1]:8080", "homeserver": "http://127.0.0.1:8008", "server_name": "a" });
    policies[0]["deployments"].as_array_mut().unwrap().push(loopback);
    for policy in policies {
        let needed = Policy::parse(&policy).unwrap().host_patterns();
        assert!(needed.iter().any(|site| site.starts_with("http://")), "{needed:?}");
        for site in needed {
            let allowed = |pattern: &&str| pattern.strip_suffix("*/*").is_some_and(|scheme| site.starts_with(scheme));
            assert!(optional.iter().any(allowed), "{site} is not in {optional:?}");
        }
    }
}
