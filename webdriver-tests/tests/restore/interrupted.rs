//! A sample of the core's crash matrix (`tests/account`) in real browsers: a restore, an adoption and a rotation are
//! interrupted at an effect, and the next start finishes the job, with one recovery key in force that gpg opens.
//!
//! By default two thirds of what can be combined of flows and ways, shared by the browsers, each at one place; with
//! `KEYSTEAD_EVERY_CRASH` set, every way at every place in both. `KEYSTEAD_CRASH` picks some by a part of what is printed of them.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use keystead_testbed::{Action, Answer, KeyKind, KeySpec, Rule};
use keystead_webdriver_tests::rows::{Rows, note};
use keystead_webdriver_tests::{Browser, BrowserKind, Company, Deployment, Desk, Employee, PATIENCE, State, until};
use reqwest::Method;
use reqwest::header::RETRY_AFTER;
use serde_json::{Value, json};

use crate::scene::{Scene, by_extension, met, one_in_force, set_up_at};

/// How long a homeserver that has enough asks to be left alone.
const LEFT_ALONE: Duration = Duration::from_secs(2);
/// How long a look at the recipients takes at most, and how many there are: while something settles, none is made.
const A_LOOK: Duration = Duration::from_secs(5);
const LOOKS: usize = 4;
/// The name of the rule that interrupts.
const HELD: &str = "held";

/// What is interrupted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Flow {
    /// Another recovery key, because a certificate was revoked that opens the one in force.
    Rotate,
    /// A new session in the browser that has the wrapping key.
    Restore,
    /// Somebody else's secret storage, on a session that has all that is in it.
    Adopt,
}

/// In this order: nobody is set up after an escrow certificate was revoked; and who opens what was restored is the
/// homeserver's word, so that a rotation waits for a day there.
const FLOWS: [Flow; 3] = [Flow::Adopt, Flow::Rotate, Flow::Restore];

impl Flow {
    /// Requests of the extension that it consists of.
    fn places(self) -> [(Method, &'static str); 3] {
        let writes = |document| (Method::PUT, document);
        match self {
            Self::Restore => [
                (Method::GET, "/account_data/m.cross_signing.self_signing"),
                (Method::GET, "/account_data/io.keystead.recovery"),
                // Element's own, and the last: what is vouched for has everything.
                (Method::POST, SIGNATURES),
            ],
            Self::Adopt | Self::Rotate => [
                writes("/account_data/io.keystead.recovery"),
                writes("/account_data/m.cross_signing.user_signing"),
                writes("/account_data/m.secret_storage.default_key"),
            ],
        }
    }
}

const SIGNATURES: &str = "/keys/signatures/upload";

/// How it is interrupted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    /// The browser stops the background.
    Background,
    /// The browser is killed, and started again on its profile.
    Browser,
    /// The network is gone, and comes back.
    Network,
    /// The homeserver fails once.
    Status500,
    /// The homeserver has enough, and says until when.
    Status429,
}

const WAYS: [Way; 5] = [Way::Background, Way::Browser, Way::Network, Way::Status500, Way::Status429];

/// One interruption.
struct Interruption {
    flow: Flow,
    way: Way,
    place: (Method, &'static str),
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flow, way, place: (method, path) } = self;
        write!(f, "{flow:?}: {way:?} at {method} {}", path.rsplit_once('/').map_or(*path, |(_, name)| name))
    }
}

/// Those of a browser, in the order in which one person after the other can meet them.
fn interruptions(kind: BrowserKind) -> Vec<Interruption> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (every, only) = (set("KEYSTEAD_EVERY_CRASH").is_some(), set("KEYSTEAD_CRASH"));
    let own = usize::from(kind == BrowserKind::Firefox);
    let mut all = Vec::new();
    for (at, flow) in FLOWS.into_iter().enumerate() {
        for (turn, way) in WAYS.into_iter().enumerate() {
            for (index, place) in flow.places().into_iter().enumerate() {
                if every || ((at * WAYS.len() + turn) % 3 == own && turn % 3 == index) {
                    all.push(Interruption { flow, way, place });
                }
            }
        }
    }
    all.retain(|one| only.as_deref().is_none_or(|only| one.to_string().contains(only)));
    all
}

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    let name = "interrupted: the next start finishes a restore, an adoption, a rotation";
    rows.add_shared(kind, name, interrupted(company, kind));
}

