//! Hashes of files, as `integrity` attributes and content security policies write them.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::ident::NotAnIdentifier;

/// A hash of `N` bytes; written in base64 with padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest<const N: usize>([u8; N]);

/// A SHA-256 (FIPS 180-4).
pub type Sha256Digest = Digest<32>;

impl Sha256Digest {
    /// The SHA-256 of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// A SHA-384 (FIPS 180-4).
pub type Sha384Digest = Digest<48>;

impl<const N: usize> Digest<N> {
    /// The hash that has these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; N] {
        &self.0
    }

    /// In base64, as browsers take it behind `sha256-` or `sha384-`.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }
}

impl<const N: usize> TryFrom<String> for Digest<N> {
    type Error = NotAnIdentifier;

    fn try_from(text: String) -> Result<Self, NotAnIdentifier> {
        let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(NotAnIdentifier("hash in base64"))
    }
}

impl<const N: usize> From<Digest<N>> for String {
    fn from(digest: Digest<N>) -> Self {
        digest.to_base64()
    }
}

impl<const N: usize> fmt::Debug for Digest<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64())
    }
}
