//! Account data (Client-Server API, "Client Config").

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    MatrixError,
    error::{read, read_optional},
    request,
};
use crate::{
    effect::{HttpRequest, HttpResponse, Target},
    ident::{KeyId, UserId},
    recovery::secret_name,
    sorted::SortedMap,
};

/// The id of the default secret storage key ([`DefaultKey`]).
pub const DEFAULT_KEY: &str = "m.secret_storage.default_key";
/// What the type of a key description begins with.
const KEY_DESCRIPTION_PREFIX: &str = "m.secret_storage.key.";
/// The sealed recoveries and the wrapped recovery keys.
pub const KEYSTEAD_RECOVERY: &str = "io.keystead.recovery";
/// Secrets that a reset put out of use.
pub const KEYSTEAD_SUPERSEDED: &str = "io.keystead.superseded";

/// The type of the key description of a key.
#[must_use]
pub fn key_description(id: &KeyId) -> String {
    format!("{KEY_DESCRIPTION_PREFIX}{}", id.as_str())
}

/// The content of [`DEFAULT_KEY`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultKey {
    /// The key's id.
    pub key: KeyId,
}

/// Asks for the account data of a type.
#[must_use]
pub fn get(user: &UserId, kind: &str) -> HttpRequest {
    request::get(trace_words(kind).0, &["user", user.as_str(), "account_data", kind])
}

/// Reads the answer to [`get`]; `None` where there is none. An empty object is none too: clients cannot delete account
/// data, so they write that instead.
///
/// # Errors
/// [`MatrixError`]
pub fn read_get<T: DeserializeOwned>(response: &HttpResponse) -> Result<Option<T>, MatrixError> {
    const WHAT: &str = "account data";
    match read_optional::<Map<String, Value>>(response, WHAT)? {
        Some(content) if !content.is_empty() => {
            serde_json::from_value(Value::Object(content)).map(Some).map_err(|_| MatrixError::Answer(WHAT))
        }
        _ => Ok(None),
    }
}

/// Writes the account data of a type.
#[must_use]
pub fn put(user: &UserId, kind: &str, content: &Value) -> HttpRequest {
    request::put(trace_words(kind).1, &["user", user.as_str(), "account_data", kind], content)
}

/// Reads the answer to [`put`].
///
/// # Errors
/// [`MatrixError`]
pub fn read_put(response: &HttpResponse) -> Result<(), MatrixError> {
    read::<Map<String, Value>>(response, "the answer to a write of account data").map(drop)
}

/// The most bytes of all account data together that are read: 8 MiB.
pub(crate) const MAX_LIST: u32 = 8 << 20;

/// Asks for all account data of an account, but not that of its rooms ("Syncing"). It is a sync from the beginning that
/// waits for nothing, marks nobody present and takes nothing off any queue: one that went on from an earlier one would have
/// the server drop messages to the device that its client has not seen. `once` is different each time, for servers that give
/// the answer of a minute ago to the same question.
#[must_use]
pub fn list(once: &str) -> HttpRequest {
    let filter = serde_json::json!({
        "room": { "rooms": [] },
        "presence": { "types": [] },
        "account_data": { "not_types": [format!("io.keystead.none.{once}")] },
    });
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("filter", &filter.to_string())
        .append_pair("timeout", "0")
        .append_pair("set_presence", "offline")
        .finish();
    let mut request = request::get("list account_data", &["sync"]);
    if let Target::Homeserver(path) = &mut request.target {
        path.push('?');
        path.push_str(&query);
    }
    request.max_bytes = MAX_LIST;
    request
}

/// Reads the answer to [`list`]: contents by type. What is empty is not there ([`read_get`]).
///
/// # Errors
/// [`MatrixError`]
pub fn read_list(response: &HttpResponse) -> Result<SortedMap<String, Map<String, Value>>, MatrixError> {
    #[derive(Deserialize)]
    struct Sync {
        #[serde(default)]
        account_data: Events,
    }
    #[derive(Default, Deserialize)]
    struct Events {
        #[serde(default)]
        events: Vec<Event>,
    }
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "type")]
        kind: String,
        content: Map<String, Value>,
    }
    let sync: Sync = read(response, "a sync")?;
    let there = sync.account_data.events.into_iter().filter(|event| !event.content.is_empty());
    Ok(there.map(|event| (event.kind, event.content)).collect())
}

