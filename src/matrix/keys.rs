//! Published keys (Client-Server API, "Key management", "Cross-signing").

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{MatrixError, SignedJson, error::read, request};
use crate::{
    effect::{HttpRequest, HttpResponse},
    ident::{DeviceId, UserId},
    sorted::SortedMap,
};

/// An account may have hundreds of devices, most of them long gone: 4 MiB.
const MAX_BYTES: u32 = 4 << 20;

/// A device's keys, with their signatures unchecked.
pub type DeviceKeys = SignedJson<DeviceFields>;

/// The fields of [`DeviceKeys`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DeviceFields {
    /// The owner.
    pub user_id: UserId,
    /// The device.
    pub device_id: DeviceId,
    /// The public keys, by `algorithm:device`.
    pub keys: SortedMap<String, String>,
}

/// A cross-signing key, with its signatures unchecked.
pub type CrossSigningKey = SignedJson<CrossSigningFields>;

/// The fields of [`CrossSigningKey`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CrossSigningFields {
    /// The owner.
    pub user_id: UserId,
    /// What it is for.
    pub usage: Vec<String>,
    /// The public key, by `ed25519:` and itself.
    pub keys: SortedMap<String, String>,
}

/// The answer to [`query`]. The documents in it are read one by one, so that one that is malformed (some bridge's device,
/// a stranger's experiment) does not make the others unreadable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct KeysQueryResponse {
    /// Devices, by user and device id.
    pub device_keys: SortedMap<String, SortedMap<String, Value>>,
    /// Servers that did not answer: of their users nothing is known.
    pub failures: Map<String, Value>,
    /// Master keys, by user.
    pub master_keys: SortedMap<String, Value>,
    /// Self-signing keys, by user.
    pub self_signing_keys: SortedMap<String, Value>,
    /// User-signing keys, by user; only one's own is given.
    pub user_signing_keys: SortedMap<String, Value>,
}

impl KeysQueryResponse {
    /// One device's keys; `None` where they are absent or malformed, or name another user or device.
    #[must_use]
    pub fn device(&self, user: &UserId, device: &DeviceId) -> Option<DeviceKeys> {
        let document = self.device_keys.get(user.as_str())?.get(device.as_str())?;
        let keys = DeviceKeys::read(document).ok()?;
        (keys.fields().user_id == *user && keys.fields().device_id == *device).then_some(keys)
    }

    /// All of a user's devices whose keys are well-formed and name that user and that device.
    pub fn devices(&self, user: &UserId) -> impl Iterator<Item = DeviceKeys> {
        let ids = self.device_keys.get(user.as_str()).into_iter().flat_map(|devices| devices.keys());
        ids.filter_map(move |id| self.device(user, &DeviceId::parse(id).ok()?))
    }
}

/// Asks for all of a user's keys.
#[must_use]
pub fn query(user: &UserId) -> HttpRequest {
    let body = json!({ "device_keys": { user.as_str(): [] } });
    HttpRequest { max_bytes: MAX_BYTES, ..request::post("keys query", &["keys", "query"], &body) }
}

/// Asks for all keys of several users. The answer is bounded by [`crate::pins::MAX_ANSWER_BYTES`].
#[must_use]
pub fn query_all<'a>(users: impl Iterator<Item = &'a UserId>) -> HttpRequest {
    let users: Map<String, Value> = users.map(|user| (user.as_str().to_owned(), json!([]))).collect();
    let max_bytes = crate::pins::MAX_ANSWER_BYTES as u32;
    HttpRequest { max_bytes, ..request::post("keys query", &["keys", "query"], &json!({ "device_keys": users })) }
}

/// Reads the answer to [`query`].
///
/// # Errors
/// [`MatrixError`]
pub fn read_query(response: &HttpResponse) -> Result<KeysQueryResponse, MatrixError> {
    read(response, "published keys")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::{Method, Target};

    #[test]
    fn the_query_is_for_all_devices_of_one_user() {
        let request = query(&UserId::parse("@a:b").unwrap());
        assert_eq!(request.method, Method::Post);
        assert_eq!(request.target, Target::Homeserver("/_matrix/client/v3/keys/query".into()));
        assert_eq!(request.body.as_deref(), Some(r#"{"device_keys":{"@a:b":[]}}"#));
        assert_eq!((request.timeout_ms, request.max_bytes), (30_000, 4 << 20));
    }

    #[test]
    fn a_malformed_device_hides_no_other() {
        let body = r#"{"device_keys":{"@a:b":{"BAD":{"keys":1},"":{},"GOOD":{"user_id":"@a:b","device_id":"GOOD","keys":{}},
            "STOLEN":{"user_id":"@c:b","device_id":"STOLEN","keys":{}}}},"org.example.more":[]}"#;
        let response =
            HttpResponse { status: 200, content_type: String::new(), retry_after_ms: None, body: body.into() };
        let answer = read_query(&response).unwrap();
        let user = UserId::parse("@a:b").unwrap();
        let devices: Vec<_> = answer.devices(&user).map(|device| device.fields().device_id.clone()).collect();
        assert_eq!(devices.iter().map(DeviceId::as_str).collect::<Vec<_>>(), ["GOOD"]);
    }
}
