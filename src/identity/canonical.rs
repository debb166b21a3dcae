//! Canonical JSON (Matrix, appendices, "Canonical JSON"): the one text of a value that is signed.

use serde_json::{Map, Number, Value};

/// The largest integer that every implementation writes the same way.
const MAX_INTEGER: i64 = (1 << 53) - 1;

/// Why a value has no canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalJsonError {
    /// A fraction, an exponent, or a negative zero.
    #[error("a number is no integer")]
    Float,
    /// An integer outside of -2^53+1 to 2^53-1.
    #[error("an integer is out of range")]
    Range,
}

/// Writes a value in its canonical form: the shortest UTF-8, members sorted by the code points of their names, only what
/// must be escaped is escaped, integers only.
///
/// Two members of one name cannot be seen here: the parser has taken the last of them by then. The form is that of what
/// was understood, so the same value is signed, checked and used.
///
/// # Errors
/// [`CanonicalJsonError`]
pub fn canonical_json(value: &Value) -> Result<String, CanonicalJsonError> {
    let mut text = String::new();
    write(value, &mut text)?;
    Ok(text)
}

/// The canonical form of an object without some of its members.
pub(super) fn canonical_without(object: &Map<String, Value>, left_out: &[&str]) -> Result<String, CanonicalJsonError> {
    let mut text = String::new();
    write_object(object, left_out, &mut text)?;
    Ok(text)
}

fn write(value: &Value, text: &mut String) -> Result<(), CanonicalJsonError> {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Number(number) => text.push_str(&integer(number)?.to_string()),
        Value::String(string) => write_string(string, text),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(item, text)?;
            }
            text.push(']');
        }
        Value::Object(object) => write_object(object, &[], text)?,
    }
    Ok(())
}

fn write_object(object: &Map<String, Value>, left_out: &[&str], text: &mut String) -> Result<(), CanonicalJsonError> {
    let mut members: Vec<_> = object.iter().filter(|(name, _)| !left_out.contains(&name.as_str())).collect();
    // The order of UTF-8 bytes is that of code points (that of JavaScript's UTF-16 units is not).
    members.sort_unstable_by_key(|(name, _)| name.as_str());
    text.push('{');
    for (index, (name, value)) in members.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_string(name, text);
        text.push(':');
        write(value, text)?;
    }
    text.push('}');
    Ok(())
}

fn integer(number: &Number) -> Result<i64, CanonicalJsonError> {
    let integer = match number.as_i64() {
        Some(integer) => integer,
        None if number.is_u64() => return Err(CanonicalJsonError::Range),
        None => return Err(CanonicalJsonError::Float),
    };
    if (-MAX_INTEGER..=MAX_INTEGER).contains(&integer) { Ok(integer) } else { Err(CanonicalJsonError::Range) }
}

fn write_string(string: &str, text: &mut String) {
    text.push('"');
    for c in string.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\u{c}' => text.push_str("\\f"),
            '\r' => text.push_str("\\r"),
            '\0'..'\u{20}' => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => text.push(c),
        }
    }
    text.push('"');
}
