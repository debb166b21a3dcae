//! The page of the extension's own folder that listens to the background.

use std::path::Path;

use anyhow::{Context, Result, bail};
use keystead_webdriver_tests::{Browser, Extension};
use serde_json::Value;
use thirtyfour::WebDriver;

/// The page's files.
const FILES: [&str; 2] = ["listen.html", "listen.js"];
/// Calls a function of the page's, and answers what it resolves to.
const CALL: &str = r"
    const [name, argument, done] = arguments;
    const page = window.wrappedJSObject ?? window;
    page[name](...argument).then((answer) => done({ answer }), (error) => done({ error: String(error) }));
";

/// Puts the page into an extension that does not have it.
pub(crate) fn add_to(extension: &Extension, bare: &Path) -> Result<()> {
    for file in FILES {
        let text = std::fs::read_to_string(bare.join(file)).with_context(|| format!("{file} is missing"))?;
        extension.add_file(file, &text)?;
    }
    Ok(())
}

/// Shows a page of the extension's folder in the window of its own pages.
pub(crate) async fn open(browser: &Browser, file: &str) -> Result<()> {
    browser
        .in_own_page(async |session| {
            let url = session.current_url().await?.join(&format!("/{file}"))?;
            Ok(session.goto(url.as_str()).await?)
        })
        .await
}

/// Calls a function of the page that is shown there.
pub(crate) async fn call(browser: &Browser, name: &str, arguments: Vec<Value>) -> Result<Value> {
    browser.in_own_page(async |session| call_here(session, name, arguments).await).await
}

async fn call_here(session: &WebDriver, name: &str, arguments: Vec<Value>) -> Result<Value> {
    let arguments = vec![name.into(), arguments.into()];
    let mut answer = session.execute_async(CALL, arguments).await?.json().clone();
    if let Some(error) = answer["error"].as_str() {
        bail!("{name}: {error}");
    }
    Ok(answer["answer"].take())
}
