//! Records as they are kept: JSON with the number of their version beside their fields.
//!
//! Not by serde's tagged enums: those read a value twice, by a second copy of all that reads its parts.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

const VERSION: &str = "1";

/// Reads a record; `None` where it is damaged or of a newer version.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
    let mut value: Value = serde_json::from_str(text).ok()?;
    let version = value.as_object_mut()?.remove("version")?;
    if version == VERSION { serde_json::from_value(value).ok() } else { None }
}

/// Writes a record, which is an object with some field; `None` where it cannot be written as JSON.
pub(crate) fn write<T: Serialize>(record: &T) -> Option<String> {
    let text = serde_json::to_string(record).ok()?;
    Some(format!("{{\"version\":\"{VERSION}\",{}", text.strip_prefix('{')?))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let record = json!({ "a": 1, "b": { "version": "2" } });
        let text = write(&record).unwrap();
        assert_eq!(text, r#"{"version":"1","a":1,"b":{"version":"2"}}"#);
        assert_eq!(read::<Value>(&text), Some(record));
        for text in ["", "[]", "{}", r#"{"a":1}"#, r#"{"version":"2","a":1}"#, r#"{"version":1,"a":1}"#, &text[..20]] {
            assert_eq!(read::<Map<String, Value>>(text), None, "{text}");
        }
    }
}
