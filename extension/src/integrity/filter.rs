//! Firefox: each body is judged before it is used.

use std::rc::Rc;

use keystead_core::{
    error::Code,
    ident::Origin,
    integrity::{Destination, FileKind, ManifestSet, RefusalView, Served, Sha256Digest},
    policy::IntegrityMode,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    accepted, change,
    documents::{self, Place},
    look_once, mode, place, refusals,
};
use crate::{adapter::clock, background::State};

/// A request as the browser tells of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Asked {
    url: String,
    /// What it is for (`webRequest.ResourceType`).
    #[serde(rename = "type")]
    kind: String,
    tab_id: i32,
    frame_id: i64,
    #[serde(default)]
    parent_frame_id: i64,
    #[serde(default)]
    status: u16,
    /// Nothing of it is used before the verdict.
    #[serde(default)]
    enforced: bool,
}

impl Asked {
    /// As a document asked that the browser does not ask about.
    pub(super) fn new(url: String, kind: &str, (tab_id, frame_id): Place) -> Self {
        Self { url, kind: kind.to_owned(), tab_id, frame_id, parent_frame_id: 0, status: 200, enforced: false }
    }

    /// What for.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// In which tab.
    pub(super) const fn tab(&self) -> i32 {
        self.tab_id
    }
}

/// A document of any release.
pub(super) const fn document(url_path: &str, sha256: Sha256Digest) -> Served<'_> {
    Served { url_path, destination: Destination::Document, sha256, page: &[] }
}

/// What is to be done with a body.
#[derive(Default, Serialize)]
pub(crate) struct Verdict {
    /// It goes on.
    pass: bool,
    /// This goes on in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    instead: Option<String>,
    /// It was refused, in whatever mode.
    refused: bool,
}

impl Verdict {
    /// Was it refused, in whatever mode?
    pub(super) const fn is_refused(&self) -> bool {
        self.refused
    }
}

const PASS: Verdict = Verdict { pass: true, instead: None, refused: false };

/// Is the body of a request to be judged? `None` where the request has nothing to do with a guarded deployment.
pub(crate) async fn is_judged(state: &Rc<State>, asked: &Asked) -> Option<bool> {
    let (origin, path) = place(&asked.url)?;
    if mode(state, &origin) == IntegrityMode::Off {
        return None;
    }
    if asked.kind == "main_frame" {
        not_shown(state, asked.tab_id);
        documents::begin(state, asked.tab_id).await;
    }
    let Some(set) = accepted(state, &origin).await else { return Some(true) };
    Some(purpose(&set, asked, &path).is_some())
}

/// What was allowed for a tab last is not shown in it, or not any more.
pub(crate) fn not_shown(state: &State, tab: i32) {
    state.guard.documents.borrow_mut().drop_allowed((tab, 0));
}

/// What a body is for; `None` for data of nobody's release.
enum Purpose {
    Settings,
    File(Destination),
}

fn purpose(set: &ManifestSet, asked: &Asked, path: &str) -> Option<Purpose> {
    let file = set.site().base().file(path);
    let kind = file.as_ref().and_then(|file| {
        let own = set.site().listing().file(file).map(|file| file.kind);
        own.or_else(|| set.releases().find_map(|release| Some(release.listing().file(file)?.kind)))
    });
    match asked.kind.as_str() {
        "main_frame" | "sub_frame" => Some(Purpose::File(Destination::Document)),
        "script" | "object" | "xslt" | "xml_dtd" => Some(Purpose::File(Destination::Code)),
        _ if file.as_ref().is_some_and(keystead_core::integrity::ConfigFile::is_named) => Some(Purpose::Settings),
        "other" => Some(Purpose::File(Destination::Content)),
        _ => match kind? {
            FileKind::Wasm => Some(Purpose::File(Destination::Wasm)),
            _ => Some(Purpose::File(Destination::Content)),
        },
    }
}

