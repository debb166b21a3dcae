//! One account: its browser's disk, its runs, and what must hold of it.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::Future,
    rc::Rc,
    time::Duration,
};

use keystead_cli::{Driver, Homeserver, Http, NativeHost, NoPage};
use keystead_core::{
    bootstrap::{
        self, Outcome, Setup,
        login::{self, Login},
        pair::Typed,
        record::AccountRecord,
        wipe,
    },
    bridge,
    effect::{
        Answer, Effect, HttpResponse, Io, NativeCommand, NativeError, PageAnswer, PageCommand, Readiness, Run, Step,
        TransportError,
    },
    error::Code,
    ident::{DeviceId, Fingerprint, KeyId, Origin, UserId},
    identity::{PublicKey, PublishedIdentity},
    matrix::{KeysQueryResponse, backup, keys},
    policy::Retention,
    recovery::{
        EncryptedSecret, KeyDescription, KeyVault, MemoryVault, RecoveryKey, SecretDocument, decode_seed,
        sealed::{self, SealedDocument, SealedNames},
        secret_name,
    },
    restore::{
        self, Way,
        drill::{self, Drill},
        reading::{self, Lately},
    },
    secret::SecretText,
    status::State,
    store::MemoryStore,
    time::UnixMillis,
};
use keystead_testbed::{Session, Synapse};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::{
    element::Element,
    stale::Stale,
    turns::Turns,
    world::{Fault, World},
};

/// The process died.
#[derive(Debug)]
pub(crate) struct Died;

/// In milliseconds.
const YEAR: i64 = 365 * 24 * 60 * 60 * 1000;

pub(crate) struct Account {
    user: UserId,
    synapse: Rc<Synapse>,
    session: Session,
    session_origin: Origin,
    device_keys: Map<String, Value>,
    element: Rc<Element>,
    /// The names of the secrets that the page was given.
    pub(crate) given: RefCell<Vec<String>>,
    /// Does the session have the account's secrets?
    pub(crate) holds_secrets: Cell<bool>,
    /// The person asked for the next runs.
    pub(crate) asked: Cell<bool>,
    /// What was read for the session, which no start of the browser remembers.
    lately: RefCell<Lately>,
    /// Vault and store are what lies on the disk: they outlive the runs.
    driver: Driver<MemoryVault, MemoryStore, NoPage>,
    /// What a native messaging host answers in the real one's place.
    script: RefCell<Option<VecDeque<Result<String, NativeError>>>>,
    trace: RefCell<Vec<String>>,
    fault: Cell<Option<Fault>>,
    /// The account's data after each write, where that is watched.
    pub(crate) moments: RefCell<Option<Vec<Value>>>,
    now: Cell<u64>,
    /// How far off the clock is, in milliseconds.
    off: Cell<i64>,
    stale: RefCell<Option<Stale>>,
    /// Whose turn it is at the homeserver, and which seat is this browser's.
    turns: RefCell<Option<(Rc<Turns>, usize)>>,
}

fn origin() -> Origin {
    Origin::parse("http://localhost:8080").unwrap()
}

impl Account {
    pub(crate) async fn new(world: &World, session: &Session) -> Self {
        let element = Rc::new(Element::set_up(&world.synapse, session).await);
        Self::on(world, session, element, MemoryVault::default(), MemoryStore::default()).await
    }

    /// The same, where Element was interrupted before it published anything.
    pub(crate) async fn bare(world: &World, session: &Session) -> Self {
        Self::on(world, session, Rc::new(Element::make()), MemoryVault::default(), MemoryStore::default()).await
    }

    /// Element publishes the first half of its own set-up.
    pub(crate) async fn publish_identity(&self) {
        self.element.publish_identity(&self.synapse, &self.session).await;
    }

    /// The same account on a browser that has never seen it.
    pub(crate) async fn elsewhere(&self, world: &World) -> Self {
        let session = world.log_in(self.user.as_str()).await;
        let element = Rc::clone(&self.element);
        Self::on(world, &session, element, MemoryVault::default(), MemoryStore::default()).await
    }

    /// The same account on the same browser, after a logout and a login.
    pub(crate) async fn again(self, world: &World, keep_wrapping_keys: bool) -> Self {
        self.begin(None);
        self.end(keep_wrapping_keys).await;
        self.leave().await;
        let session = world.log_in(self.user.as_str()).await;
        Self::on(world, &session, self.element, self.driver.vault, self.driver.store).await
    }

