//! Which document of the browser may hold keys: the one whose code was verified, and no other.
//!
//! Threat: a page that was not verified, or was before a reload, asks for secrets in the name of one that was. So a verdict
//! counts for one document, known by a random name that our content script gave it and that no page can know.

use serde::{Deserialize, Serialize};

use super::{Allowed, ManifestSet, ReleaseId};
use crate::ident::{NotAnIdentifier, Origin};

/// The name of one document: 32 to 64 of `0-9a-f-`, random, made by our content script where the page cannot see it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DocumentId(String);

impl DocumentId {
    /// Reads a name.
    ///
    /// # Errors
    /// [`NotAnIdentifier`] where the text is none.
    pub fn parse(text: &str) -> Result<Self, NotAnIdentifier> {
        let letter = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-');
        let good = (32..=64).contains(&text.len()) && text.bytes().all(letter);
        if good { Ok(Self(text.to_owned())) } else { Err(NotAnIdentifier("name of a document")) }
    }

    /// The text of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DocumentId {
    type Error = NotAnIdentifier;

    fn try_from(text: String) -> Result<Self, NotAnIdentifier> {
        Self::parse(&text)
    }
}

impl From<DocumentId> for String {
    fn from(id: DocumentId) -> Self {
        id.0
    }
}

/// Proof that one document is of a release that may run, and runs nothing else. Keys and tokens pass between the background
/// and such a document only.
#[derive(Debug)]
pub struct PageVerified {
    deployment: Origin,
    document: DocumentId,
    releases: Vec<ReleaseId>,
}

/// A [`PageVerified`] between two lives of the background; it proves nothing until [`ManifestSet::verified_before`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedPage {
    deployment: Origin,
    document: DocumentId,
    releases: Vec<ReleaseId>,
}

impl SavedPage {
    /// The deployment that the document is of.
    #[must_use]
    pub const fn deployment(&self) -> &Origin {
        &self.deployment
    }

    /// The releases that the document may be of.
    #[must_use]
    pub fn releases(&self) -> &[ReleaseId] {
        &self.releases
    }
}

impl PageVerified {
    /// The deployment that the document is of.
    #[must_use]
    pub const fn deployment(&self) -> &Origin {
        &self.deployment
    }

    /// Is it for this document of this deployment?
    #[must_use]
    pub fn is_of(&self, deployment: &Origin, document: &DocumentId) -> bool {
        self.deployment == *deployment && self.document == *document
    }

    /// The releases that the document may be of.
    #[must_use]
    pub fn releases(&self) -> &[ReleaseId] {
        &self.releases
    }

    /// To be kept for as long as the browser runs.
    #[must_use]
    pub fn to_saved(&self) -> SavedPage {
        let Self { deployment, document, releases } = self;
        SavedPage { deployment: deployment.clone(), document: document.clone(), releases: releases.clone() }
    }
}

impl ManifestSet {
    /// The proof for a document whose HTML was allowed; `None` where what was allowed is no HTML.
    #[must_use]
    pub fn verified(&self, allowed: &Allowed, document: DocumentId) -> Option<PageVerified> {
        let path = &allowed.path;
        let is_html = self.site().listing().document(path).is_some()
            || self.releases().any(|release| release.listing().document(path).is_some());
        let releases = allowed.releases.clone();
        let deployment = self.deployment().clone();
        (is_html && !releases.is_empty()).then_some(PageVerified { deployment, document, releases })
    }

    /// The proof again, after the background was stopped; `None` where none of the document's releases may run any more.
    #[must_use]
    pub fn verified_before(&self, saved: SavedPage) -> Option<PageVerified> {
        let SavedPage { deployment, document, mut releases } = saved;
        releases.retain(|id| self.releases().any(|release| release.id() == id));
        let holds = deployment == *self.deployment() && !releases.is_empty();
        holds.then_some(PageVerified { deployment, document, releases })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_documents_are_random_ones() {
        assert!(DocumentId::parse("2f1c7f39-1c5a-4b62-9d2e-0b9d6f0c8a11").is_ok());
        for bad in ["", "1", "G0000000000000000000000000000000", "2f1c7f39-1c5a-4b62-9d2e-0b9d6f0c8a11|x"] {
            assert!(DocumentId::parse(bad).is_err(), "{bad}");
        }
    }
}
