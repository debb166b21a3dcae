//! A homeserver with several workers: for a while after a write, some reads give what was there before it.

use std::collections::BTreeMap;

use keystead_core::effect::{Answer, HttpRequest, HttpResponse, Method, Target, TransportError};
use serde_json::{Value, json};

/// How often each document is read as it was before the write.
const READS: usize = 2;

/// What the homeserver had before a write.
pub(crate) struct Stale {
    /// The account data, by type.
    data: Value,
    keys: Result<HttpResponse, TransportError>,
    backup: Result<HttpResponse, TransportError>,
    served: BTreeMap<String, usize>,
}

impl Stale {
    /// `answers` are those about the published keys and the key backup.
    pub(crate) fn new(data: Value, answers: Answer) -> Self {
        let Answer::Http(answers) = answers else { panic!("the homeserver was not asked") };
        let [keys, backup] = <[_; 2]>::try_from(answers).ok().unwrap();
        Self { data, keys, backup, served: BTreeMap::new() }
    }

    /// The same with other account data.
    pub(crate) fn with_data(self, data: Value) -> Self {
        Self { data, ..self }
    }

    /// Puts the old documents in the place of those that were read.
    pub(crate) fn put_back(&mut self, requests: &[HttpRequest], answer: &mut Answer) {
        let Answer::Http(answers) = answer else { return };
        for (request, answer) in requests.iter().zip(answers) {
            let Some((path, old)) = self.old(request) else { continue };
            let served = self.served.entry(path).or_default();
            if *served < READS {
                *served += 1;
                *answer = old;
            }
        }
    }

    fn old(&self, request: &HttpRequest) -> Option<(String, Result<HttpResponse, TransportError>)> {
        let Target::Homeserver(path) = &request.target else { return None };
        let old = match (&request.method, path.split_once("/account_data/")) {
            (Method::Get, Some((_, kind))) => document(self.data.get(kind)),
            (Method::Get, None) if path.ends_with("/room_keys/version") => self.backup.clone(),
            (Method::Post, None) if path.ends_with("/keys/query") => self.keys.clone(),
            _ => return None,
        };
        Some((path.clone(), old))
    }
}

fn document(content: Option<&Value>) -> Result<HttpResponse, TransportError> {
    let (status, body) = match content {
        Some(content) => (200, content.clone()),
        None => (404, json!({ "errcode": "M_NOT_FOUND", "error": "not here yet" })),
    };
    let body = body.to_string().into_bytes();
    Ok(HttpResponse { status, content_type: "application/json".into(), retry_after_ms: None, body })
}
