//! People with real keys.

use serde_json::{Map, Value, json};

use crate::{
    ident::UserId,
    identity::{PublicKey, derive_public, sign_json},
    matrix::base64,
    secret::SecretBytes,
};

/// Somebody with an identity and devices.
pub(super) struct Person {
    user: UserId,
    seed: u8,
    master: PublicKey,
    devices: Map<String, Value>,
}

fn seed(byte: u8) -> SecretBytes<32> {
    SecretBytes::new([byte; 32])
}

fn signed(mut document: Value, user: &UserId, by: &[(String, u8)]) -> Value {
    let object = document.as_object_mut().unwrap();
    for (key_id, byte) in by {
        sign_json(object, user, key_id, &seed(*byte)).unwrap();
    }
    document
}

/// The Curve25519 key that stands for a number.
pub(super) fn curve25519(byte: u8) -> String {
    base64::encode_unpadded(&[byte; 32])
}

impl Person {
    /// With a master key and, beside it, a self-signing key.
    pub(super) fn new(user: &str, seed_byte: u8) -> Self {
        let user = UserId::parse(user).unwrap();
        Self { user, seed: seed_byte, master: derive_public(&seed(seed_byte)), devices: Map::new() }
    }

    pub(super) fn user(&self) -> UserId {
        self.user.clone()
    }

    pub(super) fn master(&self) -> &PublicKey {
        &self.master
    }

    fn self_signing(&self) -> u8 {
        self.seed + 100
    }

    pub(super) fn self_signing_id(&self) -> String {
        derive_public(&seed(self.self_signing())).key_id()
    }

    /// Adds a device, or another in its place.
    pub(super) fn add_device(&mut self, id: &str, keys: u8, vouched: bool) {
        let own_id = format!("ed25519:{id}");
        let device = json!({
            "user_id": self.user, "device_id": id,
            "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
            "keys": {
                format!("curve25519:{id}"): curve25519(keys),
                own_id.as_str(): derive_public(&seed(keys)).to_base64(),
            },
        });
        let mut by = vec![(own_id, keys)];
        by.extend(vouched.then(|| (self.self_signing_id(), self.self_signing())));
        self.devices.insert(id.to_owned(), signed(device, &self.user, &by));
    }

    pub(super) fn rename_device(&mut self, id: &str) {
        self.devices[id]["unsigned"] = json!({ "device_display_name": "A new name" });
    }

    pub(super) fn remove_device(&mut self, id: &str) {
        self.devices.remove(id);
    }

    /// What an honest homeserver answers.
    pub(super) fn answer(&self) -> Value {
        let key = |usage: &str, byte| {
            let key = derive_public(&seed(byte));
            json!({ "user_id": self.user, "usage": [usage], "keys": { key.key_id(): key.to_base64() } })
        };
        let by_master = [(self.master.key_id(), self.seed)];
        let user = self.user.as_str();
        json!({
            "device_keys": { user: self.devices },
            "failures": {},
            "master_keys": { user: key("master", self.seed) },
            "self_signing_keys": { user: signed(key("self_signing", self.self_signing()), &self.user, &by_master) },
        })
    }
}
