//! How the command ends, and what it says where it fails.

use std::{fmt, process::ExitCode};

use keystead_core::{error::Code, policy::PolicyError, signed::SignedError};

use crate::words::{Words, words};

/// How a command ended that did what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All is well.
    Fine,
    /// It looked, and not all is well.
    NotFine,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Fine => Self::SUCCESS,
            Ending::NotFine => Self::from(1),
        }
    }
}

/// Why a command did not do what it was asked. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// A document or a key was refused: exit code 1.
    Refused {
        /// Why.
        code: Code,
        /// More about where or what was expected; may be empty.
        detail: String,
    },
    /// The command was called in a way that cannot work, or a file cannot be read: exit code 2.
    Usage(String),
}

impl Failure {
    /// A refusal about which the code says everything.
    #[must_use]
    pub const fn refused(code: Code) -> Self {
        Self::Refused { code, detail: String::new() }
    }

    /// The exit code.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Refused { .. } => 1,
            Self::Usage(_) => 2,
        }
    }
}

impl From<SignedError> for Failure {
    fn from(error: SignedError) -> Self {
        use keystead_core::error::Coded as _;
        let detail = match &error {
            SignedError::Format { field } => field.clone(),
            _ => String::new(),
        };
        Self::Refused { code: error.code(), detail }
    }
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        Self::Refused { code: error.code, detail: error.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { code, detail } => {
                let Words { sentence, next } = words(*code);
                write!(f, "{}: {sentence}", code.as_str())?;
                if !detail.is_empty() {
                    write!(f, "\n  {detail}")?;
                }
                write!(f, "\n  {next}")
            }
            Self::Usage(what) => write!(f, "keystead: {what}"),
        }
    }
}
