//! Temporary directories that carry the id of their process, so that what a killed process left is found and removed.

use std::env;
use std::fs;
use std::path::Path;
use std::process;
use std::sync::Once;

use anyhow::{Context, Result};
use rustix::process::{Pid, test_kill_process};
use tempfile::{Builder, TempDir};

/// The start of every name; short, for there is little room in the path of a socket.
const PREFIX: &str = "kst-";

/// Makes a temporary directory for a purpose such as `synapse`, gone when the value is dropped, else when another process
/// makes one after this process has died.
///
/// # Errors
/// If no directory can be made.
pub fn scratch_dir(purpose: &str) -> Result<TempDir> {
    scratch_dir_in(&env::temp_dir(), purpose)
}

pub(crate) fn scratch_dir_in(parent: &Path, purpose: &str) -> Result<TempDir> {
    static SWEPT: Once = Once::new();
    SWEPT.call_once(|| sweep(parent));
    let prefix = format!("{PREFIX}{}-{purpose}-", process::id());
    Builder::new().prefix(&prefix).tempdir_in(parent).with_context(|| format!("cannot write to {}", parent.display()))
}

/// Removes the directories of processes that are no more.
fn sweep(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_str().is_some_and(is_left_over)) {
        // Another person's, or removed by someone else meanwhile: no matter.
        let _ = fs::remove_dir_all(entry.path());
    }
}

fn is_left_over(name: &str) -> bool {
    let id = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')).and_then(|(id, _)| id.parse().ok());
    id.and_then(Pid::from_raw).is_some_and(|owner| test_kill_process(owner) == Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_what_a_dead_process_left_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let mut dead = Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let left = parent.path().join(format!("{PREFIX}{}-sks-abc", dead.id()));
        let foreign = parent.path().join("kst-notes");
        for dir in [&left, &foreign] {
            fs::create_dir_all(dir.join("below")).unwrap();
        }
        let own = scratch_dir_in(parent.path(), "sks").unwrap();
        sweep(parent.path());
        assert!(!left.exists());
        assert!(foreign.exists() && own.path().exists());
    }
}
