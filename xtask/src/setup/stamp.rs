//! The note of the last complete set-up.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use keystead_tools::{TOOLS_TOML, wasm_bindgen_version};

use super::{Setup, crates, npm, system};
use crate::wasm::Compiler;

/// What a complete set-up of the wanted versions would have noted, and the files it would have left.
pub(super) struct Stamp {
    path: PathBuf,
    text: String,
    files: Vec<PathBuf>,
}

impl Stamp {
    pub(super) fn new(setup: &Setup) -> Result<Self> {
        let text = format!("{TOOLS_TOML}\nwasm-bindgen {}\n", wasm_bindgen_version()?);
        let mut files = vec![keystead_tools::synapse_complete(&setup.cache, &setup.versions.python.matrix_synapse)];
        files.extend(npm::binaries(setup));
        Ok(Self { path: setup.cache.join("complete"), text, files })
    }

    /// Whether nothing is missing.
    pub(super) fn holds(&self) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|text| text == self.text)
            && self.files.iter().all(|file| file.exists())
            && system::nothing_missing()
            && crates::nothing_missing()
            && keystead_tools::gpgme_json().is_ok()
            && Compiler::find().is_some()
            && npm::folders_are_current()
    }

    pub(super) fn write(&self) -> Result<()> {
        fs::write(&self.path, &self.text).with_context(|| format!("cannot write {}", self.path.display()))
    }
}
