//! The person's own reset of the identity, after a compromise was told.
//!
//! Threat: a homeserver that shows an identity of its own, and a browser that follows it. So a browser with a pin follows
//! another identity only where all of this holds, none of which the homeserver can bring about:
//!
//! - the person was told here of a compromise, and has not reset the identity since;
//! - in this session of this browser the client removed the old master key from secret storage, which it does where the
//!   person resets and never by itself;
//! - the session holds the new identity's private keys: they are stored, and derive what is published, or nothing is set up;
//! - the person says, on a page of the extension, that it was they.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    bootstrap::{
        End, Scene,
        look::{self, LookError},
        make,
        record::{AccountRecord, RecordError},
    },
    bridge::Session,
    effect::Io,
    error::Code,
    events::{self, Event},
    ident::{DeviceId, KeyId},
    identity::{PublicKey, PublishedIdentity, security_code},
    matrix::{account_data, homeserver::Stop},
    status::Question,
    time::UnixMillis,
};

use std::time::Duration;

/// How long a reset that has begun may wait for the person's password.
const TAKES: Duration = Duration::from_secs(10 * 60);
/// How soon it is looked what became of a reset.
pub const LOOK: Duration = Duration::from_secs(30);

/// In this browser the client began to reset the identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResetBegun {
    /// When.
    pub at: UnixMillis,
    /// In which session.
    pub device_id: DeviceId,
    /// The master key that was in force.
    pub from: PublicKey,
}

/// The new identity is the person's: all that the module names holds.
struct OwnReset(PublicKey);

/// Notes that the client removes the old master key from secret storage; nothing is noted where no compromise was told.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn begins(io: &Io, session: &Session) -> Result<(), RecordError> {
    let mut record = AccountRecord::load(io, &session.origin, &session.user_id).await?;
    let (Some(from), Some(_)) = (record.master_key, &record.rotation.compromised) else { return Ok(()) };
    let begun = ResetBegun { at: io.now(), device_id: session.device_id.clone(), from };
    record.change(io, &session.origin, |record| record.rotation.reset = Some(begun.clone())).await
}

/// A reset that was begun, and has not come to another identity: the client is not disturbed in it; after a while it was
/// given up.
pub(crate) async fn wait(scene: &Scene<'_>, record: &mut AccountRecord) -> Result<(), End> {
    let Some(begun) = &record.rotation.reset else { return Ok(()) };
    let now = scene.io.now();
    if begun.at <= now && now.since(begun.at) < TAKES {
        return Err(End::Stop(Stop { code: Code::RecNoIdentity, not_before: None }));
    }
    Ok(record.change(scene.io, &scene.setup.origin, |record| record.rotation.reset = None).await?)
}

/// The account has another identity than this browser knows: follows it where that is the person's own doing; asks the
/// person who only has to say so.
pub(crate) async fn follow(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    identity: &PublishedIdentity,
) -> Result<(), End> {
    let own = own(scene, record, identity).await?;
    take(scene, record, own).await
}

async fn own(scene: &Scene<'_>, record: &AccountRecord, identity: &PublishedIdentity) -> Result<OwnReset, End> {
    let other = || End::from(LookError::OtherIdentity);
    let begun = record.rotation.reset.as_ref().filter(|begun| begun.device_id == scene.setup.device_id);
    let begun = begun.filter(|begun| Some(begun.from) == record.master_key && record.rotation.compromised.is_some());
    begun.ok_or_else(other)?;
    look::session_holds_secrets(scene).await.map_err(|_| other())?;
    let master_key = *identity.master();
    if record.believed == Some(master_key) {
        return Ok(OwnReset(master_key));
    }
    let account = scene.setup.user_id.clone();
    let security_code = security_code(&account, &master_key);
    Err(End::Ask(Code::RecReset, Box::new(Question::Reset { account, master_key, security_code })))
}

/// Begins anew with the new identity. The old recovery keys open nothing that is in use any more.
async fn take(scene: &Scene<'_>, record: &mut AccountRecord, OwnReset(new): OwnReset) -> Result<(), End> {
    let ids: Vec<KeyId> = record.keys.iter().map(|key| key.id.clone()).collect();
    // One that is the default key again, or still, has none of the new secrets.
    let default = look::published_default_key(scene).await?;
    if ids.iter().any(|id| Some(id.as_str()) == default.as_deref()) {
        let request = account_data::put(&scene.setup.user_id, account_data::DEFAULT_KEY, &json!({}));
        account_data::read_put(&scene.homeserver.send(request).await?)?;
    }
    for id in &ids {
        make::forget(scene, id).await?;
    }
    let from = record.master_key;
    let anew = |record: &mut AccountRecord| {
        record.master_key = Some(new);
        record.keys.clear();
        (record.opened, record.lent, record.believed, record.drill) = Default::default();
        (record.settle_at, record.backup_replaced) = (None, false);
        let replaced: Vec<_> = ids.iter().filter(|id| !record.replaced.contains(id)).cloned().collect();
        record.replaced.extend(replaced);
        record.rotation = super::Rotation { leftovers: ids.clone(), ..super::Rotation::new() };
    };
    record.change(scene.io, &scene.setup.origin, anew).await?;
    let event = Event::IdentityReset { from, to: new };
    Ok(events::note(scene.io, &scene.setup.origin, &scene.setup.user_id, event).await?)
}
