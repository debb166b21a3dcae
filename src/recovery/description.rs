//! The key description: the account data `m.secret_storage.key.<id>`, by which a recovery key is recognised.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    DerivedKeys, Passphrase,
    derived::{self, IV_LENGTH, MAC_LENGTH},
};
use crate::{
    error::{Code, Coded},
    matrix::base64,
    secret::NoRandomness,
};

/// The only algorithm of secret storage that there is.
pub const ALGORITHM: &str = "m.secret_storage.v1.aes-hmac-sha2";

/// A key description (Client-Server API, "Key storage"). Fields that are not known here are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDescription {
    algorithm: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iv: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// A recovery key opened the key description that it was compared with.
#[derive(Debug)]
pub struct DescriptionVerified(());

impl KeyDescription {
    /// Describes a recovery key. `keys` are those derived with an empty info.
    ///
    /// # Errors
    /// [`NoRandomness`] where the platform has none to give.
    pub fn make(keys: &DerivedKeys) -> Result<Self, NoRandomness> {
        Ok(Self::dangerous_make_with_iv(keys, derived::make_iv()?))
    }

    /// As [`Self::make`] with a given initialisation vector. To be used in tests only.
    #[must_use]
    pub fn dangerous_make_with_iv(keys: &DerivedKeys, iv: [u8; IV_LENGTH]) -> Self {
        Self {
            algorithm: ALGORITHM.to_owned(),
            iv: Some(base64::encode_padded(&iv)),
            mac: Some(base64::encode_padded(&keys.mac(&encrypted_zeros(keys, &iv)))),
            other: Map::new(),
        }
    }

    /// Checks that this describes the recovery key that `keys` were derived from, with an empty info.
    ///
    /// The specification lets a description have no `iv` and `mac`; then nothing can be known, and it is refused.
    ///
    /// # Errors
    /// [`DescriptionError`].
    pub fn verify(&self, keys: &DerivedKeys) -> Result<DescriptionVerified, DescriptionError> {
        if self.algorithm != ALGORITHM {
            return Err(DescriptionError::Algorithm);
        }
        let (Some(iv), Some(mac)) = (&self.iv, &self.mac) else {
            return Err(DescriptionError::Unchecked);
        };
        let iv = base64::decode_array::<IV_LENGTH>(iv).ok_or(DescriptionError::OtherKey)?;
        let mac = base64::decode_array::<MAC_LENGTH>(mac).ok_or(DescriptionError::OtherKey)?;
        if keys.mac_fits(&encrypted_zeros(keys, &iv), &mac) {
            Ok(DescriptionVerified(()))
        } else {
            Err(DescriptionError::OtherKey)
        }
    }

    /// How the recovery key is made of a passphrase, where it is.
    ///
    /// # Errors
    /// [`DescriptionError::Passphrase`] where that is by an unknown algorithm or asks for more work than is allowed.
    pub fn passphrase(&self) -> Result<Option<Passphrase>, DescriptionError> {
        match self.other.get("passphrase") {
            None | Some(Value::Null) => Ok(None),
            Some(info) => Passphrase::read(info).map(Some).ok_or(DescriptionError::Passphrase),
        }
    }
}

fn encrypted_zeros(keys: &DerivedKeys, iv: &[u8; IV_LENGTH]) -> [u8; 32] {
    let mut zeros = [0; 32];
    keys.apply_keystream(iv, &mut zeros);
    zeros
}

/// Why a key description is not that of the key at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    /// The algorithm is unknown.
    #[error("secret storage uses an unknown algorithm")]
    Algorithm,
    /// The description has nothing to check a key by.
    #[error("the key description has nothing to check a key by")]
    Unchecked,
    /// It describes another key, or was altered.
    #[error("the key description is that of another key, or was altered")]
    OtherKey,
    /// The passphrase's algorithm is unknown, or asks for more work than is allowed.
    #[error("the passphrase cannot be used")]
    Passphrase,
}

impl Coded for DescriptionError {
    fn code(&self) -> Code {
        match self {
            Self::Algorithm | Self::Unchecked | Self::Passphrase => Code::RecDescription,
            Self::OtherKey => Code::RecMac,
        }
    }
}
