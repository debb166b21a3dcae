//! First set-up: from an account as Element leaves it to one whose history cannot be lost.
//!
//! Element makes cross-signing keys and a key backup by itself, but no secret storage and no recovery key. A run here
//! adds them in seven steps, each a function that takes the state before it and gives the state after it:
//!
//! | step | from | to | file |
//! |---|---|---|---|
//! | look | – | [`look::Looked`] | `look.rs` |
//! | recipients | `Looked` | [`recipients::Chosen`] | `recipients.rs` |
//! | make | `Chosen` | [`make::Made`] | `make.rs` |
//! | seal | `Made` | [`seal::RecoverySafe`] | `seal.rs` |
//! | switch | `Made`, `&RecoverySafe` | [`switch::Switched`] | `switch.rs` |
//! | store | `Switched` | secrets in place | `switch.rs` |
//! | prove | `Switched` | [`prove::SecretsProven`], [`switch::Followed`] | `prove.rs` |
//!
//! Where the account has secret storage of somebody else's making and this session has all that is in it, the secrets are
//! stored and proven under our key first, beside the entries that are there (`adopt.rs`), and switched to then.
//!
//! Guarantee G2: secret storage never depends on a key that is in neither the vault nor a sealed recovery that was read
//! back. So `switch` takes the proof of `seal`, and the step that completes takes the proofs of `seal` and of `prove`.
//! What must survive a crash is in the [`record::AccountRecord`]; a run that starts again looks at the account first and
//! takes up what it finds, so that any step can be the last one before a crash.

mod adopt;
mod ahead;
pub mod login;
pub mod logout;
pub mod look;
pub mod make;
pub mod pair;
pub mod pause;
pub mod prove;
pub mod recipients;
pub mod record;
pub mod seal;
pub(crate) mod settle;
pub mod switch;
pub mod unfinished;
pub mod wipe;

use std::time::Duration;

use crate::{
    effect::{Effect, Io},
    error::Code,
    events::{self, Event},
    ident::{DeviceId, KeyId, Origin, UserId},
    matrix::homeserver::{Homeserver, Stop},
    policy::Policy,
    restore::{self, reading::Lately},
    rotate::{self, UnderWay},
    status::{Progress, Question, State, StepName},
    time::UnixMillis,
};

pub use ahead::{Ahead, ahead};
use look::{Found, Looked};
use make::Place;
use pause::Flow;
use record::{AccountRecord, VaultKey};

/// How soon a run that could not finish is tried again, unless the server says otherwise.
const RETRY: Duration = Duration::from_secs(60);
/// How soon a directory is asked again for a certificate it did not have.
const RETRY_DIRECTORY: Duration = Duration::from_secs(15 * 60);

/// How long what stopped an earlier run is shown, where all is complete since.
const OVERCOME: Duration = Duration::from_secs(24 * 60 * 60);

/// All that a run is told.
#[derive(Clone)]
pub struct Setup {
    /// The deployment's Element Web origin.
    pub origin: Origin,
    /// The homeserver's name that the policy gives for it.
    pub server_name: Option<String>,
    /// The account.
    pub user_id: UserId,
    /// The session's device.
    pub device_id: DeviceId,
    /// The policy in force.
    pub policy: Policy,
    /// What the page sees of the account that a run depends on; only compared ([`pause`]).
    pub standing: String,
    /// The person asked for this run: no pause holds it.
    pub asked: bool,
    /// What was read of the account for this session.
    pub lately: Lately,
}

/// How a run ended. Whatever it is, nothing is half done that the next run does not take up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What to show.
    pub progress: Progress,
    /// When to run again; `None` where only a change of circumstances helps.
    pub retry_at: Option<UnixMillis>,
}

impl Outcome {
    /// How it stands where [`login::confirm`] could not confirm a session. A session that is somebody else's stays so.
    #[must_use]
    pub fn of_login(stop: Stop, now: UnixMillis) -> Self {
        let Stop { code, not_before } = stop;
        let retry_at = (code != Code::DirOtherAccount).then(|| not_before.unwrap_or(now).max(now.plus(RETRY)));
        let progress = Progress { state: State::Failed, problem: Some((code, now)), retry_at, ..Progress::default() };
        Self { progress, retry_at }
    }
}

