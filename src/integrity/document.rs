//! HTML documents: a template without scripts, and the scripts that stand in its places.

use serde::{Deserialize, Serialize};

use super::{FilePath, Sha256Digest};
use crate::ident::NotAnIdentifier;

/// An HTML document.
///
/// Its template is its text with `<script data-place="N"></script>` for the script of number N, from 0; no other
/// script in it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Which file it is.
    pub path: FilePath,
    /// The template.
    pub template: String,
    /// Its scripts, in the order of their places.
    pub scripts: Vec<Script>,
}

impl Document {
    /// What stands in the template for a script.
    #[must_use]
    pub fn place(number: usize) -> String {
        format!("<script data-place=\"{number}\"></script>")
    }

    /// Does every script have its place, once?
    pub(super) fn has_every_place(&self) -> bool {
        let places = self.template.matches("<script data-place=").count();
        places == self.scripts.len() && (0..places).all(|number| self.template.contains(&Self::place(number)))
    }
}

/// Where a script's text comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptSource {
    /// A file of the manifest.
    File(FilePath),
    /// The document itself.
    Inline {
        /// The text.
        text: String,
        /// The hash of the text in UTF-8.
        sha256: Sha256Digest,
    },
    /// Elsewhere: no manifest knows it, and it does not run.
    External(String),
}

/// How a script is run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScriptType {
    /// As a classic script.
    #[default]
    Classic,
    /// As a module.
    Module,
    /// Not at all: it is an import map.
    Importmap,
}

/// A script of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Script {
    /// Where its text comes from.
    pub source: ScriptSource,
    /// How it is run.
    pub script_type: ScriptType,
    /// Does it have the attribute `async`?
    pub is_async: bool,
    /// Does it have the attribute `defer`?
    pub is_deferred: bool,
    /// Does it have the attribute `nomodule`?
    pub is_nomodule: bool,
    /// The attribute `crossorigin`, empty for `anonymous`.
    pub crossorigin: Option<String>,
}

/// A script as a manifest has it.
#[derive(Default, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    src: Option<FilePath>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<Sha256Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "is_default")]
    script_type: ScriptType,
    #[serde(rename = "async", skip_serializing_if = "is_default")]
    is_async: bool,
    #[serde(rename = "defer", skip_serializing_if = "is_default")]
    is_deferred: bool,
    #[serde(rename = "nomodule", skip_serializing_if = "is_default")]
    is_nomodule: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    crossorigin: Option<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl TryFrom<Written> for Script {
    type Error = NotAnIdentifier;

    fn try_from(written: Written) -> Result<Self, NotAnIdentifier> {
        let Written { src, text, sha256, external, script_type, is_async, is_deferred, is_nomodule, crossorigin } =
            written;
        let source = match (src, text, sha256, external) {
            (Some(path), None, None, None) => ScriptSource::File(path),
            (None, Some(text), Some(sha256), None) => ScriptSource::Inline { text, sha256 },
            (None, None, None, Some(url)) => ScriptSource::External(url),
            _ => return Err(NotAnIdentifier("script with one source")),
        };
        Ok(Self { source, script_type, is_async, is_deferred, is_nomodule, crossorigin })
    }
}

impl From<Script> for Written {
    fn from(script: Script) -> Self {
        let Script { source, script_type, is_async, is_deferred, is_nomodule, crossorigin } = script;
        let rest = Self { script_type, is_async, is_deferred, is_nomodule, crossorigin, ..Self::default() };
        match source {
            ScriptSource::File(path) => Self { src: Some(path), ..rest },
            ScriptSource::Inline { text, sha256 } => Self { text: Some(text), sha256: Some(sha256), ..rest },
            ScriptSource::External(url) => Self { external: Some(url), ..rest },
        }
    }
}
