//! G2 against services that are in trouble for a while: each request of the extension's goes wrong once, in one way a row;
//! and a key server that is slow, then down, then back. The job is finished all the same.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, ensure};
use keystead_testbed::{Action, Answer, Asked, KeyKind, Rule};
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{BrowserKind, Company, PATIENCE};
use reqwest::{Method, header};

use crate::scene::finishes;

/// Fewer requests than this are not a whole set-up's.
const FEWEST: usize = 15;

/// What is wrong once with each request of the extension's.
type Trouble = (&'static str, fn() -> Action);

const TROUBLES: [Trouble; 5] = [
    ("500", || Action::Answer(Answer::matrix_error(500, "M_UNKNOWN"))),
    ("429 with Retry-After", || {
        Action::Answer(Answer::matrix_error(429, "M_LIMIT_EXCEEDED").with_header(header::RETRY_AFTER, "1"))
    }),
    ("401", || Action::Answer(Answer::matrix_error(401, "M_UNKNOWN_TOKEN"))),
    ("the connection lost before the answer", || Action::Drop),
    ("the connection lost after the homeserver has acted", || Action::PassThenDrop),
];

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    for trouble in TROUBLES {
        rows.add_shared(kind, &format!("every request once: {}", trouble.0), troubled(company, kind, trouble));
    }
    rows.add_shared(kind, "a key server that is slow, then down, then back", slow_key_server(company, kind));
}

async fn troubled(company: &Company, kind: BrowserKind, (_, trouble): Trouble) -> Result<()> {
    let (ann, fingerprint) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    let page = desk.element.url();
    let seen: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let met = Arc::clone(&seen);
    let first_of_the_extension = move |asked: &Asked| {
        let origin = asked.headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
        let own = asked.method != Method::OPTIONS && origin != Some(page.as_str());
        own && met.lock().is_ok_and(|mut met| met.insert(format!("{} {}", asked.method, asked.path)))
    };
    desk.homeserver.add(Rule::when("trouble", first_of_the_extension, trouble()));
    let browser = company.browser(kind, company.policy(&desk)).await?;
    browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
    finishes(company, &ann, &fingerprint, &desk, &browser).await?;
    let met = seen.lock().map(|met| met.len()).unwrap_or_default();
    ensure!(met >= FEWEST, "only {met} requests of the extension were disturbed");
    browser.quit().await
}

async fn slow_key_server(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, fingerprint) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    let slow = Action::Delay(Duration::from_secs(3), Box::new(Action::Pass));
    desk.keyserver.add(Rule::on_any("/pks/", slow).times(1));
    desk.keyserver.add(Rule::on_any("/pks/", Action::Drop));
    let browser = company.browser(kind, company.policy(&desk)).await?;
    browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
    browser.wait_for_code("KS-DIR-UNREACHABLE", PATIENCE).await?;
    desk.keyserver.behave();
    finishes(company, &ann, &fingerprint, &desk, &browser).await?;
    browser.quit().await
}
