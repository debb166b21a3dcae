//! Getting a signed document: from its URL, else the copy that was last found good, until that expires.
//!
//! Threat: a web host that brings an old document back, or none at all, to undo what the organisation said since; or that
//! has two documents of one serial number, for different people. The greatest serial number seen is kept with the copy, for
//! each kind and deployment wherever the document lies, and an older or a different one is refused wherever it comes from.

use serde::{Deserialize, Serialize};
use url::Url;

use super::{Body, Kind, Reader, SignedDocument};
use crate::{
    effect::{Answer, Effect, HttpRequest, HttpResponse, Io, Method, StoreCommand, Target, TransportError},
    error::{Code, Coded},
    ident::Origin,
    openpgp::Certificate,
    value,
};

/// Time limit for the document and for its signature, in milliseconds.
const TIMEOUT_MS: u32 = 15_000;
/// The largest document that is read; what is larger is refused by the reader.
const MAX_BYTES: u32 = 8 * 1024 * 1024 + 1;

#[derive(Serialize, Deserialize)]
#[serde(tag = "version")]
enum Saved {
    #[serde(rename = "1")]
    V1 { serial: u64, document: String, signature: String },
}

/// A document that is good, and what was wrong with what was found at its URL.
#[derive(Debug)]
pub struct Fetched<T> {
    /// The document.
    pub document: SignedDocument<T>,
    /// Why what is there now is not it: then this is the copy that was last found good. That nothing could be had is no
    /// problem while that copy is good.
    pub problem: Option<Code>,
}

/// How often this is tried while others keep a newer document at the same time.
const TRIES: usize = 4;

/// Reads the document at `url` and the signature beside it (`url` with `.asc` behind its path).
///
/// # Errors
/// Where no copy that was kept is still good: a code of the `KS-SGN` family where what is there is not to be believed,
/// [`Code::DirUnreachable`] where it cannot be had. [`Code::StoFailed`] where the greatest serial number cannot be kept,
/// [`Code::StoRecord`] where what was kept cannot be read: what the greatest was must not be forgotten.
pub async fn fetch<T: Body>(
    io: &Io,
    url: &Url,
    signers: &[Certificate],
    deployment: &Origin,
) -> Result<Fetched<T>, Code> {
    let key = store_key(T::KIND, deployment);
    let found = download(io, url).await;
    for _ in 0..TRIES {
        let kept = match io.ask(Effect::Store(StoreCommand::Get(key.clone()))).await {
            Answer::Record(kept) => kept,
            _ => return Err(Code::StoFailed),
        };
        let last = kept.as_deref().map(|kept| value::read::<Saved>(kept).ok_or(Code::StoRecord)).transpose()?;
        let newest_serial_seen = last.as_ref().map_or(0, |Saved::V1 { serial, .. }| *serial);
        let reader = Reader { signers, deployment, newest_serial_seen, now: io.now() };
        let read = |(document, signature): (&str, &str)| {
            reader.read::<T>(document.as_bytes(), signature).map_err(|error| error.code())
        };
        let problem = match &found {
            Err(unavailable_or_bad) => *unavailable_or_bad,
            Ok((document, signature)) => match (read((document, signature)), &last) {
                (Ok(read), Some(Saved::V1 { serial, document: kept, .. })) if read.envelope.serial == *serial => {
                    if document == kept {
                        return Ok(Fetched { document: read, problem: None });
                    }
                    Some(Code::SgnSerial)
                }
                (Ok(read), _) => {
                    let (document, signature) = (document.clone(), signature.clone());
                    let newest = Saved::V1 { serial: read.envelope.serial, document, signature };
                    let new = serde_json::to_string(&newest).map_err(|_| Code::StoFailed)?;
                    match io.ask(Effect::Store(StoreCommand::Replace { key: key.clone(), old: kept, new })).await {
                        Answer::Replaced(true) => return Ok(Fetched { document: read, problem: None }),
                        Answer::Replaced(false) => continue,
                        _ => return Err(Code::StoFailed),
                    }
                }
                (Err(code), _) => Some(code),
            },
        };
        return match (last.as_ref().map(|Saved::V1 { document, signature, .. }| read((document, signature))), problem) {
            (Some(Ok(document)), problem) => Ok(Fetched { document, problem }),
            (_, Some(code)) | (Some(Err(code)), None) => Err(code),
            (None, None) => Err(Code::DirUnreachable),
        };
    }
    Err(Code::StoFailed)
}

/// The store's key for the last good document of a kind.
#[must_use]
pub fn store_key(kind: Kind, deployment: &Origin) -> String {
    format!("signed|{}|{}", deployment.as_str(), kind.as_str())
}

/// The document and its signature; `Err(None)` where they cannot be had.
async fn download(io: &Io, url: &Url) -> Result<(String, String), Option<Code>> {
    let mut beside = url.clone();
    beside.set_path(&format!("{}.asc", url.path()));
    let request = |name, url: &Url| HttpRequest {
        name,
        method: Method::Get,
        target: Target::Url(url.clone()),
        body: None,
        timeout_ms: TIMEOUT_MS,
        max_bytes: MAX_BYTES,
    };
    let requests = vec![request("signed document", url), request("signature", &beside)];
    let Answer::Http(results) = io.ask(Effect::Http(requests)).await else { return Err(None) };
    let mut texts = results.into_iter().map(text);
    let mut next = || texts.next().unwrap_or(Err(None));
    Ok((next()?, next()?))
}

fn text(result: Result<HttpResponse, TransportError>) -> Result<String, Option<Code>> {
    match result {
        Ok(response) if response.status == 200 => String::from_utf8(response.body).map_err(|_| Some(Code::SgnFormat)),
        Err(TransportError::TooLarge) => Err(Some(Code::SgnTooLarge)),
        Ok(_) | Err(_) => Err(None),
    }
}
