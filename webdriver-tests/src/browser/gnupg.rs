//! GnuPG on the machine that a browser runs on.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use keystead_cli::{Ending, NativeHostInstall};
use keystead_testbed::{Gpg, gpgme_json};
use memchr::memmem;

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
        let script = format!("GNUPGHOME={} exec {}", gpg.home().display(), gpgme_json()?.display());
        self.connect_script(&script)
    }

    /// The same, and notes what it is asked: see [`Browser::gnupg_was_asked`].
    ///
    /// # Errors
    /// As [`Browser::connect_gnupg`].
    pub fn connect_gnupg_and_listen(&self, gpg: &Gpg) -> Result<()> {
        let (home, heard) = (gpg.home().display(), self.heard_by_gnupg());
        let heard = heard.display();
        self.connect_script(&format!("export GNUPGHOME={home}\ntee -a {heard} | {}", gpgme_json()?.display()))
    }

    /// How often GnuPG was asked to do this (`decrypt`, `sign`).
    ///
    /// # Errors
    /// If it was never asked anything.
    pub fn gnupg_was_asked(&self, to: &str) -> Result<usize> {
        let heard = fs::read(self.heard_by_gnupg()).context("GnuPG was not asked anything")?;
        Ok(memmem::find_iter(&heard, &format!("\"op\":\"{to}\"")).count())
    }

    fn heard_by_gnupg(&self) -> PathBuf {
        self.private.path().join("gpgme-json.heard")
    }

    fn connect_script(&self, script: &str) -> Result<()> {
        let program = self.private.path().join("gpgme-json.sh");
        fs::write(&program, format!("#!/bin/sh\n{script}\n"))?;
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
