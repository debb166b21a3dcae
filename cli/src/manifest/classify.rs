//! What each file of a release is for: by its name where that says it, by its contents, and by who loads it.

use std::collections::{BTreeMap, BTreeSet};

use keystead_core::integrity::{BasePath, Document, FileKind, FilePath, ScriptSource, ScriptType};
use url::Url;

use super::{
    javascript::Facts,
    part::{Contents, Part, extension},
};

/// Files that are loaded as something, by whom ever.
#[derive(Default)]
pub(super) struct Loaded {
    modules: BTreeSet<FilePath>,
    workers: BTreeSet<FilePath>,
    service_workers: BTreeSet<FilePath>,
    worklets: BTreeSet<FilePath>,
}

impl Loaded {
    /// Gathers what documents and scripts load.
    pub(super) fn gather(parts: &[Part], documents: &[Document]) -> Self {
        let mut loaded = Self::default();
        for script in documents.iter().flat_map(|document| &document.scripts) {
            if let (ScriptSource::File(path), ScriptType::Module) = (&script.source, script.script_type) {
                loaded.modules.insert(path.clone());
            }
        }
        let known: BTreeMap<_, _> = parts.iter().map(|part| (&part.path, ())).collect();
        for part in parts {
            let Contents::JavaScript(facts) = &part.contents else { continue };
            let named = |names: &[String]| -> Vec<FilePath> {
                let paths = names.iter().filter_map(|name| beside(&part.path, name, |path| known.contains_key(path)));
                paths.collect()
            };
            loaded.workers.extend(named(&facts.workers));
            loaded.service_workers.extend(named(&facts.service_workers));
            loaded.worklets.extend(named(&facts.worklets));
        }
        loaded
    }

    /// The kind of a file.
    pub(super) fn kind(&self, part: &Part) -> FileKind {
        match &part.contents {
            Contents::JavaScript(facts) => self.kind_of_script(&part.path, facts),
            _ => kind_by_name(&part.path),
        }
    }

    fn kind_of_script(&self, path: &FilePath, facts: &Facts) -> FileKind {
        let name = path.name().to_ascii_lowercase();
        if self.service_workers.contains(path) || matches!(name.as_str(), "sw.js" | "service-worker.js") {
            FileKind::ServiceWorker
        } else if self.workers.contains(path) || name.contains("worker") {
            FileKind::Worker
        } else if self.worklets.contains(path) || name.contains("worklet") || facts.is_worklet {
            FileKind::Worklet
        } else if self.modules.contains(path) || facts.is_module || extension(path) == "mjs" {
            FileKind::Module
        } else {
            FileKind::Script
        }
    }
}

/// The file that a script names: from where it lies itself, or from where Element Web does.
pub(super) fn beside(script: &FilePath, name: &str, is_known: impl Fn(&FilePath) -> bool) -> Option<FilePath> {
    let root = Url::parse("https://release.invalid/").ok()?;
    let bases = [root.join(script.as_str()).ok()?, root.clone()];
    let base = BasePath::parse("/").ok()?;
    let mut paths = bases.iter().filter_map(|from| {
        let url = from.join(name).ok().filter(|url| url.origin() == root.origin())?;
        base.file(url.path())
    });
    paths.find(|path| is_known(path))
}

fn kind_by_name(path: &FilePath) -> FileKind {
    match extension(path).to_ascii_lowercase().as_str() {
        "html" | "htm" => FileKind::Document,
        "js" | "mjs" | "cjs" => FileKind::Script,
        "wasm" => FileKind::Wasm,
        "css" => FileKind::Style,
        "woff" | "woff2" | "ttf" | "otf" | "eot" => FileKind::Font,
        "avif" | "bmp" | "gif" | "ico" | "jpeg" | "jpg" | "png" | "svg" | "webp" => FileKind::Image,
        "aac" | "flac" | "m4a" | "mp3" | "mp4" | "oga" | "ogg" | "opus" | "wav" | "webm" => FileKind::Media,
        "json" if path.folder().split('/').any(|folder| matches!(folder, "i18n" | "locales" | "translations")) => {
            FileKind::Translation
        }
        _ => FileKind::Data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(path: &str, text: &str, others: &[(&str, &str)]) -> FileKind {
        let part = |path: &str, text: &str| Part::of_bytes(FilePath::parse(path).unwrap(), text.as_bytes().to_vec());
        let mut parts = vec![part(path, text)];
        parts.extend(others.iter().map(|(path, text)| part(path, text)));
        Loaded::gather(&parts, &[]).kind(&parts[0])
    }

    #[test]
    fn kinds_by_name_and_contents() {
        for (path, text, expected) in [
            ("index.html", "", FileKind::Document),
            ("bundles/a/bundle.js", "(()=>{})()", FileKind::Script),
            ("bundles/a/x.worker.js", "(()=>{})()", FileKind::Worker),
            ("IndexedDBWorker-1.js", "(()=>{})()", FileKind::Worker),
            ("sw.js", "", FileKind::ServiceWorker),
            ("recorder.worklet.js", "", FileKind::Worklet),
            ("assets/p.js", "registerProcessor(\"p\",P)", FileKind::Worklet),
            ("assets/a.js", "export{a}", FileKind::Module),
            ("a.wasm", "", FileKind::Wasm),
            ("bundles/a/bundle.css", "", FileKind::Style),
            ("fonts/a.woff2", "", FileKind::Font),
            ("img/a.svg", "", FileKind::Image),
            ("media/ring.mp3", "", FileKind::Media),
            ("i18n/de_DE.1.json", "", FileKind::Translation),
            ("manifest.json", "", FileKind::Data),
            ("bundles/a/bundle.js.map", "", FileKind::Data),
            ("version", "1", FileKind::Data),
        ] {
            assert_eq!(kind(path, text, &[]), expected, "{path}");
        }
    }

    #[test]
    fn a_file_is_what_others_load_it_as() {
        assert_eq!(kind("a/b.js", "", &[("a/c.js", "new Worker(new URL('b.js',import.meta.url))")]), FileKind::Worker);
        assert_eq!(kind("b.js", "", &[("a/c.js", "new Worker('b.js')")]), FileKind::Worker);
        assert_eq!(kind("b.js", "", &[("a/c.js", "serviceWorker.register('/b.js')")]), FileKind::ServiceWorker);
        assert_eq!(kind("b.js", "", &[("a/c.js", "new Worker('https://elsewhere.example/b.js')")]), FileKind::Script);
    }
}
