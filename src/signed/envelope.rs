//! What every signed document says of itself, and how one is written.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::SignedError;
use crate::{ident::Origin, time::UnixMillis};

/// The most bytes of a document that are read or written.
pub const MAX_BYTES: usize = 8 << 20;

/// The greatest serial number: the greatest whole number that every JSON reader keeps.
pub(super) const MAX_SERIAL: u64 = (1 << 53) - 1;

/// What a document is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The people: [`super::Roster`].
    Roster,
    /// The files of an Element Web release.
    ReleaseManifest,
    /// Releases that no longer hold.
    Revocation,
}

impl Kind {
    /// The word for it in a document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Roster => "roster",
            Self::ReleaseManifest => "release_manifest",
            Self::Revocation => "revocation",
        }
    }
}

/// What every document says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// What it is about.
    pub kind: Kind,
    /// The form of this kind.
    pub version: u32,
    /// For which deployment.
    pub deployment: Origin,
    /// Greater in each new document of this kind and deployment; 1 to 2^53 − 1.
    pub serial: u64,
    /// Since when it holds.
    pub issued: UnixMillis,
    /// Until when it holds; after `issued`.
    pub expires: UnixMillis,
}

impl Envelope {
    /// The fields of the document that are the envelope's; the others are the body's.
    pub(super) const FIELDS: [&'static str; 6] = ["kind", "version", "deployment", "serial", "issued", "expires"];
}

/// What a kind of document holds beside its envelope. It is written in one order, whatever order it was read in.
pub trait Body: Serialize + Sized {
    /// Its kind.
    const KIND: Kind;
    /// The version that is written, and the only one that is read.
    const VERSION: u32;

    /// Reads it from the fields that are not the envelope's.
    ///
    /// # Errors
    /// The field that is unknown, missing or wrong, such as `people[3]`.
    fn read(fields: Map<String, Value>) -> Result<Self, String>;
}

/// A document ready to be signed: its bytes are what the signature covers, so they are kept as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The document.
    pub bytes: Vec<u8>,
}

impl Written {
    /// Writes a document. The same arguments give the same bytes.
    ///
    /// # Errors
    /// [`SignedError::Format`] where a serial number or a time cannot be; [`SignedError::TooLarge`].
    pub fn make<T: Body>(
        deployment: Origin,
        serial: u64,
        issued: UnixMillis,
        expires: UnixMillis,
        body: &T,
    ) -> Result<Self, SignedError> {
        if !(1..=MAX_SERIAL).contains(&serial) {
            return Err(SignedError::Format { field: "serial".into() });
        }
        if expires <= issued {
            return Err(SignedError::Format { field: "expires".into() });
        }
        let envelope = Envelope { kind: T::KIND, version: T::VERSION, deployment, serial, issued, expires };
        let mut fields = object(&envelope);
        fields.extend(object(body));
        let bytes = lines(&fields).into_bytes();
        if bytes.len() > MAX_BYTES { Err(SignedError::TooLarge) } else { Ok(Self { bytes }) }
    }
}

fn object(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields,
        // Envelopes and bodies are structs of plain fields.
        _ => Map::new(),
    }
}

/// Writes an object as signed documents are written: one field a line, and the items of a list each on its own, down to what
/// holds no list. That is short, and readable in a diff.
#[must_use]
pub fn lines(fields: &Map<String, Value>) -> String {
    let mut text = String::new();
    write_fields(&mut text, fields);
    text.push('\n');
    text
}

fn write_fields(text: &mut String, fields: &Map<String, Value>) {
    text.push_str("{\n");
    for (index, (name, value)) in fields.iter().enumerate() {
        text.push_str(if index == 0 { "" } else { ",\n" });
        text.push_str(&format!("{}: ", Value::from(name.as_str())));
        write_value(text, value);
    }
    text.push_str("\n}");
}

fn write_value(text: &mut String, value: &Value) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            text.push_str("[\n");
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ",\n" });
                write_value(text, item);
            }
            text.push_str("\n]");
        }
        Value::Object(fields) if fields.values().any(holds_list) => write_fields(text, fields),
        value => text.push_str(&value.to_string()),
    }
}

fn holds_list(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => fields.values().any(holds_list),
        _ => false,
    }
}
