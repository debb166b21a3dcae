//! Release manifests: the golden one, documents that must be refused, and what is made of manifests and revocations.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "functions shared by tests are test code too"
)]

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use keystead_core::{
    effect::{Answer, Effect, HttpResponse, Run, Step, StoreCommand, Target, TransportError},
    error::{Code, Coded as _},
    ident::Origin,
    integrity::{
        ExtensionVersion, FileKind, FilePath, ManifestSet, Refreshed, ReleaseId, ReleaseManifest, Revocation,
        RevokedRelease, ScriptSource, ScriptType, Sources, refresh, revocation_url, revoked_key,
    },
    openpgp::{Certificate, SecretCertificate, sign_detached},
    signed::{Body as _, Kind, MAX_BYTES, Reader, SignedDocument, SignedError, Written, store_key},
    store::{MemoryStore, Store as _},
    time::UnixMillis,
};
use serde_json::{Value, json};
use url::Url;

/// 2026-11-21; the golden manifest holds from 2026-11-01 on, for 60 days.
const NOW: u64 = 1_795_219_200_000;
const DAY: u64 = 86_400_000;
const EXPIRES: u64 = 1_793_491_200_000 + 60 * DAY;
const URL: &str = "https://it.example.org/manifest.json";

fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn golden() -> Vec<u8> {
    fs::read(vectors().join("integrity/manifest.json")).unwrap()
}

fn certificate(name: &str) -> Certificate {
    let armored = fs::read(vectors().join(format!("signed/keys/{name}.asc"))).unwrap();
    Certificate::parse_all(&armored).unwrap().remove(0)
}

fn sign(document: &[u8], name: &str) -> String {
    let armored = fs::read(vectors().join(format!("signed/keys/{name}.sec.asc"))).unwrap();
    sign_detached(document, &SecretCertificate::parse(&armored, None).unwrap(), UnixMillis(NOW - DAY)).unwrap()
}

fn deployment() -> Origin {
    Origin::parse("https://chat.example.org").unwrap()
}

fn version(text: &str) -> ExtensionVersion {
    text.parse().unwrap()
}

fn path(text: &str) -> FilePath {
    FilePath::parse(text).unwrap()
}

fn read_at(document: &[u8], signer: &str, now: u64) -> Result<SignedDocument<ReleaseManifest>, SignedError> {
    let (signers, deployment) = ([certificate("signer")], deployment());
    let reader = Reader { signers: &signers, deployment: &deployment, newest_serial_seen: 7, now: UnixMillis(now) };
    reader.read(document, &sign(document, signer))
}

fn read(document: &[u8]) -> Result<SignedDocument<ReleaseManifest>, SignedError> {
    read_at(document, "signer", NOW)
}

/// The golden manifest with one value changed.
fn changed(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut document: Value = serde_json::from_slice(&golden()).unwrap();
    change(&mut document);
    serde_json::to_vec(&document).unwrap()
}

#[test]
fn the_golden_manifest_is_read_and_written_as_it_is() {
    let document = read(&golden()).unwrap();
    let envelope = &document.envelope;
    let written = Written::make(deployment(), 7, envelope.issued, envelope.expires, &document.body).unwrap();
    assert_eq!(String::from_utf8(written.bytes), String::from_utf8(golden()));
    let [release] = document.body.releases() else { panic!("one release") };
    let listing = release.listing();
    let kind = |name: &str| listing.file(&path(name)).map(|file| file.kind);
    let bundle = "bundles/0123456789abcdef0123";
    for (name, expected) in [
        ("index.html", FileKind::Document),
        (&*format!("{bundle}/bundle.js"), FileKind::Script),
        (&*format!("{bundle}/indexeddb.worker.js"), FileKind::Worker),
        ("sw.js", FileKind::ServiceWorker),
        ("recorder.js", FileKind::Worklet),
        ("widgets/element-call/assets/index-1a2b3c4d.js", FileKind::Module),
        ("widgets/element-call/assets/Crypto-0a1b2c3d.js", FileKind::Worker),
        (&*format!("{bundle}/0123456789abcdef.wasm"), FileKind::Wasm),
        (&*format!("{bundle}/bundle.css"), FileKind::Style),
        ("fonts/inter.woff2", FileKind::Font),
        ("img/logo.76eaf74.svg", FileKind::Image),
        ("media/ring.mp3", FileKind::Media),
        ("i18n/en_EN.0a1b2c3.json", FileKind::Translation),
        ("version", FileKind::Data),
    ] {
        assert_eq!(kind(name), Some(expected), "{name}");
    }
    let worker = path(&format!("{bundle}/indexeddb.worker.js"));
    let imports = ["unhomoglyph_data.js", "5050.js"].map(|name| path(&format!("{bundle}/{name}")));
    assert_eq!(listing.imports(&worker), imports);
    let call = listing.document(&path("widgets/element-call/index.html")).unwrap();
    let [inline, module] = &call.scripts[..] else { panic!("{:?}", call.scripts) };
    assert!(matches!(&inline.source, ScriptSource::Inline { text, .. } if text == "window.global = window;"));
    assert_eq!(module.script_type, ScriptType::Module);
    let site = document.body.site();
    assert_eq!(site.config()[0].values["default_server_config"]["m.homeserver"]["server_name"], "example.org");
    assert_eq!(site.listing().file(&path("modules/company.js")).unwrap().kind, FileKind::Module);
}

