//! Makes the files of `tests/vectors/matrix/negative` from the captured documents: one change each.

use keystead_core::{
    ident::UserId,
    identity::{derive_public, sign_json},
    recovery::{EncryptedSecret, RecoveryKey, secret_name},
    secret::{SecretBytes, SecretText},
};
use serde_json::{Value, json};

use super::{Account, negative::Vector, vectors};

/// How many defects there are: a file that gets lost is missed.
pub(super) const COUNT: usize = 78;

/// File name, expected code, what was changed, and the change.
type Defect = (&'static str, &'static str, &'static str, fn(&mut Value, &Account));

/// With `KEYSTEAD_WRITE_VECTORS` set, the files are written anew instead.
#[test]
fn the_negative_vectors_are_these() {
    let account = Account::finished();
    let defects = [
        recovery_keys(&account),
        documents(&account, "key description", &key_description(&account), KEY_DESCRIPTIONS),
        documents(&account, "secret", &account.document["account_data"][secret_name::MASTER], SECRETS),
        documents(&account, "identity", &account.document["keys_query"], IDENTITIES),
        documents(&account, "device", &device(&account), DEVICES),
        documents(&account, "backup", &backup(&account), BACKUPS),
    ];
    assert_eq!(defects.iter().sum::<usize>(), COUNT);
}

fn write(account: &Account, kind: &str, (file, expect, what): (&str, &str, &str), extra: &str, body: &str) {
    let opened_with = match kind {
        "key description" => format!("recovery-key: {}\n", account.document["recovery_key"].as_str().unwrap()),
        "secret" => format!(
            "recovery-key: {}\nkey-id: {}\nname: {}\n",
            account.document["recovery_key"].as_str().unwrap(),
            account.key_id.as_str(),
            secret_name::MASTER,
        ),
        "identity" | "device" | "backup" => format!("user: {}\n", account.user.as_str()),
        _ => String::new(),
    };
    let path = vectors().join("negative").join(format!("{}-{file}.txt", kind.replace(' ', "-")));
    let text = |says: &str| {
        format!("expect: {expect}\nwhat: {what}\n{says}open: {kind}\n{opened_with}{extra}\n{}\n", body.trim_end())
    };
    // The code is chosen by hand above; the error's own words are kept beside it, to be read and held to.
    let says = Vector::parse(&text("")).open().err().map_or(String::new(), |(_, words)| format!("says: {words}\n"));
    let text = text(&says);
    if std::env::var_os("KEYSTEAD_WRITE_VECTORS").is_some() {
        std::fs::write(path, text).unwrap();
    } else {
        // Other tests read these files at the same time.
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "{}", path.display());
    }
}

fn documents(account: &Account, kind: &str, document: &Value, defects: &[Defect]) -> usize {
    let pretty = |document: &Value| serde_json::to_string_pretty(document).unwrap();
    write(account, kind, ("control", "ok", "nothing"), "", &pretty(document));
    for (file, expect, what, change) in defects {
        let mut changed = document.clone();
        change(&mut changed, account);
        assert_ne!(changed, *document, "{kind} {file}");
        write(account, kind, (file, expect, what), "", &pretty(&changed));
    }
    defects.len()
}

fn recovery_keys(account: &Account) -> usize {
    let good = account.document["recovery_key"].as_str().unwrap();
    let mut raw = bs58::decode(good.replace(' ', "")).into_vec().unwrap();
    let mut other = |index: usize, bit: u8| {
        raw[index] ^= bit;
        let text = bs58::encode(&raw).into_string();
        raw[index] ^= bit;
        text
    };
    let (parity, key_bit) = (other(34, 1), other(20, 0x40));
    raw[1] ^= 2;
    raw[34] ^= 2;
    let prefix = bs58::encode(&raw).into_string();
    let defects: &[(&str, &str, &str, &str, String)] = &[
        ("zero-for-o", "KS-REC-FORMAT", "group 3 has a 0", "3", good.replace("ZyEi", "Zy0i")),
        ("umlaut", "KS-REC-FORMAT", "group 3 has a letter that is not ASCII", "3", good.replace("ZyEi", "ZyËi")),
        ("too-short", "KS-REC-FORMAT", "group 5 lacks a character", "5", good.replace("GeFM", "GeF")),
        ("too-long", "KS-REC-FORMAT", "group 5 has a character twice", "5", good.replace("GeFM", "GeFFM")),
        (
            "short-ungrouped",
            "KS-REC-FORMAT",
            "a character is missing, no spaces",
            "unknown",
            good.replace(' ', "")[1..].into(),
        ),
        ("empty", "KS-REC-FORMAT", "nothing is there", "unknown", " ".into()),
        ("passphrase", "KS-REC-FORMAT", "a passphrase was typed", "6", "correct horse battery staple".into()),
        ("beginning", "KS-REC-FORMAT", "the second byte is not 01, the parity fits", "1", prefix),
        ("number-too-large", "KS-REC-FORMAT", "the number needs more than 35 bytes", "1", "z".repeat(48)),
        ("number-too-small", "KS-REC-FORMAT", "the number is zero", "1", "1".repeat(48)),
        ("typo", "KS-REC-CHECKSUM", "one character is another", "unknown", good.replace("ZyEi", "ZyEj")),
        ("swapped", "KS-REC-CHECKSUM", "two characters changed places", "unknown", good.replace("itMn", "tiMn")),
        ("parity", "KS-REC-CHECKSUM", "a bit of the parity byte is flipped", "unknown", parity),
        ("key-bit", "KS-REC-CHECKSUM", "a bit of the key is flipped", "unknown", key_bit),
    ];
    write(account, "recovery key", ("control", "ok", "nothing but the spacing"), "", &good.replace(' ', "\t \u{a0}"));
    for (file, expect, what, group, text) in defects {
        assert_ne!(text, good, "{file}");
        write(account, "recovery key", (file, expect, what), &format!("group: {group}\n"), text);
    }
    defects.len()
}

