//! What is refused is opened only where the policy has it, without keys; and IT is told of what happens.

use anyhow::{Result, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::rows::{Rows, output_dir};
use keystead_webdriver_tests::{Browser, BrowserKind, Company, Guarded, PATIENCE, State, Term, until};
use serde_json::{Value, json};

use crate::scene::{altered, shown, wait_for_refusal, wait_for_state, works};

const OPEN: &str = "Open it all the same";
/// What a page asks of the bridge, and whether it got it.
const ASK: &str = r"
    const done = arguments[0];
    const page = window.wrappedJSObject ?? window;
    const client = page.mxMatrixClientPeg?.get();
    if (!client) done('no client');
    else client.secretStorage.get('m.cross_signing.master').then(
        (secret) => done(secret ? 'a secret' : 'nothing'),
        () => done('refused'),
    );
";

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add_shared(
        kind,
        "what was refused is opened once, where the policy has it, without keys",
        once(company, kind),
    );
    rows.add_shared(kind, "a manifest that ends soon is told of", ends_soon(company, kind));
}

/// What the bridge gives to the page.
pub(crate) async fn asked(browser: &Browser) -> Result<Value> {
    Ok(browser.session().execute_async(ASK, vec![]).await?.json().clone())
}

async fn once(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let guarded = Guarded::start(company).await?;
    let mut policy = guarded.policy(company, "enforce");
    policy["integrity"]["override"] = "once".into();
    policy["evidence"] = json!({ "url": guarded.it.url() });
    let browser = company.browser(kind, policy).await?;
    wait_for_state(&browser, "protected").await?;
    browser.log_in(&guarded.url(), &ann.localpart, &ann.password).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;

    let payload = guarded.payload("opened");
    guarded.attack(vec![altered(&guarded, "/init.js", |bytes| drop(bytes.splice(0..0, payload.bytes())))]);
    let _ = browser.session().refresh().await;
    wait_for_refusal(&browser).await?;
    ensure!(guarded.ran().is_empty(), "it ran before anybody opened it");
    browser.picture(&output_dir()?.join(format!("refused-open-{}.png", kind.name()))).await?;
    browser.press(OPEN).await?;
    let opened = until("Element with what was opened", PATIENCE, async || {
        works(&browser).await?;
        Ok((guarded.ran() == ["/ran/opened"]).then_some(()))
    });
    shown(&browser, opened.await).await?;
    let got = until("the bridge's answer", PATIENCE, async || {
        let got = asked(&browser).await?;
        Ok((got != "no client").then_some(got))
    })
    .await?;
    ensure!(got == "refused", "a page that is not verified asked the bridge and got {got}");

    // Once: the next document is judged as ever.
    let _ = browser.session().refresh().await;
    shown(&browser, wait_for_refusal(&browser).await).await?;
    ensure!(guarded.ran().len() == 1, "it ran again");
    // Other bytes in its place are not what was opened.
    browser.press(OPEN).await?;
    let other = guarded.payload("other");
    guarded.attack(vec![altered(&guarded, "/init.js", |bytes| drop(bytes.splice(0..0, other.bytes())))]);
    until("the new refusal", PATIENCE, async || {
        let view = browser.integrity().await?;
        Ok((view["refusals"].as_array().map_or(0, Vec::len) > 1).then_some(()))
    })
    .await
    .or_else(|error| if guarded.ran().iter().any(|path| path.ends_with("other")) { Err(error) } else { Ok(()) })?;
    ensure!(!guarded.ran().iter().any(|path| path.ends_with("other")), "bytes that nobody was shown ran");

    let told = until("IT to be told", PATIENCE, async || {
        let told: Vec<_> = guarded.told().iter().map(|entry| entry["happened"].clone()).collect();
        Ok((told.len() >= 3).then_some(told))
    })
    .await?;
    ensure!(told[..2] == ["refused", "opened"], "IT was told {told:?}");
    browser.quit().await
}

async fn ends_soon(company: &Company, kind: BrowserKind) -> Result<()> {
    let guarded = Guarded::start(company).await?;
    let soon = guarded.another_for(3, Term::days(6)).await?;
    guarded.publish(&soon, &company.gpg.sign_detached(&soon, &guarded.signer).await?);
    let mut policy = guarded.policy(company, "enforce");
    policy["evidence"] = json!({ "url": guarded.it.url() });
    let browser = company.browser(kind, policy).await?;
    let view = wait_for_state(&browser, "protected").await?;
    ensure!(view["warning"] == "KS-INT-EXPIRING", "the popup shows {view}");
    ensure!(view["may_open"] == false, "the policy lets nobody open anything");
    let told = until("IT to be told", PATIENCE, async || Ok(guarded.told().pop())).await?;
    ensure!(told["happened"] == "warned" && told["code"] == "KS-INT-EXPIRING", "IT was told {told}");
    ensure!(told["serial"] == 3 && told["expires"] == view["expires"], "IT was told {told}");
    // Looking again tells nobody again.
    browser.ask(&json!({ "ask": "integrity_again", "origin": guarded.host.url() })).await?;
    browser.ask(&json!({ "ask": "integrity_again", "origin": guarded.host.url() })).await?;
    ensure!(guarded.told().len() == 1, "IT was told {:?}", guarded.told());
    browser.session().goto(guarded.url()).await?;
    works(&browser).await?;
    browser.quit().await
}
