//! What the extension's own pages ask.

use std::{rc::Rc, time::Duration};

use keystead_core::{
    bootstrap::record::AccountRecord,
    ident::{DeviceId, KeyId, Origin, UserId},
    integrity::IntegrityRequest,
    pins::{evidence, shared},
    policy::Policy,
    restore, rotate,
    status::{DeploymentView, PageRequest, Progress, Refusal, Reply, State as Stage, Status, Typed},
    store::Store,
};
use serde_json::{Value, json};
use wasm_bindgen_futures::spawn_local;

use crate::{
    adapter::{later, webextension},
    background::State,
    deployment, drill,
    driver::Driver,
    integrity, pins, policy, sessions, sharing,
};

/// How long a run may take to note that a recovery key was kept.
const NOTED_WITHIN: Duration = Duration::from_secs(20);

/// Answers a request.
pub(crate) async fn answer(state: Rc<State>, message: Value, tab: Option<i32>) -> Reply<Value> {
    if let Ok(request) = serde_json::from_value::<IntegrityRequest>(message.clone()) {
        return integrity::views::answer(&state, request, tab).await;
    }
    let request = serde_json::from_value::<PageRequest>(message).map_err(|_| Refusal::Form)?;
    match request {
        PageRequest::Status => {}
        PageRequest::Confirm { origin, account, fingerprint, accept } => {
            let device = last_device(&state, &origin, &account).await.ok_or(Refusal::NotSaved)?;
            let mut driver = Driver::new(&state, &origin, &account);
            let answer = |io| AccountRecord::answer(io, &origin, &account, &device, fingerprint, accept);
            driver.run(answer).await.map_err(|_| Refusal::NotSaved)?;
            answered(&state, origin);
        }
        PageRequest::RecoveryKey { origin } => return to_keep(&state, &origin),
        PageRequest::Kept { origin, key_id } => kept(&state, &origin, &key_id).await?,
        PageRequest::Retry { origin } => {
            deployment::retry(&state, &origin).await;
        }
        PageRequest::NotNow { origin, account } => {
            let mut driver = Driver::new(&state, &origin, &account);
            let put_off = driver.run(|io| restore::foreign::put_off(io, &origin, &account)).await;
            deployment::report(&state, &origin, put_off.map_err(|_| Refusal::NotSaved)?);
        }
        PageRequest::Wipe { origin, account } => sessions::wipe(&state, &origin, account).await?,
        PageRequest::DrillStart { origin } => {
            let started = drill::start(&state, &origin).await.ok_or(Refusal::NotAsked)?;
            return serde_json::to_value(started).map_err(|_| Refusal::Form);
        }
        PageRequest::Drill { origin, given } => {
            let drilled = drill::run(&state, &origin, given.map(Typed::into_secret)).await;
            return serde_json::to_value(drilled.ok_or(Refusal::NotAsked)?).map_err(|_| Refusal::Form);
        }
        PageRequest::WishGnupg { origin, account } => {
            let device = last_device(&state, &origin, &account).await.ok_or(Refusal::NotSaved)?;
            let mut driver = Driver::new(&state, &origin, &account);
            let wish = |io| restore::gnupg::wish(io, &origin, &account, &device);
            driver.run(wish).await.map_err(|_| Refusal::NotSaved)?;
        }
        PageRequest::Recover { origin, text } => {
            if !deployment::recover(&state, &origin, text.into_secret()).await {
                return Err(Refusal::NotAsked);
            }
        }
        PageRequest::Believe { origin, account, master_key, accept } => {
            let mut driver = Driver::new(&state, &origin, &account);
            let saved = driver.run(|io| AccountRecord::believe(io, &origin, &account, master_key, accept)).await;
            saved.map_err(|_| Refusal::NotSaved)?;
            deployment::retry(&state, &origin).await;
        }
        PageRequest::CompromiseRead { origin, account } => {
            let mut driver = Driver::new(&state, &origin, &account);
            let read = driver.run(|io| rotate::read_by_person(io, &origin, &account)).await;
            read.map_err(|_| Refusal::NotSaved)?;
            deployment::retry(&state, &origin).await;
        }
        PageRequest::SharedRead { origin, account } => {
            let mut driver = Driver::new(&state, &origin, &account);
            let read = driver.run(|io| shared::read_by_person(io, &origin, &account)).await;
            read.map_err(|_| Refusal::NotSaved)?;
            sharing::show(&state, &origin, &account).await;
        }
        PageRequest::Decide { origin, account, peer, decision } => {
            pins::decide(&state, &origin, &account, peer, *decision).await.map_err(|_| Refusal::NotSaved)?;
        }
        PageRequest::Decided { origin, account } => {
            let decided = pins::decided(&state, &origin, &account).await.map_err(|_| Refusal::NotAsked)?;
            return serde_json::to_value(decided).map_err(|_| Refusal::Form);
        }
        PageRequest::Evidence { origin, account } => {
            let mut driver = Driver::new(&state, &origin, &account);
            let log = driver.run(|io| async move { evidence(&io, &origin, &account).await }).await;
            return Ok(Value::String(log.map_err(|_| Refusal::NotSaved)?));
        }
        PageRequest::OwnPolicy => return Ok(policy::own(&state.database).await.unwrap_or(Value::Null)),
        PageRequest::SaveOwnPolicy { policy } => {
            if let Err(error) = Policy::parse(&policy) {
                return Ok(json!([error.code, error.path, error.expected]));
            }
            if !policy::save_own(&state.database, &policy).await {
                return Err(Refusal::NotSaved);
            }
            State::policy_changed(&state).await;
            return Ok(Value::Null);
        }
    }
    serde_json::to_value(status(&state).await).map_err(|_| Refusal::Form)
}

