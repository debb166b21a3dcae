//! What only the system's package manager can install.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use keystead_tools::{Versions, on_path};

use super::{CannotInstall, Setup, gpgme};
use crate::run;
use crate::wasm::{self, Compiler};

const RUSTUP_WITHIN: Duration = Duration::from_secs(120);

/// How packages can be installed here.
enum Apt {
    Root,
    Sudo,
}

/// Whether every command of the system's packages is there. (The rest is looked at only when something is installed.)
pub(super) fn nothing_missing() -> bool {
    Versions::read().is_ok_and(|versions| missing_packages(&versions).is_empty())
}

impl Setup {
    /// The Debian packages that are missing here: for commands, for Python, for WebAssembly if rustup cannot help.
    pub(super) fn wanted_packages(&self) -> Result<Vec<String>> {
        let mut packages = missing_packages(&self.versions);
        if super::synapse::find_python().is_none() {
            packages.extend(self.versions.debian.python.clone());
        }
        if Compiler::find().is_none() && !self.rustup_target()? {
            packages.extend(self.versions.debian.wasm_fallback.clone());
        }
        packages.extend(self.packages_for_gpgme_json());
        if !packages.is_empty() && Apt::find().is_none() {
            return Err(CannotInstall(self.by_hand(&packages)).into());
        }
        Ok(packages)
    }

    /// Installs what [`Setup::wanted_packages`] found.
    pub(super) fn install_packages(&self, packages: &[String]) -> Result<()> {
        let Some(apt) = Apt::find().filter(|_| !packages.is_empty()) else { return Ok(()) };
        self.report.step(&format!("Debian packages {}", packages.join(" ")), || {
            run::quiet(apt.get().arg("update"), &self.log("apt-update"))?;
            let mut install = apt.get();
            install.args(["install", "--yes", "--no-install-recommends"]).args(packages);
            run::quiet(&mut install, &self.log("apt-install"))?;
            if !missing_packages(&self.versions).is_empty() || Compiler::find().is_none() {
                return Err(CannotInstall(self.by_hand(packages)).into());
            }
            Ok(())
        })
    }

    fn rustup_target(&self) -> Result<bool> {
        if on_path("rustup").is_none() {
            return Ok(false);
        }
        let name = format!("Rust target {} (else Debian's compiler)", wasm::TARGET);
        self.report.step(&name, || Ok(Compiler::add_with_rustup(RUSTUP_WITHIN)))
    }

    /// What a person has to do where this program cannot.
    fn by_hand(&self, packages: &[String]) -> String {
        let mut text = "this machine lacks what only you can install.\n".to_owned();
        text += &format!("On Debian, or a system like it:\n    sudo apt-get install {}\n", packages.join(" "));
        text += "On any other system, these:\n";
        for package in packages {
            let commands = self.versions.debian.packages.get(package);
            text += &match commands {
                Some(commands) => format!("    {package}: in PATH one of {}\n", commands.join(", ")),
                None if self.versions.debian.python.contains(package) => {
                    "    Python 3.10 or later with its modules venv and ensurepip\n".to_owned()
                }
                None if package == gpgme::PACKAGE => "    gpgme-json, in PATH\n".to_owned(),
                None => continue,
            };
        }
        if Compiler::find().is_none() {
            text +=
                &format!("    the Rust target: rustup target add {} && rustup component add rust-src\n", wasm::TARGET);
        }
        text + "Then run the same command again."
    }
}

impl Apt {
    fn find() -> Option<Self> {
        on_path("apt-get")?;
        let user = run::answer(Command::new("id").arg("-u"))?;
        if user.trim() == "0" {
            return Some(Self::Root);
        }
        // Without a terminal nobody can type a password, so sudo must do without one.
        run::answer(Command::new("sudo").args(["-n", "true"])).map(|_| Self::Sudo)
    }

    fn get(&self) -> Command {
        let mut command = match self {
            Self::Root => Command::new("apt-get"),
            Self::Sudo => {
                let mut command = Command::new("sudo");
                command.args(["-n", "--preserve-env=DEBIAN_FRONTEND", "apt-get"]);
                command
            }
        };
        command.arg("--quiet").env("DEBIAN_FRONTEND", "noninteractive");
        command
    }
}

fn missing_packages(versions: &Versions) -> Vec<String> {
    let packages = versions.debian.packages.iter();
    packages
        .filter(|(_, commands)| !commands.iter().any(|command| on_path(command).is_some()))
        .map(|(package, _)| package.clone())
        .collect()
}
