//! Ed25519 public keys.

use std::fmt;

use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};
use vodozemac::{Ed25519PublicKey, Ed25519SecretKey, Ed25519Signature};

use crate::{matrix::base64, secret::SecretBytes};

/// An Ed25519 public key: a point of the curve, written in base64 without padding.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(VerifyingKey);

/// The text is no Ed25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 public key")]
pub struct NotAPublicKey;

impl PublicKey {
    /// Reads a key. Only its one canonical text is taken, so that keys are equal exactly where their texts are.
    ///
    /// # Errors
    /// [`NotAPublicKey`]
    pub fn parse(text: &str) -> Result<Self, NotAPublicKey> {
        let bytes = base64::decode_array(text).ok_or(NotAPublicKey)?;
        let key = Self(VerifyingKey::from_bytes(&bytes).map_err(|_| NotAPublicKey)?);
        if key.to_base64() == text { Ok(key) } else { Err(NotAPublicKey) }
    }

    /// The key in base64 without padding, 43 characters.
    #[must_use]
    pub fn to_base64(&self) -> String {
        base64::encode_unpadded(self.0.as_bytes())
    }

    /// The id of a key that is named after itself, as cross-signing keys are: `ed25519:` and the key.
    #[must_use]
    pub fn key_id(&self) -> String {
        format!("ed25519:{}", self.to_base64())
    }

    /// The point, which took a root to find.
    pub(super) const fn point(&self) -> &VerifyingKey {
        &self.0
    }

    /// Is this its signature of the message?
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let (key, signature) =
            (Ed25519PublicKey::from_slice(self.0.as_bytes()), Ed25519Signature::from_slice(signature));
        key.ok().zip(signature.ok()).is_some_and(|(key, signature)| key.verify(message, &signature).is_ok())
    }
}

impl TryFrom<[u8; 32]> for PublicKey {
    type Error = NotAPublicKey;
    fn try_from(bytes: [u8; 32]) -> Result<Self, NotAPublicKey> {
        VerifyingKey::from_bytes(&bytes).map(Self).map_err(|_| NotAPublicKey)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = NotAPublicKey;
    fn try_from(text: String) -> Result<Self, NotAPublicKey> {
        Self::parse(&text)
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_base64()
    }
}

// As with identifiers: what identifies a person does not slip into a log by way of `{:?}`.
impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<Ed25519 public key>")
    }
}

/// Derives the public key of a cross-signing seed.
#[must_use]
pub fn derive_public(seed: &SecretBytes<32>) -> PublicKey {
    let secret = Ed25519SecretKey::from_slice(seed.expose("derive its public key"));
    // What a secret key derives is a point of the curve.
    PublicKey(VerifyingKey::from_bytes(secret.public_key().as_bytes()).unwrap_or_default())
}
