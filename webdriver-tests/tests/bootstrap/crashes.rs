//! G2 in real browsers: a first set-up that is interrupted at any effect and any write is finished at the next start, with
//! one recovery key in force and a sealed recovery for it.
//!
//! The list of places is the trace of an undisturbed run in the same browser, so a new effect is a new place by itself; a
//! place that a run does not come to fails. By default every place is interrupted in one way, each way at every few places;
//! with `KEYSTEAD_EVERY_CRASH` set, every place in every way; `KEYSTEAD_CRASH` picks some by a part of what is printed of
//! them. (The core's own crash tests do so without a browser, at reads
//! of the store and the vault as well: these change nothing that a start could find.)
//!
//! One employee after the other sits down at the same browser, logs in, is interrupted, and logs out when all is well.

use std::fmt;
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use keystead_testbed::{Action, Answer, Asked, KeyKind, Proxy, Rule};
use keystead_webdriver_tests::rows::{Rows, note};
use keystead_webdriver_tests::{
    Browser, BrowserKind, BrowserOptions, Company, Desk, Employee, Extension, PATIENCE, State, until,
};
use percent_encoding::percent_decode_str;
use reqwest::Method;
use tokio::sync::OnceCell;

use crate::scene::{finishes, log_out};

const TAP: &str = include_str!("../../taps/crash.js");
const BACKGROUND: &str = "js/background.js";
/// A trace shorter than this is not a whole set-up.
const SHORTEST: usize = 25;
/// The places are shared out among so many rows, which run side by side where there are lanes for them.
const PARTS: usize = 2;

/// How a run is interrupted at a place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Crash {
    /// The browser stops the background.
    Background,
    /// The person closes the tab, and opens Element in another.
    Tab,
    /// The browser is killed, and started again on its profile.
    Browser,
    /// The network is gone, and comes back.
    Network,
}

const CRASHES: [Crash; 4] = [Crash::Background, Crash::Tab, Crash::Browser, Crash::Network];

/// The end of an effect: its name, and how often there was one of that name.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Place {
    name: String,
    nth: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.nth {
            1 => f.write_str(&self.name),
            nth => write!(f, "{} ({nth})", self.name),
        }
    }
}

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    let trace = Rc::new(OnceCell::new());
    for part in 0..PARTS {
        let name = format!("interrupted at every effect and every write ({} of {PARTS})", part + 1);
        rows.add_shared(kind, &name, everywhere(company, kind, Rc::clone(&trace), part));
    }
}

async fn everywhere(company: &Company, kind: BrowserKind, trace: Rc<OnceCell<Vec<Place>>>, part: usize) -> Result<()> {
    let mut table = None;
    let trace =
        trace.get_or_try_init(async || table.insert(Table::lay(company, kind).await?).undisturbed(company).await);
    let trace = trace.await?;
    table = reusable(table, kind).await?;
    ensure!(trace.len() >= SHORTEST, "a trace of {} effects is not a whole set-up", trace.len());
    let only = std::env::var("KEYSTEAD_CRASH").ok();
    let mut failed = Vec::new();
    let mut rows = 0;
    for (index, place) in trace.iter().enumerate().filter(|(index, _)| index % PARTS == part) {
        for crash in ways(index, kind) {
            let row = format!("{crash:?} lost after {place}");
            if only.as_deref().is_some_and(|only| !row.contains(only)) {
                continue;
            }
            let doing = async {
                let table = match table.take() {
                    Some(table) => table,
                    None => Table::lay(company, kind).await?,
                };
                // A table where something failed is not laid again.
                table.interrupted(company, place, crash).await
            };
            rows += 1;
            match note(kind, &row, doing).await {
                Ok(whole) => table = reusable(Some(whole), kind).await?,
                Err(_) => failed.push(row),
            }
        }
    }
    ensure!(failed.is_empty(), "{} of {rows}: {}", failed.len(), failed.join("; "));
    match table {
        Some(table) => table.browser.quit().await,
        None => Ok(()),
    }
}