/// The words for traces: reading and writing, by the documents that a flow tells apart.
fn trace_words(kind: &str) -> (&'static str, &'static str) {
    match kind {
        DEFAULT_KEY => ("get default_key", "put default_key"),
        KEYSTEAD_RECOVERY => ("get recovery", "put recovery"),
        KEYSTEAD_SUPERSEDED => ("get superseded", "put superseded"),
        secret_name::MASTER => ("get secret master", "put secret master"),
        secret_name::SELF_SIGNING => ("get secret self_signing", "put secret self_signing"),
        secret_name::USER_SIGNING => ("get secret user_signing", "put secret user_signing"),
        secret_name::MEGOLM_BACKUP => ("get secret backup", "put secret backup"),
        _ if kind.starts_with(KEY_DESCRIPTION_PREFIX) => ("get key_description", "put key_description"),
        _ => ("get account_data", "put account_data"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Method;

    fn response(status: u16, body: &str) -> HttpResponse {
        HttpResponse { status, content_type: String::new(), retry_after_ms: None, body: body.into() }
    }

    #[test]
    fn requests_have_the_specified_form() {
        let user = UserId::parse("@ref15545x0:localhost").unwrap();
        let id = KeyId::parse("w5UW").unwrap();
        let request = put(&user, &key_description(&id), &serde_json::json!({"a": 1}));
        let path = "/_matrix/client/v3/user/%40ref15545x0%3Alocalhost/account_data/m.secret_storage.key.w5UW";
        assert_eq!((request.name, request.method), ("put key_description", Method::Put));
        assert_eq!(request.target, Target::Homeserver(path.into()));
        assert_eq!(request.body.as_deref(), Some(r#"{"a":1}"#));
        let request = get(&user, DEFAULT_KEY);
        assert_eq!((request.name, request.method, request.body), ("get default_key", Method::Get, None));
        assert_eq!((request.timeout_ms, request.max_bytes), (30_000, 1 << 20));
    }

    #[test]
    fn a_list_leaves_out_what_is_empty() {
        let answer = r#"{"next_batch":"s1","account_data":{"events":[
            {"type":"a","content":{"b":1}},{"type":"gone","content":{}}]}}"#;
        let documents = read_list(&response(200, answer)).unwrap();
        assert_eq!(documents.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(read_list(&response(200, r#"{"next_batch":"s1"}"#)), Ok(SortedMap::new()));
        assert_eq!(read_list(&response(200, r#"{"account_data":7}"#)), Err(MatrixError::Answer("a sync")));
        let Target::Homeserver(path) = list("x").target else { panic!("not to the homeserver") };
        assert!(path.starts_with("/_matrix/client/v3/sync?filter=%7B%22"), "{path}");
        assert!(path.ends_with("&timeout=0&set_presence=offline"), "{path}");
        assert_ne!(list("x"), list("y"));
    }

    #[test]
    fn absent_and_empty_are_the_same() {
        let none: Result<Option<DefaultKey>, _> = Ok(None);
        assert_eq!(read_get(&response(404, r#"{"errcode":"M_NOT_FOUND"}"#)), none);
        assert_eq!(read_get(&response(200, "{}")), none);
        let some = DefaultKey { key: KeyId::parse("a").unwrap() };
        assert_eq!(read_get(&response(200, r#"{"key":"a"}"#)), Ok(Some(some)));
        for bad in ["[]", "null", r#"{"key":1}"#, r#"{"key":""}"#, r#"{"keys":"a"}"#, ""] {
            assert_eq!(read_get::<DefaultKey>(&response(200, bad)), Err(MatrixError::Answer("account data")), "{bad}");
        }
    }
}
