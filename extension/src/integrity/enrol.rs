//! The beginning of enforcement: tabs that show a document from before are loaded again, and until then nothing is said to be
//! protected.
//!
//! Such a document holds no keys, and nobody hears it. But somebody may be writing in it: it says so itself, and is loaded
//! again where the person loses nothing by that. One that comes up while everything is enforced, and that nobody verified, is
//! another matter: it is loaded again at once.

use std::{rc::Rc, time::Duration};

use futures_util::{
    FutureExt,
    future::{Either, select},
};
use keystead_core::{
    ident::Origin,
    policy::{Deployment, IntegrityMode},
};
use serde_json::json;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

use super::{change, documents};
use crate::{
    adapter::{
        clock,
        webextension::{self, Tab},
    },
    background::State,
    deployment, pages,
};

/// Where the deployments are kept in which nothing from before was left unsaid, while the browser runs.
const ENROLLED: &str = "enrolled deployments";
/// How often, and after which pause, a tab is told.
const TOLD: usize = 10;
const TELL_AGAIN: Duration = Duration::from_secs(1);
/// How long a tab may take to say that one of our scripts is in it, and then to say its document's name.
const WAKES_WITHIN: Duration = Duration::from_secs(2);
const NAMED_WITHIN: Duration = Duration::from_secs(1);

#[wasm_bindgen]
extern "C" {
    /// `js/guard.js`: nothing is held back in a deployment: what the browser keeps of it is taken away anew before it is again.
    #[wasm_bindgen(catch, js_name = keysteadUnplaced)]
    async fn tell_unplaced(origin: &str) -> Result<JsValue, JsValue>;
}

/// The deployments that were enrolled before in this session of the browser; `None` where it has just begun.
pub(super) async fn known() -> Option<Vec<Origin>> {
    serde_json::from_value(webextension::session_read(ENROLLED).await).ok()
}

/// Tabs of guarded deployments that show a document from before are loaded again. Only where scripts are in place is anything
/// said to be protected.
pub(crate) async fn enrol(state: &Rc<State>, in_place: &[Origin]) {
    let enforced: Vec<_> = {
        let sites = state.guard.sites.borrow();
        sites.iter().filter(|(_, site)| site.mode == IntegrityMode::Enforce).map(|(origin, _)| origin.clone()).collect()
    };
    let before = known().await;
    let mut enrolled = Vec::new();
    for deployment in enforced.iter().filter_map(|origin| pages::deployment(state, origin)) {
        let is_in_place = in_place.contains(&deployment.origin);
        change(state, &deployment.origin, |site| site.enrolled &= is_in_place);
        if !is_in_place {
            // Nothing was held back meanwhile: what is there when it is again proves nothing.
            state.guard.documents.borrow_mut().forget(&deployment.origin);
            unplaced(&deployment.origin).await;
            continue;
        }
        // The policy became so while the browser was running.
        let is_news = before.as_ref().is_some_and(|before| !before.contains(&deployment.origin));
        for tab in open_tabs(&deployment).await {
            settle(state, &deployment.origin, &tab, is_news).await;
        }
        change(state, &deployment.origin, |site| site.enrolled = true);
        enrolled.push(deployment.origin);
    }
    state.changed();
    documents::keep(state).await;
    webextension::session_write(ENROLLED, &json!(enrolled)).await;
    deployment::announce(state);
    webextension::announce().await;
}

/// What the browser keeps of a deployment is from a time when nothing was held back.
pub(super) async fn unplaced(origin: &Origin) {
    let _ = tell_unplaced(origin.as_str()).await;
}

/// The tabs that show a deployment. What the browser has put aside runs nothing, and is asked for again.
async fn open_tabs(deployment: &Deployment) -> Vec<Tab> {
    let mut tabs = deployment::tabs(deployment).await;
    tabs.retain(|tab| !tab.discarded);
    tabs
}

/// Sees to it that a tab shows no document from before.
async fn settle(state: &Rc<State>, origin: &Origin, tab: &Tab, is_news: bool) {
    let Ok(at) = i32::try_from(tab.id) else { return };
    let is_known = || state.guard.documents.borrow().is_known_tab(tab.id);
    if is_known() {
        return;
    }
    // One that hangs keeps nobody else waiting.
    let wakes = select(webextension::wake(tab.id).boxed_local(), clock::sleep(WAKES_WITHIN).boxed_local());
    let is_ours = matches!(wakes.await, Either::Left((true, _)));
    if is_ours {
        let named = || pages::document_in(state, tab.id, origin);
        let _ = state.until(NAMED_WITHIN, named).await;
    }
    if is_known() {
        return;
    }
    let is_noted = state.guard.documents.borrow().is_noted_before(at, origin);
    // One that none of our scripts is in was there before them.
    if is_noted || is_news || !is_ours {
        from_before(state, origin, at);
    } else {
        state.guard.documents.borrow_mut().note_before(at, origin);
        if webextension::note_once(&once(tab.id)).await {
            webextension::reload(tab.id).await;
        }
    }
}

/// What a tab shows is from before, and says so.
pub(super) fn from_before(state: &Rc<State>, origin: &Origin, tab: i32) {
    state.guard.documents.borrow_mut().note_before(tab, origin);
    if let Ok(tab) = u32::try_from(tab) {
        spawn_local(tell(Rc::clone(state), tab));
    }
}

/// A tab is loaded again by itself once, unless what it shows then is verified. `js/renew.js` has the same name for it.
fn once(tab: u32) -> String {
    format!("enrolled {tab}")
}

/// Has a tab say that its document is from before. One that is just going elsewhere cannot be told.
async fn tell(state: Rc<State>, tab: u32) {
    for _ in 0..TOLD {
        let is_known = state.guard.documents.borrow().is_known_tab(tab);
        if is_known || webextension::tell_from_before(tab).await {
            return;
        }
        clock::sleep(TELL_AGAIN).await;
    }
}

/// How many tabs show a document of a deployment from before.
pub(super) async fn waiting(state: &State, origin: &Origin) -> usize {
    let none = state.guard.documents.borrow().is_nothing_before(origin);
    let Some(deployment) = pages::deployment(state, origin).filter(|_| !none) else { return 0 };
    let open = open_tabs(&deployment).await;
    let open: Vec<_> = open.iter().filter_map(|tab| i32::try_from(tab.id).ok()).collect();
    state.guard.documents.borrow_mut().keep_before(origin, &open)
}

/// The document of a tab is verified: nothing from before is there.
pub(super) fn is_over(state: &Rc<State>, tab: i32) {
    let state = Rc::clone(state);
    spawn_local(async move {
        documents::keep(&state).await;
        if let Ok(tab) = u32::try_from(tab) {
            webextension::session_forget(&once(tab)).await;
        }
        deployment::announce(&state);
        webextension::announce().await;
    });
}
