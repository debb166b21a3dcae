//! Where recovery keys are used without being held in clear: a port, its in-memory and its failing implementation, and
//! the suite that all must pass.
//!
//! Threat: whoever copies the browser's profile from the disk, or the account data from the server. A vault keeps only a
//! *wrapping key* (AES-256-GCM, in the browser non-extractable); the recovery key wrapped by it is kept elsewhere, with
//! the server. Neither opens anything without the other.

use std::{cell::RefCell, collections::BTreeMap};

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Payload},
};
use serde::{Deserialize, Serialize};
use vodozemac::Ed25519SecretKey;
use zeroize::Zeroizing;

use super::{DerivedKeys, Passphrase, RecoveryKey};
use crate::{
    error::{Code, Coded},
    ident::KeyId,
    identity::{PublicKey, derive_public},
    matrix::base64,
    secret::{SecretBytes, SecretText},
};

/// A recovery key, wrapped by a vault: AES-256-GCM, the key id as additional data, the tag behind the ciphertext.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedRecoveryKey {
    /// The initialisation vector.
    #[serde(with = "base64::array")]
    pub iv: [u8; 12],
    /// The 32 bytes of the recovery key, encrypted, and the tag of 16.
    #[serde(with = "base64::array")]
    pub ciphertext: [u8; 48],
}

/// What a vault signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    /// The public half of the vault's key, always the same.
    pub key: PublicKey,
    /// Its Ed25519 signature.
    pub signature: [u8; 64],
}

/// Why a vault did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The key store, or the platform's cryptography, failed; nothing is known of a write.
    #[error("the key store failed")]
    Failed,
    /// There is no wrapping key for the id.
    #[error("the key store has no key for this id")]
    Absent,
    /// The wrapped copy is not of this wrapping key and id, or was altered.
    #[error("the wrapped recovery key cannot be opened")]
    NotOpened,
}

impl Coded for VaultError {
    fn code(&self) -> Code {
        match self {
            Self::Failed => Code::RecVault,
            Self::Absent => Code::RecVaultLost,
            Self::NotOpened => Code::RecMac,
        }
    }
}

/// Wraps recovery keys, and works with them.
#[allow(async_fn_in_trait)]
pub trait KeyVault {
    /// Makes a wrapping key for this id, keeps it durably, and wraps the recovery key with it. Where there is one
    /// already, that one is used: copies that it wrapped before still open.
    ///
    /// # Errors
    /// [`VaultError::Failed`].
    async fn admit(&self, id: &KeyId, key: RecoveryKey) -> Result<WrappedRecoveryKey, VaultError>;

    /// Opens the wrapped recovery key and derives the keys of one secret: HKDF-SHA-256, a salt of 32 zero bytes, `info`
    /// the secret's name or empty.
    ///
    /// # Errors
    /// [`VaultError`].
    async fn derive(&self, id: &KeyId, wrapped: &WrappedRecoveryKey, info: &str) -> Result<DerivedKeys, VaultError>;

    /// Is there a wrapping key for this id?
    ///
    /// # Errors
    /// [`VaultError::Failed`].
    async fn holds(&self, id: &KeyId) -> Result<bool, VaultError>;

    /// The ids that there are wrapping keys for, sorted.
    ///
    /// # Errors
    /// [`VaultError::Failed`].
    async fn ids(&self) -> Result<Vec<KeyId>, VaultError>;

    /// Removes the wrapping key for this id for good; there need not be one.
    ///
    /// # Errors
    /// [`VaultError::Failed`].
    async fn forget(&self, id: &KeyId) -> Result<(), VaultError>;

    /// Signs a text with a key that is made for that at the first time, and kept for good.
    ///
    /// # Errors
    /// [`VaultError::Failed`].
    async fn sign(&self, text: &str) -> Result<Signed, VaultError>;

    /// Makes the recovery key of a passphrase: seconds of work, beside everything else where the platform can.
    ///
    /// # Errors
    /// [`VaultError::Failed`].
    async fn stretch(&self, passphrase: &Passphrase, typed: &SecretText) -> Result<RecoveryKey, VaultError>;
}

/// Wrapping keys in memory: for the native command and for tests.
#[derive(Default)]
pub struct MemoryVault(RefCell<BTreeMap<KeyId, SecretBytes<32>>>, RefCell<Option<SecretBytes<32>>>);

fn cipher(wrapping_key: &SecretBytes<32>) -> Aes256Gcm {
    Aes256Gcm::new(wrapping_key.expose("wrap or unwrap a recovery key").into())
}

