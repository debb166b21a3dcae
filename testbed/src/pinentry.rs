//! The window that asks for a PIN or passphrase, played by a script that speaks as pinentries do.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use anyhow::Result;

use crate::gpg::Gpg;

/// What the window does that asks for a PIN or passphrase.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Pinentry {
    /// A person types this.
    Types(String),
    /// A person closes it.
    Cancels,
    /// It runs this shell command, and then a person closes it.
    Runs(String),
    /// It is not installed.
    Missing,
}

impl Pinentry {
    fn script(&self) -> Option<String> {
        let cancel = "echo 'ERR 83886179 Operation cancelled'";
        let asked = match self {
            Self::Types(text) => format!("printf 'D %s\\nOK\\n' '{text}'"),
            Self::Cancels => cancel.to_owned(),
            Self::Runs(command) => format!("{{ {command}; }} >&2; {cancel}"),
            Self::Missing => return None,
        };
        Some(format!(
            "#!/bin/sh\necho 'OK ready'\nwhile read -r command rest; do\ncase $command in\nGETPIN) {asked} ;;\n\
             BYE) echo OK; exit 0 ;;\n*) echo OK ;;\nesac\ndone\n"
        ))
    }
}

impl Gpg {
    /// Makes an empty key ring whose agent asks with this pinentry, every time anew.
    ///
    /// # Errors
    /// As [`Gpg::new`].
    pub fn with_pinentry(pinentry: &Pinentry) -> Result<Self> {
        let gpg = Self::new()?;
        gpg.set_pinentry(pinentry)?;
        Ok(gpg)
    }

    /// Has the agent ask with this pinentry from now on, every time anew.
    ///
    /// # Errors
    /// If the key ring's folder cannot be written to.
    pub fn set_pinentry(&self, pinentry: &Pinentry) -> Result<()> {
        let program = self.home().join("pinentry.sh");
        if let Some(script) = pinentry.script() {
            // Renamed into place: a program that is being written cannot be started.
            let whole = self.home().join("pinentry.whole");
            fs::write(&whole, script)?;
            fs::set_permissions(&whole, Permissions::from_mode(0o700))?;
            fs::rename(&whole, &program)?;
        } else if program.exists() {
            fs::remove_file(&program)?;
        }
        let never_remember = "default-cache-ttl 0\nmax-cache-ttl 0\n";
        let configuration = format!("pinentry-program {}\n{never_remember}", program.display());
        fs::write(self.home().join("gpg-agent.conf"), configuration)?;
        self.end_agent();
        Ok(())
    }
}
