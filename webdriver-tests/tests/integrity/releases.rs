//! Two releases at once: a rolling upgrade refuses nothing, and nothing of one runs in a page of the other.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context, Result, ensure};
use keystead_testbed::{Action, Answer, Asked, Rule};
use keystead_webdriver_tests::rows::{self, Rows};
use keystead_webdriver_tests::{Browser, BrowserKind, BrowserOptions, Company, Extension, Guarded, Site};
use serde_json::json;

use crate::scene::{Attack, Cache, Then, note, shown, wait_for_state, withstand, works};

/// How many pages are loaded where nobody says (`KEYSTEAD_HONEST_LOADS`), and where all tests run.
const LOADS: usize = 200;
const LOADS_OF_ALL: usize = 24;
/// Another extension that touches every page, as password managers do.
const OTHER: [(&str, &str); 3] = [
    (
        "manifest.json",
        r#"{"manifest_version": 3, "name": "Another", "version": "1", "browser_specific_settings": {"gecko": {"id": "another@example.org"}},
            "content_scripts": [
              {"matches": ["<all_urls>"], "js": ["own.js"], "run_at": "document_start", "all_frames": true},
              {"matches": ["<all_urls>"], "js": ["main.js"], "run_at": "document_start", "world": "MAIN"}]}"#,
    ),
    (
        "own.js",
        "const mark = () => {
           if (!document.body || document.querySelector('#another')) return;
           const box = document.createElement('div');
           box.id = 'another';
           document.body.append(box);
         };
         new MutationObserver(mark).observe(document, { childList: true, subtree: true });
         const style = document.createElement('style');
         style.textContent = '#another { display: none }';
         document.documentElement.append(style);",
    ),
    ("main.js", "const own = window.fetch; window.fetch = function (...all) { return own.apply(this, all); };"),
];

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add_shared(kind, "a rolling upgrade, and another extension, refuse nothing", rolling(company, kind));
    rows.add(kind, "nothing of one release runs in a page of another", mixed(company, kind));
}

/// The second release: the first with another chunk, and so with another folder for all of them.
pub(crate) struct Second {
    dir: tempfile::TempDir,
    old: String,
}

const NEW: &str = "bundles/0123456789abcdef0123";

