//! Where files are only compared: everything runs, and what is not as listed is told of. Where that ends and known code only
//! may run, what was there before is loaded again without anybody losing a word.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::fit::{LANGUAGES, fits};
use keystead_webdriver_tests::rows::{Rows, output_dir};
use keystead_webdriver_tests::{
    Browser, BrowserKind, BrowserOptions, Company, Extension, Guarded, PATIENCE, State, until,
};
use serde_json::{Value, json};
use thirtyfour::By;
use thirtyfour::extensions::query::ElementQueryable as _;

use crate::opened::asked;
use crate::scene::{altered, shown, wait_for_refusal, wait_for_state};

/// How many files a page has loaded by the time somebody is logged in, at least.
const LOADED: u64 = 4;
const COMPOSER: &str = ".mx_BasicMessageComposer_input";
const DRAFT: &str = "not finished yet";
const ENTER: &str = "\u{e007}";
/// For how long somebody writes: longer than the extension waits where nobody does.
const WRITES: Duration = Duration::from_secs(8);
/// How long a browser takes to stop it.
const STOPS: Duration = Duration::from_secs(1);
/// By then a background that was started anew has looked at every tab.
const SETTLES: Duration = Duration::from_secs(4);

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    let name = "where files are only compared, what is changed runs, and is told of; then known code only, without a lost word";
    rows.add(kind, name, told(company, kind));
}