/// Flips a bit of a base64 text.
fn flip(text: &mut Value) {
    let engine = base64::engine::general_purpose::STANDARD_NO_PAD;
    let padded = text.as_str().unwrap().ends_with('=');
    let mut bytes = base64::Engine::decode(&engine, text.as_str().unwrap().trim_end_matches('=')).unwrap();
    bytes[3] ^= 1;
    let flipped = base64::Engine::encode(&engine, bytes);
    *text = if padded { format!("{flipped:=<width$}", width = flipped.len().div_ceil(4) * 4) } else { flipped }.into();
}

fn key_description(account: &Account) -> Value {
    let kind = format!("m.secret_storage.key.{}", account.key_id.as_str());
    let mut description = account.document["account_data"][kind].clone();
    description["passphrase"] = json!({ "algorithm": "m.pbkdf2", "iterations": 10_000_000, "salt": "s", "bits": 256 });
    description
}

const KEY_DESCRIPTIONS: &[Defect] = &[
    ("mac", "KS-REC-MAC", "a bit of the mac is flipped", |d, _| flip(&mut d["mac"])),
    ("iv", "KS-REC-MAC", "a bit of the iv is flipped", |d, _| flip(&mut d["iv"])),
    ("short-mac", "KS-REC-MAC", "the mac has 16 bytes", |d, _| d["mac"] = "AAAAAAAAAAAAAAAAAAAAAA==".into()),
    ("empty-mac", "KS-REC-MAC", "the mac is empty", |d, _| d["mac"] = "".into()),
    ("no-mac", "KS-REC-DESCRIPTION", "there is no mac", |d, _| drop(d.as_object_mut().unwrap().remove("mac"))),
    ("no-iv", "KS-REC-DESCRIPTION", "there is no iv", |d, _| drop(d.as_object_mut().unwrap().remove("iv"))),
    ("algorithm", "KS-REC-DESCRIPTION", "the algorithm is another", |d, _| d["algorithm"] = "m.x.v2".into()),
    ("iterations", "KS-REC-DESCRIPTION", "one iteration more than is allowed", |d, _| {
        d["passphrase"]["iterations"] = 10_000_001.into();
    }),
    ("no-iterations", "KS-REC-DESCRIPTION", "zero iterations", |d, _| d["passphrase"]["iterations"] = 0.into()),
    ("bits", "KS-REC-DESCRIPTION", "a key of 128 bits", |d, _| d["passphrase"]["bits"] = 128.into()),
    ("kdf", "KS-REC-DESCRIPTION", "another key derivation", |d, _| d["passphrase"]["algorithm"] = "m.argon2".into()),
    ("salt", "KS-REC-DESCRIPTION", "no salt", |d, _| drop(d["passphrase"].as_object_mut().unwrap().remove("salt"))),
];

fn entry<'a>(document: &'a mut Value, account: &Account) -> &'a mut Value {
    &mut document["encrypted"][account.key_id.as_str()]
}

fn encrypt(document: &mut Value, account: &Account, name: &str, secret: &str) {
    let keys = account.recovery_key.derive_keys(name);
    let secret = EncryptedSecret::dangerous_encrypt_with_iv(&keys, &SecretText::new(secret.into()), [1; 16]);
    *entry(document, account) = serde_json::to_value(secret).unwrap();
}

