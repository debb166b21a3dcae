//! The keys for one secret, and what is done with them.

use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::RecoveryKey;
use crate::secret::{NoRandomness, SecretBytes};

type Aes256Ctr = ctr::Ctr128BE<aes::Aes256>;

/// Length of an AES-CTR initialisation vector.
pub(super) const IV_LENGTH: usize = 16;
/// Length of an HMAC-SHA-256.
pub(super) const MAC_LENGTH: usize = 32;

/// The AES key and the MAC key for one secret: 32 bytes each (Client-Server API, "m.secret_storage.v1.aes-hmac-sha2").
pub struct DerivedKeys(SecretBytes<64>);

impl DerivedKeys {
    /// Takes the 512 bits that HKDF gave, as WebCrypto's `deriveBits` does.
    #[must_use]
    pub const fn from_bits(bits: SecretBytes<64>) -> Self {
        Self(bits)
    }

    /// HKDF-SHA-256 with a salt of 32 zero bytes.
    #[expect(clippy::expect_used, reason = "HKDF-SHA-256 gives up to 8160 bytes, 64 are asked for")]
    pub(super) fn derive(key: &RecoveryKey, info: &str) -> Self {
        let hkdf = hkdf::Hkdf::<Sha256>::new(Some(&[0; 32]), key.bytes().expose("derive the keys of a secret"));
        let mut bits = Zeroizing::new([0; 64]);
        hkdf.expand(info.as_bytes(), &mut *bits).expect("64 bytes can be had");
        Self(SecretBytes::new(*bits))
    }

    /// Are these the same keys? Compares in constant time.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let reason = "compare derived keys";
        self.0.expose(reason).ct_eq(other.0.expose(reason)).into()
    }

    /// Encrypts in place, and decrypts just the same.
    pub(super) fn apply_keystream(&self, iv: &[u8; IV_LENGTH], data: &mut [u8]) {
        let (aes_key, _) = self.0.expose("encrypt or decrypt a secret").split_at(32);
        Aes256Ctr::new(aes_key.into(), iv.into()).apply_keystream(data);
    }

    /// The MAC of a ciphertext.
    pub(super) fn mac(&self, ciphertext: &[u8]) -> [u8; MAC_LENGTH] {
        self.hmac(ciphertext).finalize().into_bytes().into()
    }

    /// Compares in constant time.
    pub(super) fn mac_fits(&self, ciphertext: &[u8], mac: &[u8; MAC_LENGTH]) -> bool {
        self.hmac(ciphertext).verify(mac.into()).is_ok()
    }

    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    fn hmac(&self, ciphertext: &[u8]) -> Hmac<Sha256> {
        let (_, mac_key) = self.0.expose("authenticate a secret").split_at(32);
        Hmac::new_from_slice(mac_key).expect("any length will do").chain_update(ciphertext)
    }
}

/// Makes an initialisation vector: 16 random bytes with bit 63 cleared, because implementations differ in whether the
/// counter is 64 or 128 bits wide.
pub(super) fn make_iv() -> Result<[u8; IV_LENGTH], NoRandomness> {
    let mut iv = [0; IV_LENGTH];
    getrandom::fill(&mut iv).map_err(|_| NoRandomness)?;
    iv[8] &= 0x7f;
    Ok(iv)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_63_of_an_iv_is_clear() {
        for _ in 0..64 {
            assert_eq!(make_iv().unwrap()[8] & 0x80, 0);
        }
    }

    #[test]
    fn every_info_has_keys_of_its_own() {
        let key = RecoveryKey::from_bytes(SecretBytes::new([7; 32]));
        let bits = |info| *key.derive_keys(info).0.expose("test");
        assert_eq!(bits("a"), bits("a"));
        assert_ne!(bits("a"), bits("b"));
        assert_ne!(bits("a")[..32], bits("a")[32..]);
    }
}
