//! G3: where the recovery key is not. One first login with ears in the page and in the background; then every place is
//! searched, each for a planted control first.

use std::fs;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keystead_testbed::{Action, Answer, KeyKind, Proxy, Rule};
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::search::{Needle, check, check_files};
use keystead_webdriver_tests::{
    Browser, BrowserKind, BrowserOptions, Company, Employee, Extension, PATIENCE, State, until,
};
use reqwest::Method;
use serde_json::{Value, json};

const STORAGES: &str = include_str!("../../taps/storages.js");
const PAGE: &str = include_str!("../../taps/page.js");
const BACKGROUND: &str = include_str!("../../taps/background.js");
const TAP: &str = include_str!("../../taps/tap.html");
/// The folder-relative names of the extension's own scripts.
const HOOK: &str = "js/hook.js";
const BACKGROUND_JS: &str = "js/background.js";
/// How much of a memory one WebDriver answer carries.
const PART: u64 = 4 << 20;

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add(kind, "where the recovery key is not", nowhere(company, kind));
}

async fn nowhere(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    let witness = Proxy::start("http://127.0.0.1:9")?;
    witness.add(Rule::on_any("/", Action::Answer(Answer::new(200, "text/plain", ""))));
    let extension = Extension::packed_for_tests(kind)?;
    extension.listen_before(HOOK, &format!("{STORAGES}\n{PAGE}"))?;
    extension.listen_before(BACKGROUND_JS, &BACKGROUND.replace("WITNESS", &witness.url()))?;
    extension.add_file("storages.js", STORAGES)?;
    extension.add_file("tap.html", TAP)?;
    let mut policy = company.policy(&desk);
    policy["log_level"] = json!("debug");
    let browser = Browser::start(kind, BrowserOptions { extension, policy }).await?;
    browser.wait_until_installed().await?;
    browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;

    let (_, recovery_key) = company.open_sealed_recovery(&ann).await?;
    let secret = Needle::of_recovery_key(&recovery_key)?;
    let control = Needle::random()?;
    drop(recovery_key);

    let texts = json!(control.texts());
    let plant = "return page.keysteadPlant(arguments[0], arguments[1]);";
    browser.in_page(plant, vec![texts.clone(), json!(control.bytes())]).await?;
    let storages = browser.in_page("return page.keysteadStorages();", vec![]).await?;
    check("page storages", text(&storages)?.as_bytes(), &control, &["base58", "hex", "base64 at 0"], &[&secret])?;

    browser.in_page("return page.keysteadPlantMessage(arguments[0]);", vec![texts[0].clone()]).await?;
    let messages = browser.in_page("return page.keysteadMessages();", vec![]).await?;
    check("messages to the page", text(&messages)?.as_bytes(), &control, &["base58"], &[&secret])?;

    let memories =
        browser.in_page("return page.keysteadPlantInMemory(arguments[0]);", vec![json!(control.bytes())]).await?;
    ensure!(memories.as_u64().is_some_and(|count| count > 0), "the page has no WASM memory: {memories}");
    check("WASM memory of the page", &memory(&browser).await?, &control, &["raw"], &[&secret])?;

    browser.in_page("page.console.log(arguments[0]);", vec![texts[0].clone()]).await?;
    check("console", browser.console().await?.as_bytes(), &control, &["base58"], &[&secret])?;

    extensions_own(&browser, &witness, &control, &secret).await?;
    homeserver(company, &ann, &control, &secret).await?;

    let planted = ["raw", "base58"];
    check_files("profile while logged in", &browser.profile(), &control, &planted, &[&secret])?;
    browser.in_page("page.mxDispatcher.dispatch({ action: 'logout' });", vec![]).await?;
    browser.wait_for_state(State::SignedOut, PATIENCE).await?;
    check_files("profile after logout", &browser.profile(), &control, &planted, &[&secret])?;
    let profile = browser.close().await?;
    check_files("profile of a closed browser", &profile.path(), &control, &planted, &[&secret])
}

async fn extensions_own(browser: &Browser, witness: &Proxy, control: &Needle, secret: &Needle) -> Result<()> {
    let arguments = vec![json!(control.texts()), json!(control.bytes())];
    let stored = browser.in_own_page_at("tap.html", async |session| {
        let plant =
            "const page = window.wrappedJSObject ?? window; return page.keysteadPlant(arguments[0], arguments[1]);";
        session.execute(plant, arguments).await?;
        let read = "const page = window.wrappedJSObject ?? window; return page.keysteadStorages();";
        let stored = session.execute(read, vec![]).await?.json().clone();
        let log = "const page = window.wrappedJSObject ?? window; const api = page.browser ?? page.chrome;
            api.runtime.sendMessage(JSON.parse(arguments[0]));";
        let words = json!({ "plant_in_log": control.texts()[0] }).to_string();
        session.execute(log, vec![words.into()]).await?;
        Ok(stored)
    });
    let stored = stored.await?;
    check("extension's storages", text(&stored)?.as_bytes(), control, &["base58", "hex"], &[secret])?;
    let logged = async || {
        let lines: Vec<u8> = witness.requests().into_iter().flat_map(|request| request.asked.body).collect();
        Ok(control.found_in(&lines).contains(&"base58").then_some(lines))
    };
    let lines = until("the control in the extension's log", PATIENCE, logged).await?;
    check("extension's log", &lines, control, &["base58"], &[secret])
}

async fn homeserver(company: &Company, ann: &Employee, control: &Needle, secret: &Needle) -> Result<()> {
    company.put_account_data(ann, "org.example.control", &json!({ "texts": control.texts() })).await?;
    let asked = format!("/_matrix/client/v3/profile/@{}:localhost", control.texts()[1]);
    company.synapse.call(Method::GET, &asked, None, None).await?;
    let logged = async || {
        let log = fs::read(company.synapse.log_file())?;
        Ok(control.found_in(&log).contains(&"hex").then_some(log))
    };
    let log = until("the control in the homeserver's log", PATIENCE, logged).await?;
    check("homeserver's log", &log, control, &["hex"], &[secret])?;
    check_files("homeserver's files", company.synapse.dir(), control, &["base58", "base64 at 0"], &[secret])
}

/// All memories of the page's WASM.
async fn memory(browser: &Browser) -> Result<Vec<u8>> {
    let sizes = browser.in_page("return page.keysteadMemories();", vec![]).await?;
    let mut all = Vec::new();
    for (index, size) in sizes.as_array().context("no memories")?.iter().enumerate() {
        let size = size.as_u64().context("no size")?;
        for from in (0..size).step_by(usize::try_from(PART)?) {
            let script = "return page.keysteadMemory(arguments[0], arguments[1], arguments[2]);";
            let part = browser.in_page(script, vec![json!(index), json!(from), json!(PART)]).await?;
            all.extend(STANDARD.decode(text(&part)?)?);
        }
    }
    Ok(all)
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("no text: {value}"))
}
