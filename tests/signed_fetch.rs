//! Getting a signed document: fresh ones, old ones that are brought back, and what is kept of the last good one.

#![allow(clippy::panic, clippy::unwrap_used, reason = "functions shared by tests are test code too")]

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fs,
    path::PathBuf,
};

use keystead_core::{
    effect::{Answer, Effect, HttpResponse, Run, Step, StoreCommand, Target, TransportError},
    error::Code,
    ident::Origin,
    openpgp::{Certificate, SecretCertificate, sign_detached},
    signed::{Fetched, Kind, MAX_BYTES, Person, Roster, Written, fetch, store_key},
    store::{FailingStore, MemoryStore, Store},
    time::UnixMillis,
};
use url::Url;

const NOW: u64 = 1_795_219_200_000;
const DAY: u64 = 86_400_000;
const URL: &str = "https://it.example.org/roster.json";

fn deployment() -> Origin {
    Origin::parse("https://chat.example.org").unwrap()
}

fn key(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/signed/keys");
    fs::read(folder.join(format!("{name}.asc"))).unwrap()
}

/// A roster of one person, in a document of this serial number that holds for some days, and its signature.
fn document(serial: u64, name: &str, days: u64) -> (Vec<u8>, String) {
    let person: Person = serde_json::from_value(serde_json::json!({
        "matrix_id": format!("@{name}:example.org"),
        "email": format!("{name}@example.org"),
        "fingerprint": "0".repeat(40),
    }))
    .unwrap();
    let (issued, expires) = (UnixMillis(NOW - DAY), UnixMillis(NOW + days * DAY));
    let written = Written::make(deployment(), serial, issued, expires, &Roster::new(vec![person]).unwrap()).unwrap();
    let secret = SecretCertificate::parse(&key("signer.sec"), None).unwrap();
    let signature = sign_detached(&written.bytes, &secret, issued).unwrap();
    (written.bytes, signature)
}

/// A browser's disk, and a web host.
struct Browser<S> {
    store: S,
    pages: RefCell<BTreeMap<String, Vec<u8>>>,
    down: Cell<bool>,
    now: Cell<u64>,
    /// What another flow keeps just before this one does.
    meanwhile: RefCell<Option<String>>,
}

impl<S: Store> Browser<S> {
    fn new(store: S) -> Self {
        let (pages, meanwhile) = (RefCell::default(), RefCell::default());
        Self { store, pages, down: Cell::new(false), now: Cell::new(NOW), meanwhile }
    }

    fn serve(&self, url: &str, (document, signature): (Vec<u8>, String)) {
        self.pages.borrow_mut().insert(url.to_owned(), document);
        self.pages.borrow_mut().insert(format!("{url}.asc"), signature.into_bytes());
    }

    /// Whose roster it is, or the code; and the problem, if there is one.
    async fn fetch(&self) -> String {
        self.fetch_from(URL).await
    }

    async fn fetch_from(&self, url: &str) -> String {
        let signers = Certificate::parse_all(&key("signer")).unwrap();
        let (url, deployment) = (Url::parse(url).unwrap(), deployment());
        let (url, signers, deployment) = (&url, &signers, &deployment);
        let mut run =
            Run::start(
                UnixMillis(self.now.get()),
                |io| async move { fetch::<Roster>(&io, url, signers, deployment).await },
            );
        let fetched = loop {
            let answer = match run.step() {
                Step::Done(fetched) => break fetched,
                Step::Do(Effect::Http(requests)) => {
                    let url = |target: &Target| match target {
                        Target::Url(url) => url.to_string(),
                        Target::Homeserver(_) => panic!("a web host gets no token"),
                    };
                    Answer::Http(requests.iter().map(|request| self.answer(&url(&request.target))).collect())
                }
                Step::Do(Effect::Store(StoreCommand::Get(key))) => {
                    self.store.get(&key).await.map_or(Answer::Failed, Answer::Record)
                }
                Step::Do(Effect::Store(StoreCommand::Replace { key, old, new })) => {
                    if let Some(text) = self.meanwhile.take() {
                        self.store.put(&key, &text).await.unwrap();
                    }
                    self.store.replace(&key, old.as_deref(), &new).await.map_or(Answer::Failed, Answer::Replaced)
                }
                Step::Do(effect) => panic!("no effect {} is expected", effect.name()),
            };
            run.answer(answer, UnixMillis(self.now.get()));
        };
        match fetched {
            Ok(Fetched { document, problem }) => {
                let name = document.body.people()[0].matrix_id.localpart().to_owned();
                problem.map_or(name.clone(), |code| format!("{name} despite {}", code.as_str()))
            }
            Err(code) => code.as_str().to_owned(),
        }
    }

    fn answer(&self, url: &str) -> Result<HttpResponse, TransportError> {
        if self.down.get() {
            return Err(TransportError::Unreachable);
        }
        let response = |status, body| HttpResponse { status, content_type: String::new(), retry_after_ms: None, body };
        match self.pages.borrow().get(url) {
            Some(body) if body.len() > MAX_BYTES + 1 => Err(TransportError::TooLarge),
            Some(body) => Ok(response(200, body.clone())),
            None => Ok(response(404, b"<html>".to_vec())),
        }
    }

    async fn kept(&self) -> Option<String> {
        self.store.get(&store_key(Kind::Roster, &deployment())).await.unwrap()
    }
}

