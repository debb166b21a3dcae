//! Secret storage under a passphrase, after its owner reset everything.

use keystead_core::{
    effect::HttpResponse,
    identity::PublishedIdentity,
    matrix::{BackupVersion, KeysQueryResponse, account_data},
    recovery::{KeyDescription, secret_name},
    secret::SecretText,
};
use serde_json::Value;

use super::{Account, TEST, part};

#[test]
fn the_passphrase_makes_the_recovery_key() {
    let account = Account::with_passphrase();
    let description: KeyDescription = part(&account.document, "/key_description");
    let passphrase = SecretText::new(part(&account.document, "/passphrase"));
    let key = description.passphrase().unwrap().unwrap().derive_key(&passphrase);
    assert_eq!(key.to_base58().expose(TEST), account.document["recovery_key"]);
    description.verify(&key.derive_keys("")).unwrap();
    // Written back, nothing of it is lost.
    let captured: Value = part(&account.document, "/key_description");
    assert_eq!(serde_json::to_value(&description).unwrap(), captured);
}

#[test]
fn the_secrets_of_the_new_identity_derive_what_is_published() {
    Account::with_passphrase().assert_seeds_derive_published("/backup_after_reset");
}

/// The old backup is signed by an identity that is no more, and by a device: it is trusted once the new identity vouches
/// for that device.
#[test]
fn a_backup_signed_by_a_device_is_trusted_when_the_device_is() {
    let account = Account::with_passphrase();
    let backup: BackupVersion = part(&account.document, "/backup_before_reset");
    assert_eq!(account.identity().check_backup(&backup).unwrap().version(), "1");

    let before: KeysQueryResponse = part(&account.document, "/keys_query_before_device_was_signed");
    let identity = PublishedIdentity::read(&before, &account.user).unwrap().unwrap();
    assert!(identity.check_backup(&backup).is_err());
}

#[test]
fn deleted_account_data_is_absent() {
    let account = Account::with_passphrase();
    let deleted = account.document["deleted_account_data"].as_object().unwrap();
    assert_eq!(deleted.len(), 6);
    for content in deleted.values() {
        let body = content.to_string().into_bytes();
        let response = HttpResponse { status: 200, content_type: String::new(), retry_after_ms: None, body };
        assert_eq!(account_data::read_get::<Value>(&response), Ok(None));
    }
    assert!(deleted.contains_key(secret_name::MASTER) && deleted.contains_key(account_data::DEFAULT_KEY));
}
