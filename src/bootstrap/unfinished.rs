//! Another client's recovery key that does not come to open everything.
//!
//! Threat: another client makes its own key the default key first, and then stores one secret after another. It may be
//! stopped between two of them; and what it stored is lost where a write of ours follows, whose document was read before.
//! Then the default key lacks a secret, and no key opens everything. Such a state is left alone for a minute, in which a
//! client that is at work comes to its end; then ours comes into force again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{End, Scene, look::Documents, record::AccountRecord};
use crate::{error::Code, recovery::secret_name, status::State, time::UnixMillis};

/// How long it is left alone.
const ALONE: Duration = Duration::from_secs(60);

/// Somebody else's default key that did not open everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// Its id.
    default_key: String,
    /// When that was first seen.
    since: UnixMillis,
}

/// Is it so, in an account that is in our care? Who keeps no backup, or wants no secret storage of ours, may have it so.
pub(super) fn is(scene: &Scene<'_>, record: &AccountRecord, documents: &Documents, default_key: &str) -> bool {
    let ours = record.keys.iter().any(|key| key.wrapped.is_some() && (key.sealed.is_some() || key.kept));
    let wanted = !documents.declined || scene.setup.policy.bootstrap_required();
    let needed = |name: &str| name != secret_name::MEGOLM_BACKUP || documents.backup.is_some();
    let lacks = |(name, ids): &(&str, Vec<String>)| needed(name) && ids.iter().all(|id| id != default_key);
    ours && wanted && documents.present.iter().any(lacks)
}

/// Leaves it alone, unless it has been so for long enough.
pub(super) async fn wait(scene: &Scene<'_>, record: &mut AccountRecord, default_key: &str) -> Result<(), End> {
    let now = scene.io.now();
    let seen = record.unfinished.clone().filter(|seen| seen.default_key == default_key && seen.since <= now);
    let since = match seen {
        Some(seen) if now.since(seen.since) >= ALONE => return Ok(()),
        Some(seen) => seen.since,
        None => {
            let seen = Unfinished { default_key: default_key.to_owned(), since: now };
            record.change(scene.io, &scene.setup.origin, |record| record.unfinished = Some(seen.clone())).await?;
            now
        }
    };
    Err(End::Watch(State::Foreign, Code::RecForeign, since.plus(ALONE)))
}