/// A question was answered, and that is saved: goes on with it.
fn answered(state: &Rc<State>, origin: Origin) {
    let working = Progress { state: Stage::Working, ..Progress::default() };
    deployment::report(state, &origin, working);
    let state = Rc::clone(state);
    spawn_local(async move {
        deployment::retry(&state, &origin).await;
    });
}

fn to_keep(state: &State, origin: &Origin) -> Reply<Value> {
    state.live(origin, |live| {
        let key = live.to_keep.as_ref().ok_or(Refusal::NotAsked)?;
        Ok(json!({ "key_id": key.key_id, "text": key.text.expose("the person is to keep it") }))
    })
}

/// The person kept a recovery key: lets the run that waits for it go on, and sees that it has noted that.
async fn kept(state: &Rc<State>, origin: &Origin, key_id: &KeyId) -> Reply<()> {
    let (key, account) = state.live(origin, |live| match live.to_keep.take() {
        Some(other) if other.key_id != *key_id => {
            live.to_keep = Some(other);
            Err(Refusal::Replaced)
        }
        Some(key) => Ok((key, live.account.clone())),
        None => Err(Refusal::NotAsked),
    })?;
    let account = account.ok_or(Refusal::NotAsked)?;
    key.kept.send(()).map_err(|()| Refusal::NotAsked)?;
    // The run notes it before it says anything else.
    let said = || state.live(origin, |live| live.progress.state != Stage::Keep).then_some(());
    state.until(NOTED_WITHIN, said).await.ok_or(Refusal::NotSaved)?;
    if is_kept(state, origin, &account, key_id).await { Ok(()) } else { Err(Refusal::NotSaved) }
}

async fn is_kept(state: &State, origin: &Origin, account: &UserId, key_id: &KeyId) -> bool {
    let record = record(state, origin, account).await;
    record.is_some_and(|record| record.key(key_id).is_some_and(|key| key.kept))
}

/// The device of the login that a question is about: the last one, whether or not this background knows it yet.
async fn last_device(state: &State, origin: &Origin, account: &UserId) -> Option<DeviceId> {
    let devices = record(state, origin, account).await?.devices;
    devices.into_iter().max_by_key(|(_, seen)| seen.since).map(|(device, _)| device)
}

pub(crate) async fn record(state: &State, origin: &Origin, account: &UserId) -> Option<AccountRecord> {
    let saved = state.database.get(&AccountRecord::store_key(origin, account)).await.ok()??;
    AccountRecord::parse(&saved).ok()
}

async fn status(state: &Rc<State>) -> Status {
    let (source, problem, in_force) = {
        let in_force = state.policy.borrow();
        let problem = in_force.problem.as_ref().map(|p| (p.code, p.path.clone()));
        (in_force.source, problem, in_force.policy.clone())
    };
    // This alone is asked before any part of the core may be called, and a record may need any of them to be read.
    if !sessions::accounts(state, None).await.is_empty() {
        later::ready().await;
    }
    let mut deployments = Vec::new();
    for (policy, deployment) in in_force.iter().flat_map(|p| p.deployments.iter().map(move |d| (p, d))) {
        let hosts = policy.host_patterns_of(deployment);
        let (account, progress) = state.live(&deployment.origin, |live| (live.account.clone(), live.progress.clone()));
        let (people, devices) = state.live(&deployment.origin, |live| (live.people.clone(), live.devices.clone()));
        let progress = match account {
            Some(_) => progress,
            None => Progress { state: Stage::SignedOut, ..Progress::default() },
        };
        let holds_keys = sessions::hold_keys(state, &deployment.origin, account.as_ref()).await;
        let (last, drill_due) = drill::last(state, &deployment.origin, account.as_ref()).await;
        deployments.push(DeploymentView {
            origin: deployment.origin.clone(),
            account,
            permitted: webextension::holds_hosts(&hosts).await,
            progress,
            holds_keys,
            drill: last,
            drill_due,
            people,
            devices,
            shared: state.live(&deployment.origin, |live| live.shared),
        });
    }
    let ask_it = pins::settings(state).and_then(|pins| pins.ask_it);
    Status { policy: source, policy_problem: problem, ask_it, deployments }
}
