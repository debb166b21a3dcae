//! Chromium: each document is built from the release's own text, which it is given here.

use std::{rc::Rc, time::Duration};

use keystead_core::{
    effect::{HttpRequest, Method, Target, TransportError},
    error::Code,
    ident::Origin,
    integrity::{
        DocumentId, FileKind, Header, ManifestSet, PageRecord, RefusalView, Release, ReleaseId, Seen, ServedAnswer,
        Sha256Digest,
    },
    policy::IntegrityMode,
};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;
use wasm_bindgen_futures::spawn_local;

use super::{
    accepted, change,
    documents::{self, Place},
    filter::{self, Asked},
    mode, place, refusals, report,
};
use crate::{
    adapter::{clock, fetch, webextension},
    background::State,
};

/// How long the host may take for a file that is looked at again.
const TIMEOUT_MS: u32 = 20_000;
/// How often, and after which pause, a file is read again whose body could not be.
const UNREADABLE_READS: usize = 2;
const READ_AGAIN: Duration = Duration::from_secs(1);
/// What is read as what it says is small; all else is known by its hash.
const MAX_READ: usize = 1 << 18;
/// The largest file that is looked at again.
const MAX_BYTES: u32 = 64 << 20;

/// What a document asks.
#[derive(Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum FromHold {
    /// What it is to be built of.
    Record {
        /// Its name.
        document: DocumentId,
        /// It has an origin that nothing else has.
        #[serde(default)]
        opaque: bool,
    },
    /// Whether these are the settings of the deployment.
    Settings {
        /// Where they were served.
        url: String,
        /// What was served.
        text: String,
        /// With which status code.
        #[serde(default)]
        status: u16,
        /// With which header fields: names and values.
        #[serde(default)]
        headers: Vec<(String, String)>,
    },
    /// It has loaded these, where nothing is held back: addresses, and what had them loaded.
    Loaded {
        /// What it has loaded.
        files: Vec<(String, String)>,
    },
    /// Whether it is verified; a document that was told that it is from before.
    Known {
        /// Its name.
        document: DocumentId,
    },
    /// What was served is not even a document of the right kind.
    Unfit,
    /// Something could not be used.
    Suspect {
        /// Where it was served.
        url: String,
        /// What for.
        kind: String,
    },
}

impl FromHold {
    /// What it is about, where the document says so itself.
    fn url(&self) -> Option<&str> {
        match self {
            Self::Settings { url, .. } | Self::Suspect { url, .. } => Some(url),
            Self::Record { .. } | Self::Loaded { .. } | Self::Known { .. } | Self::Unfit => None,
        }
    }
}

/// Who asks, by the browser's word.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sender {
    tab: Option<SenderTab>,
    #[serde(default)]
    frame_id: i64,
    url: String,
}

#[derive(Deserialize)]
struct SenderTab {
    id: i32,
}

impl Sender {
    fn place(&self) -> Place {
        (self.tab.as_ref().map_or(-1, |tab| tab.id), self.frame_id)
    }

    fn asked(&self, url: String, kind: &str) -> Asked {
        Asked::new(url, kind, self.place())
    }
}

/// Answers a document.
pub(crate) async fn answer(state: &Rc<State>, message: FromHold, sender: Sender) -> Value {
    let Some((origin, path)) = place(&sender.url) else { return json!({}) };
    if let FromHold::Loaded { mut files } = message {
        files.retain(|(url, _)| place(url).is_some_and(|(of, _)| of == origin));
        if super::is_asked(state, &origin) {
            report::loaded(state, files, sender.place()).await;
        }
        return json!({});
    }
    let is_enforced = mode(state, &origin) == IntegrityMode::Enforce;
    if let FromHold::Known { document } = &message {
        let known = documents::is_known(state, sender.place().0, &origin, document);
        return json!({ "known": known || !is_enforced });
    }
    if !is_enforced {
        // It is not guarded any more. What was begun in it cannot be taken back.
        let again = webextension::note_once(&format!("left {} {}", sender.place().0, sender.url)).await;
        return json!({ "reload": again });
    }
    if message.url().is_some_and(|url| place(url).is_none_or(|(of, _)| of != origin)) {
        return json!({});
    }
    match message {
        FromHold::Record { document, opaque } => match record(state, &origin, &path, &sender, document).await {
            Ok(mut record) => {
                if opaque {
                    inline(state, &origin, &sender, &mut record).await;
                }
                json!({ "record": record })
            }
            Err(refused) => {
                refuse(state, &origin, &sender, refused).await;
                json!({})
            }
        },
        FromHold::Settings { url, text, status, headers } => {
            let body = text.into_bytes();
            let asked = sender.asked(url.clone(), "xmlhttprequest");
            let verdict = filter::judge(state, asked, Sha256Digest::of(&body), &body, true).await;
            if verdict.is_refused() {
                let headers = fetch::headers(headers);
                let served = ServedAnswer { seen: Seen::ByThePage, status, headers: &headers, body: &body };
                refusals::keep_evidence(state, &url, served).await;
            }
            serde_json::to_value(verdict).unwrap_or_default()
        }
        FromHold::Loaded { .. } | FromHold::Known { .. } => json!({}),
        FromHold::Unfit => {
            let refused = RefusalView::without_bytes(&sender.url, Code::IntKind, clock::now());
            refuse(state, &origin, &sender, refused).await;
            json!({})
        }
        FromHold::Suspect { url, kind } => {
            let asked = sender.asked(url, &kind);
            suspect(state, asked).await;
            json!({})
        }
    }
}

