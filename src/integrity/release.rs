//! A release of Element Web.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{
    Listing, Sha256Digest,
    listing::{field, nothing_left},
};
use crate::ident::NotAnIdentifier;

/// What a release calls itself, such as `1.12.0`: 1 to 64 of `A-Za-z0-9._+-`. In their order numbers count as numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseVersion(String);

impl ReleaseVersion {
    /// Reads a version.
    ///
    /// # Errors
    /// [`NotAnIdentifier`] where the text is none.
    pub fn parse(text: &str) -> Result<Self, NotAnIdentifier> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
        let good = (1..=64).contains(&text.len()) && text.chars().all(allowed);
        if good { Ok(Self(text.to_owned())) } else { Err(NotAnIdentifier("version of a release")) }
    }

    /// The text of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ord for ReleaseVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        let parts = |version: &'_ Self| -> Vec<(u64, String)> {
            let part =
                |part: &str| part.parse().map_or_else(|_| (0, part.to_owned()), |number| (number, String::new()));
            version.0.split(['.', '_', '+', '-']).map(part).collect()
        };
        parts(self).cmp(&parts(other)).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for ReleaseVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl TryFrom<String> for ReleaseVersion {
    type Error = NotAnIdentifier;

    fn try_from(text: String) -> Result<Self, NotAnIdentifier> {
        Self::parse(&text)
    }
}

impl From<ReleaseVersion> for String {
    fn from(version: ReleaseVersion) -> Self {
        version.0
    }
}

/// A version of the extension: one to four numbers below 65536 with dots between them, as browsers compare them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExtensionVersion([u16; 4]);

impl FromStr for ExtensionVersion {
    type Err = NotAnIdentifier;

    fn from_str(text: &str) -> Result<Self, NotAnIdentifier> {
        let mut numbers = [0; 4];
        for (place, part) in text.split('.').enumerate() {
            let plain = part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
            let number = part.parse().ok().filter(|_| plain);
            *numbers.get_mut(place).ok_or(NotAnIdentifier("version"))? = number.ok_or(NotAnIdentifier("version"))?;
        }
        Ok(Self(numbers))
    }
}

impl TryFrom<String> for ExtensionVersion {
    type Error = NotAnIdentifier;

    fn try_from(text: String) -> Result<Self, NotAnIdentifier> {
        text.parse()
    }
}

impl From<ExtensionVersion> for String {
    fn from(version: ExtensionVersion) -> Self {
        version.to_string()
    }
}

impl fmt::Display for ExtensionVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([major, minor, patch, build]) = self;
        write!(f, "{major}.{minor}.{patch}")?;
        if *build == 0 { Ok(()) } else { write!(f, ".{build}") }
    }
}

/// Which files a release has: the SHA-256 of what `sha256sum` prints of them, in the order of their paths. Two releases
/// with the same files have the same id, whatever else is said of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseId(String);

impl ReleaseId {
    /// Reads an id: 64 hexadecimal digits in lower case.
    ///
    /// # Errors
    /// [`NotAnIdentifier`] where the text is none.
    pub fn parse(text: &str) -> Result<Self, NotAnIdentifier> {
        let good = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if good { Ok(Self(text.to_owned())) } else { Err(NotAnIdentifier("id of a release")) }
    }

    /// The text of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(listing: &Listing) -> Self {
        let mut hash = Sha256::new();
        for file in listing.files() {
            hash.update(format!("{}  {}\n", hex(&file.sha256), file.path.as_str()));
        }
        Self(hex(&Sha256Digest::new(hash.finalize().into())))
    }
}

fn hex(digest: &Sha256Digest) -> String {
    digest.bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl TryFrom<String> for ReleaseId {
    type Error = NotAnIdentifier;

    fn try_from(text: String) -> Result<Self, NotAnIdentifier> {
        Self::parse(&text)
    }
}

impl From<ReleaseId> for String {
    fn from(id: ReleaseId) -> Self {
        id.0
    }
}

/// A release of Element Web: every file of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Release {
    version: ReleaseVersion,
    minimum_extension: ExtensionVersion,
    #[serde(flatten)]
    listing: Listing,
    #[serde(skip)]
    id: ReleaseId,
}

impl Release {
    /// Makes a release.
    #[must_use]
    pub fn new(version: ReleaseVersion, minimum_extension: ExtensionVersion, listing: Listing) -> Self {
        let id = ReleaseId::of(&listing);
        Self { version, minimum_extension, listing, id }
    }

    /// Reads a release.
    ///
    /// # Errors
    /// The field that is unknown, missing or wrong, such as `files[3]`.
    pub fn read(mut fields: Map<String, Value>) -> Result<Self, String> {
        let version = field(&mut fields, "version")?;
        let minimum_extension = field(&mut fields, "minimum_extension")?;
        let listing = Listing::take(&mut fields)?;
        nothing_left(&fields)?;
        Ok(Self::new(version, minimum_extension, listing))
    }

    /// What it calls itself.
    #[must_use]
    pub fn version(&self) -> &ReleaseVersion {
        &self.version
    }

    /// The first version of the extension that can do what this release needs.
    #[must_use]
    pub fn minimum_extension(&self) -> ExtensionVersion {
        self.minimum_extension
    }

    /// Its files.
    #[must_use]
    pub fn listing(&self) -> &Listing {
        &self.listing
    }

    /// Which files it has, in one word.
    #[must_use]
    pub fn id(&self) -> &ReleaseId {
        &self.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_releases_are_in_the_order_of_their_numbers() {
        let version = |text: &str| ReleaseVersion::parse(text).unwrap();
        assert!(version("1.9.11") < version("1.12.0") && version("1.12.0") < version("1.12.0-1"));
        for bad in ["", "1.12 beta", "v/1", "1.\n"] {
            assert!(ReleaseVersion::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn versions_of_the_extension_compare_by_number() {
        let version = |text: &str| text.parse::<ExtensionVersion>().unwrap();
        assert!(version("0.9.1") < version("0.10") && version("1.0") == version("1.0.0.0"));
        assert_eq!((version("1.2").to_string(), version("1.2.3.4").to_string()), ("1.2.0".into(), "1.2.3.4".into()));
        for bad in ["", "1.", "a", "1.2.3.4.5", "65536", "01", "-1", "+1", "1 "] {
            assert!(bad.parse::<ExtensionVersion>().is_err(), "{bad}");
        }
    }
}
