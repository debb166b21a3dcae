//! Chromium under chromedriver.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{BrowserOptions, cage};

/// Where Chromium looks for the organisation's policies.
const SYSTEM: &str = "/etc/chromium";

const ARGUMENTS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
];

/// Chromedriver on a port, in a cage where the policy stands.
pub(super) fn driver(port: u16, private: &Path, options: &BrowserOptions) -> Result<Command> {
    let policies = private.join("etc");
    fs::create_dir_all(policies.join("policies/managed"))?;
    if !options.policy.is_null() {
        let policy = json!({ "3rdparty": { "extensions": { options.extension.id(): options.policy } } });
        fs::write(policies.join("policies/managed/keystead.json"), policy.to_string())?;
    }
    let program = keystead_tools::on_path("chromedriver").context("chromedriver is not installed")?;
    let mut command = cage::apart(&program, Some((&policies, Path::new(SYSTEM))))?;
    command.arg(format!("--port={port}"));
    Ok(command)
}

/// What chromedriver is asked for.
pub(super) fn capabilities(profile: &Path, options: &BrowserOptions) -> Value {
    let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).to_vec();
    arguments.push(format!("--user-data-dir={}", profile.display()));
    arguments.push(format!("--load-extension={}", options.extension.dir().display()));
    arguments.push("--disable-features=DisableLoadExtensionCommandLineSwitch".to_owned());
    json!({
        "browserName": "chrome",
        "goog:loggingPrefs": { "browser": "ALL" },
        // chromedriver's own list has `disable-extensions-except` and the like for nobody here.
        "goog:chromeOptions": { "args": arguments },
    })
}
