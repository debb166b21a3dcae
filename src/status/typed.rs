//! What a person typed that nobody is to see.

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::secret::SecretText;

/// A secret that the person typed, on its way from a page of the extension to the background. Does not print, and is wiped
/// when it is dropped.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Typed(String);

impl Typed {
    /// To be sent.
    #[must_use]
    pub fn new(text: SecretText) -> Self {
        Self(text.expose("the person typed it for the background").to_owned())
    }

    /// As it was sent.
    #[must_use]
    pub fn into_secret(mut self) -> SecretText {
        SecretText::new(std::mem::take(&mut self.0))
    }
}

impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Typed")
    }
}

impl Drop for Typed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
