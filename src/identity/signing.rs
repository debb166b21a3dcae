//! Signed JSON (Matrix, appendices, "Signing JSON").

use serde_json::{Map, Value};
use vodozemac::Ed25519SecretKey;

use super::{CanonicalJsonError, PublicKey, Signatures, canonical::canonical_without};
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
    verify_json_with(&Signatures::at_once(), document, user, key_id, key)
}

/// The same, at once or together with others.
///
/// # Errors
/// [`SignatureError`]
pub fn verify_json_with(
    signatures: &Signatures,
    document: &Map<String, Value>,
    user: &UserId,
    key_id: &str,
    key: &PublicKey,
) -> Result<(), SignatureError> {
    let all = document.get("signatures").and_then(|all| all.get(user.as_str()));
    let signature = all.and_then(|users| users.get(key_id)).ok_or(SignatureError::Absent)?;
    let signature = signature.as_str().and_then(base64::decode_array).ok_or(SignatureError::Invalid)?;
    let message = canonical_without(document, &UNSIGNED)?;
    if signatures.holds(key, message, signature) { Ok(()) } else { Err(SignatureError::Invalid) }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::identity::derive_public;

    fn specification_seed() -> SecretBytes<32> {
        // The specification writes its last digit as 1, which sets a bit that belongs to no byte.
        SecretBytes::new(base64::decode_array("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA0").unwrap())
    }

    /// Matrix, appendices, "Cryptographic Test Vectors".
    #[test]
    fn the_specifications_signatures_are_made_and_verified() {
        let seed = specification_seed();
        let public = derive_public(&seed);
        assert_eq!(public.to_base64(), "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI");
        let user = UserId::parse("@a:domain").unwrap();
        for (document, signature) in [
            (json!({}), "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"),
            (
                json!({"one": 1, "two": "Two"}),
                "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw",
            ),
        ] {
            let mut document = document.as_object().unwrap().clone();
            sign_json(&mut document, &user, "ed25519:1", &seed).unwrap();
            assert_eq!(document["signatures"][user.as_str()]["ed25519:1"], signature);
            assert_eq!(verify_json(&document, &user, "ed25519:1", &public), Ok(()));
        }
    }

    #[test]
    fn what_is_unsigned_may_change_and_other_signatures_stay() {
        let (user, seed) = (UserId::parse("@a:b").unwrap(), specification_seed());
        let document = json!({"a": 1, "unsigned": {"x": 1}, "signatures": {"@c:d": {"k": "s"}, "@a:b": {"k": "s"}}});
        let mut document = document.as_object().unwrap().clone();
        sign_json(&mut document, &user, "ed25519:1", &seed).unwrap();
        assert_eq!(document["signatures"]["@c:d"], json!({"k": "s"}));
        assert_eq!(document["signatures"]["@a:b"]["k"], "s");
        document.insert("unsigned".into(), 1.5.into());
        let verified = |document: &Map<String, Value>| verify_json(document, &user, "ed25519:1", &derive_public(&seed));
        assert_eq!(verified(&document), Ok(()));
        document.insert("a".into(), 2.into());
        assert_eq!(verified(&document), Err(SignatureError::Invalid));
        document.insert("a".into(), 1.5.into());
        assert_eq!(verified(&document), Err(SignatureError::Canonical(CanonicalJsonError::Float)));
        document.insert("signatures".into(), "none".into());
        assert_eq!(verified(&document), Err(SignatureError::Absent));
    }
}
