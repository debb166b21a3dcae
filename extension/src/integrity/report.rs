//! Chromium, where files are only compared: what a document says it has loaded is read again and judged. Nothing waits for it.
//!
//! That a host serves something else to a page than to whoever looks afterwards goes unnoticed here: whoever fears that does
//! not only want to be told.

use std::rc::Rc;

use url::Url;

use super::{
    change,
    documents::Place,
    filter::{self, Asked},
    hold, place,
};
use crate::background::State;

/// How many files are remembered as judged: a release has some 850.
const MAX_JUDGED: usize = 4000;

/// Judges what a document has loaded: each file once for each document that a tab shows.
pub(super) async fn loaded(state: &Rc<State>, files: Vec<(String, String)>, at: Place) {
    for (url, initiator) in files {
        let Ok(mut url) = Url::parse(&url) else { continue };
        url.set_fragment(None);
        let Some((origin, path)) = place(url.as_str()) else { continue };
        let asked = Asked::new(url.to_string(), kind(&initiator, at.1), at);
        let is_first = change(state, &origin, |site| {
            if kind(&initiator, at.1) == "main_frame" || site.judged.len() >= MAX_JUDGED {
                site.judged.clear();
            }
            site.judged.insert(path.clone())
        });
        if is_first != Some(true) || filter::is_judged(state, &asked).await != Some(true) {
            continue;
        }
        // What cannot be read is not another file.
        if let Ok(answer) = hold::read(url.as_str()).await {
            hold::judge(state, asked, &answer).await;
        }
    }
}

/// What a file is for, as requests have it (`webRequest.ResourceType`), by what had it loaded
/// (`PerformanceResourceTiming.initiatorType`). What else there is goes by the list.
fn kind(initiator: &str, frame: i64) -> &'static str {
    match initiator {
        "document" if frame == 0 => "main_frame",
        "document" | "iframe" => "sub_frame",
        "script" => "script",
        _ => "xmlhttprequest",
    }
}
