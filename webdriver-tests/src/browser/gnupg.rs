//! GnuPG on the machine that a browser runs on.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use keystead_cli::{Ending, NativeHostInstall};
use keystead_testbed::{Gpg, gpgme_json};

use super::{Browser, BrowserKind, home};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    install: NativeHostInstall,
}

impl Browser {
    /// Connects it with GnuPG on this key ring, by `keystead native-host install`, for this profile alone.
    ///
    /// # Errors
    /// If gpgme-json is not installed, or the command fails.
    pub fn connect_gnupg(&self, gpg: &Gpg) -> Result<()> {
        // On a machine it is everybody's own key ring, and no script.
        let program = self.private.path().join("gpgme-json.sh");
        let script = format!("#!/bin/sh\nGNUPGHOME={} exec {}\n", gpg.home().display(), gpgme_json()?.display());
        fs::write(&program, script)?;
        fs::set_permissions(&program, Permissions::from_mode(0o700))?;
        self.connect_host(&program)
    }

    /// Connects it with a native messaging host as with gpgme-json.
    ///
    /// # Errors
    /// If the command fails.
    pub fn connect_host(&self, program: &Path) -> Result<()> {
        let folder = match self.kind {
            BrowserKind::Chromium => self.profile().join("NativeMessagingHosts"),
            BrowserKind::Firefox => home(self.private.path()).join(".mozilla/native-messaging-hosts"),
        };
        let [program, folder] = [program.to_str(), folder.to_str()].map(|path| path.context("a path that is no text"));
        let command = ["install", "--browser", self.kind.name(), "--folder", folder?, "--gpgme-json", program?];
        let mut said = String::new();
        match Command::try_parse_from(command)?.install.run(&mut said) {
            Ok(Ending::Fine) => Ok(()),
            Ok(Ending::NotFine) => bail!("{said}"),
            Err(failure) => bail!("{failure}"),
        }
    }
}
