//! What real clients and a real homeserver wrote is opened, verified and written again byte for byte.
//! What every file in here holds is told in `tests/vectors/matrix/README.md`.

// What is not as it should be is to end the test.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod defects;
mod negative;
mod passphrase;
mod room_key;

use std::path::PathBuf;

use keystead_core::{
    ident::{DeviceId, KeyId, UserId},
    identity::{PublicKey, PublishedIdentity, VouchError, derive_backup_public, derive_public, sign_json, verify_json},
    matrix::{BackupVersion, KeysQueryResponse, account_data::DefaultKey},
    recovery::{
        EncryptedSecret, KeyDescription, KeyVault as _, MemoryVault, RecoveryKey, SecretDocument, decode_seed,
        encode_seed, secret_name,
    },
    secret::{SecretBytes, SecretText},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

const TEST: &str = "test";

fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/matrix")
}

fn document(name: &str) -> Value {
    let text = std::fs::read_to_string(vectors().join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A part of a document, read as what it is.
fn part<T: DeserializeOwned>(document: &Value, path: &str) -> T {
    let part = document.pointer(path).unwrap_or_else(|| panic!("no {path}"));
    serde_json::from_value(part.clone()).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A captured account, with what opens it.
struct Account {
    document: Value,
    user: UserId,
    device: DeviceId,
    key_id: KeyId,
    recovery_key: RecoveryKey,
}

impl Account {
    fn finished() -> Self {
        Self::new(document("account.json"), "/account_data/m.secret_storage.default_key/key")
    }

    fn with_passphrase() -> Self {
        Self::new(document("passphrase_account.json"), "/default_key")
    }

    fn new(document: Value, key_id: &str) -> Self {
        Self {
            user: part(&document, "/user_id"),
            device: part(&document, "/device_id"),
            key_id: part(&document, key_id),
            recovery_key: RecoveryKey::parse(document["recovery_key"].as_str().unwrap()).unwrap(),
            document,
        }
    }

    fn answer(&self) -> KeysQueryResponse {
        part(&self.document, "/keys_query")
    }

    fn identity(&self) -> PublishedIdentity {
        PublishedIdentity::read(&self.answer(), &self.user).unwrap().unwrap()
    }

    fn secret_document(&self, name: &str) -> SecretDocument {
        part(&self.document, &format!("/account_data/{name}"))
    }

    fn entry(&self, name: &str) -> EncryptedSecret {
        self.secret_document(name).entry(&self.key_id).unwrap().unwrap()
    }

    fn seed(&self, name: &str) -> SecretBytes<32> {
        decode_seed(&self.entry(name).decrypt(&self.recovery_key.derive_keys(name)).unwrap()).unwrap()
    }

    /// Every seed of secret storage derives what is published.
    fn assert_seeds_derive_published(&self, backup: &str) {
        let identity = self.identity();
        assert_eq!(derive_public(&self.seed(secret_name::MASTER)), *identity.master());
        assert_eq!(derive_public(&self.seed(secret_name::SELF_SIGNING)), *identity.self_signing());
        assert_eq!(Some(&derive_public(&self.seed(secret_name::USER_SIGNING))), identity.user_signing());
        let backup: BackupVersion = part(&self.document, backup);
        let trusted = identity.check_backup(&backup).unwrap();
        assert_eq!(derive_backup_public(&self.seed(secret_name::MEGOLM_BACKUP)), trusted.public_key());
        assert_eq!(trusted.version(), backup.version);
    }
}

#[test]
fn the_written_recovery_key_is_the_raw_one() {
    let account = Account::finished();
    let raw: [u8; 32] = account.recovery_key.bytes().expose(TEST).to_owned();
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, raw);
    assert_eq!(encoded, account.document["recovery_key_raw_b64"]);
    assert_eq!(account.recovery_key.to_base58().expose(TEST), account.document["recovery_key"]);
}

#[test]
fn the_key_description_is_that_of_the_recovery_key_and_is_written_the_same() {
    let account = Account::finished();
    let default: DefaultKey = part(&account.document, "/account_data/m.secret_storage.default_key");
    let path = format!("/account_data/m.secret_storage.key.{}", default.key.as_str());
    let description: KeyDescription = part(&account.document, &path);
    let keys = account.recovery_key.derive_keys("");
    description.verify(&keys).unwrap();
    assert_eq!(description.passphrase().unwrap(), None);

    let captured: Value = part(&account.document, &path);
    let iv = bytes_of::<16>(&captured["iv"]);
    let ours = KeyDescription::dangerous_make_with_iv(&keys, iv);
    assert_eq!(serde_json::to_value(&ours).unwrap(), captured);
    KeyDescription::make(&keys).unwrap().verify(&keys).unwrap();
}

fn bytes_of<const N: usize>(text: &Value) -> [u8; N] {
    let text = text.as_str().unwrap();
    base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap().try_into().unwrap()
}

#[test]
fn every_secret_opens_and_is_encrypted_to_the_same_bytes() {
    let account = Account::finished();
    for name in secret_name::ALL {
        let keys = account.recovery_key.derive_keys(name);
        let entry = account.entry(name);
        let secret = entry.decrypt(&keys).unwrap();
        assert_eq!(secret.expose(TEST), account.document["secrets_plaintext"][name], "{name}");
        assert_eq!(encode_seed(&account.seed(name)).expose(TEST), secret.expose(TEST), "{name}");

        let ours = EncryptedSecret::dangerous_encrypt_with_iv(&keys, &secret, *entry.iv());
        assert_eq!(ours, entry, "{name}");
        let mut rebuilt = SecretDocument::default();
        rebuilt.set_entry(&account.key_id, &ours);
        let captured: Value = part(&account.document, &format!("/account_data/{name}"));
        assert_eq!(serde_json::to_string(&rebuilt).unwrap(), serde_json::to_string(&captured).unwrap(), "{name}");
    }
}

#[tokio::test]
async fn a_vault_opens_what_the_recovery_key_opens() {
    let account = Account::finished();
    let vault = MemoryVault::default();
    let entry = account.entry(secret_name::MASTER);
    let seed = account.seed(secret_name::MASTER);
    let wrapped = vault.admit(&account.key_id, account.recovery_key).await.unwrap();
    let keys = vault.derive(&account.key_id, &wrapped, secret_name::MASTER).await.unwrap();
    assert_eq!(entry.decrypt(&keys).unwrap().expose(TEST), encode_seed(&seed).expose(TEST));
}

#[test]
fn the_seeds_derive_the_published_keys() {
    Account::finished().assert_seeds_derive_published("/room_keys_version");
}

#[test]
fn the_identity_vouches_for_its_device() {
    let account = Account::finished();
    let device = account.answer().device(&account.user, &account.device).unwrap();
    let vouched = account.identity().vouches_for(&device).unwrap();
    assert_eq!(*vouched.device_id(), account.device);
    assert!(device.signature(&account.user, &account.identity().self_signing().key_id()).is_some());
}

/// Who the captured signatures are by: every one in the answer, whether Keystead relies on it or not.
#[test]
fn every_captured_signature_verifies_and_is_made_the_same() {
    let account = Account::finished();
    let identity = account.identity();
    let device_key = *identity.vouched_devices().next().unwrap().ed25519();
    let keys = [*identity.master(), *identity.self_signing(), device_key];
    let seeds = [account.seed(secret_name::MASTER), account.seed(secret_name::SELF_SIGNING)];
    let answer = &account.document["keys_query"];
    let user = account.user.as_str();
    let signed = [
        &answer["device_keys"][user][account.device.as_str()],
        &answer["master_keys"][user],
        &answer["self_signing_keys"][user],
        &answer["user_signing_keys"][user],
        &account.document["room_keys_version"]["auth_data"],
    ];
    let (mut verified, mut made) = (0, 0);
    for document in signed {
        let document: &Map<String, Value> = document.as_object().unwrap();
        for (key_id, signature) in document["signatures"][user].as_object().unwrap() {
            let fits = |key: &&PublicKey| verify_json(document, &account.user, key_id, key).is_ok();
            let key = keys.iter().find(fits).unwrap_or_else(|| panic!("{key_id}"));
            verified += 1;
            // Ed25519 is deterministic: our own signature is theirs.
            if let Some(seed) = seeds.iter().find(|seed| derive_public(seed) == *key) {
                let mut ours = document.clone();
                ours.remove("signatures");
                sign_json(&mut ours, &account.user, key_id, seed).unwrap();
                assert_eq!(ours["signatures"][user][key_id], *signature);
                made += 1;
            }
        }
    }
    assert_eq!((verified, made), (8, 5));
}

#[test]
fn an_unsigned_device_is_not_vouched_for_and_is_nothing_alarming() {
    let account = Account::with_passphrase();
    let answer: KeysQueryResponse = part(&account.document, "/keys_query_before_device_was_signed");
    let identity = PublishedIdentity::read(&answer, &account.user).unwrap().unwrap();
    let device = answer.device(&account.user, &account.device).unwrap();
    assert_eq!(identity.vouches_for(&device).err(), Some(VouchError::Unsigned));
    assert_eq!(identity.vouched_devices().count(), 0);
}

/// Entries and fields of others are kept, and in their order.
#[test]
fn what_is_not_ours_in_a_document_is_kept() {
    let account = Account::finished();
    let text =
        r#"{"passthrough":true,"encrypted":{"other":{"odd":[1.5]},"w5UWIc8vKO99j8t2OXWd4lyAz4xXC5pA":{},"z":0}}"#;
    let mut document: SecretDocument = serde_json::from_str(text).unwrap();
    assert!(document.entry(&account.key_id).is_err());
    document.remove_entry(&account.key_id);
    let other = KeyId::parse("other").unwrap();
    assert_eq!(document.key_ids().map(String::from).collect::<Vec<_>>(), ["other", "z"]);
    assert!(document.entry(&other).is_err());
    let keys = account.recovery_key.derive_keys("a");
    let secret = EncryptedSecret::encrypt(&keys, &SecretText::new("s".into())).unwrap();
    document.set_entry(&account.key_id, &secret);
    assert_eq!(document.entry(&account.key_id).unwrap().unwrap(), secret);
    document.remove_entry(&account.key_id);
    let kept = serde_json::to_value(&document).unwrap();
    assert_eq!(kept["encrypted"].to_string(), r#"{"other":{"odd":[1.5]},"z":0}"#);
    assert_eq!(kept["passthrough"], true);

    let text = r#"{"algorithm":"m.secret_storage.v1.aes-hmac-sha2","name":"mine","passphrase":{"algorithm":"x"}}"#;
    let description = KeyDescription::deserialize(&serde_json::from_str::<Value>(text).unwrap()).unwrap();
    assert_eq!(serde_json::to_string(&description).unwrap(), text);
}
