//! What the extension's own pages are told.

use std::rc::Rc;

use keystead_core::{
    integrity::{IntegrityRequest, IntegrityState, IntegrityView},
    policy::IntegrityMode,
    status::{Refusal, Reply},
};
use serde_json::Value;

use super::{Site, refusals};
use crate::{adapter::clock, background::State};

/// Answers a request.
pub(crate) async fn answer(state: &Rc<State>, request: IntegrityRequest, tab: Option<i32>) -> Reply<Value> {
    match request {
        IntegrityRequest::Integrity => {}
        IntegrityRequest::IntegrityAgain { origin } => refusals::forget(state, &origin).await,
        IntegrityRequest::IntegrityOpen { origin } => refusals::open(state, &origin, tab).await?,
        IntegrityRequest::IntegrityEvidence { origin } => return Ok(refusals::last_evidence(state, &origin).await),
    }
    let views: Vec<_> = state.guard.sites.borrow().iter().map(|(origin, site)| view(state, origin, site)).collect();
    serde_json::to_value(views).map_err(|_| Refusal::Form)
}

fn view(state: &State, origin: &keystead_core::ident::Origin, site: &Site) -> IntegrityView {
    let now = clock::now();
    let set = site.accepted.as_deref();
    let holds = set.is_some_and(|set| set.holds_at(now));
    let may_open = site.mode == IntegrityMode::Enforce && refusals::may_open(state, &site.refusals);
    let state = match site.mode {
        IntegrityMode::Enforce if !site.refusals.is_empty() => IntegrityState::Refused,
        _ if site.preparing => IntegrityState::Preparing,
        IntegrityMode::Enforce if holds && !site.enrolled => IntegrityState::Preparing,
        IntegrityMode::Enforce if holds => IntegrityState::Protected,
        // Without a manifest nothing runs.
        IntegrityMode::Enforce => IntegrityState::Refused,
        IntegrityMode::Report | IntegrityMode::Off => IntegrityState::Reporting,
    };
    IntegrityView {
        origin: origin.clone(),
        page: format!("{}{}", origin.as_str(), set.map_or("/", |set| set.site().base().as_str())),
        mode: site.mode,
        state,
        releases: set
            .iter()
            .flat_map(|set| set.releases().map(|release| release.version().as_str().to_owned()))
            .collect(),
        checked: site.checked,
        problem: site.problem,
        warning: set.and_then(|set| set.warning(now)),
        expires: set.map(|set| set.signature().expires()),
        refusals: site.refusals.clone(),
        may_open,
    }
}