    async fn on(
        world: &World,
        session: &Session,
        element: Rc<Element>,
        vault: MemoryVault,
        store: MemoryStore,
    ) -> Self {
        let base = world.synapse.url().parse().unwrap();
        let homeserver = Homeserver { base, token: Some(SecretText::new(session.access_token.clone())) };
        let device_keys = element.add_device(&world.synapse, session).await;
        Self {
            user: UserId::parse(&session.user_id).unwrap(),
            synapse: Rc::clone(&world.synapse),
            session: session.clone(),
            session_origin: origin(),
            device_keys,
            element,
            given: RefCell::default(),
            holds_secrets: Cell::new(true),
            asked: Cell::new(true),
            lately: RefCell::default(),
            driver: Driver::with(Http::new().unwrap(), Some(homeserver), vault, store, NoPage),
            script: RefCell::default(),
            trace: RefCell::default(),
            fault: Cell::default(),
            moments: RefCell::default(),
            now: Cell::new(keystead_cli::now().0),
            off: Cell::default(),
            stale: RefCell::default(),
            turns: RefCell::default(),
        }
    }

    /// On a machine that has GnuPG, and its native messaging host.
    pub(crate) fn with_gnupg(mut self, host: NativeHost) -> Self {
        self.driver.native = Some(host);
        self
    }

    /// From now on a native messaging host answers so, and fails so where the answers end.
    pub(crate) fn script_gnupg(&self, answers: Vec<String>, end: NativeError) {
        let answers = answers.into_iter().map(Ok).chain([Err(end)]).collect();
        self.script.replace(Some(answers));
        self.trace.borrow_mut().clear();
    }

    /// The person wants GnuPG to be asked.
    pub(crate) async fn wish_gnupg(&self) {
        let (origin, device) = (origin(), self.device());
        let wished = self.drive(|io| restore::gnupg::wish(io, &origin, &self.user, &device));
        wished.await.ok().unwrap().unwrap();
    }

    /// How often GnuPG was asked to open something.
    pub(crate) fn times_asked(&self) -> usize {
        self.trace.borrow().iter().filter(|effect| *effect == "native decrypt").count()
    }

    /// The names of the effects of the last run.
    pub(crate) fn trace(&self) -> Vec<String> {
        self.trace.borrow().clone()
    }

    /// The names of the requests of the last run.
    pub(crate) fn asked(&self) -> Vec<String> {
        let trace = self.trace();
        let requests = trace.iter().filter_map(|effect| effect.strip_prefix("http "));
        requests.flat_map(|names| names.trim_end_matches(" PUT ").split('+').map(str::to_owned)).collect()
    }

    /// A record on this browser's disk.
    pub(crate) async fn stored(&self, key: &str) -> Option<String> {
        use keystead_core::store::Store;
        self.driver.store.get(key).await.unwrap()
    }

    /// The log.
    pub(crate) async fn events(&self) -> String {
        use keystead_core::{events, store::Store};
        let key = events::store_key(&origin(), &self.user);
        self.driver.store.get(&key).await.unwrap().unwrap_or_default()
    }

    /// Runs a set-up, as at a start of the browser; `None` where the process died.
    pub(crate) async fn start(&self, world: &World, fault: Option<Fault>) -> Option<Outcome> {
        self.begin(fault);
        self.go_on(world).await
    }

    fn begin(&self, fault: Option<Fault>) {
        self.trace.borrow_mut().clear();
        self.fault.set(fault);
        self.off.set(0);
        self.lately.take();
    }

    async fn go_on(&self, world: &World) -> Option<Outcome> {
        let setup = self.setup(world);
        self.drive(|io| bootstrap::run(io, setup)).await.ok()
    }

    /// Restores, and where that succeeds goes on with what a set-up sees to then.
    pub(crate) async fn restore_and_start(&self, world: &World, way: Way, fault: Option<Fault>) -> Option<Outcome> {
        self.begin(None);
        self.log_in(None).await;
        self.begin(fault);
        let setup = self.setup(world);
        let outcome = self.drive(|io| restore::run(io, setup, way)).await.ok()?;
        // A device that is vouched for already has nothing to restore.
        let done = matches!(outcome.progress.state, State::Complete | State::Working);
        if done { self.go_on(world).await } else { Some(outcome) }
    }

