//! A run that could not finish is tried again later, and not before.
//!
//! Threat: a browser that stops and starts the background many times an hour, and a homeserver or key server that would be
//! asked at each start. How a run ended is saved; a run under the same circumstances is held until the time that it named.
//! The person, a new login, another policy and a change of the account that the page sees are other circumstances.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Outcome, Scene,
    record::{AccountRecord, RecordError},
};
use crate::{effect::Effect, error::Code, ident::DeviceId, matrix::base64, status::Progress, time::UnixMillis};

/// What runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// A first set-up ([`crate::bootstrap::run`]).
    SetUp,
    /// A restore ([`crate::restore::run`]).
    Restore,
}

/// Longer than any pause: one that seems to last longer was noted by a clock that has been set since.
const LONGEST: Duration = Duration::from_secs(2 * 60 * 60);

/// How a run ended that is to be tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// What ran.
    pub flow: Flow,
    /// What is shown meanwhile; names the time of the next try.
    pub progress: Progress,
    /// The session's device.
    pub device_id: DeviceId,
    /// SHA-256 over the policy and what the page saw of the account, in base64 without padding.
    pub circumstances: String,
}

/// How an earlier run ended, where its pause holds this one; it is shown again.
pub(crate) async fn held(scene: &Scene<'_>, flow: Flow) -> Option<Outcome> {
    let (progress, retry_at) = holding(scene, flow).await?;
    scene.io.ask(Effect::Report(Box::new(progress.clone()))).await;
    Some(Outcome { progress, retry_at: Some(retry_at) })
}

/// Is a run of this kind held?
pub(super) async fn is_held(scene: &Scene<'_>, flow: Flow) -> bool {
    holding(scene, flow).await.is_some()
}

async fn holding(scene: &Scene<'_>, flow: Flow) -> Option<(Progress, UnixMillis)> {
    let Scene { io, setup, .. } = scene;
    if setup.asked {
        return None;
    }
    let pause = AccountRecord::load(io, &setup.origin, &setup.user_id).await.ok()?.paused?;
    let same = of(scene, flow, &pause.progress) == pause;
    let holds = |at: &UnixMillis| *at > io.now() && *at <= io.now().plus(LONGEST);
    let retry_at = pause.progress.retry_at.filter(holds).filter(|_| same)?;
    Some((pause.progress, retry_at))
}

/// Notes how a run ended, where it is tried again by itself. Says what last stopped one.
pub(crate) async fn note(
    scene: &Scene<'_>,
    flow: Flow,
    progress: &Progress,
) -> Result<Option<(Code, UnixMillis)>, RecordError> {
    let pause = progress.retry_at.map(|_| of(scene, flow, progress));
    let mut record = AccountRecord::load(scene.io, &scene.setup.origin, &scene.setup.user_id).await?;
    if record.paused != pause {
        let trouble = progress.problem.filter(|_| pause.is_some());
        let noted = |record: &mut AccountRecord| {
            record.paused.clone_from(&pause);
            record.trouble = trouble.or(record.trouble);
        };
        record.change(scene.io, &scene.setup.origin, noted).await?;
    }
    Ok(record.trouble)
}

fn of(scene: &Scene<'_>, flow: Flow, progress: &Progress) -> Pause {
    let mut hash = Sha256::new();
    hash.update(scene.setup.policy.text());
    hash.update([0]);
    hash.update(&scene.setup.standing);
    let circumstances = base64::encode_unpadded(&hash.finalize());
    Pause { flow, progress: progress.clone(), device_id: scene.setup.device_id.clone(), circumstances }
}
