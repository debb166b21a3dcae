//! Firefox under geckodriver.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{BrowserOptions, EMPTY, cage, downloads, headed, home};

/// Geckodriver on a port, and beside it a Firefox with the policy of this run.
pub(super) fn driver(port: u16, private: &Path, options: &BrowserOptions) -> Result<Command> {
    let application = private.join("firefox");
    if !application.is_dir() {
        link_installed(&application)?;
    }
    policies(&application, options)?;
    let version = keystead_tools::Versions::read()?.cargo.geckodriver;
    let program = keystead_tools::cargo_command("geckodriver", &version, "geckodriver")?;
    let mut command = cage::apart(&program, None)?;
    command.args(["--port", &port.to_string(), "--allow-system-access"]);
    // Where it looks for native messaging hosts.
    command.env("HOME", home(private));
    Ok(command)
}

/// Firefox reads policies from the folder it lies in: a folder of links to the installed one, with a binary of its own
/// (Firefox finds its folder by that) and a `distribution` of its own.
fn link_installed(to: &Path) -> Result<()> {
    let from = installed()?;
    fs::create_dir_all(to.join("distribution"))?;
    for entry in fs::read_dir(&from)? {
        let entry = entry?;
        let name = entry.file_name();
        let target = to.join(&name);
        match name.to_str() {
            Some("distribution") => {}
            Some("firefox" | "firefox-bin" | "firefox-esr") => {
                fs::copy(entry.path(), target)?;
            }
            _ => symlink(entry.path(), target)?,
        }
    }
    Ok(())
}

fn policies(application: &Path, options: &BrowserOptions) -> Result<()> {
    let mut policies = json!({ "DisableAppUpdate": true, "DontCheckDefaultBrowser": true });
    if let Some(package) = options.extension.package() {
        policies["Extensions"] = json!({ "Install": [format!("file://{}", package.file().display())] });
    }
    if !options.policy.is_null() {
        policies["3rdparty"] = json!({ "Extensions": { options.extension.id(): options.policy } });
    }
    fs::write(application.join("distribution/policies.json"), json!({ "policies": policies }).to_string())?;
    Ok(())
}

/// The folder of the installed Firefox.
fn installed() -> Result<PathBuf> {
    let programs = ["firefox-esr", "firefox"].into_iter().filter_map(keystead_tools::on_path);
    let folders = programs.filter_map(|program| Some(program.canonicalize().ok()?.parent()?.to_owned()));
    let mut folders = folders.filter(|folder| folder.join("application.ini").is_file());
    folders.next().context("Firefox is not installed, or lies in no folder of its own (such as Flatpak's)")
}

/// What geckodriver is asked for.
pub(super) fn capabilities(profile: &Path, private: &Path, opens: &str) -> Result<Value> {
    let application = private.join("firefox");
    let program = ["firefox-esr", "firefox"].map(|name| application.join(name)).into_iter().find(|file| file.is_file());
    let program = program.context("the installed Firefox has no binary of a known name")?;
    let mut arguments = vec![json!("-profile"), json!(profile)];
    arguments.extend(["-width", "1280", "-height", "900"].map(Into::into));
    if !headed() {
        arguments.push("-headless".into());
    }
    Ok(json!({
        "browserName": "firefox",
        "acceptInsecureCerts": true,
        "moz:firefoxOptions": {
            "binary": program,
            "args": arguments,
            "prefs": {
                "browser.startup.page": i32::from(opens != EMPTY),
                "browser.startup.homepage": opens,
                "xpinstall.signatures.required": false,
                // Its own question for a permission is on no page: whoever asks after a click is given it.
                "extensions.webextOptionalPermissionPrompts": false,
                // What the console of pages and of the extension says goes to the driver's output.
                "devtools.console.stdout.content": true,
                "devtools.console.stdout.chrome": true,
                "extensions.webextensions.keepStorageOnUninstall": true,
                "extensions.webextensions.keepUuidOnUninstall": true,
                "browser.tabs.unloadOnLowMemory": false,
                "browser.download.folderList": 2,
                "browser.download.dir": downloads(private),
                // A camera and a microphone that a machine has none of, and nobody who must allow them.
                "media.navigator.streams.fake": true,
                "media.navigator.permission.disabled": true,
            },
        },
    }))
}
