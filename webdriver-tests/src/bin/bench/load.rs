//! From the start of the page to a login form that is painted, with page integrity off, reporting and enforcing, each with
//! an empty cache and with a full one, by turns.
//!
//! The clock is the page's own: from its time origin until two frames after the form is there.

use anyhow::{Context, Result};
use keystead_webdriver_tests::{Browser, BrowserKind, Company, Guarded, PATIENCE, until};

use crate::figure::{Figure, Samples, Target};

/// In Chromium: so many times as long at most, with an empty cache and with a full one.
const TIMES: [f64; 2] = [1.05, 1.15];
/// In Firefox: so many milliseconds more at most.
const MORE: f64 = 350.0;
/// How long it took, once the form is painted.
const PAINTED: &str = r"
    const done = arguments[0];
    const frame = (then) => window.requestAnimationFrame(then);
    const look = () => {
        if (!document.querySelector('#mx_LoginForm_username')) return;
        watch.disconnect();
        frame(() => frame(() => done(Date.now() - performance.timeOrigin)));
    };
    const watch = new MutationObserver(look);
    watch.observe(document, { childList: true, subtree: true });
    look();
";

/// The first is what the others are measured by.
const MODES: [&str; 3] = ["off", "report", "enforce"];

pub(crate) async fn bench(company: &Company, kind: BrowserKind, runs: usize) -> Result<Vec<Figure>> {
    let mut places = Vec::new();
    for mode in MODES {
        let guarded = Guarded::start(company).await?;
        let browser = company.browser(kind, guarded.policy(company, mode)).await?;
        if mode != "off" {
            let wanted = if mode == "enforce" { "protected" } else { "reporting" };
            until(wanted, PATIENCE, async || Ok((browser.integrity().await?["state"] == wanted).then_some(()))).await?;
        }
        places.push((guarded, browser, [Samples::default(), Samples::default()]));
    }
    for run in 0..=runs {
        for (guarded, browser, samples) in &mut places {
            for (cache, samples) in samples.iter_mut().enumerate() {
                if cache == 0 {
                    browser.empty_cache().await?;
                }
                let time = load(browser, guarded).await.with_context(|| format!("run {run}"))?;
                // The first of all is nobody's usual one.
                samples.extend((run > 0).then_some(time));
            }
        }
    }
    let mut figures = Vec::new();
    let mut places = places.into_iter();
    let (_, browser, off) = places.next().context("nothing was measured")?;
    browser.quit().await?;
    for ((_, browser, samples), mode) in places.zip(&MODES[1..]) {
        browser.quit().await?;
        for (cache, value) in samples.into_iter().enumerate() {
            figures.push(Figure {
                bench: "load",
                figure: format!("login form painted, {mode}, {} cache", ["empty", "full"][cache]),
                browser: Some(kind.name()),
                unit: "ms",
                value,
                against: Some(("off", off[cache].clone())),
                target: Some(match kind {
                    BrowserKind::Chromium => Target::AtMostTimes(TIMES[cache]),
                    BrowserKind::Firefox => Target::AtMostMore(MORE),
                }),
            });
        }
    }
    Ok(figures)
}

async fn load(browser: &Browser, guarded: &Guarded) -> Result<f64> {
    browser.session().goto("about:blank").await?;
    browser.session().goto(format!("{}/#/login", guarded.url())).await?;
    let time = browser.session().execute_async(PAINTED, vec![]).await?;
    time.json().as_f64().context("no time")
}
