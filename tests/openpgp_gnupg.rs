//! What is sealed and signed here, the real GnuPG opens and verifies; and the other way round.

#![allow(clippy::panic, clippy::unwrap_used, reason = "functions shared by tests are test code too")]

use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use keystead_core::{
    ident::Fingerprint,
    openpgp::{
        AcceptanceRule, Certificate, RecipientAccepted, SealError, SecretCertificate, dangerous_open, seal,
        sign_detached, verify_detached,
    },
    secret::SecretText,
    time::UnixMillis,
};
use keystead_testbed::Gpg;
use sequoia_openpgp::{
    Cert, PacketPile, Profile, cert::CertBuilder, packet::Tag, parse::Parse, serialize::SerializeInto, types::Features,
};

/// Within the lifetime of every key of the vectors: 2027-01-15T08:00:00Z.
const AT: UnixMillis = UnixMillis(1_800_000_000_000);

const TEXT: &str = "EsT1 2345 Schlüssel\nfor @ann:example.org\n";

fn key(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/openpgp/keys");
    fs::read_to_string(folder.join(format!("{name}.asc"))).unwrap()
}

fn certificate(armored: &str) -> Certificate {
    Certificate::parse_all(armored.as_bytes()).unwrap().remove(0)
}

fn accept(certificate: &Certificate) -> RecipientAccepted {
    let rule = AcceptanceRule { fingerprint: Some(certificate.fingerprint()), ..AcceptanceRule::default() };
    rule.accept(certificate, AT).unwrap()
}

fn sealed_to(names: &[&str]) -> String {
    let recipients: Vec<_> = names.iter().map(|name| accept(&certificate(&key(name)))).collect();
    seal(&SecretText::new(TEXT.to_owned()), &recipients).unwrap()
}

/// A key ring with one secret key.
async fn ring(secret: &str) -> Gpg {
    let gpg = Gpg::new().unwrap();
    gpg.import(secret).await.unwrap();
    gpg
}

#[tokio::test]
async fn gnupg_opens_what_is_sealed_to_each_kind_of_key() {
    for name in ["alice", "rsa3072", "p256", "v4legacy"] {
        let sealed = sealed_to(&[name]);
        let opened = ring(&key(&format!("{name}.sec"))).await.decrypt(&sealed).await.unwrap();
        assert_eq!(String::from_utf8(opened).unwrap(), TEXT, "{name}");
    }
}

#[tokio::test]
async fn gnupg_opens_what_is_sealed_to_several_with_each_of_their_keys_and_no_other() {
    let sealed = sealed_to(&["alice", "rsa3072", "p256"]);
    for name in ["alice.sec", "rsa3072.sec", "p256.sec"] {
        let opened = ring(&key(name)).await.decrypt(&sealed).await.unwrap();
        assert_eq!(String::from_utf8(opened).unwrap(), TEXT, "{name}");
    }
    assert!(ring(&key("bob.sec")).await.decrypt(&sealed).await.is_err());
}

#[tokio::test]
async fn a_message_is_integrity_protected_uncompressed_and_says_nothing_besides() {
    let gpg = ring(&key("alice.sec")).await;
    let packets = gpg.run(&["--list-packets", "--verbose"], sealed_to(&["alice", "p256"]).as_bytes()).await.unwrap();
    let packets = String::from_utf8_lossy(&packets);
    assert_eq!(packets.matches(":pubkey enc packet:").count(), 2, "{packets}");
    assert!(packets.contains("mdc_method: 2"), "{packets}");
    assert!(!packets.contains(":compressed packet:"), "{packets}");
    assert!(packets.contains("created 0, name=\"\""), "{packets}");
}

#[tokio::test]
async fn an_altered_message_does_not_open() {
    let sealed = sealed_to(&["alice"]);
    let gpg = ring(&key("alice.sec")).await;
    let secret = SecretCertificate::parse(key("alice.sec").as_bytes(), None).unwrap();
    assert_eq!(dangerous_open(&sealed, &secret, AT).unwrap().expose("test"), TEXT);
    let altered = altered(&sealed);
    assert!(gpg.decrypt(&altered).await.is_err());
    assert!(dangerous_open(&altered, &secret, AT).is_err());
}

