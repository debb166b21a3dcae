//! One device as an answer publishes it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::Malformed;
use crate::{
    ident::{DeviceId, UserId},
    identity::{PublicKey, PublishedIdentity, Signatures, VouchError, verify_json_with},
    matrix::{DeviceKeys, base64},
};

/// How room keys are sent to a device (Client-Server API, "`m.olm.v1.curve25519-aes-sha2`").
pub(super) const OLM: &str = "m.olm.v1.curve25519-aes-sha2";

/// A Curve25519 public key: 32 bytes in base64 without padding, in its one canonical text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgreementKey(String);

/// The text is no Curve25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a Curve25519 public key")]
pub struct NotAnAgreementKey;

impl AgreementKey {
    /// Reads a key.
    ///
    /// # Errors
    /// [`NotAnAgreementKey`]
    pub fn parse(text: &str) -> Result<Self, NotAnAgreementKey> {
        let bytes: [u8; 32] = base64::decode_array(text).ok_or(NotAnAgreementKey)?;
        if base64::encode_unpadded(&bytes) == text { Ok(Self(text.to_owned())) } else { Err(NotAnAgreementKey) }
    }

    /// The key in base64.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AgreementKey {
    type Error = NotAnAgreementKey;
    fn try_from(text: String) -> Result<Self, NotAnAgreementKey> {
        Self::parse(&text)
    }
}

impl From<AgreementKey> for String {
    fn from(key: AgreementKey) -> Self {
        key.0
    }
}

impl fmt::Debug for AgreementKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<Curve25519 public key>")
    }
}

/// The two keys of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceKeyPair {
    /// What it signs with.
    pub ed25519: PublicKey,
    /// What room keys are encrypted to.
    pub curve25519: AgreementKey,
}

/// Does the owner's identity vouch for a device?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vouched {
    /// It signed exactly these keys.
    Yes,
    /// It did not sign it.
    No,
    /// There is a signature that does not fit.
    Invalid,
}

/// Why a device of an answer is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Defect {
    /// It contradicts itself.
    Malformed(Malformed),
    /// It did not sign its own keys.
    Unsigned {
        /// Where.
        path: String,
    },
}

/// Reads a device and checks it: its owner, its name, its algorithms, its keys, its own signature, and its owner's.
pub(super) fn read(
    id: &DeviceId,
    document: &Value,
    user: &UserId,
    identity: Option<&PublishedIdentity>,
    signatures: &Signatures,
) -> Result<(DeviceKeyPair, Vouched), Defect> {
    let path = |field: &str| format!("device_keys/{}{field}", id.as_str());
    let malformed = |field| Defect::Malformed(Malformed::at(&path(field)));
    let device = DeviceKeys::read(document).map_err(|_| malformed(""))?;
    let fields = device.fields();
    if fields.user_id != *user {
        return Err(malformed("/user_id"));
    }
    if fields.device_id != *id {
        return Err(malformed("/device_id"));
    }
    let algorithms = device.document().get("algorithms").and_then(Value::as_array).ok_or(malformed("/algorithms"))?;
    if !algorithms.iter().any(|algorithm| algorithm == OLM) {
        return Err(malformed("/algorithms"));
    }
    let key_id = format!("ed25519:{}", id.as_str());
    let key = |id: &str| fields.keys.get(id).map(String::as_str).unwrap_or_default();
    let ed25519 = PublicKey::parse(key(&key_id)).map_err(|_| malformed("/keys"))?;
    let curve25519 = AgreementKey::parse(key(&format!("curve25519:{}", id.as_str())));
    let keys = DeviceKeyPair { ed25519, curve25519: curve25519.map_err(|_| malformed("/keys"))? };
    let unsigned = Defect::Unsigned { path: path("/signatures") };
    let vouched = match identity.map(|identity| identity.vouches_for_with(signatures, &device)) {
        Some(Ok(_)) => Vouched::Yes,
        Some(Err(VouchError::Unsigned)) => Vouched::No,
        Some(Err(VouchError::Signature)) => Vouched::Invalid,
        Some(Err(VouchError::Keys | VouchError::OtherUser)) => return Err(unsigned),
        None => match verify_json_with(signatures, device.document(), user, &key_id, &keys.ed25519) {
            Ok(()) => Vouched::No,
            Err(_) => return Err(unsigned),
        },
    };
    Ok((keys, vouched))
}
