//! How much memory the process of the extension's background has to itself, by what the kernel says of it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use keystead_webdriver_tests::{Browser, BrowserKind};

/// A process that runs.
struct Process {
    id: u32,
    parent: u32,
    command: String,
    name: String,
}

/// What the background's process has to itself, in MB.
pub(crate) fn of_background(browser: &Browser) -> Result<f64> {
    let processes = running()?;
    let profile = browser.profile();
    let profile = profile.to_str().context("a profile whose name is no text")?;
    let mut ours: BTreeSet<u32> =
        processes.iter().filter(|process| process.command.contains(profile)).map(|process| process.id).collect();
    // Children have higher numbers than their parents as a rule, and not always.
    loop {
        let more = processes.iter().filter(|process| ours.contains(&process.parent)).map(|process| process.id);
        let more: Vec<_> = more.filter(|id| !ours.contains(id)).collect();
        if more.is_empty() {
            break;
        }
        ours.extend(more);
    }
    let is_background = |process: &&Process| {
        ours.contains(&process.id)
            && match browser.kind() {
                BrowserKind::Chromium => process.command.contains("--extension-process"),
                BrowserKind::Firefox => process.name.starts_with("WebExtensions"),
            }
    };
    let sizes = processes.iter().filter(is_background).map(|process| private(process.id));
    let sizes = sizes.collect::<Result<Vec<_>>>()?;
    ensure!(!sizes.is_empty(), "the background does not run");
    Ok(sizes.iter().sum::<u64>() as f64 / 1000.0)
}

/// What nobody else has in their memory, in kB.
fn private(id: u32) -> Result<u64> {
    let rollup = fs::read_to_string(place(id).join("smaps_rollup"))?;
    let lines = rollup.lines().filter(|line| line.starts_with("Private_"));
    lines.map(|line| Ok(line.split_whitespace().nth(1).context("no number")?.parse::<u64>()? * 1024 / 1000)).sum()
}

fn running() -> Result<Vec<Process>> {
    let entries = fs::read_dir("/proc")?.flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // One may end while it is looked at.
    Ok(ids.filter_map(read).collect())
}

fn read(id: u32) -> Option<Process> {
    let text =
        |file: &str| fs::read(place(id).join(file)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let stat = text("stat")?;
    // The name stands in brackets, whatever is in it.
    let (_, rest) = stat.rsplit_once(')')?;
    let parent = rest.split_whitespace().nth(1)?.parse().ok()?;
    Some(Process { id, parent, command: text("cmdline")?.replace('\0', " "), name: text("comm")? })
}

fn place(id: u32) -> PathBuf {
    Path::new("/proc").join(id.to_string())
}
