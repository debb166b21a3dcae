//! Step 3: make the recovery key, its description, the sealed recovery and the vault's copy; then wipe it.
//!
//! Nothing is published here. When the step is over the record on the disk has everything the later steps need, none of
//! it the recovery key in clear; if the process dies before, nothing has happened.

use super::{
    End, Scene,
    look::{Found, LookError, Looked},
    recipients::Chosen,
    record::{AccountRecord, KeyStatus, VaultKey},
};
use crate::{
    effect::{Answer, Effect, VaultCommand},
    error::{Code, Coded},
    events::{self, Event},
    ident::KeyId,
    identity::PublicKey,
    openpgp,
    pins::shared::NamedStore,
    recovery::{
        KeyDescription, RecoveryKey, VaultError, WrappedRecoveryKey,
        sealed::{SealedNames, SealedRecovery},
    },
    rotate::Reason,
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
    /// The key to go on with where the account has no default key: the one in force so far, if it went lost on the
    /// server, else one that an earlier run made and did not get into force. Only one that the vault can open, and that
    /// was made for the identity that is published: what is sealed names it.
    #[must_use]
    pub(super) fn resume(record: &AccountRecord, held: &[KeyId], identity: &PublicKey) -> Option<Self> {
        Self::usable(record.proven(held).or_else(|| record.pending())?, held, identity)
    }

    /// The key that an earlier run made to replace the one in force, and did not get into force.
    #[must_use]
    pub(crate) fn resume_replacement(record: &AccountRecord, held: &[KeyId], identity: &PublicKey) -> Option<Self> {
        Self::usable(record.replacement()?, held, identity)
    }

    fn usable(key: &VaultKey, held: &[KeyId], identity: &PublicKey) -> Option<Self> {
        let whole = key.wrapped.is_some() && held.contains(&key.id) && (key.sealed.is_some() || key.kept);
        (whole && key.master_key == *identity).then(|| Self(key.id.clone()))
    }

    /// The key that an earlier run made beside somebody else's default key, and did not get into force.
    #[must_use]
    pub(super) fn resume_beside(record: &AccountRecord, held: &[KeyId], looked: &Looked) -> Option<Self> {
        let key = record.taking_over().filter(|key| key.beside.as_deref() == looked.found.beside())?;
        Self::usable(key, held, looked.published.identity.master())
    }

    /// The key that the account uses already.
    ///
    /// # Errors
    /// [`LookError::VaultLost`] where the record has no way to it, [`LookError::OtherIdentity`] where it was made for
    /// another identity than the one that is published.
    pub(super) fn in_use(record: &AccountRecord, id: &KeyId, identity: &PublicKey) -> Result<Self, LookError> {
        let key = record.key(id).filter(|key| key.wrapped.is_some()).ok_or(LookError::VaultLost)?;
        if key.master_key == *identity { Ok(Self(key.id.clone())) } else { Err(LookError::OtherIdentity) }
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

/// Which place a new key is for.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// That of the account's first.
    Empty,
    /// Beside somebody else's default key.
    Beside(String),
    /// That of ours.
    Of(KeyId),
}

impl Place {
    /// In what was found at a first set-up.
    pub(super) fn of(found: &Found) -> Self {
        found.beside().map_or(Self::Empty, |id| Self::Beside(id.to_owned()))
    }
}

/// Makes everything, and records it.
pub(crate) async fn make(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    master_key: PublicKey,
    place: Place,
    chosen: Chosen,
) -> Result<Made, End> {
    // What an earlier run left behind was never in force.
    let stale: Vec<_> = record.keys.iter().filter(|k| k.status == KeyStatus::Pending).map(|k| k.id.clone()).collect();
    for id in &stale {
        forget(scene, id).await?;
    }
    if !stale.is_empty() {
        let gone = |record: &mut AccountRecord| {
            record.rotation.leftovers.extend(stale.iter().cloned());
            record.keys.retain(|k| !stale.contains(&k.id));
        };
        record.change(scene.io, &scene.setup.origin, gone).await?;
    }

    let key = RecoveryKey::make_random().map_err(|_| MakeError::Randomness)?;
    let id = make_key_id()?;
    let description = KeyDescription::make(&key.derive_keys("")).map_err(|_| MakeError::Randomness)?;
    let pins = match &scene.setup.policy.pins {
        Some(pins) if pins.shares() => Some(named_store(scene, record, &place, &key).await?),
        Some(_) | None => None,
    };
    let names = SealedNames {
        user_id: scene.setup.user_id.clone(),
        key_id: id.clone(),
        master_key,
        pins: pins.as_ref().map(|named| named.id.clone()),
    };
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
            question: Some(crate::status::Question::Keep { key_id: id.clone() }),
            ..Progress::default()
        };
        scene.io.ask(Effect::Report(Box::new(asking))).await;
        if !matches!(scene.io.ask(Effect::Keep { key_id: id.clone(), text }).await, Answer::Done) {
            return Err(MakeError::NotKept.into());
        }
    }
    let sealed = message.map(|message| SealedRecovery {
        message,
        recipients: views.iter().map(|view| view.fingerprint.clone()).collect(),
        sealed_at: scene.io.now(),
    });
    let made = VaultKey {
        id: id.clone(),
        status: KeyStatus::Pending,
        wrapped: Some(wrapped),
        description,
        master_key,
        sealed,
        recipients: views,
        kept,
        sealed_proven_at: None,
        proven_at: None,
        beside: if let Place::Beside(id) = &place { Some(id.clone()) } else { None },
        replaces: if let Place::Of(id) = &place { Some(id.clone()) } else { None },
        pins,
    };
    let browser = make_letters(16)?;
    let add = |record: &mut AccountRecord| {
        record.browser.get_or_insert_with(|| browser.clone());
        record.keys.push(made.clone());
    };
    record.change(scene.io, &scene.setup.origin, add).await?;
    let recipients = made.recipients.iter().map(|view| view.fingerprint.clone()).collect();
    let event = Event::Sealed { key_id: id.clone(), recipients };
    events::note(scene.io, &scene.setup.origin, &scene.setup.user_id, event).await?;
    Ok(Made(id))
}