/// Refuses a document of which only its address is known. What the host serves there is kept for IT.
async fn refuse(state: &Rc<State>, origin: &Origin, sender: &Sender, refused: RefusalView) {
    let is_served = refused.differs();
    refusals::note(state, origin, refused, Some(sender.place().0)).await;
    if is_served {
        let (state, url) = (Rc::clone(state), sender.url.clone());
        spawn_local(async move {
            if let Ok(answer) = read(&url).await {
                refusals::keep_evidence(&state, &url, answer.served()).await;
            }
        });
    }
}

/// What a document is built of, which makes it a verified one.
async fn record(
    state: &Rc<State>,
    origin: &Origin,
    path: &str,
    sender: &Sender,
    document: DocumentId,
) -> Result<PageRecord, RefusalView> {
    let refuse = |code| RefusalView::without_bytes(&sender.url, code, clock::now());
    if sender.frame_id == 0 {
        documents::begin(state, sender.place().0).await;
    }
    let set = accepted(state, origin).await.ok_or_else(|| refuse(Code::IntNoManifest))?;
    if !set.holds_at(clock::now()) {
        return Err(refuse(Code::SgnExpired));
    }
    let passive = change(state, origin, |site| site.passive.clone()).unwrap_or_default();
    let at = sender.place();
    let around = if at.1 == 0 { Vec::new() } else { state.guard.documents.borrow().releases((at.0, 0)) };
    let fits = |release: &&Release| around.is_empty() || around.contains(release.id());
    let has = |release: &&Release| set.page_record(release, path, &passive).is_some();
    let candidates: Vec<_> = set.releases().filter(fits).filter(has).map(|release| release.id().clone()).collect();
    let url = sender.url.clone();
    let kind = if at.1 == 0 { "main_frame" } else { "sub_frame" };
    let id = match candidates.as_slice() {
        [] => return Err(refuse(Code::IntUnlisted)),
        // What the host serves is not used; that it is something else is worth knowing all the same.
        [only] => {
            let (state, asked) = (Rc::clone(state), sender.asked(url, kind));
            spawn_local(async move { suspect(&state, asked).await });
            only.clone()
        }
        several => of_served(state, &set, sender, several).await?,
    };
    let release = set.releases().find(|release| *release.id() == id);
    let built = release.and_then(|release| set.page_record(release, path, &passive).map(|built| (release, built)));
    let (release, (mut record, allowed)) = built.ok_or_else(|| refuse(Code::IntUnlisted))?;
    let own = set.site().listing().files();
    let documents = release.listing().files().iter().chain(own).filter(|file| file.kind == FileKind::Document);
    // Element shows some as parts of its page.
    record.hashes.extend(documents.filter_map(|file| {
        let mut url = Url::parse(origin.as_str()).ok()?;
        url.set_path(&format!("{}{}", record.base, file.path.as_str()));
        Some((url.path().to_owned(), format!("sha256-{}", file.sha256.to_base64())))
    }));
    state.guard.documents.borrow_mut().allow(at, origin, path, allowed, true);
    super::checked(state, origin, record.hashes.len());
    let opened = refusals::opened(state, at.0);
    if let Some(opened) = opened {
        record.open(&opened);
    } else if at.1 == 0 && !documents::claim(state, at, &sender.url, &document) {
        return Err(refuse(Code::IntUnlisted));
    }
    Ok(record)
}

