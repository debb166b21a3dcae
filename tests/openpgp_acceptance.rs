//! The acceptance rule against `tests/vectors/openpgp/acceptance`: one defect a file, and a positive control for each
//! kind (`openpgp_vectors/make.rs` makes them).

#![allow(clippy::panic, clippy::unwrap_used, reason = "functions shared by tests are test code too")]

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

use keystead_core::{
    error::{Code, Coded},
    ident::{EmailAddress, Fingerprint},
    openpgp::{AcceptanceRule, Certificate, RecipientAccepted, Rejection, seal},
    secret::SecretText,
    time::UnixMillis,
};

struct Vector {
    name: String,
    expect: String,
    at: UnixMillis,
    rule: AcceptanceRule,
    certificate: Certificate,
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/openpgp").join(name)
}

fn certifier(name: &str) -> Certificate {
    let text = fs::read(folder("certifiers").join(format!("{name}.asc"))).unwrap();
    Certificate::parse_all(&text).unwrap().remove(0)
}

fn read_all() -> Vec<Vector> {
    let mut paths: Vec<_> = fs::read_dir(folder("acceptance")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(read).collect()
}

fn read(path: PathBuf) -> Vector {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let text = fs::read_to_string(&path).unwrap();
    let (header, copies) = text.split_once("\n\n").unwrap();
    let mut rule = AcceptanceRule::default();
    let (mut expect, mut at) = (String::new(), 0);
    for line in header.lines() {
        let (key, value) = line.split_once(": ").unwrap();
        match key {
            "about" => (),
            "expect" => expect = value.to_owned(),
            "at" => at = value.parse().unwrap(),
            "address" => rule.address = Some(EmailAddress::parse(value).unwrap()),
            "fingerprint" => rule.fingerprint = Some(Fingerprint::parse(value).unwrap()),
            "certifier" => rule.certifiers.push(certifier(value)),
            "certification-max-age" => {
                rule.certification_max_age = Some(Duration::from_secs(value.parse::<u64>().unwrap() * 86_400));
            }
            _ => panic!("{name}: unknown header {key}"),
        }
    }
    let certificates = Certificate::parse_all(copies.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let [certificate] = <[Certificate; 1]>::try_from(certificates).unwrap_or_else(|_| panic!("{name}: not one"));
    Vector { name, expect, at: UnixMillis(at * 1000), rule, certificate }
}

fn word(outcome: &Result<RecipientAccepted, Rejection>) -> &'static str {
    outcome.as_ref().map_or_else(|rejection| rejection.code().as_str(), |_| "accepted")
}

#[test]
fn every_vector_gets_its_code() {
    let vectors = read_all();
    let wrong: Vec<_> = vectors
        .iter()
        .map(|v| (v, v.rule.accept(&v.certificate, v.at)))
        .filter(|(v, outcome)| word(outcome) != v.expect)
        .map(|(v, outcome)| format!("{}: {} instead of {}", v.name, word(&outcome), v.expect))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");

    let seen: BTreeSet<_> = vectors.iter().map(|v| v.expect.as_str()).collect();
    let every = [
        Code::DirFingerprint,
        Code::DirRevoked,
        Code::DirWeak,
        Code::DirExpired,
        Code::DirWrongAddress,
        Code::DirNoEncryption,
        Code::DirUncertified,
        Code::DirCertificationOld,
    ];
    assert_eq!(seen, every.iter().map(|code| code.as_str()).chain(["accepted"]).collect());
    assert!(vectors.len() >= 70, "only {} vectors", vectors.len());
}

#[test]
fn what_is_accepted_survives_being_stored() {
    for v in read_all() {
        let armored = Certificate::parse_all(v.certificate.to_armored().as_bytes()).unwrap().remove(0);
        let binary = Certificate::parse_all(&v.certificate.to_bytes()).unwrap().remove(0);
        let reduced = v.certificate.reduced(&v.rule.certifiers);
        for copy in [armored, binary, reduced] {
            assert_eq!(word(&v.rule.accept(&copy, v.at)), v.expect, "{}", v.name);
        }
    }
}

#[test]
fn merging_in_either_order_gives_the_same_answer_and_never_undoes_a_revocation() {
    let good = read(folder("acceptance").join("accepted.txt"));
    for name in ["revoked-hard", "revoked-soft", "revoked-sha1", "revoked-tomorrow", "revoked-designated"] {
        let revoked = read(folder("acceptance").join(format!("{name}.txt")));
        let one = good.certificate.merge(&revoked.certificate).unwrap();
        let other = revoked.certificate.merge(&good.certificate).unwrap();
        for merged in [one, other] {
            assert_eq!(word(&good.rule.accept(&merged, good.at)), "KS-DIR-REVOKED", "{name}");
        }
    }
    let another = read(folder("acceptance").join("accepted-p256.txt"));
    assert!(good.certificate.merge(&another.certificate).is_none(), "copies of different certificates do not merge");
}

#[test]
fn the_rule_denies_where_it_names_nobody() {
    let good = read(folder("acceptance").join("accepted.txt"));
    let rejection = AcceptanceRule::default().accept(&good.certificate, good.at).unwrap_err();
    assert_eq!(rejection, Rejection::Fingerprint);
}

#[test]
fn the_first_reason_in_the_documented_order_is_given() {
    // Revoked, and for another address, uncertified and looked up by another fingerprint: undone one after the other.
    let revoked = read(folder("acceptance").join("revoked-soft.txt"));
    let good = read(folder("acceptance").join("accepted.txt"));
    let mut rule = AcceptanceRule {
        address: Some(EmailAddress::parse("bob@example.org").unwrap()),
        fingerprint: Some(Fingerprint::parse(&"0".repeat(40)).unwrap()),
        certifiers: vec![certifier("good")],
        certification_max_age: Some(Duration::ZERO),
        revoked: Vec::new(),
    };
    let of = |rule: &AcceptanceRule, v: &Vector, at| rule.accept(&v.certificate, at).unwrap_err();
    assert_eq!(of(&rule, &revoked, good.at), Rejection::Fingerprint);
    rule.fingerprint = Some(good.certificate.fingerprint());
    assert_eq!(of(&rule, &revoked, good.at), Rejection::Revoked);
    assert_eq!(of(&rule, &good, good.at), Rejection::Address);
    rule.address = good.rule.address.clone();
    assert_eq!(of(&rule, &good, good.at), Rejection::Uncertified);
    rule.certifiers.clear();
    let accepted = rule.accept(&good.certificate, good.at).unwrap();
    assert_eq!(
        (accepted.fingerprint(), accepted.user_id()),
        (&good.certificate.fingerprint(), "Ann Lee <ann@example.org>")
    );
}

#[test]
fn whatever_is_accepted_can_be_sealed_to() {
    let text = SecretText::new("EsT1".to_owned());
    for v in read_all() {
        if let Ok(accepted) = v.rule.accept(&v.certificate, v.at) {
            assert!(seal(&text, &[accepted]).is_ok(), "{}", v.name);
        }
    }
}

#[test]
fn nothing_of_a_certificate_or_recipient_is_printed() {
    let good = read(folder("acceptance").join("accepted.txt"));
    let accepted = good.rule.accept(&good.certificate, good.at).unwrap();
    assert_eq!(format!("{:?} {accepted:?}", good.certificate), "<OpenPGP certificate> <accepted recipient>");
}
