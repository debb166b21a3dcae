//! Parts into a listing: kinds, documents, and what workers import.

use keystead_core::{
    error::Code,
    integrity::{FileKind, FilePath, ListedFile, Listing, Worker},
};

use super::{
    classify::{Loaded, beside},
    html,
    javascript::Imports,
    part::{Contents, Part, sorted},
    refused,
};
use crate::failure::Failure;

/// A listing, and what about it an administrator should know.
pub(super) struct Made {
    pub(super) listing: Listing,
    pub(super) notes: Vec<String>,
}

/// Makes a listing of files in any order.
pub(super) fn make(parts: Vec<Part>) -> Result<Made, Failure> {
    let parts = sorted(parts)?;
    let (mut documents, mut notes) = (Vec::new(), Vec::new());
    for part in &parts {
        let Contents::Html(text) = &part.contents else { continue };
        let read = html::read(&part.path, text);
        let read = read.map_err(|why| refused(Code::IntDocument, format!("{}: {why}", part.path.as_str())))?;
        documents.push(read.document);
        notes.extend(read.notes);
    }
    let loaded = Loaded::gather(&parts, &documents);
    let paths: Vec<&FilePath> = parts.iter().map(|part| &part.path).collect();
    let mut workers = Vec::new();
    for part in &parts {
        let Contents::JavaScript(facts) = &part.contents else { continue };
        // Elsewhere it is the text of a worker that is made as a blob.
        let Some(found) = facts.imports.as_ref().filter(|_| loaded.kind(part) == FileKind::Worker) else { continue };
        match imports(&part.path, found, &paths) {
            Some(imports) => workers.push(Worker { path: part.path.clone(), imports }),
            None => notes.push(format!("{}: it is not clear what it imports; nothing is allowed", part.path.as_str())),
        }
    }
    let file = |part: &Part| ListedFile {
        path: part.path.clone(),
        size: part.size,
        kind: loaded.kind(part),
        sha256: part.sha256,
        sha384: part.sha384,
    };
    let listing = Listing::new(parts.iter().map(file).collect(), documents, workers);
    let listing = listing.map_err(|error| refused(Code::IntDocument, error.to_string()))?;
    Ok(Made { listing, notes })
}

/// The files that a script imports; `None` where one is not to be found.
fn imports(script: &FilePath, found: &Imports, paths: &[&FilePath]) -> Option<Vec<FilePath>> {
    let is_known = |path: &FilePath| paths.binary_search(&path).is_ok();
    let mut files = Vec::new();
    for name in &found.files {
        files.push(beside(script, name, is_known)?);
    }
    for names in &found.chunks {
        files.push(names.iter().find_map(|name| chunk(script, name, paths))?);
    }
    (!files.is_empty()).then_some(files)
}

/// `NAME.js` or `NAME.HASH.js` in the script's folder.
fn chunk(script: &FilePath, name: &str, paths: &[&FilePath]) -> Option<FilePath> {
    let is_it = |path: &&&FilePath| {
        let rest = path.name().strip_prefix(name).filter(|_| path.folder() == script.folder() && **path != script);
        let middle = rest.and_then(|rest| rest.strip_suffix(".js"));
        middle.is_some_and(|middle| middle.is_empty() || middle.starts_with('.') && !middle[1..].contains('.'))
    };
    let mut found = paths.iter().filter(is_it);
    let path = found.next()?;
    found.next().is_none().then(|| (*path).clone())
}
