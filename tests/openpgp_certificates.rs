//! Reading certificates: several in one input, other things in their place, floods, and damaged ones.

#![allow(clippy::panic, clippy::unwrap_used, reason = "functions shared by tests are test code too")]

use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use keystead_core::{
    ident::{EmailAddress, Fingerprint},
    openpgp::{AcceptanceRule, Certificate, MAX_CERTIFICATES, MAX_INPUT, ParseError, Rejection},
    time::UnixMillis,
};
use proptest::prelude::*;
use sequoia_openpgp::{
    Cert, Packet,
    cert::CertBuilder,
    packet::{UserID, signature::SignatureBuilder},
    parse::Parse,
    serialize::SerializeInto,
    types::SignatureType,
};

const AT: UnixMillis = UnixMillis(1_800_000_000_000);

fn key(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/openpgp/keys");
    fs::read(folder.join(format!("{name}.asc"))).unwrap()
}

fn vector(name: &str) -> Certificate {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/openpgp/acceptance");
    let text = fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
    Certificate::parse_all(text.split_once("\n\n").unwrap().1.as_bytes()).unwrap().remove(0)
}

fn one(input: &[u8]) -> Certificate {
    let certificates = Certificate::parse_all(input).unwrap();
    assert_eq!(certificates.len(), 1);
    certificates.into_iter().next().unwrap()
}

fn fingerprints(input: &[u8]) -> Vec<Fingerprint> {
    Certificate::parse_all(input).unwrap().iter().map(Certificate::fingerprint).collect()
}

#[test]
fn several_certificates_are_read_however_they_are_put_together() {
    let names = ["alice", "rsa3072", "v6"];
    let wanted: Vec<_> = names.iter().map(|name| one(&key(name)).fingerprint()).collect();
    let blocks = names.map(key).concat();
    assert_eq!(fingerprints(&blocks), wanted, "armored blocks");
    let spaced = names.map(|name| [b"\r\n \n".to_vec(), key(name)].concat()).concat();
    assert_eq!(fingerprints(&spaced), wanted, "with blank lines between");
    let crlf = String::from_utf8(blocks.clone()).unwrap().replace('\n', "\r\n");
    assert_eq!(fingerprints(crlf.as_bytes()), wanted, "with line ends of Windows");
    let binary = names.map(|name| one(&key(name)).to_bytes()).concat();
    assert_eq!(fingerprints(&binary), wanted, "binary");
    assert_eq!(fingerprints(&[binary.clone(), binary].concat()), wanted, "each twice");
}

#[test]
fn copies_in_one_input_are_merged() {
    let copies = [vector("accepted").to_bytes(), vector("revoked-hard").to_bytes()].concat();
    let rule = AcceptanceRule { address: EmailAddress::parse("ann@example.org").ok(), ..AcceptanceRule::default() };
    assert!(rule.accept(&vector("accepted"), AT).is_ok());
    assert!(rule.accept(&one(&copies), AT).is_err());
}

#[test]
fn what_is_no_certificate_is_refused() {
    let armored = String::from_utf8(key("alice")).unwrap();
    let binary = one(&key("alice")).to_bytes();
    let page = format!("<html><pre>{armored}</pre></html>");
    let cut = &armored[..armored.len() / 2];
    let other = [
        &b""[..],
        b" \n",
        b"<html>Not found</html>",
        page.as_bytes(),
        b"{\"errcode\":\"M_UNKNOWN\"}",
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        cut.as_bytes(),
        &binary[..binary.len() - 1],
        &binary[..20],
        &[0xff; 64],
        &[0x80; 64],
    ];
    for input in other {
        let shown = String::from_utf8_lossy(&input[..input.len().min(40)]).into_owned();
        assert_eq!(Certificate::parse_all(input).unwrap_err(), ParseError::NotAKey, "{shown:?}");
    }
}

#[test]
fn one_damaged_certificate_spoils_the_input() {
    let mut binary = [one(&key("alice")).to_bytes(), one(&key("bob")).to_bytes()].concat();
    binary.truncate(binary.len() - 10);
    assert!(Certificate::parse_all(&binary).is_err());
}

#[test]
fn secret_parts_are_dropped() {
    for name in ["alice", "rsa3072", "p256", "v4new", "v6", "v6x448"] {
        let stripped = one(&key(&format!("{name}.sec")));
        assert_eq!(stripped, one(&key(name)), "{name}");
        assert!(!Cert::from_bytes(&stripped.to_bytes()).unwrap().is_tsk());
    }
}

#[test]
fn sizes_are_bounded() {
    let mut large = one(&key("alice")).to_bytes();
    large.resize(MAX_INPUT + 1, 0);
    assert_eq!(Certificate::parse_all(&large).unwrap_err(), ParseError::TooLarge);
    let copy = one(&key("alice")).to_bytes();
    assert!(Certificate::parse_all(&copy.repeat(MAX_CERTIFICATES)).is_ok());
    assert_eq!(Certificate::parse_all(&copy.repeat(MAX_CERTIFICATES + 1)).unwrap_err(), ParseError::TooLarge);
}

