//! Detached signatures: who counts as a signer, and when.

#![allow(clippy::panic, clippy::unwrap_used, reason = "functions shared by tests are test code too")]

use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use keystead_core::{
    error::Coded,
    openpgp::{Certificate, SecretCertificate, sign_detached, verify_detached},
    time::UnixMillis,
};
use sequoia_openpgp::{
    Cert, Packet,
    cert::CertBuilder,
    packet::signature::SignatureBuilder,
    policy::StandardPolicy,
    serialize::SerializeInto,
    types::{HashAlgorithm, KeyFlags, ReasonForRevocation, SignatureType},
};

const DAY: u64 = 86_400;
/// When the signer's key was made: 2026-05-28T20:26:40Z.
const MADE: u64 = 1_780_000_000;
/// When the document was signed, unless a test says otherwise.
const SIGNED: u64 = MADE + 10 * DAY;
/// Now.
const NOW: UnixMillis = UnixMillis((MADE + 20 * DAY) * 1000);

const DOCUMENT: &[u8] = b"{\"kind\":\"roster\",\"people\":[]}";

fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn made(flags: KeyFlags, lives_days: Option<u64>) -> Cert {
    let mut builder = CertBuilder::new().set_creation_time(time(MADE)).add_userid("IT desk <it@example.org>");
    if let Some(days) = lives_days {
        builder = builder.set_validity_period(Duration::from_secs(days * DAY));
    }
    builder.add_subkey(flags, None, None).generate().unwrap().0
}

fn signer() -> Cert {
    made(KeyFlags::empty().set_signing(), None)
}

fn secret(cert: &Cert) -> SecretCertificate {
    SecretCertificate::parse(&cert.as_tsk().to_vec().unwrap(), None).unwrap()
}

fn public(cert: &Cert) -> Certificate {
    Certificate::parse_all(&cert.to_vec().unwrap()).unwrap().remove(0)
}

fn at(seconds: u64) -> UnixMillis {
    UnixMillis(seconds * 1000)
}

fn code(signature: &str, signers: &[Certificate], at: UnixMillis) -> &'static str {
    verify_detached(DOCUMENT, signature, signers, at).map_or_else(|e| e.code().as_str(), |_| "good")
}

fn revoked(cert: Cert, reason: ReasonForRevocation, when: u64) -> Cert {
    let mut key = cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let builder = SignatureBuilder::new(SignatureType::KeyRevocation).set_signature_creation_time(time(when)).unwrap();
    let builder = builder.set_reason_for_revocation(reason, b"").unwrap();
    let revocation = builder.sign_direct_key(&mut key, None).unwrap();
    cert.insert_packets(Packet::from(revocation)).unwrap().0
}

/// A signature made with the signer's subkey, of any kind and strength.
fn signed_by_hand(cert: &Cert, kind: SignatureType, hash: HashAlgorithm, lives: Option<u64>) -> String {
    let policy = StandardPolicy::at(time(SIGNED));
    let valid = cert.with_policy(&policy, time(SIGNED)).unwrap();
    let key = valid.keys().for_signing().secret().next().unwrap().key().clone();
    let mut builder =
        SignatureBuilder::new(kind).set_hash_algo(hash).set_signature_creation_time(time(SIGNED)).unwrap();
    if let Some(days) = lives {
        builder = builder.set_signature_validity_period(Duration::from_secs(days * DAY)).unwrap();
    }
    let signature = builder.sign_message(&mut key.into_keypair().unwrap(), DOCUMENT).unwrap();
    let mut writer = sequoia_openpgp::armor::Writer::new(Vec::new(), sequoia_openpgp::armor::Kind::Signature).unwrap();
    std::io::Write::write_all(&mut writer, &Packet::from(signature).to_vec().unwrap()).unwrap();
    String::from_utf8(writer.finalize().unwrap()).unwrap()
}

#[test]
fn the_named_signer_counts_and_nobody_else() {
    let (it, eve) = (signer(), signer());
    let signature = sign_detached(DOCUMENT, &secret(&it), at(SIGNED)).unwrap();
    let found = verify_detached(DOCUMENT, &signature, &[public(&eve), public(&it)], NOW).unwrap();
    assert_eq!(found, public(&it).fingerprint());
    assert_eq!(code(&signature, &[public(&eve)], NOW), "KS-SGN-SIGNER");
    assert_eq!(code(&signature, &[], NOW), "KS-SGN-SIGNER");
    let other = verify_detached(b"{}", &signature, &[public(&it)], NOW).unwrap_err();
    assert_eq!(other.code().as_str(), "KS-SGN-SIGNATURE");
}