async fn interrupted(company: &Company, kind: BrowserKind) -> Result<()> {
    let all = interruptions(kind);
    let mut escrow = Vec::new();
    for _ in all.iter().filter(|one| one.flow == Flow::Rotate) {
        let spec = KeySpec::new("Escrow <escrow@example.org>", KeyKind::Ed25519);
        let fingerprint = company.gpg.generate(&spec).await?;
        let certificate = company.gpg.export(&fingerprint).await?;
        company.sks.add_key(&certificate).await?;
        escrow.push((fingerprint, certificate));
    }
    let certificates: Vec<_> = escrow.iter().map(|(_, certificate)| certificate.clone()).collect();
    let desk = Rc::new(company.desk()?);
    let mut policy = company.policy(&desk);
    policy["restore"] = json!({ "retain_after_logout": "always" });
    if !certificates.is_empty() {
        policy["escrow"] = json!({ "certificates": certificates });
    }
    let browser = company.browser(kind, policy).await?;
    let escrow = escrow.into_iter().map(|(fingerprint, _)| fingerprint).collect();
    let mut table = Table { company, desk, browser, escrow, ann: None };
    let (rows, mut passed) = (all.len(), 0);
    for one in all {
        // Whoever sits down at a table where something failed would only fail too.
        note(kind, &one.to_string(), table.row(&one)).await?;
        passed += 1;
    }
    ensure!(rows > 0 && passed == rows, "{passed} of {rows} rows");
    table.browser.quit().await
}

/// One browser, and one person after the other at it.
struct Table<'c> {
    company: &'c Company,
    desk: Rc<Desk>,
    browser: Browser,
    /// Who may open what is sealed beside the person, and is not revoked yet.
    escrow: Vec<String>,
    /// Who is set up, once somebody is.
    ann: Option<Rc<Scene>>,
}

