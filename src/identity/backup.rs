//! Whose a key backup is.

use serde::Deserialize;
use vodozemac::{Curve25519PublicKey, Curve25519SecretKey};

use super::{PublicKey, PublishedIdentity, verify_json};
use crate::{
    error::{Code, Coded},
    matrix::{BackupVersion, SignedJson, backup::ALGORITHM, base64},
    secret::SecretBytes,
};

/// A backup version's public key is signed by the account's master key, or by a device that the account vouches for.
#[derive(Debug)]
pub struct BackupTrusted {
    version: String,
    public_key: String,
}

impl BackupTrusted {
    /// The backup's version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The Curve25519 public key that room keys are encrypted to, in base64 without padding.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.public_key
    }
}

#[derive(Deserialize)]
struct AuthData {
    public_key: String,
}

impl PublishedIdentity {
    /// Checks that a backup version is the account's own: anyone with access to the server could have made one, and would
    /// read every room key that is put into it.
    ///
    /// # Errors
    /// [`BackupError`]
    pub fn check_backup(&self, backup: &BackupVersion) -> Result<BackupTrusted, BackupError> {
        if backup.algorithm != ALGORITHM {
            return Err(BackupError::Algorithm);
        }
        let auth_data = SignedJson::<AuthData>::read(&backup.auth_data).map_err(|_| BackupError::Malformed)?;
        let public_key = base64::decode_array::<32>(&auth_data.fields().public_key).ok_or(BackupError::Malformed)?;
        let signed_by =
            |key_id: &str, key: &PublicKey| verify_json(auth_data.document(), self.user(), key_id, key).is_ok();
        // Only devices that signed at all are looked at: an answer may hold thousands.
        let by_device = || {
            self.devices().iter().any(|device| {
                let key_id = format!("ed25519:{}", device.fields().device_id.as_str());
                auth_data.signature(self.user(), &key_id).is_some()
                    && self.vouches_for(device).is_ok_and(|vouched| signed_by(&key_id, vouched.ed25519()))
            })
        };
        if signed_by(&self.master().key_id(), self.master()) || by_device() {
            Ok(BackupTrusted { version: backup.version.clone(), public_key: base64::encode_unpadded(&public_key) })
        } else {
            Err(BackupError::Unsigned)
        }
    }
}

/// Derives the Curve25519 public key of a key backup's private key, in base64 without padding.
#[must_use]
pub fn derive_backup_public(seed: &SecretBytes<32>) -> String {
    let secret = Curve25519SecretKey::from_slice(seed.expose("derive its public key"));
    Curve25519PublicKey::from(&secret).to_base64()
}

/// Why a backup version is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// The algorithm is unknown.
    #[error("the key backup uses an unknown algorithm")]
    Algorithm,
    /// There is no public key in it.
    #[error("the key backup has no public key")]
    Malformed,
    /// Neither the master key nor a device that the account vouches for signed it.
    #[error("the key backup is not signed by the account")]
    Unsigned,
}

impl Coded for BackupError {
    fn code(&self) -> Code {
        match self {
            Self::Algorithm | Self::Malformed | Self::Unsigned => Code::RecBackupUntrusted,
        }
    }
}
