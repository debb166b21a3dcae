//! Why a policy is refused.

use serde::{Deserialize, Serialize};

use crate::error::{Code, Coded};

/// Why a policy is refused, where, and what was expected there. Holds no value of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}expected {expected}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct PolicyError {
    /// [`Code::PolAbsent`], [`Code::PolField`], [`Code::PolType`], [`Code::PolValue`] or [`Code::PolCombination`].
    pub code: Code,
    /// The field, such as `deployments[0].homeserver`; empty for the document as a whole.
    pub path: String,
    /// What should have been there, in English.
    pub expected: String,
}

impl PolicyError {
    pub(super) fn new(code: Code, path: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { code, path: path.into(), expected: expected.into() }
    }
}

impl Coded for PolicyError {
    fn code(&self) -> Code {
        self.code
    }
}
