//! What the extension's own pages are told.

use std::rc::Rc;

use keystead_core::{
    ident::Origin,
    integrity::{IntegrityRequest, IntegrityState, IntegrityView, Standing},
    policy::IntegrityMode,
    sorted::SortedMap,
    status::{Refusal, Reply},
};
use serde_json::Value;

use super::{Site, enrol, refusals};
use crate::{adapter::clock, background::State};

/// Answers a request.
pub(crate) async fn answer(state: &Rc<State>, request: IntegrityRequest, tab: Option<i32>) -> Reply<Value> {
    match request {
        IntegrityRequest::Integrity => {}
        IntegrityRequest::IntegrityAgain { origin } => refusals::forget(state, &origin).await,
        IntegrityRequest::IntegrityOpen { origin } => refusals::open(state, &origin, tab).await?,
        IntegrityRequest::IntegrityEvidence { origin } => return Ok(refusals::last_evidence(state, &origin).await),
    }
    let origins: Vec<_> = state.guard.sites.borrow().keys().cloned().collect();
    let mut waiting = SortedMap::new();
    for origin in origins {
        let tabs = enrol::waiting(state, &origin).await;
        waiting.insert(origin, tabs);
    }
    let sites = state.guard.sites.borrow();
    let of = |origin: &Origin| waiting.get(origin).copied().unwrap_or_default();
    let views: Vec<_> = sites.iter().map(|(origin, site)| view(state, origin, site, of(origin))).collect();
    serde_json::to_value(views).map_err(|_| Refusal::Form)
}

fn view(state: &State, origin: &Origin, site: &Site, waiting: usize) -> IntegrityView {
    let now = clock::now();
    let set = site.accepted.as_deref();
    let holds = set.is_some_and(|set| set.holds_at(now));
    let may_open = site.mode == IntegrityMode::Enforce && refusals::may_open(state, &site.refusals);
    let state = IntegrityState::of(Standing {
        mode: site.mode,
        preparing: site.preparing,
        holds,
        enrolled: site.enrolled,
        waiting,
        refusals: &site.refusals,
    });
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
