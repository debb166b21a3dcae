//! Reading a release from a tar archive, plain or compressed with gzip, without unpacking it anywhere.
//!
//! Threat: an archive that was made to harm whoever opens it: larger inside than any disk, with links out of itself, with
//! absolute paths or `..`, or with one path twice, where the builder lists the first file and the server serves the last.

use std::{
    io::{BufReader, Read},
    num::NonZero,
    sync::{Condvar, Mutex, PoisonError, mpsc},
    thread,
};

use flate2::bufread::MultiGzDecoder;
use keystead_core::{error::Code, integrity::FilePath};
use tar::{Archive, Entry, PaxExtensions};

use super::{
    part::{CHUNK, MAX_FILE, MAX_FILES, MAX_TOTAL, Part, file_path},
    refused,
};
use crate::failure::Failure;

/// The most bytes of a name that stands before its file.
const MAX_NAME: u64 = 64 << 10;
/// How many bytes of files may wait to be hashed.
const IN_FLIGHT: u64 = 24 << 20;

type Job = (FilePath, Vec<u8>);

/// Reads every file of an archive.
pub(super) fn read(archive: impl Read) -> Result<Vec<Part>, Failure> {
    let (sender, receiver) = mpsc::channel::<Job>();
    let (receiver, room) = (Mutex::new(receiver), Room::default());
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let parts = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| hash(&receiver, &room))).collect();
        let read = read_entries(archive, |path, bytes| {
            room.take(bytes.len() as u64);
            sender.send((path, bytes)).map_err(|_| broken("a file could not be read"))
        });
        drop(sender);
        let parts: Vec<Part> = threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect();
        read.map(|count| (parts, count))
    });
    let (parts, count) = parts?;
    if parts.len() == count { strip_folder(parts) } else { Err(Failure::Usage("a file could not be read".into())) }
}

fn hash(jobs: &Mutex<mpsc::Receiver<Job>>, room: &Room) -> Vec<Part> {
    let mut parts = Vec::new();
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((path, bytes)) = job else { return parts };
        let size = bytes.len() as u64;
        parts.push(Part::of_bytes(path, bytes));
        room.give(size);
    }
}

/// How many bytes are in flight.
#[derive(Default)]
struct Room {
    taken: Mutex<u64>,
    given: Condvar,
}

impl Room {
    /// Waits until there is room; one file is let in however large it is.
    fn take(&self, size: u64) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken > 0 && *taken + size > IN_FLIGHT {
            taken = self.given.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken += size;
    }

    fn give(&self, size: u64) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) -= size;
        self.given.notify_one();
    }
}

fn broken(why: impl std::fmt::Display) -> Failure {
    refused(Code::IntArchive, why.to_string())
}

/// Hands out the files one after the other; answers how many they were.
fn read_entries(
    archive: impl Read,
    mut take: impl FnMut(FilePath, Vec<u8>) -> Result<(), Failure>,
) -> Result<usize, Failure> {
    let mut archive = BufReader::with_capacity(CHUNK, archive);
    let is_gzip = std::io::BufRead::fill_buf(&mut archive).map_err(broken)?.starts_with(&[0x1f, 0x8b]);
    // Also of what no file is made of: the archive's own headers and names.
    let limit = MAX_TOTAL + MAX_FILES as u64 * 4096;
    let plain: Box<dyn Read + '_> = if is_gzip { Box::new(MultiGzDecoder::new(archive)) } else { Box::new(archive) };
    let mut archive = Archive::new(plain.take(limit));
    let (mut name, mut total, mut count, mut entries) = (None, 0, 0, 0);
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let mut entry = entry.map_err(broken)?;
        entries += 1;
        let size = entry.header().entry_size().map_err(broken)?;
        total += size;
        let kind = entry.header().entry_type();
        let path = || name_of(&entry);
        if size > MAX_FILE || total > MAX_TOTAL || entries > MAX_FILES * 2 {
            return Err(refused(Code::IntBomb, path()?));
        }
        if kind.is_gnu_longname() {
            let text = small(&mut entry, size)?;
            let text = text.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
            name = Some(String::from_utf8(text).map_err(|_| refused(Code::IntPath, "a name that is no UTF-8"))?);
        } else if kind.is_pax_local_extensions() {
            name = pax_path(&small(&mut entry, size)?)?.or(name);
        } else if kind.is_pax_global_extensions() {
            if pax_path(&small(&mut entry, size)?)?.is_some() {
                return Err(broken("one path for all files"));
            }
        } else if kind.is_file() || kind.is_contiguous() {
            let path = file_path(&without_dot(&name.take().map_or_else(path, Ok)?))?;
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
            entry.read_to_end(&mut bytes).map_err(broken)?;
            if bytes.len() as u64 != size {
                return Err(broken("it ends in the middle of a file"));
            }
            count += 1;
            if count > MAX_FILES {
                return Err(refused(Code::IntBomb, path.as_str()));
            }
            take(path, bytes)?;
        } else if kind.is_dir() {
            let name = name.take().map_or_else(path, Ok)?;
            // The topmost folder may be listed too.
            if !matches!(name.as_str(), "." | "./") {
                file_path(without_dot(&name).trim_end_matches('/'))?;
            }
        } else {
            return Err(refused(Code::IntLink, name.take().map_or_else(path, Ok)?));
        }
    }
    if count == 0 { Err(broken("it has no files")) } else { Ok(count) }
}

fn name_of(entry: &Entry<'_, impl Read>) -> Result<String, Failure> {
    let bytes = entry.header().path_bytes().into_owned();
    String::from_utf8(bytes).map_err(|_| refused(Code::IntPath, "a name that is no UTF-8"))
}

/// `./a` as `a`, as many archives begin their paths.
fn without_dot(name: &str) -> String {
    name.strip_prefix("./").unwrap_or(name).to_owned()
}

fn small(entry: &mut impl Read, size: u64) -> Result<Vec<u8>, Failure> {
    if size > MAX_NAME {
        return Err(refused(Code::IntBomb, "the name of a file"));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(broken)?;
    Ok(bytes)
}

/// The path that extensions give to the next file; others that would change what is read are refused.
fn pax_path(bytes: &[u8]) -> Result<Option<String>, Failure> {
    let mut path = None;
    for extension in PaxExtensions::new(bytes) {
        let extension = extension.map_err(broken)?;
        let (key, value) = (extension.key().map_err(broken)?, extension.value());
        match key {
            "path" => path = Some(value.map_err(|_| refused(Code::IntPath, "a name that is no UTF-8"))?.to_owned()),
            "size" => return Err(refused(Code::IntBomb, "a size beside the size")),
            "linkpath" => return Err(refused(Code::IntLink, path.unwrap_or_default())),
            key if key.starts_with("GNU.sparse") => return Err(broken("a sparse file")),
            _ => {}
        }
    }
    Ok(path)
}

/// Releases come in a folder of their own name.
fn strip_folder(parts: Vec<Part>) -> Result<Vec<Part>, Failure> {
    let folder =
        parts.first().and_then(|part| part.path.as_str().split_once('/')).map(|(folder, _)| format!("{folder}/"));
    let Some(folder) = folder.filter(|folder| parts.iter().all(|part| part.path.as_str().starts_with(folder))) else {
        return Ok(parts);
    };
    let stripped = |part: Part| Ok(Part { path: file_path(&part.path.as_str()[folder.len()..])?, ..part });
    parts.into_iter().map(stripped).collect()
}