/// A certificate with this much of other people's signatures, made over and over.
fn flooded(cert: Cert, bytes: usize) -> Certificate {
    let made = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    let (eve, _) = CertBuilder::new().set_creation_time(made).add_userid("eve@evil.net").generate().unwrap();
    let mut signer = eve.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let id: UserID = cert.userids().next().unwrap().userid().clone();
    let note = vec![b'x'; 60_000];
    let count = bytes / note.len() + 1;
    let signatures: Vec<Packet> = (0..count)
        .map(|_| {
            let builder = SignatureBuilder::new(SignatureType::GenericCertification);
            let builder = builder.set_signature_creation_time(made).unwrap();
            let builder = builder.set_notation("flood@evil.net", &note, None, false).unwrap();
            builder.sign_userid_binding(&mut signer, cert.primary_key().key(), &id).unwrap().into()
        })
        .collect();
    let packets: Vec<Packet> = std::iter::once(Packet::from(id)).chain(signatures).collect();
    let cert = cert.insert_packets(packets).unwrap().0;
    Certificate::parse_all(&cert.to_vec().unwrap()).unwrap().remove(0)
}

#[test]
fn a_flood_neither_bursts_the_store_nor_washes_a_revocation_or_the_certification_away() {
    let half = (1 << 20) + (1 << 18);
    let cert = |name| Cert::from_bytes(&vector(name).to_bytes()).unwrap();
    let rule = AcceptanceRule { address: EmailAddress::parse("ann@example.org").ok(), ..AcceptanceRule::default() };

    // Two floods together are too much: the first copy's goes, with its certifications; the second one's stays.
    let certifier =
        fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/openpgp/certifiers/good.asc"));
    let certified = AcceptanceRule { certifiers: vec![one(&certifier.unwrap())], ..rule.clone() };
    let (known, fresh) = (flooded(cert("accepted-certified"), half), flooded(cert("accepted-certified"), half));
    let merged = known.merge(&fresh).unwrap();
    assert!(certified.accept(&merged, AT).is_ok());
    assert!(merged.to_armored().len() < MAX_INPUT);
    assert!(merged.to_bytes().len() > half, "what fits is kept");

    let (known, fresh) = (flooded(cert("revoked-hard"), half), flooded(cert("accepted"), 2 * half));
    let merged = known.merge(&fresh).unwrap();
    assert!(merged.to_bytes().len() < 10_000, "nothing of the flood is left");
    assert!(rule.accept(&merged, AT).is_err());
    let accepted = flooded(cert("accepted"), half).merge(&fresh).unwrap();
    assert!(rule.accept(&accepted, AT).is_ok());
    assert_eq!(one(accepted.to_armored().as_bytes()), accepted);
}

/// A certificate with a flood of signatures in its owner's own name, none of which fits: on some servers anyone can put
/// them there.
fn flooded_in_its_own_name(cert: Cert, bytes: usize, seed: u8) -> Certificate {
    let made = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    let (eve, _) = CertBuilder::new().set_creation_time(made).add_userid("eve@evil.net").generate().unwrap();
    let mut signer = eve.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let (owner, id) = (cert.primary_key().key().clone(), cert.userids().next().unwrap().userid().clone());
    let note = vec![seed; 30_000];
    let builder = |kind| {
        let builder = SignatureBuilder::new(kind).set_signature_creation_time(made).unwrap();
        let builder = builder.set_notation("flood@evil.net", &note, None, false).unwrap();
        builder.set_issuer(cert.keyid()).unwrap().set_issuer_fingerprint(cert.fingerprint()).unwrap()
    };
    let (mut direct, mut on_id): (Vec<Packet>, _) = (Vec::new(), vec![Packet::from(id.clone())]);
    for _ in 0..=bytes / note.len() / 2 {
        direct.push(builder(SignatureType::KeyRevocation).sign_direct_key(&mut signer, &owner).unwrap().into());
        let binding = builder(SignatureType::PositiveCertification);
        on_id.push(binding.sign_userid_binding(&mut signer, &owner, &id).unwrap().into());
    }
    let cert = cert.insert_packets(direct).unwrap().0.insert_packets(on_id).unwrap().0;
    Certificate::parse_all(&cert.to_vec().unwrap()).unwrap().remove(0)
}

#[test]
fn a_flood_in_the_owner_s_own_name_does_not_push_a_revocation_out() {
    let cert = |name| Cert::from_bytes(&vector(name).to_bytes()).unwrap();
    let rule = AcceptanceRule { address: EmailAddress::parse("ann@example.org").ok(), ..AcceptanceRule::default() };
    let flood = |seed| flooded_in_its_own_name(cert("accepted"), 1 << 20, seed);
    assert!(rule.accept(&flood(0), AT).is_ok(), "what does not fit revokes nothing");
    let mut known = vector("revoked-hard");
    for round in 0..6 {
        known = known.merge(&flood(round)).unwrap();
        let stored = one(known.to_armored().as_bytes());
        assert_eq!(rule.accept(&stored, AT).err(), Some(Rejection::Revoked), "round {round}");
        assert_eq!(rule.accept(&stored.reduced(&[]), AT).err(), Some(Rejection::Revoked), "round {round}");
        assert!(stored.reduced(&[]).to_bytes().len() < 4_000, "round {round}");
    }
}

