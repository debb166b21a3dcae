//! What a browser needs to build a document from the release's own text, with nothing in it that the host served.
//!
//! Threat: an `index.html` with a script, a form, a `<base>` or a policy that the release does not have. Where the browser
//! cannot hold a document back until it is judged (Chromium), what was served is never shown: the document is built from
//! the template under a content security policy that lists the hashes of the release's scripts, and every file that code
//! can be made of is named with its hash.

use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{
    Allowed, Document, FileKind, FilePath, ListedFile, ManifestSet, Opened, Release, ScriptSource, ScriptType,
    Sha256Digest,
};
use crate::policy::PassiveKind;
use crate::sorted::SortedMap;

/// A document to build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PageRecord {
    /// Its text, with places for its scripts ([`Document`]).
    pub template: String,
    /// What comes to the places; `None` for a script that does not run.
    pub scripts: Vec<Option<ScriptRecord>>,
    /// A map of the hashes of modules, to stand before the first script, where the document has modules.
    pub import_map: Option<String>,
    /// The folder of the origin that Element Web is served from.
    pub base: String,
    /// The policy under which all of it runs.
    pub csp: String,
    /// `sha256-…` of every file of which code, or what steers it, is made, by the path of its URL.
    pub hashes: SortedMap<String, String>,
    /// What each worker imports, by the paths of their URLs.
    pub workers: SortedMap<String, Vec<String>>,
    /// The paths of the files that are compiled as WebAssembly.
    pub wasm: Vec<String>,
}

/// A script of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScriptRecord {
    /// The path of its URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src: Option<String>,
    /// Its text, where it is in the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// `module` or nothing.
    #[serde(rename = "type")]
    pub script_type: &'static str,
    /// Has it the attribute `async`?
    #[serde(rename = "async")]
    pub is_async: bool,
    /// Has it the attribute `defer`?
    #[serde(rename = "defer")]
    pub is_deferred: bool,
    /// Has it the attribute `nomodule`?
    #[serde(rename = "nomodule")]
    pub is_nomodule: bool,
}

impl PageRecord {
    /// Has it run what a person opened all the same as well.
    pub fn open(&mut self, opened: &Opened) {
        for (path, found) in opened.files() {
            let hash = sri(&found);
            self.csp = self.csp.replacen("script-src ", &format!("script-src '{hash}' "), 1);
            self.hashes.insert(path, hash);
        }
    }
}

impl ManifestSet {
    /// What is to be built for the path of a URL, of one release; `None` where that is no document of it. Files of a kind in
    /// `passive` need no hash.
    #[must_use]
    pub fn page_record(
        &self,
        release: &Release,
        url_path: &str,
        passive: &[PassiveKind],
    ) -> Option<(PageRecord, Allowed)> {
        let path = self.site().base().file(url_path)?;
        let own = self.site().listing();
        // The site's own file stands in the place of the release's.
        let document = if own.file(&path).is_some() { own.document(&path) } else { release.listing().document(&path) }?;
        let mut files: SortedMap<&FilePath, &ListedFile> = SortedMap::new();
        files.extend(release.listing().files().iter().chain(own.files()).map(|file| (&file.path, file)));
        let url = |path: &FilePath| self.url_path(path);
        let checked = |file: &&&ListedFile| is_checked(file.kind, passive);
        let hash = |file: &&ListedFile| (url(&file.path), sri(&file.sha256));
        let of_kind = |kind: FileKind| files.values().filter(move |file| file.kind == kind);
        let imports = |path: &FilePath| {
            let listing = if own.file(path).is_some() { own } else { release.listing() };
            listing.imports(path).iter().map(url).collect::<Vec<_>>()
        };
        let has_modules = document.scripts.iter().any(|script| script.script_type == ScriptType::Module);
        let import_map = has_modules.then(|| {
            let modules: SortedMap<_, _> = of_kind(FileKind::Module).map(hash).collect();
            json!({ "integrity": modules }).to_string()
        });
        let record = PageRecord {
            template: document.template.clone(),
            base: self.site().base().as_str().to_owned(),
            scripts: document.scripts.iter().map(|script| self.script(script)).collect(),
            csp: policy(document, files.values().copied(), import_map.as_deref()),
            import_map,
            hashes: files.values().filter(checked).map(hash).collect(),
            workers: of_kind(FileKind::Worker).map(|file| (url(&file.path), imports(&file.path))).collect(),
            wasm: of_kind(FileKind::Wasm).map(|file| url(&file.path)).collect(),
        };
        Some((record, Allowed { path, releases: vec![release.id().clone()] }))
    }

