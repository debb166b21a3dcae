//! What an account's record carries from one start, one login, one logout to the next: pauses are kept, and what opens a
//! recovery key goes when it should.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{cell::RefCell, future::Future, time::Duration};

use keystead_core::{
    bootstrap::{
        self, Outcome, Setup,
        login::{self, Login},
        logout::{self, Logout},
        record::{AccountRecord, KeyStatus, VaultKey},
    },
    effect::{
        Answer, Effect, HttpRequest, HttpResponse, Io, PageAnswer, Run, Step, StoreCommand, TransportError,
        VaultCommand,
    },
    ident::{DeviceId, KeyId, Origin, UserId},
    identity::derive_public,
    policy::{Policy, Retention},
    recovery::{KeyDescription, KeyVault, MemoryVault, RecoveryKey},
    restore::reading::Lately,
    secret::SecretBytes,
    status::State,
    store::{MemoryStore, Store},
    time::UnixMillis,
};
use serde_json::{Value, json};

const START: UnixMillis = UnixMillis(1_700_000_000_000);

const NIGHT: Duration = Duration::from_secs(12 * 60 * 60);

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
        lately: Lately::default(),
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

fn user(name: &str) -> UserId {
    UserId::parse(&format!("@{name}:example.org")).unwrap()
}

fn device(name: &str) -> DeviceId {
    DeviceId::parse(name).unwrap()
}

impl Machine {
    /// A login that the homeserver confirms, while other pages of the browser have these devices open.
    async fn log_in(&self, now: UnixMillis, name: &str, others: &[DeviceId], retention: Retention) {
        let (origin, user_id, device_id) = (origin(), user("ann"), device(name));
        *self.whoami.borrow_mut() = Some(json!({ "user_id": user_id, "device_id": device_id }));
        let login = Login {
            origin: &origin,
            user_id: &user_id,
            device_id: &device_id,
            typed: None,
            others,
            retention: Some(retention),
        };
        self.drive(now, |io| login::confirm(io, login)).await.unwrap();
    }

    /// What a complete set-up leaves on the disk.
    async fn set_up(&self, now: UnixMillis) {
        let key = RecoveryKey::make_random().unwrap();
        let id = KeyId::parse("key").unwrap();
        let description = KeyDescription::make(&key.derive_keys("")).unwrap();
        let current = VaultKey {
            id: id.clone(),
            status: KeyStatus::Current,
            wrapped: Some(self.vault.admit(&id, key).await.unwrap()),
            description,
            master_key: derive_public(&SecretBytes::make_random().unwrap()),
            sealed: None,
            recipients: Vec::new(),
            kept: true,
            sealed_proven_at: None,
            proven_at: Some(now),
            beside: None,
            replaces: None,
            pins: None,
        };
        let (origin, mut record) = (origin(), self.record().await);
        let change = |record: &mut AccountRecord| record.keys.push(current.clone());
        self.drive(now, |io| async move { record.change(&io, &origin, change).await }).await.unwrap();
    }

    async fn log_out(&self, now: UnixMillis, name: &str, retention: Option<Retention>) -> Option<UnixMillis> {
        let (origin, user_id, device) = (origin(), user("ann"), device(name));
        let logout = Logout { origin: &origin, user_id: &user_id, device_id: Some(&device), retention };
        self.drive(now, |io| logout::end(io, logout)).await.unwrap()
    }

    async fn overdue(&self, now: UnixMillis, retention: Option<Retention>) -> Option<UnixMillis> {
        let (origin, user_id) = (origin(), user("ann"));
        let logout = Logout { origin: &origin, user_id: &user_id, device_id: None, retention };
        self.drive(now, |io| logout::overdue(io, logout)).await.unwrap()
    }

    async fn record(&self) -> AccountRecord {
        let saved = self.store.get(&AccountRecord::store_key(&origin(), &user("ann"))).await.unwrap();
        saved.map_or_else(|| AccountRecord::new(user("ann")), |text| AccountRecord::parse(&text).unwrap())
    }

    /// Are there wrapped copies here? And wrapping keys?
    async fn holds(&self) -> (bool, bool) {
        let record = self.record().await;
        (record.keys.iter().any(|key| key.wrapped.is_some()), !self.vault.ids().await.unwrap().is_empty())
    }
}

