//! Pinned peers: what the gate costs in Element's page, and what its background takes beside the client's own crypto.
//!
//! The page is Element's, the background the extension's, its store the browser's own. What a homeserver answers is made up,
//! and signed as people's clients sign: the proxy in front of the homeserver answers it.

mod answers;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use keystead_testbed::{Action, Answer, KeyKind, Rule};
use keystead_webdriver_tests::{Browser, BrowserKind, BrowserOptions, Company, Extension, PATIENCE, State};
use reqwest::Method;
use reqwest::header::ACCESS_CONTROL_ALLOW_ORIGIN;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::figure::{Figure, Samples, Target};
use crate::own_page;
use answers::{Crowd, DEVICES, PEOPLE};

/// How many answers there are.
const ANSWERS: usize = 40;
/// After so many of them the store is looked at.
const STORED: usize = 20;
/// How many of them the members of a room are in.
const MEMBERS: usize = 2;
/// For how long the page's main thread may be blocked by an answer, in milliseconds.
const BLOCKED: f64 = 16.0;
/// What unchanged and new answers may take of the time that the client's crypto takes for them.
const UNCHANGED: f64 = 0.1;
const NEW: f64 = 0.5;
/// What 95 of 100 unchanged answers may take, in milliseconds.
const UNCHANGED_MOST: f64 = 50.0;
/// By how much a message may be delayed, in milliseconds: the middle one, and 95 of 100.
const DELAY: [f64; 2] = [20.0, 50.0];
/// How long the store may take to open, in milliseconds, and how large it may be, in megabytes.
const OPEN: f64 = 50.0;
const DISK: f64 = 10.0;
/// How long a script may take that takes in answers.
const LIMIT: Duration = Duration::from_secs(60);

const PAGE: &str = include_str!("page.js");
/// The parts of the core that open the store, in a page of the extension's own.
const OPENER: [&str; 2] = ["pins.html", "pins.js"];

/// What became of one answer, in milliseconds.
#[derive(Deserialize)]
struct Observed {
    with: f64,
    without: f64,
    taken: f64,
    idle: f64,
    rival: f64,
}

/// What a message with a new key took, in milliseconds.
#[derive(Deserialize)]
struct Delayed {
    with: f64,
    without: f64,
}

