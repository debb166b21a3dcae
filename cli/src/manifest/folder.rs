//! Reading a release from a folder, with all cores.

use std::{
    fs::{self, File},
    io::Read as _,
    num::NonZero,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use keystead_core::{error::Code, integrity::FilePath};

use super::{
    part::{CHUNK, Contents, Hashes, MAX_FILE, MAX_FILES, MAX_TOTAL, Part, file_path, is_looked_into},
    refused,
};
use crate::failure::Failure;

struct Found {
    path: FilePath,
    at: PathBuf,
    size: u64,
}

/// Reads every file under a folder.
pub(super) fn read(root: &Path) -> Result<Vec<Part>, Failure> {
    let mut found = Vec::new();
    walk(root, "", &mut found)?;
    if found.len() > MAX_FILES || found.iter().map(|file| file.size).sum::<u64>() > MAX_TOTAL {
        return Err(refused(Code::IntBomb, root.display().to_string()));
    }
    // The largest first: at the end all threads are busy.
    found.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.path.cmp(&b.path)));
    let next = AtomicUsize::new(0);
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(found.len().max(1));
    let results = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| take(&found, &next))).collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap_or_default());
        joined.flatten().collect::<Vec<_>>()
    });
    let mut parts = Vec::with_capacity(found.len());
    for result in results {
        parts.push(result?);
    }
    // A thread that died brought nothing.
    if parts.len() == found.len() { Ok(parts) } else { Err(Failure::Usage("a file could not be read".into())) }
}

fn take(found: &[Found], next: &AtomicUsize) -> Vec<Result<Part, Failure>> {
    let mut buffer = vec![0; CHUNK];
    let mut parts = Vec::new();
    while let Some(file) = found.get(next.fetch_add(1, Ordering::Relaxed)) {
        parts.push(read_file(file, &mut buffer));
    }
    parts
}

fn walk(folder: &Path, above: &str, found: &mut Vec<Found>) -> Result<(), Failure> {
    let cannot =
        |path: &Path, error: std::io::Error| Failure::Usage(format!("cannot read {}: {error}", path.display()));
    for entry in fs::read_dir(folder).map_err(|error| cannot(folder, error))? {
        let entry = entry.map_err(|error| cannot(folder, error))?;
        let at = entry.path();
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| refused(Code::IntPath, at.display().to_string()))?;
        let path = file_path(&format!("{above}{name}"))?;
        // Of the entry itself: a link is not followed.
        let metadata = entry.metadata().map_err(|error| cannot(&at, error))?;
        if metadata.is_dir() {
            walk(&at, &format!("{above}{name}/"), found)?;
        } else if !metadata.is_file() {
            return Err(refused(Code::IntLink, path.as_str()));
        } else if metadata.len() > MAX_FILE {
            return Err(refused(Code::IntBomb, path.as_str()));
        } else {
            found.push(Found { path, at, size: metadata.len() });
        }
    }
    Ok(())
}

fn read_file(found: &Found, buffer: &mut [u8]) -> Result<Part, Failure> {
    let cannot = |error| Failure::Usage(format!("cannot read {}: {error}", found.at.display()));
    // It may have grown meanwhile.
    let mut file = File::open(&found.at).map_err(cannot)?.take(MAX_FILE);
    if is_looked_into(&found.path) {
        let mut bytes = Vec::with_capacity(usize::try_from(found.size).unwrap_or_default());
        file.read_to_end(&mut bytes).map_err(cannot)?;
        return Ok(Part::of_bytes(found.path.clone(), bytes));
    }
    let (mut hashes, mut size) = (Hashes::default(), 0);
    loop {
        let length = file.read(buffer).map_err(cannot)?;
        if length == 0 {
            return Ok(Part::new(found.path.clone(), size, hashes, Contents::Nothing));
        }
        hashes.update(&buffer[..length]);
        size += length as u64;
    }
}
