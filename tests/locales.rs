//! The texts of the user interface: complete in every language, none missing, none left over.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use keystead_core::{error::Code, policy::schema};
use serde::Deserialize;
use serde_json::Value;

const LANGUAGES: [&str; 3] = ["en", "fr", "de"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    message: String,
    #[serde(default)]
    placeholders: BTreeMap<String, Placeholder>,
    #[serde(default, rename = "description")]
    _description: String,
}

#[derive(Deserialize, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
struct Placeholder {
    content: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn texts(language: &str) -> BTreeMap<String, Text> {
    let path = root().join("static/_locales").join(language).join("messages.json");
    serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{language}: {error}"))
}

#[test]
fn every_language_has_the_same_texts_with_the_same_placeholders() {
    let english = texts("en");
    for language in LANGUAGES {
        let other = texts(language);
        let names = |texts: &BTreeMap<String, Text>| texts.keys().cloned().collect::<BTreeSet<_>>();
        let differ: Vec<_> = names(&english).symmetric_difference(&names(&other)).cloned().collect();
        assert!(differ.is_empty(), "{language}: {differ:?}");
        for (name, text) in &other {
            assert!(!text.message.trim().is_empty(), "{language}: {name} is empty");
            assert_eq!(text.placeholders, english[name].placeholders, "{language}: {name}");
            assert_eq!(
                placeholders_in(&text.message),
                text.placeholders.keys().map(|name| name.to_uppercase()).collect(),
                "{language}: {name} does not use the placeholders that it declares",
            );
        }
    }
}

#[test]
fn a_translation_is_not_the_english_text() {
    let english = texts("en");
    // Where the languages agree on a word, they agree; a whole sentence never is the same.
    for language in ["fr", "de"] {
        for (name, text) in texts(language) {
            let sentence = text.message.split_whitespace().count() > 3;
            assert!(!sentence || text.message != english[&name].message, "{language}: {name} is not translated");
        }
    }
}

#[test]
fn every_code_has_its_sentence_and_what_to_do() {
    let english = texts("en");
    for code in Code::ALL {
        let name = code.as_str().replace('-', "_");
        for name in [name.clone(), format!("{name}_do")] {
            let text = english.get(&name).unwrap_or_else(|| panic!("{name} is missing"));
            assert!(text.message.ends_with('.'), "{name} is no sentence");
        }
    }
}

#[test]
fn the_policy_s_english_texts_are_those_of_its_schema() {
    let english = texts("en");
    for (name, expected) in schema_texts() {
        assert_eq!(english.get(&name).map(|text| text.message.as_str()), Some(expected.as_str()), "{name}");
    }
}

#[test]
fn every_text_is_used_and_every_used_text_exists() {
    let mut used: BTreeSet<String> = schema_texts().into_keys().collect();
    for code in Code::ALL {
        let name = code.as_str().replace('-', "_");
        used.extend([format!("{name}_do"), name]);
    }
    for (path, source) in sources() {
        let found = ["Msg(\"", "getMessage(\"", "__MSG_"].map(|before| names_after(&source, before));
        assert!(
            path.extension().is_some_and(|kind| kind != "rs") || found[1].is_empty(),
            "{}: texts in Rust are named by Msg",
            path.display(),
        );
        used.extend(found.into_iter().flatten());
    }
    let existing: BTreeSet<String> = texts("en").into_keys().collect();
    let missing: Vec<_> = used.difference(&existing).collect();
    let left_over: Vec<_> = existing.difference(&used).collect();
    assert!(missing.is_empty() && left_over.is_empty(), "missing: {missing:?}, not used: {left_over:?}");
}

/// `$NAME$` in a message, in upper case.
fn placeholders_in(message: &str) -> BTreeSet<String> {
    message.split('$').skip(1).step_by(2).map(str::to_uppercase).collect()
}

/// What stands between `before` and the next character that no name has.
fn names_after(source: &str, before: &str) -> Vec<String> {
    let name = |rest: &str| {
        let all = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
        all.trim_end_matches("__").to_owned()
    };
    source.split(before).skip(1).map(name).filter(|name| !name.is_empty()).collect()
}

/// Everything that may name a text: the extension's sources, the pages' scripts, the manifest.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("extension"), root().join("static")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "js") {
                found.push(path);
            }
        }
    }
    found.extend(Some(root().join("manifest.json")).filter(|path| path.exists()));
    found.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The names and English texts that the options page needs: `policy_` and the field's path, and the same with `_help`.
fn schema_texts() -> BTreeMap<String, String> {
    fn walk(node: &Value, name: &str, into: &mut BTreeMap<String, String>) {
        for (keyword, end) in [("title", ""), ("description", "_help")] {
            if let Some(text) = node[keyword].as_str() {
                into.insert(format!("{name}{end}"), text.to_owned());
            }
        }
        for (field, child) in node["properties"].as_object().into_iter().flatten() {
            walk(child, &format!("{name}_{field}"), into);
        }
        if let Some(items) = node.get("items") {
            walk(items, &format!("{name}_item"), into);
        }
    }
    let mut all = BTreeMap::new();
    for (field, child) in schema()["properties"].as_object().into_iter().flatten() {
        walk(child, &format!("policy_{field}"), &mut all);
    }
    all
}
