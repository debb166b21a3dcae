//! Walks a document along `static/policy.schema.json`.
//!
//! The schema keeps to what Chromium allows in a managed schema (an extension whose schema has anything else is not
//! loaded): one `type` a node, and only the keywords of [`KEYWORDS`]. What a text must look like is not said there but in
//! [`super::format`], by field.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::{PolicyError, format};
use crate::error::Code;

/// The text of `static/policy.schema.json`.
pub const SCHEMA: &str = include_str!("../../static/policy.schema.json");

/// The keywords that the schema uses, each known to Chromium and to [`validate`].
#[cfg(test)]
const KEYWORDS: [&str; 9] =
    ["type", "title", "description", "properties", "required", "items", "enum", "minimum", "maximum"];

/// The schema as a document.
#[must_use]
pub fn schema() -> &'static Value {
    // A schema that is no JSON would refuse every policy; a test reads it.
    static PARSED: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(SCHEMA).unwrap_or_default());
    &PARSED
}

/// The schema for the browser's own checks (`storage.managed_schema`): shapes only; `static/policy.managed.json` is it.
///
/// What Chromium finds wrong it takes away before the extension sees it, whole sections at a time. A bad value would
/// so turn into a missing field. Without the limits on values it arrives here, is refused with its path, and the last good
/// policy stays in force.
#[must_use]
pub fn browser_schema() -> Value {
    fn shapes(node: &Value) -> Value {
        let Some(object) = node.as_object() else { return node.clone() };
        let mut kept = Map::new();
        for (keyword, value) in object {
            match keyword.as_str() {
                "required" | "enum" | "minimum" | "maximum" => {}
                "properties" => {
                    let properties = value.as_object().into_iter().flatten();
                    kept.insert(keyword.clone(), properties.map(|(name, node)| (name.clone(), shapes(node))).collect());
                }
                "items" => {
                    kept.insert(keyword.clone(), shapes(value));
                }
                _ => {
                    kept.insert(keyword.clone(), value.clone());
                }
            }
        }
        Value::Object(kept)
    }
    shapes(schema())
}

/// Checks shapes and single values; contradictions between fields are [`super::combination`]'s.
pub(super) fn validate(document: &Value) -> Result<(), PolicyError> {
    walk(document, schema(), &Place::default())
}

/// Where in the document we are: as a person reads it (`a[0].b`), and as the schema has it (`a[].b`).
#[derive(Default)]
struct Place {
    path: String,
    pattern: String,
}

impl Place {
    fn field(&self, name: &str) -> Self {
        let join = |base: &str| if base.is_empty() { name.to_owned() } else { format!("{base}.{name}") };
        Self { path: join(&self.path), pattern: join(&self.pattern) }
    }

    fn item(&self, index: usize) -> Self {
        Self { path: format!("{}[{index}]", self.path), pattern: format!("{}[]", self.pattern) }
    }

    fn refuse(&self, code: Code, expected: impl Into<String>) -> PolicyError {
        PolicyError::new(code, self.path.as_str(), expected)
    }
}

fn walk(value: &Value, node: &Value, at: &Place) -> Result<(), PolicyError> {
    match (node["type"].as_str().unwrap_or_default(), value) {
        ("object", Value::Object(fields)) => walk_object(fields, node, at),
        ("array", Value::Array(items)) => {
            items.iter().enumerate().try_for_each(|(index, item)| walk(item, &node["items"], &at.item(index)))
        }
        ("string", Value::String(text)) => walk_string(text, node, at),
        ("integer", Value::Number(number)) => walk_integer(number, node, at),
        ("boolean", Value::Bool(_)) => Ok(()),
        (expected, _) => Err(at.refuse(Code::PolType, type_name(expected))),
    }
}

fn walk_object(fields: &Map<String, Value>, node: &Value, at: &Place) -> Result<(), PolicyError> {
    for (name, value) in fields {
        match node["properties"].get(name) {
            Some(known) => walk(value, known, &at.field(name))?,
            None => {
                let known: Vec<_> = node["properties"].as_object().into_iter().flat_map(Map::keys).collect();
                let known = known.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
                return Err(at.field(&printable(name)).refuse(Code::PolField, format!("one of the fields {known}")));
            }
        }
    }
    for name in node["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            let expected = type_name(node["properties"][name]["type"].as_str().unwrap_or_default());
            return Err(at.field(name).refuse(Code::PolValue, format!("{expected}; the field is required")));
        }
    }
    Ok(())
}

