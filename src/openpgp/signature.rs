//! Detached signatures of documents (RFC 9580, section 10.4).
//!
//! Threat: a document by somebody else, by a signer who was revoked since, or a true signature of other bytes.

use std::io::Write;

use sequoia_openpgp::{
    Cert, KeyHandle, armor,
    cert::amalgamation::{ValidAmalgamation, ValidateAmalgamation},
    parse::{
        Parse,
        stream::{DetachedVerifierBuilder, GoodChecksum, MessageLayer, MessageStructure, VerificationHelper},
    },
    policy::StandardPolicy,
    serialize::stream::{Armorer, Message, Signer},
    types::SignatureType,
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
    let policy = policy_at(at);
    let check = SignerCheck { signers, policy: &policy, at, outcome: Err(VerifyError::Format) };
    let mut verifier = DetachedVerifierBuilder::from_bytes(signature.as_bytes())
        .and_then(|builder| builder.with_policy(&policy, system_time(at), check))
        .map_err(|_| VerifyError::Format)?;
    // Its own error says only that `SignerCheck::check` was not reached.
    let _ = verifier.verify_bytes(document);
    verifier.into_helper().outcome
}

struct SignerCheck<'a> {
    signers: &'a [Certificate],
    policy: &'a StandardPolicy<'static>,
    at: UnixMillis,
    outcome: Result<Fingerprint, VerifyError>,
}

impl SignerCheck<'_> {
    /// The signature fits; does its signer count today?
    fn judge(&self, good: &GoodChecksum<'_>) -> Result<Fingerprint, VerifyError> {
        let (cert, key) = (good.ka.cert(), &good.ka);
        if good.sig.typ() != SignatureType::Binary {
            return Err(VerifyError::Signature);
        }
        if is_revoked(cert) || key.self_revocations().next().is_some() {
            return Err(VerifyError::Signer);
        }
        let time = system_time(self.at);
        let today = key.amalgamation().clone().with_policy(self.policy, time).map_err(|_| VerifyError::Signer)?;
        let alive = today.valid_cert().alive().is_ok() && today.alive().is_ok();
        if alive && today.for_signing() { Ok(fingerprint_of(cert)) } else { Err(VerifyError::Signer) }
    }
}

impl VerificationHelper for SignerCheck<'_> {
    fn get_certs(&mut self, ids: &[KeyHandle]) -> sequoia_openpgp::Result<Vec<Cert>> {
        let named =
            |cert: &&Certificate| cert.cert().keys().any(|k| ids.iter().any(|id| id.aliases(k.key().key_handle())));
        Ok(self.signers.iter().filter(named).map(|cert| cert.cert().clone()).collect())
    }

    fn check(&mut self, structure: MessageStructure<'_>) -> sequoia_openpgp::Result<()> {
        use sequoia_openpgp::parse::stream::VerificationError as E;
        let mut outcome = Err(VerifyError::Format);
        for layer in structure {
            let MessageLayer::SignatureGroup { results } = layer else { continue };
            for result in results {
                let judged = match &result {
                    Ok(good) => self.judge(good),
                    Err(E::MissingKey { .. } | E::UnboundKey { .. } | E::BadKey { .. }) => Err(VerifyError::Signer),
                    // The rest: it does not fit, expired, or has a form that cannot be checked.
                    Err(_) => Err(VerifyError::Signature),
                };
                outcome = better(outcome, judged);
            }
        }
        self.outcome = outcome;
        Ok(())
    }
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