#[tokio::test]
async fn wrapped_copies_go_at_every_logout_and_wrapping_keys_as_the_policy_says() {
    let table = [
        (None, true, None),
        (Some(Retention::Never), false, None),
        (Some(Retention::Always), true, None),
        (Some(Retention::For(NIGHT)), true, Some(START.plus(NIGHT))),
    ];
    for (retention, kept, until) in table {
        let machine = Machine::default();
        machine.log_in(START, "FIRST", &[], Retention::Always).await;
        machine.set_up(START).await;
        assert_eq!(machine.holds().await, (true, true));
        assert_eq!(machine.log_out(START, "FIRST", retention).await, until, "{retention:?}");
        assert_eq!(machine.holds().await, (false, kept), "{retention:?}");
    }
}

#[tokio::test]
async fn wrapping_keys_go_when_their_time_is_over_and_when_a_policy_says_so_later() {
    let machine = Machine::default();
    machine.log_in(START, "FIRST", &[], Retention::Always).await;
    machine.set_up(START).await;
    machine.log_out(START, "FIRST", None).await;
    let end = START.plus(NIGHT);
    assert_eq!(machine.overdue(UnixMillis(end.0 - 1), Some(Retention::For(NIGHT))).await, Some(end));
    assert_eq!(machine.holds().await, (false, true));
    assert_eq!(machine.overdue(end, Some(Retention::For(NIGHT))).await, None);
    assert_eq!(machine.holds().await, (false, false));

    let machine = Machine::default();
    machine.log_in(START, "FIRST", &[], Retention::Always).await;
    machine.set_up(START).await;
    assert_eq!(machine.overdue(START.plus(NIGHT), Some(Retention::Never)).await, None);
    assert_eq!(machine.holds().await, (true, true), "the session goes on");
    machine.log_out(START, "FIRST", None).await;
    machine.overdue(START, Some(Retention::Never)).await;
    assert_eq!(machine.holds().await, (false, false));
}

#[tokio::test]
async fn a_login_ends_the_sessions_before_it_whether_or_not_they_were_seen_to_end() {
    for (retention, kept) in [(Retention::Never, false), (Retention::Always, true)] {
        let machine = Machine::default();
        machine.log_in(START, "FIRST", &[], retention).await;
        machine.set_up(START).await;
        machine.log_in(START.plus(NIGHT), "FIRST", &[], retention).await;
        assert_eq!(machine.holds().await, (true, true), "the same session");
        machine.log_in(START.plus(NIGHT), "SECOND", &[device("FIRST")], retention).await;
        assert_eq!(machine.holds().await, (true, true), "the first one is open in another page");
        machine.log_in(START.plus(NIGHT), "THIRD", &[], retention).await;
        assert_eq!(machine.holds().await, (false, kept), "{retention:?}");
    }
}

#[tokio::test]
async fn a_session_that_has_begun_is_not_ended_by_the_one_before_it() {
    let machine = Machine::default();
    let night = Retention::For(NIGHT);
    machine.log_in(START, "FIRST", &[], night).await;
    machine.set_up(START).await;
    machine.log_out(START, "FIRST", Some(night)).await;
    machine.log_in(START.plus(Duration::from_secs(1)), "SECOND", &[], night).await;
    assert_eq!(machine.overdue(START.plus(2 * NIGHT), Some(night)).await, None);
    assert_eq!(machine.holds().await, (false, true), "the deadline is that of a session that went on");

    machine.set_up(START).await;
    machine.log_out(START.plus(2 * NIGHT), "FIRST", Some(Retention::Never)).await;
    assert_eq!(machine.holds().await, (true, true), "a late word of the first logout");
}

#[tokio::test]
async fn a_session_that_went_without_a_word_keeps_nothing_here() {
    let machine = Machine::default();
    machine.log_in(START, "FIRST", &[], Retention::Never).await;
    machine.set_up(START).await;
    // In another jar of cookies, while the first one is open; and that window is closed.
    machine.log_in(START.plus(NIGHT), "SECOND", &[device("FIRST")], Retention::Never).await;
    machine.log_out(START.plus(2 * NIGHT), "FIRST", Some(Retention::Never)).await;
    assert_eq!(machine.holds().await, (false, false));
}

#[tokio::test]
async fn a_session_that_ended_and_goes_on_can_end_again() {
    let machine = Machine::default();
    for night in 0..2 {
        let now = START.plus(night * NIGHT);
        machine.log_in(now, "FIRST", &[], Retention::Never).await;
        machine.set_up(now).await;
        machine.log_out(now.plus(NIGHT / 2), "FIRST", Some(Retention::Never)).await;
        assert_eq!(machine.holds().await, (false, false), "night {night}");
    }
}

#[tokio::test]
async fn an_account_that_was_never_seen_leaves_no_trace() {
    let machine = Machine::default();
    machine.log_out(START, "FIRST", Some(Retention::Never)).await;
    assert_eq!(machine.store.keys("").await.unwrap(), Vec::<String>::new());
}
