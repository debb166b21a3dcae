//! The log of what happened to an account's keys, for the person and for those who look into an incident.
//!
//! Entries are only ever added. Each carries the hash of the one before it, so that an entry that was taken out or changed
//! shows in all that follow. There is nothing secret in an entry, and nothing of anybody else.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    bootstrap::record::RecordError,
    effect::{Answer, Effect, Io, StoreCommand},
    error::Code,
    ident::{DeviceId, Fingerprint, KeyId, Origin, UserId},
    identity::PublicKey,
    matrix::base64,
    pins::shared::Trouble,
    rotate,
    time::UnixMillis,
};

/// How many entries are kept; then the older half goes, and the first that stays names the hash of the last that went.
pub const MAX_ENTRIES: usize = 4096;
/// How often an entry is tried to be added while others add theirs.
const TRIES: usize = 16;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A recovery key was made and sealed.
    Sealed {
        /// The secret storage key's id.
        key_id: KeyId,
        /// Who may open it.
        recipients: Vec<Fingerprint>,
    },
    /// Everything was read back and opened for the first time with this key.
    Proven {
        /// The secret storage key's id.
        key_id: KeyId,
    },
    /// The page was given a secret.
    SecretGiven {
        /// The secret's name.
        name: String,
        /// The session's device.
        device_id: DeviceId,
    },
    /// A certificate that the sealed recovery is to be readable by was shown to the person for the first time.
    RecipientAnnounced {
        /// The certificate.
        fingerprint: Fingerprint,
        /// It is not used before.
        from: UnixMillis,
    },
    /// A recovery key took the place of another one.
    Rotated {
        /// The id of the key that was in force.
        from: KeyId,
        /// The id of the key that is.
        to: KeyId,
        /// Why.
        reasons: Vec<rotate::Reason>,
    },
    /// The person reset the identity, and said so: this browser follows the new one.
    IdentityReset {
        /// The master key that this browser knew.
        from: Option<PublicKey>,
        /// The new one.
        to: PublicKey,
    },
    /// There is a key backup with a key that was never under an older recovery key.
    BackupRenewed,
    /// A sealed recovery that had been in place was gone or altered, and was written again.
    SealedRecoveryLost,
    /// What the person's browsers share of others' keys was not as it was, and was written again.
    SharedPinsLost {
        /// In which way.
        trouble: Trouble,
    },
    /// A default key that had been in place was gone, and was published again.
    DefaultKeyLost,
    /// The person reset secret storage: what a secret was is kept.
    SecretSuperseded {
        /// The secret's name.
        name: String,
    },
    /// A recovery key opened secret storage on this browser.
    Restored {
        /// The secret storage key's id.
        key_id: KeyId,
        /// The session's device.
        device_id: DeviceId,
    },
    /// The person said that an identity is, or is not, theirs.
    IdentityAnswered {
        /// The master key.
        master_key: PublicKey,
        /// Theirs, or not.
        accepted: bool,
    },
    /// The person tested the sealed recovery.
    Drilled {
        /// The secret storage key's id.
        key_id: KeyId,
        /// What was wrong.
        problem: Option<Code>,
    },
    /// The person's own certificate vouches for the identity that a recovery key opens.
    Witnessed {
        /// The secret storage key's id.
        key_id: KeyId,
        /// The certificate.
        fingerprint: Fingerprint,
    },
    /// The person had this browser forget the account's keys.
    Wiped,
    /// The person said that a certificate is, or is not, theirs.
    RecipientAnswered {
        /// The certificate.
        fingerprint: Fingerprint,
        /// Theirs, or not.
        accepted: bool,
    },
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: UnixMillis,
    /// What.
    #[serde(flatten)]
    pub event: Event,
    /// SHA-256 of the line before, in base64 without padding; empty in the very first.
    pub previous: String,
}

/// The store's key for an account's log.
#[must_use]
pub fn store_key(origin: &Origin, user_id: &UserId) -> String {
    format!("events|{}|{}", origin.as_str(), user_id.as_str())
}

/// Adds an entry; on the disk when this returns.
///
/// # Errors
/// [`RecordError`]
pub async fn note(io: &Io, origin: &Origin, user_id: &UserId, event: Event) -> Result<(), RecordError> {
    let key = store_key(origin, user_id);
    for _ in 0..TRIES {
        let Answer::Record(old) = io.ask(Effect::Store(StoreCommand::Get(key.clone()))).await else {
            return Err(RecordError::Store);
        };
        let entry = Entry { at: io.now(), event: event.clone(), previous: head(old.as_deref()) };
        let line = serde_json::to_string(&entry).map_err(|_| RecordError::Unreadable)?;
        let new = appended(old.as_deref().unwrap_or_default(), &line);
        let command = StoreCommand::Replace { key: key.clone(), old, new };
        match io.ask(Effect::Store(command)).await {
            Answer::Replaced(true) => return Ok(()),
            Answer::Replaced(false) => {}
            _ => return Err(RecordError::Store),
        }
    }
    Err(RecordError::Store)
}

fn appended(log: &str, line: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    let kept = if lines.len() >= MAX_ENTRIES { lines.get(MAX_ENTRIES / 2..).unwrap_or_default() } else { &lines };
    kept.iter().copied().chain([line]).fold(String::new(), |text, line| text + line + "\n")
}

/// What the next entry's `previous` is.
fn head(log: Option<&str>) -> String {
    log.and_then(|text| text.lines().next_back()).map(hash).unwrap_or_default()
}

/// What the entry behind a line has for its `previous`.
pub(crate) fn hash(line: &str) -> String {
    base64::encode_unpadded(&Sha256::digest(line))
}

/// Reads a log, and checks that each entry follows from the one before it.
///
/// # Errors
/// The number of the first line that does not, counted from 1.
pub fn read(log: &str) -> Result<Vec<Entry>, usize> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut expected: Option<String> = None;
    for (index, line) in log.lines().enumerate() {
        let entry: Entry = serde_json::from_str(line).map_err(|_| index + 1)?;
        if expected.is_some_and(|expected| expected != entry.previous) {
            return Err(index + 1);
        }
        expected = Some(hash(line));
        entries.push(entry);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(count: u64) -> String {
        (0..count).fold(String::new(), |log, at| {
            let entry = Entry { at: UnixMillis(at), event: Event::SealedRecoveryLost, previous: head(Some(&log)) };
            appended(&log, &serde_json::to_string(&entry).unwrap())
        })
    }

    #[test]
    fn a_log_is_read_and_every_change_of_it_shows() {
        let whole = log(5);
        assert_eq!(read(&whole).unwrap().len(), 5);
        let lines: Vec<_> = whole.lines().collect();
        let without_third = [lines[0], lines[1], lines[3], lines[4]].join("\n");
        assert_eq!(read(&without_third), Err(3));
        assert_eq!(read(&whole.replace("\"at\":1,", "\"at\":9,")), Err(3));
        assert_eq!(read("nothing of a log"), Err(1));
    }

    #[test]
    fn a_long_log_loses_its_older_half_and_stays_whole() {
        let long = log(MAX_ENTRIES as u64 + 1);
        let entries = read(&long).unwrap();
        assert_eq!(entries.len(), MAX_ENTRIES / 2 + 1);
        assert_ne!(entries[0].previous, "");
        assert_eq!(entries.last().unwrap().at, UnixMillis(MAX_ENTRIES as u64));
    }
}
