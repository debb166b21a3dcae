//! Tables of tests: each row has a name and a browser, runs by itself, and prints how it went and how long it took.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io::Write as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, anyhow};

use crate::{BrowserKind, Company};

/// How many browsers run side by side.
const LANES: usize = 2;

/// What a row does.
pub type Doing<'c> = Pin<Box<dyn Future<Output = Result<()>> + 'c>>;

/// One row: a name in one browser.
pub struct Row<'c> {
    name: String,
    kind: BrowserKind,
    alone: bool,
    doing: Doing<'c>,
}

/// All rows of a binary.
#[derive(Default)]
pub struct Rows<'c> {
    rows: Vec<Row<'c>>,
    shared: usize,
}

impl<'c> Rows<'c> {
    /// Adds a row.
    pub fn add(&mut self, kind: BrowserKind, name: &str, doing: impl Future<Output = Result<()>> + 'c) {
        self.rows.push(Row { name: name.to_owned(), kind, alone: false, doing: Box::pin(doing) });
    }

    /// Adds a row that runs while no other does: it measures time.
    pub fn add_alone(&mut self, kind: BrowserKind, name: &str, doing: impl Future<Output = Result<()>> + 'c) {
        self.rows.push(Row { name: name.to_owned(), kind, alone: true, doing: Box::pin(doing) });
    }

    /// Adds a row about what the browsers have in common. With `KEYSTEAD_SHARE` set they take these by turns, so that each
    /// runs in one of them.
    pub fn add_shared(&mut self, kind: BrowserKind, name: &str, doing: impl Future<Output = Result<()>> + 'c) {
        let turn = BrowserKind::ALL[self.shared % BrowserKind::ALL.len()];
        self.shared += 1;
        if turn == kind || !shares() {
            self.add(kind, name, doing);
        }
    }
}

/// Runs the rows whose names contain one of the command's arguments (all, if there is none), in the order of the table and
/// two side by side: of one browser, or one of each. This is the `main` of a test binary.
#[allow(clippy::print_stdout, clippy::print_stderr)]
pub async fn run(name: &str, add: impl for<'c> FnOnce(&'c Company, BrowserKind, &mut Rows<'c>) + Clone) -> ExitCode {
    let wanted = wanted_rows(std::env::args().skip(1));
    let started = Instant::now();
    let prepared = async { anyhow::Ok((BrowserKind::wanted()?, Company::found().await?)) };
    let (kinds, company) = match prepared.await {
        Ok(prepared) => prepared,
        Err(error) => {
            eprintln!("{name}: cannot start: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    println!("{name}: services ready in {:.1} s", started.elapsed().as_secs_f64());
    let mut tables: Vec<RefCell<VecDeque<Row<'_>>>> = Vec::new();
    let mut outcomes = Vec::new();
    for kind in kinds {
        let mut rows = Rows::default();
        add.clone()(&company, kind, &mut rows);
        rows.rows.retain(|row| wanted.is_empty() || wanted.iter().any(|part| row.name.contains(part)));
        let (alone, together): (Vec<_>, Vec<_>) = rows.rows.into_iter().partition(|row| row.alone);
        outcomes.push(run_lane(&RefCell::new(alone.into())).await);
        tables.push(RefCell::new(together.into()));
    }
    let each = (LANES / tables.len().max(1)).max(1);
    let lanes = tables.iter().flat_map(|table| std::iter::repeat_n(table, each)).map(run_lane);
    outcomes.extend(join_all(lanes).await);
    let (passed, failed) = outcomes.into_iter().fold((0, 0), |(p, f), (passed, failed)| (p + passed, f + failed));
    println!("{name}: {passed} passed, {failed} failed, {:.1} s", started.elapsed().as_secs_f64());
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Do the browsers take by turns what they have in common?
#[must_use]
pub fn shares() -> bool {
    std::env::var_os("KEYSTEAD_SHARE").is_some_and(|value| !value.is_empty())
}

/// The arguments that are parts of names; those of Rust's own test runner are passed over.
fn wanted_rows(mut arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut wanted = Vec::new();
    while let Some(argument) = arguments.next() {
        if argument == "--test-threads" {
            arguments.next();
        } else if !argument.starts_with('-') {
            wanted.push(argument);
        }
    }
    wanted
}

#[allow(clippy::print_stdout)]
async fn run_lane(table: &RefCell<VecDeque<Row<'_>>>) -> (usize, usize) {
    let (mut passed, mut failed) = (0, 0);
    loop {
        let Some(Row { name, kind, doing, .. }) = table.borrow_mut().pop_front() else { break };
        let started = Instant::now();
        let outcome = doing.await;
        let seconds = started.elapsed().as_secs_f64();
        let browser = kind.name();
        match outcome {
            Ok(()) => {
                passed += 1;
                println!("ok      {seconds:5.1} s  {browser:8}  {name}");
            }
            Err(error) => {
                failed += 1;
                println!("FAILED  {seconds:5.1} s  {browser:8}  {name}\n        {}", in_short(&format!("{error:#}")));
            }
        }
        let _ = std::io::stdout().flush();
    }
    (passed, failed)
}

/// Runs one of many places of a row, and prints it as rows are.
///
/// # Errors
/// As the doing.
#[allow(clippy::print_stdout)]
pub async fn note<T>(kind: BrowserKind, name: &str, doing: impl Future<Output = Result<T>>) -> Result<T> {
    let started = Instant::now();
    let outcome = doing.await;
    let (seconds, browser) = (started.elapsed().as_secs_f64(), kind.name());
    match &outcome {
        Ok(_) => println!("     ok {seconds:5.1} s  {browser:8}  {name}"),
        Err(error) => {
            println!("   FAIL {seconds:5.1} s  {browser:8}  {name}\n        {}", in_short(&format!("{error:#}")))
        }
    }
    let _ = std::io::stdout().flush();
    outcome
}

/// Without the drivers' stack traces.
fn in_short(error: &str) -> String {
    let lines = error.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.collect::<Vec<_>>().join("\n        ")
}

/// All of them side by side, on one thread.
async fn join_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut all = true;
        for (future, done) in &mut futures {
            if done.is_none() {
                if let std::task::Poll::Ready(value) = future.as_mut().poll(context) {
                    *done = Some(value);
                } else {
                    all = false;
                }
            }
        }
        if all { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    futures.into_iter().filter_map(|(_, done)| done).collect()
}

/// Where pictures and reports of browser tests go: `target/e2e`.
///
/// # Errors
/// If it cannot be made.
pub fn output_dir() -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.or_else(|| Some(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.join("target")));
    let dir = target.ok_or_else(|| anyhow!("no target directory"))?.join("e2e");
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}
