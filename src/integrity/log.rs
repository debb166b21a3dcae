//! The log of a deployment's page integrity: what was refused, what a person opened all the same, of which manifest was
//! warned.
//!
//! Threat: an incident of which nothing is left, or a record of it that somebody improved. Entries are only ever added,
//! each with the hash of the one before ([`crate::events`]). Where the policy names `evidence.url`, the deployment's IT is
//! sent each soon after, so that what is altered here later shows there. Nothing in it is about a person: of a URL it has
//! neither query nor fragment.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use super::{ManifestSet, RefusalView, Sha256Digest, view::bare};
use crate::{
    effect::{Answer, Effect, HttpRequest, Io, Method, StoreCommand, Target},
    error::Code,
    events,
    ident::Origin,
    time::UnixMillis,
    value,
};

/// How many entries are kept; then the older half goes.
pub const MAX_ENTRIES: usize = 512;
/// The same is noted again after this long.
const AGAIN: Duration = Duration::from_secs(86_400);
/// Time limit for telling IT, in milliseconds.
const TIMEOUT_MS: u32 = 15_000;
/// How often the record is tried to be changed while others change it.
const TRIES: usize = 8;
const VERSION: u32 = 1;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    /// Something was refused.
    Refused,
    /// A person opened what was refused.
    Opened,
    /// The manifest ends soon, or has ended.
    Warned,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntegrityEntry {
    /// When.
    pub at: UnixMillis,
    /// What.
    pub happened: Happened,
    /// Why.
    pub code: Code,
    /// What of: the URL of a file without query and fragment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The SHA-256 of what was served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Sha256Digest>,
    /// The serial number of the manifest that said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u64>,
    /// Until when that manifest holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<UnixMillis>,
    /// SHA-256 of the line before, in base64 without padding; empty in the very first.
    pub previous: String,
}

impl IntegrityEntry {
    /// Of something that was refused, or opened.
    #[must_use]
    pub fn of(happened: Happened, refused: &RefusalView, set: Option<&ManifestSet>) -> Self {
        let url = Some(bare(&refused.url).to_owned());
        Self { url, found: refused.found, ..Self::about(happened, refused.code, set) }
    }

    /// Of a manifest that ends soon, or has ended; `None` where nothing is to be said of it.
    #[must_use]
    pub fn warning(set: &ManifestSet, now: UnixMillis) -> Option<Self> {
        Some(Self::about(Happened::Warned, set.warning(now)?, Some(set)))
    }

    fn about(happened: Happened, code: Code, set: Option<&ManifestSet>) -> Self {
        let signature = set.map(ManifestSet::signature);
        Self {
            at: UnixMillis(0),
            happened,
            code,
            url: None,
            found: None,
            serial: signature.map(super::ReleaseSignatureValid::serial),
            expires: signature.map(super::ReleaseSignatureValid::expires),
            previous: String::new(),
        }
    }

