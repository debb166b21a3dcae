//! Files of Element Web as a manifest lists them.

use serde::{Deserialize, Serialize};

use super::{Sha256Digest, Sha384Digest};
use crate::ident::NotAnIdentifier;

/// The most bytes of a path.
const MAX_PATH: usize = 1024;

/// The path of a file under the folder that Element Web is served from, such as `bundles/9bfc/bundle.js`.
///
/// Segments between single `/`, none of them `.` or `..`, none empty; nothing that a URL would write in another way but
/// what percent-encoding stands for: no backslash, `%`, `?`, `#`, no control characters. So one file has one path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FilePath(String);

impl FilePath {
    /// Reads a path.
    ///
    /// # Errors
    /// [`NotAnIdentifier`] where the text is none.
    pub fn parse(text: &str) -> Result<Self, NotAnIdentifier> {
        let strange = |c: char| c.is_control() || matches!(c, '\\' | '%' | '?' | '#');
        let segment = |segment: &str| !matches!(segment, "" | "." | "..");
        let good = text.len() <= MAX_PATH && !text.contains(strange) && text.split('/').all(segment);
        if good { Ok(Self(text.to_owned())) } else { Err(NotAnIdentifier("path of a file")) }
    }

    /// The text of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands behind the last `/`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// The folder with a `/` at its end; empty for the topmost.
    #[must_use]
    pub fn folder(&self) -> &str {
        self.0.rfind('/').map_or("", |at| &self.0[..=at])
    }
}

impl TryFrom<String> for FilePath {
    type Error = NotAnIdentifier;

    fn try_from(text: String) -> Result<Self, NotAnIdentifier> {
        Self::parse(&text)
    }
}

impl From<FilePath> for String {
    fn from(path: FilePath) -> Self {
        path.0
    }
}

/// What a file is for. It says how the file may be used, whatever it is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// An HTML document.
    Document,
    /// A classic script: parser-inserted, a chunk, or what a worker imports.
    Script,
    /// A dedicated or shared worker.
    Worker,
    /// A service worker.
    ServiceWorker,
    /// An audio worklet.
    Worklet,
    /// A JavaScript module.
    Module,
    /// WebAssembly.
    Wasm,
    /// A style sheet.
    Style,
    /// A font.
    Font,
    /// An image.
    Image,
    /// Sound or video.
    Media,
    /// Texts of the user interface in one language, as JSON.
    Translation,
    /// Anything else: other JSON, texts, source maps.
    Data,
}

impl FileKind {
    /// All of them, in the order in which they are told of.
    pub const ALL: [Self; 13] = [
        Self::Document,
        Self::Script,
        Self::Module,
        Self::Worker,
        Self::ServiceWorker,
        Self::Worklet,
        Self::Wasm,
        Self::Style,
        Self::Font,
        Self::Image,
        Self::Media,
        Self::Translation,
        Self::Data,
    ];

    /// The word for it in a manifest.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Script => "script",
            Self::Worker => "worker",
            Self::ServiceWorker => "service_worker",
            Self::Worklet => "worklet",
            Self::Module => "module",
            Self::Wasm => "wasm",
            Self::Style => "style",
            Self::Font => "font",
            Self::Image => "image",
            Self::Media => "media",
            Self::Translation => "translation",
            Self::Data => "data",
        }
    }

    /// Is it JavaScript?
    #[must_use]
    pub const fn is_javascript(self) -> bool {
        match self {
            Self::Script | Self::Worker | Self::ServiceWorker | Self::Worklet | Self::Module => true,
            Self::Document
            | Self::Wasm
            | Self::Style
            | Self::Font
            | Self::Image
            | Self::Media
            | Self::Translation
            | Self::Data => false,
        }
    }
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedFile {
    /// Where it lies.
    pub path: FilePath,
    /// How many bytes it has.
    pub size: u64,
    /// What it is for.
    pub kind: FileKind,
    /// The hash of its bytes.
    pub sha256: Sha256Digest,
    /// The hash of its bytes.
    pub sha384: Sha384Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_take_what_they_should_and_nothing_else() {
        for good in ["index.html", "a/b.js", ".well-known/x", "i18n/de_DE.1.json", "img/ä b.svg", "version", "..a/b.."]
        {
            assert_eq!(FilePath::parse(good).unwrap().as_str(), good);
        }
        let long = "a".repeat(MAX_PATH + 1);
        let bad = ["", "/a", "a/", "a//b", "./a", "a/../b", "..", "a\\b", "a%2fb", "a?b", "a#b", "a\nb", "a\0b", &long];
        for bad in bad {
            assert!(FilePath::parse(bad).is_err(), "{bad}");
        }
        let path = FilePath::parse("a/b/c.js").unwrap();
        assert_eq!((path.name(), path.folder()), ("c.js", "a/b/"));
    }

    #[test]
    fn every_kind_has_its_word() {
        for kind in FileKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