/// What a step needs from its surroundings.
pub(crate) struct Scene<'a> {
    pub(crate) io: &'a Io,
    pub(crate) setup: &'a Setup,
    pub(crate) homeserver: Homeserver<'a>,
}

/// Why a run ends before it is complete.
pub(crate) enum End {
    /// It cannot go on now.
    Stop(Stop),
    /// The account is in a state that is left alone.
    Leave(State, Option<Code>),
    /// The same, until it is looked at again.
    Watch(State, Code, UnixMillis),
    /// A person must answer first.
    Ask(Code, Box<Question>),
}

impl<E: Into<Stop>> From<E> for End {
    fn from(error: E) -> Self {
        Self::Stop(error.into())
    }
}

impl Scene<'_> {
    pub(crate) async fn show(&self, progress: &mut Progress, step: StepName) {
        progress.state = State::Working;
        progress.step = Some(step);
        self.io.ask(Effect::Report(Box::new(progress.clone()))).await;
    }
}

/// Runs a first set-up, or takes it up, or finds that there is nothing to do.
pub async fn run(io: Io, setup: Setup) -> Outcome {
    run_after(io, setup, None).await
}

/// The same, with what was found out ahead of it.
pub async fn run_after(io: Io, setup: Setup, ahead: Option<Ahead>) -> Outcome {
    let scene = Scene { io: &io, setup: &setup, homeserver: Homeserver::new(&io) };
    if let Some(outcome) = pause::held(&scene, Flow::SetUp).await {
        return outcome;
    }
    let mut progress = Progress::default();
    let ended = steps(&scene, &mut progress, ahead).await;
    conclude(&scene, Flow::SetUp, progress, ended).await
}

/// Ends a flow: what to show, and when to run again.
pub(crate) async fn conclude(
    scene: &Scene<'_>,
    flow: Flow,
    mut progress: Progress,
    ended: Result<Option<UnixMillis>, End>,
) -> Outcome {
    let now = scene.io.now();
    progress.question = None;
    let mut look_again = None;
    let retry_at = match ended {
        Ok(later) => {
            progress.state = State::Complete;
            progress.step = None;
            look_again = later;
            None
        }
        Err(End::Leave(state, code)) => {
            progress.state = state;
            progress.step = None;
            progress.problem = code.map(|code| (code, now));
            None
        }
        Err(End::Watch(state, code, at)) => {
            progress.state = state;
            progress.step = None;
            progress.problem = Some((code, now));
            look_again = Some(at);
            None
        }
        Err(End::Ask(code, question)) => {
            progress.state = question.state();
            progress.problem = Some((code, now));
            progress.question = Some(*question);
            None
        }
        Err(End::Stop(Stop { code, not_before })) => {
            let waiting = code.as_str().starts_with("KS-DIR-") || code.as_str().starts_with("KS-SGN-");
            let waiting = waiting || code == Code::RecSession;
            progress.state = if waiting { State::Waiting } else { State::Failed };
            progress.problem = Some((code, now));
            let usual = if waiting { RETRY_DIRECTORY } else { RETRY };
            Some(not_before.unwrap_or(now).max(now.plus(usual)))
        }
    };
    progress.retry_at = retry_at;
    // Where this fails the next run is only not held up.
    let trouble = pause::note(scene, flow, &progress).await.ok().flatten();
    if progress.state == State::Complete {
        progress.problem = trouble.filter(|(_, at)| now.since(*at) <= OVERCOME);
    }
    scene.io.ask(Effect::Report(Box::new(progress.clone()))).await;
    Outcome { progress, retry_at: retry_at.or(look_again) }
}

/// Looks, where the client's own set-up does not come to its end, whether that is because the account has secret storage
/// that is not ours: then that is what to show.
pub async fn glance(io: Io, setup: Setup) -> Option<Progress> {
    let scene = Scene { io: &io, setup: &setup, homeserver: Homeserver::new(&io) };
    let record = AccountRecord::load(&io, &setup.origin, &setup.user_id).await.ok()?;
    match look::glance(&scene, &record).await {
        Err(End::Leave(state, code)) => {
            Some(Progress { state, problem: code.map(|code| (code, io.now())), ..Progress::default() })
        }
        _ => None,
    }
}

