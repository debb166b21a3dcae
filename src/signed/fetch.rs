//! Getting a signed document: from its URL, else the copy that was last found good, until that expires.
//!
//! Threat: a web host that brings an old document back, or none at all, to undo what the organisation said since. The
//! greatest serial number seen is kept with the copy, and an older one is refused wherever it comes from.

use serde::{Deserialize, Serialize};
use url::Url;

use super::{Body, Reader, SignedDocument};
use crate::{
    effect::{Answer, Effect, HttpRequest, HttpResponse, Io, Method, StoreCommand, Target, TransportError},
    error::{Code, Coded},
    ident::Origin,
    openpgp::Certificate,
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

/// Reads the document at `url` and the signature beside it (`url` with `.asc` behind its path).
///
/// # Errors
/// A code of the `KS-SGN` family where what is there is not to be believed; [`Code::DirUnreachable`] where it cannot be
/// had and no copy of it is still good; [`Code::StoFailed`] where the greatest serial number cannot be kept.
pub async fn fetch<T: Body>(
    io: &Io,
    url: &Url,
    signers: &[Certificate],
    deployment: &Origin,
) -> Result<SignedDocument<T>, Code> {
    let key = format!("signed|{}|{url}", deployment.as_str());
    let saved = match io.ask(Effect::Store(StoreCommand::Get(key.clone()))).await {
        Answer::Record(text) => text.and_then(|text| serde_json::from_str::<Saved>(&text).ok()),
        _ => return Err(Code::StoFailed),
    };
    let newest_serial_seen = saved.as_ref().map_or(0, |Saved::V1 { serial, .. }| *serial);
    let Some((document, signature)) = download(io, url).await else {
        let Some(Saved::V1 { document, signature, .. }) = saved else { return Err(Code::DirUnreachable) };
        let reader = Reader { signers, deployment, newest_serial_seen, now: io.now() };
        return reader.read(document.as_bytes(), &signature).map_err(|e| e.code());
    };
    let reader = Reader { signers, deployment, newest_serial_seen, now: io.now() };
    let read: SignedDocument<T> = reader.read(document.as_bytes(), &signature).map_err(|e| e.code())?;
    let newest = Saved::V1 { serial: read.envelope.serial, document, signature };
    let text = serde_json::to_string(&newest).map_err(|_| Code::StoFailed)?;
    match io.ask(Effect::Store(StoreCommand::Put(key, text))).await {
        Answer::Done => Ok(read),
        _ => Err(Code::StoFailed),
    }
}

async fn download(io: &Io, url: &Url) -> Option<(String, String)> {
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
    let Answer::Http(results) = io.ask(Effect::Http(requests)).await else { return None };
    let mut texts = results.into_iter().map(text);
    Some((texts.next()??, texts.next()??))
}

fn text(result: Result<HttpResponse, TransportError>) -> Option<String> {
    let response = result.ok().filter(|response| response.status == 200)?;
    String::from_utf8(response.body).ok()
}