#[test]
fn the_example_of_the_documentation_is_a_manifest() {
    let page = fs::read_to_string(vectors().join("../../docs/release-manifest.md")).unwrap();
    let example = page.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let document = read(example.as_bytes()).unwrap();
    let envelope = &document.envelope;
    let written = Written::make(deployment(), 7, envelope.issued, envelope.expires, &document.body).unwrap();
    assert_eq!(String::from_utf8(written.bytes).unwrap(), example);
}

#[test]
fn what_no_signed_document_may_be_no_manifest_may_be() {
    let error = |document: &[u8]| read(document).unwrap_err().code().as_str();
    assert_eq!(error(&changed(|document| document["serial"] = json!(6))), "KS-SGN-SERIAL");
    assert_eq!(
        error(&changed(|document| document["deployment"] = json!("https://chat.example.com"))),
        "KS-SGN-DEPLOYMENT"
    );
    assert_eq!(error(&changed(|document| document["kind"] = json!("roster"))), "KS-SGN-KIND");
    assert_eq!(error(&changed(|document| document["version"] = json!(2))), "KS-SGN-FORMAT");
    assert_eq!(error(&golden()[..golden().len() / 2]), "KS-SGN-FORMAT", "truncated before it was signed");
    assert_eq!(error(b"<html>"), "KS-SGN-FORMAT");
    let twice = String::from_utf8(golden()).unwrap().replace("\"base\": \"/\"", "\"base\": \"/x/\",\n\"base\": \"/\"");
    assert_eq!(error(twice.as_bytes()), "KS-SGN-FORMAT", "a key twice");
    let large = [golden(), vec![b' '; 9 << 20]].concat();
    assert!(large.len() > MAX_BYTES);
    assert_eq!(error(&large), "KS-SGN-TOO-LARGE");
    let code = |result: Result<SignedDocument<ReleaseManifest>, SignedError>| result.unwrap_err().code().as_str();
    assert_eq!(code(read_at(&golden(), "stranger", NOW)), "KS-SGN-SIGNER");
    assert_eq!(code(read_at(&golden(), "revoked", NOW)), "KS-SGN-SIGNER");
    assert_eq!(code(read_at(&golden(), "signer", EXPIRES)), "KS-SGN-EXPIRED");
    let (signers, deployment, signature) = ([certificate("signer")], deployment(), sign(&golden(), "signer"));
    let reader = Reader { signers: &signers, deployment: &deployment, newest_serial_seen: 0, now: UnixMillis(NOW) };
    let truncated = &golden()[..golden().len() - 1];
    assert_eq!(code(reader.read(truncated, &signature)), "KS-SGN-SIGNATURE", "truncated on the way");
}

