//! What may be used in a page of which release: one row a thing that a hostile host could serve.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "functions shared by tests are test code too"
)]

use std::{collections::BTreeSet, fs, path::PathBuf};

use keystead_core::{
    error::Coded as _,
    ident::Origin,
    integrity::{
        BasePath, ConfigFile, Destination, Document, DocumentId, FileKind, FilePath, ListedFile, Listing, ManifestSet,
        Release, ReleaseId, ReleaseManifest, ReleaseVersion, Served, Sha256Digest, Sha384Digest, Site,
    },
    openpgp::{Certificate, SecretCertificate, sign_detached},
    policy::{PassiveKind, Policy},
    signed::{Reader, Written},
    time::UnixMillis,
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

const NOW: u64 = 1_795_219_200_000;
const DAY: u64 = 86_400_000;

fn hash(text: &str) -> Sha256Digest {
    Sha256Digest::new(Sha256::digest(text).into())
}

fn path(text: &str) -> FilePath {
    FilePath::parse(text).unwrap()
}

fn listing(files: &[(&str, FileKind, &str)]) -> Listing {
    let file = |(name, kind, text): &(&str, FileKind, &str)| ListedFile {
        path: path(name),
        size: text.len() as u64,
        kind: *kind,
        sha256: hash(text),
        sha384: Sha384Digest::new([0; 48]),
    };
    let documents = files.iter().filter(|(_, kind, _)| *kind == FileKind::Document);
    let document = |(name, _, text): &(&str, FileKind, &str)| Document {
        path: path(name),
        template: (*text).into(),
        scripts: Vec::new(),
    };
    Listing::new(files.iter().map(file).collect(), documents.map(document).collect(), Vec::new()).unwrap()
}

/// A release whose files say its name, but for one that all have.
fn release(name: &str, minimum_extension: &str) -> Release {
    let text = |file: &str| format!("{file} of {name}");
    let own = format!("bundles/{name}/bundle.js");
    let files = [
        ("index.html", FileKind::Document, &*text("index")),
        (&*own, FileKind::Script, &*text("bundle")),
        ("shared.js", FileKind::Script, &*text("shared")),
        ("common.js", FileKind::Module, "common"),
        ("db.worker.js", FileKind::Worker, &*text("worker")),
        ("sw.js", FileKind::ServiceWorker, &*text("sw")),
        ("crypto.wasm", FileKind::Wasm, &*text("wasm")),
        ("theme.css", FileKind::Style, &*text("style")),
        ("logo.svg", FileKind::Image, &*text("logo")),
        ("welcome.html", FileKind::Document, &*text("welcome")),
        ("a b.json", FileKind::Data, &*text("data")),
    ];
    Release::new(ReleaseVersion::parse(name).unwrap(), minimum_extension.parse().unwrap(), listing(&files))
}

struct Scene {
    set: ManifestSet,
    ids: Vec<ReleaseId>,
}

impl Scene {
    /// Releases 1 and 2 may run, 3 needs a newer extension, 4 is revoked; the site has its own welcome page.
    fn new(base: &str) -> Self {
        let releases = vec![release("1", "0.1"), release("2", "0.1"), release("3", "9.0"), release("4", "0.1")];
        let ids: Vec<_> = releases.iter().map(|release| release.id().clone()).collect();
        let values =
            json!({ "default_server_config": { "m.homeserver": { "base_url": "https://m.example.org" } }, "b": 1 });
        let config = ConfigFile { path: path("config.json"), values: values.as_object().unwrap().clone() };
        let own = listing(&[("welcome.html", FileKind::Document, "own welcome")]);
        let site = Site::new(BasePath::parse(base).unwrap(), vec![config], own).unwrap();
        let manifest = ReleaseManifest::new(site, releases).unwrap();
        let deployment = Origin::parse("https://chat.example.org").unwrap();
        let (issued, expires) = (UnixMillis(NOW - DAY), UnixMillis(NOW + DAY));
        let written = Written::make(deployment.clone(), 1, issued, expires, &manifest).unwrap();
        let keys = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/signed/keys");
        let secret = SecretCertificate::parse(&fs::read(keys.join("signer.sec.asc")).unwrap(), None).unwrap();
        let signature = sign_detached(&written.bytes, &secret, issued).unwrap();
        let signers = Certificate::parse_all(&fs::read(keys.join("signer.asc")).unwrap()).unwrap();
        let now = UnixMillis(NOW);
        let reader = Reader { signers: &signers, deployment: &deployment, newest_serial_seen: 0, now };
        let document = reader.read(&written.bytes, &signature).unwrap();
        let revoked = BTreeSet::from([ids[3].clone()]);
        Self { set: ManifestSet::accept(document, &revoked, "0.1.0".parse().unwrap()), ids }
    }

    /// The numbers of the releases, or the code.
    fn judge(&self, url_path: &str, destination: Destination, text: &str, page: &[usize]) -> String {
        self.judge_with(url_path, destination, text, page, &[])
    }

    fn judge_with(
        &self,
        url_path: &str,
        destination: Destination,
        text: &str,
        page: &[usize],
        passive: &[PassiveKind],
    ) -> String {
        let page: Vec<_> = page.iter().map(|number| self.ids[number - 1].clone()).collect();
        let served = Served { url_path, destination, sha256: hash(text), page: &page };
        match self.set.judge(served, passive, UnixMillis(NOW)) {
            Ok(allowed) => {
                let number = |id| self.ids.iter().position(|known| known == id).unwrap() + 1;
                allowed.releases.iter().map(|id| number(id).to_string()).collect::<Vec<_>>().join(" ")
            }
            Err(refused) => {
                assert_eq!(refused.found, hash(text));
                refused.code().as_str().to_owned()
            }
        }
    }
}

#[test]
fn every_row_ends_as_it_says() {
    use Destination::{Code, Content, Document, ServiceWorker, Wasm};
    let scene = Scene::new("/");
    type Row = (&'static str, &'static str, Destination, &'static str, &'static [usize], &'static str);
    let rows: [Row; 37] = [
        ("the document", "/", Document, "index of 1", &[], "1"),
        ("by its name", "/index.html", Document, "index of 2", &[], "2"),
        ("altered", "/", Document, "index of 1 ", &[], "KS-INT-CHANGED"),
        ("another file in its place", "/", Document, "bundle of 1", &[], "KS-INT-CHANGED"),
        ("of a revoked release", "/", Document, "index of 4", &[], "KS-INT-REVOKED"),
        ("of one that needs a newer extension", "/", Document, "index of 3", &[], "KS-INT-EXTENSION"),
        ("a chunk", "/bundles/1/bundle.js", Code, "bundle of 1", &[1], "1"),
        ("a chunk, altered", "/bundles/1/bundle.js", Code, "bundle of 1!", &[1], "KS-INT-CHANGED"),
        ("a chunk, cut short", "/bundles/1/bundle.js", Code, "bundle of", &[1], "KS-INT-CHANGED"),
        ("a chunk of another release", "/bundles/2/bundle.js", Code, "bundle of 2", &[1], "KS-INT-MIXED"),
        ("the same path, another release", "/shared.js", Code, "shared of 2", &[1], "KS-INT-MIXED"),
        ("the same path, this release", "/shared.js", Code, "shared of 2", &[2], "2"),
        ("a chunk of a revoked release", "/shared.js", Code, "shared of 4", &[1], "KS-INT-REVOKED"),
        ("what all releases have", "/common.js", Code, "common", &[2], "2"),
        ("a page that may be of both", "/common.js", Code, "common", &[1, 2], "1 2"),
        ("which of both, a later file says", "/shared.js", Code, "shared of 1", &[1, 2], "1"),
        ("a page of a revoked release", "/common.js", Code, "common", &[4], "KS-INT-MIXED"),
        ("a listed file under another path", "/other.js", Code, "bundle of 1", &[1], "KS-INT-UNLISTED"),
        ("a listed file in another's place", "/shared.js", Code, "bundle of 1", &[1], "KS-INT-CHANGED"),
        ("an unlisted file", "/evil.js", Code, "evil", &[1], "KS-INT-UNLISTED"),
        ("an unlisted document", "/evil.html", Document, "evil", &[], "KS-INT-UNLISTED"),
        ("a worker", "/db.worker.js", Code, "worker of 1", &[1], "1"),
        ("a worker as service worker", "/db.worker.js", ServiceWorker, "worker of 1", &[1], "KS-INT-KIND"),
        ("the service worker", "/sw.js", ServiceWorker, "sw of 1", &[1], "1"),
        ("an altered service worker", "/sw.js", ServiceWorker, "evil", &[1], "KS-INT-CHANGED"),
        ("data as code", "/a%20b.json", Code, "data of 1", &[1], "KS-INT-KIND"),
        ("data", "/a%20b.json", Content, "data of 1", &[1], "1"),
        ("an image as document", "/logo.svg", Document, "logo of 1", &[], "KS-INT-KIND"),
        ("a script as document", "/shared.js", Document, "shared of 1", &[], "KS-INT-KIND"),
        ("WebAssembly", "/crypto.wasm", Wasm, "wasm of 1", &[1], "1"),
        ("a script as WebAssembly", "/shared.js", Wasm, "shared of 1", &[1], "KS-INT-KIND"),
        ("the site's own page", "/welcome.html", Content, "own welcome", &[2], "2"),
        ("the release's page in its place", "/welcome.html", Content, "welcome of 1", &[1], "KS-INT-CHANGED"),
        (
            "a path that a server reads as another",
            "/bundles%2f1/bundle.js",
            Code,
            "bundle of 1",
            &[1],
            "KS-INT-UNLISTED",
        ),
        ("a doubled slash", "//common.js", Code, "common", &[1], "KS-INT-UNLISTED"),
        ("a path above", "/x/../common.js", Code, "common", &[1], "KS-INT-UNLISTED"),
        ("an altered style", "/theme.css", Content, "evil", &[1], "KS-INT-CHANGED"),
    ];
    for (name, url_path, destination, text, page, expected) in rows {
        assert_eq!(scene.judge(url_path, destination, text, page), expected, "{name}");
    }
}

#[test]
fn under_a_sub_path_only_what_is_there_counts() {
    let scene = Scene::new("/element/");
    assert_eq!(scene.judge("/element/", Destination::Document, "index of 1", &[]), "1");
    assert_eq!(scene.judge("/element/common.js", Destination::Code, "common", &[1]), "1");
    assert_eq!(scene.judge("/common.js", Destination::Code, "common", &[1]), "KS-INT-UNLISTED");
    assert_eq!(scene.judge("/", Destination::Document, "index of 1", &[]), "KS-INT-UNLISTED");
}

#[test]
fn passive_kinds_may_differ_as_content_and_nothing_else_may() {
    let scene = Scene::new("/");
    let judge = |path, destination, passive: &[PassiveKind]| scene.judge_with(path, destination, "evil", &[1], passive);
    let (style, image) = (PassiveKind::Style, PassiveKind::Image);
    assert_eq!(judge("/theme.css", Destination::Content, &[style]), "1");
    assert_eq!(judge("/theme.css", Destination::Content, &[image]), "KS-INT-CHANGED");
    assert_eq!(judge("/logo.svg", Destination::Content, &[style, image]), "1");
    assert_eq!(judge("/logo.svg", Destination::Document, &[style, image]), "KS-INT-CHANGED");
    assert_eq!(judge("/other.css", Destination::Content, &[style]), "KS-INT-UNLISTED");
    let all = [PassiveKind::Font, image, PassiveKind::Media, style, PassiveKind::Translation];
    for path in ["/shared.js", "/crypto.wasm", "/index.html", "/a%20b.json", "/sw.js", "/db.worker.js"] {
        assert_eq!(judge(path, Destination::Content, &all), "KS-INT-CHANGED", "{path}");
    }
}

#[test]
fn a_refusal_says_what_it_should_have_been() {
    let scene = Scene::new("/");
    let page = [scene.ids[0].clone()];
    let served = Served { url_path: "/shared.js", destination: Destination::Code, sha256: hash("evil"), page: &page };
    let refused = scene.set.judge(served, &[], UnixMillis(NOW)).unwrap_err();
    assert_eq!((refused.path, refused.expected), (Some(path("shared.js")), vec![hash("shared of 1")]));
    let refused = scene.set.judge(served, &[], UnixMillis(NOW + DAY)).unwrap_err();
    assert_eq!(refused.code.as_str(), "KS-SGN-EXPIRED", "nothing is allowed by a manifest that has ended");
    let good = Served { sha256: hash("shared of 1"), ..served };
    assert!(scene.set.judge(good, &[], UnixMillis(NOW)).is_ok());
    assert!(scene.set.judge(good, &[], UnixMillis(NOW + DAY)).is_err());
}

#[test]
fn settings_must_have_the_signed_values_however_they_are_written() {
    let scene = Scene::new("/");
    let judge = |path: &str, text: &str| match scene.set.judge_settings(path, text.as_bytes(), UnixMillis(NOW)) {
        Ok(values) => format!("{} values", values.len()),
        Err(refused) => format!("{} {}", refused.code().as_str(), refused.names.join(" ")),
    };
    let server = "\"default_server_config\":{\"m.homeserver\":{\"base_url\":\"https://m.example.org\"}}";
    for (text, expected) in [
        (format!("{{{server},\"b\":1}}"), "2 values"),
        (format!("{{ \"b\" : 1,\n{server} }}"), "2 values"),
        (format!("{{{},\"b\":1}}", server.replace("m.example", "evil.example")), "KS-INT-CONFIG default_server_config"),
        (format!("{{{server},\"b\":1,\"modules\":[\"https://evil.example/x.js\"]}}"), "KS-INT-CONFIG modules"),
        (format!("{{{server}}}"), "KS-INT-CONFIG b"),
        (format!("{{{server},\"b\":2,\"b\":1}}"), "KS-INT-CONFIG "),
        ("[]".into(), "KS-INT-CONFIG "),
        ("<html>".into(), "KS-INT-CONFIG "),
    ] {
        assert_eq!(judge("/config.json", &text), expected, "{text}");
    }
    assert_eq!(judge("/config.chat.example.org.json", "{}"), "KS-INT-UNLISTED ");
    let late = scene.set.judge_settings("/config.json", b"{}", UnixMillis(NOW + DAY)).unwrap_err();
    assert_eq!(late.code.as_str(), "KS-SGN-EXPIRED");
}

#[test]
fn the_policy_says_where_manifests_lie_who_signs_and_what_may_differ() {
    let text = fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/policy/good/full.txt"));
    let text = text.unwrap();
    let mut document: serde_json::Value = serde_json::from_str(text.split_once("\n\n").unwrap().1).unwrap();
    let signer = document["integrity"]["signers"][0].clone();
    document["integrity"] = json!({
        "mode": "enforce", "url": "https://it.example.org/{host}/m.json", "signers": [signer], "passive": ["style"],
    });
    let policy = Policy::parse(&document).unwrap();
    let deployment = &policy.deployments[0];
    let host = deployment.origin.as_str().trim_start_matches("https://");
    let expected = format!("https://it.example.org/{host}/m.json");
    assert_eq!(policy.manifest_url(deployment).unwrap().as_str(), expected);
    assert_eq!((policy.manifest_signers().len(), policy.passive_kinds()), (1, &[PassiveKind::Style][..]));
    document.as_object_mut().unwrap().shift_remove("integrity");
    let policy = Policy::parse(&document).unwrap();
    assert!(policy.manifest_url(&policy.deployments[0]).is_none() && policy.manifest_signers().is_empty());
}

#[test]
fn keys_go_to_the_document_that_was_verified_and_to_no_other() {
    let scene = Scene::new("/");
    let name = |digit: &str| DocumentId::parse(&digit.repeat(32)).unwrap();
    let origin = Origin::parse("https://chat.example.org").unwrap();
    let judge = |url_path, destination, text: &str| {
        let served = Served { url_path, destination, sha256: hash(text), page: &[] };
        scene.set.judge(served, &[], UnixMillis(NOW)).unwrap()
    };
    let page = scene.set.verified(&judge("/", Destination::Document, "index of 1"), name("a")).unwrap();
    assert_eq!(page.releases(), [scene.ids[0].clone()]);
    assert!(page.is_of(&origin, &name("a")));
    assert!(!page.is_of(&origin, &name("b")), "another document");
    assert!(!page.is_of(&Origin::parse("https://chat.example.net").unwrap(), &name("a")), "another deployment");
    let script = judge("/shared.js", Destination::Code, "shared of 1");
    assert!(scene.set.verified(&script, name("a")).is_none(), "a script is no page");
    let saved = page.to_saved();
    assert!(scene.set.verified_before(saved.clone()).unwrap().is_of(&origin, &name("a")));
    let text = serde_json::to_string(&saved).unwrap();
    for (what, old, new) in [
        ("a release that is revoked", scene.ids[0].as_str(), scene.ids[3].as_str()),
        ("another deployment", "chat.example.org", "chat.example.net"),
    ] {
        let saved = serde_json::from_str(&text.replace(old, new)).unwrap();
        assert!(scene.set.verified_before(saved).is_none(), "{what}");
    }
}

#[test]
fn a_document_is_built_with_the_files_of_one_release_and_their_hashes() {
    let scene = Scene::new("/element/");
    let release = scene.set.releases().next().unwrap();
    let record = |path: &str| scene.set.page_record(release, path, &[PassiveKind::Style]);
    let (page, allowed) = record("/element/").unwrap();
    assert_eq!((page.template.as_str(), &*page.base), ("index of 1", "/element/"));
    assert_eq!(allowed.releases, [scene.ids[0].clone()]);
    let sri = |text: &str| format!("sha256-{}", hash(text).to_base64());
    let bundle = sri("bundle of 1");
    assert_eq!(page.hashes.get("/element/bundles/1/bundle.js"), Some(&bundle));
    assert_eq!(page.hashes.get("/element/a%20b.json"), Some(&sri("data of 1")));
    assert!(page.csp.starts_with("script-src 'sha256-") && page.csp.contains(&bundle), "{}", page.csp);
    for not in [sri("bundle of 2"), sri("worker of 1"), sri("data of 1")] {
        assert!(!page.csp.contains(&not), "what is no script of this release may run");
    }
    assert!(!page.hashes.contains_key("/element/theme.css"), "styles may differ");
    assert_eq!(page.wasm, ["/element/crypto.wasm"]);
    assert!(page.workers.contains_key("/element/db.worker.js"));
    assert_eq!(record("/element/welcome.html").unwrap().0.template, "own welcome");
    assert!(record("/element/evil.html").is_none() && record("/").is_none() && record("/element/shared.js").is_none());
}
