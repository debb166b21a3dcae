//! The background from nothing to its first answer, beside a background that does nothing but answer.
//!
//! The browser stops the background; an own page asks what the popup asks, and waits. So the browser's own time to start
//! a background is in the figure; how much that is, the other extension tells.

use std::path::Path;

use anyhow::{Context, Result};
use keystead_testbed::{Gpg, KeyKind, KeySpec, free_port};
use keystead_webdriver_tests::{Browser, BrowserKind, BrowserOptions, Extension};
use serde_json::json;

use crate::figure::{Figure, Samples, Target};
use crate::{bare_browser, own_page};

/// From nothing to the first answer, in milliseconds.
const TARGET: f64 = 80.0;

pub(crate) async fn bench(gpg: &Gpg, kind: BrowserKind, bare: &Path, runs: usize) -> Result<Vec<Figure>> {
    let rivals = [installed(gpg, kind, bare).await?, bare_browser(kind, bare).await?];
    for browser in &rivals {
        own_page::open(browser, "listen.html").await?;
    }
    let mut samples = [Samples::default(), Samples::default()];
    for run in 0..runs {
        for (browser, samples) in rivals.iter().zip(&mut samples) {
            browser.stop_background().await.with_context(|| format!("run {run}"))?;
            let time = own_page::call(browser, "answerTime", vec![]).await?;
            samples.extend(time.as_f64());
        }
    }
    for browser in rivals {
        browser.quit().await?;
    }
    let [value, floor] = samples;
    Ok(vec![Figure {
        bench: "wasm",
        figure: "cold start of the background to its first answer".to_owned(),
        browser: Some(kind.name()),
        unit: "ms",
        value,
        against: Some(("one that only answers", floor)),
        target: Some(Target::AtMost(TARGET)),
    }])
}

/// A browser with the extension and a policy as companies have it, on duty as between two logins.
async fn installed(gpg: &Gpg, kind: BrowserKind, bare: &Path) -> Result<Browser> {
    let extension = Extension::packed_for_tests(kind)?;
    own_page::add_to(&extension, bare)?;
    // Nobody has to be there: the background only answers its own page.
    let element = format!("http://127.0.0.1:{}", free_port()?);
    let certifier = gpg.generate(&KeySpec::new("IT <it@example.org>", KeyKind::Ed25519)).await?;
    let policy = json!({
        "deployments": [{ "origin": element, "homeserver": element, "server_name": "localhost" }],
        "directory": {
            "hkp": [element],
            "address_template": "{localpart}@example.org",
            "certifiers": [gpg.export(&certifier).await?],
        },
    });
    let browser = Browser::start(kind, BrowserOptions { extension, policy }).await?;
    browser.wait_until_installed().await?;
    Ok(browser)
}
