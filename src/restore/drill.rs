//! Drill: the person tests that the sealed recovery opens, while nothing depends on it.
//!
//! Threat: a backup that nobody can open, found out on the day it is needed: a private key that was lost, a message that was
//! replaced on the server. What the server has is opened here the way a new browser would, and what is in it is compared
//! with the key that is in force. Where GnuPG opens it, the person's own certificate then also vouches for the identity
//! ([`super::witness`]), so that a new browser need not ask. Nothing else is changed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::witness::{self, Statement};
use crate::{
    bootstrap::{
        End, Scene, Setup, prove,
        record::{AccountRecord, VaultKey},
        seal::STALE_READS,
    },
    effect::{Effect, Io},
    error::{Code, Coded},
    events::{self, Event},
    gnupg,
    ident::{Fingerprint, KeyId},
    matrix::homeserver::{Homeserver, Stop},
    recovery::{
        RecoveryKey,
        sealed::{SealedError, SealedNames},
    },
    secret::SecretText,
    time::UnixMillis,
};

/// After how many days without a drill the person is reminded, where the policy does not say.
pub const REMINDER_DAYS: u32 = 180;
/// The same for somebody who never did one: until then nobody knows that the sealed recovery can be opened at all. Not on the
/// first day, which has enough that is new.
pub const FIRST_REMINDER_DAYS: u32 = 7;
/// The pause before the homeserver is asked again for a sealed recovery that is not the one that was written.
const DOUBT_PAUSE: Duration = Duration::from_secs(2);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How the last drill ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    /// When.
    pub at: UnixMillis,
    /// The secret storage key's id.
    pub key_id: KeyId,
    /// What was wrong; `None` where the sealed recovery holds the recovery key that is in force.
    pub problem: Option<Code>,
    /// Whose private key opened it, where that is known.
    pub recipient: Option<Fingerprint>,
    /// Does a signature of the person's own lie beside the sealed recovery now?
    pub witnessed: bool,
}

/// Why what was opened does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DrillError {
    /// Nothing is set up on this browser.
    #[error("there is nothing to test")]
    Nothing,
    /// The sealed recovery on the server is not the one that was written.
    #[error("the sealed recovery on the server is another one")]
    Altered,
    /// What was opened is for another account, key or identity.
    #[error("this sealed recovery is for something else")]
    Other,
    /// The recovery key in it is not the one that is in force.
    #[error("the recovery key is another one")]
    Unfit,
    /// It is neither an opened sealed recovery nor a recovery key.
    #[error("{0}")]
    Text(SealedError),
}

impl Coded for DrillError {
    fn code(&self) -> Code {
        match self {
            Self::Nothing => Code::RecVaultLost,
            Self::Altered | Self::Other => Code::RecSealedForged,
            Self::Unfit => Code::RecMac,
            Self::Text(error) => error.code(),
        }
    }
}

/// The sealed recovery that is to be tested, ASCII-armored, as the server has it; `None` where the person keeps the recovery
/// key. One that is not what was written has failed the test already.
///
/// # Errors
/// The code of what is wrong.
pub async fn message(io: Io, setup: Setup) -> Result<Option<String>, Code> {
    let scene = Scene { io: &io, setup: &setup, homeserver: Homeserver::new(&io) };
    let tested = async {
        let mut record = load(&scene).await?;
        match current(&scene, &record).await {
            Err(End::Stop(Stop { code: code @ Code::RecSealedForged, .. })) => {
                keep(&scene, &mut record, Some(code), None, false).await?;
                Err(DrillError::Altered.into())
            }
            found => found.map(|(_, message)| message),
        }
    };
    tested.await.map_err(code_of)
}

/// Tests it: with GnuPG, or with what the person opened elsewhere. What is typed wrong is no test.
///
/// # Errors
/// The code of what was wrong before there was anything to compare.
pub async fn run(io: Io, setup: Setup, given: Option<SecretText>) -> Result<Drill, Code> {
    let scene = Scene { io: &io, setup: &setup, homeserver: Homeserver::new(&io) };
    steps(&scene, given).await.map_err(code_of)
}

async fn steps(scene: &Scene<'_>, given: Option<SecretText>) -> Result<Drill, End> {
    let mut record = load(scene).await?;
    let with_gnupg = given.is_none();
    let tested = async {
        let (key, message) = current(scene, &record).await?;
        let text = match given {
            Some(text) => text,
            None => gnupg::decrypt(scene.io, &message.ok_or(DrillError::Nothing)?).await?,
        };
        compare(scene, &key, &text).await?;
        Ok(key)
    };
    let key = match tested.await {
        Ok(key) => key,
        Err(End::Stop(Stop { code: code @ (Code::RecSealedForged | Code::RecMac), .. })) => {
            return keep(scene, &mut record, Some(code), None, false).await;
        }
        Err(other) => return Err(other),
    };
    let recipient = if with_gnupg { holder(scene, &key).await } else { None };
    let witnessed = bear_witness(scene, &mut record, &key, recipient.as_ref()).await.unwrap_or(false);
    keep(scene, &mut record, None, recipient, witnessed).await
}

async fn load(scene: &Scene<'_>) -> Result<AccountRecord, End> {
    Ok(AccountRecord::load(scene.io, &scene.setup.origin, &scene.setup.user_id).await?)
}

