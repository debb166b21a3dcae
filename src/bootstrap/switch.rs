//! Steps 5 and 6: make the new key the account's secret storage, and have the client store its secrets.

use serde_json::{Value, json};

use super::{
    End, Scene,
    look::{self, Found, Looked},
    make::Made,
    prove::{ProveError, SecretsProven},
    record::{AccountRecord, KeyStatus},
    seal::{ReadAlong, RecoverySafe, STALE_READS},
    settle,
};
use crate::{
    effect::{Answer, Effect, PageAnswer, PageCommand},
    error::{Code, Coded},
    events::{self, Event},
    ident::KeyId,
    matrix::{account_data, homeserver::Stop},
    recovery::KeyDescription,
    status::State,
};

/// The key is the account's default key.
pub struct Switched {
    key_id: KeyId,
    now: bool,
    /// The client has not said yet that it sees it so.
    unseen: bool,
}

/// The key is the account's default key in the client's eyes as well.
pub(crate) struct Followed(pub(super) Switched);

impl Switched {
    /// The key's id.
    #[must_use]
    pub const fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// Was it this run that switched?
    #[must_use]
    pub const fn was_switched_now(&self) -> bool {
        self.now
    }
}

/// Why the client did not follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SwitchError {
    /// The tab is gone, or its client failed.
    #[error("the page did not do what it was asked")]
    Page,
}

impl Coded for SwitchError {
    fn code(&self) -> Code {
        match self {
            Self::Page => Code::RecPage,
        }
    }
}

/// Publishes the key description and the default key; asks for the proof that the recovery key is safe, and, where it takes
/// the place of somebody else's, for the proof that it opens everything already.
pub(super) async fn switch(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    made: Made,
    looked: &Looked,
    _safe: &RecoverySafe,
    mut along: Option<ReadAlong>,
    adopted: Option<&SecretsProven>,
) -> Result<Switched, End> {
    if looked.found.beside().is_some() && adopted.is_none() {
        return Err(End::Leave(State::Foreign, Some(Code::RecForeign)));
    }
    let theirs = looked.found.gives_way();
    let key_id = made.key_id().clone();
    let description = made.key(record)?.description.clone();
    let now = !matches!(looked.found, Found::Ours(_));
    let in_force = record.key(&key_id).is_some_and(|key| key.status == KeyStatus::Current);
    let switched = Switched { now, unseen: now || !in_force, key_id: key_id.clone() };
    let content = serde_json::to_value(&description).unwrap_or(Value::Null);
    let kind = account_data::key_description(&key_id);
    let default = json!({ "key": key_id.as_str() });
    if switched.now {
        if along.is_none() {
            announce(scene, record, &key_id).await?;
        }
        let mut there = false;
        for read in 0..=STALE_READS {
            let responses = match along.take() {
                Some(ReadAlong { default_key, description }) => vec![default_key, description],
                None => {
                    let kinds = [account_data::DEFAULT_KEY, &kind];
                    let requests = kinds.map(|kind| account_data::get(&scene.setup.user_id, kind)).to_vec();
                    scene.homeserver.send_all(requests).await?
                }
            };
            let [default_key, published] = responses.as_slice() else {
                return Err(End::Stop(Stop { code: Code::NetAnswer, not_before: None }));
            };
            // Somebody else may have been faster: the default key of the last moment wins.
            let default_key = look::read_default_key(default_key)?;
            if default_key.is_some_and(|id| id != key_id.as_str() && Some(id.as_str()) != theirs) {
                return Err(End::Leave(State::Foreign, Some(Code::RecForeign)));
            }
            // A default key whose description was lost on the way would leave the account without usable secret storage.
            there = account_data::read_get::<KeyDescription>(published)?.as_ref() == Some(&description);
            if there {
                break;
            }
            // Not written with the sealed recovery by this run, or lost on the way.
            if read == 0 {
                put(scene, &kind, &content).await?;
            }
        }
        if !there {
            return Err(ProveError::Description.into());
        }
        put(scene, account_data::DEFAULT_KEY, &default).await?;
    } else if switched.unseen {
        page(scene, PageCommand::ExpectKey { key: key_id.clone() }).await?;
    }
    if switched.now && in_force {
        events::note(scene.io, &scene.setup.origin, &scene.setup.user_id, Event::DefaultKeyLost).await?;
    }
    if !in_force {
        put_in_force(scene, record, &key_id).await?;
    }
    Ok(switched)
}

