//! A restore is disturbed before, at and after every effect, in the browser that kept the wrapping key and in a new one: the
//! person comes to their history in the end, nothing of the account is changed, and the identity in place stays.
//!
//! All rows are new sessions of one account.

use keystead_core::{
    bootstrap::Outcome, identity::PublicKey, recovery::sealed, restore::Way, secret::SecretText, status::State,
};
use serde_json::Value;

use crate::{
    account::Account,
    crash::matrix_by_turns,
    world::{Fault, World},
};

const STARTS: usize = 4;

/// An account that is set up, what its sealed recovery says, its identity and its data.
struct Person {
    first: Account,
    opened: String,
    master_key: PublicKey,
    data: Value,
}

async fn person(world: &World) -> Person {
    let first = world.hire().await;
    let outcome = first.start(world, None).await.unwrap();
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    let data = first.data(world).await;
    let entry = data[sealed::ACCOUNT_DATA]["keys"].as_object().unwrap().values().next().unwrap();
    let opened = world.gpg.decrypt(entry["message"].as_str().unwrap()).await.unwrap();
    let master_key = first.record().await.master_key.unwrap();
    Person { first, opened: String::from_utf8(opened).unwrap(), master_key, data }
}

impl Person {
    fn given(&self) -> Way {
        Way::Given(SecretText::new(self.opened.clone()))
    }

    /// In the end the session has everything, with nothing changed but that this browser has its copy of the recovery key.
    async fn is_whole(&self, world: &World, browser: &Account) -> Result<(), String> {
        browser.is_whole(world).await?;
        if !browser.is_vouched_for(world).await || !browser.holds_secrets.get() {
            return Err("the session does not have everything".into());
        }
        if browser.record().await.master_key != Some(self.master_key) {
            return Err("the pin is another one".into());
        }
        let mut data = browser.data(world).await;
        data[sealed::ACCOUNT_DATA] = self.data[sealed::ACCOUNT_DATA].clone();
        if data == self.data { Ok(()) } else { Err("the account was changed".into()) }
    }
}

fn said(outcome: Option<&Outcome>) -> String {
    format!("{:?}", outcome.map(|outcome| (outcome.progress.state, outcome.progress.problem)))
}

fn is_complete(outcome: Option<&Outcome>) -> bool {
    outcome.is_some_and(|outcome| outcome.progress.state == State::Complete)
}

/// By turns: the page was loaded again, and the client does not ask to be confirmed any more; or only the background was
/// stopped.
async fn next_start(world: &World, browser: &Account, start: usize) -> Option<Outcome> {
    if start.is_multiple_of(2) {
        browser.start(world, None).await
    } else {
        browser.restore_and_start(world, Way::Asked, None).await
    }
}

/// A new browser, where the person opened the sealed recovery and said that the identity is theirs.
async fn new_browser(world: &World, person: &Person, fault: Option<Fault>) -> Result<Vec<String>, String> {
    let browser = person.first.elsewhere(world).await;
    browser.holds_secrets.set(false);
    browser.log_in(None).await;
    browser.believe(person.master_key, true).await;
    let mut outcome = browser.restore_and_start(world, person.given(), fault).await;
    let trace = browser.trace();
    for start in 0..STARTS {
        if is_complete(outcome.as_ref()) {
            break;
        }
        // What was given before is in the vault, or the person gives it again.
        outcome = match &outcome {
            Some(outcome) if outcome.progress.state == State::Recover => {
                browser.restore_and_start(world, person.given(), None).await
            }
            _ => next_start(world, &browser, start).await,
        };
    }
    person.is_whole(world, &browser).await.map_err(|why| format!("{why}, ended as {}", said(outcome.as_ref())))?;
    if !is_complete(outcome.as_ref()) {
        return Err(format!("ended as {}", said(outcome.as_ref())));
    }
    browser.leave().await;
    Ok(trace)
}

#[tokio::test]
async fn a_new_browser_restores_wherever_it_is_disturbed() {
    let world = World::start().await;
    let person = person(&world).await;
    let trace = new_browser(&world, &person, None).await.unwrap();
    assert!(trace.iter().any(|effect| effect == "page restore") && trace.len() > 40, "{trace:?}");
    matrix_by_turns(&trace, async |fault| new_browser(&world, &person, Some(fault)).await.map(|_| ())).await;
}

/// The browser that has the wrapping key, after a logout and a login: nobody is asked anything.
async fn same_browser(
    world: &World,
    person: &Person,
    browser: Account,
    fault: Option<Fault>,
) -> (Account, Result<Vec<String>, String>) {
    let browser = browser.again(world, true).await;
    browser.holds_secrets.set(false);
    let mut outcome = browser.restore_and_start(world, Way::Silent, fault).await;
    let trace = browser.trace();
    for start in 0..STARTS {
        if is_complete(outcome.as_ref()) {
            break;
        }
        if let Some(outcome) = &outcome
            && outcome.progress.question.is_some()
        {
            break;
        }
        outcome = next_start(world, &browser, start).await;
    }
    let ended = if is_complete(outcome.as_ref()) {
        person.is_whole(world, &browser).await
    } else {
        Err(format!("ended as {}", said(outcome.as_ref())))
    };
    (browser, ended.map(|()| trace))
}

#[tokio::test]
async fn the_same_browser_restores_wherever_it_is_disturbed_and_asks_nothing() {
    let world = World::start().await;
    let person = person(&world).await;
    let browser = person.first.elsewhere(&world).await;
    browser.log_in(None).await;
    browser.believe(person.master_key, true).await;
    browser.holds_secrets.set(false);
    assert!(is_complete(browser.restore_and_start(&world, person.given(), None).await.as_ref()));
    let (browser, trace) = same_browser(&world, &person, browser, None).await;
    let trace = trace.unwrap();
    let browser = std::cell::RefCell::new(Some(browser));
    matrix_by_turns(&trace, async |fault| {
        let before = browser.take().unwrap();
        let (after, ended) = same_browser(&world, &person, before, Some(fault)).await;
        browser.replace(Some(after));
        ended.map(|_| ())
    })
    .await;
}
