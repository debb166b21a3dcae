//! The same in a frame of the deployment's own, verified document: what is not as listed does not run there either.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{Browser, BrowserKind, Company, Guarded};
use serde_json::json;

use crate::scene::{Attack, Cache, Then, behave, guarded, in_turn, note, refused, shown, works};
use crate::{documents, files};

/// How long a frame is watched in which nothing is to happen.
const WATCHED: Duration = Duration::from_secs(2);

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    let name = "in a frame: a document that is not as listed is not shown";
    rows.add_shared(kind, name, tampered_documents(company, kind));
    rows.add_shared(kind, "in a frame: a file that is not as listed does not run", tampered_files(company, kind));
}

async fn tampered_documents(company: &Company, kind: BrowserKind) -> Result<()> {
    let (guarded, browser) = guarded(company, kind).await?;
    for cache in [Cache::Empty, Cache::Full] {
        tampered(&guarded, &browser, cache, in_turn(documents::attacks(&guarded), kind, cache)).await?;
    }
    browser.quit().await
}

async fn tampered_files(company: &Company, kind: BrowserKind) -> Result<()> {
    let (guarded, browser) = guarded(company, kind).await?;
    // Only a client that is logged in asks for these, and there is one such client in a browser. (Chromium reads workers
    // before the page's first script.)
    let mut later = vec!["the crypto WASM"];
    if kind == BrowserKind::Firefox {
        later.extend(["a dedicated worker", "what a worker imports"]);
    }
    for cache in [Cache::Empty, Cache::Full] {
        let mut attacks = files::attacks(&guarded);
        attacks.retain(|attack| !later.contains(&attack.name));
        tampered(&guarded, &browser, cache, in_turn(attacks, kind, cache)).await?;
    }
    browser.quit().await
}

async fn tampered(guarded: &Guarded, browser: &Browser, cache: Cache, attacks: Vec<Attack>) -> Result<()> {
    let kind = browser.kind();
    let mut wrong = Vec::new();
    for attack in attacks {
        let (started, name) = (Instant::now(), attack.name);
        behave(browser, guarded).await?;
        browser.session().goto(guarded.url()).await?;
        works(browser).await?;
        // The document around it had them all.
        if matches!(cache, Cache::Empty) {
            browser.empty_cache().await?;
        }
        let outcome = shown(browser, withstood(browser, guarded, attack).await).await;
        let told = outcome.as_deref().map_or_else(|error| format!("FAILED {error:#}"), str::to_owned);
        note(&format!(
            "        {:5.1} s  {:8}  framed, {cache:?}: {name}: {told}",
            started.elapsed().as_secs_f64(),
            kind.name()
        ));
        wrong.extend(outcome.err().map(|error| format!("{name}: {error:#}")));
    }
    let ran = guarded.ran();
    ensure!(ran.is_empty(), "payloads ran: {ran:?}");
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

async fn withstood(browser: &Browser, guarded: &Guarded, attack: Attack) -> Result<String> {
    const FRAME: &str =
        "page.framed = document.body.appendChild(document.createElement('iframe')); page.framed.src = arguments[0];";
    const FORM: &str = "return Boolean(page.framed?.contentDocument?.querySelector('#fake'));";
    let ran = guarded.ran().len();
    guarded.attack(attack.rules);
    browser.in_page(FRAME, vec![format!("{}/{}", guarded.url(), attack.path).into()]).await?;
    let told = match attack.then {
        Then::Refused(codes) => refused(browser, codes).await?,
        then => {
            let began = Instant::now();
            while began.elapsed() < WATCHED {
                ensure!(browser.in_page(FORM, vec![]).await? != true, "the host's form is there");
            }
            let view = browser.integrity().await?;
            ensure!(!matches!(then, Then::Works) || view["refusals"] == json!([]), "refused: {}", view["refusals"]);
            view["refusals"][0]["code"].as_str().unwrap_or("not refused").to_owned()
        }
    };
    ensure!(guarded.ran().len() == ran, "a payload ran");
    Ok(told)
}
