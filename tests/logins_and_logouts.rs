//! What an account's record carries from one start, one login, one logout to the next: pauses are kept.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{cell::RefCell, future::Future, time::Duration};

use keystead_core::{
    bootstrap::{self, Outcome, Setup},
    effect::{
        Answer, Effect, HttpRequest, HttpResponse, Io, PageAnswer, Run, Step, StoreCommand, TransportError,
        VaultCommand,
    },
    ident::{DeviceId, Origin, UserId},
    policy::Policy,
    recovery::{KeyVault, MemoryVault},
    status::State,
    store::{MemoryStore, Store},
    time::UnixMillis,
};
use serde_json::{Value, json};

const START: UnixMillis = UnixMillis(1_700_000_000_000);

/// A browser whose disk outlives its flows, and a network that knows at most whose session it is.
#[derive(Default)]
struct Machine {
    store: MemoryStore,
    vault: MemoryVault,
    whoami: RefCell<Option<Value>>,
    trace: RefCell<Vec<String>>,
}

impl Machine {
    async fn drive<'a, T, F: Future<Output = T> + 'a>(&self, now: UnixMillis, flow: impl FnOnce(Io) -> F) -> T {
        self.trace.borrow_mut().clear();
        let mut run = Run::start(now, flow);
        let mut now = now;
        loop {
            match run.step() {
                Step::Done(result) => return result,
                Step::Do(effect) => {
                    self.trace.borrow_mut().push(effect.name());
                    if let Effect::SleepUntil(at) = effect {
                        now = now.max(at);
                    }
                    let answer = self.perform(effect).await;
                    run.answer(answer, now);
                }
            }
        }
    }

    async fn perform(&self, effect: Effect) -> Answer {
        match effect {
            Effect::Http(requests) => Answer::Http(requests.iter().map(|request| self.http(request)).collect()),
            Effect::Page(_) => Answer::Page(PageAnswer::Gone),
            Effect::Store(StoreCommand::Get(key)) => Answer::Record(self.store.get(&key).await.unwrap()),
            Effect::Store(StoreCommand::Put(key, value)) => {
                self.store.put(&key, &value).await.unwrap();
                Answer::Done
            }
            Effect::Store(StoreCommand::Replace { key, old, new }) => {
                Answer::Replaced(self.store.replace(&key, old.as_deref(), &new).await.unwrap())
            }
            Effect::Vault(VaultCommand::Ids) => Answer::Ids(self.vault.ids().await.unwrap()),
            Effect::Vault(VaultCommand::Forget(id)) => {
                self.vault.forget(&id).await.unwrap();
                Answer::Done
            }
            Effect::Report(_) | Effect::SleepUntil(_) => Answer::Done,
            other => panic!("{other:?}"),
        }
    }

    fn http(&self, request: &HttpRequest) -> Result<HttpResponse, TransportError> {
        let whoami = self.whoami.borrow().as_ref().filter(|_| request.name == "whoami").map(Value::to_string);
        let body = whoami.ok_or(TransportError::Unreachable)?.into_bytes();
        Ok(HttpResponse { status: 200, content_type: String::new(), retry_after_ms: None, body })
    }

    /// Did the last flow ask anybody outside?
    fn asked_the_network(&self) -> bool {
        self.trace.borrow().iter().any(|name| name.starts_with("http"))
    }

    async fn run(&self, now: UnixMillis, setup: Setup) -> Outcome {
        self.drive(now, |io| bootstrap::run(io, setup)).await
    }
}

fn origin() -> Origin {
    Origin::parse("https://chat.example.org").unwrap()
}

fn policy(log_level: &str) -> Policy {
    let deployment = json!({
        "origin": origin(), "homeserver": "https://matrix.example.org", "server_name": "example.org",
    });
    Policy::parse(&json!({ "deployments": [deployment], "log_level": log_level })).unwrap()
}

fn setup() -> Setup {
    Setup {
        origin: origin(),
        server_name: Some("example.org".into()),
        user_id: UserId::parse("@ann:example.org").unwrap(),
        device_id: DeviceId::parse("FIRST").unwrap(),
        policy: policy("warn"),
        standing: ",,,".into(),
        asked: false,
    }
}

#[tokio::test]
async fn a_pause_holds_every_start_under_the_same_circumstances_and_no_longer() {
    let machine = Machine::default();
    let first = machine.run(START, setup()).await;
    assert_eq!(first.progress.state, State::Failed);
    assert!(machine.asked_the_network());
    let due = first.retry_at.expect("it is tried again");

    for start in [START.plus(Duration::from_secs(10)), UnixMillis(due.0 - 1)] {
        assert_eq!(machine.run(start, setup()).await, first, "the popup shows what it showed");
        assert!(!machine.asked_the_network());
    }
    machine.run(due, setup()).await;
    assert!(machine.asked_the_network(), "the pause is over");
}

#[tokio::test]
async fn a_pause_does_not_hold_what_is_new() {
    type Change = fn(&mut Setup);
    let new: [(&str, Change); 4] = [
        ("the person asks", |setup| setup.asked = true),
        ("a new login", |setup| setup.device_id = DeviceId::parse("SECOND").unwrap()),
        ("another policy", |setup| setup.policy = policy("debug")),
        ("the account has changed", |setup| setup.standing = "other,,,".into()),
    ];
    for (what, change) in new {
        let machine = Machine::default();
        machine.run(START, setup()).await;
        let mut changed = setup();
        change(&mut changed);
        machine.run(START.plus(Duration::from_secs(1)), changed).await;
        assert!(machine.asked_the_network(), "{what}");
    }
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_make_a_pause_of_years() {
    let machine = Machine::default();
    machine.run(START.plus(Duration::from_secs(400 * 86_400)), setup()).await;
    machine.run(START, setup()).await;
    assert!(machine.asked_the_network());
}