pub(crate) async fn bench(company: &Company, kind: BrowserKind, bare: &Path, runs: usize) -> Result<Vec<Figure>> {
    let (who, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    let crowds: Vec<_> =
        (0..ANSWERS).map(|number| Crowd::new(number, company.synapse.server_name())).collect::<Result<_>>()?;
    for (number, crowd) in crowds.iter().enumerate() {
        let answer = Answer::new(200, "application/json", crowd.answer()?);
        let answer = Action::Answer(answer.with_header(ACCESS_CONTROL_ALLOW_ORIGIN, "*"));
        let wanted = format!("bench={number}");
        let asked = move |asked: &keystead_testbed::Asked| asked.method == Method::POST && asked.query == wanted;
        desk.homeserver.add(Rule::when("made-up keys", asked, answer));
    }
    let done = Action::Answer(Answer::json(200, &json!({})).with_header(ACCESS_CONTROL_ALLOW_ORIGIN, "*"));
    let sent = |asked: &keystead_testbed::Asked| asked.method == Method::PUT && asked.path.contains("/keystead-bench-");
    desk.homeserver.add(Rule::when("made-up devices", sent, done));

    let extension = Extension::packed_for_tests(kind)?;
    own_page::add_to(&extension, bare)?;
    add_opener(&extension, bare)?;
    let mut policy = company.policy(&desk);
    policy["pins"] = json!({});
    let browser = Browser::start(kind, BrowserOptions { extension, policy }).await?;
    browser.wait_until_installed().await?;
    browser.log_in(&desk.element.url(), &who.localpart, &who.password).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;

    let (mut new, mut unchanged) = (Vec::new(), Vec::new());
    for (number, crowd) in crowds.iter().enumerate().take(STORED) {
        new.push(observe(&browser, number, crowd).await.with_context(|| format!("new answer {number}"))?);
    }
    let opened = open(&browser, &desk.element.url(), &who.user_id, runs).await?;
    let disk = stored(&browser.profile(), &browser.extension_origin())?;
    for (number, crowd) in crowds.iter().enumerate().skip(STORED) {
        new.push(observe(&browser, number, crowd).await.with_context(|| format!("new answer {number}"))?);
    }
    for (number, crowd) in crowds.iter().enumerate() {
        unchanged.push(observe(&browser, number, crowd).await.with_context(|| format!("old answer {number}"))?);
    }
    let bodies = Crowd::messages(crowds.get(..MEMBERS).context("too few answers")?);
    let mut delays = Vec::new();
    for run in 0..=runs.max(20) {
        let delay: Delayed = call(&browser, "delayed(given.bodies)", json!({ "bodies": bodies })).await?;
        // The first has the people asked for of whom the client keeps nothing yet.
        delays.extend((run > 0).then_some(delay));
    }
    browser.quit().await?;
    Ok(figures(kind, &new, &unchanged, &delays, opened, disk))
}

fn figures(
    kind: BrowserKind,
    new: &[Observed],
    unchanged: &[Observed],
    delays: &[Delayed],
    opened: Samples,
    disk: f64,
) -> Vec<Figure> {
    let of = |all: &[Observed], value: fn(&Observed) -> f64| all.iter().map(value).collect::<Samples>();
    let figure = |figure: &str, unit, value, against, target| {
        let (figure, browser) = (figure.to_owned(), Some(kind.name()));
        Figure { bench: "pins", figure, browser, unit, value, against, target }
    };
    let rival = |all: &[Observed]| Some(("matrix-sdk-crypto", of(all, |one| one.rival)));
    let without = |all: &[Observed]| Some(("without", of(all, |one| one.without).only(1.0)));
    let added: Samples = delays.iter().map(|delay| delay.with - delay.without).collect();
    let plain: Samples = delays.iter().map(|delay| delay.without).collect();
    let blocked = Some(Target::AtMost(BLOCKED));
    vec![
        figure(
            "main thread blocked, longest, new answers",
            "ms",
            of(new, |one| one.with).only(1.0),
            without(new),
            blocked,
        ),
        figure(
            "main thread blocked, longest, unchanged answers",
            "ms",
            of(unchanged, |one| one.with).only(1.0),
            without(unchanged),
            blocked,
        ),
        figure("new answer taken in", "ms", of(new, |one| one.taken), rival(new), Some(Target::AtMostTimes(NEW))),
        figure(
            "unchanged answer taken in",
            "ms",
            of(unchanged, |one| one.taken),
            rival(unchanged),
            Some(Target::AtMostTimes(UNCHANGED)),
        ),
        figure(
            "unchanged answer taken in, p95",
            "ms",
            of(unchanged, |one| one.taken).only(0.95),
            None,
            Some(Target::AtMost(UNCHANGED_MOST)),
        ),
        figure("something sent to nobody, with the gate", "ms", of(unchanged, |one| one.idle), None, None),
        figure(
            "delay of a message with a new key to 500 members",
            "ms",
            added.clone(),
            Some(("the requests alone", plain)),
            Some(Target::AtMost(DELAY[0])),
        ),
        figure("the same, p95", "ms", added.only(0.95), None, Some(Target::AtMost(DELAY[1]))),
        figure(
            &format!("store with {} devices opened", STORED * PEOPLE * DEVICES),
            "ms",
            opened,
            None,
            Some(Target::AtMost(OPEN)),
        ),
        figure(
            &format!("store with {} devices on disk", STORED * PEOPLE * DEVICES),
            "MB",
            Samples::from_iter([disk]),
            None,
            Some(Target::AtMost(DISK)),
        ),
    ]
}

/// Has the page be answered, and then the client's own crypto.
async fn observe(browser: &Browser, number: usize, crowd: &Crowd) -> Result<Observed> {
    const DO: &str = "observed(given.number, given.query)
        .then(async ({ text, ...times }) => ({ ...times, rival: await processed(given.query, text) }))";
    call(browser, DO, json!({ "number": number, "query": crowd.query() })).await
}

/// Runs something of the page's part, and answers what it comes to.
async fn call<T: for<'de> Deserialize<'de>>(browser: &Browser, what: &str, given: Value) -> Result<T> {
    let script = format!(
        "{PAGE}
        const [given, done] = arguments;
        ({what}).then((value) => done(JSON.stringify({{ value }})), (error) => done(JSON.stringify({{ error: String(error) }})));"
    );
    browser.session().set_script_timeout(LIMIT).await?;
    let answer = browser.session().execute_async(script, vec![given]).await?;
    let mut answer: Value = serde_json::from_str(answer.json().as_str().context("the page answers nothing")?)?;
    ensure!(answer["error"].is_null(), "{}", answer["error"]);
    Ok(serde_json::from_value(answer["value"].take())?)
}

/// Puts a page into the extension that opens its store with the core.
fn add_opener(extension: &Extension, bare: &Path) -> Result<()> {
    for file in OPENER {
        extension
            .add_file(file, &fs::read_to_string(bare.join(file)).with_context(|| format!("{file} is missing"))?)?;
    }
    let (from, to) = (bare.join("seal"), extension.dir().join("seal"));
    fs::create_dir_all(&to)?;
    for entry in fs::read_dir(&from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// How long the store takes to open.
async fn open(browser: &Browser, element: &str, owner: &str, runs: usize) -> Result<Samples> {
    own_page::open(browser, "pins.html").await?;
    let times = own_page::call(browser, "openTimes", vec![element.into(), owner.into(), runs.into()]).await?;
    let times: Vec<f64> = serde_json::from_str(times.as_str().context("no times")?)?;
    Ok(times.into_iter().collect())
}

/// How much the extension's database takes on the disk while it is in use, in megabytes.
fn stored(profile: &Path, origin: &str) -> Result<f64> {
    fn below(dir: &Path, origin: &str, inside: bool) -> Result<u64> {
        let mut size = 0;
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let named = entry.file_name().to_string_lossy().contains(origin);
            if entry.file_type()?.is_dir() {
                size += below(&entry.path(), origin, inside || named)?;
            } else if inside {
                size += entry.metadata()?.len();
            }
        }
        Ok(size)
    }
    // Chromium has IndexedDB in a folder of its own, Firefox all that an origin keeps.
    let databases =
        [profile.join("Default/IndexedDB"), profile.join("storage/default")].into_iter().find(|dir| dir.is_dir());
    let size = below(&databases.context("no databases in the profile")?, origin, false)?;
    ensure!(size > 0, "the extension keeps nothing");
    Ok(size as f64 / 1e6)
}
