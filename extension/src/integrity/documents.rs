//! The documents that may hold keys, those whose HTML was allowed and that have not said their name yet, and those that were
//! there before anything was enforced.

use std::{collections::BTreeSet, rc::Rc};

use keystead_core::{
    ident::Origin,
    integrity::{Allowed, DocumentId, ManifestSet, Opened, PageVerified, ReleaseId, SavedPage},
    policy::IntegrityMode,
    sorted::SortedMap,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use wasm_bindgen_futures::spawn_local;

use super::{change, enrol, mode, place, refusals};
use crate::{adapter::webextension, background::State};

/// Where they are kept while the browser runs: the background may be stopped, and the documents stay open.
const KEPT: &str = "verified documents";
/// Where what was opened is kept for as long.
const OPENED: &str = "opened documents";
/// Where those from before are kept for as long.
const BEFORE: &str = "documents from before";
/// How many are kept: a browser holds some that were left, to go back to them.
const MAX_KEPT: usize = 100;

/// A frame of a tab, as the browser numbers them: Firefox's numbers of frames have more than 32 bits.
pub(crate) type Place = (i32, i64);

/// All that is known of documents.
#[derive(Default)]
pub(crate) struct Documents {
    verified: Vec<(Place, PageVerified)>,
    /// As they were when the background was stopped.
    saved: Vec<Kept>,
    /// That was read.
    remembered: bool,
    /// The HTML that was allowed last in a frame, with the path of its URL. It is one document's: the first that asks.
    unnamed: SortedMap<Place, (Origin, String, Allowed)>,
    /// Where HTML was refused: the empty document that is there instead is not another refusal.
    refused: BTreeSet<Place>,
    /// The releases that what a frame shows may be of.
    releases: SortedMap<Place, Vec<ReleaseId>>,
    /// The frames whose document was allowed while nothing runs there that was not.
    held: SortedMap<Place, Origin>,
    /// What a person opened all the same, by tab.
    opened: SortedMap<i32, OpenedHere>,
    /// The tabs that show a document from before anything was enforced.
    before: SortedMap<i32, Origin>,
}

/// What a person opened in a tab.
#[derive(Serialize, Deserialize)]
struct OpenedHere {
    /// Its document was asked for.
    begun: bool,
    /// Its document is there: the next one is another.
    shown: bool,
    what: Opened,
}

#[derive(Clone, Serialize, Deserialize)]
struct Kept {
    place: Place,
    page: SavedPage,
}

impl Documents {
    /// Does a tab show a document that is verified, or that a person opened all the same?
    pub(super) fn is_known_tab(&self, tab: u32) -> bool {
        let at = |place: &Place| i64::from(place.0) == i64::from(tab) && place.1 == 0;
        let is_opened = i32::try_from(tab).is_ok_and(|tab| self.opened(tab).is_some());
        let is_verified =
            self.verified.iter().any(|(place, _)| at(place)) || self.saved.iter().any(|kept| at(&kept.place));
        is_opened || is_verified || self.held.keys().any(at)
    }

    /// What was allowed where nothing is enforced any more proves nothing when it is again: what such a document loads is not
    /// held back.
    pub(super) fn forget_all_but(&mut self, enforced: &[Origin]) {
        self.verified.retain(|(_, page)| enforced.contains(page.deployment()));
        self.saved.retain(|kept| enforced.contains(kept.page.deployment()));
        self.unnamed.retain(|_, (of, ..)| enforced.contains(of));
        self.held.retain(|_, of| enforced.contains(of));
        self.before.retain(|_, of| enforced.contains(of));
    }

    /// Nothing that was allowed in a deployment proves anything from now on.
    pub(super) fn forget(&mut self, of: &Origin) {
        self.verified.retain(|(_, page)| page.deployment() != of);
        self.saved.retain(|kept| kept.page.deployment() != of);
        self.unnamed.retain(|_, (origin, ..)| origin != of);
        self.held.retain(|_, origin| origin != of);
    }

    /// Does any tab show a document from before?
    pub(super) fn is_anything_before(&self) -> bool {
        !self.before.is_empty()
    }

    /// What a tab shows of a deployment is from before.
    pub(super) fn note_before(&mut self, tab: i32, of: &Origin) {
        self.before.insert(tab, of.clone());
    }

    /// Is what a tab shows known to be from before?
    pub(super) fn is_noted_before(&self, tab: i32, of: &Origin) -> bool {
        self.before.get(&tab) == Some(of)
    }

    /// Is no tab known to show a document of this deployment from before?
    pub(super) fn is_nothing_before(&self, of: &Origin) -> bool {
        !self.before.values().any(|before| before == of)
    }

    /// Only these tabs still show this deployment; says how many documents from before there are.
    pub(super) fn keep_before(&mut self, of: &Origin, open: &[i32]) -> usize {
        self.before.retain(|tab, before| before != of || open.contains(tab));
        self.before.values().filter(|before| *before == of).count()
    }

    /// The HTML of a frame was allowed. Keys are for those where nothing else runs either; where something was opened in the
    /// tab, its documents hold none.
    pub(super) fn allow(&mut self, place: Place, origin: &Origin, path: &str, allowed: Allowed, enforced: bool) {
        self.refused.remove(&place);
        self.releases.insert(place, allowed.releases.clone());
        if !enforced {
            return;
        }
        self.held.insert(place, origin.clone());
        if self.opened(place.0).is_none() {
            self.unnamed.insert(place, (origin.clone(), path.to_owned(), allowed));
        }
    }

    /// A person opens something in a tab: with the next document that it shows. Who presses twice opens it once.
    pub(super) fn open(&mut self, tab: i32, opened: Opened) {
        if self.opened.get(&tab).is_none_or(|here| here.shown || here.what != opened) {
            self.opened.insert(tab, OpenedHere { begun: false, shown: false, what: opened });
        }
    }

    /// A tab begins to show another document; says whether that changes anything. One may be asked for more than once.
    fn begin(&mut self, tab: i32) -> bool {
        match self.opened.get_mut(&tab) {
            Some(here) if !here.shown => !std::mem::replace(&mut here.begun, true),
            Some(_) => self.opened.remove(&tab).is_some(),
            None => false,
        }
    }

    /// A tab shows the document that it began; says whether that changes anything.
    fn show(&mut self, tab: i32) -> bool {
        let here = self.opened.get_mut(&tab).filter(|here| here.begun);
        here.is_some_and(|here| !std::mem::replace(&mut here.shown, true))
    }

    /// What was opened in the document that a tab shows.
    pub(super) fn opened(&self, tab: i32) -> Option<&Opened> {
        self.opened.get(&tab).filter(|here| here.begun).map(|here| &here.what)
    }

    /// The HTML of a frame was refused.
    pub(super) fn refuse(&mut self, place: Place) {
        self.unnamed.remove(&place);
        self.refused.insert(place);
    }

    /// Was the HTML of a frame refused, and nothing allowed in it since?
    pub(super) fn is_refused(&self, place: Place) -> bool {
        self.refused.contains(&place)
    }

    /// The releases that what a frame shows may be of; none where that is not known.
    pub(super) fn releases(&self, place: Place) -> Vec<ReleaseId> {
        let saved =
            || self.saved.iter().rev().find(|kept| kept.place == place).map(|kept| kept.page.releases().to_vec());
        self.releases.get(&place).cloned().or_else(saved).unwrap_or_default()
    }

    fn is_verified(&self, origin: &Origin, document: &DocumentId) -> bool {
        self.verified.iter().any(|(_, page)| page.is_of(origin, document))
    }

    /// What was allowed in a frame never came to be shown: no document stands for it.
    pub(super) fn drop_allowed(&mut self, place: Place) {
        if self.unnamed.remove(&place).is_some() {
            self.held.remove(&place);
        }
    }

    /// What was verified before the background was stopped is, where its releases still are.
    fn take_saved(&mut self, set: &ManifestSet, origin: &Origin) {
        for Kept { place, page } in std::mem::take(&mut self.saved) {
            match set.verified_before(page.clone()) {
                Some(verified) => {
                    self.releases.entry(place).or_insert_with(|| verified.releases().to_vec());
                    self.verified.push((place, verified));
                }
                // Of a release that is not allowed any more nothing is known.
                None if *page.deployment() == *origin => {}
                None => self.saved.push(Kept { place, page }),
            }
        }
    }

    /// A new document says its name: it is verified if its HTML was allowed and nobody else's name stands for that yet.
    fn claim(&mut self, set: &ManifestSet, at: Place, origin: &Origin, path: &str, document: &DocumentId) -> bool {
        let fits = self.unnamed.get(&at).is_some_and(|(of, was, _)| of == origin && was == path);
        let allowed = if fits { self.unnamed.remove(&at) } else { None };
        let page = allowed.and_then(|(_, _, allowed)| set.verified(&allowed, document.clone()));
        let verified = page.is_some();
        self.verified.extend(page.map(|page| (at, page)));
        let too_many = self.verified.len().saturating_sub(MAX_KEPT);
        self.verified.drain(..too_many);
        verified
    }
}

/// Reads what was known when the background was stopped.
pub(super) async fn remember(state: &State) {
    if state.guard.documents.borrow().remembered {
        return;
    }
    let kept = webextension::session_read(KEPT).await;
    let opened = webextension::session_read(OPENED).await;
    let before = webextension::session_read(BEFORE).await;
    let mut documents = state.guard.documents.borrow_mut();
    if std::mem::replace(&mut documents.remembered, true) {
        return;
    }
    documents.before = serde_json::from_value(before).unwrap_or_default();
    documents.saved = serde_json::from_value(kept).unwrap_or_default();
    documents.opened = serde_json::from_value(opened).unwrap_or_default();
}

/// A tab begins to show another document: what was opened for the one before is over.
pub(super) async fn begin(state: &State, tab: i32) {
    let changed = state.guard.documents.borrow_mut().begin(tab);
    if changed {
        keep_opened(state).await;
    }
}

/// A tab shows the document that it began.
pub(super) fn show(state: &Rc<State>, tab: i32) {
    if state.guard.documents.borrow_mut().show(tab) {
        let state = Rc::clone(state);
        spawn_local(async move { keep_opened(&state).await });
    }
}

/// Keeps what was opened.
pub(super) async fn keep_opened(state: &State) {
    let opened = serde_json::to_value(&state.guard.documents.borrow().opened).unwrap_or_default();
    webextension::session_write(OPENED, &opened).await;
}

/// Keeps the verified ones, and those from before.
pub(super) async fn keep(state: &State) {
    let (kept, before) = {
        let documents = state.guard.documents.borrow();
        let verified = |(place, page): &(Place, PageVerified)| Kept { place: *place, page: page.to_saved() };
        let kept: Vec<_> = documents.verified.iter().map(verified).chain(documents.saved.iter().cloned()).collect();
        let value = |kept| serde_json::to_value(kept).unwrap_or_default();
        (value(kept), json!(documents.before))
    };
    webextension::session_write(KEPT, &kept).await;
    webextension::session_write(BEFORE, &before).await;
}

/// Is the document of a URL verified?
pub(super) fn is_verified(state: &Rc<State>, at: Place, url: &str, document: &DocumentId) -> bool {
    let Some((origin, _)) = place(url) else { return false };
    let accepted = change(state, &origin, |site| site.accepted.clone()).flatten();
    let Some(set) = accepted else { return false };
    let (is_verified, was_before) = {
        let mut documents = state.guard.documents.borrow_mut();
        documents.take_saved(&set, &origin);
        let is_verified = documents.is_verified(&origin, document);
        (is_verified, is_verified && documents.before.remove(&at.0).is_some())
    };
    if was_before {
        enrol::is_over(state, at.0);
    }
    is_verified
}

/// A new document that the browser's sender is in says its name; is it verified?
pub(super) fn claim(state: &Rc<State>, at: Place, url: &str, document: &DocumentId) -> bool {
    if is_verified(state, at, url, document) {
        return true;
    }
    let Some((origin, path)) = place(url) else { return false };
    let accepted = change(state, &origin, |site| site.accepted.clone()).flatten();
    let Some(set) = accepted else { return false };
    let claimed = state.guard.documents.borrow_mut().claim(&set, at, &origin, &path, document);
    if claimed {
        state.guard.documents.borrow_mut().before.remove(&at.0);
        enrol::is_over(state, at.0);
    }
    claimed
}

/// Is a document verified, or one that a person opened all the same?
pub(super) fn is_known(state: &State, tab: i32, origin: &Origin, document: &DocumentId) -> bool {
    state.guard.documents.borrow().is_verified(origin, document) || refusals::opened(state, tab).is_some()
}

/// May keys and tokens pass between the background and this document? Everywhere but in enforce mode the older rules alone
/// say so.
pub(crate) fn may_hold_keys(state: &State, origin: &Origin, document: Option<&DocumentId>) -> bool {
    match mode(state, origin) {
        IntegrityMode::Off | IntegrityMode::Report => true,
        IntegrityMode::Enforce => {
            document.is_some_and(|document| state.guard.documents.borrow().is_verified(origin, document))
        }
    }
}
