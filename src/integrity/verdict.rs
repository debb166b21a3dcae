//! May these bytes be used in this page? The one decision, the same in both browsers and in every mode.
//!
//! Threat: a listed file under another path, an unlisted one, a chunk of one release in a page of another, data used as
//! code, other settings. Who asks has the bytes; what they are is looked up here, never guessed from names or headers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{FileKind, FilePath, ManifestSet, ReleaseId, Sha256Digest};
use crate::{
    error::{Code, Coded},
    policy::PassiveKind,
    signed::parse_json,
    time::UnixMillis,
};

/// What the page wants a file for (Fetch, section 2.2.7, "destination").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// A document, in a tab or a frame.
    Document,
    /// To run it, other than as a service worker: script, chunk, module, worker, import of one, worklet.
    Code,
    /// To register it as a service worker.
    ServiceWorker,
    /// To compile it as WebAssembly.
    Wasm,
    /// To read or to show it.
    Content,
}

impl Destination {
    /// May a file of this kind be used so? Code is code: what it may do follows from its bytes, and those are verified.
    const fn takes(self, kind: FileKind) -> bool {
        match self {
            Self::Document => matches!(kind, FileKind::Document),
            Self::Code => kind.is_javascript(),
            Self::ServiceWorker => matches!(kind, FileKind::ServiceWorker),
            Self::Wasm => matches!(kind, FileKind::Wasm),
            Self::Content => true,
        }
    }
}

/// What was served.
#[derive(Debug, Clone, Copy)]
pub struct Served<'a> {
    /// The path of its URL, percent-encoded as it is, without query and fragment.
    pub url_path: &'a str,
    /// What the page wants it for.
    pub destination: Destination,
    /// The hash of its bytes.
    pub sha256: Sha256Digest,
    /// The releases that the page may be of, as [`Allowed::releases`] of its document says; none for a document of a tab.
    pub page: &'a [ReleaseId],
}

/// The bytes may be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Allowed {
    /// Which file it is.
    pub path: FilePath,
    /// The releases that have this file with these bytes, and that the page may be of.
    pub releases: Vec<ReleaseId>,
}

/// The bytes must not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("refused: {}", code.as_str())]
pub struct Refused {
    /// Why.
    pub code: Code,
    /// Which file it would be; `None` where the URL's path names none.
    pub path: Option<FilePath>,
    /// The hashes that it may have; none where it is not listed.
    pub expected: Vec<Sha256Digest>,
    /// The hash that it has.
    pub found: Sha256Digest,
}

impl Coded for Refused {
    fn code(&self) -> Code {
        self.code
    }
}

/// Settings that must not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("settings refused: {}", code.as_str())]
pub struct SettingsRefused {
    /// Why: [`Code::IntConfig`], [`Code::IntUnlisted`], or [`Code::SgnExpired`] of the manifest.
    pub code: Code,
    /// The names of the values that differ, are missing or too many; none where they are no settings at all.
    pub names: Vec<String>,
}

impl Coded for SettingsRefused {
    fn code(&self) -> Code {
        self.code
    }
}

