//! What is asked of GnuPG in a vector, and where the vectors are.

use std::path::PathBuf;

use keystead_core::{effect::Io, error::Coded as _, gnupg, ident::Fingerprint};

/// The text of every message and of every signature.
pub(crate) const TEXT: &str = "user: @ann:example.org\nkey id: \"abc\"\n";

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/gnupg")
}

/// What is asked.
pub(crate) enum Asked {
    Decrypt(String),
    Sign(Fingerprint),
    Has(Fingerprint),
    Versions,
}

impl Asked {
    /// The result in a word, or its code.
    pub(crate) async fn ask(self, io: Io) -> String {
        let result = match self {
            Self::Decrypt(message) => gnupg::decrypt(&io, &message).await.map(|text| said(text.expose("test"))),
            Self::Sign(signer) => gnupg::sign(&io, TEXT, &signer).await.map(|_| "a signature".to_owned()),
            Self::Has(fingerprint) => gnupg::has_secret_key(&io, &fingerprint).await.map(|has| has.to_string()),
            Self::Versions => gnupg::versions(&io).await.map(|versions| format!("{versions:?}")),
        };
        result.unwrap_or_else(|error| error.code().as_str().to_owned())
    }
}

fn said(text: &str) -> String {
    if text == TEXT { "the text".to_owned() } else { format!("another text: {text}") }
}
