//! One file is not as listed.

use std::io::Write as _;

use anyhow::Result;
use flate2::{Compression, write::GzEncoder};
use keystead_testbed::{Action, Answer, Asked, Rule};
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{BrowserKind, Company, Guarded};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::scene::{Attack, CHANGED, Cache, Then, altered, altered_answer, at, logged_in, replaced, withstand};

/// Chromium says that it cannot be read, Firefox that nothing of what is listed came out of it.
const UNREADABLE: Then = Then::Refused(&["KS-INT-UNREACHABLE", "KS-INT-CHANGED"]);

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add(kind, "a file that is not as listed does not run", tampered(company, kind));
}

async fn tampered(company: &Company, kind: BrowserKind) -> Result<()> {
    let (_, guarded, browser) = logged_in(company, kind).await?;
    for cache in [Cache::Empty, Cache::Full] {
        withstand(&browser, &guarded, cache, attacks(&guarded)).await?;
    }
    browser.quit().await
}

pub(crate) fn attacks(guarded: &Guarded) -> Vec<Attack> {
    let evil = |end, name: &str| {
        let payload = guarded.payload(name);
        altered(guarded, end, |bytes| drop(bytes.splice(0..0, payload.bytes())))
    };
    let one_byte = |end| {
        altered(guarded, end, |bytes| {
            if let Some(byte) = bytes.last_mut() {
                *byte ^= 1;
            }
        })
    };
    let attack = |name, rules, then| Attack { name, rules, path: String::new(), then };
    let other = Action::Answer(Answer::new(200, "text/javascript", guarded.payload("other")));
    let bare = |asked: &Asked| asked.path.ends_with("/init.js") && asked.query.is_empty();
    let config = |from, to: String| at("/config.json", replaced(from, to));
    let elsewhere = guarded.desk.homeserver.url();
    vec![
        attack("a parser-inserted script", vec![evil("/bundle.js", "bundle")], CHANGED),
        attack("one byte of a parser-inserted script", vec![one_byte("/bundle.js")], CHANGED),
        attack("half a script", vec![altered(guarded, "/bundle.js", |bytes| bytes.truncate(bytes.len() / 2))], CHANGED),
        attack("a chunk", vec![evil("/init.js", "chunk")], CHANGED),
        attack(
            "another file's bytes",
            vec![altered(guarded, "/init.js", |bytes| *bytes = b"self.wrong = true;".to_vec())],
            CHANGED,
        ),
        attack("the crypto WASM", vec![one_byte(".wasm")], CHANGED),
        attack("a dedicated worker", vec![evil("/indexeddb.worker.js", "worker")], CHANGED),
        attack("what a worker imports", vec![evil("/store-worker.js", "import")], CHANGED),
        attack(
            "another homeserver",
            vec![config(&*Box::leak(elsewhere.into_boxed_str()), "http://127.0.0.1:9".into())],
            Then::Refused(&["KS-INT-CONFIG"]),
        ),
        attack(
            "modules in the settings",
            vec![config("{\"", "{\"modules\":[\"/evil.js\"],\"".into()), at("/evil.js", other.clone())],
            Then::Refused(&["KS-INT-CONFIG"]),
        ),
        attack(
            "settings of the host",
            vec![
                at(
                    "/config.127.0.0.1.json",
                    Action::Answer(Answer::new(200, "application/json", "{\"modules\":[\"/evil.js\"]}")),
                ),
                at("/evil.js", other.clone()),
            ],
            Then::Refused(&["KS-INT-UNLISTED"]),
        ),
        attack(
            "a script that moved",
            vec![at("/init.js", Action::redirect("/evil.js")), at("/evil.js", other)],
            Then::Refused(&["KS-INT-REDIRECT", "KS-INT-CHANGED"]),
        ),
        attack("a chunk, packed", vec![at("/init.js", packed(guarded, &guarded.payload("packed")))], CHANGED),
        attack("a chunk as listed, packed", vec![at("/init.js", packed(guarded, ""))], Then::Works),
        attack("a chunk that says it is packed", vec![at("/init.js", unpacked(guarded, "gzip"))], UNREADABLE),
        attack("a chunk that is packed twice", vec![at("/init.js", unpacked(guarded, "gzip, gzip"))], UNREADABLE),
        attack(
            "a chunk that a browser may read in two ways",
            vec![at("/init.js", sniffed(guarded, &guarded.payload("sniffed")))],
            CHANGED,
        ),
        attack(
            "a listed file with a query",
            vec![Rule::when("first try", bare, Action::Answer(Answer::new(503, "text/plain", "")))],
            Then::Works,
        ),
        attack("nothing", Vec::new(), Then::Works),
    ]
}

/// The chunk with this before it, as gzip.
fn packed(guarded: &Guarded, before: &str) -> Action {
    let plain = altered_answer(guarded, "/init.js", |bytes| drop(bytes.splice(0..0, before.bytes())));
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    let _ = packed.write_all(&plain.body);
    let body = packed.finish().unwrap_or_default();
    Action::Answer(Answer { body, ..plain }.with_header(CONTENT_ENCODING, "gzip"))
}

/// The chunk with a payload before it, which says that it is packed, and is not.
fn unpacked(guarded: &Guarded, encoding: &str) -> Action {
    let payload = guarded.payload("unpacked");
    let plain = altered_answer(guarded, "/init.js", |bytes| drop(bytes.splice(0..0, payload.bytes())));
    Action::Answer(plain.with_header(CONTENT_ENCODING, encoding))
}

/// A payload in UTF-16, in an answer that says so.
fn sniffed(guarded: &Guarded, payload: &str) -> Action {
    let plain = altered_answer(guarded, "/init.js", |bytes| {
        *bytes = payload.encode_utf16().flat_map(u16::to_le_bytes).collect();
    });
    Action::Answer(plain.with_header(CONTENT_TYPE, "text/javascript; charset=utf-16le"))
}
