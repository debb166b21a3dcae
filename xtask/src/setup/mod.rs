//! Installs every tool and service that is missing, each into a place of its own in the per-user cache.
//!
//! Debian packages come first where something else needs them; what comes from the Rust crate registry takes longest and
//! runs beside everything else. A stamp with all wanted versions makes the second run a matter of a few file look-ups.

mod crates;
mod gpgme;
mod npm;
mod stamp;
mod synapse;
mod system;

use std::fs::{self, File};
use std::path::PathBuf;
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use keystead_tools::Versions;

use crate::report::Report;
use stamp::Stamp;

/// The machine lacks something that this program cannot install; the text says exactly what.
#[derive(Debug)]
pub(crate) struct CannotInstall(pub(crate) String);

impl std::fmt::Display for CannotInstall {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for CannotInstall {}

/// What every step needs to know.
struct Setup {
    versions: Versions,
    cache: PathBuf,
    report: Report,
}

/// Installs what is missing.
pub(crate) fn setup() -> Result<()> {
    let started = Instant::now();
    let cache = keystead_tools::cache_dir()?;
    let setup = Setup { versions: Versions::read()?, cache, report: Report::new() };
    let stamp = Stamp::new(&setup)?;
    if stamp.holds() {
        return Ok(());
    }
    eprintln!("Setting up what is missing (tools are kept in {}):", setup.cache.display());
    fs::create_dir_all(&setup.cache)?;
    let lock = File::create(setup.cache.join("lock"))?;
    lock.lock().context("cannot lock the cache of tools")?;
    setup.install()?;
    stamp.write()?;
    eprintln!("Everything is there ({:.1} s).", started.elapsed().as_secs_f32());
    Ok(())
}

impl Setup {
    fn install(&self) -> Result<()> {
        // Before anything is downloaded: what a person must install by hand is said at once.
        let packages = self.wanted_packages()?;
        thread::scope(|scope| {
            let crates = scope.spawn(|| self.crates());
            let rest = self.install_packages(&packages).and_then(|()| {
                let synapse = scope.spawn(|| self.synapse());
                let node = scope.spawn(|| self.node_packages());
                let gpgme = scope.spawn(|| self.gpgme_json());
                joined(synapse).and(joined(node)).and(joined(gpgme))
            });
            rest.and(joined(crates))
        })
    }

    /// The file that takes the output of one step.
    fn log(&self, step: &str) -> PathBuf {
        self.cache.join("logs").join(format!("{step}.log"))
    }
}

fn joined(lane: ScopedJoinHandle<'_, Result<()>>) -> Result<()> {
    lane.join().unwrap_or_else(|_| Err(anyhow!("a set-up thread panicked")))
}
