//! Tells a person what is being done, and how long it took.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

const TICK: Duration = Duration::from_millis(120);

/// Where steps are reported: moving bars on a terminal, plain lines elsewhere.
pub(crate) struct Report {
    bars: Option<MultiProgress>,
}

impl Report {
    /// A report to standard error.
    pub(crate) fn new() -> Self {
        Self { bars: std::io::stderr().is_terminal().then(MultiProgress::new) }
    }

    /// A report for steps that print a lot themselves: bars would run into their lines.
    pub(crate) fn plain() -> Self {
        Self { bars: None }
    }

    /// Does one step: says that it runs, and in the end how long it took.
    pub(crate) fn step<T>(&self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let started = Instant::now();
        let bar = self.begin(name);
        let result = work();
        let verdict = if result.is_ok() { "done" } else { "FAILED" };
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        self.say(&format!("{name}: {verdict} in {:.1} s", started.elapsed().as_secs_f32()));
        result
    }

    /// Prints a line above the bars.
    pub(crate) fn say(&self, line: &str) {
        match &self.bars {
            Some(bars) => bars.suspend(|| eprintln!("  {line}")),
            None => eprintln!("  {line}"),
        }
    }

    fn begin(&self, name: &str) -> Option<ProgressBar> {
        let Some(bars) = &self.bars else {
            eprintln!("  {name} …");
            return None;
        };
        let bar = bars.add(ProgressBar::new_spinner().with_message(name.to_owned()));
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        Some(bar)
    }
}