const SECRETS: &[Defect] = &[
    ("ciphertext", "KS-REC-MAC", "a bit of the ciphertext is flipped", |d, a| flip(&mut entry(d, a)["ciphertext"])),
    ("mac", "KS-REC-MAC", "a bit of the mac is flipped", |d, a| flip(&mut entry(d, a)["mac"])),
    ("iv", "KS-REC-MAC", "a bit of the iv is flipped: the mac fits, the plaintext is no text", |d, a| {
        flip(&mut entry(d, a)["iv"]);
    }),
    ("short-iv", "KS-REC-MAC", "the iv has 12 bytes", |d, a| entry(d, a)["iv"] = "AAAAAAAAAAAAAAAA".into()),
    ("short-mac", "KS-REC-MAC", "the mac has 16 bytes", |d, a| {
        entry(d, a)["mac"] = "Od9V/P/kpQ6OQy1lH25O5Q==".into();
    }),
    ("empty-ciphertext", "KS-REC-MAC", "the ciphertext is empty", |d, a| entry(d, a)["ciphertext"] = "".into()),
    ("not-base64", "KS-REC-MAC", "the ciphertext is no base64", |d, a| entry(d, a)["ciphertext"] = "_-".into()),
    ("no-mac", "KS-REC-MAC", "there is no mac", |d, a| drop(entry(d, a).as_object_mut().unwrap().remove("mac"))),
    ("other-name", "KS-REC-MAC", "the entry of another secret", |d, a| {
        *d = a.document["account_data"][secret_name::SELF_SIGNING].clone();
    }),
    ("other-key", "KS-REC-MAC", "the entry is encrypted with another recovery key", |d, a| {
        let keys = RecoveryKey::from_bytes(SecretBytes::new([1; 32])).derive_keys(secret_name::MASTER);
        let secret = SecretText::new(a.document["secrets_plaintext"][secret_name::MASTER].as_str().unwrap().into());
        let secret = EncryptedSecret::dangerous_encrypt_with_iv(&keys, &secret, [1; 16]);
        *entry(d, a) = serde_json::to_value(secret).unwrap();
    }),
    ("absent", "KS-REC-SECRET-MISSING", "there is no entry for the key", |d, _| d["encrypted"] = json!({})),
    ("deleted", "KS-REC-SECRET-MISSING", "the document was deleted", |d, _| *d = json!({})),
    ("no-seed", "KS-REC-SECRET-MISMATCH", "the secret is no base64", |d, a| {
        encrypt(d, a, secret_name::MASTER, "no seed");
    }),
    ("long-seed", "KS-REC-SECRET-MISMATCH", "the secret is 33 bytes", |d, a| {
        encrypt(d, a, secret_name::MASTER, &"A".repeat(44));
    }),
    ("short-seed", "KS-REC-SECRET-MISMATCH", "the secret is 31 bytes", |d, a| {
        encrypt(d, a, secret_name::MASTER, &"A".repeat(42));
    }),
];

/// Somebody else's seed.
fn stranger() -> SecretBytes<32> {
    SecretBytes::new([9; 32])
}

fn sign(document: &mut Value, user: &UserId, key_id: &str, seed: &SecretBytes<32>) {
    sign_json(document.as_object_mut().unwrap(), user, key_id, seed).unwrap();
}

fn published<'a>(answer: &'a mut Value, part: &str, account: &Account) -> &'a mut Value {
    &mut answer[part][account.user.as_str()]
}

fn master<'a>(answer: &'a mut Value, account: &Account) -> &'a mut Value {
    published(answer, "master_keys", account)
}

fn self_signing<'a>(answer: &'a mut Value, account: &Account) -> &'a mut Value {
    published(answer, "self_signing_keys", account)
}

/// The master key's signature over another document of the answer.
fn master_signature<'a>(document: &'a mut Value, account: &Account) -> &'a mut Value {
    &mut document["signatures"][account.user.as_str()][account.identity().master().key_id()]
}