#[test]
fn a_signer_that_is_revoked_for_whatever_reason_and_whenever_does_not_count() {
    for reason in [ReasonForRevocation::KeyCompromised, ReasonForRevocation::KeyRetired] {
        for when in [SIGNED - DAY, SIGNED + DAY, MADE + 30 * DAY] {
            let it = signer();
            let signature = sign_detached(DOCUMENT, &secret(&it), at(SIGNED)).unwrap();
            assert_eq!(code(&signature, &[public(&it)], NOW), "good");
            let it = revoked(it, reason, when);
            assert_eq!(code(&signature, &[public(&it)], NOW), "KS-SGN-SIGNER", "{reason:?} {when}");
            assert!(sign_detached(DOCUMENT, &secret(&it), NOW).is_err());
        }
    }
}

#[test]
fn a_signer_counts_within_its_lifetime_only() {
    let it = made(KeyFlags::empty().set_signing(), Some(15));
    let signature = sign_detached(DOCUMENT, &secret(&it), at(SIGNED)).unwrap();
    assert_eq!(code(&signature, &[public(&it)], at(SIGNED + DAY)), "good");
    assert_eq!(code(&signature, &[public(&it)], NOW), "KS-SGN-SIGNER", "expired since");
    assert!(sign_detached(DOCUMENT, &secret(&it), NOW).is_err());
}

#[test]
fn a_key_that_is_not_for_signing_does_not_sign() {
    let encrypting = made(KeyFlags::empty().set_transport_encryption(), None);
    assert!(sign_detached(DOCUMENT, &secret(&encrypting), NOW).is_err());
}

#[test]
fn a_signature_from_the_future_is_none() {
    let it = signer();
    let signature = sign_detached(DOCUMENT, &secret(&it), at(SIGNED)).unwrap();
    assert_eq!(code(&signature, &[public(&it)], at(SIGNED - DAY)), "KS-SGN-SIGNATURE");
}

#[test]
fn only_strong_unexpired_signatures_of_the_exact_bytes_count() {
    let it = signer();
    let by_hand = |kind, hash, lives| code(&signed_by_hand(&it, kind, hash, lives), &[public(&it)], NOW);
    use HashAlgorithm::{SHA1, SHA512};
    assert_eq!(by_hand(SignatureType::Binary, SHA512, None), "good");
    assert_eq!(by_hand(SignatureType::Text, SHA512, None), "KS-SGN-SIGNATURE", "line ends may change");
    assert_eq!(by_hand(SignatureType::Binary, SHA1, None), "KS-SGN-SIGNATURE");
    assert_eq!(by_hand(SignatureType::Binary, SHA512, Some(30)), "good");
    assert_eq!(by_hand(SignatureType::Binary, SHA512, Some(5)), "KS-SGN-SIGNATURE", "expired");
}

#[test]
fn one_good_signature_among_others_is_enough() {
    let (it, eve) = (signer(), signer());
    let good = sign_detached(DOCUMENT, &secret(&it), at(SIGNED)).unwrap();
    let foreign = sign_detached(DOCUMENT, &secret(&eve), at(SIGNED)).unwrap();
    let packets = |armored: &str| {
        let mut bytes = Vec::new();
        let mut reader = sequoia_openpgp::armor::Reader::from_bytes(armored.as_bytes(), None);
        std::io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
        bytes
    };
    let mut writer = sequoia_openpgp::armor::Writer::new(Vec::new(), sequoia_openpgp::armor::Kind::Signature).unwrap();
    std::io::Write::write_all(&mut writer, &[packets(&foreign), packets(&good)].concat()).unwrap();
    let both = String::from_utf8(writer.finalize().unwrap()).unwrap();
    assert_eq!(code(&both, &[public(&it)], NOW), "good");
}

#[test]
fn what_is_no_signature_is_refused_as_such() {
    let it = [public(&signer())];
    let certificate = it[0].to_armored();
    let huge = format!("-----BEGIN PGP SIGNATURE-----\n\n{}", "A".repeat(100_000));
    let broken = "-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n";
    for text in ["", "<html>", &certificate, &huge, broken] {
        assert_eq!(code(text, &it, NOW), "KS-SGN-FORMAT", "{:.30}", text);
    }
}

#[test]
fn a_public_certificate_is_no_secret_one() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/openpgp/keys");
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    assert!(SecretCertificate::parse(&read("alice.asc"), None).is_err());
    let stripped = Certificate::parse_all(&read("alice.sec.asc")).unwrap().remove(0);
    assert!(SecretCertificate::parse(&stripped.to_bytes(), None).is_err());
    assert!(!stripped.to_armored().contains("PRIVATE"));
    assert_eq!(stripped, Certificate::parse_all(&read("alice.asc")).unwrap().remove(0));
}
