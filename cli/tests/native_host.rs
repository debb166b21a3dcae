//! `keystead native-host` with the real gpgme-json.
#![allow(clippy::unwrap_used, clippy::panic, reason = "functions shared by tests are test code too")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use keystead_testbed::gpgme_json;

const FILES: [&str; 3] = [
    ".config/chromium/NativeMessagingHosts/com.keystead.gpgme.json",
    ".config/google-chrome/NativeMessagingHosts/com.keystead.gpgme.json",
    ".mozilla/native-messaging-hosts/com.keystead.gpgme.json",
];

/// A person's home, and a `PATH` with gpgme-json and GnuPG.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn keystead(&self, arguments: &[&str]) -> Output {
        let program = gpgme_json().unwrap();
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", program.parent().unwrap().display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_keystead"));
        command.arg("native-host").args(arguments).env("HOME", self.0.path()).env("PATH", path);
        command.env_remove("XDG_CONFIG_HOME").env_remove("GNUPGHOME").output().unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn what_is_installed_works_and_is_gone_afterwards() {
    let home = Home::new();
    assert_eq!(home.keystead(&["status", "--user"]).status.code(), Some(1));
    let installed = home.keystead(&["install"]);
    assert!(installed.status.success(), "{installed:?}");
    for file in FILES {
        let path = home.path(file);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o644, "{file}");
        let text: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(Path::new(text["path"].as_str().unwrap()), gpgme_json().unwrap(), "{file}");
    }
    let status = home.keystead(&["status", "--user"]);
    assert!(status.status.success(), "{status:?}");
    assert_eq!(said(&status).matches(" works: gpgme ").count(), 3, "{status:?}");

    let again = said(&home.keystead(&["install"]));
    assert_eq!(again.matches("already there: ").count(), 3, "{again}");
    let removed = said(&home.keystead(&["uninstall"]));
    assert_eq!(removed.matches("removed ").count(), 3, "{removed}");
    assert!(FILES.iter().all(|file| !home.path(file).exists()));
    assert_eq!(home.keystead(&["status", "--user"]).status.code(), Some(1));
}

#[test]
fn a_named_browser_must_work_and_a_broken_file_is_never_fine() {
    let home = Home::new();
    assert!(home.keystead(&["install", "--browser", "firefox"]).status.success());
    assert!(!home.path(FILES[0]).exists() && !home.path(FILES[1]).exists());
    assert!(home.keystead(&["status", "--user"]).status.success());
    assert!(home.keystead(&["status", "--user", "--browser", "firefox"]).status.success());
    assert_eq!(home.keystead(&["status", "--user", "--browser", "chrome"]).status.code(), Some(1));

    fs::create_dir_all(home.path(FILES[1]).parent().unwrap()).unwrap();
    for broken in ["", "{}", "[]", "\u{fffd}"] {
        fs::write(home.path(FILES[1]), broken).unwrap();
        assert_eq!(home.keystead(&["status", "--user"]).status.code(), Some(1), "{broken:?}");
    }
    let replaced = home.keystead(&["install", "--browser", "chrome"]);
    assert!(said(&replaced).starts_with("chrome, for you: replaced "), "{replaced:?}");
    assert!(home.keystead(&["status", "--user"]).status.success());
}

#[test]
fn a_browser_s_own_folder_can_be_named() {
    let home = Home::new();
    let folder = home.path("profile/NativeMessagingHosts");
    let folder = ["--browser", "chromium", "--folder", folder.to_str().unwrap()];
    assert!(home.keystead(&[&["install"], &folder[..]].concat()).status.success());
    assert!(home.path("profile/NativeMessagingHosts/com.keystead.gpgme.json").exists());
    assert!(home.keystead(&[&["status"], &folder[..]].concat()).status.success());
    assert!(home.keystead(&[&["uninstall"], &folder[..]].concat()).status.success());
    assert!(!home.path("profile/NativeMessagingHosts/com.keystead.gpgme.json").exists());
}
