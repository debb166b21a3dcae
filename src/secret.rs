//! Values that must not leak.
//!
//! Threat: a key that ends in a log line, an error text, a crash dump or freed memory. So a secret lives in a box (moving
//! it copies a pointer, not the bytes), is wiped when dropped, cannot be printed, cloned or serialised, and every reading
//! of it says why.

use zeroize::Zeroizing;

/// `N` secret bytes.
pub struct SecretBytes<const N: usize>(Box<Zeroizing<[u8; N]>>);

impl<const N: usize> SecretBytes<N> {
    /// Takes the bytes over; the caller's own copy is the caller's to wipe.
    #[must_use]
    pub fn new(bytes: [u8; N]) -> Self {
        Self(Box::new(Zeroizing::new(bytes)))
    }

    /// Makes `N` bytes with the platform's generator.
    ///
    /// # Errors
    /// [`NoRandomness`] where the platform has none to give.
    pub fn make_random() -> Result<Self, NoRandomness> {
        let mut secret = Self::new([0; N]);
        getrandom::fill(&mut **secret.0).map_err(|_| NoRandomness)?;
        Ok(secret)
    }

    /// Copies from a slice of exactly `N` bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self::new([0; N]);
        if bytes.len() != N {
            return None;
        }
        secret.0.copy_from_slice(bytes);
        Some(secret)
    }

    /// The bytes. `_reason` is for the reader of the code: why must they be in clear here?
    #[must_use]
    pub fn expose(&self, _reason: &'static str) -> &[u8; N] {
        &self.0
    }
}

/// Secret text, such as a recovery key in its written form or a passphrase.
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text. `_reason` is for the reader of the code.
    #[must_use]
    pub fn expose(&self, _reason: &'static str) -> &str {
        &self.0
    }
}

/// The platform gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the platform gave no random bytes")]
pub struct NoRandomness;
