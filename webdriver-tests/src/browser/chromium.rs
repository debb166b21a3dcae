//! Chromium under chromedriver.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::package::Package;
use super::{BrowserOptions, cage, downloads, headed};

/// Where Chromium looks for the organisation's policies.
const SYSTEM: &str = "/etc/chromium";

const QUIET: &str = "--disable-background-networking";
const ARGUMENTS: [&str; 12] = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    QUIET,
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging",
    "--window-size=1280,900",
    "--ignore-certificate-errors",
    // A camera and a microphone that a machine has none of, and nobody who must allow them.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
];

/// Chromedriver on a port, in a cage where the policy stands.
pub(super) fn driver(port: u16, private: &Path, options: &BrowserOptions) -> Result<Command> {
    let policies = private.join("etc");
    fs::create_dir_all(policies.join("policies/managed"))?;
    let mut policy = options.extension.package().map_or_else(|| json!({}), Package::forced);
    if !options.policy.is_null() {
        policy["3rdparty"] = json!({ "extensions": { options.extension.id(): options.policy } });
    }
    fs::write(policies.join("policies/managed/keystead.json"), policy.to_string())?;
    let program = keystead_tools::on_path("chromedriver").context("chromedriver is not installed")?;
    let mut command = cage::apart(&program, Some((&policies, Path::new(SYSTEM))))?;
    command.arg(format!("--port={port}"));
    Ok(command)
}

/// Where Chromium itself logs.
fn log(private: &Path) -> PathBuf {
    private.join("chromium.log")
}

/// Chromium starts without an extension that it does not like, and only its log says why.
pub(super) fn extension_is_loaded(private: &Path) -> Result<()> {
    let log = fs::read_to_string(log(private)).unwrap_or_default();
    match log.lines().find(|line| line.contains("Extension error: ")) {
        Some(line) => bail!("{line}"),
        None => Ok(()),
    }
}

/// Has a browser that was killed open with the empty page as well, and not with the question whether it is to open again what
/// it showed: that comes on the page for new tabs.
pub(super) fn forget_the_end(private: &Path) -> Result<()> {
    let file = private.join("profile/Default/Preferences");
    // Killed before it wrote the first, it has nothing to forget.
    let Ok(text) = fs::read_to_string(&file) else { return Ok(()) };
    let mut preferences: Value = serde_json::from_str(&text).context("preferences of the browser")?;
    preferences["profile"]["exit_type"] = "Normal".into();
    Ok(fs::write(&file, preferences.to_string())?)
}

/// What chromedriver is asked for.
pub(super) fn capabilities(private: &Path, options: &BrowserOptions, opens: &str) -> Value {
    let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).to_vec();
    if !headed() {
        arguments.push("--headless=new".to_owned());
    }
    arguments.push(format!("--user-data-dir={}", private.join("profile").display()));
    arguments.push(format!("--log-file={}", log(private).display()));
    let extensions: Vec<_> = options.extension.dirs().map(|dir| dir.display().to_string()).collect();
    if !extensions.is_empty() {
        arguments.push(format!("--load-extension={}", extensions.join(",")));
    }
    arguments.push("--disable-features=DisableLoadExtensionCommandLineSwitch".to_owned());
    let mut left_out = Vec::new();
    if options.extension.package().is_some() {
        // What a policy names is had over the network, in the background.
        arguments.retain(|argument| argument != QUIET);
        left_out.push(QUIET.trim_start_matches('-'));
    }
    json!({
        "browserName": "chrome",
        "goog:loggingPrefs": { "browser": "ALL" },
        "goog:chromeOptions": {
            "args": arguments,
            "excludeSwitches": left_out,
            "prefs": {
                "download.default_directory": downloads(private),
                "download.prompt_for_download": false,
                // An extension from a folder that is loaded again while the browser runs is on only then.
                "extensions.ui.developer_mode": true,
                // The page for new tabs, which it would open with, at times never ends loading while an extension that may
                // change requests is loaded beside it from the command line.
                "session.restore_on_startup": 4,
                "session.startup_urls": [opens],
            },
        },
    })
}