    /// The `script-src` sources, each with its quotes, of the scripts that stand in the document at the path of a URL itself.
    #[must_use]
    pub fn inline_sources(&self, url_path: &str) -> Vec<String> {
        let Some(path) = self.site().base().file(url_path) else { return Vec::new() };
        let own = self.site().listing().document(&path);
        let of_releases = self.releases().filter_map(|release| release.listing().document(&path));
        let documents = own.into_iter().chain(of_releases);
        let mut sources: Vec<_> = documents.flat_map(inline).collect();
        sources.sort();
        sources.dedup();
        sources
    }

    fn script(&self, script: &super::Script) -> Option<ScriptRecord> {
        let (src, text) = match &script.source {
            ScriptSource::File(path) => (Some(self.url_path(path)), None),
            ScriptSource::Inline { text, .. } => (None, Some(text.clone())),
            ScriptSource::External(_) => return None,
        };
        Some(ScriptRecord {
            src,
            text,
            script_type: match script.script_type {
                ScriptType::Classic => "",
                ScriptType::Module => "module",
                ScriptType::Importmap => "importmap",
            },
            is_async: script.is_async,
            is_deferred: script.is_deferred,
            is_nomodule: script.is_nomodule,
        })
    }

    /// The path of a file's URL, as browsers write it.
    fn url_path(&self, path: &FilePath) -> String {
        let whole = format!("{}{}", self.site().base().as_str(), path.as_str());
        Url::parse("https://release.invalid").map_or(whole.clone(), |mut url| {
            url.set_path(&whole);
            url.path().to_owned()
        })
    }
}

fn sri(digest: &Sha256Digest) -> String {
    format!("sha256-{}", digest.to_base64())
}

/// What runs, and what steers it. Pictures, fonts and sound cannot be named with a hash.
fn is_checked(kind: FileKind, passive: &[PassiveKind]) -> bool {
    match kind {
        FileKind::Script
        | FileKind::Worker
        | FileKind::Worklet
        | FileKind::Module
        | FileKind::Wasm
        | FileKind::Data => true,
        FileKind::Style => !passive.contains(&PassiveKind::Style),
        FileKind::Translation => !passive.contains(&PassiveKind::Translation),
        FileKind::Document | FileKind::ServiceWorker | FileKind::Font | FileKind::Image | FileKind::Media => false,
    }
}

fn inline(document: &Document) -> impl Iterator<Item = String> {
    document.scripts.iter().filter_map(|script| match &script.source {
        ScriptSource::Inline { sha256, .. } => Some(format!("'{}'", sri(sha256))),
        ScriptSource::File(_) | ScriptSource::External(_) => None,
    })
}

fn policy<'a>(document: &Document, files: impl Iterator<Item = &'a ListedFile>, import_map: Option<&str>) -> String {
    // A worklet runs as a script there.
    let runs = |kind| matches!(kind, FileKind::Script | FileKind::Module | FileKind::Worklet);
    let scripts = files.filter(|file| runs(file.kind));
    let mut sources: Vec<_> = scripts.map(|file| format!("'{}'", sri(&file.sha256))).chain(inline(document)).collect();
    let hash = |text: &str| Sha256Digest::new(Sha256::digest(text).into());
    sources.extend(import_map.map(|text| format!("'{}'", sri(&hash(text)))));
    sources.sort();
    sources.dedup();
    let sources = sources.join(" ");
    format!("script-src {sources} 'wasm-unsafe-eval'; worker-src blob:; object-src 'none'; base-uri 'none'")
}