/// The store of pins that the sealed recovery is to name.
async fn named_store(
    scene: &Scene<'_>,
    record: &AccountRecord,
    place: &Place,
    key: &RecoveryKey,
) -> Result<NamedStore, End> {
    // After a compromise somebody may have the key of the store as well.
    let reasons = record.rotation.under_way.iter().flat_map(|under_way| &under_way.reasons);
    let compromised = reasons.copied().any(Reason::is_compromise);
    let replaced = match place {
        Place::Of(id) if !compromised => record.key(id),
        Place::Of(_) | Place::Empty | Place::Beside(_) => None,
    };
    Ok(NamedStore::for_key(scene.io, &scene.setup.origin, &scene.setup.user_id, replaced, key).await?)
}

pub(crate) async fn admit(scene: &Scene<'_>, id: &KeyId, key: RecoveryKey) -> Result<WrappedRecoveryKey, End> {
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
    let known = |id: &KeyId| record.key(id).is_some() || record.given(id.as_str()).is_some();
    let (known, unknown): (Vec<_>, Vec<_>) = ids.into_iter().partition(known);
    for id in &unknown {
        forget(scene, id).await?;
    }
    Ok(known)
}

/// Removes a key from the vault.
pub(crate) async fn forget(scene: &Scene<'_>, id: &KeyId) -> Result<(), End> {
    match scene.io.ask(Effect::Vault(VaultCommand::Forget(id.clone()))).await {
        Answer::Done => Ok(()),
        _ => Err(VaultError::Failed.into()),
    }
}

/// A fresh key id: 32 of `A-Za-z0-9`, as other clients make them.
fn make_key_id() -> Result<KeyId, MakeError> {
    KeyId::parse(&make_letters(32)?).map_err(|_| MakeError::Randomness)
}

/// This many random `A-Za-z0-9`.
pub(crate) fn make_letters(count: usize) -> Result<String, MakeError> {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::new();
    while text.len() < count {
        let bytes = SecretBytes::<64>::make_random().map_err(|_| MakeError::Randomness)?;
        // Bytes past the largest multiple of 62 would make some letters more likely than others.
        let letters = bytes.expose("ids are public").iter().filter(|b| **b < 248);
        text.extend(letters.map(|b| char::from(ALPHABET[usize::from(b % 62)])).take(count - text.len()));
    }
    Ok(text)
}
