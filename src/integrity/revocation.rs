//! Releases that no longer hold.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    ReleaseId, ReleaseVersion,
    listing::{list, nothing_left},
};
use crate::{
    signed::{Body, Kind},
    time::UnixMillis,
};

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokedRelease {
    /// Which.
    pub id: ReleaseId,
    /// What it calls itself, for people.
    pub version: ReleaseVersion,
    /// Since when.
    pub since: UnixMillis,
    /// Why, for people; at most 500 characters.
    pub reason: String,
}

/// Releases that must not run, whatever manifest allows them. What was once revoked stays so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Revocation {
    revoked: Vec<RevokedRelease>,
}

impl Body for Revocation {
    const KIND: Kind = Kind::Revocation;
    const VERSION: u32 = 1;

    fn read(mut fields: Map<String, Value>) -> Result<Self, String> {
        let revoked = list(&mut fields, "revoked")?;
        nothing_left(&fields)?;
        Self::new(revoked)
    }
}

impl Revocation {
    /// Makes a revocation of releases in any order.
    ///
    /// # Errors
    /// The field that is wrong: an id that stands twice, a reason that is too long.
    pub fn new(mut revoked: Vec<RevokedRelease>) -> Result<Self, String> {
        revoked.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some(index) = revoked.windows(2).position(|two| two[0].id == two[1].id) {
            return Err(format!("revoked[{}].id", index + 1));
        }
        match revoked.iter().position(|release| release.reason.chars().count() > 500) {
            Some(index) => Err(format!("revoked[{index}].reason")),
            None => Ok(Self { revoked }),
        }
    }

    /// The releases, sorted by id.
    #[must_use]
    pub fn revoked(&self) -> &[RevokedRelease] {
        &self.revoked
    }
}
