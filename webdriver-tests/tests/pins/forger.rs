//! What a homeserver can make by itself: devices and identities that are well-formed and signed, by keys of its own.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use keystead_core::ident::UserId;
use keystead_core::identity::{derive_public, sign_json};
use keystead_core::secret::SecretBytes;
use serde_json::{Value, json};

/// The device that it adds.
pub(crate) const GHOST: &str = "GHOST";
const DEVICE: u8 = 66;
const MASTER: u8 = 67;
const SELF_SIGNING: u8 = 68;

/// Makes keys for somebody else.
#[derive(Clone)]
pub(crate) struct Forger {
    user: UserId,
}

fn seed(byte: u8) -> SecretBytes<32> {
    SecretBytes::new([byte; 32])
}

impl Forger {
    pub(crate) fn new(user: &str) -> Result<Self> {
        Ok(Self { user: UserId::parse(user).ok().context("no user ID")? })
    }

    /// The key that a room key for a forged device would be encrypted to.
    pub(crate) fn agreement_key() -> String {
        STANDARD_NO_PAD.encode([DEVICE; 32])
    }

    #[allow(clippy::expect_used, reason = "the forger's own documents can be signed")]
    fn signed(&self, mut document: Value, key_id: &str, by: u8) -> Value {
        if let Some(object) = document.as_object_mut() {
            sign_json(object, &self.user, key_id, &seed(by)).expect("it can be signed");
        }
        document
    }

    /// A device that signed itself.
    pub(crate) fn device(&self, id: &str) -> Value {
        let own = format!("ed25519:{id}");
        let device = json!({
            "user_id": self.user, "device_id": id,
            "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
            "keys": {
                own.as_str(): derive_public(&seed(DEVICE)).to_base64(),
                format!("curve25519:{id}"): Self::agreement_key(),
            },
        });
        self.signed(device, &own, DEVICE)
    }

    /// The same, which an identity of the forger's vouches for.
    pub(crate) fn vouched_device(&self, id: &str) -> Value {
        self.signed(self.device(id), &derive_public(&seed(SELF_SIGNING)).key_id(), SELF_SIGNING)
    }

    /// What a session with a forged device begins with.
    pub(crate) fn one_time_key(&self, id: &str) -> Value {
        let key = self.signed(json!({ "key": STANDARD_NO_PAD.encode([69; 32]) }), &format!("ed25519:{id}"), DEVICE);
        json!({ "signed_curve25519:AAAAAQ": key })
    }

    fn key(&self, usage: &str, byte: u8) -> Value {
        let key = derive_public(&seed(byte));
        json!({ "user_id": self.user, "usage": [usage], "keys": { key.key_id(): key.to_base64() } })
    }

    pub(crate) fn master_key(&self) -> Value {
        self.key("master", MASTER)
    }

    /// Signed under the name of this master key, by the forger's.
    pub(crate) fn self_signing_key(&self, master: &str) -> Value {
        self.signed(self.key("self_signing", SELF_SIGNING), master, MASTER)
    }

    /// The name of the forger's own master key.
    pub(crate) fn master_key_id() -> String {
        derive_public(&seed(MASTER)).key_id()
    }
}
