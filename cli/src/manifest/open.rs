//! Reading manifests that nobody has to believe yet.

use std::path::Path;

use keystead_core::{
    ident::Origin,
    integrity::{Release, ReleaseManifest},
    signed::{Body as _, Kind, parse_json},
};
use serde_json::{Value, json};

use super::release_file::{self, format_error};
use crate::{failure::Failure, files};

/// The fields of a signed document that are not its body's.
const ENVELOPE: [&str; 6] = ["kind", "version", "deployment", "serial", "issued", "expires"];

/// What a file holds.
pub(super) enum Opened {
    /// A release alone.
    Release(Release),
    /// A manifest.
    Manifest(Origin, ReleaseManifest),
}

/// Reads a manifest, signed or not.
pub(super) fn read_manifest(path: &Path) -> Result<(Origin, ReleaseManifest), Failure> {
    match open(path)? {
        Opened::Manifest(deployment, manifest) => Ok((deployment, manifest)),
        Opened::Release(_) => Err(Failure::Usage(format!(
            "{} is a release; keystead manifest add-site makes a manifest of it",
            path.display()
        ))),
    }
}

/// Reads a release or a manifest.
pub(super) fn open(path: &Path) -> Result<Opened, Failure> {
    let document = parse_json(&files::read(path)?).map_err(|error| format_error(path, &error.to_string()))?;
    if release_file::is_one(&document) {
        return release_file::from_value(path, document).map(Opened::Release);
    }
    let Value::Object(mut fields) = document else { return Err(format_error(path, "not an object")) };
    if fields.get("kind") != Some(&json!(Kind::ReleaseManifest))
        || fields.get("version") != Some(&json!(ReleaseManifest::VERSION))
    {
        return Err(format_error(path, "not a release manifest of this version"));
    }
    let deployment = fields.get("deployment").and_then(Value::as_str).and_then(|text| Origin::parse(text).ok());
    let deployment = deployment.ok_or_else(|| format_error(path, "deployment"))?;
    ENVELOPE.iter().for_each(|name| drop(fields.shift_remove(*name)));
    let manifest = ReleaseManifest::read(fields).map_err(|field| format_error(path, &field))?;
    Ok(Opened::Manifest(deployment, manifest))
}
