//! What `cargo xtask bench` runs: each figure beside its rival or its floor, measured by turns in the same run.
//!
//! What runs in browsers is measured in real ones, with the extension as people install it, against the real services.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command that speaks to a person")]

mod bootstrap;
mod cold_start;
mod figure;
mod gnupg_host;
mod load;
mod manifest;
mod memory;
mod own_page;
mod pins;
mod requests;
mod restore;
mod rotate;
mod seal;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use keystead_testbed::Gpg;
use keystead_webdriver_tests::{Browser, BrowserKind, BrowserOptions, Company, Extension};
use serde_json::Value;

use crate::figure::{Figure, Samples, Target, table};

#[derive(Parser)]
#[command(name = "bench")]
struct Arguments {
    /// The benches to run; all of them if none is given.
    names: Vec<Name>,
    /// Print one JSON object a line for each figure.
    #[arg(long)]
    json: bool,
    /// Fail if a figure misses its target.
    #[arg(long)]
    gate: bool,
    /// How often each thing is measured.
    #[arg(long, default_value_t = 15)]
    runs: usize,
    /// The folder of the extension that only answers, with the parts of the seal bench.
    #[arg(long, value_name = "DIR")]
    bare: Option<PathBuf>,
    /// The sizes of the background's WebAssembly in bytes: gzipped and raw at each start, gzipped and raw of what is loaded
    /// when needed, and the most it may be gzipped.
    #[arg(long, num_args = 5, value_names = ["FIRST", "RAW", "LATER", "LATER_RAW", "LIMIT"])]
    size: Vec<f64>,
    /// The command `keystead`.
    #[arg(long, value_name = "FILE")]
    keystead: Option<PathBuf>,
    /// The folder of an Element Web release; a made-up one is measured without it.
    #[arg(long, value_name = "DIR")]
    element_web: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Name {
    Bootstrap,
    Load,
    Manifest,
    Pins,
    Restore,
    Rotate,
    Seal,
    Wasm,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    if let Some(opened) = gnupg_host::wanted() {
        return gnupg_host::answer(&opened).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(figures) => {
            if !arguments.json {
                println!("{}", table(&figures));
            }
            let missed = figures.iter().any(|figure| figure.holds() == Some(false));
            if missed && arguments.gate { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<Vec<Figure>> {
    let wanted = |name| arguments.names.is_empty() || arguments.names.contains(&name);
    let kinds = if arguments.names == [Name::Manifest] { Vec::new() } else { BrowserKind::wanted()? };
    let mut all = Vec::new();
    let mut done = |figures: Vec<Figure>| {
        if arguments.json {
            figures.iter().for_each(|figure| println!("{}", figure.json()));
        }
        all.extend(figures);
    };
    eprintln!("load average at the start: {}", busy()?);
    if wanted(Name::Manifest) {
        let keystead = arguments.keystead.as_deref().context("--keystead is needed")?;
        done(manifest::bench(keystead, arguments.element_web.as_deref(), arguments.runs)?);
    }
    let bare = || arguments.bare.as_deref().context("--bare is needed");
    if wanted(Name::Wasm) {
        done(sizes(&arguments.size)?.into());
        let gpg = Gpg::new()?;
        for kind in &kinds {
            done(cold_start::bench(&gpg, *kind, bare()?, arguments.runs).await?);
        }
    }
    if wanted(Name::Seal) {
        let gpg = Gpg::new()?;
        for kind in &kinds {
            done(seal::bench(&gpg, *kind, bare()?, arguments.runs).await?);
        }
    }
    if wanted(Name::Bootstrap) || wanted(Name::Restore) {
        let company = Company::found().await.context("the services did not start")?;
        for kind in &kinds {
            if wanted(Name::Bootstrap) {
                done(bootstrap::bench(&company, *kind, bare()?, arguments.runs).await?);
            }
            if wanted(Name::Restore) {
                done(restore::bench(&company, *kind, bare()?, arguments.runs).await?);
            }
        }
    }
    if wanted(Name::Load) {
        let company = Company::found().await.context("the services did not start")?;
        for kind in &kinds {
            done(load::bench(&company, *kind, bare()?, arguments.runs).await?);
        }
    }
    if wanted(Name::Pins) {
        let company = Company::found().await.context("the services did not start")?;
        for kind in &kinds {
            done(pins::bench(&company, *kind, bare()?, arguments.runs).await?);
        }
    }
    if wanted(Name::Rotate) {
        let company = Company::found().await.context("the services did not start")?;
        for kind in &kinds {
            done(rotate::bench(&company, *kind, arguments.runs).await?);
        }
    }
    eprintln!("load average at the end: {}", busy()?);
    Ok(all)
}

/// The two parts of the background: what is compiled at each start, and both.
fn sizes(sizes: &[f64]) -> Result<[Figure; 2]> {
    let [first, first_raw, later, later_raw, limit] = sizes else { anyhow::bail!("--size takes five numbers") };
    let figure = |figure: &str, size: f64, raw: f64| Figure {
        bench: "wasm",
        figure: figure.to_owned(),
        browser: None,
        unit: "bytes",
        value: Samples::from_iter([size]),
        against: Some(("raw", Samples::from_iter([raw]))),
        target: Some(Target::AtMost(*limit)),
    };
    Ok([
        figure("the background's WebAssembly at each start, gzipped", *first, *first_raw),
        figure("the same with all that is loaded when first needed", first + later, first_raw + later_raw),
    ])
}

/// A browser with the extension that only answers.
async fn bare_browser(kind: BrowserKind, bare: &std::path::Path) -> Result<Browser> {
    let extension = Extension::copy(kind, bare, &[])?;
    Browser::start(kind, BrowserOptions { extension, policy: Value::Null }).await
}

/// How busy the machine was in the last minutes, by its own word: what is measured on a busy one is worth little.
fn busy() -> Result<String> {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_else(|_| "unknown".to_owned());
    Ok(text.split(' ').take(3).collect::<Vec<_>>().join(" ").trim().to_owned())
}
