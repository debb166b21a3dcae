//! Where browsers look for the files of native messaging hosts.

use std::{
    env,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use keystead_core::gnupg::HOST_NAME;

use crate::failure::Failure;

/// A browser that the extension runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Browser {
    Chromium,
    Chrome,
    Firefox,
}

impl Browser {
    pub(super) const ALL: [Self; 3] = [Self::Chromium, Self::Chrome, Self::Firefox];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Chrome => "chrome",
            Self::Firefox => "firefox",
        }
    }
}

/// For whom a host is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    User,
    System,
}

impl Scope {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::User => "for you",
            Self::System => "for everybody",
        }
    }
}

/// The kinds of system whose browsers find hosts by the place of a file. On Windows they ask the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    Linux,
    MacOs,
}

/// Where things are on this machine.
pub(super) struct Machine {
    system: System,
    home: Option<PathBuf>,
    config: Option<PathBuf>,
    /// Firefox's folder on distributions that keep 64-bit software apart.
    lib64: bool,
}

impl Machine {
    /// This machine; `None` on Windows and others.
    pub(super) fn this() -> Option<Self> {
        let system = match env::consts::OS {
            "linux" => System::Linux,
            "macos" => System::MacOs,
            _ => return None,
        };
        let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let lib64 = system == System::Linux && Path::new("/usr/lib64/mozilla").is_dir();
        Some(Self { system, home: variable("HOME"), config: variable("XDG_CONFIG_HOME"), lib64 })
    }

    /// The files that register our host with a browser: one, or two where the system has two folders for it.
    pub(super) fn files(&self, browser: Browser, scope: Scope) -> Result<Vec<PathBuf>, Failure> {
        let file = |folder: &Path| folder.join(format!("{HOST_NAME}.json"));
        match scope {
            Scope::User => Ok(vec![file(&self.user(browser)?)]),
            Scope::System => Ok(self.everybody(browser).iter().map(|folder| file(Path::new(folder))).collect()),
        }
    }

    fn user(&self, browser: Browser) -> Result<PathBuf, Failure> {
        let home = self.home.as_deref().ok_or_else(|| Failure::Usage("HOME is not set".into()))?;
        let config = || self.config.clone().unwrap_or_else(|| home.join(".config"));
        let support = || home.join("Library/Application Support");
        Ok(match (self.system, browser) {
            (System::Linux, Browser::Chromium) => config().join("chromium/NativeMessagingHosts"),
            (System::Linux, Browser::Chrome) => config().join("google-chrome/NativeMessagingHosts"),
            (System::Linux, Browser::Firefox) => home.join(".mozilla/native-messaging-hosts"),
            (System::MacOs, Browser::Chromium) => support().join("Chromium/NativeMessagingHosts"),
            (System::MacOs, Browser::Chrome) => support().join("Google/Chrome/NativeMessagingHosts"),
            (System::MacOs, Browser::Firefox) => support().join("Mozilla/NativeMessagingHosts"),
        })
    }

    fn everybody(&self, browser: Browser) -> &'static [&'static str] {
        match (self.system, browser) {
            (System::Linux, Browser::Chromium) => &["/etc/chromium/native-messaging-hosts"],
            (System::Linux, Browser::Chrome) => &["/etc/opt/chrome/native-messaging-hosts"],
            (System::Linux, Browser::Firefox) if self.lib64 => {
                &["/usr/lib/mozilla/native-messaging-hosts", "/usr/lib64/mozilla/native-messaging-hosts"]
            }
            (System::Linux, Browser::Firefox) => &["/usr/lib/mozilla/native-messaging-hosts"],
            (System::MacOs, Browser::Chromium) => &["/Library/Application Support/Chromium/NativeMessagingHosts"],
            (System::MacOs, Browser::Chrome) => &["/Library/Google/Chrome/NativeMessagingHosts"],
            (System::MacOs, Browser::Firefox) => &["/Library/Application Support/Mozilla/NativeMessagingHosts"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(machine: &Machine) -> Vec<String> {
        let all = Browser::ALL.into_iter().flat_map(|browser| [(browser, Scope::User), (browser, Scope::System)]);
        let files = all.flat_map(|(browser, scope)| machine.files(browser, scope).unwrap());
        files.map(|file| file.to_string_lossy().strip_suffix("/com.keystead.gpgme.json").unwrap().to_owned()).collect()
    }

    fn machine(system: System) -> Machine {
        Machine { system, home: Some("/home/ann".into()), config: None, lib64: false }
    }

    #[test]
    fn folders_are_those_that_the_browsers_document() {
        let linux = [
            "/home/ann/.config/chromium/NativeMessagingHosts",
            "/etc/chromium/native-messaging-hosts",
            "/home/ann/.config/google-chrome/NativeMessagingHosts",
            "/etc/opt/chrome/native-messaging-hosts",
            "/home/ann/.mozilla/native-messaging-hosts",
            "/usr/lib/mozilla/native-messaging-hosts",
        ];
        assert_eq!(folders(&machine(System::Linux)), linux);
        let macos = [
            "/home/ann/Library/Application Support/Chromium/NativeMessagingHosts",
            "/Library/Application Support/Chromium/NativeMessagingHosts",
            "/home/ann/Library/Application Support/Google/Chrome/NativeMessagingHosts",
            "/Library/Google/Chrome/NativeMessagingHosts",
            "/home/ann/Library/Application Support/Mozilla/NativeMessagingHosts",
            "/Library/Application Support/Mozilla/NativeMessagingHosts",
        ];
        assert_eq!(folders(&machine(System::MacOs)), macos);
    }

    #[test]
    fn what_differs_from_machine_to_machine_is_heeded() {
        let config = Machine { config: Some("/conf".into()), lib64: true, ..machine(System::Linux) };
        let found = folders(&config);
        assert_eq!(found[0], "/conf/chromium/NativeMessagingHosts");
        assert_eq!(found[2], "/conf/google-chrome/NativeMessagingHosts");
        assert_eq!(found.last().unwrap(), "/usr/lib64/mozilla/native-messaging-hosts");
        let homeless = Machine { home: None, ..machine(System::Linux) };
        assert!(matches!(homeless.files(Browser::Chrome, Scope::User), Err(Failure::Usage(_))));
        assert!(homeless.files(Browser::Chrome, Scope::System).is_ok());
    }
}
