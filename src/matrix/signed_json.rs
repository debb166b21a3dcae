//! JSON that is signed: read once, kept whole.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, de::Error as _};
use serde_json::{Map, Value};

use crate::ident::UserId;

/// A signed document: the fields that are of use here, and the whole of it, because a signature covers also the fields
/// that are not known here. Reading it checks no signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedJson<T> {
    document: Map<String, Value>,
    fields: T,
}

impl<T: DeserializeOwned> SignedJson<T> {
    /// Reads a document.
    ///
    /// # Errors
    /// Where it is no object, or lacks a field.
    pub fn read(document: &Value) -> Result<Self, serde_json::Error> {
        Self::deserialize(document)
    }
}

impl<T> SignedJson<T> {
    /// The fields that are of use here.
    #[must_use]
    pub const fn fields(&self) -> &T {
        &self.fields
    }

    /// The whole.
    #[must_use]
    pub const fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    /// The signature that a user's key with this id made, unverified.
    #[must_use]
    pub fn signature(&self, user: &UserId, key_id: &str) -> Option<&str> {
        self.document.get("signatures")?.get(user.as_str())?.get(key_id)?.as_str()
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for SignedJson<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let document = Value::Object(Map::deserialize(from)?);
        let fields = T::deserialize(&document).map_err(D::Error::custom)?;
        // It was made one just now.
        let Value::Object(document) = document else { return Err(D::Error::custom("no object")) };
        Ok(Self { document, fields })
    }
}

impl<T> Serialize for SignedJson<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.document.serialize(to)
    }
}