impl KeyVault for MemoryVault {
    async fn admit(&self, id: &KeyId, key: RecoveryKey) -> Result<WrappedRecoveryKey, VaultError> {
        let mut iv = [0; 12];
        getrandom::fill(&mut iv).map_err(|_| VaultError::Failed)?;
        let mut wrapping_keys = self.0.borrow_mut();
        if !wrapping_keys.contains_key(id) {
            wrapping_keys.insert(id.clone(), SecretBytes::make_random().map_err(|_| VaultError::Failed)?);
        }
        let wrapping_key = wrapping_keys.get(id).ok_or(VaultError::Absent)?;
        let payload = Payload { msg: key.bytes().expose("wrap it"), aad: id.as_str().as_bytes() };
        let ciphertext = cipher(wrapping_key).encrypt(&iv.into(), payload).map_err(|_| VaultError::Failed)?;
        let ciphertext = ciphertext.try_into().map_err(|_| VaultError::Failed)?;
        Ok(WrappedRecoveryKey { iv, ciphertext })
    }

    async fn derive(&self, id: &KeyId, wrapped: &WrappedRecoveryKey, info: &str) -> Result<DerivedKeys, VaultError> {
        let wrapping_keys = self.0.borrow();
        let wrapping_key = wrapping_keys.get(id).ok_or(VaultError::Absent)?;
        let payload = Payload { msg: &wrapped.ciphertext, aad: id.as_str().as_bytes() };
        let bytes = cipher(wrapping_key).decrypt(&wrapped.iv.into(), payload).map_err(|_| VaultError::NotOpened)?;
        let bytes = SecretBytes::from_slice(&Zeroizing::new(bytes)).ok_or(VaultError::NotOpened)?;
        Ok(RecoveryKey::from_bytes(bytes).derive_keys(info))
    }

    async fn holds(&self, id: &KeyId) -> Result<bool, VaultError> {
        Ok(self.0.borrow().contains_key(id))
    }

    async fn ids(&self) -> Result<Vec<KeyId>, VaultError> {
        Ok(self.0.borrow().keys().cloned().collect())
    }

    async fn forget(&self, id: &KeyId) -> Result<(), VaultError> {
        self.0.borrow_mut().remove(id);
        Ok(())
    }

    async fn sign(&self, text: &str) -> Result<Signed, VaultError> {
        let mut kept = self.1.borrow_mut();
        if kept.is_none() {
            *kept = Some(SecretBytes::make_random().map_err(|_| VaultError::Failed)?);
        }
        let seed = kept.as_ref().ok_or(VaultError::Failed)?;
        let signature = Ed25519SecretKey::from_slice(seed.expose("sign a text")).sign(text.as_bytes());
        Ok(Signed { key: derive_public(seed), signature: signature.to_bytes() })
    }

    async fn stretch(&self, passphrase: &Passphrase, typed: &SecretText) -> Result<RecoveryKey, VaultError> {
        Ok(passphrase.derive_key(typed))
    }
}

/// A vault that always fails.
pub struct FailingVault;

impl KeyVault for FailingVault {
    async fn admit(&self, _: &KeyId, _: RecoveryKey) -> Result<WrappedRecoveryKey, VaultError> {
        Err(VaultError::Failed)
    }
    async fn derive(&self, _: &KeyId, _: &WrappedRecoveryKey, _: &str) -> Result<DerivedKeys, VaultError> {
        Err(VaultError::Failed)
    }
    async fn holds(&self, _: &KeyId) -> Result<bool, VaultError> {
        Err(VaultError::Failed)
    }
    async fn ids(&self) -> Result<Vec<KeyId>, VaultError> {
        Err(VaultError::Failed)
    }
    async fn forget(&self, _: &KeyId) -> Result<(), VaultError> {
        Err(VaultError::Failed)
    }
    async fn sign(&self, _: &str) -> Result<Signed, VaultError> {
        Err(VaultError::Failed)
    }
    async fn stretch(&self, _: &Passphrase, _: &SecretText) -> Result<RecoveryKey, VaultError> {
        Err(VaultError::Failed)
    }
}

