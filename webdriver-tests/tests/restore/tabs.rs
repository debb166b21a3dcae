//! Two tabs, or two windows, of one browser and one session: whichever of them a set-up or a restore began in, it comes to
//! one end, with one recovery key in force, and nobody is asked twice.
//!
//! Element runs in one of them at a time: the second one takes the session over, and the first one says so. Both are heard
//! by the same background.

use std::cell::Cell;

use anyhow::{Result, ensure};
use keystead_testbed::{Action, Gate, KeyKind, Rule};
use keystead_webdriver_tests::browser::Beside;
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{Browser, BrowserKind, Company, Deployment, Desk, PATIENCE, State};
use reqwest::Method;
use serde_json::json;
use thirtyfour::WebDriver;

use crate::gnupg;
use crate::scene::{by_extension, find, met, one_in_force, set_up};

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    // What is interrupted, and where the other page stands: in the two browsers not the same.
    let (set_up, restore) = match kind {
        BrowserKind::Chromium => (("m.secret_storage.default_key", Beside::Tab), Beside::Window),
        BrowserKind::Firefox => (("io.keystead.recovery", Beside::Window), Beside::Tab),
    };
    rows.add_shared(
        kind,
        "tabs: another one takes over in the middle of a first set-up, and nobody is asked anything",
        in_a_set_up(company, kind, set_up),
    );
    rows.add_shared(
        kind,
        "tabs: another one takes over in the middle of a restore, and nobody is asked twice",
        in_a_restore(company, kind, restore),
    );
}

/// Holds the first request of the extension to this document.
fn hold(desk: &Desk, method: Method, document: &str) -> Gate {
    let gate = Gate::closed();
    let wait = Action::Wait(gate.clone(), Box::new(Action::Pass));
    desk.homeserver.add(Rule::when("held", by_extension(desk, method, document), wait).times(1));
    gate
}

async fn in_a_set_up(company: &Company, kind: BrowserKind, (document, place): (&str, Beside)) -> Result<()> {
    let (ann, certificate) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    let element = desk.element.url();
    let gate = hold(&desk, Method::PUT, document);
    let mut browser = company.browser(kind, company.policy(&desk)).await?;
    browser.log_in(&element, &ann.localpart, &ann.password).await?;
    met(&desk.homeserver, "held", &browser, PATIENCE).await?;
    let first = browser.take_over_beside(&element, place).await?;
    gate.open();
    let asked = Cell::new(0);
    browser.wait_for("Complete", PATIENCE, |seen| counts(&asked, seen) == State::Complete).await?;
    ensure!(asked.get() == 0, "the person was asked");
    asks_nothing(&browser).await?;
    browser.in_tab(&first, async || asks_nothing(&browser).await).await?;
    browser.quit().await?;

    let documents = company.secret_documents(&ann).await?;
    let keys = documents.keys().filter(|kind| kind.starts_with("m.secret_storage.key.")).count();
    let sealed = documents["io.keystead.recovery"]["keys"].as_object().map_or(0, serde_json::Map::len);
    ensure!((keys, sealed) == (1, 1), "{keys} recovery keys, {sealed} sealed recoveries");
    one_in_force(company, &ann, &[&certificate]).await.map(drop)
}

async fn in_a_restore(company: &Company, kind: BrowserKind, place: Beside) -> Result<()> {
    let (scene, first) = set_up(company, kind, json!({})).await?;
    first.quit().await?;
    let element = scene.desk.element.url();
    let before = company.sealed_recovery(&scene.ann).await?.0;
    let gate = hold(&scene.desk, Method::GET, "m.cross_signing.master");
    let laptop = gnupg::laptop(company, &scene).await?;
    let mut browser = gnupg::beside_gnupg(kind, company.policy(&scene.desk), true).await?;
    browser.connect_gnupg_and_listen(&laptop)?;
    browser.wait_until_installed().await?;
    browser.log_in(&element, &scene.ann.localpart, &scene.ann.password).await?;
    // GnuPG has opened the sealed recovery.
    met(&scene.desk.homeserver, "held", &browser, PATIENCE).await?;
    let other = browser.take_over_beside(&element, place).await?;
    gate.open();
    let asked = Cell::new(0);
    browser.wait_for("Believe", PATIENCE, |seen| counts(&asked, seen) == State::Believe).await?;
    // The question stands on two pages: an answer on one is an answer.
    let page = format!("pages/page.html#recover?origin={element}");
    browser.in_own_page_at(&page, async |session| answer_on_one(session, place).await).await?;
    browser.wait_for("Complete", PATIENCE, |seen| counts(&asked, seen) == State::Complete).await?;
    scene.is_whole(company, &browser).await?;
    ensure!(asked.get() == 1, "the person was asked {} times", asked.get());
    ensure!(browser.gnupg_was_asked("decrypt")? == 1, "GnuPG was asked to open it more than once");
    asks_nothing(&browser).await?;
    browser.in_tab(&other, async || asks_nothing(&browser).await).await?;
    browser.quit().await?;
    let after = one_in_force(company, &scene.ann, &[&scene.certificate]).await?;
    ensure!(after == before, "the recovery key was replaced");
    Ok(())
}

/// Counts the times that a question is shown.
fn counts(asked: &Cell<usize>, seen: &Deployment) -> State {
    if seen.progress.question.is_some() {
        asked.set(asked.get() + 1);
    }
    seen.progress.state
}

/// Element shows no dialog, and the popup no question.
async fn asks_nothing(browser: &Browser) -> Result<()> {
    let dialogs = browser.in_page("return document.querySelectorAll('.mx_Dialog').length;", vec![]).await?;
    ensure!(dialogs == 0, "Element asks the person something");
    let status = browser.status().await?;
    ensure!(status.deployments.iter().all(|seen| seen.progress.question.is_none()), "the popup shows: {status}");
    Ok(())
}

/// The person says on one of two pages that the identity is theirs; the other one sees it.
async fn answer_on_one(session: &WebDriver, place: Beside) -> Result<()> {
    let one = session.window().await?;
    let address = session.current_url().await?;
    find(session, "#mine").await?;
    let other = match place {
        Beside::Tab => session.new_tab().await?,
        Beside::Window => session.new_window().await?,
    };
    session.switch_to_window(other.clone()).await?;
    session.goto(address.as_str()).await?;
    find(session, "#mine").await?.click().await?;
    find(session, ".outcome").await?;
    session.close_window().await?;
    session.switch_to_window(one).await?;
    find(session, ".outcome").await?;
    Ok(())
}
