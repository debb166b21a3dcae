//! What reads other people's bytes, put to any bytes: it must not panic, and what it reads must hold what it promises.
//!
//! Each function is a fuzzing target (`fuzz_targets`), and is run over its corpus by the project's own tests
//! (`tests/fuzz_corpora.rs`). It says whether the bytes were read as what they should be, or refused.

use keystead_core::{
    directory::hkp,
    effect::HttpResponse,
    ident::{Origin, UserId},
    identity::PublishedIdentity,
    integrity::{ReleaseManifest, ScriptSource},
    matrix::keys,
    openpgp::{AcceptanceRule, Certificate, verify_detached},
    policy::Policy,
    recovery::RecoveryKey,
    signed::{Body as _, CLOCK_SKEW, Reader, Roster, SignedDocument, Written, parse_json},
    time::UnixMillis,
};
use serde_json::Value;

/// A target.
pub type Target = fn(&[u8]) -> bool;

/// All of them, by name.
pub const TARGETS: [(&str, Target); 7] = [
    ("recovery_key", recovery_key),
    ("keys_query", keys_query),
    ("policy", policy),
    ("signed_document", signed_document),
    ("release_manifest", release_manifest),
    ("openpgp_certificate", openpgp_certificate),
    ("hkp_index", hkp_index),
];

/// 2027-01-15, within the lifetime of the certificates of the corpora.
const AT: UnixMillis = UnixMillis(1_800_000_000_000);
/// 2026-11-21, when the documents of the corpora hold.
const READ_AT: UnixMillis = UnixMillis(1_795_219_200_000);

/// A written recovery key: what is read is one key, written in one way, with any spacing.
pub fn recovery_key(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(key) = RecoveryKey::parse(text) else { return false };
    let written = key.to_base58();
    let bare = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(bare(text), bare(written.expose("compared with what was read")));
    let again = RecoveryKey::parse(written.expose("read again")).map(|key| *key.bytes().expose("compared"));
    assert_eq!(again.ok(), Some(*key.bytes().expose("compared")));
    true
}

/// The homeserver's answer about somebody's keys: an identity is read only for whom it names, and vouches only for devices
/// of the answer.
pub fn keys_query(data: &[u8]) -> bool {
    let response = HttpResponse { status: 200, content_type: String::new(), retry_after_ms: None, body: data.to_vec() };
    let Ok(answer) = keys::read_query(&response) else { return false };
    let Ok(document) = serde_json::from_slice::<Value>(data) else { return false };
    let mut read = false;
    let users = ["master_keys", "self_signing_keys", "device_keys"].map(|part| document[part].as_object());
    for user in users.into_iter().flatten().flat_map(serde_json::Map::keys).filter_map(|user| UserId::parse(user).ok())
    {
        let Ok(Some(identity)) = PublishedIdentity::read(&answer, &user) else { continue };
        read = true;
        let master = &document["master_keys"][user.as_str()];
        assert_eq!(master["user_id"], user.as_str());
        assert_eq!(master["keys"][identity.master().key_id()], identity.master().to_base64());
        let devices: Vec<_> = answer.devices(&user).map(|device| device.fields().device_id.clone()).collect();
        assert!(identity.vouched_devices().all(|device| devices.contains(device.device_id())));
    }
    read
}

/// A policy: what is taken is taken whole, and written back as it was meant.
pub fn policy(data: &[u8]) -> bool {
    let Ok(document) = parse_json(data) else { return false };
    match Policy::parse(&document) {
        Ok(policy) => {
            let written = serde_json::to_value(&policy).unwrap_or_default();
            assert_eq!(Policy::parse(&written).ok(), Some(policy));
            true
        }
        Err(refused) => {
            assert!(refused.code.as_str().starts_with("KS-POL-"));
            false
        }
    }
}