/// Which of several releases the host serves now.
async fn of_served(
    state: &State,
    set: &ManifestSet,
    sender: &Sender,
    several: &[ReleaseId],
) -> Result<ReleaseId, RefusalView> {
    let (url, now) = (&sender.url, clock::now());
    let refuse = |code| RefusalView::without_bytes(url, code, now);
    let answer = read(url).await.map_err(refuse)?;
    let (_, path) = place(url).ok_or_else(|| refuse(Code::IntUnlisted))?;
    let served = filter::document(&path, Sha256Digest::of(&answer.body));
    let refused = match set.judge(served, &[], now) {
        Ok(allowed) => match allowed.releases.into_iter().find(|id| several.contains(id)) {
            Some(id) => return Ok(id),
            None => refuse(Code::IntMixed),
        },
        Err(refused) => RefusalView::of_file(url, &refused, now),
    };
    // What is shown is the release's own all the same.
    let newest = several.last().filter(|_| refusals::is_opened(state, sender.place().0, &refused));
    newest.cloned().ok_or(refused)
}

/// Looks itself at what could not be used in a document. That a host cannot be reached, or lacks a file, is no refusal; that
/// it serves what cannot be read is one: without a word the page would stay blank.
async fn suspect(state: &Rc<State>, asked: Asked) {
    let Some((origin, _)) = place(asked.url()) else { return };
    match read(asked.url()).await {
        Ok(answer) => judge(state, asked, &answer).await,
        Err(Code::IntUnreachable) if !is_unreadable(asked.url()).await => {}
        Err(code) => {
            let refused = RefusalView::without_bytes(asked.url(), code, clock::now());
            refusals::note(state, &origin, refused, Some(asked.tab())).await;
        }
    }
}

/// Judges what the host served when it was asked again.
pub(super) async fn judge(state: &Rc<State>, asked: Asked, answer: &Read) {
    let url = asked.url().to_owned();
    let small = if answer.body.len() <= MAX_READ { answer.body.as_slice() } else { &[] };
    if filter::judge(state, asked, Sha256Digest::of(&answer.body), small, true).await.is_refused() {
        refusals::keep_evidence(state, &url, answer.served()).await;
    }
}

/// Is what the host serves nothing that can be read, again and again?
async fn is_unreadable(url: &str) -> bool {
    for _ in 0..UNREADABLE_READS {
        clock::sleep(READ_AGAIN).await;
        if !fetch::is_unreadable(url, TIMEOUT_MS).await {
            return false;
        }
    }
    true
}

/// Where a document has no origin of its own, its scripts cannot be asked for with a hash: they come with it.
async fn inline(state: &Rc<State>, origin: &Origin, sender: &Sender, record: &mut PageRecord) {
    for script in record.scripts.iter_mut().flatten() {
        let Some(path) = script.src.clone() else { continue };
        let url = format!("{}{path}", origin.as_str());
        let text = match read(&url).await {
            Ok(Read { body, .. }) => {
                let sha256 = format!("sha256-{}", Sha256Digest::of(&body).to_base64());
                let same = record.hashes.get(&path) == Some(&sha256);
                String::from_utf8(body).ok().filter(|_| same)
            }
            Err(_) => None,
        };
        if text.is_none() {
            suspect(state, sender.asked(url, "script")).await;
        }
        (script.src, script.text) = (None, Some(text.unwrap_or_default()));
    }
}

/// What the host served when it was asked again.
pub(super) struct Read {
    status: u16,
    headers: Vec<Header>,
    body: Vec<u8>,
}

impl Read {
    fn served(&self) -> ServedAnswer<'_> {
        ServedAnswer { seen: Seen::AskedAgain, status: self.status, headers: &self.headers, body: &self.body }
    }
}

pub(super) async fn read(url: &str) -> Result<Read, Code> {
    let url = Url::parse(url).map_err(|_| Code::IntUnlisted)?;
    let request = HttpRequest {
        name: "file of the deployment",
        method: Method::Get,
        target: Target::Url(url),
        body: None,
        timeout_ms: TIMEOUT_MS,
        max_bytes: MAX_BYTES,
    };
    match fetch::perform_whole(&request, None).await {
        Ok((answer, headers)) if (200..300).contains(&answer.status) => {
            Ok(Read { status: answer.status, headers: fetch::headers(fetch::pairs(&headers)), body: answer.body })
        }
        Err(TransportError::Redirected) => Err(Code::IntRedirect),
        Err(TransportError::TooLarge) => Err(Code::IntTooLarge),
        Ok(_) | Err(_) => Err(Code::IntUnreachable),
    }
}
