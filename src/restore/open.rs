//! Ways to the recovery key: the vault of this browser, GnuPG on the person's machine, or what the person gives.
//!
//! Whatever it is, it is checked against the published key description before anything else is done with it.

use super::{Way, find::Found, foreign, gnupg};
use crate::{
    bootstrap::{
        End, Scene, make, prove,
        record::{AccountRecord, GnupgTried, KeyStatus, VaultKey},
    },
    bridge::READ_WINDOW,
    effect::{Answer, Effect, VaultCommand},
    error::{Code, Coded},
    ident::Fingerprint,
    pins::shared::{NamedStore, StoreId},
    policy::ArmoredCertificate,
    recovery::{
        Group, RecoveryKey, VaultError, WrappedRecoveryKey, find_typo, read_in_any_case,
        sealed::{SealedError, SealedNames},
    },
    secret::SecretText,
    status::{Question, RecipientView, Role, State},
};

/// A recovery key is in the vault, and fits the published key description.
pub struct Opened(VaultKey);

impl Opened {
    /// The key.
    #[must_use]
    pub const fn key(&self) -> &VaultKey {
        &self.0
    }

    /// The key.
    #[must_use]
    pub fn into_key(self) -> VaultKey {
        self.0
    }
}

/// Why what the person gave opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GivenError {
    /// It is neither an opened sealed recovery nor a recovery key.
    #[error("{0}")]
    Text(SealedError),
    /// It is a sealed recovery of another account, key or identity.
    #[error("this sealed recovery is for something else")]
    Other,
    /// It is a recovery key, of something else.
    #[error("the recovery key does not fit the key description")]
    Unfit,
    /// It may be a passphrase, and nothing says how to make a recovery key of it, or that asks for too much work.
    #[error("no recovery key can be made of a passphrase")]
    Passphrase,
}

impl Coded for GivenError {
    fn code(&self) -> Code {
        match self {
            Self::Text(error) => error.code(),
            Self::Other => Code::RecSealedForged,
            Self::Unfit => Code::RecMac,
            Self::Passphrase => Code::RecDescription,
        }
    }
}

/// Finds a way to the recovery key.
pub(super) async fn open(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    found: &Found,
    way: Way,
) -> Result<Opened, End> {
    let message = found.entry.as_ref().and_then(|entry| Some(entry.sealed.as_ref()?.message.clone()));
    let question = |record: &AccountRecord, group: Option<Group>| {
        let gnupg = message.as_ref().and_then(|_| gnupg::view(scene, record));
        let group = group.map(|Group(group)| group);
        Box::new(Question::Recover { account: scene.setup.user_id.clone(), message: message.clone(), gnupg, group })
    };
    let theirs = found.is_foreign(record);
    if let Way::Given(text) = &way
        && theirs
    {
        return match foreign::fitting(scene, &found.description, text).await? {
            Ok(key) => given(scene, record, found, Fitting { key, pins: None }).await,
            Err(error) => {
                let group = mistyped(found, text, error).map(|Group(group)| group);
                Err(foreign::again(scene, &found.description, error.code(), group))
            }
        };
    }
    if let Way::Given(text) = way {
        // What does not fit is asked for again, with what is wrong with it.
        return match fitting(scene, found, &text) {
            Ok(key) => given(scene, record, found, key).await,
            Err(error) => Err(End::Ask(error.code(), question(record, mistyped(found, &text, error)))),
        };
    }
    let silent = matches!(way, Way::Silent);
    // What was opened before, and waits to be believed.
    let waiting = record.opened.as_ref().filter(|key| key.id == found.key_id).and_then(|key| key.wrapped.clone());
    let copies = waiting.into_iter().chain(here(record, found));
    for wrapped in copies.collect::<Vec<_>>() {
        if let Some(opened) = try_wrapped(scene, found, wrapped).await? {
            let since = record.devices.get(&scene.setup.device_id).map(|device| device.since);
            let in_time = since.is_some_and(|since| scene.io.now().since(since) <= READ_WINDOW);
            // Later the person asks for it, or confirms the session in the client itself.
            return if in_time || !silent {
                Ok(opened)
            } else {
                Err(End::Leave(State::Waiting, Some(Code::RecSession)))
            };
        }
    }
    if silent && found.entry.is_none() && (!theirs || !record.is_untouched()) {
        return Err(End::Leave(State::Foreign, Some(Code::RecForeign)));
    }
    if theirs {
        return Err(foreign::question(scene, record, &found.description));
    }
    if let Some(message) = message.as_ref().filter(|_| gnupg::may_be_asked(scene, record, silent))
        && let Some(key) = gnupg::open(scene, record, found, message).await?
    {
        let opened = given(scene, record, found, key).await?;
        gnupg::note(scene, record, GnupgTried::Opened).await?;
        return Ok(opened);
    }
    Err(End::Ask(Code::RecRecover, question(record, None)))
}

