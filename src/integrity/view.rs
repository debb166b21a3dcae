//! What the extension's own pages show of page integrity, and what they ask for.

use serde::{Deserialize, Serialize};

use super::{Refused, Sha256Digest};
use crate::{error::Code, ident::Origin, policy::IntegrityMode, time::UnixMillis};

/// What a page of the extension asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum IntegrityRequest {
    /// How it stands with every deployment: a list of [`IntegrityView`].
    Integrity,
    /// Look for a newer manifest, forget what was refused, and say how it stands then.
    IntegrityAgain {
        /// The deployment.
        origin: Origin,
    },
    /// Open what was refused in the tab that asks, until that shows another document. Where the policy does not allow it,
    /// or nothing is there to open, the answer is a refusal.
    IntegrityOpen {
        /// The deployment.
        origin: Origin,
    },
    /// What IT needs to know of the last refusal: a document for a file, or nothing.
    IntegrityEvidence {
        /// The deployment.
        origin: Origin,
    },
}

/// How it stands with a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntegrityState {
    /// Every file is checked before it is used; what is not as listed does not run.
    Protected,
    /// Files are checked and nothing is held back.
    Reporting,
    /// The same, and some are not as listed.
    Differs,
    /// The manifest is on its way.
    Preparing,
    /// A tab shows a document from before anything was checked; it holds no keys, and is to be loaded again.
    Waiting,
    /// Something was refused.
    Refused,
}

/// What an [`IntegrityState`] follows from.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// What the policy wants.
    pub mode: IntegrityMode,
    /// Nothing is known of the manifest yet.
    pub preparing: bool,
    /// There is a manifest, and it holds now.
    pub holds: bool,
    /// The scripts are in place, and what was kept from before is gone.
    pub enrolled: bool,
    /// How many tabs show a document from before.
    pub waiting: usize,
    /// What was refused.
    pub refusals: &'a [RefusalView],
}

impl IntegrityState {
    /// Should the person see it before all else?
    #[must_use]
    pub const fn calls(self) -> bool {
        match self {
            Self::Differs | Self::Waiting | Self::Refused => true,
            Self::Protected | Self::Reporting | Self::Preparing => false,
        }
    }

    /// How it stands. Nothing is said to be protected while a document from before is open, nor without a manifest.
    #[must_use]
    pub fn of(standing: Standing<'_>) -> Self {
        let Standing { mode, preparing, holds, enrolled, waiting, refusals } = standing;
        match mode {
            IntegrityMode::Enforce if !refusals.is_empty() => Self::Refused,
            IntegrityMode::Report if refusals.iter().any(RefusalView::differs) => Self::Differs,
            _ if preparing => Self::Preparing,
            IntegrityMode::Report | IntegrityMode::Off => Self::Reporting,
            // Without a manifest nothing runs.
            IntegrityMode::Enforce if !holds => Self::Refused,
            IntegrityMode::Enforce if !enrolled => Self::Preparing,
            IntegrityMode::Enforce if waiting > 0 => Self::Waiting,
            IntegrityMode::Enforce => Self::Protected,
        }
    }
}

/// One deployment, where the policy's `integrity.mode` is not `off`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntegrityView {
    /// The Element Web origin.
    pub origin: Origin,
    /// Where Element Web is opened.
    pub page: String,
    /// What the policy wants.
    pub mode: IntegrityMode,
    /// How it stands.
    pub state: IntegrityState,
    /// What the releases that may run call themselves.
    pub releases: Vec<String>,
    /// How many files were checked since the background started.
    pub checked: u32,
    /// Why there is no manifest, or the newest is not believed.
    pub problem: Option<Code>,
    /// What is to be said of the manifest now, such as that it ends soon.
    pub warning: Option<Code>,
    /// Until when the manifest holds.
    pub expires: Option<UnixMillis>,
    /// What was refused, the newest first.
    pub refusals: Vec<RefusalView>,
    /// May the person open it all the same?
    #[serde(default)]
    pub may_open: bool,
}