impl Table<'_> {
    async fn row(&mut self, one: &Interruption) -> Result<()> {
        match one.flow {
            Flow::Rotate => self.rotate(one).await,
            Flow::Restore => self.restore(one).await,
            Flow::Adopt => self.adopt(one).await,
        }
    }

    /// Somebody who is set up, and logged in.
    async fn ann(&mut self) -> Result<Rc<Scene>> {
        if let Some(ann) = &self.ann {
            return Ok(Rc::clone(ann));
        }
        self.stand_up().await?;
        let ann = Rc::new(set_up_at(self.company, Rc::clone(&self.desk), &self.browser).await?);
        self.ann = Some(Rc::clone(&ann));
        Ok(ann)
    }

    /// Whoever is logged in logs out.
    async fn stand_up(&self) -> Result<()> {
        let status = self.browser.status().await?;
        let somebody = status.deployments.iter().any(|deployment| deployment.account.is_some());
        if somebody { self.browser.log_out().await } else { Ok(()) }
    }

    async fn rotate(&mut self, one: &Interruption) -> Result<()> {
        let scene = self.ann().await?;
        let (company, ann) = (self.company, scene.ann.clone());
        let (before, _) = company.sealed_recovery(&ann).await?;
        let revoked = self.escrow.pop().context("nobody is left")?;
        company.sks.add_key(&company.gpg.revoked(&revoked).await?).await?;
        self.lay(one);
        for _ in 0..LOOKS {
            self.a_minute_later(&ann).await?;
            self.browser.tell(&self.retry()).await?;
            if met(&self.desk.homeserver, HELD, &self.browser, A_LOOK).await.is_ok() {
                break;
            }
        }
        self.interrupt(one).await?;
        let renewed = |seen: &Deployment| {
            let compromised = &seen.progress.rotation["compromised"];
            compromised.is_object() && compromised["backup"].is_null()
        };
        let replaced = async || Ok(company.sealed_recovery(&ann).await?.0 != before);
        self.finish(&ann, renewed, replaced).await?;
        // Nobody logs out before: Element warns of it.
        until("the old message's key in the new backup", PATIENCE, async || {
            Ok((company.backed_up_keys(&ann).await? > 0).then_some(()))
        })
        .await?;
        self.one_in_force(&ann, &scene.certificate).await
    }

    async fn restore(&mut self, one: &Interruption) -> Result<()> {
        let scene = self.ann().await?;
        let ann = scene.ann.clone();
        let (before, _) = self.company.sealed_recovery(&ann).await?;
        self.browser.log_out().await?;
        self.lay(one);
        self.browser.log_in(&self.desk.element.url(), &ann.localpart, &ann.password).await?;
        self.interrupt(one).await?;
        let browser = &self.browser;
        let has_backup_key = async || browser.page_has_backup_key().await;
        self.finish(&ann, |_| true, has_backup_key).await?;
        scene.is_whole(self.company, &self.browser).await?;
        self.one_in_force(&ann, &scene.certificate).await?;
        ensure!(self.company.sealed_recovery(&ann).await?.0 == before, "the recovery key was replaced");
        Ok(())
    }

    async fn adopt(&mut self, one: &Interruption) -> Result<()> {
        let (company, element) = (self.company, self.desk.element.url());
        let (cat, certificate) = company.hire_with_key("cat", KeyKind::Ed25519).await?;
        let own = company.client("own-recovery", &cat, &json!({ "logout": true })).await?;
        let recovery_key = own["recoveryKey"].as_str().context("no recovery key")?;
        let identity = company.identity(&cat).await?;
        self.stand_up().await?;
        self.browser.log_in(&element, &cat.localpart, &cat.password).await?;
        self.browser.wait_for_state(State::Adopt, PATIENCE).await?;
        self.lay(one);
        self.browser.press("Use recovery key").await?;
        self.browser.find("#mx_securityKey").await?.send_keys(recovery_key).await?;
        self.browser.press("Continue").await?;
        self.browser.press("Done").await?;
        self.interrupt(one).await?;
        let adopted = async || Ok(company.sealed_recovery(&cat).await.is_ok_and(|(id, _)| own["keyId"] != *id));
        self.finish(&cat, |_| true, adopted).await?;
        self.one_in_force(&cat, &certificate).await?;
        let opened = company.client("open", &cat, &json!({ "recoveryKey": recovery_key })).await?;
        ensure!(opened["publicKeysMatch"] == true, "their own recovery key opens something else");
        ensure!(company.identity(&cat).await? == identity, "the identity was replaced");
        Ok(())
    }

    fn retry(&self) -> Value {
        json!({ "ask": "retry", "origin": self.desk.element.url() })
    }

    async fn one_in_force(&self, who: &Employee, certificate: &str) -> Result<()> {
        let escrow = self.escrow.iter().map(String::as_str);
        let fingerprints: Vec<_> = std::iter::once(certificate).chain(escrow).collect();
        one_in_force(self.company, who, &fingerprints).await.map(drop)
    }

    /// A switch is looked at again a minute later; until then nothing else is begun.
    async fn a_minute_later(&self, who: &Employee) -> Result<()> {
        let key = format!("account|{}|{}", self.desk.element.url(), who.user_id);
        self.browser.set_in_record(&key, &json!({ "settle_at": 1 })).await
    }

    /// Sees to it that the place is met.
    fn lay(&self, one: &Interruption) {
        let desk = &self.desk;
        drop(desk.homeserver.take_requests());
        let action = match one.way {
            Way::Background | Way::Browser | Way::Network => Action::Stall,
            Way::Status500 => Action::Answer(Answer::matrix_error(500, "M_UNKNOWN")),
            Way::Status429 => {
                let answer = Answer::matrix_error(429, "M_LIMIT_EXCEEDED");
                Action::Answer(answer.with_header(RETRY_AFTER, &LEFT_ALONE.as_secs().to_string()))
            }
        };
        let (method, path) = one.place.clone();
        let rule = if path == SIGNATURES {
            let path = path.to_owned();
            Rule::when(HELD, move |asked| asked.method == method && asked.path.ends_with(&path), action)
        } else {
            Rule::when(HELD, by_extension(desk, method, path), action)
        };
        desk.homeserver.set_rules([rule.times(1)]);
    }

    /// Waits for the place, and interrupts.
    async fn interrupt(&mut self, one: &Interruption) -> Result<()> {
        met(&self.desk.homeserver, HELD, &self.browser, PATIENCE).await?;
        let element = self.desk.element.url();
        match one.way {
            Way::Background => self.browser.stop_background().await,
            Way::Browser => {
                let stored = self.browser.local_storage().await?;
                self.browser.kill()?;
                self.browser.start_again().await?;
                self.browser.wait_until_installed().await?;
                self.browser.open_after_crash(&element, stored).await
            }
            Way::Network => {
                let desk = &self.desk;
                desk.homeserver.cut();
                desk.keyserver.cut();
                let over = |seen: &Deployment| !matches!(seen.progress.state, State::Working);
                self.browser.wait_for("somebody to tell of the network", PATIENCE, over).await?;
                desk.homeserver.mend();
                desk.keyserver.mend();
                Ok(())
            }
            Way::Status500 => Ok(()),
            // Element's own requests are its own affair.
            Way::Status429 if one.place.1 == SIGNATURES => Ok(()),
            Way::Status429 => self.is_left_alone(one).await,
        }
    }

    /// The homeserver is not asked the same before the time that it named.
    async fn is_left_alone(&self, one: &Interruption) -> Result<()> {
        let (method, path) = &one.place;
        let of_this = |requests: Vec<keystead_testbed::Recorded>| {
            let refused = requests.iter().position(|request| request.rule.as_deref() == Some(HELD))?;
            let same = |request: &&keystead_testbed::Recorded| {
                request.asked.method == *method && request.asked.path.ends_with(path)
            };
            let again = requests.iter().skip(refused + 1).find(same)?;
            Some(again.at.duration_since(requests.get(refused)?.at))
        };
        let after = until("another try", PATIENCE, async || Ok(of_this(self.desk.homeserver.requests()))).await?;
        ensure!(after >= LEFT_ALONE, "asked again after {} ms", after.as_millis());
        Ok(())
    }

    /// The job is finished, at the latest when the person presses *Try again*; nobody is asked anything.
    async fn finish(
        &self,
        who: &Employee,
        shown: impl Fn(&Deployment) -> bool,
        done: impl AsyncFn() -> Result<bool>,
    ) -> Result<()> {
        let asked = Cell::new(None);
        let finished = until("Complete, at the latest after *Try again*", PATIENCE * 2, async || {
            let status = self.browser.status().await?;
            let Some(seen) = status.deployments.first() else { bail!("no deployment") };
            if seen.progress.question.is_some() {
                asked.set(seen.progress.code().map(str::to_owned));
            }
            match seen.progress.state {
                State::Complete if shown(seen) && done().await? => return Ok(Some(())),
                // The next try is due within a minute; the person does not wait for it.
                State::Complete | State::Failed | State::Waiting => {
                    self.a_minute_later(who).await?;
                    self.browser.ask(&self.retry()).await?;
                }
                _ => {}
            }
            bail!("the popup shows: {status}")
        });
        finished.await?;
        let asked = asked.take();
        ensure!(asked.is_none(), "the person was asked ({asked:?})");
        self.browser.wait_until_logged_in().await
    }
}
