//! Commands from the Rust crate registry.

use std::fs;
use std::process::Command;

use anyhow::Result;
use keystead_tools::{Versions, cargo_command, cargo_root, on_path, wasm_bindgen_version};

use super::Setup;
use crate::run;

/// One command: the crate, its version, the command's name.
struct Tool {
    krate: &'static str,
    version: String,
    command: &'static str,
}

/// What building needs first stands first.
fn tools(versions: &Versions) -> Result<Vec<Tool>> {
    let tool = |krate, version: &String, command| Tool { krate, version: version.clone(), command };
    let cargo = &versions.cargo;
    Ok(vec![
        tool("wasm-bindgen-cli", &wasm_bindgen_version()?, "wasm-bindgen"),
        tool("trunk", &cargo.trunk, "trunk"),
        tool("geckodriver", &cargo.geckodriver, "geckodriver"),
        tool("cargo-deny", &cargo.cargo_deny, "cargo-deny"),
    ])
}

/// Whether every command is there. (Their versions are looked at only when something is installed.)
pub(super) fn nothing_missing() -> bool {
    let tools = Versions::read().and_then(|versions| tools(&versions));
    tools.is_ok_and(|tools| tools.iter().all(|tool| cargo_command(tool.krate, &tool.version, tool.command).is_ok()))
}

impl Setup {
    /// Installs the commands one after the other: each keeps every core busy.
    pub(super) fn crates(&self) -> Result<()> {
        let missing: Vec<Tool> = tools(&self.versions)?.into_iter().filter(|tool| !self.has(tool)).collect();
        for tool in &missing {
            let name = format!("{} {} (some minutes)", tool.krate, tool.version);
            self.report.step(&name, || self.install_tool(tool))?;
        }
        if !missing.is_empty() {
            fs::remove_dir_all(self.build_dir())?;
        }
        Ok(())
    }

    fn has(&self, tool: &Tool) -> bool {
        let kept = cargo_root(&self.cache, tool.krate, &tool.version).join("bin").join(tool.command);
        kept.is_file()
            || on_path(tool.command).is_some_and(|found| {
                let said = run::answer(Command::new(found).arg("--version")).unwrap_or_default();
                said.split_whitespace().any(|word| word == tool.version)
            })
    }

    fn install_tool(&self, tool: &Tool) -> Result<()> {
        let install = |locked: &[&str]| {
            let mut cargo = Command::new("cargo");
            cargo.arg("install").args(locked).args(["--version", &tool.version, "--root"]);
            cargo.arg(cargo_root(&self.cache, tool.krate, &tool.version)).arg(tool.krate);
            cargo.env("CARGO_TARGET_DIR", self.build_dir()).current_dir(&self.cache);
            run::quiet(&mut cargo, &self.log(tool.krate))
        };
        match install(&["--locked"]) {
            // A mirror of the registry may lack what a lock file names, and have what would do as well.
            Err(error) if error.to_string().contains("failed to select a version") => install(&[]),
            result => result,
        }
    }

    fn build_dir(&self) -> std::path::PathBuf {
        self.cache.join("cargo/target")
    }
}