/// Something that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalView {
    /// Where it was served, without query and fragment: these say nothing of which file it is, and may be about the person.
    pub url: String,
    /// Why it was refused.
    pub code: Code,
    /// The hashes that it may have, SHA-256.
    pub expected: Vec<Sha256Digest>,
    /// The hash that it has; `None` where it could not be read.
    pub found: Option<Sha256Digest>,
    /// The names of the settings that differ.
    #[serde(default)]
    pub settings: Vec<String>,
    /// When it was first refused.
    pub since: UnixMillis,
}

impl RefusalView {
    /// Is what was served another file than the list has? Not where there was no list to compare it with.
    #[must_use]
    pub const fn differs(&self) -> bool {
        !matches!(self.code, Code::IntNoManifest | Code::SgnExpired)
    }

    /// The path of its URL: what people know a file by.
    #[must_use]
    pub fn path(&self) -> String {
        url::Url::parse(&self.url).map_or_else(|_| self.url.clone(), |url| url.path().to_owned())
    }

    /// Of a file.
    #[must_use]
    pub fn of_file(url: &str, refused: &Refused, since: UnixMillis) -> Self {
        let Refused { code, expected, found, .. } = refused.clone();
        Self { expected, found: Some(found), ..Self::without_bytes(url, code, since) }
    }

    /// Of something that has no bytes to compare.
    #[must_use]
    pub fn without_bytes(url: &str, code: Code, since: UnixMillis) -> Self {
        let url = bare(url).to_owned();
        Self { url, code, expected: Vec::new(), found: None, settings: Vec::new(), since }
    }

    /// Is it about what was served at this URL?
    #[must_use]
    pub fn is_of(&self, url: &str) -> bool {
        self.url == bare(url)
    }
}

/// A URL without query and fragment.
pub(super) fn bare(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ident::UserId, status::PageRequest};

    const fn standing(mode: IntegrityMode, refusals: &[RefusalView]) -> Standing<'_> {
        Standing { mode, preparing: false, holds: true, enrolled: true, waiting: 0, refusals }
    }

    #[test]
    fn where_files_are_only_compared_a_difference_is_told_and_a_missing_list_is_none() {
        let of = |code| RefusalView::without_bytes("https://chat.example.org/a.js?1#b", code, UnixMillis(1));
        let changed = [of(Code::SgnExpired), of(Code::IntChanged)];
        let state = |refusals| IntegrityState::of(standing(IntegrityMode::Report, refusals));
        assert_eq!(state(&changed), IntegrityState::Differs);
        assert_eq!(state(&changed[..1]), IntegrityState::Reporting);
        let none = [of(Code::IntNoManifest)];
        assert_eq!(state(&none), IntegrityState::Reporting);
        assert_eq!(state(&none[..0]), IntegrityState::Reporting);
        assert_eq!(IntegrityState::of(standing(IntegrityMode::Enforce, &changed)), IntegrityState::Refused);
        assert_eq!((changed[1].path(), &*changed[1].url), ("/a.js".to_owned(), "https://chat.example.org/a.js"));
        assert!(
            changed[1].is_of("https://chat.example.org/a.js?2") && !changed[1].is_of("https://chat.example.org/b.js")
        );
    }

    #[test]
    fn nothing_is_protected_while_a_document_from_before_is_open_or_without_a_manifest() {
        let enforced = standing(IntegrityMode::Enforce, &[]);
        assert_eq!(IntegrityState::of(enforced), IntegrityState::Protected);
        assert_eq!(IntegrityState::of(Standing { waiting: 1, ..enforced }), IntegrityState::Waiting);
        assert_eq!(IntegrityState::of(Standing { enrolled: false, ..enforced }), IntegrityState::Preparing);
        assert_eq!(IntegrityState::of(Standing { holds: false, ..enforced }), IntegrityState::Refused);
        assert_eq!(
            IntegrityState::of(Standing { holds: false, preparing: true, ..enforced }),
            IntegrityState::Preparing,
        );
    }

    #[test]
    fn what_is_asked_of_an_account_is_not_taken_for_a_question_about_code() {
        let origin = || Origin::parse("https://chat.example.org").expect("an origin");
        let account = UserId::parse("@ann:example.org").expect("a user ID");
        for asked in [PageRequest::Evidence { origin: origin(), account }, PageRequest::Retry { origin: origin() }] {
            let message = serde_json::to_value(&asked).expect("a message");
            assert!(serde_json::from_value::<IntegrityRequest>(message).is_err(), "{asked:?}");
        }
    }
}