/// What every [`KeyVault`] must do; run on the in-memory one natively and on WebCrypto in both browsers.
///
/// # Errors
/// The rule that does not hold.
pub async fn conforms(vault: &impl KeyVault) -> Result<(), &'static str> {
    let fail = |_| "an operation failed";
    let check = |holds: bool, rule: &'static str| if holds { Ok(()) } else { Err(rule) };
    let id = |text| KeyId::parse(text).map_err(|_| "the suite's own key id is none");
    let key = |byte| RecoveryKey::from_bytes(SecretBytes::new([byte; 32]));
    let (ours, other) = (id("conforms.ours")?, id("conforms.other")?);

    check(!vault.holds(&ours).await.map_err(fail)?, "a key that was never admitted is absent")?;
    let first = vault.admit(&ours, key(1)).await.map_err(fail)?;
    check(vault.holds(&ours).await.map_err(fail)?, "a key that was admitted is held")?;
    check(!vault.holds(&other).await.map_err(fail)?, "no other key is held")?;
    for info in ["", "m.megolm_backup.v1", "nam€ of a secret\0"] {
        let derived = vault.derive(&ours, &first, info).await.map_err(fail)?;
        check(
            derived.same_as(&key(1).derive_keys(info)),
            "the derived keys are those of the recovery key and the info",
        )?;
    }

    check(vault.ids().await.map_err(fail)? == [ours.clone()], "what is held is listed")?;

    let refused = |derived: Result<DerivedKeys, VaultError>, error| derived.err() == Some(error);
    let absent = vault.derive(&other, &first, "").await;
    check(refused(absent, VaultError::Absent), "nothing is derived without a wrapping key")?;
    let second = vault.admit(&other, key(2)).await.map_err(fail)?;
    let swapped = vault.derive(&other, &first, "").await;
    check(refused(swapped, VaultError::NotOpened), "a copy wrapped for one id does not open under another")?;
    check(vault.ids().await.map_err(fail)? == [other.clone(), ours.clone()], "all that is held is listed, sorted")?;
    let altered = |change: fn(&mut WrappedRecoveryKey)| {
        let mut wrapped = first.clone();
        change(&mut wrapped);
        wrapped
    };
    for wrapped in [altered(|w| w.iv[0] ^= 1), altered(|w| w.ciphertext[0] ^= 1), altered(|w| w.ciphertext[47] ^= 1)] {
        let derived = vault.derive(&ours, &wrapped, "").await;
        check(refused(derived, VaultError::NotOpened), "an altered copy does not open")?;
    }

    let again = vault.admit(&ours, key(3)).await.map_err(fail)?;
    check(again.iv != first.iv, "no initialisation vector is used twice")?;
    let derived = vault.derive(&ours, &first, "").await.map_err(fail)?;
    check(derived.same_as(&key(1).derive_keys("")), "copies wrapped earlier still open")?;
    let derived = vault.derive(&ours, &again, "").await.map_err(fail)?;
    check(derived.same_as(&key(3).derive_keys("")), "each copy opens to what was wrapped")?;

    vault.forget(&ours).await.map_err(fail)?;
    vault.forget(&ours).await.map_err(fail)?;
    check(!vault.holds(&ours).await.map_err(fail)?, "a forgotten key is absent")?;
    check(refused(vault.derive(&ours, &first, "").await, VaultError::Absent), "a forgotten key derives nothing")?;
    let derived = vault.derive(&other, &second, "").await.map_err(fail)?;
    check(derived.same_as(&key(2).derive_keys("")), "forgetting one key leaves the others")?;
    vault.admit(&ours, key(1)).await.map_err(fail)?;
    let derived = vault.derive(&ours, &first, "").await;
    check(refused(derived, VaultError::NotOpened), "a copy of a forgotten wrapping key never opens again")?;
    vault.forget(&ours).await.map_err(fail)?;
    vault.forget(&other).await.map_err(fail)?;
    check(vault.ids().await.map_err(fail)?.is_empty(), "nothing is left")?;

    let first = vault.sign("a text").await.map_err(fail)?;
    check(first.key.verifies(b"a text", &first.signature), "what is signed is signed by the key that is named")?;
    let other = vault.sign("another t\u{eb}xt").await.map_err(fail)?;
    check(other.key == first.key, "it is always the same key")?;
    let holds = other.key.verifies("another t\u{eb}xt".as_bytes(), &other.signature);
    check(holds && !other.key.verifies(b"a text", &other.signature), "each text has its own signature")?;
    check(vault.ids().await.map_err(fail)?.is_empty(), "the key that signs is no wrapping key")?;

    let info = serde_json::json!({ "algorithm": "m.pbkdf2", "salt": "s\u{e9}l", "iterations": 1000, "bits": 256 });
    let passphrase = Passphrase::read(&info).ok_or("the suite's own passphrase is none")?;
    for typed in ["correct horse", "m\u{fc}ller \u{1f511}"] {
        let typed = SecretText::new(typed.to_owned());
        let made = vault.stretch(&passphrase, &typed).await.map_err(fail)?;
        let expected = passphrase.derive_key(&typed);
        check(made.derive_keys("").same_as(&expected.derive_keys("")), "a passphrase makes its recovery key")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_conforms_and_failing_does_not() {
        assert_eq!(conforms(&MemoryVault::default()).await, Ok(()));
        assert!(conforms(&FailingVault).await.is_err());
    }

    #[test]
    fn a_wrapped_key_of_the_wrong_size_is_refused() {
        let good = WrappedRecoveryKey { iv: [1; 12], ciphertext: [2; 48] };
        let mut document = serde_json::to_value(&good).unwrap();
        assert_eq!(WrappedRecoveryKey::deserialize(&document).unwrap(), good);
        document["iv"] = base64::encode_padded(&[1; 13]).into();
        assert!(WrappedRecoveryKey::deserialize(&document).is_err());
    }
}