impl Second {
    fn make(first: &Path) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("keystead-release-").tempdir()?;
        let old = fs::read_dir(first.join("bundles"))?.next().context("no bundles")??.file_name();
        let old = format!("bundles/{}", old.to_str().context("a name that is no text")?);
        copy(first, dir.path())?;
        fs::rename(dir.path().join(&old), dir.path().join(NEW))?;
        let index = fs::read_to_string(dir.path().join("index.html"))?.replace(&old, NEW);
        fs::write(dir.path().join("index.html"), index)?;
        let chunk = dir.path().join(NEW).join("init.js");
        let text = fs::read_to_string(&chunk)?;
        fs::write(chunk, format!("{text}self.secondRelease = true;\n"))?;
        Ok(Self { dir, old })
    }

    fn file(&self, path: &str) -> Answer {
        let bytes = fs::read(self.dir.path().join(path)).unwrap_or_default();
        let content_type = match path.rsplit('.').next() {
            Some("js") => "text/javascript",
            Some("css") => "text/css",
            Some("wasm") => "application/wasm",
            _ => "text/html",
        };
        Answer::new(200, content_type, bytes)
    }

    /// Its own files, which no server of the first release has.
    fn files(&self) -> Vec<Rule> {
        let names = fs::read_dir(self.dir.path().join(NEW)).into_iter().flatten().flatten();
        let files = names.filter_map(|entry| {
            let path = format!("{NEW}/{}", entry.file_name().to_str()?);
            let (url, answer) = (format!("/{path}"), self.file(&path));
            Some(Rule::when("second release", move |asked: &Asked| asked.path == url, Action::Answer(answer)))
        });
        files.collect()
    }

    fn index(&self, is_its: impl Fn() -> bool + Send + Sync + 'static) -> Rule {
        let answer = self.file("index.html");
        Rule::when("second release", move |asked: &Asked| asked.path == "/" && is_its(), Action::Answer(answer))
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn first(company: &Company) -> Result<PathBuf> {
    Ok(company.desk()?.element.dir().to_owned())
}

async fn rolling(company: &Company, kind: BrowserKind) -> Result<()> {
    let second = Second::make(&first(company)?)?;
    let site = Site { second: Some(second.dir.path().to_owned()), ..Site::default() };
    let guarded = Guarded::start_with(company, site).await?;
    let mut extension = Extension::packed_for_tests(kind)?;
    extension.bring(&OTHER)?;
    let policy = guarded.policy(company, "enforce");
    let browser = Browser::start(kind, BrowserOptions { extension, policy }).await?;
    browser.wait_until_installed().await?;
    wait_for_state(&browser, "protected").await?;
    // The servers take turns, each for two pages; what checks a page again may meet the other.
    let asked = Arc::new(AtomicUsize::new(0));
    let turns = move || asked.fetch_add(1, Ordering::Relaxed) % 4 >= 2;
    guarded.attack(second.files().into_iter().chain([second.index(turns)]).collect());
    let loads = std::env::var("KEYSTEAD_HONEST_LOADS").ok().and_then(|loads| loads.parse().ok());
    let loads = loads.unwrap_or(if rows::shares() { LOADS_OF_ALL } else { LOADS });
    let mut seconds = 0;
    for load in 0..loads {
        let _ = browser.session().goto(format!("{}/?{load}", guarded.url())).await;
        shown(&browser, works(&browser).await).await?;
        let seen = browser
            .in_page("return [Boolean(page.secondRelease), Boolean(document.querySelector('#another'))];", vec![])
            .await?;
        seconds += usize::from(seen[0] == true);
        ensure!(seen[1] == true, "the other extension does nothing");
    }
    let view = browser.integrity().await?;
    ensure!(view["refusals"] == json!([]), "refused: {}", view["refusals"]);
    ensure!(seconds > 0 && seconds < loads, "{seconds} of {loads} pages were of the second release");
    note(&format!("        {:8}  0 of {loads} honest loads refused, {seconds} of the second release", kind.name()));
    browser.quit().await
}

async fn mixed(company: &Company, kind: BrowserKind) -> Result<()> {
    let second = Second::make(&first(company)?)?;
    let site = Site { second: Some(second.dir.path().to_owned()), ..Site::default() };
    let guarded = Guarded::start_with(company, site).await?;
    let browser = company.browser(kind, guarded.policy(company, "enforce")).await?;
    wait_for_state(&browser, "protected").await?;
    let old = format!("/{}/init.js", second.old);
    let new = second.file(&format!("{NEW}/init.js"));
    let of_second = |asked: &Asked| asked.path == format!("/{NEW}/init.js");
    let of_first = fs::read(guarded.desk.element.dir().join(&old[1..]))?;
    let of_first = Answer::new(200, "text/javascript", of_first);
    let mut in_second = vec![Rule::when("chunk", of_second, Action::Answer(of_first))];
    in_second.extend(second.files().into_iter().chain([second.index(|| true)]));
    let attack = |name, rules, then| Attack { name, rules, path: String::new(), then };
    let mut honest = second.files();
    honest.push(second.index(|| true));
    let refused = Then::Refused(&["KS-INT-MIXED", "KS-INT-CHANGED"]);
    let attacks = vec![
        attack("a page of the second release", honest, Then::Works),
        attack(
            "a chunk of the second release in a page of the first",
            vec![Rule::when("chunk", move |asked: &Asked| asked.path == old, Action::Answer(new))],
            refused,
        ),
        attack("a chunk of the first release in a page of the second", in_second, refused),
        attack("a page of the first release", Vec::new(), Then::Works),
    ];
    withstand(&browser, &guarded, Cache::Left, attacks).await?;
    browser.quit().await
}
