//! The server-side key backup (Client-Server API, "Server-side key backups").

use serde::Deserialize;
use serde_json::Value;

use super::{MatrixError, error::read_optional, request};
use crate::effect::{HttpRequest, HttpResponse};

/// The only algorithm of key backups that there is.
pub const ALGORITHM: &str = "m.megolm_backup.v1.curve25519-aes-sha2";

/// The newest backup version, unchecked: anyone who can write to the server's database can make one. What it says is
/// believed after [`crate::identity::PublishedIdentity::check_backup`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BackupVersion {
    /// The version's name; opaque.
    pub version: String,
    /// The algorithm.
    pub algorithm: String,
    /// The algorithm's data: the public key, and signatures over it.
    pub auth_data: Value,
    /// How many room keys are in it, by the server's word; where it does not say, there may be some.
    #[serde(default = "unknown_count")]
    pub count: u64,
}

const fn unknown_count() -> u64 {
    u64::MAX
}

/// Asks for the newest backup version.
#[must_use]
pub fn version() -> HttpRequest {
    request::get("backup version", &["room_keys", "version"])
}

/// Reads the answer to [`version`]; `None` where there is no backup.
///
/// # Errors
/// [`MatrixError`]
pub fn read_version(response: &HttpResponse) -> Result<Option<BackupVersion>, MatrixError> {
    read_optional(response, "a key backup version")
}
