//! Packages the extension as people install it: from the same source and compiler the same bytes, wherever it is built.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;

use anyhow::{Context, Result, bail};
use memchr::memmem;
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::build::{self, Profile};
use crate::hosts::Pattern;
use crate::manifest::Manifest;
use crate::{Browser, hex, paths, size};

/// What all files of a package may be: readable.
const MODE: u32 = 0o644;
/// The strongest compression. The compressor (miniz_oxide) does the same on every processor.
const LEVEL: i64 = 9;

/// Builds the release, and packs it for each browser.
pub(crate) fn package(sites: &[Pattern]) -> Result<()> {
    build::build_with(Profile::Release, sites)?;
    for browser in Browser::ALL {
        let dir = paths::dist().join(browser.name());
        refuse_local_paths(&dir)?;
        let manifest = Manifest::read(&dir.join("manifest.json"))?;
        let packed = pack(&dir)?;
        let name = file_name(browser, manifest.version()?);
        fs::write(paths::dist().join(&name), &packed).with_context(|| format!("cannot write dist/{name}"))?;
        println!("dist/{name}");
        println!("  id      {}", manifest.id(browser)?);
        println!("  bytes   {}", packed.len());
        println!("  sha256  {}", hex(&Sha256::digest(&packed)));
    }
    let access = sites.iter().map(Pattern::as_str).collect::<Vec<_>>().join(" ");
    println!("access without asking: {}", if access.is_empty() { "none" } else { &access });
    let [first, later] = build::background_modules();
    let [at_start, when_needed] = size::check(&first, &later)?;
    println!("background: at each start {at_start}; when needed {when_needed}");
    Ok(())
}

fn file_name(browser: Browser, version: &str) -> String {
    let kind = match browser {
        Browser::Chromium => "zip",
        Browser::Firefox => "xpi",
    };
    format!("keystead-{version}-{}.{kind}", browser.name())
}

/// A ZIP archive of everything below a folder, in which nothing tells when, where and by whom it was made.
fn pack(dir: &Path) -> Result<Vec<u8>> {
    let mut files = Vec::new();
    for path in build::files_below(dir)? {
        files.push((name_in_archive(path.strip_prefix(dir)?)?, path));
    }
    // In the order of the names' bytes, not in that of the file system.
    files.sort();
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(LEVEL))
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(MODE);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, path) in files {
        archive.start_file(name, options)?;
        archive.write_all(&fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?)?;
    }
    Ok(archive.finish()?.into_inner())
}

fn name_in_archive(path: &Path) -> Result<String> {
    let parts: Option<Vec<&str>> = path.iter().map(|part| part.to_str()).collect();
    Ok(parts.with_context(|| format!("{} is not UTF-8", path.display()))?.join("/"))
}

/// Fails where a file names a folder of this machine: another machine would not make the same.
fn refuse_local_paths(dir: &Path) -> Result<()> {
    let folders = paths::local();
    for file in build::files_below(dir)? {
        let bytes = fs::read(&file)?;
        for folder in &folders {
            if memmem::find(&bytes, folder.as_os_str().as_encoded_bytes()).is_some() {
                bail!("{} names {}: it would not be the same on another machine", file.display(), folder.display());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn folder(names: &[&str], age: u64) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("{name}\n").repeat(100)).unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
            let mut permissions = file.metadata().unwrap().permissions();
            permissions.set_readonly(age > 0);
            file.set_permissions(permissions).unwrap();
        }
        dir
    }

    #[test]
    fn order_age_and_modes_of_files_do_not_show() {
        let one = folder(&["manifest.json", "js/hook.js", "js.txt", "a"], 0);
        let other = folder(&["a", "js.txt", "js/hook.js", "manifest.json"], 86_400);
        let packed = pack(one.path()).unwrap();
        assert_eq!(packed, pack(other.path()).unwrap());
        let mut archive = zip::ZipArchive::new(Cursor::new(packed)).unwrap();
        let names: Vec<_> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, ["a", "js.txt", "js/hook.js", "manifest.json"]);
        let hook = std::io::read_to_string(archive.by_name("js/hook.js").unwrap()).unwrap();
        assert_eq!(hook, "js/hook.js\n".repeat(100));
    }

    #[test]
    fn a_folder_of_this_machine_in_a_file_is_found() {
        let dir = folder(&["manifest.json"], 0);
        refuse_local_paths(dir.path()).unwrap();
        let file = paths::root().join("src/lib.rs");
        fs::write(dir.path().join("module.wasm"), format!("\0{}\0", file.display())).unwrap();
        refuse_local_paths(dir.path()).unwrap_err();
    }
}