/// What goes before the last look at the default key, because a page may take its time: the account is to be looked at again,
/// and the page is told of the key to come.
pub(super) async fn announce(scene: &Scene<'_>, record: &mut AccountRecord, key_id: &KeyId) -> Result<(), End> {
    settle::expect(scene, record).await?;
    page(scene, PageCommand::ExpectKey { key: key_id.clone() }).await
}

/// Waits until the client has what was switched to from its own sync. It has its secrets stored meanwhile: the bridge asks the
/// homeserver.
pub(crate) async fn follow(scene: &Scene<'_>, record: &AccountRecord, switched: Switched) -> Result<Followed, End> {
    if switched.unseen {
        let key = record.key(&switched.key_id).ok_or(ProveError::Description)?;
        let description = serde_json::to_value(&key.description).unwrap_or(Value::Null);
        let default = json!({ "key": key.id.as_str() });
        let documents =
            [(account_data::key_description(&key.id), description), (account_data::DEFAULT_KEY.to_owned(), default)];
        for (kind, content) in documents {
            page(scene, PageCommand::AwaitAccountData { kind, content }).await?;
        }
    }
    Ok(Followed(switched))
}

async fn put_in_force(scene: &Scene<'_>, record: &mut AccountRecord, key_id: &KeyId) -> Result<(), End> {
    let switch = |record: &mut AccountRecord| {
        for key in &mut record.keys {
            key.status = if key.id == *key_id { KeyStatus::Current } else { KeyStatus::Retired };
        }
    };
    Ok(record.change(scene.io, &scene.setup.origin, switch).await?)
}

/// Makes a key the default key in the place of one of ours; asks for the proofs that the recovery key is safe and that it
/// opens everything already.
pub(crate) async fn replace(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    made: &Made,
    _safe: &RecoverySafe,
    _proven: &SecretsProven,
) -> Result<Switched, End> {
    let switched = Switched { key_id: made.key_id().clone(), now: true, unseen: true };
    let key_id = switched.key_id();
    settle::expect(scene, record).await?;
    page(scene, PageCommand::ExpectKey { key: key_id.clone() }).await?;
    put(scene, account_data::DEFAULT_KEY, &json!({ "key": key_id.as_str() })).await?;
    put_in_force(scene, record, key_id).await?;
    Ok(switched)
}

/// Is this, the default key on the server, the one that the key in force was to replace? A switch that nothing was proven
/// after may have been answered and lost: then the old key is in force still, and nobody replayed it.
pub(super) fn was_lost(record: &AccountRecord, default_key: &str) -> bool {
    let unproven = record.current().filter(|key| key.proven_at.is_none());
    let old = unproven.and_then(|key| record.key(key.replaces.as_ref()?));
    old.is_some_and(|old| old.status == KeyStatus::Retired && old.id.as_str() == default_key)
}

/// Takes such a switch back: the next rotation makes it once more.
pub(super) fn take_back(record: &mut AccountRecord) {
    let Some(old) = record.current().and_then(|key| key.replaces.clone()) else { return };
    for key in &mut record.keys {
        match key.status {
            KeyStatus::Current => key.status = KeyStatus::Pending,
            _ if key.id == old => key.status = KeyStatus::Current,
            _ => {}
        }
    }
}

/// Has the client store its secrets; they come in over the bridge.
pub(super) async fn store_secrets(scene: &Scene<'_>, _switched: &Switched) -> Result<(), End> {
    page(scene, PageCommand::StoreSecrets).await
}

async fn put(scene: &Scene<'_>, kind: &str, content: &Value) -> Result<(), End> {
    let request = account_data::put(&scene.setup.user_id, kind, content);
    Ok(account_data::read_put(&scene.homeserver.send(request).await?)?)
}

/// Has the client do something.
pub(crate) async fn page(scene: &Scene<'_>, command: PageCommand) -> Result<(), End> {
    match scene.io.ask(Effect::Page(command)).await {
        Answer::Page(PageAnswer::Done) => Ok(()),
        _ => Err(SwitchError::Page.into()),
    }
}