/// The message with one character of its last full line changed, and without its checksum.
fn altered(sealed: &str) -> String {
    let mut lines: Vec<String> = sealed.lines().filter(|line| !line.starts_with('=')).map(str::to_owned).collect();
    let last = lines.len() - 3;
    let other = if lines[last].as_bytes()[10] == b'A' { "B" } else { "A" };
    lines[last].replace_range(10..11, other);
    lines.join("\n") + "\n"
}

/// The version of the container of an encrypted message: 1 with a modification detection code, 2 authenticated.
fn container_version(sealed: &str) -> u8 {
    let pile = PacketPile::from_bytes(sealed.as_bytes()).unwrap();
    pile.children().find(|packet| packet.tag() == Tag::SEIP).unwrap().version().unwrap()
}

/// A new version 6 certificate, which says that it can open authenticated encryption.
fn modern() -> SecretCertificate {
    let made = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    let builder = CertBuilder::new().set_profile(Profile::RFC9580).unwrap().set_creation_time(made);
    let (cert, _) = builder.add_userid("<ann@example.org>").add_transport_encryption_subkey().generate().unwrap();
    SecretCertificate::parse(&cert.as_tsk().to_vec().unwrap(), None).unwrap()
}

/// A new version 4 certificate, which says that it can open authenticated encryption too, as Sequoia makes them.
fn promising() -> Cert {
    let made = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    let builder = CertBuilder::new().set_profile(Profile::RFC4880).unwrap().set_creation_time(made);
    let builder = builder.set_features(Features::empty().set_seipdv1().set_seipdv2()).unwrap();
    builder.add_userid("<ann@example.org>").add_transport_encryption_subkey().generate().unwrap().0
}

#[tokio::test]
async fn gnupg_opens_what_is_sealed_to_a_certificate_that_promises_more_than_gnupg_keeps() {
    let cert = promising();
    let secret = String::from_utf8(cert.as_tsk().armored().to_vec().unwrap()).unwrap();
    let recipient = accept(&SecretCertificate::parse(secret.as_bytes(), None).unwrap().certificate());
    let sealed = seal(&SecretText::new(TEXT.to_owned()), &[recipient]).unwrap();
    assert_eq!(String::from_utf8(ring(&secret).await.decrypt(&sealed).await.unwrap()).unwrap(), TEXT);
}

#[test]
fn authenticated_encryption_is_used_where_every_recipient_is_of_version_6_and_says_that_it_can_open_it() {
    let from_file = |name: &str| SecretCertificate::parse(key(&format!("{name}.sec")).as_bytes(), None).unwrap();
    let cases = [
        (vec![modern()], 2),
        (vec![modern(), modern()], 2),
        (vec![modern(), from_file("rsa3072")], 1),
        (vec![SecretCertificate::parse(&promising().as_tsk().to_vec().unwrap(), None).unwrap()], 1),
        // These say that they can not, whatever their version.
        (vec![from_file("v6"), from_file("v6x448"), from_file("v4new")], 1),
        (vec![from_file("alice")], 1),
    ];
    for (secrets, version) in cases {
        let recipients: Vec<_> = secrets.iter().map(|secret| accept(&secret.certificate())).collect();
        let sealed = seal(&SecretText::new(TEXT.to_owned()), &recipients).unwrap();
        assert_eq!(container_version(&sealed), version);
        for secret in &secrets {
            assert_eq!(dangerous_open(&sealed, secret, AT).unwrap().expose("test"), TEXT);
        }
        assert!(dangerous_open(&sealed, &from_file("bob"), AT).is_err());
    }
}

#[test]
fn nobody_is_no_recipient_and_the_same_one_twice_is_one() {
    let text = SecretText::new(TEXT.to_owned());
    assert_eq!(seal(&text, &[]).unwrap_err(), SealError::NoRecipient);
    let sealed = sealed_to(&["alice", "alice"]);
    let pile = PacketPile::from_bytes(sealed.as_bytes()).unwrap();
    assert_eq!(pile.children().filter(|packet| packet.tag() == Tag::PKESK).count(), 1);
}

