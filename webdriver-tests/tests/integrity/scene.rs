//! How attacks begin, and what must come of them.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use keystead_testbed::{Action, Answer, Asked, KeyKind, Recorded, Rule};
use keystead_webdriver_tests::{Browser, BrowserKind, Company, Employee, Guarded, PATIENCE, Site, State, until};
use serde_json::{Value, json};

/// One way in which the host is hostile.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) rules: Vec<Rule>,
    /// What is opened; the page itself where it is empty.
    pub(crate) path: String,
    pub(crate) then: Then,
}

/// What must come of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    /// It is refused, with one of these codes, and the tab shows why.
    Refused(&'static [&'static str]),
    /// Element works.
    Works,
    /// The page of the lab says this, and nothing is refused.
    Says(&'static str),
    /// The page of the lab says that it begins so; whether the rest is known as a refusal is the browser's business.
    Refuses(&'static str),
    /// The page is there, and does not go away.
    Unrun,
    /// What is served never ends: nothing of it is shown.
    Unpainted,
}

/// What the browser has of the files before each attack.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cache {
    /// Nothing.
    Empty,
    /// All that a page needs, as it is listed.
    Full,
    /// What the attack before left.
    Left,
}

pub(crate) const CHANGED: Then = Then::Refused(&["KS-INT-CHANGED"]);
pub(crate) const UNLISTED: Then = Then::Refused(&["KS-INT-UNLISTED"]);

/// A browser whose organisation guards its Element Web.
pub(crate) async fn guarded(company: &Company, kind: BrowserKind) -> Result<(Guarded, Browser)> {
    guarded_with(company, kind, Site::default()).await
}

/// The same, with more.
pub(crate) async fn guarded_with(company: &Company, kind: BrowserKind, site: Site) -> Result<(Guarded, Browser)> {
    let guarded = Guarded::start_with(company, site).await?;
    let browser = company.browser(kind, guarded.policy(company, "enforce")).await?;
    wait_for_state(&browser, "protected").await?;
    Ok((guarded, browser))
}

/// The same, with somebody whose first set-up is complete.
pub(crate) async fn logged_in(company: &Company, kind: BrowserKind) -> Result<(Employee, Guarded, Browser)> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let (guarded, browser) = guarded(company, kind).await?;
    browser.log_in(&guarded.url(), &ann.localpart, &ann.password).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    Ok((ann, guarded, browser))
}

/// Waits until page integrity stands so.
pub(crate) async fn wait_for_state(browser: &Browser, wanted: &str) -> Result<Value> {
    let what = format!("integrity: {wanted}");
    let seen = until(&what, PATIENCE, async || {
        let view = browser.integrity().await?;
        if view["state"] == wanted { Ok(Some(view)) } else { bail!("the popup shows {view}") }
    });
    seen.await
}

/// Everything is as it should be again.
pub(crate) async fn behave(browser: &Browser, guarded: &Guarded) -> Result<()> {
    guarded.behave();
    browser.ask(&json!({ "ask": "integrity_again", "origin": guarded.host.url() })).await?;
    Ok(())
}

/// Waits until the page that explains a refusal is there.
pub(crate) async fn wait_for_refusal(browser: &Browser) -> Result<()> {
    until("the page that explains it", PATIENCE, async || {
        let shown = browser.session().current_url().await?;
        Ok(shown.as_str().contains("#refused").then_some(()))
    })
    .await
}

/// Waits until something is refused, with one of these codes.
pub(crate) async fn refused(browser: &Browser, codes: &[&str]) -> Result<String> {
    let first = until("a refusal", PATIENCE, async || {
        let view = browser.integrity().await?;
        let code = view["refusals"][0]["code"].as_str().map(str::to_owned);
        code.map(Some).context("nothing was refused")
    });
    let code = first.await?;
    ensure!(codes.contains(&&*code), "refused with {code}");
    Ok(code)
}

/// Of these attacks, those that this browser tries with such a cache: it takes every second one with each, and the other
/// browser the rest. With `KEYSTEAD_EVERY_CACHE` set each takes all.
pub(crate) fn in_turn(attacks: Vec<Attack>, kind: BrowserKind, cache: Cache) -> Vec<Attack> {
    let every = std::env::var_os("KEYSTEAD_EVERY_CACHE").is_some_and(|value| !value.is_empty());
    let first = matches!(cache, Cache::Empty) == (kind == BrowserKind::Chromium);
    // By its name: what is tried in one browser only must not move the rest.
    let is_its =
        |attack: &Attack| every || attack.name.bytes().fold(0, |sum: u8, byte| sum ^ byte) % 2 == u8::from(first);
    attacks.into_iter().filter(is_its).collect()
}

