//! Step 4: write the sealed recovery, read it back, compare.
//!
//! Threat: a switch to a key that nobody can open again. [`RecoverySafe`] can only be had here, and is what the switch
//! asks for.

use serde_json::Value;

use super::{
    End, Scene,
    look::Looked,
    make::{Made, MakeError},
    record::AccountRecord,
};
use crate::{
    error::{Code, Coded},
    matrix::account_data,
    recovery::sealed::{self, SealedDocument},
};

/// The sealed recovery lies in the account's data as it was written.
pub struct SealedRecoveryProven(());

/// The person said that the recovery key is kept.
pub struct RecoveryKeyKept(());

/// The recovery key can be had again: the proof that switching is safe.
pub enum RecoverySafe {
    /// From the sealed recovery.
    Sealed(SealedRecoveryProven),
    /// From the person.
    Kept(RecoveryKeyKept),
}

/// Why the recovery key is not safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// What was read back is not what was written.
    #[error("the sealed recovery was not read back as it was written")]
    ReadBack,
}

impl Coded for SealError {
    fn code(&self) -> Code {
        match self {
            Self::ReadBack => Code::RecReadBack,
        }
    }
}

/// How often a read that gives an older state is repeated: homeservers with several workers answer late.
pub(super) const STALE_READS: usize = 3;

/// Writes and proves the sealed recovery; finds it where it has been written before.
pub(super) async fn seal(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    made: &Made,
    looked: &Looked,
) -> Result<RecoverySafe, End> {
    let key = made.key(record)?;
    let Some(entry) = key.sealed.clone() else {
        return if key.kept { Ok(RecoverySafe::Kept(RecoveryKeyKept(()))) } else { Err(MakeError::NotKept.into()) };
    };
    let id = made.key_id();
    let user = &scene.setup.user_id;
    // Other entries, and what other versions put there, stay.
    let mut document = looked.sealed.clone();
    if document.entry(id).as_ref() != Some(&entry) {
        document.insert(id, &entry)?;
        let content = serde_json::to_value(&document).unwrap_or(Value::Null);
        let response = scene.homeserver.send(account_data::put(user, sealed::ACCOUNT_DATA, &content)).await?;
        account_data::read_put(&response)?;
        let mut proven = false;
        for _ in 0..STALE_READS {
            let response = scene.homeserver.send(account_data::get(user, sealed::ACCOUNT_DATA)).await?;
            let read: Option<SealedDocument> = account_data::read_get(&response)?;
            proven = read.is_some_and(|read| read.entry(id).as_ref() == Some(&entry));
            if proven {
                break;
            }
        }
        if !proven {
            return Err(SealError::ReadBack.into());
        }
    }
    let now = scene.io.now();
    let proven = |record: &mut AccountRecord| record.update(id, |key| key.sealed_proven_at = Some(now));
    record.change(scene.io, &scene.setup.origin, proven).await?;
    Ok(RecoverySafe::Sealed(SealedRecoveryProven(())))
}