#[tokio::test]
async fn a_new_document_is_used_and_kept() {
    let browser = Browser::new(MemoryStore::default());
    assert_eq!(browser.fetch().await, Code::DirUnreachable.as_str(), "there is none yet");
    browser.serve(URL, document(7, "ann", 90));
    assert_eq!(browser.fetch().await, "ann");
    let kept = browser.kept().await;
    assert_eq!(browser.fetch().await, "ann", "the same again");
    assert_eq!(browser.kept().await, kept);
    browser.serve(URL, document(8, "bob", 90));
    assert_eq!(browser.fetch().await, "bob");
    assert_ne!(browser.kept().await, kept);
}

#[tokio::test]
async fn without_a_network_the_last_good_one_is_used_until_it_expires() {
    let browser = Browser::new(MemoryStore::default());
    browser.serve(URL, document(7, "ann", 90));
    assert_eq!(browser.fetch().await, "ann");
    browser.down.set(true);
    assert_eq!(browser.fetch().await, "ann");
    browser.down.set(false);
    browser.pages.borrow_mut().clear();
    assert_eq!(browser.fetch().await, "ann", "a host that hides it is no better than none");
    browser.now.set(NOW + 91 * DAY);
    assert_eq!(browser.fetch().await, Code::SgnExpired.as_str());
}

#[tokio::test]
async fn an_old_document_that_is_brought_back_is_refused_wherever_it_lies() {
    let browser = Browser::new(MemoryStore::default());
    browser.serve(URL, document(8, "bob", 90));
    assert_eq!(browser.fetch().await, "bob");
    browser.serve(URL, document(7, "ann", 90));
    assert_eq!(browser.fetch().await, "bob despite KS-SGN-SERIAL");
    let elsewhere = "https://other.example.org/people.json";
    browser.serve(elsewhere, document(7, "ann", 90));
    assert_eq!(browser.fetch_from(elsewhere).await, "bob despite KS-SGN-SERIAL", "the policy names another place now");
    browser.now.set(NOW + 91 * DAY);
    browser.serve(URL, document(7, "ann", 900));
    assert_eq!(browser.fetch().await, Code::SgnSerial.as_str(), "the one that was kept has expired");
}

#[tokio::test]
async fn another_document_with_the_same_serial_number_is_refused() {
    let browser = Browser::new(MemoryStore::default());
    browser.serve(URL, document(7, "ann", 90));
    assert_eq!(browser.fetch().await, "ann");
    browser.serve(URL, document(7, "bob", 90));
    assert_eq!(browser.fetch().await, "ann despite KS-SGN-SERIAL");
    let (same, _) = document(7, "ann", 90);
    let secret = SecretCertificate::parse(&key("signer.sec"), None).unwrap();
    let anew = sign_detached(&same, &secret, UnixMillis(NOW)).unwrap();
    browser.serve(URL, (same, anew));
    assert_eq!(browser.fetch().await, "ann", "the same document, signed anew");
}

#[tokio::test]
async fn what_is_refused_does_not_take_the_last_good_one_away() {
    let browser = Browser::new(MemoryStore::default());
    browser.serve(URL, document(7, "ann", 90));
    let good = document(8, "bob", 90);
    let refused = [
        ((good.0.clone(), document(9, "bob", 90).1), Code::SgnSignature),
        ((b"<html>".to_vec(), "<html>".to_owned()), Code::SgnFormat),
        ((vec![0xff; 20], good.1.clone()), Code::SgnFormat),
        ((vec![b'x'; MAX_BYTES + 1], good.1.clone()), Code::SgnTooLarge),
        ((vec![b'x'; MAX_BYTES + 2], good.1.clone()), Code::SgnTooLarge),
    ];
    for (bad, code) in &refused {
        browser.serve(URL, bad.clone());
        assert_eq!(browser.fetch().await, code.as_str(), "nothing was kept yet");
    }
    browser.serve(URL, document(7, "ann", 90));
    assert_eq!(browser.fetch().await, "ann");
    for (bad, code) in refused {
        browser.serve(URL, bad);
        assert_eq!(browser.fetch().await, format!("ann despite {}", code.as_str()));
    }
    browser.serve(URL, good);
    assert_eq!(browser.fetch().await, "bob");
}

#[tokio::test]
async fn a_damaged_copy_does_not_reset_the_serial_number() {
    let browser = Browser::new(MemoryStore::default());
    browser.serve(URL, document(8, "bob", 90));
    assert_eq!(browser.fetch().await, "bob");
    let key = store_key(Kind::Roster, &deployment());
    let kept = browser.kept().await.unwrap();
    for damaged in [&kept[..kept.len() / 2], "", "{}", &kept.replace("\"version\":\"1\"", "\"version\":\"2\"")] {
        browser.store.put(&key, damaged).await.unwrap();
        browser.serve(URL, document(7, "ann", 90));
        assert_eq!(browser.fetch().await, Code::StoRecord.as_str());
        assert_eq!(browser.kept().await.as_deref(), Some(damaged), "it is left as it is");
    }
}

#[tokio::test]
async fn of_two_at_the_same_time_the_newer_stays() {
    let browser = Browser::new(MemoryStore::default());
    let newest = {
        let other = Browser::new(MemoryStore::default());
        other.serve(URL, document(8, "bob", 90));
        other.fetch().await;
        other.kept().await
    };
    browser.serve(URL, document(7, "ann", 90));
    browser.meanwhile.replace(newest.clone());
    assert_eq!(browser.fetch().await, "bob despite KS-SGN-SERIAL");
    assert_eq!(browser.kept().await, newest);
}

#[tokio::test]
async fn without_a_store_nothing_is_believed() {
    let browser = Browser::new(FailingStore);
    browser.serve(URL, document(7, "ann", 90));
    assert_eq!(browser.fetch().await, Code::StoFailed.as_str());
}
