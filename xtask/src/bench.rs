//! Runs the benches, on the extension as people install it.

use std::fs;
use std::path::Path;
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
}

/// Builds what is measured, then measures.
pub(crate) fn bench(wanted: &Wanted) -> Result<()> {
    build::build(Profile::Release)?;
    build::host_page()?;
    let bare = paths::dist().join("bench");
    Report::plain().step("parts of the benches", || assemble(&bare))?;
    let size = size::measure(&paths::dist().join(Browser::Chromium.name()).join(build::BACKGROUND_MODULE))?;

    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--quiet", "--package", "keystead-webdriver-tests", "--bin", "bench", "--"]);
    for bench in wanted.benches.iter().filter_map(Bench::to_possible_value) {
        cargo.arg(bench.get_name());
    }
    cargo.arg("--bare").arg(&bare).arg("--size").args([size.gzipped, size.plain, size::TARGET].map(|n| n.to_string()));
    cargo.args(wanted.json.then_some("--json")).args(wanted.gate.then_some("--gate"));
    if let Some(runs) = wanted.runs {
        cargo.args(["--runs", &runs.to_string()]);
    }
    match wanted.browser {
        Some(browser) => cargo.env("KEYSTEAD_BROWSER", browser.name()),
        None => cargo.env_remove("KEYSTEAD_BROWSER"),
    };
    cargo.env_remove("KEYSTEAD_DIST").env_remove("KEYSTEAD_ELEMENT_WEB");
    run::loud(cargo.current_dir(paths::root()))
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
