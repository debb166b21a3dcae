//! The made-up release of the vectors, and the command run on it.
#![allow(dead_code, reason = "each test program uses some of it")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use anyhow::Result;
use tokio::process::Command;

pub(crate) const DEPLOYMENT: &str = "https://chat.example.org";

pub(crate) fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/integrity")
}

pub(crate) fn key(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/signed/keys").join(name).display().to_string()
}

/// Runs `keystead manifest`.
pub(crate) async fn manifest(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keystead"));
    Ok(command.arg("manifest").args(arguments).current_dir(folder).output().await?)
}

/// Everything it said.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// The files of a folder, sorted by path.
pub(crate) fn files(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    fn walk(folder: &Path, above: &str, into: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = format!("{above}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                walk(&entry.path(), &format!("{path}/"), into)?;
            } else {
                into.push((path, fs::read(entry.path())?));
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    walk(folder, "", &mut found)?;
    found.sort();
    Ok(found)
}

/// Makes the golden manifest in a folder; the arguments behind `add-site` that are always the same.
pub(crate) async fn make_manifest(folder: &Path) -> Result<Output> {
    let (release, site) = (vectors().join("release.json"), vectors().join("site"));
    let (release, site) = (release.display().to_string(), site.display().to_string());
    let mut arguments = vec!["add-site", &*release, "--site", &*site, "--deployment", DEPLOYMENT, "--serial", "7"];
    arguments.extend(["--issued", "2026-11-01", "--expires", "60", "-o", "manifest.json"]);
    manifest(folder, &arguments).await
}