/// Goes through the steps; says when the account is to be looked at again.
async fn steps(scene: &Scene<'_>, progress: &mut Progress, ahead: Option<Ahead>) -> Result<Option<UnixMillis>, End> {
    let Setup { origin, user_id, .. } = scene.setup;
    let mut record = AccountRecord::load(scene.io, origin, user_id).await?;
    let held = make::sweep(scene, &record).await?;
    if let Some(key) = record.current().or(record.pending()) {
        progress.recipients.clone_from(&key.recipients);
        progress.sealed_proven_at = key.sealed_proven_at;
    }

    scene.show(progress, StepName::Look).await;
    let mut looked = look::look(scene, &mut record).await;
    if is_restored_first(scene, &record, &looked).await {
        match restore::take_up(scene, progress).await {
            // Somebody confirmed the session meanwhile.
            Ok(()) | Err(End::Leave(State::Working, None)) => {}
            Err(end) => return Err(end),
        }
        record = AccountRecord::load(scene.io, origin, user_id).await?;
        scene.show(progress, StepName::Look).await;
        looked = look::look(scene, &mut record).await;
    }
    let looked = looked?;

    let resumed = match &looked.found {
        Found::Ours(key_id) => Some(make::Made::in_use(&record, key_id, looked.published.identity.master())?),
        Found::Nothing | Found::Unfinished(_) => make::Made::resume(&record, &held, looked.published.identity.master()),
        Found::Foreign(_) => make::Made::resume_beside(&record, &held, &looked),
    };
    let made = match resumed {
        Some(made) => made,
        None => {
            look::session_holds_secrets(scene).await?;
            scene.show(progress, StepName::Recipients).await;
            let chosen = match ahead.and_then(|ahead| ahead.chosen(scene, &record)) {
                Some(chosen) => chosen,
                None => recipients::choose(scene, &mut record, progress).await?,
            };
            scene.show(progress, StepName::Make).await;
            let master_key = *looked.published.identity.master();
            make::make(scene, &mut record, master_key, Place::of(&looked.found), chosen).await?
        }
    };
    progress.recipients.clone_from(&made.key(&record)?.recipients);

    scene.show(progress, StepName::Seal).await;
    let (safe, along) = seal::seal(scene, &mut record, &made, &looked).await?;
    progress.sealed_proven_at = made.key(&record)?.sealed_proven_at;

    let adopted = match looked.found {
        Found::Foreign(_) => Some(adopt::adopt(scene, progress, &made, &record, &looked, &safe).await?),
        _ => None,
    };
    scene.show(progress, StepName::Switch).await;
    let switched = switch::switch(scene, &mut record, made, &looked, &safe, along, adopted.as_ref()).await?;

    scene.show(progress, StepName::Store).await;
    let renewed = record.rotation.renewed_backup(looked.published.backup.version());
    let mut changed = switched.was_switched_now();
    if adopted.is_none() && (changed || renewed || !prove::all_present(&looked, switched.key_id())) {
        switch::store_secrets(scene, &switched).await?;
        changed = true;
    }

    scene.show(progress, StepName::Prove).await;
    let proven = prove::prove(scene, &record, &switched).await?;
    let followed = switch::follow(scene, &record, switched).await?;
    complete(scene, &mut record, followed, safe, proven, changed).await?;
    let next = rotate::check(scene, &mut record, &looked.published, &held, progress).await?;
    Ok(Some(record.settle_at.map_or(next, |at| at.min(next))))
}

