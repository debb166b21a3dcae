//! gpgme-json, GnuPG's native messaging host: built from the distribution's own source where it has no package of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use keystead_tools::{gpgme_json, gpgme_json_built, on_path};

use super::Setup;
use crate::run;

/// Only the one program, with its library inside: nothing of it reaches the system.
const CONFIGURE: [&str; 9] = [
    "--disable-shared",
    "--enable-static",
    "--enable-languages=",
    "--disable-gpgconf-test",
    "--disable-gpg-test",
    "--disable-gpgsm-test",
    "--disable-g13-test",
    "--disable-glibtest",
    "--quiet",
];

/// The package that brings gpgme-json in newer distributions.
pub(super) const PACKAGE: &str = "gpgme-json";

const DEBIAN_KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

impl Setup {
    /// The packages that bring gpgme-json, or what it is built with.
    pub(super) fn packages_for_gpgme_json(&self) -> Vec<String> {
        let debian = &self.versions.debian;
        if gpgme_json().is_ok() {
            return Vec::new();
        }
        let packaged = Command::new("apt-cache").args(["show", PACKAGE]).output();
        if on_path("apt-get").is_none() || packaged.is_ok_and(|shown| shown.status.success()) {
            vec![PACKAGE.to_owned()]
        } else {
            debian.gpgme_json_build.clone()
        }
    }

    /// Builds gpgme-json, unless it is there.
    pub(super) fn gpgme_json(&self) -> Result<()> {
        if gpgme_json().is_ok() {
            return Ok(());
        }
        let source = &self.versions.debian.gpgme_json_source;
        self.report.step(&format!("gpgme-json from the source package {source}"), || self.build_gpgme_json(source))
    }

    fn build_gpgme_json(&self, source: &str) -> Result<()> {
        let work = tempfile::tempdir_in(&self.cache)?;
        self.unpack_source(source, work.path())?;
        let folders = fs::read_dir(work.path().join("source"))?.collect::<Result<Vec<_>, _>>()?;
        let mut folders = folders.into_iter().map(|entry| entry.path()).filter(|path| path.is_dir());
        let tree = folders.next().with_context(|| format!("the source package {source} is empty"))?;
        run::quiet(
            Command::new(tree.join("configure")).args(CONFIGURE).current_dir(&tree),
            &self.log("gpgme-configure"),
        )?;
        run::quiet(Command::new("make").args(["-C", "src", "gpgme-json"]).current_dir(&tree), &self.log("gpgme-make"))?;
        let built = gpgme_json_built(&self.cache);
        fs::create_dir_all(built.parent().context("a file stands in a folder")?)?;
        // Beside its place first: what is there is whole.
        let whole = built.with_extension("whole");
        fs::copy(tree.join("src/gpgme-json"), &whole)?;
        fs::rename(&whole, &built).context("cannot move gpgme-json into place")
    }

    /// Fetches and checks a source package with apt, in a folder of its own: the system's lists stay as they are.
    fn unpack_source(&self, source: &str, work: &Path) -> Result<()> {
        for folder in ["lists/partial", "cache/archives/partial", "parts", "source"] {
            fs::create_dir_all(work.join(folder))?;
        }
        fs::write(work.join("sources.list"), source_lines()?)?;
        let apt = || {
            let mut apt = Command::new("apt-get");
            let options = [
                ("Dir::Etc::SourceList", "sources.list"),
                ("Dir::Etc::SourceParts", "parts"),
                ("Dir::State::Lists", "lists"),
                ("Dir::Cache", "cache"),
            ];
            apt.args(options.map(|(name, path)| format!("-o{name}={}", work.join(path).display())));
            apt.args(["--quiet", "-oAPT::Sandbox::User=root"]).current_dir(work.join("source"));
            apt
        };
        run::quiet(apt().arg("update"), &self.log("gpgme-update"))?;
        // A mirror may name a version that it does not have (yet): then an older one serves.
        let mut known = Command::new("apt-cache");
        known.args(apt().get_args()).args(["showsrc", "--only-source", source]);
        let known = run::answer(&mut known).with_context(|| format!("apt knows no source package {source}"))?;
        let mut outcome = Err(anyhow!("apt knows no version of the source package {source}"));
        for version in known.lines().filter_map(|line| line.strip_prefix("Version: ")) {
            let wanted = format!("{source}={version}");
            outcome = run::quiet(apt().args(["source", "--only-source", &wanted]), &self.log("gpgme-source"));
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }
}

/// The sources that go with the packages that apt is told to install.
fn source_lines() -> Result<String> {
    let mut list = Command::new("apt-get");
    list.args(["indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]);
    let targets = run::answer(&mut list).context("apt does not say where packages come from")?;
    let keys = if Path::new(DEBIAN_KEYS).exists() { format!("[signed-by={DEBIAN_KEYS}] ") } else { String::new() };
    let mut lines: Vec<_> = targets.lines().filter(|line| line.ends_with(" main")).collect();
    lines.sort_unstable();
    lines.dedup();
    if lines.is_empty() {
        bail!("apt knows no packages: run `apt-get update`");
    }
    Ok(lines.into_iter().map(|line| format!("deb-src {keys}{line}\n")).collect())
}