/// The table for the next row. Firefox closes the databases of a client that has ended when it collects garbage, and a new
/// login in the same page waits for that, a minute sometimes: there every row has a browser of its own.
async fn reusable(table: Option<Table>, kind: BrowserKind) -> Result<Option<Table>> {
    match table {
        Some(table) if kind == BrowserKind::Firefox => table.browser.quit().await.map(|()| None),
        table => Ok(table),
    }
}

/// The effects up to the end of the first run. What the client's own sync shows may begin another one at once, or not: its
/// places do not come every time.
fn first_run(mut names: Vec<String>) -> Vec<String> {
    let looks =
        |name: &String| name.starts_with("POST /_matrix/client/v3/keys/query + GET /_matrix/client/v3/room_keys");
    let proves = |name: &String| {
        name.starts_with("GET account_data/m.secret_storage.default_key + GET account_data/m.secret_storage.key.ID + GET account_data/io.keystead.recovery")
    };
    let proven = names.iter().position(proves).unwrap_or(names.len());
    let again = names.iter().skip(proven).position(looks).map_or(names.len(), |after| proven + after);
    names.truncate(again);
    // What is kept of people's keys is written when the page is answered, not by the run.
    names.retain(|name| !name.starts_with("put records/pin"));
    names
}

/// In which ways a place is interrupted; in the two browsers not in the same. In Firefox, where every row needs a browser of
/// its own, every third place is, unless everything is wanted.
fn ways(index: usize, kind: BrowserKind) -> impl Iterator<Item = Crash> {
    let every = std::env::var_os("KEYSTEAD_EVERY_CRASH").is_some_and(|value| !value.is_empty());
    let (shift, wanted) = match kind {
        BrowserKind::Chromium => (index, true),
        // Of each part every third one, and still in all ways by turns.
        BrowserKind::Firefox => (index / 4 + index % PARTS, (index / PARTS).is_multiple_of(3)),
    };
    CRASHES
        .into_iter()
        .enumerate()
        .filter(move |(way, _)| every || (wanted && shift % CRASHES.len() == *way))
        .map(|(_, crash)| crash)
}

/// A browser that tells every effect to a witness, and lets no run know that the effect is over before the witness says so.
struct Table {
    desk: Desk,
    browser: Browser,
    witness: Proxy,
}

impl Table {
    async fn lay(company: &Company, kind: BrowserKind) -> Result<Self> {
        let desk = company.desk()?;
        let witness = Proxy::start("http://127.0.0.1:9")?;
        witness.add(pass());
        let extension = Extension::packed_for_tests(kind)?;
        extension.replace_in(BACKGROUND, "api.runtime.onConnect.addListener(", "keysteadOnConnect(")?;
        extension.listen_before(BACKGROUND, &TAP.replace("WITNESS", &witness.url()))?;
        let browser = Browser::start(kind, BrowserOptions { extension, policy: company.policy(&desk) }).await?;
        browser.wait_until_installed().await?;
        Ok(Self { desk, browser, witness })
    }

    async fn log_in(&self, who: &Employee) -> Result<()> {
        self.browser.log_in(&self.desk.element.url(), &who.localpart, &who.password).await
    }

    /// The places of a run that nothing interrupts, in their order.
    async fn undisturbed(&self, company: &Company) -> Result<Vec<Place>> {
        let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
        drop(self.witness.take_requests());
        self.log_in(&ann).await?;
        self.browser.wait_for_state(State::Complete, PATIENCE).await?;
        let mut places: Vec<Place> = Vec::new();
        let names = self.witness.requests().iter().filter_map(|it| effect(&it.asked)).collect();
        for name in first_run(names) {
            let nth = 1 + places.iter().filter(|place| place.name == name).count();
            places.push(Place { name, nth });
        }
        log_out(&self.browser).await?;
        Ok(places)
    }