fn code_of(end: End) -> Code {
    match end {
        End::Stop(stop) => stop.code,
        End::Leave(_, code) => code.unwrap_or(Code::RecVaultLost),
        End::Watch(_, code, _) => code,
        End::Ask(code, _) => code,
    }
}

/// The key in force, and its sealed recovery on the server, which is the one that was written. A homeserver that says
/// otherwise may only be late: it is asked again for some seconds before that is called a forgery.
async fn current(scene: &Scene<'_>, record: &AccountRecord) -> Result<(VaultKey, Option<String>), End> {
    let key = record.current().filter(|key| key.wrapped.is_some()).ok_or(DrillError::Nothing)?;
    for again in (0..=STALE_READS).rev() {
        let sealed = witness::read(scene).await?.entry(&key.id).and_then(|entry| entry.sealed);
        if sealed == key.sealed {
            return Ok((key.clone(), sealed.map(|sealed| sealed.message)));
        }
        if again > 0 {
            scene.io.ask(Effect::SleepUntil(scene.io.now().plus(DOUBT_PAUSE))).await;
        }
    }
    Err(DrillError::Altered.into())
}

/// Compares what was opened with the key in force.
async fn compare(scene: &Scene<'_>, key: &VaultKey, text: &SecretText) -> Result<(), End> {
    let opened = match SealedNames::parse(text) {
        Ok((names, opened)) => {
            let fits =
                names.user_id == scene.setup.user_id && names.key_id == key.id && names.master_key == key.master_key;
            if fits { opened } else { return Err(DrillError::Other.into()) }
        }
        Err(SealedError::Form) => RecoveryKey::parse(text.expose("to read the recovery key in it"))
            .map_err(|error| DrillError::Text(SealedError::Key(error)))?,
        Err(other) => return Err(DrillError::Text(other).into()),
    };
    let derived = opened.derive_keys("");
    let in_force = prove::derive(scene.io, key, "").await?;
    let fits = derived.same_as(&in_force) && key.description.verify(&derived).is_ok();
    if fits { Ok(()) } else { Err(DrillError::Unfit.into()) }
}

/// Which of those that may open it has the private key here.
pub(super) async fn holder(scene: &Scene<'_>, key: &VaultKey) -> Option<Fingerprint> {
    for view in &key.recipients {
        if gnupg::has_secret_key(scene.io, &view.fingerprint).await == Ok(true) {
            return Some(view.fingerprint.clone());
        }
    }
    None
}

/// Has the person's own certificate vouch for the identity, unless it does already.
pub(super) async fn bear_witness(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    key: &VaultKey,
    signer: Option<&Fingerprint>,
) -> Result<bool, End> {
    let user_id = &scene.setup.user_id;
    let statement = Statement { user_id, key_id: &key.id, master_key: &key.master_key };
    let there = witness::read(scene).await?.entry(&key.id).and_then(|entry| entry.witness);
    if let Some(signature) = there
        && witness::is_by_owner(scene, record, &statement, &signature).await?
    {
        return Ok(true);
    }
    let (Some(signer), Ok(text)) = (signer, statement.to_text()) else { return Ok(false) };
    let signature = gnupg::sign(scene.io, &text, signer).await?;
    // A certificate that the rule does not accept for this person vouches for nothing.
    if !witness::is_by_owner(scene, record, &statement, &signature).await? {
        return Ok(false);
    }
    witness::publish(scene, &key.id, &signature).await?;
    let event = Event::Witnessed { key_id: key.id.clone(), fingerprint: signer.clone() };
    events::note(scene.io, &scene.setup.origin, user_id, event).await?;
    Ok(true)
}

/// Notes how it ended.
async fn keep(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    problem: Option<Code>,
    recipient: Option<Fingerprint>,
    witnessed: bool,
) -> Result<Drill, End> {
    let key_id = record.current().map(|key| key.id.clone()).ok_or(DrillError::Nothing)?;
    let drill = Drill { at: scene.io.now(), key_id: key_id.clone(), problem, recipient, witnessed };
    record.change(scene.io, &scene.setup.origin, |record| record.drill = Some(drill.clone())).await?;
    let event = Event::Drilled { key_id, problem };
    events::note(scene.io, &scene.setup.origin, &scene.setup.user_id, event).await?;
    Ok(drill)
}

/// Is the person to be reminded? `days` are the policy's; 0 never reminds. Who never did a test is reminded after
/// [`FIRST_REMINDER_DAYS`], where the policy has no fewer.
#[must_use]
pub fn is_due(record: &AccountRecord, days: Option<u32>, now: UnixMillis) -> bool {
    let days = days.unwrap_or(REMINDER_DAYS);
    let days = if record.drill.is_none() { days.min(FIRST_REMINDER_DAYS) } else { days };
    let proven = |key: &&VaultKey| days > 0 && key.proven_at.is_some();
    let Some(key) = record.current().filter(proven) else { return false };
    let passed = record.drill.as_ref().filter(|drill| drill.key_id == key.id && drill.problem.is_none());
    let sealed = key.sealed.as_ref().map(|sealed| sealed.sealed_at);
    let first = sealed.or_else(|| record.devices.values().map(|device| device.since).min());
    let since = passed.map(|drill| drill.at).or(first);
    since.is_some_and(|since| now.since(since) >= DAY * days)
}
