//! JSON that this extension wrote itself, by one reader.
//!
//! Everything of a type is read by code that was compiled for the type and for what is read from. Records are read from
//! [`Value`] anyway, so what is written by the same hand goes the same way. What others wrote does not: a field that stands
//! twice is refused only by those who read the text itself.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads a text; `None` where it is not what it should be.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(serde_json::from_str::<Value>(text).ok()?).ok()
}

/// Reads a text in UTF-8.
pub(crate) fn read_bytes<T: DeserializeOwned>(text: &[u8]) -> Option<T> {
    read(std::str::from_utf8(text).ok()?)
}
