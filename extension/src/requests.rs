//! What the extension's own pages ask.

use std::rc::Rc;

use keystead_core::{
    policy::Policy,
    status::{DeploymentView, PageRequest, Progress, Status},
};
use serde_json::{Value, json};

use crate::{adapter::webextension, background::State, deployment, policy};

/// Answers a request; `null` for one of no known form.
pub(crate) async fn answer(state: Rc<State>, message: Value) -> Value {
    let Ok(request) = serde_json::from_value::<PageRequest>(message) else { return Value::Null };
    match request {
        PageRequest::Status => {}
        PageRequest::Confirm { origin, fingerprint, accept } => {
            deployment::confirm(&state, &origin, fingerprint, accept).await;
        }
        PageRequest::RecoveryKey { origin } => {
            return state.live(&origin, |live| {
                live.to_keep.as_ref().map_or(Value::Null, |(key, _)| key.expose("the person is to keep it").into())
            });
        }
        PageRequest::Kept { origin } => {
            if let Some((_, waiting)) = state.live(&origin, |live| live.to_keep.take()) {
                let _ = waiting.send(());
            }
        }
        PageRequest::Retry { origin } => deployment::retry(&state, &origin).await,
        PageRequest::Recover { origin, text } => deployment::recover(&state, &origin, text.into_secret()).await,
        PageRequest::Believe { origin, master_key, accept } => {
            deployment::believe(&state, &origin, master_key, accept).await;
        }
        PageRequest::OwnPolicy => return policy::own(&state.database).await.unwrap_or(Value::Null),
        PageRequest::SaveOwnPolicy { policy } => {
            if let Err(error) = Policy::parse(&policy) {
                return json!([error.code, error.path, error.expected]);
            }
            policy::save_own(&state.database, &policy).await;
            State::policy_changed(&state).await;
            return Value::Null;
        }
    }
    serde_json::to_value(status(&state).await).unwrap_or_default()
}

async fn status(state: &Rc<State>) -> Status {
    let (source, problem, in_force) = {
        let in_force = state.policy.borrow();
        let problem = in_force.problem.as_ref().map(|p| (p.code, p.path.clone()));
        (in_force.source, problem, in_force.policy.clone())
    };
    let mut deployments = Vec::new();
    for (policy, deployment) in in_force.iter().flat_map(|p| p.deployments.iter().map(move |d| (p, d))) {
        let hosts = policy.host_patterns_of(deployment);
        let (account, progress) = state.live(&deployment.origin, |live| (live.account.clone(), live.progress.clone()));
        let progress = match account {
            Some(_) => progress,
            None => Progress { state: keystead_core::status::State::SignedOut, ..Progress::default() },
        };
        deployments.push(DeploymentView {
            origin: deployment.origin.clone(),
            account,
            permitted: webextension::holds_hosts(&hosts).await,
            progress,
        });
    }
    Status { policy: source, policy_problem: problem, deployments }
}
