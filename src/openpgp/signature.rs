//! Detached signatures of documents (RFC 9580, section 10.4).
//!
//! Threat: a document by somebody else, by a signer who was revoked since, or a true signature of other bytes.

use std::{io::Write, time::Duration};

use sequoia_openpgp::{
    Packet, armor,
    cert::amalgamation::{ValidAmalgamation, ValidateAmalgamation, key::ErasedKeyAmalgamation},
    packet::{Signature, Tag, key::PublicParts},
    parse::{PacketParser, PacketParserResult, Parse},
    policy::{HashAlgoSecurity, Policy},
    serialize::stream::{Armorer, Message, Signer},
    types::{RevocationStatus, SignatureType},
};

use super::{
    Certificate, SecretCertificate,
    certificate::fingerprint_of,
    validity::{is_revoked, policy_at, system_time},
};
use crate::{
    error::{Code, Coded},
    ident::Fingerprint,
    time::UnixMillis,
};

/// The most bytes of signature that are read.
const MAX_SIGNATURE: usize = 64 << 10;

/// Why a signature is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Not an armored detached signature, or a very large one.
    #[error("not a detached OpenPGP signature")]
    Format,
    /// It was made by none of the signers, or by one that was not valid then or is not now.
    #[error("not signed by a valid signer")]
    Signer,
    /// It does not fit the document, is of a kind that does not bind every byte, or rests on weak algorithms.
    #[error("the signature does not fit the document")]
    Signature,
}

impl Coded for VerifyError {
    fn code(&self) -> Code {
        match self {
            Self::Format => Code::SgnFormat,
            Self::Signer => Code::SgnSigner,
            Self::Signature => Code::SgnSignature,
        }
    }
}

/// Checks a detached signature; returns the fingerprint of the signer's certificate.
///
/// The signer must be one of `signers`; certificate and signing key must have been valid, alive and unrevoked when the
/// signature was made, and must be so `at` (now); the certificate must not be revoked at all. One good signature is
/// enough where there are several. Only signatures of the document's exact bytes count (type 0x00).
///
/// # Errors
/// [`VerifyError`], the one nearest to success where several signatures fail.
pub fn verify_detached(
    document: &[u8],
    signature: &str,
    signers: &[Certificate],
    at: UnixMillis,
) -> Result<Fingerprint, VerifyError> {
    if signature.len() > MAX_SIGNATURE || !signature.trim_ascii_start().starts_with("-----BEGIN PGP SIGNATURE-----") {
        return Err(VerifyError::Format);
    }
    let mut outcome = Err(VerifyError::Format);
    let mut packets = PacketParser::from_bytes(signature).map_err(|_| VerifyError::Format)?;
    while let PacketParserResult::Some(packet) = packets {
        let (packet, rest) = packet.next().map_err(|_| VerifyError::Format)?;
        let judged = match packet {
            Packet::Signature(signature) => judge(&signature, document, signers, at),
            // Of a version or a form that nothing here can check (RFC 9580, section 5.2).
            Packet::Unknown(unknown) if unknown.tag() == Tag::Signature => Err(VerifyError::Signature),
            _ => return Err(VerifyError::Format),
        };
        outcome = better(outcome, judged);
        packets = rest;
    }
    outcome
}

/// Is this a good signature of the document by one of the signers?
///
/// It is not left to sequoia's verifier of whole messages, which brings along all that opens encrypted ones.
fn judge(
    signature: &Signature,
    document: &[u8],
    signers: &[Certificate],
    at: UnixMillis,
) -> Result<Fingerprint, VerifyError> {
    let issuers = signature.get_issuers();
    let mut outcome = Err(VerifyError::Signer);
    for signer in signers {
        for key in signer.cert().keys() {
            if issuers.iter().any(|issuer| issuer.aliases(key.key().key_handle())) {
                outcome = better(outcome, check(signature, document, &key, at));
            }
        }
    }
    outcome
}