async fn told(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let bob = company.hire("bob").await?;
    let guarded = Guarded::start(company).await?;
    let policy = |mode: &str| {
        let mut policy = guarded.policy(company, mode);
        policy["evidence"] = json!({ "url": guarded.it.url() });
        policy
    };
    // The person's own policy can be another one while the browser runs.
    let extension = Extension::packed_for_tests(kind)?;
    let browser = Browser::start(kind, BrowserOptions { extension, policy: Value::Null }).await?;
    save(&browser, &policy("report")).await?;
    browser.wait_until_installed().await?;
    wait_for_state(&browser, "reporting").await?;
    browser.log_in(&guarded.url(), &ann.localpart, &ann.password).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    let compared = until("files that were compared", PATIENCE, async || {
        let view = browser.integrity().await?;
        Ok((view["checked"].as_u64() >= Some(LOADED)).then_some(view))
    });
    let compared = compared.await?;
    ensure!(compared["refusals"] == json!([]) && compared["problem"].is_null(), "as listed, and told of: {compared}");
    ensure!(compared["state"] == "reporting" && badge(&browser).await?.is_empty(), "called for nothing: {compared}");
    let mut phone = company.follow(&bob, &json!({ "identity": "make", "invite": [ann.user_id] })).await?;
    company.join(&ann, &phone.room_id).await?;
    browser.show_room(&phone.room_id).await?;
    // A room that is newer than what Element saved last is not there at once after a reload.
    browser.in_page("page.mxMatrixClientPeg.get().store.save?.(true);", vec![]).await?;

    let payload = guarded.payload("compared");
    guarded.attack(vec![altered(&guarded, "/init.js", |bytes| drop(bytes.splice(0..0, payload.bytes())))]);
    browser.empty_cache().await?;
    browser.session().refresh().await?;
    browser.wait_until_logged_in().await?;
    let changed = |view: &Value| {
        let all = view["refusals"].as_array().cloned().unwrap_or_default();
        let of = |one: &&Value| one["url"].as_str().is_some_and(|url| url.ends_with("/init.js"));
        all.iter().find(of).map(|one| one["code"].clone())
    };
    let code = until("what was changed", PATIENCE, async || Ok(changed(&browser.integrity().await?)));
    ensure!(code.await? == "KS-INT-CHANGED");
    ensure!(guarded.ran().iter().any(|path| path.ends_with("compared")), "it was held back");
    let shows = browser.session().current_url().await?;
    ensure!(shows.as_str().starts_with(&guarded.host.url()), "the tab shows {shows}");
    let entry = until("IT being told", PATIENCE, async || Ok(guarded.told().into_iter().next()));
    let entry = entry.await.context("what was changed")?;
    ensure!(entry["happened"] == "refused" && entry["code"] == "KS-INT-CHANGED", "IT was told {entry}");
    wait_for_state(&browser, "differs").await?;
    says_so(&browser, &payload).await?;
    looks(&browser, &guarded, policy("report")).await?;

    browser.show_room(&phone.room_id).await?;
    browser.find(COMPOSER).await?.send_keys(DRAFT).await?;
    let ran = guarded.ran().len();
    save(&browser, &policy("enforce")).await?;
    shown(&browser, browser.find("keystead-update").await).await?;
    browser.picture(&output_dir()?.join(format!("enrolled-{}.png", kind.name()))).await?;
    let view = shown(&browser, wait_for_state(&browser, "waiting").await).await?;
    ensure!(view["refusals"] == json!([]), "refused before anything was: {view}");
    let got = asked(&browser).await?;
    ensure!(got == "refused", "a page from before asked the bridge and got {got}");
    let draft = "return document.querySelector(arguments[0])?.innerText.trim() ?? '';";
    let began = Instant::now();
    while began.elapsed() < WRITES {
        ensure!(browser.in_page(draft, vec![COMPOSER.into()]).await? == DRAFT, "the page was loaded again by itself");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    // Sent, nothing is left that could be lost: the page is loaded again by itself, and what was changed is covered.
    browser.find(COMPOSER).await?.send_keys(ENTER).await?;
    phone.reads(DRAFT).await?;
    shown(&browser, wait_for_refusal(&browser).await).await?;
    ensure!(guarded.ran().len() == ran, "it ran once more");
    evidence(&browser, &guarded, &payload).await?;
    guarded.behave();
    browser.press("Try again").await?;
    shown(&browser, browser.wait_until_logged_in().await).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    wait_for_state(&browser, "protected").await?;
    until("no call", PATIENCE, async || Ok(badge(&browser).await?.is_empty().then_some(()))).await?;
    stopped(&browser, &phone.room_id).await?;
    browser.quit().await
}

/// A browser stops the background where nothing happens for a while. It knows the page again that it verified: nothing that
/// somebody writes in it is lost.
async fn stopped(browser: &Browser, room_id: &str) -> Result<()> {
    browser.show_room(room_id).await?;
    browser.find(COMPOSER).await?.send_keys(DRAFT).await?;
    browser.in_page("document.documentElement.dataset.same = 'yes';", vec![]).await?;
    for _ in 0..2 {
        browser.stop_background().await?;
        // What is sent to one that is just being stopped gets no answer. The popup starts it.
        tokio::time::sleep(STOPS).await;
        wait_for_state(browser, "protected").await?;
        let began = Instant::now();
        while began.elapsed() < SETTLES {
            let same = browser.in_page("return document.documentElement.dataset.same ?? 'another';", vec![]).await?;
            ensure!(same == "yes", "a verified page was loaded again");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        ensure!(browser.find("keystead-update").await.is_err(), "a verified page is told to be from before");
        ensure!(badge(browser).await?.is_empty(), "called for nothing");
        // It is heard: who is logged in is known by its word alone.
        browser.wait_for_state(State::Complete, PATIENCE).await?;
    }
    Ok(())
}

/// Saves the person's own policy.
async fn save(browser: &Browser, policy: &Value) -> Result<()> {
    let saved = browser.ask(&json!({ "ask": "save_own_policy", "policy": policy })).await?;
    ensure!(saved.is_null(), "the policy is not taken: {saved}");
    Ok(())
}

/// What stands on the toolbar button.
async fn badge(browser: &Browser) -> Result<String> {
    const BADGE: &str = r"
        const done = arguments[0];
        const page = window.wrappedJSObject ?? window;
        (page.browser ?? page.chrome).action.getBadgeText({}).then((text) => done(text), (error) => done(String(error)));
    ";
    browser
        .in_own_page(async |session| {
            let text = session.execute_async(BADGE, vec![]).await?.json().clone();
            Ok(text.as_str().context("no text")?.to_owned())
        })
        .await
}

/// The popup says what differs, and has a file for IT; the badge calls.
async fn says_so(browser: &Browser, payload: &str) -> Result<()> {
    until("the badge", PATIENCE, async || Ok((badge(browser).await? == "!").then_some(()))).await?;
    let saved = browser.downloads().join("keystead-evidence.json");
    let said = browser.in_own_page_at("pages/page.html#popup", async |session| {
        // It is drawn anew whenever something changes.
        let said = until("the words", PATIENCE, async || {
            let card = session.find(By::Css("[data-integrity=differs]")).await?;
            Ok(Some(card.text().await?))
        });
        let said = said.await?;
        let pressed = async || {
            session.find(By::Css("#tell-0")).await?.click().await?;
            Ok(Some(()))
        };
        until("the button", PATIENCE, pressed).await?;
        let file = until("the file for IT", PATIENCE, async || Ok(read(&saved))).await?;
        Ok((said, file))
    });
    let (said, file) = said.await?;
    ensure!(said.contains("/init.js") && said.contains("differ: 1"), "the popup says {said:?}");
    ensure!(said.contains("Since ") && said.contains("Nothing is held back"), "the popup says {said:?}");
    is_evidence(browser.kind(), &file, payload)
}

fn read(file: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

/// What IT is given of what is refused now.
async fn evidence(browser: &Browser, guarded: &Guarded, payload: &str) -> Result<()> {
    let ask = json!({ "ask": "integrity_evidence", "origin": guarded.host.url() });
    let kept = until("what was served", PATIENCE, async || {
        let kept = browser.ask(&ask).await?;
        let since = kept["now"]["refusals"][0]["since"].as_u64();
        let is_of_it = kept["last"]["at"].as_u64().zip(since).is_some_and(|(at, since)| at >= since);
        Ok(is_of_it.then_some(kept))
    });
    let kept = kept.await?;
    ensure!(kept["enforced"] == true, "it is said of another mode: {kept}");
    is_evidence(browser.kind(), &kept, payload)
}

/// It has the bytes of the changed chunk, the header fields that they came with, and to whom.
fn is_evidence(kind: BrowserKind, kept: &Value, payload: &str) -> Result<()> {
    let last = &kept["last"];
    let served = &last["served"];
    let url = last["refused"]["url"].as_str().unwrap_or_default();
    ensure!(url.ends_with("/init.js"), "it is about {url:?}");
    let body = STANDARD.decode(served["base64"].as_str().context("no bytes")?)?;
    ensure!(body.starts_with(payload.as_bytes()), "other bytes");
    let headers = served["headers"].as_array().context("no header fields")?;
    let is_type =
        |header: &&Value| header["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case("content-type"));
    let content_type = headers.iter().find(is_type).and_then(|header| header["value"].as_str());
    ensure!(
        content_type.is_some_and(|value| value.starts_with("text/javascript")),
        "the header fields are {headers:?}"
    );
    let seen = match kind {
        BrowserKind::Chromium => "asked_again",
        BrowserKind::Firefox => "by_the_page",
    };
    ensure!(served["seen"] == seen && served["status"] == 200, "it was served {} {}", served["seen"], served["status"]);
    ensure!(last["manifest"]["serial"] == 2, "the manifest is {}", last["manifest"]);
    Ok(())
}

/// What differs fits, in the popup and on a page of its own, in every language, light and dark. Leaves pictures.
async fn looks(browser: &Browser, guarded: &Guarded, mut policy: Value) -> Result<()> {
    let origin = guarded.host.url();
    let origin = percent_encoding::utf8_percent_encode(&origin, percent_encoding::NON_ALPHANUMERIC);
    let page = format!("pages/page.html#refused?origin={origin}");
    for language in LANGUAGES {
        policy["language"] = language.into();
        save(browser, &policy).await?;
        browser.wait_for_state(State::Complete, PATIENCE).await?;
        for (dark, scheme) in [(true, "dark"), (false, "light")] {
            for (name, path, place, width) in [
                ("popup", "pages/page.html#popup", "[data-integrity=differs]", 420),
                ("page", &*page, "[data-code]", 900),
            ] {
                let picture = format!("differs-{name}-{language}-{scheme}-{}.png", browser.kind().name());
                let picture = output_dir()?.join(picture);
                let looked = browser.in_own_page_at(path, async |session| {
                    browser.prefer_dark(dark).await?;
                    session.set_window_rect(0, 0, width, 1300).await?;
                    session.query(By::Css(place)).wait(PATIENCE, Duration::from_millis(50)).first().await?;
                    // What is under way turns, and sticks out while it does; another run may have begun.
                    let busy = session.query(By::Css(".banner.busy")).wait(PATIENCE, Duration::from_millis(50));
                    ensure!(busy.not_exists().await?, "something is under way all the time");
                    session.find(By::Css("body")).await?.screenshot(&picture).await?;
                    fits(session, "#view").await
                });
                looked.await.with_context(|| format!("{name}, {language}, {scheme}"))?;
            }
        }
    }
    Ok(())
}
