//! Reading and writing the files that the command is given, with errors that name the file.

use std::{fs, path::Path};

use keystead_core::{openpgp::Certificate, signed::MAX_BYTES};

use crate::failure::Failure;

/// Reads a file of at most the size of a signed document.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let cannot = |why: String| Failure::Usage(format!("cannot read {}: {why}", path.display()));
    let size = fs::metadata(path).map_err(|error| cannot(error.to_string()))?.len();
    if size > MAX_BYTES as u64 {
        return Err(cannot("more than 8 MiB".into()));
    }
    fs::read(path).map_err(|error| cannot(error.to_string()))
}

/// Reads a text file.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read(path)?).map_err(|_| Failure::Usage(format!("{} is no UTF-8 text", path.display())))
}

/// Writes a file.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes).map_err(|error| Failure::Usage(format!("cannot write {}: {error}", path.display())))
}

/// Reads the certificates of several files.
pub(crate) fn certificates(paths: &[impl AsRef<Path>]) -> Result<Vec<Certificate>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        let path = path.as_ref();
        let certificates = Certificate::parse_all(&read(path)?);
        found.extend(certificates.map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?);
    }
    Ok(found)
}

/// NAME.asc, where the signature of NAME lies.
pub(crate) fn signature_path(document: &Path) -> std::path::PathBuf {
    let mut name = document.as_os_str().to_owned();
    name.push(".asc");
    name.into()
}