    fn setup(&self, world: &World) -> Setup {
        Setup {
            origin: origin(),
            server_name: Some(world.synapse.server_name().to_owned()),
            user_id: self.user.clone(),
            device_id: self.device(),
            policy: world.policy(self.user.as_str()),
            standing: String::new(),
            // Somebody who does not wait for the next try.
            asked: self.asked.get(),
            lately: self.lately.borrow().clone(),
        }
    }

    fn bridge_session(&self) -> bridge::Session {
        let mut session = bridge::Session::new(origin(), self.user.clone(), self.device());
        session.lately = self.lately.borrow().clone();
        session
    }

    /// While the client comes up.
    pub(crate) async fn read_ahead(&self, world: &World) {
        let setup = self.setup(world);
        self.drive(|io| reading::ahead(io, setup)).await.ok().unwrap();
    }

    fn device(&self) -> DeviceId {
        DeviceId::parse(&self.session.device_id).unwrap()
    }

    fn login<'a>(&'a self, device_id: &'a DeviceId, typed: Option<&'a str>) -> Login<'a> {
        let (origin, user_id, retention) = (&self.session_origin, &self.user, Some(Retention::Always));
        Login { origin, user_id, device_id, typed, others: &[], retention }
    }

    /// A login, or what a start of the browser makes of it; `None` where the process died or the homeserver said no.
    pub(crate) async fn begin_login(&self, typed: Option<&str>, fault: Option<Fault>) -> Option<()> {
        self.trace.borrow_mut().clear();
        self.fault.set(fault);
        let device = self.device();
        self.drive(|io| login::confirm(io, self.login(&device, typed))).await.ok()?.ok().map(|_| ())
    }

    /// The person logs out.
    pub(crate) async fn log_out(&self) {
        self.begin(None);
        self.end(false).await;
    }

    /// The session ends at the homeserver, and its device goes.
    pub(crate) async fn leave(&self) {
        let token = Some(self.session.access_token.as_str());
        self.synapse.call(Method::POST, "/_matrix/client/v3/logout", token, None).await.unwrap().ok().unwrap();
    }

    async fn end(&self, keep_wrapping_keys: bool) {
        let ended = self.drive(|io| login::end(io, &self.session_origin, &self.user, keep_wrapping_keys));
        ended.await.ok().unwrap().unwrap();
    }

    /// The first part of its Matrix ID.
    pub(crate) fn localpart(&self) -> String {
        self.user.localpart().to_owned()
    }

    /// Time passes.
    pub(crate) fn wait(&self, time: Duration) {
        self.now.set(UnixMillis(self.now.get()).plus(time).0);
    }

    /// What this session's login is known to have begun with.
    pub(crate) async fn typed(&self) -> Option<Typed> {
        self.record().await.devices.get(&self.device()).map(|seen| seen.typed.clone())
    }

    /// Whose account it is.
    pub(crate) fn user(&self) -> &UserId {
        &self.user
    }

    /// The login, which the homeserver confirms, with what was typed at it.
    pub(crate) async fn log_in(&self, typed: Option<&str>) {
        let device = self.device();
        self.drive(|io| login::confirm(io, self.login(&device, typed))).await.ok().unwrap().unwrap();
    }

    /// The person says that a certificate is theirs.
    pub(crate) async fn confirm(&self, certificate: &Fingerprint) {
        let (device, certificate) = (self.device(), certificate.clone());
        let answer = |io| AccountRecord::answer(io, &self.session_origin, &self.user, &device, certificate, true);
        self.drive(answer).await.ok().unwrap().unwrap();
    }

    /// Restores, as after a login that the homeserver has confirmed.
    pub(crate) async fn restore(&self, world: &World, way: Way) -> Outcome {
        self.log_in(None).await;
        let setup = self.setup(world);
        self.drive(|io| restore::run(io, setup, way)).await.ok().unwrap()
    }

    /// The person says that the identity is theirs, or not.
    pub(crate) async fn believe(&self, master_key: PublicKey, accept: bool) {
        let origin = origin();
        let said = self.drive(|io| AccountRecord::believe(io, &origin, &self.user, master_key, accept));
        said.await.ok().unwrap().unwrap();
    }

    /// The person tests the backup: with what was opened elsewhere, else with GnuPG.
    pub(crate) async fn drill(&self, world: &World, given: Option<SecretText>) -> Result<Drill, Code> {
        self.trace.borrow_mut().clear();
        self.fault.set(None);
        let setup = self.setup(world);
        self.drive(|io| drill::run(io, setup, given)).await.ok().unwrap()
    }

    /// The person has this browser forget the account's keys; `None` where the process died.
    pub(crate) async fn wipe(&self, fault: Option<Fault>) -> Option<Result<(), Code>> {
        self.trace.borrow_mut().clear();
        self.fault.set(fault);
        let wiped = self.drive(|io| wipe::wipe(io, &self.session_origin, &self.user)).await.ok();
        self.fault.set(None);
        wiped.map(|wiped| wiped.map_err(|stop| stop.code))
    }

    /// The person does not want to open somebody else's secret storage now.
    pub(crate) async fn put_off(&self) {
        let origin = origin();
        self.drive(|io| restore::foreign::put_off(io, &origin, &self.user)).await.ok().unwrap().unwrap();
    }

    /// Another session verifies this one, and gives it no secrets.
    pub(crate) async fn is_verified_by_another(&self) {
        let seed = self.element.secrets().find(|(name, _)| *name == secret_name::SELF_SIGNING).unwrap().1;
        let seed = decode_seed(&seed).unwrap();
        Element::sign_device(&self.synapse, &self.session, self.device_keys.clone(), &seed).await;
    }

    /// Which keys the vault holds.
    pub(crate) async fn held(&self) -> Vec<KeyId> {
        self.driver.vault.ids().await.unwrap()
    }

    /// The person reads what a compromise means.
    pub(crate) async fn read_compromise(&self) {
        let origin = origin();
        let read = self.drive(|io| keystead_core::rotate::read_by_person(io, &origin, &self.user));
        read.await.ok().unwrap().unwrap();
    }

    /// What is kept of the account on this browser.
    pub(crate) async fn record(&self) -> AccountRecord {
        let origin = origin();
        self.drive(|io| async move { AccountRecord::load(&io, &origin, &self.user).await }).await.ok().unwrap().unwrap()
    }

    /// Changes what is kept.
    pub(crate) async fn tamper(&self, change: impl Fn(&mut AccountRecord)) {
        let (origin, mut record) = (origin(), self.record().await);
        let changed = self.drive(|io| async move { record.change(&io, &origin, change).await });
        changed.await.ok().unwrap().unwrap();
    }

    /// Does the account's identity vouch for this session?
    pub(crate) async fn is_vouched_for(&self, world: &World) -> bool {
        let identity = self.published(world).await;
        identity.vouched_devices().any(|device| *device.device_id() == self.device())
    }

    async fn published(&self, world: &World) -> PublishedIdentity {
        let body = json!({ "device_keys": { self.user.as_str(): [] } });
        let path = "/_matrix/client/v3/keys/query";
        let answer =
            world.synapse.call(Method::POST, path, Some(&self.session.access_token), Some(&body)).await.unwrap();
        let answer: KeysQueryResponse = serde_json::from_value(answer.ok().unwrap()).unwrap();
        PublishedIdentity::read(&answer, &self.user).unwrap().unwrap()
    }

    /// Writes account data as the account itself, or its homeserver, can.
    pub(crate) async fn put(&self, world: &World, kind: &str, content: &Value) {
        let path = format!("/_matrix/client/v3/user/{}/account_data/{kind}", self.user.as_str());
        let token = Some(self.session.access_token.as_str());
        world.synapse.call(Method::PUT, &path, token, Some(content)).await.unwrap().ok().unwrap();
    }

    /// Makes a new version of the key backup.
    pub(crate) async fn put_backup(&self, world: &World, auth_data: &Value) {
        let body = json!({ "algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": auth_data });
        let path = "/_matrix/client/v3/room_keys/version";
        let token = Some(self.session.access_token.as_str());
        world.synapse.call(Method::POST, path, token, Some(&body)).await.unwrap().ok().unwrap();
    }

    pub(crate) fn time(&self) -> UnixMillis {
        UnixMillis(self.now.get().saturating_add_signed(self.off.get()))
    }

    pub(crate) async fn drive<'a, T, F: Future<Output = T> + 'a>(&self, flow: impl FnOnce(Io) -> F) -> Result<T, Died> {
        let mut run = Run::start(self.time(), flow);
        loop {
            match run.step() {
                Step::Done(result) => return Ok(result),
                Step::Do(effect) => {
                    let answer = Box::pin(self.perform(effect)).await?;
                    run.answer(answer, self.time());
                }
            }
        }
    }

    async fn perform(&self, effect: Effect) -> Result<Answer, Died> {
        // Shown and slept is not done: neither can be lost.
        if let Effect::SleepUntil(time) = effect {
            self.now.set(self.now.get() + u64::try_from(time.since(self.time()).as_millis()).unwrap());
            return Ok(Answer::Done);
        }
        if matches!(effect, Effect::Report(_)) {
            return Ok(Answer::Done);
        }
        let index = self.trace.borrow().len();
        self.trace.borrow_mut().push(named(&effect));
        let fault = self.fault.get();
        match (fault, &effect) {
            (Some(Fault::DiesBefore(at)), _) if at == index => return Err(Died),
            (Some(Fault::Offline(at)), Effect::Http(requests)) if at <= index => {
                return Ok(Answer::Http(requests.iter().map(|_| Err(TransportError::Unreachable)).collect()));
            }
            (Some(Fault::Status(at, status)), Effect::Http(requests)) if at <= index => {
                return Ok(Answer::Http(requests.iter().map(|_| Ok(refusal(status))).collect()));
            }
            (Some(Fault::Lost(at)), Effect::Http(requests)) if at == index => {
                return Ok(Answer::Http(requests.iter().map(|_| Ok(success())).collect()));
            }
            (Some(Fault::Halved(at)), Effect::Http(requests)) if at == index => {
                let half = requests.iter().take(requests.len() / 2).cloned().collect();
                self.driver.perform(Effect::Http(half)).await;
                return Err(Died);
            }
            (Some(Fault::Fails(at)), Effect::Page(_)) if at == index => return Ok(Answer::Page(PageAnswer::Gone)),
            (Some(Fault::Fails(at)), _) if at == index => return Ok(Answer::Failed),
            _ => {}
        }
        match fault {
            Some(Fault::Ahead(at)) if at == index => self.off.set(YEAR),
            Some(Fault::Behind(at)) if at == index => self.off.set(-YEAR),
            Some(Fault::Stale(at)) if at == index => {
                let before = self.before().await;
                self.stale.replace(Some(before));
            }
            _ => {}
        }
        let writes = named(&effect).contains("PUT ");
        let requests = if let Effect::Http(requests) = &effect { requests.clone() } else { Vec::new() };
        let mut answer = match effect {
            Effect::Page(command) => Answer::Page(Box::pin(self.page(command)).await?),
            Effect::Native(NativeCommand::Exchange(_)) if self.script.borrow().is_some() => {
                let said = self.script.borrow_mut().as_mut().and_then(VecDeque::pop_front);
                Answer::Native(said.unwrap_or(Err(NativeError::Died)).map(SecretText::new))
            }
            Effect::Http(_) => self.in_turn(self.driver.perform(effect)).await,
            other => self.driver.perform(other).await,
        };
        if let Some(stale) = self.stale.borrow_mut().as_mut() {
            stale.put_back(&requests, &mut answer);
        }
        if writes && self.moments.borrow().is_some() {
            let data = self.global().await;
            self.moments.borrow_mut().as_mut().unwrap().push(data);
        }
        if fault == Some(Fault::DiesAfter(index)) { Err(Died) } else { Ok(answer) }
    }

    /// The homeserver goes on giving this account data for a while.
    pub(crate) async fn reads_late(&self, data: Value) {
        let late = self.before().await.with_data(data);
        self.stale.replace(Some(late));
    }

    /// What the homeserver has now.
    async fn before(&self) -> Stale {
        let data = self.synapse.account_data(self.user.as_str()).await.unwrap()["global"].take();
        let asked = Effect::Http(vec![keys::query(&self.user), backup::version()]);
        Stale::new(data, self.driver.perform(asked).await)
    }

    /// From now on this browser asks the homeserver when it is its turn.
    pub(crate) fn sit_down(&self, turns: &Rc<Turns>, seat: usize) {
        self.turns.replace(Some((Rc::clone(turns), seat)));
    }

    /// No longer.
    pub(crate) fn stand_up(&self) {
        if let Some((turns, seat)) = self.turns.take() {
            turns.leave(seat);
        }
    }

    async fn in_turn<T>(&self, asked: impl Future<Output = T>) -> T {
        let turns = self.turns.borrow().clone();
        let Some((turns, seat)) = turns else { return asked.await };
        turns.take(seat).await;
        let answer = asked.await;
        turns.give(seat);
        answer
    }

    /// What the page does: Element's client, and the page hook.
    async fn page(&self, command: PageCommand) -> Result<PageAnswer, Died> {
        if command == PageCommand::Restore {
            return Box::pin(self.take_secrets()).await;
        }
        if command == PageCommand::Readiness {
            return Ok(PageAnswer::Ready(Readiness { holds_secrets: self.holds_secrets.get() }));
        }
        if let PageCommand::MakeIdentity { anew } = command {
            if !anew {
                return Ok(PageAnswer::Failed);
            }
            self.publish_identity().await;
        }
        if command == PageCommand::MakeBackup {
            self.element.publish_backup(&self.synapse, &self.session).await;
        }
        if let PageCommand::AwaitAccountData { kind, content } = &command {
            let there = self.in_turn(self.synapse.account_data(self.user.as_str())).await.unwrap();
            return Ok(if there["global"][kind] == *content { PageAnswer::Done } else { PageAnswer::Failed });
        }
        if command == PageCommand::RenewBackup {
            self.element.renew_backup(&self.synapse, &self.session).await;
        }
        let session = self.bridge_session();
        let secrets: Vec<_> = self.element.secrets().collect();
        let all: Vec<_> = secrets.iter().map(|(name, secret)| (*name, secret)).collect();
        let answer = match command {
            PageCommand::StoreSecrets => self.drive(|io| bridge::hand_over(io, &session, &all)).await?,
            PageCommand::StoreBeside => self.drive(|io| bridge::hand_over_beside(io, &session, &all)).await?,
            PageCommand::RenewBackup => {
                let (name, secret) = secrets.iter().find(|(name, _)| *name == secret_name::MEGOLM_BACKUP).unwrap();
                self.drive(|io| bridge::store(io, &session, name, secret)).await?
            }
            _ => bridge::Answer::Stored,
        };
        if !matches!(answer, bridge::Answer::Stored) {
            return Ok(PageAnswer::Failed);
        }
        Ok(PageAnswer::Done)
    }

    /// What a client does in a restore: reads its secrets over the bridge and, when it has them all, signs its device.
    async fn take_secrets(&self) -> Result<PageAnswer, Died> {
        let session = self.bridge_session();
        let mut self_signing = None;
        for (name, expected) in self.element.secrets() {
            let bridge::Answer::Secret(secret) = self.drive(|io| bridge::get(io, &session, name)).await? else {
                return Ok(PageAnswer::Failed);
            };
            self.given.borrow_mut().push(name.to_owned());
            assert_eq!(secret.expose("to compare"), expected.expose("to compare"), "{name}");
            let twice = self.drive(|io| bridge::get(io, &session, name)).await?;
            assert!(!matches!(twice, bridge::Answer::Secret(_)), "{name} was given twice");
            if name == secret_name::SELF_SIGNING {
                self_signing = Some(decode_seed(&secret).unwrap());
            }
        }
        let synapse = &self.synapse;
        Element::sign_device(synapse, &self.session, self.device_keys.clone(), &self_signing.unwrap()).await;
        self.holds_secrets.set(true);
        Ok(PageAnswer::Done)
    }

    /// A script in the page stores, reads and removes a secret of this name.
    pub(crate) async fn page_asks_for(&self, name: &str) -> [bridge::Answer; 3] {
        let session = self.bridge_session();
        let secret = SecretText::new("A".repeat(43));
        [
            self.drive(|io| bridge::store(io, &session, name, &secret)).await.unwrap_or_else(|Died| panic!()),
            self.drive(|io| bridge::get(io, &session, name)).await.unwrap_or_else(|Died| panic!()),
            self.drive(|io| bridge::put_aside(io, &session, name)).await.unwrap_or_else(|Died| panic!()),
        ]
    }

    /// The client removes a secret from secret storage, which the page hook tells of first.
    pub(crate) async fn put_aside(&self, name: &str) {
        let session = self.bridge_session();
        let answer = self.drive(|io| bridge::put_aside(io, &session, name)).await.unwrap_or_else(|Died| panic!());
        assert!(matches!(answer, bridge::Answer::Own), "{name}");
    }

    /// What Element does where the person resets the identity, until it asks for the password.
    pub(crate) async fn begin_reset(&self, world: &World) {
        let id = self.global().await["m.secret_storage.default_key"]["key"].as_str().unwrap().to_owned();
        for name in secret_name::ALL {
            self.put_aside(name).await;
            self.put(world, name, &json!({})).await;
        }
        self.put(world, &format!("m.secret_storage.key.{id}"), &json!({})).await;
        self.put(world, "m.secret_storage.default_key", &json!({})).await;
    }

    /// The rest of it.
    pub(crate) async fn finish_reset(&mut self) {
        self.element = Rc::new(Element::set_up(&self.synapse, &self.session).await);
    }

    pub(crate) async fn data(&self, _world: &World) -> Value {
        self.global().await
    }

    async fn global(&self) -> Value {
        self.synapse.account_data(self.user.as_str()).await.unwrap()["global"].take()
    }

    /// Whatever happened: if the account has a default key, gpg opens a sealed recovery for it, and that is the key.
    pub(crate) async fn nothing_is_lost(&self, world: &World) -> Result<(), String> {
        let data = self.data(world).await;
        match data["m.secret_storage.default_key"]["key"].as_str() {
            None => Ok(()),
            Some(id) => self.open(world, &data, &KeyId::parse(id).unwrap()).await.map(|_| ()),
        }
    }

    pub(crate) async fn open(&self, world: &World, data: &Value, id: &KeyId) -> Result<RecoveryKey, String> {
        let document: SealedDocument =
            serde_json::from_value(data[sealed::ACCOUNT_DATA].clone()).map_err(|e| e.to_string())?;
        let entry = document.entry(id).ok_or("no sealed recovery for the default key")?;
        let opened = world
            .gpg
            .decrypt(&entry.sealed.ok_or("no sealed recovery")?.message)
            .await
            .map_err(|e| format!("gpg: {e}"))?;
        let text = SecretText::new(String::from_utf8(opened).map_err(|_| "not text")?);
        let (names, key) = SealedNames::parse(&text).map_err(|e| e.to_string())?;
        if names.user_id != self.user || names.key_id != *id {
            return Err("the sealed recovery names another account or key".into());
        }
        let description: KeyDescription =
            serde_json::from_value(data[format!("m.secret_storage.key.{}", id.as_str())].clone())
                .map_err(|_| "no key description")?;
        description.verify(&key.derive_keys("")).map_err(|_| "the key does not fit its description")?;
        Ok(key)
    }

    /// The person sets up secret storage with another client; returns its recovery key.
    pub(crate) async fn store_own(&self, world: &World, id: &str) -> RecoveryKey {
        let key = RecoveryKey::make_random().unwrap();
        self.store_under(world, id, &key, None).await;
        key
    }

    /// The same with a recovery key that is given, and what its description says of a passphrase.
    pub(crate) async fn store_under(&self, world: &World, id: &str, key: &RecoveryKey, passphrase: Option<Value>) {
        let description = KeyDescription::make(&key.derive_keys("")).unwrap();
        let mut content = serde_json::to_value(&description).unwrap();
        if let Some(passphrase) = passphrase {
            content["passphrase"] = passphrase;
        }
        self.put(world, &format!("m.secret_storage.key.{id}"), &content).await;
        for (name, secret) in self.element.secrets() {
            let entry = EncryptedSecret::encrypt(&key.derive_keys(name), &secret).unwrap();
            let mut document = SecretDocument::default();
            document.set_entry(&KeyId::parse(id).unwrap(), &entry);
            self.put(world, name, &serde_json::to_value(&document).unwrap()).await;
        }
        self.put(world, "m.secret_storage.default_key", &json!({ "key": id })).await;
    }

    /// One write of another client that gives the account a new recovery key: the key's description, the default key, and
    /// each secret's document, in the order of matrix-js-sdk.
    pub(crate) async fn change_recovery_key(&self, world: &World, id: &KeyId, key: &RecoveryKey, write: usize) {
        const ORDER: [&str; 4] =
            [secret_name::MASTER, secret_name::USER_SIGNING, secret_name::SELF_SIGNING, secret_name::MEGOLM_BACKUP];
        let id_text = id.as_str();
        match write {
            0 => {
                let description = KeyDescription::make(&key.derive_keys("")).unwrap();
                let content = serde_json::to_value(&description).unwrap();
                self.put(world, &format!("m.secret_storage.key.{id_text}"), &content).await;
            }
            1 => self.put(world, "m.secret_storage.default_key", &json!({ "key": id_text })).await,
            _ => {
                let name = ORDER[write - 2];
                let secret = self.element.secrets().find(|(known, _)| *known == name).unwrap().1;
                let mut document = SecretDocument::default();
                document.set_entry(id, &EncryptedSecret::encrypt(&key.derive_keys(name), &secret).unwrap());
                self.put(world, name, &serde_json::to_value(&document).unwrap()).await;
            }
        }
    }

    /// Each secret that is stored opens with one of these keys, and is the client's.
    pub(crate) fn each_opens<'k>(
        &self,
        data: &Value,
        keys: impl Iterator<Item = &'k (KeyId, RecoveryKey)> + Clone,
    ) -> Result<(), String> {
        for (name, secret) in self.element.secrets() {
            let Some(content) = data.get(name) else { continue };
            let document: SecretDocument = serde_json::from_value(content.clone()).map_err(|e| e.to_string())?;
            let opens = keys.clone().any(|(id, key)| {
                let entry = document.entry(id).ok().flatten();
                let opened = entry.and_then(|entry| entry.decrypt(&key.derive_keys(name)).ok());
                opened.is_some_and(|opened| opened.expose("to compare") == secret.expose("to compare"))
            });
            if !opens {
                return Err(format!("{name} opens with no key that anybody keeps"));
            }
        }
        Ok(())
    }

    /// Does the homeserver publish the identity that the client made?
    pub(crate) async fn has_its_identity(&self, world: &World) -> bool {
        let seed = self.element.secrets().find(|(name, _)| *name == secret_name::MASTER).unwrap().1;
        let made = keystead_core::identity::derive_public(&decode_seed(&seed).unwrap());
        *self.published(world).await.master() == made
    }

    /// With this key, every secret opens and is the client's.
    pub(crate) fn opens_everything(&self, data: &Value, id: &KeyId, key: &RecoveryKey) -> Result<(), String> {
        let description = data[format!("m.secret_storage.key.{}", id.as_str())].clone();
        let description: KeyDescription = serde_json::from_value(description).map_err(|_| "no key description")?;
        description.verify(&key.derive_keys("")).map_err(|_| "the key does not fit its description")?;
        for name in secret_name::ALL {
            let document: SecretDocument =
                serde_json::from_value(data[name].clone()).map_err(|_| format!("{name} is missing"))?;
            let entry = document.entry(id).ok().flatten().ok_or(format!("{name} has no entry"))?;
            let opened = entry.decrypt(&key.derive_keys(name)).map_err(|_| format!("{name} does not open"))?;
            if !self.element.had(name, &opened) {
                return Err(format!("{name} is another secret"));
            }
        }
        assert_eq!(self.element.secrets().count(), secret_name::ALL.len());
        Ok(())
    }

    /// The end: one recovery key in force, and with what gpg took out every secret opens and is the client's.
    pub(crate) async fn is_whole(&self, world: &World) -> Result<(), String> {
        let data = self.data(world).await;
        let id = data["m.secret_storage.default_key"]["key"].as_str().ok_or("no default key")?;
        let id = KeyId::parse(id).map_err(|e| e.to_string())?;
        let key = self.open(world, &data, &id).await?;
        self.opens_everything(&data, &id, &key)
    }
}

fn named(effect: &Effect) -> String {
    let writes = matches!(effect, Effect::Http(r) if r.iter().any(|r| r.method == keystead_core::effect::Method::Put));
    if writes { format!("{} PUT ", effect.name()) } else { effect.name() }
}

fn refusal(status: u16) -> HttpResponse {
    let body = br#"{"errcode":"M_UNKNOWN","error":"on purpose"}"#.to_vec();
    let retry_after_ms = (status == 429).then_some(7_000);
    HttpResponse { status, content_type: "application/json".into(), retry_after_ms, body }
}

fn success() -> HttpResponse {
    HttpResponse { status: 200, content_type: "application/json".into(), retry_after_ms: None, body: b"{}".to_vec() }
}