    /// The same again?
    fn is_same(&self, other: &Self) -> bool {
        (self.happened, self.code, &self.url, self.found) == (other.happened, other.code, &other.url, other.found)
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    version: u32,
    /// How many entries went before the first that is kept.
    gone: u64,
    /// How many entries IT was told, with those that went.
    told: u64,
    lines: Vec<String>,
}

/// The store's key for a deployment's log.
#[must_use]
pub fn log_key(deployment: &Origin) -> String {
    format!("integrity|{}|log", deployment.as_str())
}

/// The lines of a log as it is stored, the oldest first.
///
/// # Errors
/// [`Code::StoRecord`] where it cannot be read.
pub fn log_lines(saved: Option<&str>) -> Result<Vec<String>, Code> {
    parse(saved).map(|saved| saved.lines)
}

fn parse(saved: Option<&str>) -> Result<Saved, Code> {
    let Some(text) = saved else { return Ok(Saved { version: VERSION, ..Saved::default() }) };
    value::read(text).filter(|saved: &Saved| saved.version == VERSION).ok_or(Code::StoRecord)
}

/// Adds an entry, at the time that it is now; on the disk when this returns. `false` where the same was noted within a day,
/// and not added again: what a person opens always is.
///
/// # Errors
/// [`Code::StoFailed`] or [`Code::StoRecord`].
pub async fn note(io: &Io, deployment: &Origin, entry: &IntegrityEntry) -> Result<bool, Code> {
    let now = io.now();
    change(io, deployment, |saved| {
        let known: Vec<IntegrityEntry> = saved.lines.iter().filter_map(|line| value::read(line)).collect();
        let again = |known: &IntegrityEntry| known.is_same(entry) && now < known.at.plus(AGAIN) && known.at <= now;
        if entry.happened != Happened::Opened && known.iter().any(again) {
            return None;
        }
        let previous = saved.lines.last().map(|line| events::hash(line)).unwrap_or_default();
        let entry = IntegrityEntry { at: now, previous, ..entry.clone() };
        saved.lines.push(serde_json::to_string(&entry).ok()?);
        if saved.lines.len() > MAX_ENTRIES {
            saved.lines.drain(..MAX_ENTRIES / 2);
            saved.gone += MAX_ENTRIES as u64 / 2;
        }
        Some(())
    })
    .await
    .map(|noted| noted.is_some())
}

/// Tells IT what it has not been told yet: the lines as they are, so that they can be compared later.
///
/// # Errors
/// [`Code::StoFailed`] or [`Code::StoRecord`]; [`Code::DirUnreachable`] where IT did not take it. Then it is told again next
/// time.
pub async fn tell_it(io: &Io, deployment: &Origin, url: &Url) -> Result<(), Code> {
    let Answer::Record(saved) = io.ask(Effect::Store(StoreCommand::Get(log_key(deployment)))).await else {
        return Err(Code::StoFailed);
    };
    let saved = parse(saved.as_deref())?;
    let known = usize::try_from(saved.told.saturating_sub(saved.gone)).unwrap_or(usize::MAX);
    let new = saved.lines.get(known..).unwrap_or_default();
    if new.is_empty() {
        return Ok(());
    }
    let first = saved.gone + known as u64;
    let told = saved.gone + saved.lines.len() as u64;
    let body = json!({
        "kind": "keystead_integrity_log",
        "version": VERSION,
        "deployment": deployment,
        "extension": env!("CARGO_PKG_VERSION"),
        "first": first,
        "entries": new,
    });
    let request = HttpRequest {
        name: "integrity log",
        method: Method::Post,
        target: Target::Url(url.clone()),
        body: Some(body.to_string()),
        timeout_ms: TIMEOUT_MS,
        max_bytes: 1 << 16,
    };
    let taken = match io.ask(Effect::Http(vec![request])).await {
        Answer::Http(answers) => matches!(answers.first(), Some(Ok(answer)) if (200..300).contains(&answer.status)),
        _ => false,
    };
    if !taken {
        return Err(Code::DirUnreachable);
    }
    let noted = |saved: &mut Saved| (saved.told < told).then(|| saved.told = told);
    change(io, deployment, noted).await.map(|_| ())
}

/// Changes the record; nothing is written where the change says `None`.
async fn change(io: &Io, deployment: &Origin, change: impl Fn(&mut Saved) -> Option<()>) -> Result<Option<()>, Code> {
    let key = log_key(deployment);
    for _ in 0..TRIES {
        let Answer::Record(old) = io.ask(Effect::Store(StoreCommand::Get(key.clone()))).await else {
            return Err(Code::StoFailed);
        };
        let mut saved = parse(old.as_deref())?;
        if change(&mut saved).is_none() {
            return Ok(None);
        }
        let new = serde_json::to_string(&saved).map_err(|_| Code::StoFailed)?;
        match io.ask(Effect::Store(StoreCommand::Replace { key: key.clone(), old, new })).await {
            Answer::Replaced(true) => return Ok(Some(())),
            Answer::Replaced(false) => {}
            _ => return Err(Code::StoFailed),
        }
    }
    Err(Code::StoFailed)
}