impl ManifestSet {
    /// Judges what was served, under a policy whose `integrity.passive` is `passive`.
    ///
    /// # Errors
    /// [`Refused`] with [`Code::SgnExpired`] where the manifest no longer holds; [`Code::IntUnlisted`], [`Code::IntChanged`],
    /// [`Code::IntRevoked`], [`Code::IntExtension`], [`Code::IntMixed`], [`Code::IntKind`].
    pub fn judge(&self, served: Served<'_>, passive: &[PassiveKind], now: UnixMillis) -> Result<Allowed, Refused> {
        let found = served.sha256;
        let path = self.site().base().file(served.url_path);
        let refuse = |code, expected| Refused { code, path: path.clone(), expected, found };
        if !self.holds_at(now) {
            return Err(refuse(Code::SgnExpired, Vec::new()));
        }
        let Some(path) = &path else { return Err(refuse(Code::IntUnlisted, Vec::new())) };
        let own = self.site().listing().file(path);
        // For each release that has this file: what it must be. The site's own file stands in the place of every release's.
        let of_release = |release: &super::Release| own.or(release.listing().file(path)).cloned();
        let listed: Vec<_> = self.releases().filter_map(|release| Some((release.id(), of_release(release)?))).collect();
        let same: Vec<_> = listed.iter().filter(|(_, file)| file.sha256 == found).collect();
        let is_of_page = |id: &ReleaseId| served.page.is_empty() || served.page.contains(id);
        if same.is_empty() {
            // Of a release that must not run, which is worth saying, unless it is the site's word.
            let of_refused = self.refused().find(|(release, _)| {
                own.is_none() && release.listing().file(path).is_some_and(|file| file.sha256 == found)
            });
            let mut expected: Vec<_> =
                listed.iter().filter(|(id, _)| is_of_page(id)).map(|(_, file)| file.sha256).collect();
            expected.dedup();
            let kinds: Vec<FileKind> = listed.iter().map(|(_, file)| file.kind).collect();
            return match (of_refused, kinds.first()) {
                (Some((_, code)), _) => Err(refuse(code, expected)),
                (None, None) => Err(refuse(Code::IntUnlisted, expected)),
                (None, Some(_)) if may_differ(&kinds, passive) && served.destination == Destination::Content => {
                    let releases = listed.iter().map(|(id, _)| (*id).clone()).filter(|id| is_of_page(id));
                    Ok(Allowed { path: path.clone(), releases: releases.collect() })
                }
                (None, Some(_)) => Err(refuse(Code::IntChanged, expected)),
            };
        }
        if !same.iter().all(|(_, file)| served.destination.takes(file.kind)) {
            return Err(refuse(Code::IntKind, vec![found]));
        }
        let releases: Vec<_> = same.iter().map(|(id, _)| (*id).clone()).filter(is_of_page).collect();
        if releases.is_empty() {
            let expected = listed.iter().filter(|(id, _)| is_of_page(id)).map(|(_, file)| file.sha256).collect();
            return Err(refuse(Code::IntMixed, expected));
        }
        Ok(Allowed { path: path.clone(), releases })
    }

    /// The signed settings for the path of a URL.
    #[must_use]
    pub fn settings(&self, url_path: &str) -> Option<&Map<String, Value>> {
        let path = self.site().base().file(url_path)?;
        self.site().config().iter().find(|file| file.path == path).map(|file| &file.values)
    }

    /// Judges settings that were served under a path of a URL; answers the values that were signed, to be used instead of the
    /// bytes.
    ///
    /// # Errors
    /// [`SettingsRefused`].
    pub fn judge_settings(
        &self,
        url_path: &str,
        bytes: &[u8],
        now: UnixMillis,
    ) -> Result<&Map<String, Value>, SettingsRefused> {
        let refuse = |code, names| Err(SettingsRefused { code, names });
        if !self.holds_at(now) {
            return refuse(Code::SgnExpired, Vec::new());
        }
        let Some(signed) = self.settings(url_path) else { return refuse(Code::IntUnlisted, Vec::new()) };
        let Ok(Value::Object(found)) = parse_json(bytes) else { return refuse(Code::IntConfig, Vec::new()) };
        let names = signed.keys().chain(found.keys().filter(|name| !signed.contains_key(*name)));
        let differ: Vec<_> = names.filter(|name| signed.get(*name) != found.get(*name)).cloned().collect();
        if differ.is_empty() { Ok(signed) } else { refuse(Code::IntConfig, differ) }
    }
}

/// May files of all these kinds have other bytes than listed?
fn may_differ(kinds: &[FileKind], passive: &[PassiveKind]) -> bool {
    let kind_of = |passive: &PassiveKind| match passive {
        PassiveKind::Font => FileKind::Font,
        PassiveKind::Image => FileKind::Image,
        PassiveKind::Media => FileKind::Media,
        PassiveKind::Style => FileKind::Style,
        PassiveKind::Translation => FileKind::Translation,
    };
    kinds.iter().all(|kind| passive.iter().any(|passive| kind_of(passive) == *kind))
}