const IDENTITIES: &[Defect] = &[
    ("master-of-another", "KS-NET-ANSWER", "the master key names another user", |d, a| {
        master(d, a)["user_id"] = "@mallory:localhost".into();
    }),
    ("usage-other", "KS-NET-ANSWER", "the master key is for self-signing", |d, a| {
        master(d, a)["usage"] = json!(["self_signing"]);
    }),
    ("usage-unknown", "KS-NET-ANSWER", "the master key has an unknown usage besides", |d, a| {
        master(d, a)["usage"] = json!(["master", "org.example.other"]);
    }),
    ("usage-none", "KS-NET-ANSWER", "the master key has no usage", |d, a| master(d, a)["usage"] = json!([])),
    ("key-id", "KS-NET-ANSWER", "the master key is named after another key", |d, a| {
        let key = a.identity().master().to_base64();
        master(d, a)["keys"] = json!({ (a.identity().self_signing().key_id()): key });
    }),
    ("two-keys", "KS-NET-ANSWER", "the master key is two keys", |d, a| {
        let other = derive_public(&stranger());
        master(d, a)["keys"][other.key_id()] = other.to_base64().into();
    }),
    ("no-key", "KS-NET-ANSWER", "the master key is no key", |d, a| master(d, a)["keys"] = json!({})),
    ("key-33-bytes", "KS-NET-ANSWER", "the master key is 44 characters that stand for 33 bytes", |d, a| {
        let long = "A".repeat(44);
        master(d, a)["keys"] = json!({ (format!("ed25519:{long}")): long });
    }),
    ("key-padded", "KS-NET-ANSWER", "the master key is written with padding", |d, a| {
        let padded = format!("{}=", a.identity().master().to_base64());
        master(d, a)["keys"] = json!({ (format!("ed25519:{padded}")): padded });
    }),
    (
        "key-small-order",
        "KS-NET-ANSWER",
        "the master key is the curve's neutral point, which signs everything",
        |d, a| {
            let neutral = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
            let everything = format!("AQ{}", "A".repeat(84));
            master(d, a)["keys"] = json!({ (format!("ed25519:{neutral}")): neutral });
            for part in ["self_signing_keys", "user_signing_keys"] {
                published(d, part, a)["signatures"][a.user.as_str()] =
                    json!({ (format!("ed25519:{neutral}")): everything });
            }
        },
    ),
    ("signature", "KS-NET-ANSWER", "a bit of the signature over the self-signing key is flipped", |d, a| {
        flip(master_signature(self_signing(d, a), a));
    }),
    ("signature-short", "KS-NET-ANSWER", "the signature over the self-signing key is 63 bytes", |d, a| {
        *master_signature(self_signing(d, a), a) = "A".repeat(84).into();
    }),
    ("signature-absent", "KS-NET-ANSWER", "the self-signing key is not signed", |d, a| {
        self_signing(d, a)["signatures"] = json!({});
    }),
    (
        "signature-of-another",
        "KS-NET-ANSWER",
        "the signature over the self-signing key is in another user's name",
        |d, a| {
            let signatures = self_signing(d, a)["signatures"][a.user.as_str()].take();
            self_signing(d, a)["signatures"] = json!({ "@mallory:localhost": signatures });
        },
    ),
    ("self-signing-strange", "KS-NET-ANSWER", "the self-signing key is a stranger's, signed by itself", |d, a| {
        let key = derive_public(&stranger());
        let document = self_signing(d, a);
        document["keys"] = json!({ (key.key_id()): key.to_base64() });
        sign(document, &a.user, &key.key_id(), &stranger());
        sign(document, &a.user, &a.identity().master().key_id(), &stranger());
    }),
    ("self-signing-field", "KS-NET-ANSWER", "the self-signing key has a field that was not signed", |d, a| {
        self_signing(d, a)["org.example.extra"] = true.into();
    }),
    ("self-signing-float", "KS-NET-ANSWER", "the self-signing key has a field that cannot be signed", |d, a| {
        self_signing(d, a)["org.example.extra"] = 1.5.into();
    }),
    ("self-signing-absent", "KS-NET-ANSWER", "there is no self-signing key", |d, _| d["self_signing_keys"] = json!({})),
    ("master-absent", "KS-NET-ANSWER", "there is no master key, but there are the others", |d, _| {
        d["master_keys"] = json!({});
    }),
    ("user-signing", "KS-NET-ANSWER", "a bit of the signature over the user-signing key is flipped", |d, a| {
        flip(master_signature(published(d, "user_signing_keys", a), a));
    }),
    ("user-signing-other", "KS-NET-ANSWER", "the user-signing key is the self-signing key", |d, a| {
        *published(d, "user_signing_keys", a) = self_signing(d, a).clone();
    }),
    ("not-answered", "KS-NET-UNREACHABLE", "the user's server did not answer", |d, _| {
        *d = json!({ "device_keys": {}, "failures": { "localhost": {} } });
    }),
    ("none", "KS-REC-NO-IDENTITY", "there is no identity", |d, _| *d = json!({ "device_keys": {}, "failures": {} })),
];

fn device(account: &Account) -> Value {
    let answer = account.document["keys_query"].clone();
    json!({ "device": answer["device_keys"][account.user.as_str()][account.device.as_str()], "keys_query": answer })
}