/// A signed document, its bytes and then the armored signature: what is read is signed, for this deployment, in force, and
/// says what it says in one way.
pub fn signed_document(data: &[u8]) -> bool {
    const ARMOR: &[u8] = b"-----BEGIN PGP SIGNATURE-----";
    let at = data.windows(ARMOR.len()).position(|window| window == ARMOR).unwrap_or(data.len());
    let (document, signature) = data.split_at(at);
    let Ok(signature) = std::str::from_utf8(signature) else { return false };
    let signers = Certificate::parse_all(include_bytes!("../../tests/vectors/signed/keys/signer.asc"));
    let (Ok(signers), Ok(deployment)) = (signers, Origin::parse("https://chat.example.org")) else { return false };
    let reader = Reader { signers: &signers, deployment: &deployment, newest_serial_seen: 5, now: READ_AT };
    let Ok(read): Result<SignedDocument<Roster>, _> = reader.read(document, signature) else { return false };
    assert!(verify_detached(document, signature, &signers, READ_AT.plus(CLOCK_SKEW)).is_ok());
    let envelope = &read.envelope;
    assert!(envelope.deployment == deployment && envelope.serial >= 5);
    assert!(envelope.issued <= READ_AT.plus(CLOCK_SKEW) && envelope.expires > READ_AT);
    let people = read.body.people();
    assert!(people.windows(2).all(|two| two[0].matrix_id < two[1].matrix_id));
    let written = Written::make(deployment.clone(), envelope.serial, envelope.issued, envelope.expires, &read.body);
    assert!(written.is_ok());
    true
}

/// A release manifest, its signature taken for granted: what is read is sorted, names each file once, and runs nothing that
/// it does not list; written again it says the same.
pub fn release_manifest(data: &[u8]) -> bool {
    let Ok(Value::Object(mut fields)) = parse_json(data) else { return false };
    ["kind", "version", "deployment", "serial", "issued", "expires"].iter().for_each(|name| drop(fields.remove(*name)));
    let Ok(manifest) = ReleaseManifest::read(fields) else { return false };
    let listings = manifest.releases().iter().map(|release| release.listing());
    for listing in listings.clone().chain([manifest.site().listing()]) {
        assert!(listing.files().windows(2).all(|two| two[0].path < two[1].path));
        assert!(listing.files().iter().all(|file| listing.file(&file.path) == Some(file)));
    }
    for listing in listings {
        let listed = |path| listing.file(path).or(manifest.site().listing().file(path));
        for script in listing.documents().iter().flat_map(|document| &document.scripts) {
            let ScriptSource::File(path) = &script.source else { continue };
            assert!(listed(path).is_some_and(|file| file.kind.is_javascript()));
        }
    }
    let written = serde_json::to_value(&manifest).unwrap_or_default();
    let Value::Object(fields) = written else { return false };
    assert_eq!(ReleaseManifest::read(fields), Ok(manifest));
    true
}

/// OpenPGP certificates: stored, merged and reduced they are judged as they were.
pub fn openpgp_certificate(data: &[u8]) -> bool {
    let Ok(certificates) = Certificate::parse_all(data) else { return false };
    for certificate in &certificates {
        let rule = AcceptanceRule { fingerprint: Some(certificate.fingerprint()), ..AcceptanceRule::default() };
        let verdict = |certificate: &Certificate| rule.accept(certificate, AT).map(|_| ());
        let stored = Certificate::parse_all(certificate.to_armored().as_bytes()).unwrap_or_default();
        assert_eq!(stored.iter().map(Certificate::fingerprint).collect::<Vec<_>>(), [certificate.fingerprint()]);
        for same in stored.iter().chain([&certificate.reduced(&[])]).chain(certificate.merge(certificate).iter()) {
            assert_eq!(verdict(same), verdict(certificate));
            assert_eq!(same.is_revoked(), certificate.is_revoked());
        }
    }
    true
}

/// A key server's index: bounded, and of whole fingerprints only.
pub fn hkp_index(data: &[u8]) -> bool {
    let Ok(entries) = hkp::parse_index(data) else { return false };
    assert!(entries.len() <= hkp::MAX_ENTRIES);
    for entry in &entries {
        let fingerprint = entry.fingerprint.as_str();
        assert!(matches!(fingerprint.len(), 40 | 64) && fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    let line = |entry: &hkp::IndexEntry| format!("pub:{}:::::\n", entry.fingerprint.as_str());
    let again = hkp::parse_index(entries.iter().map(line).collect::<String>().as_bytes()).unwrap_or_default();
    let fingerprints = |entries: &[hkp::IndexEntry]| entries.iter().map(|e| e.fingerprint.clone()).collect::<Vec<_>>();
    assert_eq!(fingerprints(&again), fingerprints(&entries));
    !entries.is_empty()
}
