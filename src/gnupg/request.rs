//! What gpgme-json is asked: one JSON object each, whose `op` says what.

use serde_json::{Value, json};

use crate::{effect::NativeRequest, ident::Fingerprint};

/// The most bytes of one message of a reply: well below what browsers allow, so that replies come in parts.
pub(super) const CHUNK: usize = 256 << 10;

/// What asks a person for a PIN: five minutes.
const ASKS_A_PERSON_MS: u32 = 300_000;
/// What does not: half a minute, for a machine that has just started and a card that is read.
const ASKS_NOBODY_MS: u32 = 30_000;
/// What needs no more than the host itself.
const AT_ONCE_MS: u32 = 10_000;

/// A request that can be sent.
pub(super) struct Request {
    name: &'static str,
    body: Value,
    timeout_ms: u32,
}

impl Request {
    fn new(name: &'static str, timeout_ms: u32, body: Value) -> Self {
        Self { name, body, timeout_ms }
    }

    /// Is this gpgme-json? It runs nothing for this, so whatever does not answer at once is something else.
    pub(super) fn hello() -> Self {
        Self::new("hello", AT_ONCE_MS, json!({ "op": "help" }))
    }

    /// Decrypt an armored message.
    pub(super) fn decrypt(armored: &str) -> Self {
        Self::new("decrypt", ASKS_A_PERSON_MS, json!({ "op": "decrypt", "data": armored }))
    }

    /// Sign a text, detached and armored.
    ///
    /// Where `signer` has no secret key, gpgme-json signs with the person's *default* key: ask for
    /// [`Request::secret_keys`] first.
    pub(super) fn sign(text: &str, signer: &Fingerprint) -> Self {
        let keys = [signer.as_str()];
        let body = json!({ "op": "sign", "mode": "detached", "armor": true, "keys": keys, "data": text });
        Self::new("sign", ASKS_A_PERSON_MS, body)
    }

    /// List one secret key.
    pub(super) fn secret_key(fingerprint: &Fingerprint) -> Self {
        let body = json!({ "op": "keylist", "secret": true, "keys": [fingerprint.as_str()] });
        Self::new("key", ASKS_NOBODY_MS, body)
    }

    /// List every secret key.
    pub(super) fn secret_keys() -> Self {
        Self::new("keys", ASKS_NOBODY_MS, json!({ "op": "keylist", "secret": true }))
    }

    /// Make GnuPG ask its agent for something, where [`Request::secret_keys`] found none: without an agent no secret key
    /// is listed and no message opens, and neither says why. Encrypting *and signing* to a certificate does; with an
    /// agent it ends for want of a secret key, before anybody is asked anything.
    pub(super) fn agent(certificates: &[String]) -> Self {
        let body = json!({
            "op": "encrypt", "armor": true, "always-trust": true, "data": "",
            "keys": certificates, "signing_keys": certificates,
        });
        Self::new("agent", ASKS_NOBODY_MS, body)
    }

    /// What versions are there?
    pub(super) fn version() -> Self {
        Self::new("version", ASKS_NOBODY_MS, json!({ "op": "version" }))
    }

    /// The next part of a reply.
    pub(super) fn more() -> Self {
        Self::new("more", AT_ONCE_MS, json!({ "op": "getmore" }))
    }

    /// The message. Every one names the size of parts, else the reply comes in one, however large.
    pub(super) fn to_native(&self) -> NativeRequest {
        let mut body = self.body.clone();
        body["chunksize"] = CHUNK.into();
        NativeRequest { name: self.name, message: body.to_string(), timeout_ms: self.timeout_ms }
    }
}
