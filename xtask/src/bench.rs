//! Runs the benches, on the extension and the command as people install them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::build::{self, Profile};
use crate::report::Report;
use crate::{Browser, paths, run, size};

/// What can be measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Bench {
    /// First set-up beside Element Web alone, and its requests beside a plain client's.
    Bootstrap,
    /// The login form of a page whose code is guarded, beside one that is not.
    Load,
    /// Listing the files of an Element Web release beside sha256sum.
    Manifest,
    /// Pinned peers: what the gate costs in the page, and its background beside matrix-sdk-crypto.
    Pins,
    /// Restores after a login, in the same browser and in a new one, beside matrix-js-sdk's own.
    Restore,
    /// Another recovery key for five secrets: its time and requests, beside the same requests of a plain client.
    Rotate,
    /// Sealing a recovery message beside OpenPGP.js.
    Seal,
    /// The background's WebAssembly: its size, and its start.
    Wasm,
}

/// Which benches a person wants, and how.
pub(crate) struct Wanted {
    pub(crate) benches: Vec<Bench>,
    pub(crate) json: bool,
    pub(crate) gate: bool,
    pub(crate) runs: Option<usize>,
    pub(crate) browser: Option<Browser>,
    pub(crate) element_web: Option<PathBuf>,
}

impl Wanted {
    /// Is anything measured in a browser?
    fn in_browsers(&self) -> bool {
        self.benches.is_empty() || self.benches.iter().any(|bench| *bench != Bench::Manifest)
    }

    fn manifest(&self) -> bool {
        self.benches.is_empty() || self.benches.contains(&Bench::Manifest)
    }
}

/// Builds what is measured, then measures.
pub(crate) fn bench(wanted: &Wanted) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--quiet", "--package", "keystead-webdriver-tests", "--bin", "bench", "--"]);
    for bench in wanted.benches.iter().filter_map(Bench::to_possible_value) {
        cargo.arg(bench.get_name());
    }
    if wanted.in_browsers() {
        build::build(Profile::Release)?;
        build::host_page()?;
        let bare = paths::dist().join("bench");
        Report::plain().step("parts of the benches", || assemble(&bare))?;
        let [first, later] = build::background_modules();
        let [first, later] = [size::measure(&first)?, size::measure(&later)?];
        let sizes = [first.gzipped, first.plain, later.gzipped, later.plain, size::TARGET];
        cargo.arg("--bare").arg(&bare).arg("--size").args(sizes.map(|n| n.to_string()));
    }
    if wanted.manifest() {
        cargo.arg("--keystead").arg(command()?);
    }
    if let Some(folder) = &wanted.element_web {
        cargo.arg("--element-web").arg(folder.canonicalize().context("--element-web: no such directory")?);
    }
    cargo.args(wanted.json.then_some("--json")).args(wanted.gate.then_some("--gate"));
    if let Some(runs) = wanted.runs {
        cargo.args(["--runs", &runs.to_string()]);
    }
    match wanted.browser {
        Some(browser) => cargo.env("KEYSTEAD_BROWSER", browser.name()),
        None => cargo.env_remove("KEYSTEAD_BROWSER"),
    };
    cargo.env_remove("KEYSTEAD_DIST").env_remove("KEYSTEAD_ELEMENT_WEB");
    if let Some(folder) = &wanted.element_web {
        cargo.env("KEYSTEAD_ELEMENT_WEB", folder.canonicalize()?);
    }
    run::loud(cargo.current_dir(paths::root()))
}

/// Builds the command as people install it.
fn command() -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--release", "--package", "keystead-cli", "--message-format", "json"]);
    let built = run::answer(cargo.current_dir(paths::root())).context("the command does not build")?;
    let programs = built.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut programs = programs.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    programs.next_back().context("cargo did not say where the command is")
}

/// Puts together the extension that only answers, and in it what the seal bench compares.
fn assemble(to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    let sources = paths::bench();
    build::copy(&sources.join("bare"), to)?;
    build::web_module("keystead-bench", Profile::Release, &to.join("seal"))?;
    let openpgp = "openpgp.min.mjs";
    let from = sources.join("node_modules/openpgp/dist").join(openpgp);
    fs::copy(&from, to.join(openpgp)).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}
