//! The log of page integrity: what is noted, what IT is told, and that neither can be improved without a trace.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "functions shared by tests are test code too"
)]

use std::{cell::RefCell, time::Duration};

use keystead_core::{
    effect::{Answer, Effect, HttpResponse, Io, Method, Run, Step, StoreCommand, Target, TransportError},
    error::Code,
    ident::Origin,
    integrity::{Happened, IntegrityEntry, MAX_ENTRIES, RefusalView, Sha256Digest, log_key, log_lines, note, tell_it},
    store::{MemoryStore, Store as _},
    time::UnixMillis,
};
use serde_json::{Value, json};
use url::Url;

const DAY: Duration = Duration::from_secs(86_400);

fn deployment() -> Origin {
    Origin::parse("https://chat.example.org").unwrap()
}

fn refused(file: &str, bytes: &[u8]) -> IntegrityEntry {
    let url = format!("https://chat.example.org/{file}?loginToken=secret#/room");
    let found = Some(Sha256Digest::of(bytes));
    let view = RefusalView { found, ..RefusalView::without_bytes(&url, Code::IntChanged, UnixMillis(1)) };
    IntegrityEntry::of(Happened::Refused, &view, None)
}

/// A browser, and the IT that it reports to.
#[derive(Default)]
struct Browser {
    store: MemoryStore,
    /// What IT was sent; it answers with this status.
    told: RefCell<Vec<Value>>,
    status: u16,
}

impl Browser {
    async fn run<'a, T, F: Future<Output = T> + 'a>(&self, at: UnixMillis, flow: impl FnOnce(Io) -> F) -> T {
        let mut run = Run::start(at, flow);
        loop {
            let answer = match run.step() {
                Step::Done(result) => return result,
                Step::Do(Effect::Http(requests)) => {
                    let [request] = requests.as_slice() else { panic!("one request at a time") };
                    assert_eq!(request.method, Method::Post);
                    assert!(
                        matches!(&request.target, Target::Url(url) if url.as_str() == "https://it.example.org/log")
                    );
                    self.told.borrow_mut().push(serde_json::from_str(request.body.as_deref().unwrap()).unwrap());
                    let response = |status| HttpResponse {
                        status,
                        content_type: String::new(),
                        retry_after_ms: None,
                        body: Vec::new(),
                    };
                    let answer =
                        if self.status == 0 { Err(TransportError::Unreachable) } else { Ok(response(self.status)) };
                    Answer::Http(vec![answer])
                }
                Step::Do(Effect::Store(StoreCommand::Get(key))) => Answer::Record(self.store.get(&key).await.unwrap()),
                Step::Do(Effect::Store(StoreCommand::Replace { key, old, new })) => {
                    Answer::Replaced(self.store.replace(&key, old.as_deref(), &new).await.unwrap())
                }
                Step::Do(effect) => panic!("no effect {} is expected", effect.name()),
            };
            run.answer(answer, at);
        }
    }

    async fn note(&self, at: UnixMillis, entry: &IntegrityEntry) -> Result<bool, Code> {
        let deployment = deployment();
        self.run(at, async |io| note(&io, &deployment, entry).await).await
    }

    async fn tell(&self) -> Result<(), Code> {
        let (deployment, url) = (deployment(), Url::parse("https://it.example.org/log").unwrap());
        self.run(UnixMillis(9), async |io| tell_it(&io, &deployment, &url).await).await
    }

    async fn lines(&self) -> Vec<String> {
        log_lines(self.store.get(&log_key(&deployment())).await.unwrap().as_deref()).unwrap()
    }
}

#[tokio::test]
async fn the_same_is_noted_once_a_day_and_what_is_opened_each_time() {
    let browser = Browser::default();
    let (start, entry) = (UnixMillis(1_000), refused("a.js", b"x"));
    assert_eq!(browser.note(start, &entry).await, Ok(true));
    assert_eq!(browser.note(start.plus(DAY / 2), &entry).await, Ok(false));
    assert_eq!(browser.note(start.plus(DAY / 2), &refused("a.js", b"y")).await, Ok(true));
    assert_eq!(browser.note(start.plus(DAY), &entry).await, Ok(true));
    let opened = IntegrityEntry { happened: Happened::Opened, ..entry };
    assert_eq!(browser.note(start.plus(DAY), &opened).await, Ok(true));
    assert_eq!(browser.note(start.plus(DAY), &opened).await, Ok(true));
    assert_eq!(browser.lines().await.len(), 5);
}

#[tokio::test]
async fn each_line_has_the_hash_of_the_one_before_and_nothing_of_a_person() {
    let browser = Browser::default();
    for file in ["a.js", "b.js", "c.js"] {
        browser.note(UnixMillis(5), &refused(file, b"x")).await.unwrap();
    }
    let lines = browser.lines().await;
    let entries: Vec<IntegrityEntry> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((entries[0].previous.as_str(), entries[0].at), ("", UnixMillis(5)));
    for (line, entry) in lines.iter().zip(&entries[1..]) {
        let hash = Sha256Digest::of(line.as_bytes()).to_base64();
        assert_eq!(entry.previous, hash.trim_end_matches('='));
    }
    assert_eq!(entries[2].url.as_deref(), Some("https://chat.example.org/c.js"));
    assert!(!lines.concat().contains("secret"), "{lines:?}");
}

#[tokio::test]
async fn it_is_told_everything_once() {
    let mut browser = Browser { status: 200, ..Browser::default() };
    browser.tell().await.unwrap();
    assert!(browser.told.borrow().is_empty(), "there is nothing to tell");
    browser.note(UnixMillis(5), &refused("a.js", b"x")).await.unwrap();
    browser.status = 0;
    assert_eq!(browser.tell().await, Err(Code::DirUnreachable));
    browser.status = 503;
    assert_eq!(browser.tell().await, Err(Code::DirUnreachable));
    browser.note(UnixMillis(6), &refused("b.js", b"x")).await.unwrap();
    (browser.status, browser.told) = (204, RefCell::default());
    browser.tell().await.unwrap();
    browser.tell().await.unwrap();
    browser.note(UnixMillis(7), &refused("c.js", b"x")).await.unwrap();
    browser.tell().await.unwrap();
    let told = browser.told.take();
    let told: Vec<_> =
        told.iter().map(|told| (told["first"].clone(), told["entries"].as_array().unwrap().len())).collect();
    assert_eq!(told, [(json!(0), 2), (json!(2), 1)]);
}

#[tokio::test]
async fn a_long_log_loses_its_older_half_and_it_is_told_the_rest() {
    let browser = Browser { status: 200, ..Browser::default() };
    for number in 0..=MAX_ENTRIES {
        browser.note(UnixMillis(5), &refused(&format!("{number}.js"), b"x")).await.unwrap();
    }
    assert_eq!(browser.lines().await.len(), MAX_ENTRIES / 2 + 1);
    browser.tell().await.unwrap();
    browser.note(UnixMillis(6), &refused("last.js", b"x")).await.unwrap();
    browser.tell().await.unwrap();
    let told = browser.told.take();
    assert_eq!(told[0]["first"], json!(MAX_ENTRIES / 2));
    assert_eq!((&told[1]["first"], told[1]["entries"].as_array().unwrap().len()), (&json!(MAX_ENTRIES + 1), 1));
}

#[tokio::test]
async fn a_log_that_cannot_be_read_is_not_begun_anew() {
    let browser = Browser::default();
    browser.store.put(&log_key(&deployment()), "{\"version\":9}").await.unwrap();
    assert_eq!(browser.note(UnixMillis(5), &refused("a.js", b"x")).await, Err(Code::StoRecord));
}
