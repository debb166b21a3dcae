//! Child processes that never outlive their owner.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process_group};

/// How often a service that starts is asked whether it answers.
const PROBE_EVERY: Duration = Duration::from_millis(15);

/// A running service: one process group, killed when this is dropped.
#[derive(Debug)]
pub struct Service {
    name: &'static str,
    child: Child,
    group: Pid,
    output: PathBuf,
}

impl Service {
    /// Starts `command` in a process group of its own, with its output in the file `output`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(name: &'static str, command: Command, output: &Path) -> Result<Self> {
        let file = File::create(output).with_context(|| format!("cannot write {}", output.display()))?;
        let mut command = bound_to_this_process(command);
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
        let child = spawn(command).with_context(|| format!("cannot start {name}: run `cargo xtask setup`"))?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no process id")?;
        Ok(Self { name, child, group, output: output.to_owned() })
    }

    /// The process's id; its descendants are the service.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `probe` says that the service answers.
    ///
    /// # Errors
    /// If it ends before that, or does not answer in time, with its last words.
    pub async fn ready(&mut self, within: Duration, probe: impl AsyncFn() -> bool) -> Result<()> {
        let started = Instant::now();
        while !probe().await {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended before it answered ({status}): {}", self.name, self.last_words());
            }
            if started.elapsed() > within {
                bail!("{} did not answer within {within:?}: {}", self.name, self.last_words());
            }
            tokio::time::sleep(PROBE_EVERY).await;
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.output).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(8).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // A group that is gone already is what is wanted.
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Where util-linux is at hand, the kernel ends the service together with the thread that started it, so that not even a
/// killed test process leaves one behind.
fn bound_to_this_process(command: Command) -> Command {
    let Some(setpriv) = keystead_tools::on_path("setpriv") else { return command };
    let mut bound = Command::new(setpriv);
    bound.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
    if let Some(dir) = command.get_current_dir() {
        bound.current_dir(dir);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bound.env(name, value),
            None => bound.env_remove(name),
        };
    }
    bound
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts `command` on the one thread that lives as long as this process: the kernel's promise of
/// [`bound_to_this_process`] is about the thread, and test threads come and go.
fn spawn(command: Command) -> Result<Child> {
    static STARTER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (orders, taken) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in taken {
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, started) = mpsc::channel();
    starter.send((command, answer)).map_err(|_| anyhow!("the starter thread is gone"))?;
    Ok(started.recv()??)
}
