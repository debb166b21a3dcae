//! Canonical JSON (Matrix, appendices, "Canonical JSON"): the one text of a value that is signed.

use serde_json::{Map, Number, Value};

/// The largest integer that every implementation writes the same way.
const MAX_INTEGER: i64 = (1 << 53) - 1;

/// Why a value has no canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalJsonError {
    /// A number that is not written as an integer: a fraction, an exponent, a negative zero.
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
/// A number that is not written as an integer is refused even where its value is one (the specification turns `1e10` into
/// 10000000000): long ones are not read exactly, and no published key has any.
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
    // Next to all that is signed is base64 and names.
    if string.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        text.push_str(string);
        text.push('"');
        return;
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn canonical(text: &str) -> Result<String, CanonicalJsonError> {
        canonical_json(&serde_json::from_str(text).unwrap())
    }

    /// Matrix, appendices, "Canonical JSON", examples: all but the last, which is `{"a": -0, "b": 1e10}`.
    #[test]
    fn the_specifications_examples_come_out() {
        let examples = [
            ("{}", "{}"),
            (r#"{ "one": 1, "two": "Two" }"#, r#"{"one":1,"two":"Two"}"#),
            (r#"{ "b": "2", "a": "1" }"#, r#"{"a":"1","b":"2"}"#),
            (r#"{"a": "日本語"}"#, r#"{"a":"日本語"}"#),
            (r#"{"本": 2, "日": 1}"#, r#"{"日":1,"本":2}"#),
            (r#"{"a": "\u65E5"}"#, r#"{"a":"日"}"#),
            (r#"{"a": null}"#, r#"{"a":null}"#),
            (
                r#"{"auth": {"success": true, "mxid": "@john.doe:example.com", "profile": {"display_name": "John Doe",
                "three_pids": [{"medium": "email", "address": "john.doe@example.org"}, {"medium": "msisdn",
                "address": "123456789"}]}}}"#,
                concat!(
                    r#"{"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":"#,
                    r#"[{"address":"john.doe@example.org","medium":"email"},{"address":"123456789","medium":"msisdn"}]},"#,
                    r#""success":true}}"#
                ),
            ),
        ];
        for (given, expected) in examples {
            assert_eq!(canonical(given).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn numbers_are_integers_that_everyone_has() {
        for (given, expected) in [
            ("9007199254740991", Ok("9007199254740991")),
            ("-9007199254740991", Ok("-9007199254740991")),
            ("9007199254740992", Err(CanonicalJsonError::Range)),
            ("-9007199254740992", Err(CanonicalJsonError::Range)),
            ("18446744073709551615", Err(CanonicalJsonError::Range)),
            ("0.5", Err(CanonicalJsonError::Float)),
            ("1.0", Err(CanonicalJsonError::Float)),
            ("-0", Err(CanonicalJsonError::Float)),
            ("1e10", Err(CanonicalJsonError::Float)),
        ] {
            assert_eq!(canonical(given).as_deref(), expected.as_ref().copied(), "{given}");
        }
    }

    #[test]
    fn names_are_sorted_by_code_point_and_not_by_utf_16_unit() {
        assert_eq!(canonical("{\"😀\":1,\"\u{fb01}\":2}").unwrap(), "{\"\u{fb01}\":2,\"😀\":1}");
    }

    #[test]
    fn only_what_must_be_escaped_is() {
        let value = json!("\"\\/\u{8}\t\n\u{b}\u{c}\r\u{1f}\u{7f}\u{2028}");
        let expected = "\"\\\"\\\\/\\b\\t\\n\\u000b\\f\\r\\u001f\u{7f}\u{2028}\"";
        assert_eq!(canonical_json(&value).unwrap(), expected);
    }

    #[test]
    fn of_two_members_of_one_name_the_last_is_meant() {
        assert_eq!(canonical(r#"{"a":1,"a":2}"#).unwrap(), r#"{"a":2}"#);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-MAX_INTEGER..=MAX_INTEGER).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_the_same_value_and_its_own_canonical_form(value in any_value()) {
            let text = canonical_json(&value).unwrap();
            let read: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&read, &value);
            prop_assert_eq!(canonical_json(&read).unwrap(), text);
        }
    }
}
