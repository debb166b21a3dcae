//! A file of a release while it is read: its hashes, and what its contents say of it.

use keystead_core::{
    error::Code,
    integrity::{FilePath, Sha256Digest, Sha384Digest},
};
use sha2::{Digest as _, Sha256, Sha384};

use super::{
    javascript::{self, Facts},
    refused,
};
use crate::failure::Failure;

/// The most files of a release.
pub(super) const MAX_FILES: usize = 20_000;
/// The most bytes of a file.
pub(super) const MAX_FILE: u64 = 64 << 20;
/// The most bytes of a release.
pub(super) const MAX_TOTAL: u64 = 1 << 30;
/// How much of a file is read and hashed at a time: it stays in the processor's cache for both hashes.
pub(super) const CHUNK: usize = 64 << 10;

/// A file of a release.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) path: FilePath,
    pub(super) size: u64,
    pub(super) sha256: Sha256Digest,
    pub(super) sha384: Sha384Digest,
    pub(super) contents: Contents,
}

/// What is kept of a file's contents.
#[derive(Debug)]
pub(super) enum Contents {
    /// The text of an HTML document.
    Html(Vec<u8>),
    /// What a JavaScript says of itself and others.
    JavaScript(Facts),
    /// The bytes, for what is read again: `version`, settings.
    Kept(Vec<u8>),
    /// Nothing.
    Nothing,
}

/// Both hashes at once.
#[derive(Default)]
pub(super) struct Hashes {
    sha256: Sha256,
    sha384: Sha384,
}

impl Hashes {
    pub(super) fn update(&mut self, chunk: &[u8]) {
        self.sha256.update(chunk);
        self.sha384.update(chunk);
    }

    pub(super) fn finish(self) -> (Sha256Digest, Sha384Digest) {
        (Sha256Digest::new(self.sha256.finalize().into()), Sha384Digest::new(self.sha384.finalize().into()))
    }
}

/// Must the whole contents be looked at?
pub(super) fn is_looked_into(path: &FilePath) -> bool {
    matches!(extension(path), "html" | "htm" | "js" | "mjs" | "cjs") || is_kept(path)
}

/// In any folder: an archive has one above everything.
fn is_kept(path: &FilePath) -> bool {
    let name = path.name();
    name == "version" || (name.starts_with("config") && name.ends_with(".json"))
}

/// What stands behind the last dot of a name.
pub(super) fn extension(path: &FilePath) -> &str {
    path.name().rsplit_once('.').map_or("", |(_, extension)| extension)
}

impl Part {
    /// A file that was read whole.
    pub(super) fn of_bytes(path: FilePath, bytes: Vec<u8>) -> Self {
        let mut hashes = Hashes::default();
        bytes.chunks(CHUNK).for_each(|chunk| hashes.update(chunk));
        let size = bytes.len() as u64;
        let contents = match extension(&path) {
            _ if is_kept(&path) => Contents::Kept(bytes),
            "html" | "htm" => Contents::Html(bytes),
            "js" | "mjs" | "cjs" => Contents::JavaScript(javascript::facts(&bytes)),
            _ => Contents::Nothing,
        };
        Self::new(path, size, hashes, contents)
    }

    /// A file whose contents were hashed as they were read.
    pub(super) fn new(path: FilePath, size: u64, hashes: Hashes, contents: Contents) -> Self {
        let (sha256, sha384) = hashes.finish();
        Self { path, size, sha256, sha384, contents }
    }
}

/// Reads a path as an archive or a folder has it.
pub(super) fn file_path(text: &str) -> Result<FilePath, Failure> {
    FilePath::parse(text).map_err(|_| refused(Code::IntPath, text.escape_debug().to_string()))
}

/// Sorts parts by path; no path may stand twice, nor be a folder of another.
pub(super) fn sorted(mut parts: Vec<Part>) -> Result<Vec<Part>, Failure> {
    parts.sort_by(|a, b| a.path.cmp(&b.path));
    let names: std::collections::BTreeSet<&str> = parts.iter().map(|part| part.path.as_str()).collect();
    let twice = parts.windows(2).find(|two| two[0].path == two[1].path).map(|two| &two[1].path);
    let inside =
        |path: &&FilePath| path.as_str().match_indices('/').any(|(at, _)| names.contains(&path.as_str()[..at]));
    match twice.or_else(|| parts.iter().map(|part| &part.path).find(inside)) {
        Some(path) => Err(refused(Code::IntDuplicate, path.as_str())),
        None => Ok(parts),
    }
}