    async fn interrupted(mut self, company: &Company, place: &Place, crash: Crash) -> Result<Self> {
        let (ann, fingerprint) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
        drop(self.witness.take_requests());
        let name = place.name.clone();
        let hold = Rule::when("held", move |asked| effect(asked).as_ref() == Some(&name), Action::Stall);
        self.witness.set_rules([hold.skip(place.nth - 1).times(1), pass()]);
        self.log_in(&ann).await?;
        let held = async || {
            let held = self.witness.requests().iter().any(|it| it.rule.as_deref() == Some("held"));
            if held { Ok(Some(())) } else { bail!("the popup shows: {}", self.browser.status().await?) }
        };
        until(&place.to_string(), PATIENCE, held).await?;
        self.crash(crash).await.context("while it was interrupted")?;
        finishes(company, &ann, &fingerprint, &self.desk, &self.browser).await?;
        log_out(&self.browser).await?;
        Ok(self)
    }

    async fn crash(&mut self, crash: Crash) -> Result<()> {
        let element = self.desk.element.url();
        match crash {
            Crash::Background => self.browser.stop_background().await,
            Crash::Tab => {
                self.browser.open_elsewhere(&element).await?;
                self.release();
                Ok(())
            }
            Crash::Browser => {
                let stored = self.browser.local_storage().await?;
                self.browser.kill()?;
                self.browser.start_again().await?;
                self.browser.wait_until_installed().await?;
                self.browser.open_after_crash(&element, stored).await
            }
            Crash::Network => {
                self.desk.homeserver.cut();
                self.desk.keyserver.cut();
                self.release();
                until("somebody to tell of the network", PATIENCE, async || self.network_is_missed().await).await?;
                self.desk.homeserver.mend();
                self.desk.keyserver.mend();
                // Element's own set-up does not begin again by itself.
                if self.elements_set_up().await?.as_deref() == Some("error") {
                    self.browser.press("Retry").await
                } else {
                    Ok(())
                }
            }
        }
    }

    /// The popup tells of the network; or, before there is a run, Element itself.
    async fn network_is_missed(&self) -> Result<Option<()>> {
        let status = self.browser.status().await?;
        let progress = &status.deployments.first().context("no deployment")?.progress;
        let told = matches!(progress.state, State::Failed | State::Waiting | State::Complete);
        let before = progress.step.is_none()
            && (self.elements_set_up().await?.as_deref() == Some("error") || self.sync_is_lost().await?);
        if told || before { Ok(Some(())) } else { bail!("the popup shows: {status}") }
    }

    async fn sync_is_lost(&self) -> Result<bool> {
        let script = "return page.mxMatrixClientPeg?.get?.()?.getSyncState?.() ?? null;";
        let state = self.browser.in_page(script, vec![]).await?;
        Ok(["ERROR", "RECONNECTING"].contains(&state.as_str().unwrap_or_default()))
    }

    /// How far Element's own set-up is.
    async fn elements_set_up(&self) -> Result<Option<String>> {
        let status = self.browser.in_page("return page.mxInitialCryptoStore?.status ?? null;", vec![]).await?;
        Ok(status.as_str().map(str::to_owned))
    }

    /// Lets the effect that is held be over.
    fn release(&self) {
        self.witness.cut();
        self.witness.mend();
    }
}

fn pass() -> Rule {
    Rule::on_any("/", Action::Answer(Answer::new(200, "text/plain", "")))
}

/// The name of the effect that the tap tells of. Reading the policy, which browsers hand over in their own time, is no part
/// of a run.
fn effect(asked: &Asked) -> Option<String> {
    let name = asked.query.strip_prefix("name=").filter(|_| asked.path == "/point" && asked.method == Method::GET)?;
    let name = percent_decode_str(name).decode_utf8_lossy().into_owned();
    (!name.contains("policy")).then_some(name)
}
