//! What the host left in the browser before anybody looked: a service worker that makes up what it likes, and files in the
//! browser's cache.

use std::time::Duration;

use anyhow::{Result, ensure};
use keystead_testbed::{Action, Answer, Asked, Rule};
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{Browser, BrowserKind, BrowserOptions, Company, Extension, Guarded, PATIENCE, until};
use reqwest::header::CACHE_CONTROL;
use serde_json::{Value, json};

use crate::scene::{altered_answer, at, shown, wait_for_state, works};

/// It answers every navigation and every script itself.
const WORKER: &str = r#"
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const made = (type, text) => event.respondWith(new Response(text, { headers: { "content-type": type } }));
  const { mode, destination, url } = event.request;
  if (url.includes("/ran/") || url.includes("keystead-manifest")) return;
  if (mode === "navigate") made("text/html", "<title>made up</title><input id=fake><script>PAYLOAD</script>");
  else if (destination === "script") made("text/javascript", "PAYLOAD");
});
"#;

/// Nothing is reported any more that ran before this.
const SETTLED: Duration = Duration::from_secs(1);

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    let name = "what the host left in the browser while nobody looked does not run";
    rows.add(kind, name, left(company, kind));
}

async fn left(company: &Company, kind: BrowserKind) -> Result<()> {
    let guarded = Guarded::start(company).await?;
    let extension = Extension::packed_for_tests(kind)?;
    let policy = guarded.policy(company, "enforce");
    let mut browser = Browser::start(kind, BrowserOptions { extension, policy: policy.clone() }).await?;
    // What was there before is taken away once; what comes while nobody looks, and was there before, comes again.
    wait_for_state(&browser, "protected").await?;
    browser.restart_with(Value::Null).await?;

    // Nobody looks: a changed chunk stays in the cache for a year, and a service worker is there for good.
    let payload = guarded.payload("left");
    let worker = WORKER.replace("PAYLOAD", &payload.trim().replace('"', "'"));
    let is = |path: &'static str| move |asked: &Asked| asked.path == path;
    let html = format!(
        "<title>first</title><script>{payload};navigator.serviceWorker.register(\"/evil-sw.js\").then(() => navigator.serviceWorker.ready).then(() => (document.title = \"left\"))</script>"
    );
    let chunk = altered_answer(&guarded, "/init.js", |bytes| drop(bytes.splice(0..0, payload.bytes())));
    let kept = at("/init.js", Action::Answer(chunk.with_header(CACHE_CONTROL, "max-age=31536000, immutable")));
    guarded.attack(vec![
        Rule::when("worker", is("/evil-sw.js"), Action::Answer(Answer::new(200, "text/javascript", worker))),
        Rule::when("page", is("/first.html"), Action::Answer(Answer::new(200, "text/html", html))),
        kept,
    ]);
    browser.session().goto(guarded.url()).await?;
    works(&browser).await?;
    browser.session().goto(format!("{}/first.html", guarded.url())).await?;
    until("the service worker", PATIENCE, async || Ok((browser.session().title().await? == "left").then_some(())))
        .await?;
    browser.session().goto(guarded.url()).await?;
    let title = browser.session().title().await?;
    ensure!(title == "made up" && guarded.ran().len() >= 2, "the service worker does not serve the page: {title:?}");

    // What has run reports home when the page that it ran in has gone, too.
    browser.session().goto("about:blank").await?;
    let settled = async || {
        let ran = guarded.ran().len();
        tokio::time::sleep(SETTLED).await;
        Ok((guarded.ran().len() == ran).then_some(()))
    };
    until("nothing more to be reported", PATIENCE, settled).await?;
    guarded.behave();
    drop(guarded.host.take_requests());
    browser.restart_with(policy).await?;
    browser.wait_until_installed().await?;
    for _ in 0..3 {
        let _ = browser.session().goto(guarded.url()).await;
        shown(&browser, works(&browser).await).await?;
    }
    let view = wait_for_state(&browser, "protected").await?;
    ensure!(guarded.ran().is_empty(), "payloads ran: {:?}", guarded.ran());
    ensure!(view["refusals"] == json!([]), "refused: {view}");
    browser.quit().await
}
