//! Makes `tests/vectors/openpgp/acceptance` anew: `cargo run --example make-openpgp-vectors`.
//!
//! Every certificate is Ann's, made of the same parts in the same way; each vector changes one thing. Keys are random, so
//! the files differ from run to run; what they are to show does not.

#![allow(clippy::unwrap_used, reason = "a failure ends it, and loses nothing")]

mod parts;

use std::{fs, io::Write, path::PathBuf};

use keystead_testbed::Gpg;
use sequoia_openpgp::{
    Packet,
    armor::{Kind, Writer},
    packet::{
        Key, Signature,
        key::{Key4, PublicParts, SubordinateRole},
        signature::SignatureBuilder,
    },
    serialize::Serialize,
    types::{Curve, HashAlgorithm, KeyFlags, ReasonForRevocation, RevocationKey, SignatureType},
};

use parts::*;

fn armored(packets: &[Packet]) -> String {
    let mut writer = Writer::new(Vec::new(), Kind::PublicKey).unwrap();
    for packet in packets {
        let mut bytes = Vec::new();
        packet.serialize(&mut bytes).unwrap();
        writer.write_all(&bytes).unwrap();
    }
    String::from_utf8(writer.finalize().unwrap()).unwrap()
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/openpgp").join(name)
}

/// Writes one vector: what it shows, the code to expect, more header lines, and the copies of the certificate.
fn vector(name: &str, about: &str, expect: &str, more: &str, copies: &[Vec<Packet>]) {
    let mut text = format!("about: {about}\nexpect: {expect}\n{more}");
    if !more.contains("at: ") {
        text += &format!("at: {AT}\n");
    }
    if !more.contains("address:") && !more.contains("fingerprint:") {
        text += "address: ann@example.org\n";
    }
    for copy in copies {
        text += &format!("\n{}", armored(copy));
    }
    fs::write(folder("acceptance").join(format!("{name}.txt")), text).unwrap();
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for entry in fs::read_dir(folder("acceptance")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    certificates();
    user_ids();
    algorithms();
    subkeys();
    certifications();
    unsupported().await;
}

/// Kinds of keys that only GnuPG makes here.
async fn unsupported() {
    let none = "KS-DIR-NO-ENCRYPTION";
    let ann = Keys::new();
    let mut packets = ann.good(vec![]);
    packets.truncate(3);
    // Nobody has to know how this modulus is factored.
    let large: Key<PublicParts, SubordinateRole> =
        Key4::import_public_rsa(&[1, 0, 1], &[0xff; 5120 / 8], time(MADE)).unwrap().into();
    let mut signer = ann.primary.clone().into_keypair().unwrap();
    let bound = subkey_binding(MADE).sign_subkey_binding(&mut signer, None, &large).unwrap();
    packets.extend([large.into(), bound.into()]);
    vector("unsupported-rsa-5120", "the subkey is RSA with more bits than we can use", none, "", &[packets]);

    let gpg = Gpg::new().unwrap();
    for (name, about, primary, subkey, expect) in [
        ("unsupported-primary", "the primary key is on a Brainpool curve", "brainpoolP256r1", "cv25519", none),
        ("unsupported-subkey", "the subkey is on a Brainpool curve", "ed25519", "brainpoolP256r1", none),
        ("accepted-rsa-4096", "the subkey is RSA with as many bits as we can use", "ed25519", "rsa4096", "accepted"),
    ] {
        let clock = ["--faked-system-time=20260601T000000"];
        let run = async |command: &[&str]| gpg.run(&[&clock, command].concat(), b"").await.unwrap();
        let id = format!("{name} <ann@example.org>");
        run(&["--quick-generate-key", &id, primary, "cert", "never"]).await;
        let listed = run(&["--with-colons", "--list-keys", &format!("={id}")]).await;
        let listed = String::from_utf8(listed).unwrap();
        let fingerprint = listed.lines().find_map(|line| line.strip_prefix("fpr:::::::::")).unwrap();
        let fingerprint = fingerprint.trim_end_matches(':');
        run(&["--quick-add-key", fingerprint, subkey, "encr", "never"]).await;
        let armored = gpg.export(fingerprint).await.unwrap();
        let text = format!("about: {about}\nexpect: {expect}\nat: {AT}\naddress: ann@example.org\n\n{armored}");
        fs::write(folder("acceptance").join(format!("{name}.txt")), text).unwrap();
    }
}

fn certificates() {
    use ReasonForRevocation::{KeyCompromised, KeyRetired};
    use SignatureType::KeyRevocation;
    let revoked = "KS-DIR-REVOKED";
    let ann = Keys::new();
    let other = Keys::new();
    vector(
        "accepted",
        "good in every respect; the others differ from it in one thing",
        "accepted",
        "",
        &[ann.good(vec![])],
    );

    let fingerprint = format!("fingerprint: {}\n", ann.primary.fingerprint().to_hex());
    vector("accepted-fingerprint", "the fingerprint that was looked up", "accepted", &fingerprint, &[ann.good(vec![])]);
    vector(
        "fingerprint",
        "another certificate than was looked up",
        "KS-DIR-FINGERPRINT",
        &fingerprint,
        &[other.good(vec![])],
    );

    let hard = || ann.revoke(&ann, revocation(KeyRevocation, AT - DAY, KeyCompromised));
    let soft = || ann.revoke(&ann, revocation(KeyRevocation, AT - DAY, KeyRetired));
    vector("revoked-hard", "revoked as compromised", revoked, "", &[ann.good(vec![hard()])]);
    vector("revoked-soft", "revoked as retired", revoked, "", &[ann.good(vec![soft()])]);
    vector(
        "revoked-second-copy",
        "the revocation is in the second of two copies only",
        revoked,
        "",
        &[ann.good(vec![]), ann.good(vec![soft()])],
    );
    vector(
        "revoked-first-copy",
        "the revocation is in the first of two copies only",
        revoked,
        "",
        &[ann.good(vec![hard()]), ann.good(vec![])],
    );
    let renewed = ann.certificate(
        vec![soft()],
        vec![(ANN, vec![ann.sign_user_id(&ann, ANN, binding(AT - 100))])],
        vec![ann.bind_subkey(subkey_binding(AT - 100))],
    );
    vector("revoked-soft-renewed", "revoked as retired, and self-signed anew since", revoked, "", &[renewed]);
    let early = ann.revoke(&ann, revocation(KeyRevocation, AT + DAY, KeyRetired));
    vector(
        "revoked-tomorrow",
        "the revocation is dated after the reference time",
        revoked,
        "",
        &[ann.good(vec![early])],
    );
    let weak = revocation(KeyRevocation, AT - DAY, KeyRetired).set_hash_algo(HashAlgorithm::SHA1);
    vector(
        "revoked-sha1",
        "the revocation is signed over SHA-1",
        revoked,
        "",
        &[ann.good(vec![ann.revoke(&ann, weak)])],
    );

    let designate = |sensitive| {
        let key = RevocationKey::new(other.primary.pk_algo(), other.primary.fingerprint(), sensitive);
        ann.revoke(&ann, dated(SignatureType::DirectKey, MADE).set_revocation_key(key).unwrap())
    };
    let by_other = || other.revoke(&ann, revocation(KeyRevocation, AT - DAY, KeyRetired));
    vector(
        "accepted-designated",
        "names another key that may revoke it, which has not",
        "accepted",
        "",
        &[ann.good(vec![designate(false)])],
    );
    vector(
        "revoked-designated",
        "revoked by the key it names for that",
        revoked,
        "",
        &[ann.good(vec![designate(false), by_other()])],
    );
    vector(
        "accepted-foreign-revocation",
        "revoked by a key that has no say",
        "accepted",
        "",
        &[ann.good(vec![by_other()])],
    );

    let id = |days| vec![(ANN, vec![ann.sign_user_id(&ann, ANN, lives(binding(MADE), days))])];
    let subkey = || vec![ann.bind_subkey(subkey_binding(MADE))];
    vector(
        "accepted-expires-later",
        "expires after the reference time",
        "accepted",
        "",
        &[ann.certificate(vec![], id(365), subkey())],
    );
    vector(
        "expired",
        "expired before the reference time",
        "KS-DIR-EXPIRED",
        "",
        &[ann.certificate(vec![], id(100), subkey())],
    );
    let mut late = Keys::new();
    late.primary.set_creation_time(time(AT + DAY)).unwrap();
    let late = late.certificate(
        vec![],
        vec![(ANN, vec![late.sign_user_id(&late, ANN, binding(AT + DAY))])],
        vec![late.bind_subkey(subkey_binding(AT + DAY))],
    );
    vector("not-yet", "made after the reference time", "KS-DIR-WRONG-ADDRESS", "", &[late]);
}

fn user_ids() {
    use SignatureType::CertificationRevocation;
    let wrong = "KS-DIR-WRONG-ADDRESS";
    let ann = Keys::new();
    for (name, id) in [
        ("bare", "ann@example.org"),
        ("brackets", "<ann@example.org>"),
        ("comment", "Ann Lee (work, since 2026) <ann@example.org>"),
        ("case", "Ann Lee <ANN@Example.ORG>"),
        ("unicode-name", "Änne Lée <ann@example.org>"),
    ] {
        vector(
            &format!("accepted-id-{name}"),
            "the address in another of the usual forms",
            "accepted",
            "",
            &[ann.named(id)],
        );
    }
    for (name, about, id) in [
        ("wrong", "somebody else", "Bob Lee <bob@example.org>"),
        ("longer-domain", "the address is the beginning of another", "Ann Lee <ann@example.org.evil.net>"),
        ("longer-local", "the address is the end of another", "Ann Lee <xann@example.org>"),
        ("subdomain", "a subdomain", "Ann Lee <ann@mail.example.org>"),
        ("plus", "a tag in the local part", "Ann Lee <ann+evil@example.org>"),
        ("look-alike", "a Cyrillic letter", "Ann Lee <\u{430}nn@example.org>"),
        ("two", "two addresses, the wanted one last", "Eve <eve@evil.net> <ann@example.org>"),
        ("two-first", "two addresses, the wanted one first", "Ann <ann@example.org> <eve@evil.net>"),
        ("two-list", "two addresses in one pair of brackets", "Ann <ann@example.org, eve@evil.net>"),
        ("two-name", "another address is the name", "eve@evil.net <ann@example.org>"),
        ("two-comment", "another address is the comment", "Eve (eve@evil.net) <ann@example.org>"),
        ("in-name", "the wanted address is only the name", "ann@example.org <eve@evil.net>"),
        ("in-comment", "the wanted address is only the comment", "Eve (ann@example.org) <eve@evil.net>"),
        ("behind", "text behind the brackets", "<ann@example.org> (not really)"),
        ("open", "brackets that do not close", "Ann <ann@example.org"),
        ("newline", "a line break", "Eve\nAnn <ann@example.org>"),
        ("invisible", "a character that turns the writing direction", "Eve \u{202e}Ann <ann@example.org>"),
    ] {
        vector(&format!("id-{name}"), about, wrong, "", &[ann.named(id)]);
    }

    let subkey = || vec![ann.bind_subkey(subkey_binding(MADE))];
    let bob = "Bob Lee <bob@example.org>";
    let with_bob =
        |signatures| ann.certificate(vec![], vec![(bob, vec![ann.self_sign(bob)]), (ANN, signatures)], subkey());
    vector("accepted-id-second", "the second of two user IDs", "accepted", "", &[with_bob(vec![ann.self_sign(ANN)])]);
    let revoke = |at, reason| ann.sign_user_id(&ann, ANN, revocation(CertificationRevocation, at, reason));
    let retired = || revoke(AT - DAY, ReasonForRevocation::UIDRetired);
    vector("id-revoked", "the user ID is revoked", wrong, "", &[with_bob(vec![retired(), ann.self_sign(ANN)])]);
    vector(
        "id-revoked-second-copy",
        "the user ID is revoked in the second copy only",
        wrong,
        "",
        &[with_bob(vec![ann.self_sign(ANN)]), with_bob(vec![retired()])],
    );
    let anew = ann.sign_user_id(&ann, ANN, binding(AT - 100));
    vector(
        "accepted-id-anew",
        "the user ID was revoked, and bound again since",
        "accepted",
        "",
        &[with_bob(vec![retired(), anew])],
    );
    let short = ann.sign_user_id(&ann, ANN, signature_lives(binding(MADE), 100));
    vector("id-expired", "the user ID's self-signature has expired", wrong, "", &[with_bob(vec![short])]);
    vector("id-unsigned", "the user ID is not self-signed", wrong, "", &[with_bob(vec![])]);
    let eve = Keys::new();
    let forged = eve.sign_user_id(&ann, ANN, binding(MADE));
    vector("id-foreign", "the user ID is signed by another key only", wrong, "", &[with_bob(vec![forged])]);
    let moved = eve.self_sign(ANN);
    vector(
        "id-moved",
        "the user ID's self-signature belongs to another certificate",
        wrong,
        "",
        &[with_bob(vec![moved])],
    );
}

fn algorithms() {
    let weak = "KS-DIR-WEAK";
    let sha1 = |builder: SignatureBuilder| builder.set_hash_algo(HashAlgorithm::SHA1);
    let ann = Keys::new();
    let subkey = || vec![ann.bind_subkey(subkey_binding(MADE))];
    let all_sha1 = ann.certificate(
        vec![],
        vec![(ANN, vec![ann.sign_user_id(&ann, ANN, sha1(binding(MADE)))])],
        vec![ann.bind_subkey(sha1(subkey_binding(MADE)))],
    );
    vector("weak-sha1", "all self-signatures are over SHA-1", weak, "", &[all_sha1]);
    let bob = "Bob Lee <bob@example.org>";
    let one = vec![(bob, vec![ann.self_sign(bob)]), (ANN, vec![ann.sign_user_id(&ann, ANN, sha1(binding(MADE)))])];
    vector(
        "weak-sha1-id",
        "the user ID's self-signature is over SHA-1, another's is not",
        weak,
        "",
        &[ann.certificate(vec![], one, subkey())],
    );
    let bound = ann.bind_subkey(sha1(subkey_binding(MADE)));
    vector("weak-sha1-subkey", "the subkey's binding is over SHA-1", weak, "", &[ann.with_subkey(vec![bound])]);

    let rsa = |bits| Key4::generate_rsa(bits).unwrap();
    for (name, expect, bits) in [("accepted-rsa-2048", "accepted", 2048), ("weak-rsa-1024", weak, 1024)] {
        let keys = Keys::of(rsa(bits).into(), Key4::generate_rsa(bits).unwrap().into());
        vector(name, &format!("RSA with {bits} bits"), expect, "", &[keys.good(vec![])]);
    }
    let mixed =
        Keys::of(Key4::generate_ecc(true, Curve::Ed25519).unwrap().into(), Key4::generate_rsa(1024).unwrap().into());
    vector("weak-rsa-1024-subkey", "the encryption key is RSA with 1024 bits", weak, "", &[mixed.good(vec![])]);
    for (name, curve) in [("p256", Curve::NistP256), ("p384", Curve::NistP384)] {
        let primary = Key4::generate_ecc(true, curve.clone()).unwrap().into();
        let keys = Keys::of(primary, Key4::generate_ecc(false, curve).unwrap().into());
        vector(&format!("accepted-{name}"), "a curve of NIST", "accepted", "", &[keys.good(vec![])]);
    }
    let then = "at: 1356998400\n";
    let old = |keys: Keys, hash| vec![keys.of_2010(hash)];
    let (sha1, sha256) = (HashAlgorithm::SHA1, HashAlgorithm::SHA256);
    vector("accepted-clock-behind", "SHA-256, at an earlier time", "accepted", then, &old(Keys::new(), sha256));
    vector("clock-behind-sha1", "SHA-1, at a time when it was still believed", weak, then, &old(Keys::new(), sha1));
    let keys = Keys::of(rsa(1024).into(), Key4::generate_rsa(1024).unwrap().into());
    vector("clock-behind-rsa-1024", "RSA with 1024 bits, when that was still believed", weak, then, &old(keys, sha256));
}

fn subkeys() {
    let none = "KS-DIR-NO-ENCRYPTION";
    let ann = Keys::new();
    let flags = |builder: SignatureBuilder, flags| builder.set_key_flags(flags).unwrap();
    let good = || ann.bind_subkey(subkey_binding(MADE));

    for (name, purpose) in [
        ("transport", KeyFlags::empty().set_transport_encryption()),
        ("storage", KeyFlags::empty().set_storage_encryption()),
    ] {
        let bound = ann.bind_subkey(flags(subkey_binding(MADE), purpose));
        vector(
            &format!("accepted-{name}"),
            "for one of the two ways of encryption only",
            "accepted",
            "",
            &[ann.with_subkey(vec![bound])],
        );
    }
    let mut sign_only = ann.good(vec![]);
    sign_only.truncate(3);
    vector("sign-only", "there is no subkey", none, "", &[sign_only]);
    let other = ann.bind_subkey(flags(subkey_binding(MADE), KeyFlags::empty().set_authentication()));
    vector("subkey-purpose", "the subkey is for authentication", none, "", &[ann.with_subkey(vec![other])]);
    vector("subkey-unbound", "nothing binds the subkey", none, "", &[ann.with_subkey(vec![])]);
    let eve = Keys::new();
    let mut signer = eve.primary.clone().into_keypair().unwrap();
    let foreign =
        subkey_binding(MADE).sign_subkey_binding(&mut signer, ann.primary.parts_as_public(), &ann.subkey).unwrap();
    vector("subkey-foreign", "another key binds the subkey", none, "", &[ann.with_subkey(vec![foreign])]);
    let mut inserted = ann.good(vec![]);
    inserted.truncate(3);
    inserted.push(eve.subkey.clone().take_secret().0.into());
    inserted.push(good().into());
    vector("subkey-replaced", "the binding belongs to another subkey", none, "", &[inserted]);
    let short = ann.bind_subkey(lives(subkey_binding(MADE), 100));
    vector("subkey-expired", "the subkey has expired", none, "", &[ann.with_subkey(vec![short])]);
    let revoke = |reason| {
        let builder = revocation(SignatureType::SubkeyRevocation, AT - DAY, reason);
        ann.bind_subkey(builder)
    };
    let hard = revoke(ReasonForRevocation::KeyCompromised);
    let soft = || revoke(ReasonForRevocation::KeyRetired);
    vector(
        "subkey-revoked-hard",
        "the subkey is revoked as compromised",
        none,
        "",
        &[ann.with_subkey(vec![hard, good()])],
    );
    vector(
        "subkey-revoked-soft",
        "the subkey is revoked as retired",
        none,
        "",
        &[ann.with_subkey(vec![soft(), good()])],
    );
    vector(
        "subkey-revoked-second-copy",
        "the subkey's revocation is in the second copy only",
        none,
        "",
        &[ann.with_subkey(vec![good()]), ann.with_subkey(vec![soft()])],
    );
}

fn certifications() {
    use SignatureType::{CertificationRevocation, PersonaCertification};
    let none = "KS-DIR-UNCERTIFIED";
    let (ann, it) = (Keys::new(), Keys::new());
    let desk = "IT desk <it@example.org>";
    let save = |name: &str, packets: &[Packet]| {
        fs::write(folder("certifiers").join(format!("{name}.asc")), armored(packets)).unwrap();
    };
    let it_id = |builder| vec![(desk, vec![it.sign_user_id(&it, desk, builder)])];
    save("good", &it.certificate(vec![], it_id(binding(MADE)), vec![]));
    save("expired", &it.certificate(vec![], it_id(lives(binding(MADE), 100)), vec![]));
    let revoke = revocation(SignatureType::KeyRevocation, AT - DAY, ReasonForRevocation::KeyRetired);
    save("revoked", &it.certificate(vec![it.revoke(&it, revoke)], it_id(binding(MADE)), vec![]));
    let signing = binding(MADE).set_key_flags(KeyFlags::empty().set_signing()).unwrap();
    save("sign-only", &it.certificate(vec![], it_id(signing), vec![]));
    let other = Keys::new();
    save("other", &other.certificate(vec![], vec![(desk, vec![other.self_sign(desk)])], vec![]));

    let by = |name: &str| format!("certifier: {name}\ncertification-max-age: 90\n");
    let certify = |builder| it.sign_user_id(&ann, ANN, builder);
    let recent = || certify(certification(AT - 10 * DAY));
    let old = || certify(certification(AT - 91 * DAY));
    let vouched = || ann.certified(vec![recent()]);
    vector("accepted-certified", "certified ten days ago", "accepted", &by("good"), &[vouched()]);
    let two = format!("certifier: other\n{}", by("good"));
    vector("accepted-certified-by-one", "certified by one of two certifiers", "accepted", &two, &[vouched()]);
    vector(
        "accepted-recertified",
        "certified long ago, and again",
        "accepted",
        &by("good"),
        &[ann.certified(vec![old(), recent()])],
    );
    vector(
        "accepted-ageless",
        "certified long ago, where the rule sets no age",
        "accepted",
        "certifier: good\n",
        &[ann.certified(vec![old()])],
    );
    vector(
        "certification-old",
        "certified 91 days ago, where 90 are allowed",
        "KS-DIR-CERTIFICATION-OLD",
        &by("good"),
        &[ann.certified(vec![old()])],
    );

    let refused = |name: &str, about: &str, certifier: &str, certifications: Vec<Signature>| {
        vector(name, about, none, &by(certifier), &[ann.certified(certifications)]);
    };
    refused("uncertified", "certified by nobody", "good", vec![]);
    refused("certified-by-another", "certified by somebody else than the rule names", "other", vec![recent()]);
    refused("certifier-expired", "the certifier has expired", "expired", vec![recent()]);
    refused("certifier-revoked", "the certifier is revoked", "revoked", vec![recent()]);
    refused("certifier-sign-only", "the certifier's key is not for certification", "sign-only", vec![recent()]);
    let revoke = |at| certify(revocation(CertificationRevocation, at, ReasonForRevocation::UIDRetired));
    refused("certification-revoked", "the certification is revoked", "good", vec![recent(), revoke(AT - DAY)]);
    let ended = certify(signature_lives(certification(AT - 10 * DAY), 5));
    refused("certification-expired", "the certification has expired", "good", vec![ended]);
    let sha1 = certify(certification(AT - 10 * DAY).set_hash_algo(HashAlgorithm::SHA1));
    refused("certification-sha1", "the certification is over SHA-1", "good", vec![sha1]);
    let persona = certify(dated(PersonaCertification, AT - 10 * DAY));
    refused("certification-persona", "the certification says that nothing was checked", "good", vec![persona]);
    let tomorrow = certify(certification(AT + DAY));
    refused("certification-tomorrow", "the certification is dated after the reference time", "good", vec![tomorrow]);
    let claimed = other.sign_user_id(&ann, ANN, claiming(certification(AT - 10 * DAY), &it));
    refused("certification-forged", "a certification in the certifier's name by another key", "good", vec![claimed]);
    let again = ann.certified(vec![revoke(AT - 20 * DAY), recent()]);
    vector(
        "accepted-certified-anew",
        "revoked by the certifier, and certified again",
        "accepted",
        &by("good"),
        &[again],
    );

    let bob = "Bob Lee <bob@example.org>";
    let for_bob = it.sign_user_id(&ann, bob, certification(AT - 10 * DAY));
    let ids = vec![(ANN, vec![ann.self_sign(ANN)]), (bob, vec![ann.self_sign(bob), for_bob])];
    let elsewhere = ann.certificate(vec![], ids, vec![ann.bind_subkey(subkey_binding(MADE))]);
    vector("certified-elsewhere", "another user ID of the certificate is certified", none, &by("good"), &[elsewhere]);
}

fn claiming(builder: SignatureBuilder, issuer: &Keys) -> SignatureBuilder {
    builder.set_issuer(issuer.primary.keyid()).unwrap().set_issuer_fingerprint(issuer.primary.fingerprint()).unwrap()
}
