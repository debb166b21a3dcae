//! What is kept of the recipients and of rotations between runs: part of the account's record.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Reason, reset::ResetBegun};
use crate::{ident::KeyId, status::RecipientView, time::UnixMillis};

/// How long a recipient is shown before it is used.
pub const ANNOUNCED: Duration = Duration::from_secs(24 * 60 * 60);
/// How much of that the time between two looks counts at most: neither a clock that jumps nor a browser that was closed for a
/// week has shown anything.
pub const STEP: Duration = Duration::from_secs(12 * 60 * 60);

/// What is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rotation {
    /// When, and under which policy, it was last looked who may open the sealed recovery.
    pub checked: Option<Checked>,
    /// Recipients that are to come, and are shown meanwhile.
    pub announced: Vec<Announced>,
    /// Recipients whose certificate expires soon or has expired, and when.
    pub expiring: Vec<(RecipientView, UnixMillis)>,
    /// Keys of ours that are out of force, and may have entries in secret storage still.
    pub leftovers: Vec<KeyId>,
    /// The rotation that was begun.
    pub under_way: Option<UnderWay>,
    /// Somebody may hold a recovery key who should not: what the person is told.
    pub compromised: Option<Compromised>,
    /// The person began to reset the identity, after that was told.
    pub reset: Option<ResetBegun>,
}

/// The last look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// When.
    pub at: UnixMillis,
    /// SHA-256 over the policy, in base64 without padding.
    pub policy: String,
}

/// A recipient that is to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// Which.
    pub recipient: RecipientView,
    /// When it was last seen to be shown.
    pub last: UnixMillis,
    /// How long it had been shown then, in milliseconds.
    pub shown: u64,
}

impl Announced {
    /// One that is shown from now on.
    #[must_use]
    pub const fn new(recipient: RecipientView, now: UnixMillis) -> Self {
        Self { recipient, last: now, shown: 0 }
    }

    /// It is shown still. A clock that was set back has shown nothing meanwhile.
    #[must_use]
    pub fn go_on(&self, now: UnixMillis) -> Self {
        let passed = if self.last <= now { now.since(self.last).min(STEP) } else { Duration::ZERO };
        let shown = self.shown.saturating_add(u64::try_from(passed.as_millis()).unwrap_or(0));
        Self { recipient: self.recipient.clone(), last: now, shown }
    }

    /// When it may be used, if nothing comes between.
    #[must_use]
    pub fn from(&self) -> UnixMillis {
        self.last.plus(ANNOUNCED.saturating_sub(Duration::from_millis(self.shown)))
    }
}

/// A rotation that was begun and is not complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnderWay {
    /// The key that is to be replaced.
    pub from: KeyId,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Who opens it and is not to be trusted any more.
    pub distrusted: Vec<RecipientView>,
    /// The version of the key backup whose key it opens.
    pub backup: String,
}

/// A recovery key was replaced because somebody may hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compromised {
    /// When it was replaced.
    pub at: UnixMillis,
    /// Whose certificates opened it and are not trusted any more.
    pub recipients: Vec<RecipientView>,
    /// The version of the key backup whose key it opened, until there is another.
    pub backup: Option<String>,
    /// The person has read what that means. A reset of the identity afterwards is expected still.
    #[serde(default)]
    pub read: bool,
}

impl Rotation {
    /// Is there another key backup than the one that is to be replaced, and its key perhaps not stored yet?
    pub(crate) fn renewed_backup(&self, published: &str) -> bool {
        self.compromised.as_ref().and_then(|one| one.backup.as_deref()).is_some_and(|old| old != published)
    }

    /// The next key is in force and proven.
    pub(crate) fn complete(&mut self, recipients: &[RecipientView], at: UnixMillis) {
        self.announced.retain(|one| recipients.iter().all(|used| used.fingerprint != one.recipient.fingerprint));
        if let Some(UnderWay { reasons, distrusted, backup, .. }) = self.under_way.take()
            && reasons.iter().copied().any(Reason::is_compromise)
        {
            self.compromised = Some(Compromised { at, recipients: distrusted, backup: Some(backup), read: false });
        }
    }

    /// Nothing is known.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            checked: None,
            announced: Vec::new(),
            expiring: Vec::new(),
            leftovers: Vec::new(),
            under_way: None,
            compromised: None,
            reset: None,
        }
    }
}
