//! From login to *complete*, beside the same login without the extension.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::{
    Browser, BrowserKind, BrowserOptions, Company, Desk, Employee, Extension, PATIENCE, State,
};
use serde_json::{Value, json};

use crate::figure::{Figure, Samples, Target};
use crate::requests;
use crate::{bare_browser, own_page};

/// How much longer the login may take than without the extension, in milliseconds.
const MORE: f64 = 400.0;
/// How many times as long the extension's requests may take as a plain client's.
const TIMES: f64 = 2.0;

/// Sends the form, and answers when that was and when Element's own set-up was over, in milliseconds since 1970.
const SEND: &str = r"
    const [done] = arguments;
    const page = window.wrappedJSObject ?? window;
    const sent = Date.now();
    document.querySelector('.mx_Login_submit').click();
    const look = () => {
        if (page.matrixChat?.state?.view === 8) done([sent, Date.now()]);
        else setTimeout(look, 5);
    };
    look();
";

/// Whether Element's own set-up has made everything that it makes.
const SET_UP: &str = r"
    const [done] = arguments;
    const page = window.wrappedJSObject ?? window;
    const crypto = page.mxMatrixClientPeg.get().getCrypto();
    crypto.isCrossSigningReady().then((ready) =>
        crypto.getActiveSessionBackupVersion().then((version) => done(ready && version !== null)), () => done(false));
";

/// What one login with the extension took, in milliseconds.
struct WithKeystead {
    view: f64,
    complete: f64,
    requests: f64,
    floor: f64,
    count: f64,
}

pub(crate) async fn bench(company: &Company, kind: BrowserKind, bare: &Path, runs: usize) -> Result<Vec<Figure>> {
    let (mut with, mut alone) = (Vec::new(), Samples::default());
    for run in 0..runs {
        let measured = with_keystead(company, kind, bare).await.with_context(|| format!("run {run}"))?;
        let page = page_alone(company, kind, bare).await.with_context(|| format!("run {run}, the page alone"))?;
        eprintln!(
            "  {} {run}: complete after {:.0} ms, the view after {:.0}, alone {page:.0}; requests {:.0}, floor {:.0}",
            kind.name(),
            measured.complete,
            measured.view,
            measured.requests,
            measured.floor
        );
        with.push(measured);
        alone.extend([page]);
    }
    let of = |value: fn(&WithKeystead) -> f64| with.iter().map(value).collect::<Samples>();
    let figure = |figure: &str, unit, value, against, target| {
        let (figure, browser) = (figure.to_owned(), Some(kind.name()));
        Figure { bench: "bootstrap", figure, browser, unit, value, against, target }
    };
    let page = || Some(("page alone", alone.clone()));
    let floor = Some(("one after another", of(|run| run.floor)));
    Ok(vec![
        figure("login to complete", "ms", of(|run| run.complete), page(), Some(Target::AtMostMore(MORE))),
        figure("login to Element's view", "ms", of(|run| run.view), page(), None),
        figure("own requests", "ms", of(|run| run.requests), floor, Some(Target::AtMostTimes(TIMES))),
        figure("number of own requests", "requests", of(|run| run.count), None, None),
    ])
}

async fn with_keystead(company: &Company, kind: BrowserKind, bare: &Path) -> Result<WithKeystead> {
    let (who, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    let extension = Extension::packed_for_tests(kind)?;
    own_page::add_to(&extension, bare)?;
    let browser = Browser::start(kind, BrowserOptions { extension, policy: company.policy(&desk) }).await?;
    browser.wait_until_installed().await?;
    own_page::open(&browser, "listen.html").await?;

    let (sent, view) = log_in(&browser, &desk, &who).await?;
    let limit = u64::try_from(PATIENCE.as_millis())?;
    let told = own_page::call(&browser, "toldOf", vec![json!(State::Complete), limit.into()]).await?;
    let complete = told.as_f64().context("no time")?;
    browser.quit().await?;

    let own = requests::own(&desk);
    let floor = requests::floor(&own).await.context("the same requests by a plain client")?;
    Ok(WithKeystead {
        view: view - sent,
        complete: complete - sent,
        requests: millis(requests::under_way(&own)),
        floor: millis(floor),
        count: own.len() as f64,
    })
}

async fn page_alone(company: &Company, kind: BrowserKind, bare: &Path) -> Result<f64> {
    let who = company.hire("ann").await?;
    let desk = company.desk()?;
    let browser = bare_browser(kind, bare).await?;
    let (sent, view) = log_in(&browser, &desk, &who).await?;
    browser.quit().await?;
    company.nothing_set_up(&who).await?;
    Ok(view - sent)
}

/// Logs in; answers when the form was sent and when Element's own set-up was over.
async fn log_in(browser: &Browser, desk: &Desk, who: &Employee) -> Result<(f64, f64)> {
    let session = browser.session();
    session.goto(format!("{}/#/login", desk.element.url())).await?;
    browser.find("#mx_LoginForm_username").await?.send_keys(&who.localpart).await?;
    browser.find("#mx_LoginForm_password").await?.send_keys(&who.password).await?;
    let times: Vec<f64> = session.execute_async(SEND, vec![]).await?.convert()?;
    let [sent, view] = times.try_into().map_err(|_| anyhow::anyhow!("the page did not tell two times"))?;
    let set_up = session.execute_async(SET_UP, vec![]).await?;
    ensure!(*set_up.json() == Value::Bool(true), "Element's own set-up is not over");
    Ok((sent, view))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
