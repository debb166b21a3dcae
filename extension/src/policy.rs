//! Where the policy comes from, and what follows from it for the browser: in which pages the content scripts run.

use std::{rc::Rc, time::Duration};

use futures_util::future::join;
use keystead_core::{
    ident::Origin,
    policy::{InForce, IntegrityMode, LastGood, Offered},
    store::Store,
};
use serde_json::Value;
use wasm_bindgen_futures::spawn_local;

use crate::{
    adapter::{
        clock,
        database::Database,
        later,
        webextension::{self, Tab},
    },
    background::State,
    deployment, integrity,
};

const LAST_GOOD: &str = "policy|last_good";
const OWN: &str = "policy|own";

/// How often, and after which pause, a tab is told that its page is older than this version.
const TOLD: usize = 10;
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// What the browser says of the policy.
pub(crate) struct Given {
    managed: Option<Value>,
    installed_by_admin: bool,
}

/// Asks the browser.
pub(crate) async fn given() -> Given {
    let (managed, installed_by_admin) = join(webextension::managed_policy(), webextension::installed_by_admin()).await;
    Given { managed, installed_by_admin }
}

/// Decides which policy is in force.
pub(crate) async fn in_force(database: &Database, given: Given) -> InForce {
    let (own, last_good) = join(own(database), read::<LastGood>(database, LAST_GOOD)).await;
    let Given { managed, installed_by_admin } = given;
    let offered = Offered { managed: managed.as_ref(), installed_by_admin, own: own.as_ref() };
    if !offered.is_known(last_good.as_ref()) {
        later::ready().await;
    }
    let decided = InForce::decide(offered, last_good.as_ref());
    if let Some(text) = decided.remember.as_ref().and_then(|good| serde_json::to_string(good).ok()) {
        let _ = database.put(LAST_GOOD, &text).await;
    }
    decided
}

/// What the options page saved.
pub(crate) async fn own(database: &Database) -> Option<Value> {
    read(database, OWN).await
}

/// Saves the options page's policy.
pub(crate) async fn save_own(database: &Database, policy: &Value) -> bool {
    database.put(OWN, &policy.to_string()).await.is_ok()
}

async fn read<T: serde::de::DeserializeOwned>(database: &Database, key: &str) -> Option<T> {
    let text = database.get(key).await.ok()??;
    serde_json::from_str(&text).ok()
}

/// Registers the content scripts for the deployments whose pages we may touch, and for no others; says for which ones they
/// are in place.
pub(crate) async fn apply(state: &Rc<State>) -> Vec<Origin> {
    let policy = state.policy.borrow().policy.clone();
    let mut patterns = Vec::new();
    let mut held = Vec::new();
    let (mut built, mut asked) = (Vec::new(), Vec::new());
    for deployment in policy.iter().flat_map(|p| &p.deployments) {
        let Some(pattern) = deployment.page_pattern() else { continue };
        if webextension::holds_hosts(std::slice::from_ref(&pattern)).await {
            if integrity::is_built(state, &deployment.origin) {
                built.extend(integrity::pattern(&deployment.origin));
            }
            if integrity::is_asked(state, &deployment.origin) {
                asked.extend(integrity::pattern(&deployment.origin));
            }
            patterns.push(pattern);
            held.push(deployment);
        }
    }
    for patterns in [&mut patterns, &mut built, &mut asked] {
        patterns.sort();
        patterns.dedup();
    }
    if webextension::register_page_scripts(&patterns, &built, &asked).await.is_err() {
        return Vec::new();
    }
    for deployment in &held {
        let is_enforced = integrity::mode(state, &deployment.origin) == IntegrityMode::Enforce;
        for tab in deployment::tabs(deployment).await {
            spawn_local(open_before(tab, is_enforced));
        }
    }
    held.into_iter().map(|deployment| deployment.origin.clone()).collect()
}

/// Pages that were open when the background was stopped say again who is logged in. Those that were open before the scripts
/// were registered, or before this version, have no hook that we could speak to, and a hook must run before the page's own
/// scripts: they say so, and are loaded again, once, where the person loses nothing by it. Where known code only may run, that
/// is seen to for more reasons (`integrity::enrol`).
async fn open_before(tab: Tab, is_enforced: bool) {
    if is_enforced {
        webextension::wake(tab.id).await;
        return;
    }
    // A tab that is just going elsewhere cannot be told; what it shows then may be older as well.
    for _ in 0..TOLD {
        if webextension::wake(tab.id).await || webextension::tell_outdated(tab.id).await {
            return;
        }
        clock::sleep(TELL_AGAIN).await;
    }
}