fn signatures<'a>(document: &'a mut Value, account: &Account) -> &'a mut Value {
    &mut document["signatures"][account.user.as_str()]
}

/// A device of the account's name that a stranger made: consistent in itself.
fn strange_device(device: &mut Value, account: &Account) {
    let key_id = format!("ed25519:{}", account.device.as_str());
    device["keys"][&key_id] = derive_public(&stranger()).to_base64().into();
    sign(device, &account.user, &key_id, &stranger());
}

const DEVICES: &[Defect] = &[
    ("unsigned", "KS-REC-DEVICE", "the owner did not sign it", |d, a| {
        let key_id = a.identity().self_signing().key_id();
        signatures(&mut d["device"], a).as_object_mut().unwrap().remove(&key_id);
    }),
    ("signature", "KS-REC-DEVICE", "a bit of the owner's signature is flipped", |d, a| {
        flip(&mut signatures(&mut d["device"], a)[a.identity().self_signing().key_id()]);
    }),
    ("own-signature", "KS-REC-DEVICE", "the device did not sign it", |d, a| {
        signatures(&mut d["device"], a).as_object_mut().unwrap().remove("ed25519:REFDEV0");
    }),
    ("curve25519", "KS-REC-DEVICE", "the key that messages are encrypted to is another", |d, _| {
        flip(&mut d["device"]["keys"]["curve25519:REFDEV0"]);
    }),
    ("strange", "KS-REC-DEVICE", "a stranger's device in its place", |d, a| strange_device(&mut d["device"], a)),
    ("user-signing", "KS-REC-DEVICE", "a stranger's device, signed by the user-signing key", |d, a| {
        strange_device(&mut d["device"], a);
        let seed = a.seed(secret_name::USER_SIGNING);
        sign(&mut d["device"], &a.user, &derive_public(&seed).key_id(), &seed);
    }),
    ("of-another", "KS-REC-DEVICE", "it names another user", |d, _| {
        d["device"]["user_id"] = "@mallory:localhost".into()
    }),
];

fn backup(account: &Account) -> Value {
    json!({ "backup": account.document["room_keys_version"], "keys_query": account.document["keys_query"] })
}

/// The backup of somebody else: another public key, and no signatures yet.
fn strange_backup(document: &mut Value) -> &mut Value {
    document["backup"]["auth_data"] = json!({ "public_key": "hIW44jq7ShosTKQCw1PjuGZDIIbtdrIT4fKI0cJeX3Q" });
    &mut document["backup"]["auth_data"]
}

const BACKUPS: &[Defect] = &[
    ("unsigned", "KS-REC-BACKUP-UNTRUSTED", "nobody signed it", |d, _| {
        strange_backup(d);
    }),
    ("public-key", "KS-REC-BACKUP-UNTRUSTED", "the public key was replaced", |d, _| {
        d["backup"]["auth_data"]["public_key"] = "hIW44jq7ShosTKQCw1PjuGZDIIbtdrIT4fKI0cJeX3Q".into();
    }),
    ("strange-master", "KS-REC-BACKUP-UNTRUSTED", "a stranger signed it in the master key's name", |d, a| {
        sign(strange_backup(d), &a.user, &a.identity().master().key_id(), &stranger());
    }),
    ("strange-device", "KS-REC-BACKUP-UNTRUSTED", "a device signed it that nobody vouches for", |d, a| {
        let mut device = json!({ "user_id": a.user, "device_id": "EVIL", "algorithms": [],
            "keys": { "ed25519:EVIL": derive_public(&stranger()).to_base64() } });
        sign(&mut device, &a.user, "ed25519:EVIL", &stranger());
        d["keys_query"]["device_keys"][a.user.as_str()]["EVIL"] = device;
        sign(strange_backup(d), &a.user, "ed25519:EVIL", &stranger());
    }),
    ("self-signing", "KS-REC-BACKUP-UNTRUSTED", "the self-signing key signed it, which is not for that", |d, a| {
        sign(strange_backup(d), &a.user, &a.identity().self_signing().key_id(), &a.seed(secret_name::SELF_SIGNING));
    }),
    ("of-another", "KS-REC-BACKUP-UNTRUSTED", "the signatures are in another user's name", |d, a| {
        let signatures = d["backup"]["auth_data"]["signatures"][a.user.as_str()].take();
        d["backup"]["auth_data"]["signatures"] = json!({ "@mallory:localhost": signatures });
    }),
    ("algorithm", "KS-REC-BACKUP-UNTRUSTED", "the algorithm is another", |d, _| {
        d["backup"]["algorithm"] = "m.x".into()
    }),
];