/// Runs attacks one after the other in one browser, and tells of each: the payloads that ran, what is painted, the code, the
/// time.
pub(crate) async fn withstand(browser: &Browser, guarded: &Guarded, cache: Cache, attacks: Vec<Attack>) -> Result<()> {
    let mut wrong = Vec::new();
    for attack in attacks {
        match cache {
            Cache::Empty => browser.empty_cache().await?,
            Cache::Full => {
                browser.session().goto(guarded.url()).await?;
                works(browser).await?;
            }
            Cache::Left => {}
        }
        let started = Instant::now();
        let (name, ran, asked) = (attack.name, guarded.ran().len(), guarded.host.requests().len());
        let mut outcome = shown(browser, withstand_one(browser, guarded, attack).await).await;
        let ran = guarded.ran().split_off(ran);
        if !ran.is_empty() {
            outcome = Err(anyhow!("payloads ran: {ran:?}"));
        }
        let outcome = outcome.map_err(|error| error.context(format!("asked for: {}", paths(guarded, asked))));
        let told = match &outcome {
            Ok(told) => format!("{told}; {}", painted(browser).await?),
            Err(error) => format!("FAILED {error:#}"),
        };
        let [kind, seconds] = [browser.kind().name(), &format!("{:5.1}", started.elapsed().as_secs_f64())];
        note(&format!("        {seconds} s  {kind:8}  {cache:?}: {name}: {} payloads ran; {told}", ran.len()));
        wrong.extend(outcome.err().map(|error| format!("{name}: {error:#}")));
        behave(browser, guarded).await?;
    }
    // What began late shows here.
    let ran = guarded.ran();
    ensure!(ran.is_empty(), "payloads ran: {ran:?}");
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// What was asked for since, and what came of it.
fn paths(guarded: &Guarded, since: usize) -> String {
    let requests = guarded.host.requests().into_iter().skip(since);
    let told = |request: Recorded| {
        let name = request.asked.path.rsplit_once('/').map_or("", |(_, name)| name).to_owned();
        format!("{name} {}{}", request.status.unwrap_or(0), if request.rule.is_some() { "*" } else { "" })
    };
    requests.map(told).collect::<Vec<_>>().join(", ")
}

#[allow(clippy::print_stdout)]
pub(crate) fn note(line: &str) {
    println!("{line}");
}

/// What a person sees.
async fn painted(browser: &Browser) -> Result<String> {
    const SEEN: &str = "const text = document.body?.innerText ?? '';
        return [location.protocol, document.title, text.replace(/\\s+/g, ' ').slice(0, 40), document.querySelectorAll('input').length];";
    let seen = browser.in_page(SEEN, vec![]).await?;
    Ok(format!("painted {seen}"))
}

async fn withstand_one(browser: &Browser, guarded: &Guarded, attack: Attack) -> Result<String> {
    let Attack { rules, path, then, .. } = attack;
    guarded.attack(rules);
    let url = format!("{}/{path}", guarded.url());
    if matches!(then, Then::Unpainted) {
        return unpainted(browser, guarded, &url).await;
    }
    // A page that gives way to another never finishes loading.
    let _ = browser.session().goto(&url).await;
    let unrefused = async || {
        let view = browser.integrity().await?;
        ensure!(view["refusals"] == json!([]), "refused: {}", view["refusals"]);
        Ok("not refused".to_owned())
    };
    match then {
        Then::Refused(codes) => {
            let code = refused(browser, codes).await?;
            wait_for_refusal(browser).await?;
            let card = format!("[data-code=\"{code}\"]");
            browser.find(&card).await.context("the page does not show the code")?;
            Ok(code)
        }
        Then::Works => {
            works(browser).await?;
            unrefused().await
        }
        Then::Says(wanted) => {
            says(browser, wanted).await?;
            unrefused().await
        }
        Then::Refuses(wanted) => {
            let refused = until("a refusal", PATIENCE, async || {
                let here = browser.session().current_url().await?;
                let title = browser.session().title().await?;
                Ok((here.as_str().contains("#refused") || title.starts_with(wanted)).then_some(()))
            });
            refused.await?;
            let view = browser.integrity().await?;
            Ok(view["refusals"][0]["code"].as_str().unwrap_or("blocked").to_owned())
        }
        Then::Unrun => {
            let there = "return document.body?.innerText;";
            let seen = until("the page", PATIENCE, async || {
                let here = browser.session().current_url().await?;
                let text = browser.in_page(there, vec![]).await?;
                Ok((here.as_str().contains("#refused") || text.is_string()).then_some(()))
            });
            seen.await?;
            let view = browser.integrity().await?;
            Ok(view["refusals"][0]["code"].as_str().unwrap_or("blocked").to_owned())
        }
        Then::Unpainted => bail!("not opened so"),
    }
}

/// Waits until the page of the lab says this.
async fn says(browser: &Browser, wanted: &str) -> Result<()> {
    until(&format!("{wanted:?}"), Duration::from_secs(20), async || {
        let title = browser.session().title().await?;
        if title == wanted { Ok(Some(())) } else { bail!("it says {title:?}") }
    })
    .await
}

/// How long a document that never ends is watched.
const WATCHED: Duration = Duration::from_secs(3);

/// A document comes bit by bit and never ends: the host's form is not there at any time, and Element is there or nothing.
async fn unpainted(browser: &Browser, guarded: &Guarded, url: &str) -> Result<String> {
    const OPEN: &str = "page.opened = page.open(arguments[0]); return Boolean(page.opened);";
    const FORM: &str = "return Boolean(page.opened.document.querySelector('#fake'));";
    let before = guarded.host.requests().len();
    // Seen from a document of the same origin: WebDriver would wait for the end of the one that it shows itself.
    ensure!(browser.in_page(OPEN, vec![url.into()]).await? == true, "no window opened");
    until("the request", PATIENCE, async || {
        let requests = guarded.host.requests();
        let answered = |request: &&Recorded| request.status.is_some() && request.asked.path.ends_with('/');
        Ok(requests.iter().skip(before).find(answered).map(|_| ()))
    })
    .await?;
    let began = Instant::now();
    let mut views = 0;
    while began.elapsed() < WATCHED {
        ensure!(browser.in_page(FORM, vec![]).await? != true, "the host's form is there");
        views += 1;
    }
    browser.in_page("page.opened.close();", vec![]).await?;
    Ok(format!("looked {views} times"))
}

/// With what is shown, where something went wrong.
pub(crate) async fn shown<T>(browser: &Browser, outcome: Result<T>) -> Result<T> {
    let Err(error) = outcome else { return outcome };
    let url = browser.session().current_url().await?;
    let text = "const frame = document.querySelector('iframe')?.contentDocument;
        return [page.matrixChat?.state?.view, document.readyState, document.title, document.body?.innerText?.slice(0, 300),
            frame && [frame.readyState, frame.URL, frame.documentElement?.outerHTML.slice(0, 400)]];";
    let text = browser.in_page(text, vec![]).await?;
    let view = browser.integrity().await?;
    let output = browser.output()?;
    let said: Vec<_> = output
        .lines()
        .filter(|line| (line.contains("rror") || line.contains("blocked")) && !line.contains("Favicon"))
        .rev()
        .take(12)
        .collect();
    Err(error.context(format!("{url} shows {text}; integrity: {view}; {}", said.join("\n"))))
}

/// Element shows its welcome, its login form, or the person's rooms.
pub(crate) async fn works(browser: &Browser) -> Result<()> {
    let seen = until("Element", Duration::from_secs(20), async || {
        let view = browser.view().await?;
        Ok(matches!(view, Some(2 | 3 | 8)).then_some(()))
    });
    seen.await
}

/// For what lies at a path that ends so.
pub(crate) fn at(end: &'static str, action: Action) -> Rule {
    Rule::when(end, move |asked: &Asked| asked.path.ends_with(end), action)
}

/// What the release has in the file whose path ends so, changed, whatever the browser has of it already.
pub(crate) fn altered(guarded: &Guarded, end: &'static str, change: impl FnOnce(&mut Vec<u8>)) -> Rule {
    at(end, Action::Answer(altered_answer(guarded, end, change)))
}

/// The same as an answer.
pub(crate) fn altered_answer(guarded: &Guarded, end: &str, change: impl FnOnce(&mut Vec<u8>)) -> Answer {
    let mut bytes = bytes(guarded.desk.element.dir(), end).unwrap_or_default();
    change(&mut bytes);
    let content_type = match end.rsplit('.').next() {
        Some("js") => "text/javascript",
        Some("wasm") => "application/wasm",
        _ => "text/html",
    };
    Answer::new(200, content_type, bytes)
}

/// The page's own HTML, with this in its head.
pub(crate) fn page_with(guarded: &Guarded, html: &str) -> Vec<u8> {
    let page = bytes(guarded.desk.element.dir(), "/index.html").unwrap_or_default();
    String::from_utf8_lossy(&page).replacen("<title>", &format!("{html}<title>"), 1).into_bytes()
}

fn bytes(dir: &Path, end: &str) -> Option<Vec<u8>> {
    for entry in std::fs::read_dir(dir).ok()? {
        let path = entry.ok()?.path();
        let found =
            if path.is_dir() { bytes(&path, end) } else { std::fs::read(&path).ok().filter(|_| ends(&path, end)) };
        if found.is_some() {
            return found;
        }
    }
    None
}

fn ends(path: &Path, end: &str) -> bool {
    path.to_str().is_some_and(|path| path.ends_with(end))
}

/// Another text in the place of one in it.
pub(crate) fn replaced(old: &'static str, new: String) -> Action {
    Action::rewrite(move |_, mut answer: Answer| {
        let text = String::from_utf8_lossy(&answer.body).replacen(old, &new, 1);
        answer.body = text.into_bytes();
        answer
    })
}
