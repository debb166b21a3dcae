//! What the demo did: told as it happens, and left as `report.json`.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The version of the form of `report.json`.
const VERSION: u32 = 1;

/// Steps with their times, checks, and what took part. Nothing secret is ever handed to it.
#[derive(Debug)]
pub(crate) struct Report {
    browser: &'static str,
    started: Instant,
    last: Instant,
    steps: Vec<Step>,
    checks: Vec<Check>,
    facts: Map<String, Value>,
    versions: Map<String, Value>,
}

#[derive(Debug, Serialize)]
struct Step {
    step: String,
    /// Since the start, in milliseconds.
    at_ms: u64,
    /// Since the step before, in milliseconds.
    took_ms: u64,
}

#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    holds: bool,
}

impl Report {
    pub(crate) fn new(browser: &'static str) -> Self {
        let now = Instant::now();
        let (steps, checks) = (Vec::new(), Vec::new());
        Self { browser, started: now, last: now, steps, checks, facts: Map::new(), versions: Map::new() }
    }

    /// Says that a step is done; it began when the one before was done.
    pub(crate) fn done(&mut self, step: impl Into<String>) {
        let now = Instant::now();
        let (took, at) = (now - self.last, now - self.started);
        self.last = now;
        let step = step.into();
        println!("  {:6.2} s  (+{:5.2})  {step}", at.as_secs_f64(), took.as_secs_f64());
        self.steps.push(Step { step, at_ms: millis(at), took_ms: millis(took) });
    }

    /// Notes whether something holds that must hold.
    pub(crate) fn check(&mut self, check: &'static str, holds: bool) {
        println!("                     {} {check}", if holds { "yes:" } else { "NO: " });
        self.checks.push(Check { check, holds });
    }

    /// Notes a figure or a public name.
    pub(crate) fn fact(&mut self, name: &str, value: impl Into<Value>) {
        self.facts.insert(name.to_owned(), value.into());
    }

    /// Notes the version of something that took part.
    pub(crate) fn version(&mut self, of: &str, version: impl Into<Value>) {
        self.versions.insert(of.to_owned(), version.into());
    }

    /// How long it has taken.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Fails if a check did not hold, with all that did not.
    pub(crate) fn all_hold(&self) -> Result<()> {
        let broken: Vec<&str> = self.checks.iter().filter(|check| !check.holds).map(|check| check.check).collect();
        ensure!(broken.is_empty(), "this does not hold: {}", broken.join("; "));
        Ok(())
    }

    /// Writes `report.json`, also of a demo that failed.
    pub(crate) fn write(&self, to: &Path, error: Option<&str>) -> Result<()> {
        let report = json!({
            "version": VERSION,
            "ok": error.is_none(),
            "error": error,
            "browser": self.browser,
            "total_ms": millis(self.elapsed()),
            "steps": self.steps,
            "checks": self.checks,
            "facts": self.facts,
            "versions": self.versions,
        });
        Ok(fs::write(to, serde_json::to_string_pretty(&report)? + "\n")?)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