/// Judges a body by its hash, and settings by themselves; what is refused is `noted`, or only told.
pub(crate) async fn judge(state: &Rc<State>, asked: Asked, sha256: Sha256Digest, body: &[u8], noted: bool) -> Verdict {
    let Some((origin, path)) = place(&asked.url) else { return Verdict::default() };
    let lenient = match mode(state, &origin) {
        IntegrityMode::Off => return PASS,
        IntegrityMode::Report => true,
        IntegrityMode::Enforce => false,
    };
    let mut refused = match try_judge(state, &origin, &path, &asked, sha256, body).await {
        Ok(verdict) => return verdict,
        Err(refused) => refused,
    };
    // It may be a release that was published a moment ago.
    if look_once(state, &origin).await {
        match try_judge(state, &origin, &path, &asked, sha256, body).await {
            Ok(verdict) => return verdict,
            Err(again) => refused = again,
        }
    }
    if refusals::is_opened(state, asked.tab_id, &refused) {
        return opened(state, &origin, &path, &asked);
    }
    if asked.kind == "main_frame" {
        state.guard.documents.borrow_mut().refuse((asked.tab_id, asked.frame_id));
    }
    if noted {
        let grave = !matches!(asked.kind.as_str(), "other" | "image" | "imageset" | "font" | "media");
        refusals::note(state, &origin, refused, (!lenient && grave).then_some(asked.tab_id)).await;
    }
    Verdict { pass: lenient, instead: None, refused: true }
}

/// A person opens it all the same. Of settings it is not the host's that are used even so.
fn opened(state: &State, origin: &Origin, path: &str, asked: &Asked) -> Verdict {
    let signed = |set: Rc<ManifestSet>| match purpose(&set, asked, path)? {
        Purpose::Settings => {
            Some(set.settings(path).map_or_else(|| "{}".to_owned(), |values| json!(values).to_string()))
        }
        Purpose::File(_) => None,
    };
    let set = change(state, origin, |site| site.accepted.clone()).flatten();
    Verdict { pass: true, instead: set.and_then(signed), refused: false }
}

async fn try_judge(
    state: &Rc<State>,
    origin: &Origin,
    path: &str,
    asked: &Asked,
    sha256: Sha256Digest,
    body: &[u8],
) -> Result<Verdict, RefusalView> {
    let now = clock::now();
    let set = accepted(state, origin).await;
    let set = set.ok_or_else(|| RefusalView::without_bytes(&asked.url, Code::IntNoManifest, now))?;
    let destination = match purpose(&set, asked, path) {
        None => return Ok(PASS),
        // Element asks for the settings of its host, and takes the general ones where there are none.
        Some(Purpose::Settings) if asked.status == 404 => {
            return Ok(Verdict { pass: true, instead: Some(String::new()), refused: false });
        }
        Some(Purpose::Settings) => {
            let values = set.judge_settings(path, body, now).map_err(|refused| RefusalView {
                settings: refused.names,
                found: Some(sha256),
                ..RefusalView::without_bytes(&asked.url, refused.code, now)
            })?;
            super::checked(state, origin, 1);
            let instead = serde_json::to_string(values).ok();
            return Ok(Verdict { pass: true, instead, refused: false });
        }
        Some(Purpose::File(destination)) => destination,
    };
    let at: Place = (asked.tab_id, asked.frame_id);
    // A document of a tab is of any release; one in a frame is of that of the document around it.
    let page = {
        let documents = state.guard.documents.borrow();
        match asked.kind.as_str() {
            "main_frame" => Vec::new(),
            "sub_frame" => documents.releases((asked.tab_id, asked.parent_frame_id)),
            _ => documents.releases(at),
        }
    };
    let passive = change(state, origin, |site| site.passive.clone()).unwrap_or_default();
    let served = Served { url_path: path, destination, sha256, page: &page };
    let allowed =
        set.judge(served, &passive, now).map_err(|refused| RefusalView::of_file(&asked.url, &refused, now))?;
    // Where documents are built from the release's text, that has been seen to.
    if destination == Destination::Document && super::filters() {
        let is_enforced = asked.enforced && mode(state, origin) == IntegrityMode::Enforce;
        state.guard.documents.borrow_mut().allow(at, origin, path, allowed, is_enforced);
    }
    super::checked(state, origin, 1);
    Ok(PASS)
}

/// What the answer to a request for a document or a script must say besides: the sources of scripts that stand in the
/// document itself; `None` where nothing is enforced.
pub(crate) fn inline_sources(state: &State, url: &str) -> Option<Vec<String>> {
    let (origin, path) = place(url)?;
    let site = change(state, &origin, |site| (site.mode, site.accepted.clone()))?;
    match site {
        (IntegrityMode::Enforce, Some(set)) => Some(set.inline_sources(&path)),
        (IntegrityMode::Enforce, None) => Some(Vec::new()),
        (IntegrityMode::Off | IntegrityMode::Report, _) => None,
    }
}

/// A script was answered with another address: nothing of a release moves.
pub(crate) async fn redirected(state: &Rc<State>, asked: &Asked) {
    let Some((origin, _)) = place(&asked.url) else { return };
    let refused = RefusalView::without_bytes(&asked.url, Code::IntRedirect, clock::now());
    refusals::note(state, &origin, refused, Some(asked.tab_id)).await;
}