/// Is what was found to be opened on this session first, before there is anything else to do? Where that cannot be told, it
/// stays at what was found.
async fn is_restored_first(scene: &Scene<'_>, record: &AccountRecord, looked: &Result<Looked, End>) -> bool {
    match looked {
        // The person has opened it before: that goes on where it was left.
        Err(End::Ask(_, question)) if matches!(**question, Question::Adopt { .. }) => record.has_given(),
        // Another browser has replaced the recovery key: the person asks to have the new one here too.
        Err(End::Leave(State::Foreign, Some(Code::RecReplaced))) if scene.setup.asked || record.has_given() => true,
        // A client that is started again while it waits to be confirmed goes on as it is, with nothing of the account's.
        Err(End::Leave(State::Foreign, Some(Code::RecReplaced | Code::RecVaultLost))) => {
            match prove::read_published(&scene.homeserver, &scene.setup.user_id).await {
                Ok(published) => restore::is_lacking(scene, &published.identity).await.unwrap_or_default(),
                Err(_) => false,
            }
        }
        Ok(Looked { found: Found::Ours(id), published, .. }) => {
            let whole = looked.as_ref().is_ok_and(|looked| prove::all_present(looked, id));
            whole && restore::is_lacking(scene, &published.identity).await.unwrap_or_default()
        }
        Ok(_) | Err(_) => false,
    }
}

/// The end: takes the proof that the recovery key is safe, the proof that it opens everything, and that the client has
/// followed.
pub(crate) async fn complete(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    switch::Followed(switched): switch::Followed,
    _safe: seal::RecoverySafe,
    proven: prove::SecretsProven,
    changed: bool,
) -> Result<(), End> {
    // A homeserver that showed one identity first and another later has had the first one sealed.
    if record.key(switched.key_id()).map(|key| &key.master_key) != Some(proven.master_key()) {
        return Err(look::LookError::OtherIdentity.into());
    }
    // What was never in force is of no more use, now that another key is proven. What was goes when that is settled
    // (`rotate`).
    let next = record.replacement().map(|key| key.id.clone());
    let other = |key: &&VaultKey| key.id != *switched.key_id() && Some(&key.id) != next.as_ref();
    let before = |key: &&VaultKey| other(key) && key.proven_at.is_none();
    let retired: Vec<_> = record.keys.iter().filter(before).map(|k| k.id.clone()).collect();
    for id in &retired {
        make::forget(scene, id).await?;
    }
    let key = record.key(switched.key_id());
    let first = key.is_some_and(|key| key.proven_at.is_none());
    let recipients = key.map(|key| key.recipients.clone()).unwrap_or_default();
    let out = |id: &KeyId| record.keys.iter().filter(other).any(|key| key.id == *id);
    let rotated = record.rotation.under_way.clone().filter(|under_way| out(&under_way.from));
    let beside = key.and_then(|key| KeyId::parse(key.beside.as_deref()?).ok());
    let (now, checked) = (scene.io.now(), rotate::checked(scene));
    if let Some(lent) = &record.lent {
        make::forget(scene, &lent.id).await?;
    }
    let completed = |record: &mut AccountRecord| {
        (record.lent, record.only_lent, record.not_now, record.unfinished) = (None, false, None, None);
        record.master_key = Some(*proven.master_key());
        record.update(switched.key_id(), |key| key.proven_at = Some(now));
        record.settle_at = settle::next(record.settle_at, changed, now);
        record.keys.retain(|k| !retired.contains(&k.id));
        record.rotation.leftovers.extend(retired.iter().cloned());
        if first {
            // It was only just looked who may open it.
            record.rotation.checked = Some(checked.clone());
        }
        if rotated.is_some() {
            record.rotation.complete(&recipients, now);
        }
        let replaced = retired.iter().chain(&beside).filter(|id| !record.replaced.contains(id));
        record.replaced.extend(replaced.cloned().collect::<Vec<_>>());
    };
    record.change(scene.io, &scene.setup.origin, completed).await?;
    if first {
        let event = Event::Proven { key_id: switched.key_id().clone() };
        events::note(scene.io, &scene.setup.origin, &scene.setup.user_id, event).await?;
    }
    if let Some(UnderWay { from, reasons, .. }) = rotated {
        let event = Event::Rotated { from, to: switched.key_id().clone(), reasons };
        events::note(scene.io, &scene.setup.origin, &scene.setup.user_id, event).await?;
    }
    Ok(())
}