fn walk_string(text: &str, node: &Value, at: &Place) -> Result<(), PolicyError> {
    if let Some(allowed) = node["enum"].as_array() {
        let allowed: Vec<_> = allowed.iter().filter_map(Value::as_str).collect();
        if !allowed.contains(&text) {
            return Err(at.refuse(Code::PolValue, format!("one of {}", allowed.join(", "))));
        }
        return Ok(());
    }
    match format::of(&at.pattern) {
        Some(format) if (format.accepts)(text) => Ok(()),
        Some(format) => Err(at.refuse(Code::PolValue, format.expected)),
        None => Ok(()),
    }
}

fn walk_integer(number: &serde_json::Number, node: &Value, at: &Place) -> Result<(), PolicyError> {
    if number.is_f64() {
        return Err(at.refuse(Code::PolType, type_name("integer")));
    }
    let value = number.as_i64().unwrap_or(i64::MAX);
    let bound = |keyword: &str, otherwise| node[keyword].as_i64().unwrap_or(otherwise);
    let (least, most) = (bound("minimum", i64::MIN), bound("maximum", i64::MAX));
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(at.refuse(Code::PolValue, format!("a whole number from {least} to {most}")))
    }
}

const fn type_name(schema_type: &str) -> &'static str {
    match schema_type.as_bytes() {
        b"object" => "an object",
        b"array" => "a list",
        b"string" => "a text",
        b"integer" => "a whole number",
        b"boolean" => "true or false",
        _ => "nothing",
    }
}

/// A field name of a document that is refused: shown, so it must not carry anything but a name.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls `visit` with the pattern and the node of every schema in the schema.
    fn each(node: &Value, pattern: &str, visit: &mut impl FnMut(&str, &Value)) {
        visit(pattern, node);
        for (name, child) in node["properties"].as_object().into_iter().flatten() {
            let below = if pattern.is_empty() { name.clone() } else { format!("{pattern}.{name}") };
            each(child, &below, visit);
        }
        if let Some(items) = node.get("items") {
            each(items, &format!("{pattern}[]"), visit);
        }
    }

    #[test]
    fn the_schema_keeps_to_what_chromium_allows() {
        assert_eq!(schema()["type"], "object");
        for schema in [schema(), &browser_schema()] {
            each(schema, "", &mut |pattern, node| {
                let kind = node["type"].as_str().unwrap_or_else(|| panic!("{pattern}: exactly one type"));
                for keyword in node.as_object().unwrap().keys() {
                    assert!(KEYWORDS.contains(&keyword.as_str()), "{pattern}: {keyword}");
                    let fits = match keyword.as_str() {
                        "properties" | "required" => kind == "object",
                        "items" => kind == "array",
                        "enum" => kind == "string",
                        "minimum" | "maximum" => kind == "integer",
                        _ => true,
                    };
                    assert!(fits, "{pattern}: {keyword} on {kind}");
                }
                assert!(kind != "array" || node["items"].is_object(), "{pattern}: a list has one schema for its items");
            });
        }
    }

    #[test]
    fn every_field_has_a_title_and_every_property_a_description() {
        each(schema(), "", &mut |pattern, node| {
            assert!(node["title"].as_str().is_some_and(|t| !t.is_empty()), "{pattern}: title");
            if !pattern.ends_with("[]") {
                assert!(node["description"].as_str().is_some_and(|t| t.ends_with('.')), "{pattern}: description");
            }
        });
    }

    #[test]
    fn every_text_has_a_format_or_an_enumeration_and_every_format_a_field() {
        let mut texts = Vec::new();
        each(schema(), "", &mut |pattern, node| {
            if node["type"] == "string" && node.get("enum").is_none() {
                assert!(format::of(pattern).is_some(), "{pattern} has no format");
                texts.push(pattern.to_owned());
            }
        });
        for format in format::FORMATS {
            assert!(texts.iter().any(|text| text == format.field), "{} is no text of the schema", format.field);
        }
    }

    #[test]
    fn the_browsers_schema_lies_in_its_file() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/static/policy.managed.json");
        let text = serde_json::to_string_pretty(&browser_schema()).unwrap() + "\n";
        if std::env::var_os("KEYSTEAD_WRITE").is_some() {
            std::fs::write(file, &text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(file).unwrap(), text, "write it anew with KEYSTEAD_WRITE=1");
    }

    #[test]
    fn the_browsers_schema_has_the_same_fields_and_no_limits() {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        each(schema(), "", &mut |pattern, node| ours.push((pattern.to_owned(), node["type"].clone())));
        each(&browser_schema(), "", &mut |pattern, node| {
            theirs.push((pattern.to_owned(), node["type"].clone()));
            for limit in ["required", "enum", "minimum", "maximum"] {
                assert!(node.get(limit).is_none(), "{pattern}: {limit}");
            }
        });
        assert_eq!(ours, theirs);
    }
}
