//! The backup key of secret storage opens a backed-up room key. Keystead itself never opens one: this proves that what it
//! takes for the backup key is one. The format's MAC covers nothing (a quirk of the first implementation), and is checked
//! as such by vodozemac.

use keystead_core::recovery::secret_name;
use serde_json::Value;
use vodozemac::{
    Curve25519SecretKey,
    pk_encryption::{Message, PkDecryption},
};

use super::{Account, TEST, document, part};

#[test]
fn the_backup_key_opens_a_room_key() {
    let captured = document("room_key_backup.json");
    let exported: Value = part(&captured, "/exported/0");
    let path = format!(
        "/keys/rooms/{}/sessions/{}/session_data",
        exported["room_id"].as_str().unwrap(),
        exported["session_id"].as_str().unwrap().replace('~', "~0").replace('/', "~1"),
    );
    let session: Value = part(&captured, &path);
    let text = |name: &str| session[name].as_str().unwrap();
    let message = Message::from_base64(text("ciphertext"), text("mac"), text("ephemeral")).unwrap();

    let seed = Account::finished().seed(secret_name::MEGOLM_BACKUP);
    let backup_key = PkDecryption::from_key(Curve25519SecretKey::from_slice(seed.expose(TEST)));
    let opened: Value = serde_json::from_slice(&backup_key.decrypt(&message).unwrap()).unwrap();
    for field in ["algorithm", "session_key", "sender_key", "sender_claimed_keys"] {
        assert_eq!(opened[field], exported[field], "{field}");
    }
}
