//! Writing and removing the files, whole or not at all.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::place::Scope;
use crate::failure::Failure;

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    New,
    Replaced,
    AlreadyThere,
}

/// Puts a text into a file, with the folders above it. What was there is replaced in one step, unless it is the same.
pub(super) fn write(path: &Path, text: &str, scope: Scope) -> Result<Written, Failure> {
    let before = read(path)?;
    if before.as_deref() == Some(text) {
        return Ok(Written::AlreadyThere);
    }
    put(path, text, scope).map_err(|error| Failure::Usage(format!("cannot write {}: {error}", path.display())))?;
    Ok(if before.is_some() { Written::Replaced } else { Written::New })
}

fn put(path: &Path, text: &str, scope: Scope) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    make_folders(folder, scope)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let done =
        fs::write(&beside, text).and_then(|()| readable(&beside, 0o644)).and_then(|()| fs::rename(&beside, path));
    if done.is_err() {
        // What could not be written may not be there either.
        let _ = fs::remove_file(&beside);
    }
    done
}

/// The text of a file; `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::Usage(format!("cannot read {}: {error}", path.display()))),
    }
}

/// Removes a file; says whether there was one.
pub(super) fn remove(path: &Path) -> Result<bool, Failure> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failure::Usage(format!("cannot remove {}: {error}", path.display()))),
    }
}

/// Whoever sets up a machine may have a umask that keeps others out: what is for everybody, everybody can read.
fn make_folders(folder: &Path, scope: Scope) -> io::Result<()> {
    // The folder above a relative path has no name.
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        make_folders(above, scope)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ if scope == Scope::System => readable(folder, 0o755),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn readable(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn readable(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_once_and_changed_in_one_step() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/host.json");
        assert_eq!(write(&path, "1", Scope::System), Ok(Written::New));
        assert_eq!(write(&path, "1", Scope::System), Ok(Written::AlreadyThere));
        assert_eq!(write(&path, "2", Scope::System), Ok(Written::Replaced));
        assert_eq!(read(&path), Ok(Some("2".into())));
        let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, std::slice::from_ref(&path), "nothing is left beside it");
        assert_eq!((remove(&path), remove(&path), read(&path)), (Ok(true), Ok(false), Ok(None)));
    }

    #[test]
    fn what_cannot_be_written_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(matches!(write(&file.join("host.json"), "1", Scope::User), Err(Failure::Usage(_))));
        // A folder is in the file's place.
        fs::create_dir_all(folder.path().join("host.json/full")).unwrap();
        assert!(write(&folder.path().join("host.json"), "1", Scope::User).is_err());
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["file", "host.json"]);
    }
}
