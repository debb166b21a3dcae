//! One account: its browser's disk, its runs, and what must hold of it.

use std::{
    cell::{Cell, RefCell},
    future::Future,
};

use keystead_cli::{Driver, Homeserver, Http, NoPage};
use keystead_core::{
    bootstrap::{self, Outcome, Setup},
    bridge,
    effect::{Answer, Effect, HttpResponse, Io, PageAnswer, PageCommand, Readiness, Run, Step, TransportError},
    ident::{DeviceId, KeyId, Origin, UserId},
    recovery::{
        KeyDescription, MemoryVault, SecretDocument,
        sealed::{self, SealedDocument, SealedNames},
        secret_name,
    },
    secret::SecretText,
    store::MemoryStore,
    time::UnixMillis,
};
use keystead_testbed::Session;
use serde_json::Value;

use crate::{
    element::Element,
    world::{Fault, World},
};

/// The process died.
struct Died;

pub(crate) struct Account {
    user: UserId,
    device: DeviceId,
    element: Element,
    /// Vault and store are what lies on the disk: they outlive the runs.
    driver: Driver<MemoryVault, MemoryStore, NoPage>,
    trace: RefCell<Vec<String>>,
    fault: Cell<Option<Fault>>,
    now: Cell<u64>,
}

fn origin() -> Origin {
    Origin::parse("http://localhost:8080").unwrap()
}

impl Account {
    pub(crate) async fn new(world: &World, session: &Session) -> Self {
        let element = Element::set_up(&world.synapse, session).await;
        let base = world.synapse.url().parse().unwrap();
        let homeserver = Homeserver { base, token: Some(SecretText::new(session.access_token.clone())) };
        let (vault, store) = (MemoryVault::default(), MemoryStore::default());
        Self {
            user: UserId::parse(&session.user_id).unwrap(),
            device: DeviceId::parse(&session.device_id).unwrap(),
            element,
            driver: Driver::with(Http::new().unwrap(), Some(homeserver), vault, store, NoPage),
            trace: RefCell::default(),
            fault: Cell::default(),
            now: Cell::new(keystead_cli::now().0),
        }
    }

    /// The names of the effects of the last run.
    pub(crate) fn trace(&self) -> Vec<String> {
        self.trace.borrow().clone()
    }

    /// Runs a set-up, as at a start of the browser; `None` where the process died.
    pub(crate) async fn start(&self, world: &World, fault: Option<Fault>) -> Option<Outcome> {
        self.trace.borrow_mut().clear();
        self.fault.set(fault);
        let setup = Setup {
            origin: origin(),
            server_name: Some(world.synapse.server_name().to_owned()),
            user_id: self.user.clone(),
            device_id: self.device.clone(),
            policy: world.policy(self.user.as_str()),
            typed: None,
        };
        self.drive(|io| bootstrap::run(io, setup)).await.ok()
    }

    fn time(&self) -> UnixMillis {
        UnixMillis(self.now.get())
    }

    async fn drive<'a, T, F: Future<Output = T> + 'a>(&self, flow: impl FnOnce(Io) -> F) -> Result<T, Died> {
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
            self.now.set(self.now.get().max(time.0));
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
            (Some(Fault::Fails(at)), Effect::Page(_)) if at == index => return Ok(Answer::Page(PageAnswer::Gone)),
            (Some(Fault::Fails(at)), _) if at == index => return Ok(Answer::Failed),
            _ => {}
        }
        let answer = match effect {
            Effect::Page(command) => Answer::Page(Box::pin(self.page(command)).await?),
            other => self.driver.perform(other).await,
        };
        if fault == Some(Fault::DiesAfter(index)) { Err(Died) } else { Ok(answer) }
    }

    /// What the page does: Element's client, and the page hook.
    async fn page(&self, command: PageCommand) -> Result<PageAnswer, Died> {
        if command == PageCommand::Readiness {
            return Ok(PageAnswer::Ready(Readiness { holds_secrets: true }));
        }
        if command == PageCommand::StoreSecrets {
            let session =
                bridge::Session { origin: origin(), user_id: self.user.clone(), device_id: self.device.clone() };
            for (name, secret) in self.element.secrets() {
                let answer = self.drive(|io| bridge::store(io, &session, name, &secret)).await?;
                if !matches!(answer, bridge::Answer::Stored) {
                    return Ok(PageAnswer::Failed);
                }
            }
        }
        Ok(PageAnswer::Done)
    }

    async fn data(&self, world: &World) -> Value {
        world.synapse.account_data(self.user.as_str()).await.unwrap()["global"].take()
    }

    /// Whatever happened: if the account has a default key, gpg opens a sealed recovery for it, and that is the key.
    pub(crate) async fn nothing_is_lost(&self, world: &World) -> Result<(), String> {
        let data = self.data(world).await;
        match data["m.secret_storage.default_key"]["key"].as_str() {
            None => Ok(()),
            Some(id) => self.open(world, &data, &KeyId::parse(id).unwrap()).await.map(|_| ()),
        }
    }

    async fn open(
        &self,
        world: &World,
        data: &Value,
        id: &KeyId,
    ) -> Result<keystead_core::recovery::RecoveryKey, String> {
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

    /// The end: one recovery key in force, and with what gpg took out every secret opens and is the client's.
    pub(crate) async fn is_whole(&self, world: &World) -> Result<(), String> {
        let data = self.data(world).await;
        let id = data["m.secret_storage.default_key"]["key"].as_str().ok_or("no default key")?;
        let id = KeyId::parse(id).map_err(|e| e.to_string())?;
        let key = self.open(world, &data, &id).await?;
        for (name, secret) in self.element.secrets() {
            let document: SecretDocument =
                serde_json::from_value(data[name].clone()).map_err(|_| format!("{name} is missing"))?;
            let entry = document.entry(&id).ok().flatten().ok_or(format!("{name} has no entry"))?;
            let opened = entry.decrypt(&key.derive_keys(name)).map_err(|_| format!("{name} does not open"))?;
            if opened.expose("to compare") != secret.expose("to compare") {
                return Err(format!("{name} is another secret"));
            }
        }
        assert_eq!(self.element.secrets().count(), secret_name::ALL.len());
        Ok(())
    }
}

fn named(effect: &Effect) -> String {
    let writes = matches!(effect, Effect::Http(r) if r.iter().any(|r| r.method == keystead_core::effect::Method::Put));
    if writes { format!("{} PUT ", effect.name()) } else { effect.name() }
}

fn refusal(status: u16) -> HttpResponse {
    let body = br#"{"errcode":"M_UNKNOWN","error":"on purpose"}"#.to_vec();
    HttpResponse { status, content_type: "application/json".into(), retry_after_ms: None, body }
}

fn success() -> HttpResponse {
    HttpResponse { status: 200, content_type: "application/json".into(), retry_after_ms: None, body: b"{}".to_vec() }
}
