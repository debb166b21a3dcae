//! Restore: an account that has secret storage of ours, on a session that has none of its secrets yet.
//!
//! | step | gives | file |
//! |---|---|---|
//! | find | [`find::Found`]: what the account publishes, the backup signed by its identity | `reading.rs`, `find.rs` |
//! | open | [`open::Opened`]: a recovery key in the vault that fits the key description | `open.rs`, `gnupg.rs`, `foreign.rs` |
//! | prove | [`SecretsProven`]: every secret opened, and derives what is published | `bootstrap/prove.rs` |
//! | believe | [`believe::MasterKeyBelieved`]: the identity is the account's owner's | `believe.rs`, `witness.rs` |
//! | restore | the client takes its secrets over the bridge | here |
//!
//! Threat: a homeserver that makes an identity, a backup and secret storage of its own, and seals the recovery key for
//! them to the person: whoever opens that has every proof but one, and would write to the server's backup from then on. So
//! what opens is not what is believed. The page is asked only with the proofs of `prove` and of `believe`, and a browser
//! that has seen another identity in place never follows.

pub mod believe;
pub mod drill;
pub mod find;
pub mod foreign;
pub mod gnupg;
pub mod open;
pub mod reading;
pub mod witness;

use crate::{
    bootstrap::{
        End, Outcome, Scene, Setup, conclude,
        look::{self, LookError},
        pause::{self, Flow},
        prove::SecretsProven,
        record::{AccountRecord, GnupgTried, KeyStatus, VaultKey},
        switch::SwitchError,
    },
    effect::{Answer, Effect, Io, PageAnswer, PageCommand},
    error::Code,
    events::{self, Event},
    ident::KeyId,
    identity::PublishedIdentity,
    matrix::{homeserver::Homeserver, keys},
    secret::SecretText,
    status::{Progress, State, StepName},
};

use believe::MasterKeyBelieved;
use find::Found;
use open::Opened;

/// How a restore comes about.
pub enum Way {
    /// By itself, after a login.
    Silent,
    /// The person asked for it.
    Asked,
    /// The person gave this: the opened sealed recovery, or the recovery key.
    Given(SecretText),
}

/// How often the homeserver is asked whether the device is vouched for, before that is given up.
const VOUCHED_READS: usize = 6;
const VOUCHED_PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

/// Runs a restore. When it is complete, a set-up run ([`crate::bootstrap::run`]) finds the account's key in the vault.
pub async fn run(io: Io, setup: Setup, way: Way) -> Outcome {
    let scene = Scene { io: &io, setup: &setup, homeserver: Homeserver::new(&io) };
    if matches!(way, Way::Silent)
        && let Some(outcome) = pause::held(&scene, Flow::Restore).await
    {
        return outcome;
    }
    let mut progress = Progress::default();
    let ended = steps(&scene, &mut progress, way, false).await;
    conclude(&scene, Flow::Restore, progress, ended.map(|()| None)).await
}

/// Lacks this session what is in secret storage? Nobody vouches for it, and it does not have the account's secrets.
pub(crate) async fn is_lacking(scene: &Scene<'_>, identity: &PublishedIdentity) -> Result<bool, End> {
    Ok(!vouches_for_session(scene, identity) && !look::holds_secrets(scene).await?)
}

fn vouches_for_session(scene: &Scene<'_>, identity: &PublishedIdentity) -> bool {
    identity.vouched_devices().any(|device| *device.device_id() == scene.setup.device_id)
}

/// Goes on, within a set-up, with secret storage that this browser has no key for, or this session nothing of: it may be
/// vouched for all the same.
pub(crate) async fn take_up(scene: &Scene<'_>, progress: &mut Progress) -> Result<(), End> {
    let way = if scene.setup.asked { Way::Asked } else { Way::Silent };
    steps(scene, progress, way, true).await
}

async fn steps(scene: &Scene<'_>, progress: &mut Progress, way: Way, lacking: bool) -> Result<(), End> {
    let Setup { origin, user_id, .. } = scene.setup;
    let mut record = AccountRecord::load(scene.io, origin, user_id).await?;
    scene.show(progress, StepName::Look).await;
    // What was read while the client came up may only lead on: everything else is concluded from what is there now.
    let ahead = find::ahead(scene).filter(|found| matches!(way, Way::Silent) && leads_on(scene, &record, found));
    let mut found = match ahead {
        Some(found) => found,
        None => find::read(scene).await?,
    };
    if record.master_key.as_ref().is_some_and(|seen| seen != found.published.identity.master()) {
        return Err(LookError::OtherIdentity.into());
    }
    if is_superseded(&record, &found.key_id) {
        return Err(End::Leave(State::Failed, Some(Code::RecRollback)));
    }
    let lacking =
        (found.is_foreign(&record) || found.is_successor(&record)) && (lacking || matches!(way, Way::Given(_)));
    if vouches_for_session(scene, &found.published.identity) && !lacking {
        return Err(End::Leave(State::Working, None));
    }
    let opened = open::open(scene, &mut record, &found, way).await?;
    scene.show(progress, StepName::Prove).await;
    let proven = found.prove(scene, opened.key()).await?;
    if record.master_key.as_ref().is_some_and(|seen| seen != found.published.identity.master()) {
        return Err(LookError::OtherIdentity.into());
    }
    let believed = believe::believe(scene, &mut record, &found).await?;
    scene.show(progress, StepName::Store).await;
    restore(scene, &mut record, &found, opened, proven, believed).await
}

