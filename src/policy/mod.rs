//! The organisation's settings, or the person's own: one JSON document, refused as a whole where anything in it is wrong.
//!
//! Threat: a policy that is half understood. A misspelt `certifiers` would quietly mean *no certifier*, so an unknown
//! field, a wrong type, a bad value and a contradiction are refused with the field's path and what was expected, and the
//! last good policy stays in force ([`InForce`]). `static/policy.schema.json` is the single source: of the browsers'
//! managed storage, of this validation, of the options page and of `docs/policy.md`.

mod choices;
mod combination;
mod error;
mod format;
mod hosts;
mod in_force;
mod integrity;
mod schema;
mod types;
mod values;

use serde_json::Value;

pub use choices::{
    FirstContact, IntegrityMode, Language, LogLevel, OnChange, OnMissing, Override, PassiveKind, RetainAfterLogout,
    UnsignedDevices,
};
pub use error::PolicyError;
pub use hosts::host_patterns;
pub use in_force::{InForce, LastGood, Offered};
pub use schema::{SCHEMA, browser_schema, schema};
pub use types::{
    Account, Bootstrap, Deployment, Directory, Escrow, Evidence, Integrity, Pins, Policy, Restore, Retention, Roster,
};
pub use values::{
    AddressTemplate, ArmoredCertificate, BaseUrl, ContactUrl, DocumentUrl, HostName, KeyServerUrl, ServerName,
};

use crate::error::Code;

impl Policy {
    /// Reads a policy, whoever wrote it.
    ///
    /// # Errors
    /// [`PolicyError`]: the first field, in the order of the document, that is unknown, of the wrong type or without a
    /// usable value; else the first contradiction between fields.
    pub fn parse(document: &Value) -> Result<Self, PolicyError> {
        if document.is_null() || document.as_object().is_some_and(serde_json::Map::is_empty) {
            return Err(PolicyError::new(Code::PolAbsent, "", "a policy with at least one deployment"));
        }
        schema::validate(document)?;
        // Shapes and values have been checked, so this fails only where schema and types disagree; a test forbids that.
        let policy: Self = serde_json::from_value(document.clone())
            .map_err(|error| PolicyError::new(Code::PolType, "", error.to_string()))?;
        combination::check(&policy)?;
        Ok(policy)
    }

    /// The policy as JSON, which is what policies are compared by: every setting, also those that nobody set.
    pub(crate) fn text(&self) -> String {
        serde_json::to_value(self).unwrap_or_default().to_string()
    }

    /// Reads a policy that this version has found good before; `None` where it is none. Nothing of it is checked again, so
    /// that the background, which the browser starts many times a day, opens no certificate for it.
    fn parse_known(document: &Value) -> Option<Self> {
        serde_json::from_value(document.clone()).ok()
    }
}