#[tokio::test]
async fn what_gnupg_encrypts_opens_here() {
    let gpg = ring(&key("rsa3072.sec")).await;
    let fingerprint = certificate(&key("rsa3072")).fingerprint();
    let clock = "--faked-system-time=20270115T080000";
    let arguments = [clock, "--armor", "--trust-model", "always", "--recipient", fingerprint.as_str(), "--encrypt"];
    let message = String::from_utf8(gpg.run(&arguments, TEXT.as_bytes()).await.unwrap()).unwrap();
    let secret = SecretCertificate::parse(key("rsa3072.sec").as_bytes(), None).unwrap();
    assert_eq!(dangerous_open(&message, &secret, AT).unwrap().expose("test"), TEXT);
}

#[tokio::test]
async fn a_secret_key_that_gnupg_locked_opens_with_its_passphrase_only() {
    let gpg = Gpg::new().unwrap();
    let passphrase = ["--faked-system-time=20270101T080000", "--passphrase", "correct horse"];
    let generate = ["--quick-generate-key", "Ann Lee <ann@example.org>", "future-default", "default", "never"];
    gpg.run(&[&passphrase[..], &generate].concat(), b"").await.unwrap();
    let export = [&passphrase[..], &["--armor", "--export-secret-keys"]].concat();
    let locked = gpg.run(&export, b"").await.unwrap();

    let parse = |text: &str| SecretCertificate::parse(&locked, Some(&SecretText::new(text.to_owned())));
    assert!(SecretCertificate::parse(&locked, None).is_err());
    assert!(parse("correct  horse").is_err());
    let secret = parse("correct horse").unwrap();
    let sealed = seal(&SecretText::new(TEXT.to_owned()), &[accept(&secret.certificate())]).unwrap();
    assert_eq!(dangerous_open(&sealed, &secret, AT).unwrap().expose("test"), TEXT);
    assert!(sign_detached(b"x", &secret, AT).is_ok());
}

#[tokio::test]
async fn gnupg_verifies_what_is_signed_here() {
    let document = b"{\"kind\":\"roster\"}\n";
    for name in ["alice", "rsa3072", "p256"] {
        let secret = SecretCertificate::parse(key(&format!("{name}.sec")).as_bytes(), None).unwrap();
        let signature = sign_detached(document, &secret, AT).unwrap();
        let gpg = ring(&key(name)).await;
        let (signed, good) = (gpg.home().join("d.asc"), gpg.home().join("d"));
        fs::write(&signed, &signature).unwrap();
        fs::write(&good, document).unwrap();
        let verify =
            ["--faked-system-time=20270115T080001", "--verify", signed.to_str().unwrap(), good.to_str().unwrap()];
        gpg.run(&verify, b"").await.unwrap();
        fs::write(&good, b"{\"kind\":\"Roster\"}\n").unwrap();
        assert!(gpg.run(&verify, b"").await.is_err(), "{name}: gpg sees the difference");
        let signer = verify_detached(document, &signature, &[certificate(&key(name))], AT).unwrap();
        assert_eq!(signer, certificate(&key(name)).fingerprint());
    }
}

#[tokio::test]
async fn what_gnupg_signs_verifies_here() {
    let document = b"{\"kind\":\"roster\"}\n";
    for name in ["alice", "rsa3072", "p256"] {
        let signer: Fingerprint = certificate(&key(name)).fingerprint();
        let gpg = ring(&key(&format!("{name}.sec"))).await;
        let arguments =
            ["--faked-system-time=20270115T075900", "--armor", "--local-user", signer.as_str(), "--detach-sign"];
        let signature = String::from_utf8(gpg.run(&arguments, document).await.unwrap()).unwrap();
        let signers = [certificate(&key("bob")), certificate(&key(name))];
        assert_eq!(verify_detached(document, &signature, &signers, AT).unwrap(), signer, "{name}");
    }
}