/// Is it secret storage of ours, under a key that is in force, of the identity that this browser knows, and does nobody vouch
/// for the session yet?
fn leads_on(scene: &Scene<'_>, record: &AccountRecord, found: &Found) -> bool {
    let identity = &found.published.identity;
    record.master_key.as_ref().is_none_or(|seen| seen == identity.master())
        && !is_superseded(record, &found.key_id)
        && !found.is_foreign(record)
        && !vouches_for_session(scene, identity)
}

/// Has a proven successor taken the key's place? Then it is an old state, whatever opens it. The old key itself may be there
/// still, until that is settled.
fn is_superseded(record: &AccountRecord, id: &KeyId) -> bool {
    let retired = record.key(id).is_some_and(|key| key.status == KeyStatus::Retired);
    record.replaced.contains(id) || (retired && record.current().is_some_and(|key| key.proven_at.is_some()))
}

/// Where GnuPG opened the sealed recovery, and the identity is believed, the person's own certificate says so from now on: the
/// next new browser need not ask. Where that fails nothing is lost.
async fn sign(scene: &Scene<'_>, record: &mut AccountRecord, key: &VaultKey) {
    let tried = record.devices.get(&scene.setup.device_id).and_then(|device| device.gnupg);
    if tried == Some(GnupgTried::Opened)
        && let Some(signer) = drill::holder(scene, key).await
    {
        let _ = drill::bear_witness(scene, record, key, Some(&signer)).await;
    }
}

/// Puts the key in force on this browser, and has the client take its secrets.
async fn restore(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    found: &Found,
    opened: Opened,
    _proven: SecretsProven,
    believed: MasterKeyBelieved,
) -> Result<(), End> {
    let Setup { origin, user_id, device_id, .. } = scene.setup;
    let (key, now) = (opened.into_key(), scene.io.now());
    let foreign = found.is_foreign(record);
    let browser = crate::bootstrap::make::make_letters(16)?;
    let enter = |record: &mut AccountRecord| {
        let waiting = record.opened.as_ref().filter(|opened| opened.id == key.id);
        let known = waiting.and_then(|opened| opened.pins.clone());
        let known = known.or_else(|| record.key(&key.id)?.pins.clone());
        let key = VaultKey { pins: key.pins.clone().or(known), ..key.clone() };
        record.only_lent = foreign && record.is_untouched();
        record.browser.get_or_insert_with(|| browser.clone());
        record.master_key = Some(*believed.master_key());
        (record.opened, record.believed) = (None, None);
        if foreign {
            record.lent = Some(key);
        } else {
            record.keys.retain(|known| known.id != key.id);
            for other in &mut record.keys {
                other.status = KeyStatus::Retired;
            }
            record.keys.push(key);
        }
        if let Some(device) = record.devices.get_mut(device_id) {
            device.granted = Some(now);
            device.given.clear();
        }
    };
    record.change(scene.io, origin, enter).await?;
    if !matches!(scene.io.ask(Effect::Page(PageCommand::Restore)).await, Answer::Page(PageAnswer::Done)) {
        scene.setup.lately.forget();
        return Err(SwitchError::Page.into());
    }
    // What the client says of itself is not asked for: its device is vouched for, or it is not.
    for _ in 0..VOUCHED_READS {
        let answer = keys::read_query(&scene.homeserver.send(keys::query(user_id)).await?)?;
        let identity = PublishedIdentity::read(&answer, user_id)?.ok_or(LookError::NoIdentity)?;
        if identity.master() == found.published.identity.master() && vouches_for_session(scene, &identity) {
            let event = Event::Restored { key_id: found.key_id.clone(), device_id: device_id.clone() };
            events::note(scene.io, origin, user_id, event).await?;
            sign(scene, record, &key).await;
            return Ok(());
        }
        scene.io.ask(Effect::SleepUntil(scene.io.now().plus(VOUCHED_PAUSE))).await;
    }
    Err(crate::identity::VouchError::Unsigned.into())
}
