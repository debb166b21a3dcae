//! Listing a release beside `sha256sum` over the same files, which makes one hash of the two, in one thread.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::figure::{Figure, Samples, Target};

/// How many times as long as `sha256sum` it may take.
const TIMES: f64 = 1.3;
/// The most memory, in MB.
const MEMORY: f64 = 100.0;
/// How many files of which size a made-up release has, by extension: as many and as large as those of Element Web 1.12.
const SHAPE: [(&str, usize, usize); 7] = [
    ("js", 80, 200_000),
    ("wasm", 5, 4_500_000),
    ("js.map", 80, 880_000),
    ("css", 13, 560_000),
    ("json", 60, 170_000),
    ("svg", 360, 6_000),
    ("woff2", 252, 20_000),
];

/// Measures the command on a release; on a made-up one where there is none.
pub(crate) fn bench(keystead: &Path, release: Option<&Path>, runs: usize) -> Result<Vec<Figure>> {
    let made_up = TempDir::new()?;
    let folder = match release {
        Some(folder) => folder,
        None => make_up(made_up.path())?,
    };
    let output = TempDir::new()?;
    let build = || {
        let mut command = Command::new(keystead);
        command.args(["manifest", "build"]).arg(folder).arg("-o").arg(output.path().join("release.json"));
        command.stdout(Stdio::null());
        command
    };
    let sum = || {
        let mut command = Command::new("sh");
        command.args(["-c", "find \"$0\" -type f -print0 | xargs -0 sha256sum >/dev/null"]).arg(folder);
        command
    };
    let (mut built, mut summed, mut memory) = (Samples::default(), Samples::default(), Samples::default());
    // Neither of both is to be the one that reads from the disk.
    time(sum())?;
    for run in 0..runs {
        let (first, second) =
            if run % 2 == 0 { (time(build())?, time(sum())?) } else { swap(time(sum())?, time(build())?) };
        built.extend([first]);
        summed.extend([second]);
        memory.extend([most_memory(build())?]);
    }
    let figure = |figure: &str, unit, value, against, target| Figure {
        bench: "manifest",
        figure: figure.to_owned(),
        browser: None,
        unit,
        value,
        against,
        target: Some(target),
    };
    let against = Some(("sha256sum", summed));
    Ok(vec![
        figure("build of a release's list", "ms", built, against, Target::AtMostTimes(TIMES)),
        figure("memory of the build", "MB", memory, None, Target::AtMost(MEMORY)),
    ])
}

fn swap<T>(first: T, second: T) -> (T, T) {
    (second, first)
}

fn time(mut command: Command) -> Result<f64> {
    let began = Instant::now();
    let status = command.status().with_context(|| format!("{command:?}"))?;
    let took = began.elapsed();
    ensure!(status.success(), "{command:?}: {status}");
    Ok(took.as_secs_f64() * 1000.0)
}

/// The most memory that a program had, in MB, by the kernel's own count.
fn most_memory(mut command: Command) -> Result<f64> {
    let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut most = 0.0_f64;
    while child.try_wait()?.is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
        most = most.max(kib.unwrap_or_default() / 1000.0);
        thread::sleep(Duration::from_millis(1));
    }
    Ok(most)
}

fn make_up(folder: &Path) -> Result<&Path> {
    fs::write(folder.join("version"), "1.0.0")?;
    fs::write(folder.join("index.html"), "<!doctype html><script src=\"bundles/0.js\"></script>")?;
    fs::create_dir(folder.join("bundles"))?;
    for (extension, count, size) in SHAPE {
        for number in 0..count {
            let line =
                format!("/* {extension} {number} */ (()=>{{const text='the quick brown fox';return text}})();\n");
            let text = line.repeat(size / line.len() + 1);
            fs::write(folder.join(format!("bundles/{number}.{extension}")), &text[..size])?;
        }
    }
    Ok(folder)
}
