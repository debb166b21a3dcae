//! Signed JSON (Matrix, appendices, "Signing JSON").

use serde_json::{Map, Value};
use vodozemac::Ed25519SecretKey;

use super::{CanonicalJsonError, PublicKey, canonical::canonical_without};
use crate::{ident::UserId, matrix::base64, secret::SecretBytes};

/// What a signature does not cover.
const UNSIGNED: [&str; 2] = ["signatures", "unsigned"];

/// Why a signature is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature by that key.
    #[error("there is no signature by that key")]
    Absent,
    /// It does not fit the document and the key.
    #[error("the signature does not fit")]
    Invalid,
    /// The document has no canonical form, so nothing can have signed it.
    #[error(transparent)]
    Canonical(#[from] CanonicalJsonError),
}

/// Verifies the signature that `key` made as `user` under `key_id`.
///
/// # Errors
/// [`SignatureError`]
pub fn verify_json(
    document: &Map<String, Value>,
    user: &UserId,
    key_id: &str,
    key: &PublicKey,
) -> Result<(), SignatureError> {
    let signatures = document.get("signatures").and_then(|all| all.get(user.as_str()));
    let signature = signatures.and_then(|users| users.get(key_id)).ok_or(SignatureError::Absent)?;
    let signature = signature.as_str().and_then(base64::decode_array).ok_or(SignatureError::Invalid)?;
    let message = canonical_without(document, &UNSIGNED)?;
    if key.verifies(message.as_bytes(), &signature) { Ok(()) } else { Err(SignatureError::Invalid) }
}

/// Signs a document as `user` under `key_id`, beside the signatures that it has.
///
/// # Errors
/// [`CanonicalJsonError`]
pub fn sign_json(
    document: &mut Map<String, Value>,
    user: &UserId,
    key_id: &str,
    seed: &SecretBytes<32>,
) -> Result<(), CanonicalJsonError> {
    let message = canonical_without(document, &UNSIGNED)?;
    let signature = Ed25519SecretKey::from_slice(seed.expose("sign a document")).sign(message.as_bytes());
    let signature = base64::encode_unpadded(&signature.to_bytes());
    let mut signatures = object_of(document.get("signatures"));
    let mut by_user = object_of(signatures.get(user.as_str()));
    by_user.insert(key_id.to_owned(), signature.into());
    signatures.insert(user.as_str().to_owned(), by_user.into());
    document.insert("signatures".to_owned(), signatures.into());
    Ok(())
}

/// What is there, if it is an object: anything else is no set of signatures, and goes.
fn object_of(value: Option<&Value>) -> Map<String, Value> {
    value.and_then(Value::as_object).cloned().unwrap_or_default()
}