/// The copies of the recovery key that this browser wrapped.
fn here(record: &AccountRecord, found: &Found) -> Vec<WrappedRecoveryKey> {
    let known = record.key(&found.key_id).or(record.lent.as_ref().filter(|key| key.id == found.key_id));
    let local = known.and_then(|key| key.wrapped.clone());
    let browser = record.browser.as_ref();
    let published = browser.and_then(|browser| found.entry.as_ref()?.wrapped.get(browser).cloned());
    local.into_iter().chain(published).collect()
}

async fn try_wrapped(scene: &Scene<'_>, found: &Found, wrapped: WrappedRecoveryKey) -> Result<Option<Opened>, End> {
    match scene.io.ask(Effect::Vault(VaultCommand::Holds(found.key_id.clone()))).await {
        Answer::Holds(true) => {}
        Answer::Holds(false) => return Ok(None),
        _ => return Err(VaultError::Failed.into()),
    }
    let key = vault_key(scene, found, wrapped);
    // A copy that was altered on the server opens nothing; there may be another way.
    let Ok(derived) = prove::derive(scene.io, &key, "").await else { return Ok(None) };
    Ok(found.description.verify(&derived).is_ok().then_some(Opened(key)))
}

fn vault_key(scene: &Scene<'_>, found: &Found, wrapped: WrappedRecoveryKey) -> VaultKey {
    let sealed = found.entry.as_ref().and_then(|entry| entry.sealed.clone());
    let escrow: Vec<_> = ArmoredCertificate::all(scene.setup.policy.escrow_certificates());
    let is_escrow = |fingerprint: &Fingerprint| escrow.iter().any(|one| one.fingerprint() == *fingerprint);
    let view = |fingerprint: &Fingerprint| RecipientView {
        role: if is_escrow(fingerprint) { Role::Escrow } else { Role::Own },
        fingerprint: fingerprint.clone(),
        user_id: String::new(),
    };
    VaultKey {
        id: found.key_id.clone(),
        status: KeyStatus::Current,
        wrapped: Some(wrapped),
        description: found.description.clone(),
        master_key: *found.published.identity.master(),
        recipients: sealed.iter().flat_map(|sealed| &sealed.recipients).map(view).collect(),
        kept: sealed.is_none(),
        sealed,
        sealed_proven_at: None,
        proven_at: None,
        beside: None,
        replaces: None,
        pins: None,
    }
}

/// A recovery key that fits, and the store of pins that the sealed recovery names beside it.
pub(super) struct Fitting {
    key: RecoveryKey,
    pins: Option<StoreId>,
}

/// The recovery key in what the person gave, or GnuPG opened, if it is that of the key that was found.
pub(super) fn fitting(scene: &Scene<'_>, found: &Found, text: &SecretText) -> Result<Fitting, GivenError> {
    let fits = |key: &RecoveryKey| found.description.verify(&key.derive_keys("")).is_ok();
    let (key, pins) = match SealedNames::parse(text) {
        Ok((names, key)) => {
            let fits = names.user_id == scene.setup.user_id
                && names.key_id == found.key_id
                && names.master_key == *found.published.identity.master();
            if fits { (key, names.pins) } else { return Err(GivenError::Other) }
        }
        Err(SealedError::Form) => {
            let typed = text.expose("to read the recovery key in it");
            let key = read_in_any_case(typed, fits).map_or_else(|| RecoveryKey::parse(typed), Ok);
            (key.map_err(|error| GivenError::Text(SealedError::Key(error)))?, None)
        }
        Err(other) => return Err(GivenError::Text(other)),
    };
    if fits(&key) { Ok(Fitting { key, pins }) } else { Err(GivenError::Unfit) }
}

/// In which group of what was typed the mistake is, where that can be known.
fn mistyped(found: &Found, text: &SecretText, error: GivenError) -> Option<Group> {
    let GivenError::Text(SealedError::Key(error)) = error else { return None };
    error.group().or_else(|| {
        let fits = |key: &RecoveryKey| found.description.verify(&key.derive_keys("")).is_ok();
        find_typo(text.expose("to find the mistake in it"), fits)
    })
}

/// Takes the recovery key that was given into the vault.
async fn given(scene: &Scene<'_>, record: &mut AccountRecord, found: &Found, fitting: Fitting) -> Result<Opened, End> {
    let wrapped = make::admit(scene, &found.key_id, fitting.key).await?;
    let pins = fitting.pins.map(NamedStore::known);
    let opened = VaultKey { pins, ..vault_key(scene, found, wrapped) };
    // On the disk before anything is asked: the answer may come to a background that was started anew.
    let given = |record: &mut AccountRecord| {
        record.opened = Some(opened.clone());
        record.not_now = None;
    };
    record.change(scene.io, &scene.setup.origin, given).await?;
    Ok(Opened(opened))
}