#[test]
fn every_field_must_be_as_documented() {
    type Change = fn(&mut Value);
    let table: [(&str, Change); 26] = [
        ("site", |d| drop(d.as_object_mut().unwrap().remove("site"))),
        ("site.base", |d| d["site"]["base"] = json!("element")),
        ("site.config[0]", |d| d["site"]["config"][0]["path"] = json!("../config.json")),
        ("site.config[0].path", |d| d["site"]["config"][0]["path"] = json!("settings.json")),
        ("site.config[1].path", |d| {
            let config = d["site"]["config"][0].clone();
            d["site"]["config"].as_array_mut().unwrap().push(config);
        }),
        ("site.a field that this version does not have", |d| d["site"]["note"] = json!(1)),
        ("releases", |d| d["releases"] = json!([])),
        ("releases", |d| d["releases"] = json!({})),
        ("releases", |d| {
            let release = d["releases"][0].clone();
            d["releases"].as_array_mut().unwrap().push(release);
        }),
        ("releases", |d| d["releases"] = json!(vec![0; 17])),
        ("a field that this version does not have", |d| d["note"] = json!(1)),
        ("releases[0]", |d| d["releases"][0] = json!(1)),
        ("releases[0].version", |d| d["releases"][0]["version"] = json!("1.12 beta")),
        ("releases[0].minimum_extension", |d| d["releases"][0]["minimum_extension"] = json!("1.x")),
        ("releases[0].files[3]", |d| d["releases"][0]["files"][3]["path"] = json!("/etc/passwd")),
        ("releases[0].files[3]", |d| d["releases"][0]["files"][3]["size"] = json!(-1)),
        ("releases[0].files[3]", |d| d["releases"][0]["files"][3]["kind"] = json!("program")),
        ("releases[0].files[3]", |d| d["releases"][0]["files"][3]["sha256"] = json!("AAAA")),
        ("releases[0].files[3]", |d| d["releases"][0]["files"][3]["note"] = json!("AAAA")),
        ("releases[0].files[4].path", |d| d["releases"][0]["files"][4] = d["releases"][0]["files"][3].clone()),
        ("releases[0].documents[1]", |d| d["releases"][0]["documents"][0]["path"] = json!("version")),
        ("releases[0].documents[0]", |d| d["releases"][0]["documents"][0]["template"] = json!("<p>")),
        ("releases[0].documents[0]", |d| d["releases"][0]["documents"][0]["scripts"][0]["text"] = json!("x")),
        ("releases[0].documents[0].scripts[0]", |d| {
            d["releases"][0]["documents"][0]["scripts"][0]["src"] = json!("bundles/other.js");
        }),
        ("releases[0].documents[0].scripts[0]", |d| {
            d["releases"][0]["documents"][0]["scripts"][0]["src"] = json!("version");
        }),
        ("releases[0].workers[0]", |d| d["releases"][0]["workers"][0]["imports"][0] = json!("other.js")),
    ];
    for (index, (field, change)) in table.into_iter().enumerate() {
        let expected = SignedError::Format { field: field.into() };
        assert_eq!(read(&changed(change)).unwrap_err(), expected, "row {index}");
    }
}

/// The golden manifest with a second release, of another `version` file.
fn two_releases(serial: u64) -> Vec<u8> {
    changed(|document| {
        document["serial"] = json!(serial);
        let mut second = document["releases"][0].clone();
        second["version"] = json!("1.12.1");
        second["minimum_extension"] = json!("0.2");
        let files = second["files"].as_array_mut().unwrap();
        let file = files.iter_mut().find(|file| file["path"] == "version").unwrap();
        file["sha256"] = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        document["releases"].as_array_mut().unwrap().push(second);
    })
}

fn accept(revoked: &[&ReleaseId], extension: &str) -> ManifestSet {
    let revoked: BTreeSet<_> = revoked.iter().map(|id| (*id).clone()).collect();
    ManifestSet::accept(read(&two_releases(8)).unwrap(), &revoked, version(extension))
}

fn versions(set: &ManifestSet) -> Vec<&str> {
    set.releases().map(|release| release.version().as_str()).collect()
}

#[test]
fn several_releases_may_run_but_those_revoked_or_too_new() {
    let document = read(&two_releases(8)).unwrap();
    let [first, second] = document.body.releases() else { panic!("two releases") };
    assert_eq!(versions(&accept(&[], "0.2.0")), ["1.12.0", "1.12.1"]);
    let set = accept(&[], "0.1.9");
    assert_eq!(versions(&set), ["1.12.0"]);
    assert_eq!(set.refused().map(|(_, code)| code).collect::<Vec<_>>(), [Code::IntExtension]);
    let set = accept(&[first.id()], "1.0");
    assert_eq!(versions(&set), ["1.12.1"]);
    assert_eq!(set.refused().map(|(_, code)| code).collect::<Vec<_>>(), [Code::IntRevoked]);
    assert!(versions(&accept(&[first.id(), second.id()], "1.0")).is_empty());
    assert_eq!((set.signature().serial(), set.signature().expires()), (8, UnixMillis(EXPIRES)));
    assert_eq!(set.signature().signer(), &certificate("signer").fingerprint());
    assert_eq!(set.deployment(), &deployment());
}

