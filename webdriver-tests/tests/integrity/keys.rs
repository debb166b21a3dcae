//! Keys only for a verified document (G6): whoever else asks the bridge gets nothing.

use anyhow::{Context, Result, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{
    Browser, BrowserKind, BrowserOptions, Company, Extension, Guarded, PATIENCE, Site, State, until,
};
use serde_json::{Value, json};

use crate::{
    lab,
    opened::asked,
    scene::{wait_for_state, works},
};

/// A content script that connects as whatever document it is told to, and writes down what it hears.
const EAR: &str = r#"
document.addEventListener("keystead-test-ask", ({ detail }) => {
  const api = globalThis.browser ?? chrome;
  const { name, messages } = JSON.parse(detail);
  const heard = document.documentElement.dataset;
  const port = api.runtime.connect({ name });
  port.onMessage.addListener((message) => (heard.heard = (heard.heard ?? "") + JSON.stringify(message) + "\n"));
  for (const message of messages) port.postMessage(message);
});
"#;
/// Asks as this document, in the name of the session that is logged in.
const ASK_AS: &str = r#"
    const client = page.mxMatrixClientPeg.get();
    const who = { user_id: client.getUserId(), device_id: client.getDeviceId() };
    const session = { tell: "session", ...who, homeserver: client.getHomeserverUrl(), token: client.getAccessToken(), ready: true };
    const messages = [session, { ask: "get", id: 7, ...who, name: "m.cross_signing.master" }];
    delete document.documentElement.dataset.heard;
    document.documentElement.dataset.before = "1";
    document.dispatchEvent(new CustomEvent("keystead-test-ask", { detail: JSON.stringify({ name: arguments[0], messages }) }));
"#;
/// A frame listens for what our content scripts offer each other, and for what they say to the page around it.
const FRAME: &str = r#"
    const frame = document.createElement("iframe");
    page.keysteadHeard = [];
    frame.src = arguments[0];
    document.body.append(frame);
    frame.addEventListener("load", () => (frame.dataset.loaded = frame.contentDocument?.title ?? "?"));
"#;

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add(kind, "no document but the verified one is given keys", only_the_verified(company, kind));
}

async fn only_the_verified(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let site = Site { files: lab::files(), ..Site::default() };
    let guarded = Guarded::start_with(company, site).await?;
    let extension = Extension::packed_for_tests(kind)?;
    extension.listen_before("js/relay.js", EAR)?;
    let policy = guarded.policy(company, "enforce");
    let browser = Browser::start(kind, BrowserOptions { extension, policy }).await?;
    browser.wait_until_installed().await?;
    wait_for_state(&browser, "protected").await?;
    browser.log_in(&guarded.url(), &ann.localpart, &ann.password).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;

    // The document itself is heard, so that what follows says something.
    ensure!(asked(&browser).await? != "no client", "nobody is logged in");
    for name in ["page", "page x", "", "page x first", "page 5d0a4b7e-93f3-4b52-8f0e-6d1f0a1c2b3d later"] {
        let heard = asks_as(&browser, name).await?.context("the page was loaded again")?;
        ensure!(is_refused(&heard)?, "as {name:?} it got {heard}");
    }
    // A document that nobody saw the body of: where bodies are seen, it is loaded again.
    let heard = asks_as(&browser, "page 2f1c7f39-1c5a-4b62-9d2e-0b9d6f0c8a11 first").await?;
    ensure!(heard.as_deref().map_or(Ok(true), is_refused)?, "as another document it got {heard:?}");
    if kind == BrowserKind::Firefox {
        // The answer may come before that.
        until("the page anew", PATIENCE, async || {
            let before = browser.in_page("return Boolean(document.documentElement.dataset.before);", vec![]).await;
            Ok(before.is_ok_and(|before| before == false).then_some(()))
        })
        .await?;
    }
    works(&browser).await?;
    // A frame of the origin, of listed code: nobody speaks to it.
    browser.in_page(FRAME, vec![format!("{}/lab/?listen", guarded.url()).into()]).await?;
    let title = until("the frame", PATIENCE, async || {
        let title =
            browser.in_page("return document.querySelector('iframe[data-loaded]')?.contentDocument.title;", vec![]);
        Ok(title.await?.as_str().filter(|title| title.starts_with("listened")).map(str::to_owned))
    })
    .await?;
    ensure!(title == "listened 0", "a frame was spoken to: {title}");
    // A reload starts again, and the tab's document is heard again.
    browser.session().refresh().await?;
    works(&browser).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    let view = browser.integrity().await?;
    ensure!(view["refusals"] == json!([]), "refused: {view}");
    browser.quit().await
}

/// What is heard as this document; nothing where the page was loaded again instead.
async fn asks_as(browser: &Browser, name: &str) -> Result<Option<String>> {
    browser.in_page(ASK_AS, vec![name.into()]).await?;
    until("an answer", PATIENCE, async || {
        let heard = "const { heard, before } = document.documentElement.dataset; return before ? heard ?? '' : null;";
        let heard = browser.in_page(heard, vec![]).await?;
        match heard.as_str() {
            None => Ok(Some(None)),
            Some(heard) => Ok(heard.contains("\"re\":7").then(|| Some(heard.to_owned()))),
        }
    })
    .await
}

fn is_refused(heard: &str) -> Result<bool> {
    let all: Vec<Value> = heard.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let answer = all.iter().find(|message| message["re"] == 7).context("no answer")?;
    Ok(answer["refused"].is_string() && answer.get("value").is_none())
}
