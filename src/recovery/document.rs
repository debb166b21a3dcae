//! A secret in secret storage, and the account data document that holds it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{
    DerivedKeys,
    derived::{self, IV_LENGTH, MAC_LENGTH},
};
use crate::{
    error::{Code, Coded},
    ident::KeyId,
    matrix::base64,
    secret::{NoRandomness, SecretText},
};

/// One secret, encrypted with the keys that one recovery key derives for its name (Client-Server API, "Secret storage").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptedSecret {
    #[serde(with = "base64::array")]
    iv: [u8; IV_LENGTH],
    #[serde(with = "base64::bytes")]
    ciphertext: Vec<u8>,
    #[serde(with = "base64::array")]
    mac: [u8; MAC_LENGTH],
}

impl EncryptedSecret {
    /// Encrypts. `keys` are those derived with the secret's name.
    ///
    /// # Errors
    /// [`NoRandomness`] where the platform has none to give.
    pub fn encrypt(keys: &DerivedKeys, secret: &SecretText) -> Result<Self, NoRandomness> {
        Ok(Self::dangerous_encrypt_with_iv(keys, secret, derived::make_iv()?))
    }

    /// As [`Self::encrypt`] with a given initialisation vector: used twice under the same keys, it gives both secrets
    /// away. To be used in tests only.
    #[must_use]
    pub fn dangerous_encrypt_with_iv(keys: &DerivedKeys, secret: &SecretText, iv: [u8; IV_LENGTH]) -> Self {
        let mut ciphertext = secret.expose("encrypted in place").as_bytes().to_vec();
        keys.apply_keystream(&iv, &mut ciphertext);
        let mac = keys.mac(&ciphertext);
        Self { iv, ciphertext, mac }
    }

    /// Decrypts. `keys` are those derived with the secret's name. The initialisation vector is not covered by the MAC:
    /// compare what comes out with what is published before believing it.
    ///
    /// # Errors
    /// [`SecretError::NotOpened`].
    pub fn decrypt(&self, keys: &DerivedKeys) -> Result<SecretText, SecretError> {
        if !keys.mac_fits(&self.ciphertext, &self.mac) {
            return Err(SecretError::NotOpened);
        }
        let mut plaintext = Zeroizing::new(self.ciphertext.clone());
        keys.apply_keystream(&self.iv, &mut plaintext);
        let text = std::str::from_utf8(&plaintext).map_err(|_| SecretError::NotOpened)?;
        Ok(SecretText::new(text.to_owned()))
    }

    /// The initialisation vector.
    #[must_use]
    pub const fn iv(&self) -> &[u8; IV_LENGTH] {
        &self.iv
    }
}

/// The account data document of one secret: an entry for each key that opens it. Entries of other keys, whatever their
/// form, and fields that are not known here are kept as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretDocument {
    #[serde(default)]
    encrypted: Map<String, Value>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl SecretDocument {
    /// The entry of a key; `None` where it has none.
    ///
    /// # Errors
    /// [`SecretError::Malformed`] where the entry is not of the algorithm's form.
    pub fn entry(&self, id: &KeyId) -> Result<Option<EncryptedSecret>, SecretError> {
        let read = |entry| EncryptedSecret::deserialize(entry).map_err(|_| SecretError::Malformed);
        self.encrypted.get(id.as_str()).map(read).transpose()
    }

    /// Puts the entry of a key in, over any that it had.
    pub fn set_entry(&mut self, id: &KeyId, secret: &EncryptedSecret) {
        let entry = serde_json::json!({
            "iv": base64::encode_padded(&secret.iv),
            "ciphertext": base64::encode_padded(&secret.ciphertext),
            "mac": base64::encode_padded(&secret.mac),
        });
        self.encrypted.insert(id.as_str().to_owned(), entry);
    }

    /// Takes the entry of a key out; the order of the others is kept.
    pub fn remove_entry(&mut self, id: &KeyId) {
        self.encrypted.shift_remove(id.as_str());
    }

    /// The ids of the keys that have an entry; names that cannot be a key's id are left out.
    pub fn key_ids(&self) -> impl Iterator<Item = KeyId> {
        self.encrypted.keys().filter_map(|id| KeyId::parse(id).ok())
    }
}

/// Why a secret cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The keys do not open it, or it was altered.
    #[error("the secret cannot be opened with this key, or was altered")]
    NotOpened,
    /// The entry is not of the algorithm's form.
    #[error("the secret is not in the form that its algorithm has")]
    Malformed,
    /// It was opened, but is not the base64 of 32 bytes.
    #[error("the secret is not a key")]
    NotASeed,
}

impl Coded for SecretError {
    fn code(&self) -> Code {
        match self {
            Self::NotOpened | Self::Malformed => Code::RecMac,
            Self::NotASeed => Code::RecSecretMismatch,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{recovery::RecoveryKey, secret::SecretBytes};

    proptest! {
        #[test]
        fn what_was_encrypted_opens_with_its_keys_only(
            bytes in any::<[u8; 32]>(), name in any::<String>(), other in any::<String>(), secret in any::<String>(),
        ) {
            prop_assume!(name != other);
            let key = RecoveryKey::from_bytes(SecretBytes::new(bytes));
            let keys = key.derive_keys(&name);
            let encrypted = EncryptedSecret::encrypt(&keys, &SecretText::new(secret.clone())).unwrap();
            let written = serde_json::to_string(&encrypted).unwrap();
            let read: EncryptedSecret = serde_json::from_str(&written).unwrap();
            let opened = read.decrypt(&keys).unwrap();
            prop_assert_eq!(opened.expose("test"), secret);
            prop_assert_eq!(read.decrypt(&key.derive_keys(&other)).err(), Some(SecretError::NotOpened));
            prop_assert_eq!(encrypted.iv()[8] & 0x80, 0);
        }
    }
}
