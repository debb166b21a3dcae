//! Recovery keys that are made of a passphrase (Client-Server API, "Deriving keys from passphrases").

use serde::Deserialize;
use serde_json::Value;
use sha2::Sha512;
use zeroize::Zeroizing;

use super::RecoveryKey;
use crate::secret::{SecretBytes, SecretText};

/// The most PBKDF2 iterations that are done: the number comes from the server, which could keep the machine busy for
/// hours. Clients write 500,000.
pub const MAX_ITERATIONS: u32 = 10_000_000;

/// How a recovery key is made of a passphrase: `m.pbkdf2` with a bounded number of iterations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passphrase {
    salt: String,
    iterations: u32,
}

#[derive(Deserialize)]
struct Wire {
    algorithm: String,
    salt: String,
    iterations: u32,
    bits: Option<u32>,
}

impl Passphrase {
    pub(super) fn read(info: &Value) -> Option<Self> {
        let Wire { algorithm, salt, iterations, bits } = Wire::deserialize(info).ok()?;
        let known = algorithm == "m.pbkdf2" && bits.is_none_or(|bits| bits == 256);
        let bounded = (1..=MAX_ITERATIONS).contains(&iterations);
        (known && bounded).then_some(Self { salt, iterations })
    }

    /// The salt.
    #[must_use]
    pub fn salt(&self) -> &str {
        &self.salt
    }

    /// How many iterations, at most [`MAX_ITERATIONS`].
    #[must_use]
    pub const fn iterations(&self) -> u32 {
        self.iterations
    }

    /// PBKDF2 with HMAC-SHA-512, 256 bits. Half a second of work for 500,000 iterations; check the result against the key
    /// description.
    #[must_use]
    pub fn derive_key(&self, passphrase: &SecretText) -> RecoveryKey {
        let passphrase = passphrase.expose("stretch it").as_bytes();
        let mut key = Zeroizing::new([0; 32]);
        pbkdf2::pbkdf2_hmac::<Sha512>(passphrase, self.salt.as_bytes(), self.iterations, &mut *key);
        RecoveryKey::from_bytes(SecretBytes::new(*key))
    }
}
