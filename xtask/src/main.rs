//! `cargo xtask`: everything that is done with this repository, in one command.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command that speaks to a person")]

mod bench;
mod build;
mod cut;
mod demo;
mod hosts;
mod licences;
mod manifest;
mod optimise;
mod order;
mod package;
mod paths;
mod report;
mod run;
mod setup;
mod size;
mod split;
mod test;
mod wasm;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

use crate::setup::CannotInstall;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Everything that is done with this repository")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install every tool and service that is missing; the other tasks do this by themselves.
    Setup,
    /// Build the unpacked extension into dist/chromium and dist/firefox.
    Build {
        /// Small and slow to build, as people install it.
        #[arg(long)]
        release: bool,
        #[command(flatten)]
        hosts: hosts::Wanted,
    },
    /// Pack the release for both browsers into dist/, byte for byte the same wherever it is done.
    Package {
        #[command(flatten)]
        hosts: hosts::Wanted,
    },
    /// Show the main job: a new employee's first login, and the restore on a second device.
    Demo {
        /// In this browser.
        #[arg(long, default_value = "chromium")]
        browser: Browser,
        /// In a window that you can watch; needs a display.
        #[arg(long)]
        headed: bool,
        /// On this real Element Web build instead of the host page.
        #[arg(long, value_name = "DIR")]
        element_web: Option<PathBuf>,
    },
    /// Measure: each figure beside its rival or its floor, in the same run.
    Bench {
        /// What to measure; everything if nothing is given.
        names: Vec<bench::Bench>,
        /// Print one JSON object a line for each figure.
        #[arg(long)]
        json: bool,
        /// Fail if a figure misses its target.
        #[arg(long)]
        gate: bool,
        /// How often each thing is measured.
        #[arg(long, value_name = "NUMBER")]
        runs: Option<usize>,
        /// Only in this browser.
        #[arg(long)]
        browser: Option<Browser>,
        /// Measure on this real Element Web build, and list its files in `manifest`, instead of the host page's and made-up ones.
        #[arg(long, value_name = "DIR")]
        element_web: Option<PathBuf>,
    },
    /// Run all tests, or one part of them.
    Test {
        /// The part; everything if it is not given.
        part: Option<test::Part>,
        /// Of `e2e`: the one test file to run, such as `bootstrap`.
        name: Option<String>,
        /// Only in this browser.
        #[arg(long)]
        browser: Option<Browser>,
        /// Run the browser tests on this real Element Web build instead of the host page.
        #[arg(long, value_name = "DIR")]
        element_web: Option<PathBuf>,
    },
}

/// The browsers that Keystead supports.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Browser {
    Chromium,
    Firefox,
}

impl Browser {
    const ALL: [Self; 2] = [Self::Chromium, Self::Firefox];

    fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
        }
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            // Exit 2 says: nothing is wrong with the code, the machine lacks something.
            ExitCode::from(if error.is::<CannotInstall>() { 2 } else { 1 })
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    match arguments.task {
        Task::Setup => setup::setup(),
        Task::Build { release, hosts } => {
            setup::setup()?;
            let profile = if release { build::Profile::Release } else { build::Profile::Development };
            build::build_with(profile, &hosts.patterns()?)
        }
        Task::Package { hosts } => {
            setup::setup()?;
            package::package(&hosts.patterns()?)
        }
        Task::Demo { browser, headed, element_web } => {
            let wanted = demo::Wanted { browser, headed, element_web };
            demo::check_display(&wanted)?;
            setup::setup()?;
            demo::demo(&wanted)
        }
        Task::Bench { names: benches, json, gate, runs, browser, element_web } => {
            setup::setup()?;
            bench::bench(&bench::Wanted { benches, json, gate, runs, browser, element_web })
        }
        Task::Test { part, name, browser, element_web } => {
            setup::setup()?;
            test::test(&test::Wanted { part, name, browser, element_web })
        }
    }
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
