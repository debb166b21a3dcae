//! What counts as valid, for recipients and signers alike.

use std::time::{Duration, SystemTime};

use sequoia_openpgp::{
    Cert,
    cert::amalgamation::ComponentAmalgamation,
    crypto::mpi::PublicKey,
    packet::{
        Key, Signature, UserID,
        key::{KeyParts, KeyRole},
    },
    policy::{AsymmetricAlgorithm, StandardPolicy},
    types::{HashAlgorithm, ReasonForRevocation},
};

use crate::time::UnixMillis;

/// A time as OpenPGP has it: whole seconds, the last of them in 2106.
pub(super) fn system_time(at: UnixMillis) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(at.seconds().min(u64::from(u32::MAX)))
}

/// Sequoia's standard policy as of a time; what is broken today stays broken for a clock that runs behind.
pub(super) fn policy_at(at: UnixMillis) -> StandardPolicy<'static> {
    let mut policy = StandardPolicy::at(system_time(at));
    for hash in [HashAlgorithm::MD5, HashAlgorithm::SHA1, HashAlgorithm::RipeMD] {
        policy.reject_hash(hash);
    }
    use AsymmetricAlgorithm::{DSA1024, ElGamal1024, RSA1024};
    for algorithm in [RSA1024, DSA1024, ElGamal1024] {
        policy.reject_asymmetric_algo(algorithm);
    }
    policy
}

/// Takes what was good in 1970: only to say *weak* of what would otherwise be valid, and to heed weakly signed
/// revocations. Never to accept anything.
pub(super) fn lenient_policy() -> StandardPolicy<'static> {
    StandardPolicy::at(SystemTime::UNIX_EPOCH)
}

/// The largest RSA modulus that the cryptographic backend takes, in bits.
const MAX_RSA_BITS: usize = 4096;

/// Is this a kind of key that we can verify with and encrypt to?
pub(super) fn can_use<P: KeyParts, R: KeyRole>(key: &Key<P, R>) -> bool {
    // Sequoia's own filter looks at the algorithm only, not at the curve.
    let shape = match key.mpis() {
        PublicKey::RSA { n, .. } => n.bits() <= MAX_RSA_BITS,
        PublicKey::EdDSA { curve, .. } | PublicKey::ECDSA { curve, .. } | PublicKey::ECDH { curve, .. } => {
            curve.is_supported()
        }
        _ => true,
    };
    shape && key.pk_algo().is_supported()
}

/// Is there any revocation of the certificate? Hard or soft, whatever its date, its algorithms and newer
/// self-signatures: a revocation once seen is kept.
///
/// A revocation in the name of a third party counts where the certificate itself designates that party (RFC 9580,
/// section 5.2.3.23): it cannot be checked without the revoker's certificate, and doubt means no.
pub(super) fn is_revoked(cert: &Cert) -> bool {
    let primary = cert.primary_key();
    primary.self_revocations().next().is_some() || primary.other_revocations().any(|s| by_designated_revoker(cert, s))
}

/// Do all revocations by the certificate's owner say that it was replaced or put out of use (RFC 9580, section 5.2.3.31)?
/// Those in the name of somebody else are not verified here: enough to stop using it, too little to call it stolen.
pub(super) fn is_revoked_softly(cert: &Cert) -> bool {
    let primary = cert.primary_key();
    let soft = |revocation: &Signature| {
        let reason = revocation.reason_for_revocation().map(|(reason, _)| reason);
        matches!(reason, Some(ReasonForRevocation::KeySuperseded | ReasonForRevocation::KeyRetired))
    };
    primary.self_revocations().all(soft)
}

pub(super) fn by_designated_revoker(cert: &Cert, revocation: &Signature) -> bool {
    cert.revocation_keys(&lenient_policy()).any(|key| {
        let designated = sequoia_openpgp::KeyHandle::from(key.revoker().1.clone());
        revocation.get_issuers().iter().any(|issuer| issuer.aliases(&designated))
    })
}

/// Has the owner revoked this user ID since `bound`, when it was last bound? (A user ID may be bound anew, RFC 9580,
/// section 5.2.1.13, so an older revocation does not count.)
pub(super) fn user_id_revoked(id: &ComponentAmalgamation<'_, UserID>, bound: SystemTime) -> bool {
    id.self_revocations().any(|revocation| created(revocation) >= bound)
}

/// When a signature was made; the end of time where it does not say.
pub(super) fn created(signature: &Signature) -> SystemTime {
    signature.signature_creation_time().unwrap_or_else(|| system_time(UnixMillis(u64::MAX)))
}
