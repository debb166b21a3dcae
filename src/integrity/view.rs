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
    /// The manifest is on its way.
    Preparing,
    /// Something was refused.
    Refused,
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
    /// Where it was served.
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
    /// Of a file.
    #[must_use]
    pub fn of_file(url: String, refused: &Refused, since: UnixMillis) -> Self {
        let Refused { code, expected, found, .. } = refused.clone();
        Self { url, code, expected, found: Some(found), settings: Vec::new(), since }
    }

    /// Of something that has no bytes to compare.
    #[must_use]
    pub const fn without_bytes(url: String, code: Code, since: UnixMillis) -> Self {
        Self { url, code, expected: Vec::new(), found: None, settings: Vec::new(), since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ident::UserId, status::PageRequest};

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
