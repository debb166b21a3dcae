//! Runs the tests.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use keystead_tools::{Versions, cargo_command, wasm_bindgen_version};

use crate::build::{self, Profile};
use crate::report::Report;
use crate::wasm::Compiler;
use crate::{Browser, package, paths, run};

/// A part of the tests.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Part {
    /// Format, lints, native tests against the real services, licences.
    Native,
    /// What runs in WebAssembly, in real browsers.
    Wasm,
    /// The extension in real browsers, against the real services.
    E2e,
    /// What people install: its size, and a first login with it.
    Package,
}

/// Which tests a person wants to run.
pub(crate) struct Wanted {
    pub(crate) part: Option<Part>,
    pub(crate) name: Option<String>,
    pub(crate) browser: Option<Browser>,
    pub(crate) element_web: Option<PathBuf>,
}

impl Wanted {
    fn includes(&self, part: Part) -> bool {
        self.part.is_none_or(|wanted| wanted == part)
    }

    fn browsers(&self) -> Vec<Browser> {
        self.browser.map_or_else(|| Browser::ALL.to_vec(), |browser| vec![browser])
    }
}

/// Runs the wanted tests; a part that fails does not keep the later ones from running.
pub(crate) fn test(wanted: &Wanted) -> Result<()> {
    if wanted.name.is_some() && wanted.part != Some(Part::E2e) {
        bail!("only `cargo xtask test e2e` takes a name");
    }
    let report = Report::plain();
    let mut failed = Vec::new();
    let mut part = |name: &str, result: &mut dyn FnMut() -> Result<()>| {
        eprintln!("== {name}");
        if let Err(error) = report.step(name, result) {
            eprintln!("{error:#}");
            failed.push(name.to_owned());
        }
    };
    if wanted.includes(Part::Native) {
        part("format", &mut || run::loud(cargo("fmt").args(["--all", "--check"])));
        part("lints", &mut lints);
        part("native tests", &mut || run::loud(cargo("test").arg("--no-fail-fast")));
        part("licences and sources", &mut licences);
    }
    if wanted.includes(Part::Wasm) {
        for browser in wanted.browsers() {
            part(&format!("wasm in {}", browser.name()), &mut || wasm(browser));
        }
    }
    if wanted.includes(Part::E2e) {
        part("extension and host page", &mut || prepare(wanted));
        for browser in wanted.browsers() {
            part(&format!("e2e in {}", browser.name()), &mut || e2e(wanted, browser));
        }
    }
    if wanted.includes(Part::Package) {
        part("package", &mut || package::package(&[]));
        part("the package in use", &mut || in_use(wanted));
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn cargo(subcommand: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.arg(subcommand).current_dir(paths::root());
    cargo
}

fn lints() -> Result<()> {
    run::loud(cargo("clippy").args(["--workspace", "--all-targets", "--", "--deny", "warnings"]))
}

/// Everything of cargo-deny that needs no network.
fn licences() -> Result<()> {
    let mut deny = Command::new(cargo_command("cargo-deny", &Versions::read()?.cargo.cargo_deny, "cargo-deny")?);
    deny.args(["--offline", "check", "bans", "licenses", "sources"]).current_dir(paths::root());
    run::loud(&mut deny)
}

fn wasm(browser: Browser) -> Result<()> {
    let compiler = Compiler::find().context("no compiler for WebAssembly: run `cargo xtask setup`")?;
    let runner = cargo_command("wasm-bindgen-cli", &wasm_bindgen_version()?, "wasm-bindgen-test-runner")?;
    let mut cargo = compiler.cargo("test");
    // The profile that the extension is tried with: its dependencies are compiled once for both.
    cargo.args(["--package", "keystead-extension", "--lib", "--profile", "web-dev"]);
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner).env("WASM_BINDGEN_TEST_ONLY_WEB", "1");
    for name in ["CHROMEDRIVER", "GECKODRIVER", "SAFARIDRIVER"] {
        cargo.env_remove(name);
    }
    match browser {
        Browser::Chromium => cargo.env("CHROMEDRIVER", keystead_tools::chromedriver()?),
        Browser::Firefox => cargo.env("GECKODRIVER", keystead_tools::geckodriver()?),
    };
    run::loud(&mut cargo)
}

/// Builds what the browser tests load.
fn prepare(wanted: &Wanted) -> Result<()> {
    build::build(Profile::Development)?;
    if wanted.element_web.is_none() {
        build::host_page()?;
    }
    Ok(())
}

fn e2e(wanted: &Wanted, browser: Browser) -> Result<()> {
    let mut cargo = cargo("test");
    // A row that fails in one file says nothing of the others.
    cargo.args(["--package", "keystead-webdriver-tests", "--no-fail-fast"]);
    if let Some(name) = &wanted.name {
        cargo.args(["--test", name]);
    }
    cargo.env("KEYSTEAD_BROWSER", browser.name());
    // Where everything runs in both browsers, rows that are about neither run in one of them.
    match wanted.part.is_none() && wanted.browser.is_none() {
        true => cargo.env("KEYSTEAD_SHARE", "1"),
        false => cargo.env_remove("KEYSTEAD_SHARE"),
    };
    element(wanted, &mut cargo)?;
    cargo.args(["--", "--test-threads", "1"]);
    run::loud(&mut cargo)
}

/// The row that tells most, with the extension that was packaged last.
const MAIN_ROW: &str = "a first login needs no click";

fn in_use(wanted: &Wanted) -> Result<()> {
    if wanted.element_web.is_none() {
        build::host_page()?;
    }
    let mut cargo = cargo("test");
    cargo.args(["--package", "keystead-webdriver-tests", "--test", "bootstrap"]);
    match wanted.browser {
        Some(browser) => cargo.env("KEYSTEAD_BROWSER", browser.name()),
        None => cargo.env_remove("KEYSTEAD_BROWSER"),
    };
    element(wanted, &mut cargo)?;
    run::loud(cargo.args(["--", MAIN_ROW]))
}

/// On which Element Web.
fn element(wanted: &Wanted, cargo: &mut Command) -> Result<()> {
    match &wanted.element_web {
        Some(dir) => cargo.env("KEYSTEAD_ELEMENT_WEB", dir.canonicalize().context("--element-web: no such directory")?),
        None => cargo.env_remove("KEYSTEAD_ELEMENT_WEB"),
    };
    Ok(())
}
