//! Shows the main job: a new employee's first login, and what is left if every device is lost.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::build::{self, Profile};
use crate::{Browser, paths, run};

/// What the extension is made of.
const EXTENSION_SOURCES: [&str; 7] =
    ["src", "extension", "static", "manifest.json", "Cargo.toml", "Cargo.lock", "Trunk.toml"];
/// What the host page is made of, in its folder.
const HOST_SOURCES: [&str; 4] = ["src", "build.mjs", "config.sample.json", "package-lock.json"];

/// How a person wants to see it.
pub(crate) struct Wanted {
    pub(crate) browser: Browser,
    pub(crate) headed: bool,
    pub(crate) element_web: Option<PathBuf>,
}

/// Fails where a window was asked for and there is no screen to show it on.
pub(crate) fn check_display(wanted: &Wanted) -> Result<()> {
    let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    if wanted.headed && !set("DISPLAY") && !set("WAYLAND_DISPLAY") {
        bail!("--headed needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set; leave --headed out");
    }
    Ok(())
}

/// Builds what is out of date, then runs the demo.
pub(crate) fn demo(wanted: &Wanted) -> Result<()> {
    // With an extension of the caller's own there is nothing to build.
    let given = env::var_os("KEYSTEAD_DIST").is_some();
    let built = paths::dist().join(wanted.browser.name()).join("manifest.json");
    if !given && !is_current(&built, &paths::root(), &EXTENSION_SOURCES)? {
        build::build(Profile::Development)?;
    }
    let page = paths::host().join("dist/config.json");
    if wanted.element_web.is_none() && !is_current(&page, &paths::host(), &HOST_SOURCES)? {
        build::host_page()?;
    }
    let out = paths::target().join("demo");
    if out.exists() {
        // What an earlier demo left must not pass for this one's.
        fs::remove_dir_all(&out).with_context(|| format!("cannot remove {}", out.display()))?;
    }
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--quiet", "--package", "keystead-webdriver-tests", "--bin", "demo", "--"]);
    cargo.arg(&out).current_dir(paths::root());
    cargo.env("KEYSTEAD_BROWSER", wanted.browser.name());
    if wanted.headed {
        cargo.env("KEYSTEAD_HEADED", "1");
    } else {
        cargo.env_remove("KEYSTEAD_HEADED");
    }
    match &wanted.element_web {
        Some(dir) => cargo.env("KEYSTEAD_ELEMENT_WEB", dir.canonicalize().context("--element-web: no such directory")?),
        None => cargo.env_remove("KEYSTEAD_ELEMENT_WEB"),
    };
    run::loud(&mut cargo)
}

/// Whether the last file of a build is younger than everything that it was made of.
fn is_current(built: &Path, root: &Path, sources: &[&str]) -> Result<bool> {
    let Ok(built) = fs::metadata(built).and_then(|file| file.modified()) else { return Ok(false) };
    for source in sources {
        if newest(&root.join(source))? >= built {
            return Ok(false);
        }
    }
    Ok(true)
}

/// When the youngest file here or below was written.
fn newest(path: &Path) -> Result<SystemTime> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut newest = metadata.modified()?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            newest = newest.max(self::newest(&entry?.path())?);
        }
    }
    Ok(newest)
}
