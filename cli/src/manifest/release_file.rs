//! What `build` writes and `add-site` reads: one release, not signed and for no deployment yet.

use std::path::Path;

use keystead_core::{
    error::Code,
    integrity::Release,
    signed::{lines, parse_json},
};
use serde_json::{Map, Value, json};

use super::refused;
use crate::{failure::Failure, files};

/// The field that says what the file is, and its version.
const FORM: &str = "keystead_release";
const VERSION: u32 = 1;

/// The bytes of a release's file; the same for the same release.
pub(super) fn to_bytes(release: &Release) -> Vec<u8> {
    let fields = [(FORM.to_owned(), json!(VERSION)), ("release".to_owned(), json!(release))];
    lines(&fields.into_iter().collect::<Map<_, _>>()).into_bytes()
}

/// Is this such a file?
pub(super) fn is_one(document: &Value) -> bool {
    document.get(FORM).is_some()
}

/// Reads a release's file.
pub(super) fn read(path: &Path) -> Result<Release, Failure> {
    let bytes = files::read(path)?;
    let document = parse_json(&bytes).map_err(|error| format_error(path, &error.to_string()))?;
    from_value(path, document)
}

/// Reads a release's file that was parsed.
pub(super) fn from_value(path: &Path, mut document: Value) -> Result<Release, Failure> {
    if document.get(FORM) != Some(&json!(VERSION)) {
        return Err(format_error(path, "not a file that keystead manifest build wrote"));
    }
    let Some(Value::Object(release)) = document.get_mut("release").map(Value::take) else {
        return Err(format_error(path, "release"));
    };
    Release::read(release).map_err(|field| format_error(path, &field))
}

pub(super) fn format_error(path: &Path, why: &str) -> Failure {
    refused(Code::SgnFormat, format!("{}: {why}", path.display()))
}