#[test]
fn a_manifest_warns_from_seven_days_before_its_end() {
    let set = accept(&[], "0.1.0");
    for (now, holds, warning) in [
        (EXPIRES - 7 * DAY - 1, true, None),
        (EXPIRES - 7 * DAY, true, Some(Code::IntExpiring)),
        (EXPIRES - 1, true, Some(Code::IntExpiring)),
        (EXPIRES, false, Some(Code::SgnExpired)),
    ] {
        assert_eq!((set.holds_at(UnixMillis(now)), set.warning(UnixMillis(now))), (holds, warning));
    }
}

/// A browser's disk, and a web host.
struct Browser {
    store: MemoryStore,
    pages: RefCell<BTreeMap<String, Vec<u8>>>,
    down: Cell<bool>,
    now: Cell<u64>,
}

impl Browser {
    fn new() -> Self {
        let store = MemoryStore::default();
        Self { store, pages: RefCell::default(), down: Cell::new(false), now: Cell::new(NOW) }
    }

    fn serve(&self, url: &str, document: &[u8]) {
        self.pages.borrow_mut().insert(url.to_owned(), document.to_vec());
        self.pages.borrow_mut().insert(format!("{url}.asc"), sign(document, "signer").into_bytes());
    }

    fn revoke(&self, serial: u64, ids: &[&ReleaseId]) {
        let revoked = ids.iter().map(|id| RevokedRelease {
            id: (*id).clone(),
            version: serde_json::from_value(json!("1.12")).unwrap(),
            since: UnixMillis(NOW),
            reason: String::new(),
        });
        let body = Revocation::new(revoked.collect()).unwrap();
        let written = Written::make(deployment(), serial, UnixMillis(NOW - DAY), UnixMillis(NOW + 2 * DAY), &body);
        self.serve(revocation_url(&Url::parse(URL).unwrap()).as_str(), &written.unwrap().bytes);
    }

    async fn refresh(&self) -> Result<Refreshed, Code> {
        let (url, signers, deployment) = (Url::parse(URL).unwrap(), [certificate("signer")], deployment());
        let sources = Sources { url: &url, signers: &signers, deployment: &deployment, extension: version("1.0.0") };
        let mut run = Run::start(UnixMillis(self.now.get()), |io| async move { refresh(&io, sources).await });
        loop {
            let answer = match run.step() {
                Step::Done(refreshed) => return refreshed,
                Step::Do(Effect::Http(requests)) => {
                    let answer = |target: &Target| match target {
                        Target::Url(url) => self.answer(url.as_str()),
                        Target::Homeserver(_) => panic!("a web host gets no token"),
                    };
                    Answer::Http(requests.iter().map(|request| answer(&request.target)).collect())
                }
                Step::Do(Effect::Store(StoreCommand::Get(key))) => Answer::Record(self.store.get(&key).await.unwrap()),
                Step::Do(Effect::Store(StoreCommand::Replace { key, old, new })) => {
                    Answer::Replaced(self.store.replace(&key, old.as_deref(), &new).await.unwrap())
                }
                Step::Do(effect) => panic!("no effect {} is expected", effect.name()),
            };
            run.answer(answer, UnixMillis(self.now.get()));
        }
    }

    fn answer(&self, url: &str) -> Result<HttpResponse, TransportError> {
        if self.down.get() {
            return Err(TransportError::Unreachable);
        }
        let response = |status, body| HttpResponse { status, content_type: String::new(), retry_after_ms: None, body };
        let page = self.pages.borrow().get(url).cloned();
        Ok(page.map_or_else(|| response(404, b"<html>".to_vec()), |body| response(200, body)))
    }

    /// The versions that may run, or the code.
    async fn allowed(&self) -> String {
        match self.refresh().await {
            Ok(Refreshed { set, .. }) => versions(&set).join(" "),
            Err(code) => code.as_str().to_owned(),
        }
    }
}

