//! Step 4: write the sealed recovery, read it back, compare.
//!
//! Threat: a switch to a key that nobody can open again. [`RecoverySafe`] can only be had here, and is what the switch
//! asks for.

use std::time::Duration;

use serde_json::Value;

use super::{
    End, Scene,
    look::{Found, Looked},
    make::{Made, MakeError},
    record::{AccountRecord, VaultKey},
    switch,
};
use crate::{
    effect::{Effect, HttpRequest, HttpResponse},
    error::{Code, Coded},
    events::{self, Event},
    ident::KeyId,
    matrix::{account_data, homeserver::Stop},
    recovery::{
        WrappedRecoveryKey,
        sealed::{self, SealedDocument},
    },
};

/// What was read so long ago is what is there now: a person waits at a first login, and between a read and a write there is
/// a while in any case.
const FRESH: Duration = Duration::from_millis(500);

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
pub(crate) const STALE_READS: usize = 3;
/// The pause before each of the reads that find a sealed recovery gone or altered which was in place before: only what is
/// so for a minute is written again.
const DOUBT_PAUSE: Duration = Duration::from_secs(20);

/// Writes and proves the sealed recovery; finds it where it has been written before.
pub(super) async fn seal(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    made: &Made,
    looked: &Looked,
) -> Result<(RecoverySafe, Option<ReadAlong>), End> {
    let key = made.key(record)?.clone();
    if key.sealed.is_none() && !key.kept {
        return Err(MakeError::NotKept.into());
    }
    let wanted = Wanted::of(record, &key)?;
    let mut there = wanted.is_in(&looked.sealed);
    if !there && key.sealed_proven_at.is_some() {
        for _ in 0..STALE_READS {
            scene.io.ask(Effect::SleepUntil(scene.io.now().plus(DOUBT_PAUSE))).await;
            there = wanted.is_in(&read(scene).await?);
            if there {
                break;
            }
        }
        if !there {
            events::note(scene.io, &scene.setup.origin, &scene.setup.user_id, Event::SealedRecoveryLost).await?;
        }
    }
    let along = match there {
        true => None,
        false => {
            let first = looked.found.beside().is_none() && !matches!(looked.found, Found::Ours(_));
            write(scene, &wanted, looked).await?;
            // The switch follows at once: the page is told of it before the default key is read for the last time.
            if first {
                switch::announce(scene, record, &key.id).await?;
            }
            let along = read_back(scene, &wanted).await?;
            first.then_some(along)
        }
    };
    proven(scene, record, &key.id).await?;
    Ok((safe(&key), along))
}

fn safe(key: &VaultKey) -> RecoverySafe {
    if key.sealed.is_some() {
        RecoverySafe::Sealed(SealedRecoveryProven(()))
    } else {
        RecoverySafe::Kept(RecoveryKeyKept(()))
    }
}

/// Notes that the sealed recovery was found as it was written.
pub(crate) async fn proven(scene: &Scene<'_>, record: &mut AccountRecord, id: &KeyId) -> Result<(), End> {
    let now = scene.io.now();
    let proven = |record: &mut AccountRecord| record.update(id, |key| key.sealed_proven_at = Some(now));
    Ok(record.change(scene.io, &scene.setup.origin, proven).await?)
}

/// The proof, where the document as it was read says of the key what it must.
pub(crate) fn found(record: &AccountRecord, key: &VaultKey, document: &SealedDocument) -> Option<RecoverySafe> {
    let there = Wanted::of(record, key).is_ok_and(|wanted| wanted.is_in(document));
    (there && (key.sealed.is_some() || key.kept)).then(|| safe(key))
}

/// The write that has the document say it.
pub(crate) fn entry(
    scene: &Scene<'_>,
    record: &AccountRecord,
    key: &VaultKey,
    document: SealedDocument,
) -> Result<HttpRequest, End> {
    Ok(put(scene, &Wanted::of(record, key)?, document)?)
}

/// What account data must say of the key.
pub(super) struct Wanted<'k> {
    key: &'k VaultKey,
    wrapped: &'k WrappedRecoveryKey,
    browser: String,
}

impl<'k> Wanted<'k> {
    pub(super) fn of(record: &AccountRecord, key: &'k VaultKey) -> Result<Self, MakeError> {
        let wrapped = key.wrapped.as_ref().ok_or(MakeError::Record)?;
        Ok(Self { key, wrapped, browser: record.browser.clone().ok_or(MakeError::Record)? })
    }

    pub(super) fn is_in(&self, document: &SealedDocument) -> bool {
        let Self { key, wrapped, browser } = self;
        document.entry(&key.id).is_some_and(|entry| entry.holds(key.sealed.as_ref(), browser, wrapped))
    }
}

async fn read(scene: &Scene<'_>) -> Result<SealedDocument, End> {
    let request = account_data::get(&scene.setup.user_id, sealed::ACCOUNT_DATA);
    Ok(account_data::read_get(&scene.homeserver.send(request).await?)?.unwrap_or_default())
}

/// What was read with the sealed recovery when it was read back, because the switch asks for it next.
pub(super) struct ReadAlong {
    /// The default key.
    pub(super) default_key: HttpResponse,
    /// The key's description.
    pub(super) description: HttpResponse,
}

/// Writes into the document as it is now: what other browsers and other versions put there stays. With it goes the key
/// description: that of a key that is not the default key means nothing to anybody, and the switch finds it there.
async fn write(scene: &Scene<'_>, wanted: &Wanted<'_>, looked: &Looked) -> Result<(), End> {
    let now = scene.io.now();
    let fresh = looked.at <= now && now.since(looked.at) <= FRESH;
    let document = if fresh { looked.sealed.clone() } else { read(scene).await? };
    let sealed = put(scene, wanted, document)?;
    let description = serde_json::to_value(&wanted.key.description).unwrap_or(Value::Null);
    let kind = account_data::key_description(&wanted.key.id);
    let description = account_data::put(&scene.setup.user_id, &kind, &description);
    for response in scene.homeserver.send_all(vec![sealed, description]).await? {
        account_data::read_put(&response)?;
    }
    Ok(())
}

async fn read_back(scene: &Scene<'_>, wanted: &Wanted<'_>) -> Result<ReadAlong, End> {
    let (user, kind) = (&scene.setup.user_id, account_data::key_description(&wanted.key.id));
    for _ in 0..STALE_READS {
        let kinds = [sealed::ACCOUNT_DATA, account_data::DEFAULT_KEY, &kind];
        let responses = scene.homeserver.send_all(kinds.map(|kind| account_data::get(user, kind)).to_vec()).await?;
        let Ok([document, default_key, description]) = <[HttpResponse; 3]>::try_from(responses) else { break };
        if wanted.is_in(&account_data::read_get(&document)?.unwrap_or_default()) {
            return Ok(ReadAlong { default_key, description });
        }
    }
    Err(SealError::ReadBack.into())
}

fn put(scene: &Scene<'_>, wanted: &Wanted<'_>, mut document: SealedDocument) -> Result<HttpRequest, Stop> {
    let mut entry = document.entry(&wanted.key.id).unwrap_or_default();
    entry.sealed.clone_from(&wanted.key.sealed);
    entry.wrapped.insert(wanted.browser.clone(), wanted.wrapped.clone());
    document.insert(&wanted.key.id, &entry)?;
    let content = serde_json::to_value(&document).unwrap_or(Value::Null);
    Ok(account_data::put(&scene.setup.user_id, sealed::ACCOUNT_DATA, &content))
}
