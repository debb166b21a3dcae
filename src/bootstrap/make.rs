//! Step 3: make the recovery key, its description, the sealed recovery and the vault's copy; then wipe it.
//!
//! Nothing is published here. When the step is over the record on the disk has everything the later steps need, none of
//! it the recovery key in clear; if the process dies before, nothing has happened.

use super::{
    End, Scene,
    look::Looked,
    recipients::Chosen,
    record::{AccountRecord, KeyStatus, VaultKey},
};
use crate::{
    effect::{Answer, Effect, VaultCommand},
    error::{Code, Coded},
    ident::KeyId,
    openpgp,
    recovery::{
        KeyDescription, RecoveryKey, VaultError, WrappedRecoveryKey,
        sealed::{SealedEntry, SealedNames},
    },
    secret::SecretBytes,
    status::Progress,
    status::State,
};

/// A recovery key is in the vault and in the record.
pub struct Made(KeyId);

/// Why no recovery key could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MakeError {
    /// The platform gave no randomness.
    #[error("no random bytes")]
    Randomness,
    /// The record has no such key.
    #[error("the record has no such key")]
    Record,
    /// The person has not kept the recovery key.
    #[error("the recovery key was not kept")]
    NotKept,
}

impl Coded for MakeError {
    fn code(&self) -> Code {
        match self {
            Self::Randomness => Code::RecVault,
            Self::Record => Code::StoRecord,
            Self::NotKept => Code::RecKeep,
        }
    }
}

impl Made {
    /// The key that an earlier run made and did not get into force; only while the vault can open it.
    #[must_use]
    pub(super) fn pending(record: &AccountRecord, held: &[KeyId]) -> Option<Self> {
        let key = record.pending().filter(|key| held.contains(&key.id))?;
        (key.wrapped.is_some() && (key.sealed.is_some() || key.kept)).then(|| Self(key.id.clone()))
    }

    /// The key that the account uses already.
    #[must_use]
    pub(super) fn resume(record: &AccountRecord, id: &KeyId) -> Option<Self> {
        record.key(id).filter(|key| key.wrapped.is_some()).map(|key| Self(key.id.clone()))
    }

    /// Its id.
    #[must_use]
    pub fn key_id(&self) -> &KeyId {
        &self.0
    }

    /// Its entry in the record.
    ///
    /// # Errors
    /// [`MakeError::Record`] where there is none.
    pub fn key<'r>(&self, record: &'r AccountRecord) -> Result<&'r VaultKey, MakeError> {
        record.key(&self.0).ok_or(MakeError::Record)
    }
}

/// Makes everything, and records it.
pub(super) async fn make(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    looked: &Looked,
    chosen: Chosen,
) -> Result<Made, End> {
    // What an earlier run left behind was never published.
    let stale: Vec<_> = record.keys.iter().filter(|k| k.status == KeyStatus::Pending).map(|k| k.id.clone()).collect();
    for id in &stale {
        forget(scene, id).await?;
    }
    if !stale.is_empty() {
        let gone = |record: &mut AccountRecord| record.keys.retain(|k| !stale.contains(&k.id));
        record.change(scene.io, &scene.setup.origin, gone).await?;
    }

    let key = RecoveryKey::make_random().map_err(|_| MakeError::Randomness)?;
    let id = make_key_id()?;
    let description = KeyDescription::make(&key.derive_keys("")).map_err(|_| MakeError::Randomness)?;
    let names =
        SealedNames { user_id: scene.setup.user_id.clone(), key_id: id.clone(), master_key: *looked.identity.master() };
    let views = chosen.views();
    let (accepted, to_keep) = match chosen {
        Chosen::Sealed(recipients) => (recipients, None),
        Chosen::Kept(recipients) => (recipients, Some(key.to_base58())),
    };
    let accepted: Vec<_> = accepted.into_iter().map(|(_, accepted)| accepted).collect();
    let message = if accepted.is_empty() { None } else { Some(openpgp::seal(&names.to_text(&key), &accepted)?) };

    let wrapped = admit(scene, &id, key).await?;
    let kept = to_keep.is_some();
    if let Some(text) = to_keep {
        let asking = Progress {
            state: State::Keep,
            step: Some(crate::status::StepName::Make),
            question: Some(crate::status::Question::Keep),
            ..Progress::default()
        };
        scene.io.ask(Effect::Report(asking)).await;
        if !matches!(scene.io.ask(Effect::Keep(text)).await, Answer::Done) {
            return Err(MakeError::NotKept.into());
        }
    }
    let sealed = message.map(|message| SealedEntry {
        message,
        recipients: views.iter().map(|view| view.fingerprint.clone()).collect(),
        sealed_at: scene.io.now(),
        wrapped: wrapped.clone(),
        other: std::collections::BTreeMap::new(),
    });
    let made = VaultKey {
        id: id.clone(),
        status: KeyStatus::Pending,
        wrapped: Some(wrapped),
        description,
        sealed,
        recipients: views,
        kept,
        sealed_proven_at: None,
        proven_at: None,
    };
    record.change(scene.io, &scene.setup.origin, |record| record.keys.push(made.clone())).await?;
    Ok(Made(id))
}

async fn admit(scene: &Scene<'_>, id: &KeyId, key: RecoveryKey) -> Result<WrappedRecoveryKey, End> {
    match scene.io.ask(Effect::Vault(VaultCommand::Admit { id: id.clone(), key })).await {
        Answer::Wrapped(wrapped) => Ok(wrapped),
        _ => Err(VaultError::Failed.into()),
    }
}

/// Removes from the vault what the record does not know: a run that died between the two left it behind. Returns the ids
/// of what the vault holds.
pub(super) async fn sweep(scene: &Scene<'_>, record: &AccountRecord) -> Result<Vec<KeyId>, End> {
    let Answer::Ids(ids) = scene.io.ask(Effect::Vault(VaultCommand::Ids)).await else {
        return Err(VaultError::Failed.into());
    };
    let (known, unknown): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| record.key(id).is_some());
    for id in &unknown {
        forget(scene, id).await?;
    }
    Ok(known)
}

/// Removes a key from the vault.
pub(super) async fn forget(scene: &Scene<'_>, id: &KeyId) -> Result<(), End> {
    match scene.io.ask(Effect::Vault(VaultCommand::Forget(id.clone()))).await {
        Answer::Done => Ok(()),
        _ => Err(VaultError::Failed.into()),
    }
}

/// A fresh key id: 32 of `A-Za-z0-9`, as other clients make them.
fn make_key_id() -> Result<KeyId, MakeError> {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut id = String::new();
    while id.len() < 32 {
        let bytes = SecretBytes::<64>::make_random().map_err(|_| MakeError::Randomness)?;
        // Bytes past the largest multiple of 62 would make some letters more likely than others.
        let letters = bytes.expose("a key id is public").iter().filter(|b| **b < 248);
        id.extend(letters.map(|b| char::from(ALPHABET[usize::from(b % 62)])).take(32 - id.len()));
    }
    KeyId::parse(&id).map_err(|_| MakeError::Randomness)
}
