//! The homeserver, in a virtual environment of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use keystead_tools::{on_path, synapse_complete, synapse_venv};

use super::Setup;
use crate::run;

/// The interpreters that may be there; newer ones may still lack ready-made packages of Synapse's dependencies.
const PYTHONS: [&str; 6] = ["python3", "python3.11", "python3.12", "python3.13", "python3.10", "python3.14"];
const SUITS: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))";

/// A Python that can run Synapse and make virtual environments.
pub(super) fn find_python() -> Option<PathBuf> {
    let installed = PYTHONS.iter().filter_map(|name| on_path(name)).chain([PathBuf::from("/usr/bin/python3")]);
    installed.into_iter().find(|python| run::answer(Command::new(python).args(["-c", SUITS])).is_some())
}

impl Setup {
    /// Installs Synapse.
    pub(super) fn synapse(&self) -> Result<()> {
        let python = &self.versions.python;
        let complete = synapse_complete(&self.cache, &python.matrix_synapse);
        if complete.is_file() {
            return Ok(());
        }
        let spec = format!("matrix-synapse[{}]=={}", python.matrix_synapse_extras.join(","), python.matrix_synapse);
        self.report.step(&spec, || {
            let venv = synapse_venv(&self.cache, &python.matrix_synapse);
            if venv.exists() {
                fs::remove_dir_all(&venv)?;
            }
            let interpreter = find_python().context("Python 3.10 or later with venv is missing")?;
            run::quiet(Command::new(interpreter).args(["-m", "venv"]).arg(&venv), &self.log("venv"))?;
            let mut pip = Command::new(venv.join("bin/python"));
            pip.args([
                "-m",
                "pip",
                "install",
                "--no-input",
                "--disable-pip-version-check",
                "--only-binary=:all:",
                &spec,
            ]);
            run::quiet(&mut pip, &self.log("synapse"))?;
            fs::write(&complete, "").context("cannot mark Synapse as complete")
        })
    }
}
