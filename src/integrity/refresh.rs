//! Getting the manifest and the revocation: on start, by alarm, and when an unknown release shows up.
//!
//! Threat: the web host withholds a revocation, or waits until it has expired. What was once revoked here is kept in a
//! record of its own and stays revoked; and a manifest that is not renewed ends by itself.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use url::Url;

use super::{ExtensionVersion, ManifestSet, ReleaseId, ReleaseManifest, Revocation};
use crate::{
    effect::{Answer, Effect, Io, StoreCommand},
    error::Code,
    ident::Origin,
    openpgp::Certificate,
    signed::{Fetched, fetch},
    value,
};

/// How often the record is tried to be changed while others change it.
const TRIES: usize = 4;

/// Where a deployment's manifest comes from, and who is asked to believe it.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The manifest; its signature and the revocation lie beside it.
    pub url: &'a Url,
    /// The certificates of the policy (`integrity.signers`).
    pub signers: &'a [Certificate],
    /// The deployment.
    pub deployment: &'a Origin,
    /// The version of this extension.
    pub extension: ExtensionVersion,
}

/// What may run, and what was wrong on the way to it.
#[derive(Debug)]
pub struct Refreshed {
    /// What may run.
    pub set: ManifestSet,
    /// Why the manifest that is at the URL is not it: then it is the one that was last found good.
    pub manifest_problem: Option<Code>,
    /// Why the revocation that is at its URL is not believed. What was revoked before holds all the same.
    pub revocation_problem: Option<Code>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "version")]
enum Saved {
    #[serde(rename = "1")]
    V1 { revoked: BTreeSet<ReleaseId> },
}

/// Where the revocation lies: the manifest's URL with `.revoked` behind its path.
#[must_use]
pub fn revocation_url(manifest: &Url) -> Url {
    let mut url = manifest.clone();
    url.set_path(&format!("{}.revoked", manifest.path()));
    url
}

/// The store's key for what was ever revoked.
#[must_use]
pub fn revoked_key(deployment: &Origin) -> String {
    format!("integrity|{}|revoked", deployment.as_str())
}

/// Gets manifest and revocation.
///
/// # Errors
/// Where no manifest is good, its code as [`fetch`] has it, but [`Code::IntNoManifest`] where none can be had.
/// [`Code::StoFailed`] or [`Code::StoRecord`] where what was revoked cannot be kept or read: it must not be forgotten.
pub async fn refresh(io: &Io, sources: Sources<'_>) -> Result<Refreshed, Code> {
    let Sources { url, signers, deployment, extension } = sources;
    let manifest = fetch::<ReleaseManifest>(io, url, signers, deployment).await;
    let revocation = fetch::<Revocation>(io, &revocation_url(url), signers, deployment).await;
    let (found, revocation_problem) = match revocation {
        Ok(Fetched { document, problem }) => (ids(&document.body), problem),
        Err(code @ (Code::StoFailed | Code::StoRecord)) => return Err(code),
        // Most deployments never revoke anything.
        Err(Code::DirUnreachable) => (BTreeSet::new(), None),
        Err(code) => (BTreeSet::new(), Some(code)),
    };
    let revoked = remember(io, deployment, found).await?;
    let Fetched { document, problem } = manifest.map_err(|code| match code {
        Code::DirUnreachable => Code::IntNoManifest,
        code => code,
    })?;
    let set = ManifestSet::accept(document, &revoked, extension);
    Ok(Refreshed { set, manifest_problem: problem, revocation_problem })
}

fn ids(revocation: &Revocation) -> BTreeSet<ReleaseId> {
    revocation.revoked().iter().map(|release| release.id.clone()).collect()
}

/// Adds to what was ever revoked; answers all of it.
async fn remember(io: &Io, deployment: &Origin, new: BTreeSet<ReleaseId>) -> Result<BTreeSet<ReleaseId>, Code> {
    let key = revoked_key(deployment);
    for _ in 0..TRIES {
        let Answer::Record(old) = io.ask(Effect::Store(StoreCommand::Get(key.clone()))).await else {
            return Err(Code::StoFailed);
        };
        let known = match old.as_deref().map(value::read) {
            Some(Some(Saved::V1 { revoked })) => revoked,
            Some(None) => return Err(Code::StoRecord),
            None => BTreeSet::new(),
        };
        if new.is_subset(&known) {
            return Ok(known);
        }
        let revoked: BTreeSet<_> = known.union(&new).cloned().collect();
        let record = Saved::V1 { revoked: revoked.clone() };
        let record = serde_json::to_string(&record).map_err(|_| Code::StoFailed)?;
        match io.ask(Effect::Store(StoreCommand::Replace { key: key.clone(), old, new: record })).await {
            Answer::Replaced(true) => return Ok(revoked),
            Answer::Replaced(false) => {}
            _ => return Err(Code::StoFailed),
        }
    }
    Err(Code::StoFailed)
}
