//! The independent client: matrix-js-sdk in Node.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::{Company, Employee};

impl Company {
    /// Runs one command of `host/client.mjs` for somebody; `more` are its fields beyond homeserver, user and password.
    ///
    /// # Errors
    /// If the client says no, with its words.
    pub async fn client(&self, command: &str, who: &Employee, more: &Value) -> Result<Value> {
        let mut input = json!({
            "homeserver": self.synapse.url(), "user": who.localpart, "password": who.password,
        });
        if let (Some(input), Some(more)) = (input.as_object_mut(), more.as_object()) {
            input.extend(more.clone());
        }
        let mut node = spawn(command)?;
        let mut stdin = node.stdin.take().context("Node without input")?;
        stdin.write_all(input.to_string().as_bytes()).await?;
        drop(stdin);
        let output = node.wait_with_output().await?;
        let answer: Value = serde_json::from_slice(&output.stdout).with_context(|| {
            format!("client.mjs {command} printed no JSON: {}", String::from_utf8_lossy(&output.stderr).trim())
        })?;
        if answer["ok"] != true {
            bail!("client.mjs {command}: {}", answer["error"]);
        }
        Ok(answer)
    }

    /// Has somebody log in on a device that stays, and follow a room; see `follow` of `host/client.mjs`.
    ///
    /// # Errors
    /// If the client says no, with its words.
    pub async fn follow(&self, who: &Employee, more: &Value) -> Result<Follower> {
        let mut input = json!({ "homeserver": self.synapse.url(), "user": who.localpart, "password": who.password });
        if let (Some(input), Some(more)) = (input.as_object_mut(), more.as_object()) {
            input.extend(more.clone());
        }
        let mut node = spawn("follow")?;
        let mut stdin = node.stdin.take().context("Node without input")?;
        stdin.write_all(format!("{input}\n").as_bytes()).await?;
        let lines = BufReader::new(node.stdout.take().context("Node without output")?).lines();
        let (room_id, device_id) = Default::default();
        let mut follower = Follower { _node: node, stdin, lines, room_id, device_id };
        let start = follower.next().await?;
        let text =
            |name: &str| start[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {start}"));
        (follower.room_id, follower.device_id) = (text("roomId")?, text("deviceId")?);
        Ok(follower)
    }
}

fn spawn(command: &str) -> Result<Child> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("host/client.mjs");
    let node = keystead_tools::node().ok().or_else(|| keystead_tools::on_path("node"));
    let mut node = Command::new(node.context("Node is not installed: run `cargo xtask setup`")?);
    node.arg(script).args([command, "--json"]).kill_on_drop(true);
    Ok(node.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

/// A device that follows a room; gone when this is dropped.
#[derive(Debug)]
pub struct Follower {
    _node: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    /// The room.
    pub room_id: String,
    /// The device.
    pub device_id: String,
}

impl Follower {
    /// Waits until the device has this message, in clear.
    ///
    /// # Errors
    /// If it does not come to that.
    pub async fn reads(&mut self, words: &str) -> Result<()> {
        self.hears(|line| line["body"] == words).await.with_context(|| format!("waiting for {words:?}")).map(drop)
    }

    /// Waits until the device has a message like this, in clear, with what it found in it; see `follow` of
    /// `host/client.mjs`.
    ///
    /// # Errors
    /// If it does not come to that.
    pub async fn hears(&mut self, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        loop {
            let line = self.next().await?;
            if wanted(&line) {
                return Ok(line);
            }
        }
    }

    /// Waits until the device has a message that it cannot read.
    ///
    /// # Errors
    /// If the next one is readable, or none comes.
    pub async fn cannot_read(&mut self) -> Result<()> {
        let line = self.hears(|line| line["readable"].is_boolean()).await?;
        if line["readable"] == false { Ok(()) } else { bail!("the device reads {}", line["body"]) }
    }

    /// Waits until something of this type came for the device itself, encrypted.
    ///
    /// # Errors
    /// If it does not come to that.
    pub async fn gets(&mut self, kind: &str) -> Result<()> {
        self.hears(|line| line["came"] == kind).await.with_context(|| format!("waiting for {kind}")).map(drop)
    }

    /// Has the device ask all others of its account for something.
    ///
    /// # Errors
    /// If it cannot.
    pub async fn ask(&mut self, kind: &str, content: &Value) -> Result<()> {
        self.stdin.write_all(format!("{}\n", json!({ "ask": kind, "content": content })).as_bytes()).await?;
        self.hears(|line| line["asked"] == kind).await.with_context(|| format!("asking: {kind}")).map(drop)
    }

    /// Has the device vouch for another one of its account, with the identity that it made.
    ///
    /// # Errors
    /// If it cannot.
    pub async fn sign(&mut self, device: &str) -> Result<()> {
        self.stdin.write_all(format!("{}\n", json!({ "sign": device })).as_bytes()).await?;
        while self.next().await.context("waiting for a signature")?["signed"] != device {}
        Ok(())
    }

    async fn next(&mut self) -> Result<Value> {
        let line =
            tokio::time::timeout(PATIENCE_OF_FOLLOWER, self.lines.next_line()).await.context("nothing came")??;
        let line: Value = serde_json::from_str(&line.context("the client ended")?)?;
        if line["ok"] == true { Ok(line) } else { bail!("client.mjs follow: {}", line["error"]) }
    }
}

/// A new device is waited for ten seconds before a message goes without it.
const PATIENCE_OF_FOLLOWER: Duration = Duration::from_secs(60);
