//! From the start of the page to a login form that is painted, with page integrity off, reporting and enforcing, each with
//! an empty cache and with a full one, by turns; how much memory the background has afterwards; and what many scripts cost.
//!
//! The clock is the page's own: from its time origin until two frames after the form is there.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use keystead_webdriver_tests::{Browser, BrowserKind, Company, Guarded, PATIENCE, Site, until};

use crate::figure::{Figure, Samples, Target};
use crate::{bare_browser, memory};

/// In Chromium: so many times as long at most, with an empty cache and with a full one.
const TIMES: [f64; 2] = [1.05, 1.15];
/// In Firefox: so many milliseconds more at most.
const MORE: f64 = 350.0;
/// So many MB of memory at most. In Firefox all extensions are in one process, the browser's own among them: the background
/// has what it adds.
const MEMORY: f64 = 60.0;
/// How many scripts more a release may have.
const MANY: usize = 1000;
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

pub(crate) async fn bench(company: &Company, kind: BrowserKind, bare: &Path, runs: usize) -> Result<Vec<Figure>> {
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
    // A question wakes the background where the browser has stopped it.
    browser.status().await?;
    let mut memories = vec![("off", memory::of_background(&browser)?)];
    browser.quit().await?;
    for ((_, browser, samples), mode) in places.zip(&MODES[1..]) {
        browser.status().await?;
        memories.push((mode, memory::of_background(&browser)?));
        browser.quit().await?;
        for (cache, value) in samples.into_iter().enumerate() {
            figures.push(Figure {
                bench: "load",
                figure: format!("login form painted, {mode}, {} cache", ["empty", "full"][cache]),
                browser: Some(kind.name()),
                unit: "ms",
                value,
                against: Some(("off", off[cache].clone())),
                target: match kind {
                    BrowserKind::Chromium => (*mode == "enforce").then_some(Target::AtMostTimes(TIMES[cache])),
                    BrowserKind::Firefox => Some(Target::AtMostMore(MORE)),
                },
            });
        }
    }
    let bare = bare_browser(kind, bare).await?;
    let floor = Samples::from_iter([memory::of_background(&bare)?]);
    bare.quit().await?;
    figures.extend(memories.into_iter().map(|(mode, size)| Figure {
        bench: "load",
        figure: format!("memory of the background afterwards, {mode}"),
        browser: Some(kind.name()),
        unit: "MB",
        value: Samples::from_iter([size]),
        against: Some(("an extension that only answers", floor.clone())),
        target: Some(match kind {
            BrowserKind::Chromium => Target::AtMost(MEMORY),
            BrowserKind::Firefox => Target::AtMostMore(MEMORY),
        }),
    }));
    if kind == BrowserKind::Chromium {
        figures.extend(many(company, kind, runs).await?);
    }
    Ok(figures)
}

/// Where documents are built with a policy that names every script by its hash: with many scripts more that are listed, and
/// never asked for.
async fn many(company: &Company, kind: BrowserKind, runs: usize) -> Result<[Figure; 2]> {
    const POLICY: &str = r#"
        const policies = [...page.document.querySelectorAll('meta[http-equiv="Content-Security-Policy"]')];
        return policies.reduce((size, { content }) => size + content.length, 0);
    "#;
    let script = |at| (format!("more/{at}.js"), "text/javascript", format!("self.more = {at};\n").into_bytes());
    let mut places = Vec::new();
    for files in [Vec::new(), (0..MANY).map(script).collect()] {
        let guarded = Guarded::start_with(company, Site { files, ..Site::default() }).await?;
        let browser = company.browser(kind, guarded.policy(company, "enforce")).await?;
        let view = async || Ok((browser.integrity().await?["state"] == "protected").then_some(()));
        until("protected", PATIENCE, view).await?;
        places.push((guarded, browser, Samples::default(), Samples::default()));
    }
    for run in 0..=runs {
        for (guarded, browser, times, sizes) in &mut places {
            let time = load(browser, guarded).await.with_context(|| format!("run {run}"))?;
            let size = browser.in_page(POLICY, vec![]).await?.as_f64().context("no policy")?;
            times.extend((run > 0).then_some(time));
            sizes.extend((run > 0).then_some(size / 1000.0));
        }
    }
    let [(_, few, few_times, few_sizes), (_, more, times, sizes)] =
        <[_; 2]>::try_from(places).map_err(|_| anyhow!("nothing was measured"))?;
    few.quit().await?;
    more.quit().await?;
    let figure = |what: &str, unit, value, against| Figure {
        bench: "load",
        figure: format!("{what}, {MANY} scripts more"),
        browser: Some(kind.name()),
        unit,
        value,
        against: Some(("without them", against)),
        target: None,
    };
    Ok([
        figure("login form painted, enforce, full cache", "ms", times, few_times),
        figure("policy in the document", "kB", sizes, few_sizes),
    ])
}

async fn load(browser: &Browser, guarded: &Guarded) -> Result<f64> {
    browser.session().goto("about:blank").await?;
    browser.session().goto(format!("{}/#/login", guarded.url())).await?;
    let time = browser.session().execute_async(PAINTED, vec![]).await?;
    time.json().as_f64().context("no time")
}
