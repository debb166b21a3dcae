//! One recovery key takes the place of another, so that at every moment the account's default key opens everything.
//!
//! 1. **Beside.** The sealed recovery, the key description and, in every document that the old key opens, an entry for the
//!    new key, all at the same time: none of it means anything to anybody yet. Then everything is read back at once; what
//!    is missing is written again.
//! 2. **Switch**, with the proof that the recovery key is safe and that it opens everything.
//!
//! The old key's entries go later, when nobody writes over what was switched to any more (`clear.rs`).

use super::documents::{Documents, write};
use crate::{
    bootstrap::{
        End, Scene,
        make::Made,
        prove::{self, ProveError, Published, SecretsProven},
        record::{AccountRecord, VaultKey},
        seal::{self, RecoverySafe, SealError},
        switch::{self, Switched},
    },
    effect::HttpRequest,
    error::Code,
    matrix::account_data,
    recovery::{KeyDescription, sealed},
    status::{Progress, State, StepName},
};

/// How often what was read back is not as it was written before that is given up.
const READS: usize = 4;

/// The new key opens everything that the old one opens, as it was read back; and it can be had again.
pub(super) struct Beside {
    pub(super) safe: RecoverySafe,
    pub(super) proven: SecretsProven,
}

/// Puts the new key beside the old one.
pub(super) async fn beside(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    made: &Made,
    old: &VaultKey,
    published: &Published,
    mut documents: Documents,
) -> Result<Beside, End> {
    let new = made.key(record)?.clone();
    for read in 0..=READS {
        // Somebody else may have been faster: the default key of the last moment wins.
        if documents.default_key().as_ref() != Some(&old.id) {
            return Err(End::Leave(State::Foreign, Some(Code::RecForeign)));
        }
        let mut writes = documents.missing(scene, old, &new, published).await?;
        writes.extend(description(scene, &new, &documents));
        let sealed = documents.get(sealed::ACCOUNT_DATA).unwrap_or_default();
        let safe = match seal::found(record, &new, &sealed) {
            Some(safe) => Some(safe),
            None => {
                writes.push(seal::entry(scene, record, &new, sealed)?);
                None
            }
        };
        match safe {
            Some(safe) if writes.is_empty() => {
                seal::proven(scene, record, &new.id).await?;
                let proven = prove::documents(scene, &new, published, |kind| documents.get(kind)).await?;
                return Ok(Beside { safe, proven });
            }
            _ if read < READS => {
                write(scene, writes).await?;
                documents = Documents::read(scene).await?;
            }
            Some(_) => return Err(ProveError::Missing.into()),
            None => break,
        }
    }
    Err(SealError::ReadBack.into())
}

/// The key description, unless it is there.
fn description(scene: &Scene<'_>, new: &VaultKey, documents: &Documents) -> Option<HttpRequest> {
    let kind = account_data::key_description(&new.id);
    let there: Option<KeyDescription> = documents.get(&kind);
    let content = serde_json::to_value(&new.description).unwrap_or_default();
    (there.as_ref() != Some(&new.description)).then(|| account_data::put(&scene.setup.user_id, &kind, &content))
}

/// Makes the new key the account's default key.
pub(super) async fn switch(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    progress: &mut Progress,
    made: &Made,
    beside: &Beside,
) -> Result<Switched, End> {
    scene.show(progress, StepName::Switch).await;
    switch::replace(scene, record, made, &beside.safe, &beside.proven).await
}