/// A binary certificate, with one byte changed where `find` ends.
fn changed_behind(binary: &[u8], find: &[u8], to: u8) -> Vec<u8> {
    let at = binary.windows(find.len()).position(|window| window == find).unwrap() + find.len();
    [&binary[..at], &[to], &binary[at + 1..]].concat()
}

#[test]
fn what_was_read_can_always_be_written_and_read_again() {
    // An issuer of a version that nobody knows: it is read, and the library cannot write it.
    let binary = vector("accepted").to_bytes();
    let issuer_fingerprint = [22, 33];
    let changed = changed_behind(&binary, &issuer_fingerprint, 63);
    let read = one(&changed);
    assert_eq!(read.fingerprint(), vector("accepted").fingerprint());
    assert_eq!(one(read.to_armored().as_bytes()), read);
    assert_eq!(one(&read.to_bytes()), read);
}

#[test]
fn a_certifier_s_word_that_is_taken_back_stays_so_for_a_clock_that_runs_behind() {
    let made = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    let builder = || CertBuilder::new().set_creation_time(made).set_validity_period(None);
    let (it, _) = builder().add_userid("it@example.org").generate().unwrap();
    let (ann, _) = builder().add_userid("ann@example.org").add_transport_encryption_subkey().generate().unwrap();
    let mut signer = it.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let id = ann.userids().next().unwrap().userid().clone();
    let mut say = |kind, at: u64| -> Packet {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
        let builder = SignatureBuilder::new(kind).set_signature_creation_time(at).unwrap();
        builder.sign_userid_binding(&mut signer, ann.primary_key().key(), &id).unwrap().into()
    };
    let tomorrow = AT.seconds() + 86_400;
    let word = say(SignatureType::GenericCertification, 1_795_000_000);
    let taken_back = say(SignatureType::CertificationRevocation, tomorrow);
    let read = |packets: Vec<Packet>| {
        let packets: Vec<Packet> = std::iter::once(Packet::from(id.clone())).chain(packets).collect();
        one(&ann.clone().insert_packets(packets).unwrap().0.to_vec().unwrap())
    };
    let rule = AcceptanceRule {
        address: EmailAddress::parse("ann@example.org").ok(),
        certifiers: vec![one(&it.to_vec().unwrap())],
        ..AcceptanceRule::default()
    };
    assert!(rule.accept(&read(vec![word.clone()]), AT).is_ok());
    for certificate in [read(vec![word.clone(), taken_back.clone()]), read(vec![taken_back, word])] {
        assert_eq!(rule.accept(&certificate, AT).err(), Some(Rejection::Uncertified));
        assert_eq!(rule.accept(&certificate.reduced(&rule.certifiers), AT).err(), Some(Rejection::Uncertified));
    }
}

#[test]
fn what_was_seen_revoked_is_refused_whatever_copy_is_at_hand() {
    let good = vector("accepted-certified");
    let certifier =
        fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/openpgp/certifiers/good.asc"));
    let certifier = one(&certifier.unwrap());
    let address = EmailAddress::parse("ann@example.org").ok();
    let rule = AcceptanceRule { address, certifiers: vec![certifier.clone()], ..AcceptanceRule::default() };
    assert!(rule.accept(&good, AT).is_ok());
    let known = AcceptanceRule { revoked: vec![good.fingerprint()], ..rule.clone() };
    assert_eq!(known.accept(&good, AT).err(), Some(Rejection::Revoked));
    let known = AcceptanceRule { revoked: vec![certifier.fingerprint()], ..rule };
    assert_eq!(known.accept(&good, AT).err(), Some(Rejection::Uncertified), "no certifier is not any certifier");
}

proptest! {
    /// A damaged certificate is refused or read; it never stops the program, and what is read is not accepted for another.
    #[test]
    fn damage_does_no_harm(name in prop::sample::select(vec!["accepted", "accepted-rsa-2048", "accepted-p256", "accepted-certified"]),
                           changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = vector(name).to_bytes();
        for (at, value) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        let wanted = vector(name).fingerprint();
        let rule = AcceptanceRule { fingerprint: Some(wanted.clone()), ..AcceptanceRule::default() };
        for certificate in Certificate::parse_all(&bytes).unwrap_or_default() {
            if let Ok(accepted) = rule.accept(&certificate, AT) {
                prop_assert_eq!(accepted.fingerprint(), &wanted);
            }
        }
    }

    #[test]
    fn noise_is_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Certificate::parse_all(&bytes);
        let _ = Certificate::parse_all(&[b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n".to_vec(), bytes].concat());
    }
}
