//! Where a browser under test runs: with processes, and system policies, that no other run sees.
//!
//! Chromium reads managed policies from one directory of the whole system. util-linux's `unshare` gives each run a view of
//! its own of that directory, so that runs side by side do not meet and nothing is left behind; and a list of processes
//! of its own, so that the kernel ends the browser with its driver, whatever happens.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

/// Puts the directory `$1` in the place of `$2` (if that is not empty) and becomes the rest of its arguments.
const ENTER: &str = r#"if [ -n "$2" ]; then mount --bind "$1" "$2" || exit 96; fi; shift 2; exec "$@""#;

/// Makes `program` run apart; `policies` is a directory that it sees in the place of another.
pub(crate) fn apart(program: &Path, policies: Option<(&Path, &Path)>) -> Result<Command> {
    let Some(unshare) = keystead_tools::on_path("unshare") else {
        bail!("unshare is not installed: install the package util-linux");
    };
    let mut command = Command::new(unshare);
    if !is_root() {
        // Root of a user namespace may mount in its own view, and has no right that the caller lacks.
        command.arg("--map-root-user");
    }
    command.args(["--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--", "sh", "-c", ENTER, "sh"]);
    match policies {
        Some((own, system)) if system.is_dir() => command.arg(own).arg(system),
        Some((_, system)) => bail!("{0} does not exist: `sudo mkdir {0}`", system.display()),
        None => command.args(["", ""]),
    };
    command.arg(program);
    Ok(command)
}

/// What to say when a cage does not start.
pub(crate) const NEEDS: &str = "the browser needs namespaces of its own: run as root, or allow them with `sudo sysctl \
     kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0` (whichever of the two exists)";

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// A process as `/proc` shows it.
struct Process {
    id: u32,
    parent: u32,
    program: String,
}

/// All descendants of a process, with the names of their programs, parents first.
pub(crate) fn descendants(of: u32) -> Result<Vec<(u32, String)>> {
    let all = processes()?;
    let mut found: Vec<(u32, String)> = Vec::new();
    let mut next = vec![of];
    while let Some(parent) = next.pop() {
        for process in all.iter().filter(|process| process.parent == parent) {
            found.push((process.id, process.program.clone()));
            next.push(process.id);
        }
    }
    Ok(found)
}

fn processes() -> Result<Vec<Process>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let path: PathBuf = entry?.path();
        let Some(id) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else { continue };
        // A process may end while we look.
        let Ok(stat) = std::fs::read_to_string(path.join("stat")) else { continue };
        let Some((head, rest)) = stat.rsplit_once(") ") else { continue };
        let Some(parent) = rest.split(' ').nth(1).and_then(|parent| parent.parse().ok()) else { continue };
        let program = head.split_once('(').map(|(_, name)| name.to_owned()).unwrap_or_default();
        all.push(Process { id, parent, program });
    }
    Ok(all)
}
