//! What Element does by itself at a first login, as far as the homeserver sees it: cross-signing keys and a key backup.

use std::cell::RefCell;

use keystead_core::{
    ident::UserId,
    identity::{derive_backup_public, derive_public, sign_json},
    recovery::{encode_seed, secret_name},
    secret::{SecretBytes, SecretText},
};
use keystead_testbed::{Session, Synapse};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::world::PASSWORD;

/// The client's secrets.
pub(crate) struct Element {
    seeds: [(&'static str, SecretBytes<32>); 3],
    /// The key of each of its backups, the last one in force.
    backups: RefCell<Vec<SecretBytes<32>>>,
}

impl Element {
    /// Makes everything, and publishes nothing.
    pub(crate) fn make() -> Self {
        let [names @ .., _] = secret_name::ALL;
        let seed = || SecretBytes::<32>::make_random().unwrap();
        Self { seeds: names.map(|name| (name, seed())), backups: RefCell::new(vec![seed()]) }
    }

    /// Makes and publishes everything.
    pub(crate) async fn set_up(synapse: &Synapse, session: &Session) -> Self {
        let element = Self::make();
        element.publish_identity(synapse, session).await;
        element.publish_backup(synapse, session).await;
        element
    }

    /// The first half of what it does.
    pub(crate) async fn publish_identity(&self, synapse: &Synapse, session: &Session) {
        let [(_, master), (_, self_signing), (_, user_signing)] = &self.seeds;
        let user = UserId::parse(&session.user_id).unwrap();
        let document = |usage: &str, seed: &SecretBytes<32>| {
            let public = derive_public(seed);
            let key =
                json!({ "user_id": user.as_str(), "usage": [usage], "keys": { public.key_id(): public.to_base64() } });
            let mut key = object(key);
            sign_json(&mut key, &user, &derive_public(master).key_id(), master).unwrap();
            Value::Object(key)
        };
        let mut keys = json!({
            "master_key": document("master", master),
            "self_signing_key": document("self_signing", self_signing),
            "user_signing_key": document("user_signing", user_signing),
        });
        let token = Some(session.access_token.as_str());
        let upload = "/_matrix/client/v3/keys/device_signing/upload";
        let answer = synapse.call(Method::POST, upload, token, Some(&keys)).await.unwrap();
        if answer.status != 401 {
            answer.ok().unwrap();
            return;
        }
        // Over an identity that there is, only with the password.
        let identifier = json!({ "type": "m.id.user", "user": user.as_str() });
        let asked = &answer.body["session"];
        keys["auth"] =
            json!({ "type": "m.login.password", "identifier": identifier, "password": PASSWORD, "session": asked });
        synapse.call(Method::POST, upload, token, Some(&keys)).await.unwrap().ok().unwrap();
    }

    /// The second half.
    pub(crate) async fn publish_backup(&self, synapse: &Synapse, session: &Session) {
        let [(_, master), _, _] = &self.seeds;
        let user = UserId::parse(&session.user_id).unwrap();
        let token = Some(session.access_token.as_str());
        let mut auth_data =
            object(json!({ "public_key": derive_backup_public(self.backups.borrow().last().unwrap()) }));
        sign_json(&mut auth_data, &user, &derive_public(master).key_id(), master).unwrap();
        let version = json!({ "algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": auth_data });
        let path = "/_matrix/client/v3/room_keys/version";
        synapse.call(Method::POST, path, token, Some(&version)).await.unwrap().ok().unwrap();
    }

    /// Makes another backup, with another key.
    pub(crate) async fn renew_backup(&self, synapse: &Synapse, session: &Session) {
        self.backups.borrow_mut().push(SecretBytes::<32>::make_random().unwrap());
        self.publish_backup(synapse, session).await;
    }

    /// Publishes a session's device keys, as the client does at its login.
    pub(crate) async fn add_device(&self, synapse: &Synapse, session: &Session) -> Map<String, Value> {
        let user = UserId::parse(&session.user_id).unwrap();
        let (own, curve) = (SecretBytes::<32>::make_random().unwrap(), SecretBytes::<32>::make_random().unwrap());
        let device = &session.device_id;
        let mut keys = object(json!({
            "user_id": user.as_str(),
            "device_id": device,
            "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
            "keys": {
                format!("ed25519:{device}"): derive_public(&own).to_base64(),
                format!("curve25519:{device}"): derive_backup_public(&curve),
            },
        }));
        sign_json(&mut keys, &user, &format!("ed25519:{device}"), &own).unwrap();
        let body = json!({ "device_keys": keys });
        let path = "/_matrix/client/v3/keys/upload";
        synapse.call(Method::POST, path, Some(&session.access_token), Some(&body)).await.unwrap().ok().unwrap();
        keys
    }

    /// Signs a device with a self-signing seed, as a client does that has just been given one.
    pub(crate) async fn sign_device(
        synapse: &Synapse,
        session: &Session,
        mut device: Map<String, Value>,
        seed: &SecretBytes<32>,
    ) {
        let user = UserId::parse(&session.user_id).unwrap();
        sign_json(&mut device, &user, &derive_public(seed).key_id(), seed).unwrap();
        let body = json!({ user.as_str(): { &session.device_id: device } });
        let path = "/_matrix/client/v3/keys/signatures/upload";
        let answer = synapse.call(Method::POST, path, Some(&session.access_token), Some(&body)).await.unwrap();
        assert_eq!(answer.ok().unwrap()["failures"], json!({}));
    }

    /// Is this a secret of this name that the client has, or had?
    pub(crate) fn had(&self, name: &str, secret: &SecretText) -> bool {
        let is = |known: &SecretText| known.expose("to compare") == secret.expose("to compare");
        self.secrets().any(|(known, text)| known == name && is(&text))
            || name == secret_name::MEGOLM_BACKUP && self.backups.borrow().iter().any(|seed| is(&encode_seed(seed)))
    }

    /// The secrets as the client stores them.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = (&'static str, SecretText)> {
        let backup = (secret_name::MEGOLM_BACKUP, encode_seed(self.backups.borrow().last().unwrap()));
        self.seeds.iter().map(|(name, seed)| (*name, encode_seed(seed))).chain([backup])
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}
