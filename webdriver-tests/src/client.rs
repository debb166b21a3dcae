//! The independent client: matrix-js-sdk in Node.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

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
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("host/client.mjs");
        let node = keystead_tools::node().ok().or_else(|| keystead_tools::on_path("node"));
        let mut node = Command::new(node.context("Node is not installed: run `cargo xtask setup`")?);
        node.arg(script).args([command, "--json"]).kill_on_drop(true);
        let mut node = node.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
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
}
