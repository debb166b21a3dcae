//! JSON without room for two readings.
//!
//! Threat: a document with one key twice, where the signer looked at the first and the reader takes the last.

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// Why a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// No JSON.
    #[error("no JSON document: line {line}, column {column}")]
    Syntax {
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
    },
    /// One object has a key twice.
    #[error("a key stands twice in one object: line {line}, column {column}")]
    DuplicateKey {
        /// Where the second one stands, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
    },
}

const DUPLICATE: &str = "duplicate key";

/// Reads JSON in which no object has a key twice.
///
/// # Errors
/// [`JsonError`] where it is no JSON (RFC 8259, at most 128 levels deep), or a key stands twice.
pub fn parse_json(text: &[u8]) -> Result<Value, JsonError> {
    let refuse = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        if error.is_data() { JsonError::DuplicateKey { line, column } } else { JsonError::Syntax { line, column } }
    };
    let text = std::str::from_utf8(text).map_err(|error| no_text(&text[..error.valid_up_to()]))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict.deserialize(&mut deserializer).map_err(refuse)?;
    deserializer.end().map_err(refuse)?;
    Ok(value)
}

/// What is after this is not even UTF-8.
fn no_text(before: &[u8]) -> JsonError {
    let begins = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    JsonError::Syntax { line, column: before.len() - begins + 1 }
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(DUPLICATE));
            }
            object.insert(name, fields.next_value_seed(Strict)?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_serde_json_reads() {
        for text in
            ["null", "[1, -2, 3.5, \"a\\u00fc\", true]", "{\"b\": {\"a\": []}, \"a\": {}}", "18446744073709551615"]
        {
            assert_eq!(parse_json(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        }
    }

    #[test]
    fn refuses_keys_that_stand_twice_at_any_depth_and_however_written() {
        for text in ["{\"a\":1,\"a\":1}", "[{\"b\":{\"a\":1,\"\\u0061\":2}}]"] {
            assert!(matches!(parse_json(text.as_bytes()), Err(JsonError::DuplicateKey { line: 1, .. })), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_json() {
        let deep = "[".repeat(100_000);
        for text in ["", "{", "{}{}", "{} x", "{\"a\":}", "\u{feff}{}", "nul", deep.as_str()] {
            let start = &text[..text.len().min(9)];
            assert!(matches!(parse_json(text.as_bytes()), Err(JsonError::Syntax { .. })), "{start}");
        }
        assert!(parse_json(b"\"\xff\"").is_err(), "not UTF-8");
    }
}