#[tokio::test]
async fn the_last_good_manifest_holds_until_it_expires() {
    let browser = Browser::new();
    assert_eq!(browser.allowed().await, "KS-INT-NO-MANIFEST");
    browser.serve(URL, &two_releases(8));
    assert_eq!(browser.allowed().await, "1.12.0 1.12.1");
    browser.down.set(true);
    assert_eq!(browser.allowed().await, "1.12.0 1.12.1");
    browser.down.set(false);
    browser.serve(URL, &golden());
    let refreshed = browser.refresh().await.unwrap();
    assert_eq!(refreshed.manifest_problem, Some(Code::SgnSerial), "an older one is brought back");
    assert_eq!(versions(&refreshed.set), ["1.12.0", "1.12.1"]);
    browser.now.set(EXPIRES);
    assert_eq!(browser.allowed().await, "KS-SGN-SERIAL");
    browser.down.set(true);
    assert_eq!(browser.allowed().await, "KS-SGN-EXPIRED");
}

#[tokio::test]
async fn what_was_once_revoked_stays_so() {
    let document = read(&two_releases(8)).unwrap();
    let [first, second] = document.body.releases() else { panic!("two releases") };
    let browser = Browser::new();
    browser.serve(URL, &two_releases(8));
    browser.revoke(1, &[first.id()]);
    assert_eq!(browser.allowed().await, "1.12.1");

    // The host withholds it, or brings an empty one, or a manifest with another number; it expires.
    browser.pages.borrow_mut().clear();
    browser.serve(URL, &two_releases(9));
    assert_eq!(browser.allowed().await, "1.12.1");
    browser.revoke(2, &[]);
    assert_eq!(browser.allowed().await, "1.12.1");
    browser.now.set(NOW + 3 * DAY);
    let refreshed = browser.refresh().await.unwrap();
    assert_eq!((versions(&refreshed.set), refreshed.revocation_problem), (vec!["1.12.1"], Some(Code::SgnExpired)));
    browser.now.set(NOW);
    browser.revoke(3, &[second.id()]);
    assert_eq!(browser.allowed().await, "");
}

#[tokio::test]
async fn a_revocation_that_is_not_to_be_believed_revokes_nothing() {
    let document = read(&two_releases(8)).unwrap();
    let browser = Browser::new();
    browser.serve(URL, &two_releases(8));
    browser.revoke(1, &[document.body.releases()[0].id()]);
    let url = format!("{}.asc", revocation_url(&Url::parse(URL).unwrap()));
    let bytes = browser.pages.borrow()[url.trim_end_matches(".asc")].clone();
    browser.pages.borrow_mut().insert(url, sign(&bytes, "stranger").into_bytes());
    let refreshed = browser.refresh().await.unwrap();
    assert_eq!(versions(&refreshed.set), ["1.12.0", "1.12.1"]);
    assert_eq!(refreshed.revocation_problem, Some(Code::SgnSigner));
}

#[tokio::test]
async fn records_that_cannot_be_read_are_not_forgotten() {
    for key in [revoked_key(&deployment()), store_key(Kind::ReleaseManifest, &deployment())] {
        let browser = Browser::new();
        browser.serve(URL, &two_releases(8));
        browser.store.put(&key, "{\"version\":\"9\"}").await.unwrap();
        assert_eq!(browser.allowed().await, "KS-STO-RECORD", "{key}");
    }
}

#[test]
fn a_revocation_must_be_as_documented() {
    let good = json!({ "id": "0".repeat(64), "version": "1.12.0", "since": NOW, "reason": "leaks keys" });
    let with = |field: &str, value: Value| {
        let mut bad = good.clone();
        bad[field] = value;
        bad
    };
    let read = |revoked: Value| {
        let fields = json!({ "revoked": revoked }).as_object().unwrap().clone();
        Revocation::read(fields).map(|revocation| revocation.revoked().len())
    };
    assert_eq!(read(json!([good])), Ok(1));
    assert_eq!(read(json!([])), Ok(0));
    assert_eq!(read(json!({})), Err("revoked".into()));
    assert_eq!(read(json!([good, good])), Err("revoked[1].id".into()));
    assert_eq!(read(json!([with("id", json!("0".repeat(63)))])), Err("revoked[0]".into()));
    assert_eq!(read(json!([with("note", json!(1))])), Err("revoked[0]".into()));
    assert_eq!(read(json!([with("reason", json!("x".repeat(501)))])), Err("revoked[0].reason".into()));
}
