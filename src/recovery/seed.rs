//! Seeds as secrets: the 32 bytes of a cross-signing or backup key as they stand in secret storage.

use zeroize::Zeroizing;

use super::SecretError;
use crate::{
    matrix::base64,
    secret::{SecretBytes, SecretText},
};

/// Reads a secret that is the base64 of 32 bytes, with or without padding.
///
/// # Errors
/// [`SecretError::NotASeed`].
pub fn decode_seed(secret: &SecretText) -> Result<SecretBytes<32>, SecretError> {
    let mut bytes = Zeroizing::new([0; 32]);
    if base64::decode_secret_into(secret.expose("derive public keys from it"), &mut *bytes) {
        Ok(SecretBytes::new(*bytes))
    } else {
        Err(SecretError::NotASeed)
    }
}

/// Writes 32 bytes as a secret: base64 without padding, 43 characters.
#[must_use]
pub fn encode_seed(seed: &SecretBytes<32>) -> SecretText {
    SecretText::new(base64::encode_unpadded(seed.expose("encrypted for secret storage")))
}
