//! What a release, and a site of its own, consist of: files, documents, workers.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{Document, FileKind, FilePath, ListedFile, ScriptSource};

/// The most files of one listing.
const MAX_FILES: usize = 20_000;

/// A worker that imports scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    /// Which file it is.
    pub path: FilePath,
    /// What it gets by `importScripts`, in its order.
    pub imports: Vec<FilePath>,
}

/// Why files, documents and workers do not go together. Each holds the field that is wrong, such as `files[3].path`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} does not fit the other fields")]
pub struct ListingError(
    /// The field.
    pub String,
);

/// Files, sorted by path, and what must be known of some of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Listing {
    files: Vec<ListedFile>,
    documents: Vec<Document>,
    workers: Vec<Worker>,
}

impl Listing {
    /// Makes a listing of parts in any order.
    ///
    /// # Errors
    /// [`ListingError`] where a path stands twice, a document or worker is no file of that kind, or a script has no place in
    /// its template.
    pub fn new(
        mut files: Vec<ListedFile>,
        mut documents: Vec<Document>,
        mut workers: Vec<Worker>,
    ) -> Result<Self, ListingError> {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        documents.sort_by(|a, b| a.path.cmp(&b.path));
        workers.sort_by(|a, b| a.path.cmp(&b.path));
        if files.len() > MAX_FILES {
            return Err(ListingError("files".into()));
        }
        twice(files.iter().map(|file| &file.path), "files")?;
        twice(documents.iter().map(|document| &document.path), "documents")?;
        twice(workers.iter().map(|worker| &worker.path), "workers")?;
        let listing = Self { files, documents, workers };
        for (index, document) in listing.documents.iter().enumerate() {
            let is_document = listing.file(&document.path).is_some_and(|file| file.kind == FileKind::Document);
            if !is_document || !document.has_every_place() {
                return Err(ListingError(format!("documents[{index}]")));
            }
        }
        for (index, worker) in listing.workers.iter().enumerate() {
            if !listing.file(&worker.path).is_some_and(|file| file.kind.is_javascript()) {
                return Err(ListingError(format!("workers[{index}]")));
            }
        }
        Ok(listing)
    }

    /// Reads a listing's fields out of an object.
    pub(super) fn take(fields: &mut Map<String, Value>) -> Result<Self, String> {
        let listing = Self::new(list(fields, "files")?, list(fields, "documents")?, list(fields, "workers")?);
        listing.map_err(|ListingError(field)| field)
    }

    /// The files, sorted by path.
    #[must_use]
    pub fn files(&self) -> &[ListedFile] {
        &self.files
    }

    /// The file of a path.
    #[must_use]
    pub fn file(&self, path: &FilePath) -> Option<&ListedFile> {
        self.files.binary_search_by(|file| file.path.cmp(path)).ok().map(|index| &self.files[index])
    }

    /// The HTML documents.
    #[must_use]
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// The document of a path.
    #[must_use]
    pub fn document(&self, path: &FilePath) -> Option<&Document> {
        self.documents.iter().find(|document| &document.path == path)
    }

    /// The workers that import scripts.
    #[must_use]
    pub fn workers(&self) -> &[Worker] {
        &self.workers
    }

    /// What a worker imports; nothing where it is not said.
    #[must_use]
    pub fn imports(&self, path: &FilePath) -> &[FilePath] {
        self.workers.iter().find(|worker| &worker.path == path).map_or(&[], |worker| &worker.imports)
    }

    /// The first field that names JavaScript which none of `others` nor this listing has.
    pub(super) fn unlisted_script(&self, others: &[&Self]) -> Option<String> {
        let is_script = |path: &FilePath| {
            let mut all = others.iter().copied().chain([self]);
            all.any(|listing| listing.file(path).is_some_and(|file| file.kind.is_javascript()))
        };
        for (index, document) in self.documents.iter().enumerate() {
            for (number, script) in document.scripts.iter().enumerate() {
                if matches!(&script.source, ScriptSource::File(path) if !is_script(path)) {
                    return Some(format!("documents[{index}].scripts[{number}]"));
                }
            }
        }
        let worker = self.workers.iter().position(|worker| !worker.imports.iter().all(is_script))?;
        Some(format!("workers[{worker}]"))
    }
}

fn twice<'a>(mut paths: impl Iterator<Item = &'a FilePath>, field: &str) -> Result<(), ListingError> {
    let mut seen = BTreeSet::new();
    match paths.position(|path| !seen.insert(path)) {
        Some(index) => Err(ListingError(format!("{field}[{index}].path"))),
        None => Ok(()),
    }
}

/// Takes a list out of an object; the name of the item that is wrong otherwise.
pub(super) fn list<T: DeserializeOwned>(fields: &mut Map<String, Value>, name: &str) -> Result<Vec<T>, String> {
    let Some(Value::Array(items)) = fields.shift_remove(name) else { return Err(name.into()) };
    let item = |(index, item)| serde_json::from_value(item).map_err(|_| format!("{name}[{index}]"));
    items.into_iter().enumerate().map(item).collect()
}

/// Takes a field out of an object; its name otherwise.
pub(super) fn field<T: DeserializeOwned>(fields: &mut Map<String, Value>, name: &str) -> Result<T, String> {
    let value = fields.shift_remove(name).ok_or(name)?;
    serde_json::from_value(value).map_err(|_| name.into())
}

/// Nothing may be left over.
pub(super) fn nothing_left(fields: &Map<String, Value>) -> Result<(), String> {
    if fields.is_empty() { Ok(()) } else { Err("a field that this version does not have".into()) }
}
