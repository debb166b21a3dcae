//! Adoption: somebody else's secret storage comes into our care, beside the way in that its owner has.
//!
//! Threat: an owner who is locked out by help that was not asked for. Every secret is there under our key, and proven,
//! before anything else changes; the old key's description and its entries stay, so that the old recovery key opens
//! afterwards what it opened before.

use super::{
    End, Scene,
    look::Looked,
    make::Made,
    prove::{self, SecretsProven},
    record::AccountRecord,
    seal::RecoverySafe,
    switch,
};
use crate::{
    effect::PageCommand,
    error::Code,
    matrix::homeserver::Stop,
    status::{Progress, StepName},
};

/// Has the client store its secrets under our key too, and opens them; asks for the proof that the recovery key is safe.
pub(super) async fn adopt(
    scene: &Scene<'_>,
    progress: &mut Progress,
    made: &Made,
    record: &AccountRecord,
    looked: &Looked,
    _safe: &RecoverySafe,
) -> Result<SecretsProven, End> {
    scene.show(progress, StepName::Store).await;
    let key = made.key(record)?;
    if prove::all_present(looked, made.key_id()) {
        match prove::secrets(scene, key, &looked.published).await {
            // What an earlier run stored is not what the account has now.
            Err(End::Stop(Stop { code: Code::RecSecretMissing | Code::RecMac | Code::RecSecretMismatch, .. })) => {}
            done => return done,
        }
    }
    switch::page(scene, PageCommand::StoreBeside).await?;
    prove::secrets(scene, key, &looked.published).await
}
