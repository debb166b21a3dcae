//! The old key goes, when it is settled that the new one opens everything.
//!
//! Threat: another browser of the same person that began the same rotation, and whose last writes come after this one has
//! proven everything: its documents have entries for the old key and for its own, and none for the one in force. So the old
//! key stays in the vault, out of force, until a later look finds nothing that only it opens.

use super::documents::{Documents, write};
use crate::{
    bootstrap::{
        End, Scene, make,
        record::{AccountRecord, KeyStatus, VaultKey},
        settle,
    },
    ident::KeyId,
};

/// Sees that what a retired key opens the current one opens too; then takes it out of the vault, and its entries away. The old
/// sealed recovery stays: it opens nothing now.
pub(super) async fn clear(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    current: &VaultKey,
    held: &[KeyId],
) -> Result<(), End> {
    let retired: Vec<_> = record.keys.iter().filter(|key| key.status == KeyStatus::Retired).cloned().collect();
    if retired.is_empty() && record.rotation.leftovers.is_empty() {
        return Ok(());
    }
    let documents = Documents::read(scene).await?;
    if documents.default_key().as_ref() != Some(&current.id) {
        return Ok(());
    }
    let mut writes = Vec::new();
    for old in retired.iter().filter(|old| old.wrapped.is_some() && held.contains(&old.id)) {
        writes.extend(documents.uncovered(scene, old, current).await?);
    }
    if !writes.is_empty() {
        settle::expect(scene, record).await?;
        return write(scene, writes).await;
    }
    if !retired.is_empty() {
        for old in &retired {
            make::forget(scene, &old.id).await?;
        }
        let gone = |record: &mut AccountRecord| {
            record.keys.retain(|key| retired.iter().all(|old| old.id != key.id));
            record.rotation.leftovers.extend(retired.iter().map(|old| old.id.clone()));
            let replaced: Vec<_> =
                retired.iter().map(|old| &old.id).filter(|id| !record.replaced.contains(id)).collect();
            record.replaced.extend(replaced.into_iter().cloned().collect::<Vec<_>>());
        };
        record.change(scene.io, &scene.setup.origin, gone).await?;
    }
    away(scene, record, current, &documents).await
}

/// Takes the entries of the keys that are out of the vault away. What was written is read at the next look.
async fn away(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    current: &VaultKey,
    documents: &Documents,
) -> Result<(), End> {
    let gone: Vec<_> = record.rotation.leftovers.iter().filter(|id| record.key(id).is_none()).cloned().collect();
    if gone.is_empty() {
        return Ok(());
    }
    let writes = documents.without(scene, &gone, current).await?;
    if writes.is_empty() {
        let none_left = |record: &mut AccountRecord| record.rotation.leftovers.retain(|id| !gone.contains(id));
        return Ok(record.change(scene.io, &scene.setup.origin, none_left).await?);
    }
    write(scene, writes).await
}