/// Is this a good signature of the document by this key?
fn check(
    signature: &Signature,
    document: &[u8],
    key: &ErasedKeyAmalgamation<'_, PublicParts>,
    at: UnixMillis,
) -> Result<Fingerprint, VerifyError> {
    let (policy, now) = (policy_at(at), system_time(at));
    let made = signature.signature_creation_time().ok_or(VerifyError::Signature)?;
    if is_revoked(key.cert()) || key.self_revocations().next().is_some() {
        return Err(VerifyError::Signer);
    }
    for time in [made, now] {
        let valid = key.clone().with_policy(&policy, time).map_err(|_| VerifyError::Signer)?;
        // Others may revoke too, where the certificate says so.
        let revoked = matches!(valid.valid_cert().revocation_status(), RevocationStatus::Revoked(_))
            || matches!(valid.revocation_status(), RevocationStatus::Revoked(_));
        if revoked || valid.valid_cert().alive().is_err() || valid.alive().is_err() || !valid.for_signing() {
            return Err(VerifyError::Signer);
        }
    }
    let fits = || -> sequoia_openpgp::Result<()> {
        // Made before now, and not expired.
        signature.signature_alive(now, Duration::ZERO)?;
        let mut hash = signature.hash_algo().context()?.for_signature(signature.version());
        if let Signature::V6(signature) = signature {
            hash.update(signature.salt());
        }
        hash.update(document);
        signature.verify_hash(key.key(), hash)?;
        // Weak algorithms, and anything critical that is not understood.
        policy.signature(signature, HashAlgoSecurity::CollisionResistance)
    };
    if signature.typ() != SignatureType::Binary || fits().is_err() {
        return Err(VerifyError::Signature);
    }
    Ok(fingerprint_of(key.cert()))
}

/// The outcome that is nearer to success.
fn better(
    a: Result<Fingerprint, VerifyError>,
    b: Result<Fingerprint, VerifyError>,
) -> Result<Fingerprint, VerifyError> {
    let rank = |outcome: &Result<Fingerprint, VerifyError>| match outcome {
        Err(VerifyError::Format) => 0,
        Err(VerifyError::Signer) => 1,
        Err(VerifyError::Signature) => 2,
        Ok(_) => 3,
    };
    if rank(&b) > rank(&a) { b } else { a }
}

/// Why nothing was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The certificate has no secret signing key that is valid, alive and unrevoked.
    #[error("no key that may sign")]
    NoSigningKey,
    /// The key failed to sign.
    #[error("signing failed")]
    Failed,
}

impl Coded for SignError {
    fn code(&self) -> Code {
        match self {
            Self::NoSigningKey => Code::SgnSigner,
            Self::Failed => Code::SgnSignature,
        }
    }
}

/// Signs a document; returns the armored detached signature, dated `at`.
///
/// # Errors
/// [`SignError`] where the certificate has no key that may sign now.
pub fn sign_detached(document: &[u8], secret: &SecretCertificate, at: UnixMillis) -> Result<String, SignError> {
    let (policy, time) = (policy_at(at), system_time(at));
    let valid = secret.cert().with_policy(&policy, time).map_err(|_| SignError::NoSigningKey)?;
    if is_revoked(secret.cert()) || valid.alive().is_err() {
        return Err(SignError::NoSigningKey);
    }
    let mut keys = valid
        .keys()
        .alive()
        .supported()
        .for_signing()
        .secret()
        .filter(|key| key.key().has_unencrypted_secret() && key.self_revocations().next().is_none());
    let key = keys.next().ok_or(SignError::NoSigningKey)?.key().clone();
    let sign = || -> sequoia_openpgp::Result<String> {
        let mut armored = Vec::new();
        let message = Armorer::new(Message::new(&mut armored)).kind(armor::Kind::Signature).build()?;
        let signer = Signer::new(message, key.into_keypair()?)?.creation_time(time).detached();
        let mut message = signer.build()?;
        message.write_all(document)?;
        message.finalize()?;
        Ok(String::from_utf8(armored)?)
    };
    sign().map_err(|_| SignError::Failed)
}
