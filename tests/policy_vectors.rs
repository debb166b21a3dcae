//! Policies that must be read and policies that must be refused: `tests/vectors/policy`, one defect a file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "functions shared by tests are test code too"
)]

use std::{collections::BTreeSet, fs, path::Path};

use keystead_core::policy::{self, Policy};
use proptest::prelude::*;
use serde_json::Value;

/// A vector: its header (`key: value` lines up to the first empty line) and the document.
struct Vector {
    name: String,
    header: Vec<(String, String)>,
    document: Value,
}

impl Vector {
    fn read_all(folder: &str) -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/policy").join(folder);
        let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let (header, document) = text.split_once("\n\n").unwrap();
        let header = header.lines().map(|line| line.split_once(':').unwrap());
        let header = header.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect();
        Self { document: serde_json::from_str(document).unwrap_or_else(|e| panic!("{name}: {e}")), name, header }
    }

    fn header(&self, key: &str) -> &str {
        self.header.iter().find(|(k, _)| k == key).map_or_else(|| panic!("{}: no {key}", self.name), |(_, v)| v)
    }
}

#[test]
fn good_policies_are_read_and_written_back_unchanged() {
    let vectors = Vector::read_all("good");
    assert!(vectors.len() >= 4);
    for vector in vectors {
        let policy = Policy::parse(&vector.document).unwrap_or_else(|error| panic!("{}: {error}", vector.name));
        assert_eq!(serde_json::to_value(policy).unwrap(), vector.document, "{}", vector.name);
    }
}

#[test]
fn bad_policies_are_refused_with_code_and_path() {
    let vectors = Vector::read_all("bad");
    assert!(vectors.len() >= 50);
    for vector in vectors {
        let error = Policy::parse(&vector.document).expect_err(&vector.name);
        let found = (error.code.as_str(), error.path.as_str());
        assert_eq!(found, (vector.header("expect"), vector.header("path")), "{}", vector.name);
        assert!(!error.expected.is_empty(), "{}: says what is expected", vector.name);
    }
}

/// `deployments[].origin` and the like, of every property in a schema or a document.
fn fields(node: &Value, schema: bool, at: &str, found: &mut BTreeSet<String>) {
    let children = if schema { &node["properties"] } else { node };
    for (name, child) in children.as_object().into_iter().flatten() {
        let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        found.insert(path.clone());
        fields(child, schema, &path, found);
    }
    let items = if schema {
        node.get("items").into_iter().collect()
    } else {
        node.as_array().into_iter().flatten().collect::<Vec<_>>()
    };
    for item in items {
        fields(item, schema, &format!("{at}[]"), found);
    }
}

fn schema_fields() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    fields(policy::schema(), true, "", &mut found);
    found
}

/// `full` has every field of the schema, and reading and writing it changes nothing: so the types have every field of
/// the schema. What the types write passes the schema, which refuses unknown fields: so they have no other.
#[test]
fn schema_and_types_have_the_same_fields() {
    let full = Vector::read_all("good").into_iter().find(|vector| vector.name == "full").unwrap();
    let mut in_full = BTreeSet::new();
    fields(&full.document, false, "", &mut in_full);
    assert_eq!(in_full, schema_fields(), "the vector `full` has every field of the schema");
    let written = serde_json::to_value(Policy::parse(&full.document).unwrap()).unwrap();
    assert_eq!(written, full.document);
    assert!(Policy::parse(&written).is_ok());
}

#[test]
fn the_docs_name_every_field() {
    let docs = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/policy.md")).unwrap();
    for field in schema_fields() {
        assert!(docs.contains(&format!("`{}`", field.replace("[]", ""))), "docs/policy.md does not name {field}");
    }
}

/// Any JSON of a few levels.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~]{0,20}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..5).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

/// Every place in a document, as JSON pointers.
fn places(node: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    for (name, child) in node.as_object().into_iter().flatten() {
        places(child, &format!("{at}/{name}"), found);
    }
    for (index, child) in node.as_array().into_iter().flatten().enumerate() {
        places(child, &format!("{at}/{index}"), found);
    }
}

proptest! {
    /// Whatever stands anywhere in a policy: no panic; what is taken is written back unchanged, and what is refused has
    /// a code of the policy's and never shows the value.
    #[test]
    fn anything_anywhere_is_taken_whole_or_refused(place in any::<prop::sample::Index>(), value in any_json()) {
        let mut document = Vector::read_all("good").into_iter().find(|vector| vector.name == "full").unwrap().document;
        let mut found = Vec::new();
        places(&document, "", &mut found);
        let place: &String = place.get(&found);
        *document.pointer_mut(place).unwrap() = value.clone();
        match Policy::parse(&document) {
            Ok(policy) => prop_assert!(Policy::parse(&serde_json::to_value(policy).unwrap()).is_ok()),
            Err(error) => {
                prop_assert!(error.code.as_str().starts_with("KS-POL-"));
                let text = value.as_str().filter(|text| text.len() > 12);
                prop_assert!(text.is_none_or(|text| !error.to_string().contains(text)));
            }
        }
    }
}
