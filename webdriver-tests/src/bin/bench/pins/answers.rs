//! Answers to keys queries as a homeserver makes them, with identities and devices that are really signed; and requests that
//! send to those devices.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use keystead_core::ident::UserId;
use keystead_core::identity::{derive_public, sign_json};
use keystead_core::secret::SecretBytes;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// How many people a client asks for at a time.
pub(crate) const PEOPLE: usize = 250;
/// How many devices each of them has.
pub(crate) const DEVICES: usize = 3;
/// How many messages a client sends to devices at a time.
const AT_A_TIME: usize = 250;
/// As long as a room key in an Olm message is, in base64.
const CIPHERTEXT: usize = 1000;

/// The people of one answer.
pub(crate) struct Crowd {
    users: Vec<UserId>,
}

/// A secret, and so a key, for each name.
fn seed(name: &str) -> SecretBytes<32> {
    SecretBytes::new(Sha256::digest(name).into())
}

fn agreement_key(user: &UserId, device: usize) -> String {
    STANDARD_NO_PAD.encode(Sha256::digest(format!("agreement {} {device}", user.as_str())))
}

fn device_id(device: usize) -> String {
    format!("DEVICE{device}")
}

impl Crowd {
    /// The people of the answer with this number.
    pub(crate) fn new(number: usize, server: &str) -> Result<Self> {
        let name = |one: usize| UserId::parse(&format!("@person{}:{server}", number * PEOPLE + one));
        Ok(Self { users: (0..PEOPLE).map(name).collect::<Result<_, _>>().ok().context("no user IDs")? })
    }

    /// The body of the client's query.
    pub(crate) fn query(&self) -> String {
        let asked: Map<String, Value> = self.users.iter().map(|user| (user.as_str().to_owned(), json!([]))).collect();
        json!({ "device_keys": asked, "timeout": 10_000 }).to_string()
    }

    /// What the homeserver answers.
    pub(crate) fn answer(&self) -> Result<String> {
        let (mut devices, mut masters, mut self_signing) = (Map::new(), Map::new(), Map::new());
        for user in &self.users {
            let person = Person::new(user);
            devices.insert(user.as_str().to_owned(), person.devices()?);
            masters.insert(user.as_str().to_owned(), person.master_key()?);
            self_signing.insert(user.as_str().to_owned(), person.self_signing_key()?);
        }
        let answer = json!({
            "device_keys": devices, "failures": {}, "master_keys": masters, "self_signing_keys": self_signing,
            "user_signing_keys": {},
        });
        Ok(answer.to_string())
    }

    /// A message for each device, in requests as a client makes them.
    pub(crate) fn messages(crowds: &[Self]) -> Vec<String> {
        let body: String = std::iter::repeat_n('A', CIPHERTEXT).collect();
        let devices: Vec<_> = crowds
            .iter()
            .flat_map(|crowd| &crowd.users)
            .flat_map(|user| (0..DEVICES).map(move |device| (user, device)))
            .collect();
        let request = |part: &[(&UserId, usize)]| {
            let mut messages = json!({});
            for (user, device) in part {
                messages[user.as_str()][device_id(*device)] = json!({
                    "algorithm": "m.olm.v1.curve25519-aes-sha2",
                    "ciphertext": { agreement_key(user, *device): { "body": body, "type": 0 } },
                    "sender_key": STANDARD_NO_PAD.encode([1; 32]),
                });
            }
            json!({ "messages": messages }).to_string()
        };
        devices.chunks(AT_A_TIME).map(request).collect()
    }
}

/// One person's keys.
struct Person<'a> {
    user: &'a UserId,
    master: SecretBytes<32>,
    self_signing: SecretBytes<32>,
}

impl<'a> Person<'a> {
    fn new(user: &'a UserId) -> Self {
        let of = |what: &str| seed(&format!("{what} {}", user.as_str()));
        Self { user, master: of("master"), self_signing: of("self-signing") }
    }

    fn sign(&self, document: &mut Value, key_id: &str, by: &SecretBytes<32>) -> Result<()> {
        let document = document.as_object_mut().context("no object")?;
        sign_json(document, self.user, key_id, by).ok().context("it cannot be signed")
    }

    fn key(&self, usage: &str, secret: &SecretBytes<32>) -> Value {
        let key = derive_public(secret);
        json!({ "user_id": self.user, "usage": [usage], "keys": { key.key_id(): key.to_base64() } })
    }

    /// With its first device's signature, as clients publish it.
    fn master_key(&self) -> Result<Value> {
        let mut key = self.key("master", &self.master);
        self.sign(&mut key, &format!("ed25519:{}", device_id(0)), &self.signing(0))?;
        Ok(key)
    }

    fn self_signing_key(&self) -> Result<Value> {
        let mut key = self.key("self_signing", &self.self_signing);
        self.sign(&mut key, &derive_public(&self.master).key_id(), &self.master)?;
        Ok(key)
    }

    fn signing(&self, device: usize) -> SecretBytes<32> {
        seed(&format!("device {} {device}", self.user.as_str()))
    }

    fn devices(&self) -> Result<Value> {
        let mut devices = Map::new();
        for number in 0..DEVICES {
            let (id, secret) = (device_id(number), self.signing(number));
            let own = format!("ed25519:{id}");
            let mut device = json!({
                "user_id": self.user, "device_id": id,
                "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
                "keys": {
                    format!("curve25519:{id}"): agreement_key(self.user, number),
                    own.as_str(): derive_public(&secret).to_base64(),
                },
            });
            self.sign(&mut device, &own, &secret)?;
            self.sign(&mut device, &derive_public(&self.self_signing).key_id(), &self.self_signing)?;
            device["unsigned"] = json!({ "device_display_name": "Element Web: Chrome on Linux" });
            devices.insert(id, device);
        }
        Ok(devices.into())
    }
}
