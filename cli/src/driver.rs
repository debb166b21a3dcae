//! Performs the core's effects outside a browser.

use std::time::Duration;

use keystead_core::{
    effect::{
        Answer, Effect, HttpRequest, HttpResponse, Io, NativeCommand, NativeError, PageAnswer, PageCommand, Run, Step,
        StoreCommand, Target, TransportError, VaultCommand,
    },
    recovery::{KeyVault, MemoryVault},
    secret::SecretText,
    status::Progress,
    store::{MemoryStore, Store},
};
use tokio::task::JoinSet;
use url::Url;

use crate::{
    dates::now,
    http::{Http, Request},
    native::NativeHost,
};

/// What stands in for the page hook.
#[allow(async_fn_in_trait)]
pub trait Page {
    /// Does what the page is asked.
    async fn perform(&self, command: PageCommand) -> PageAnswer;
}

/// There is no page: every command finds the tab gone.
pub struct NoPage;

impl Page for NoPage {
    async fn perform(&self, _: PageCommand) -> PageAnswer {
        PageAnswer::Gone
    }
}

/// The homeserver and the session that requests are made with.
pub struct Homeserver {
    /// The base URL.
    pub base: Url,
    /// The access token; without one, requests end with [`TransportError::NoToken`].
    pub token: Option<SecretText>,
}

/// Runs flows of the core: real HTTP and a real clock, and the vault, store and page it is given.
pub struct Driver<V = MemoryVault, S = MemoryStore, P = NoPage> {
    http: Http,
    /// Where [`Target::Homeserver`] leads; without one, such requests end with [`TransportError::NoToken`].
    pub homeserver: Option<Homeserver>,
    /// The vault.
    pub vault: V,
    /// The store.
    pub store: S,
    /// The page.
    pub page: P,
    /// The native messaging host; without one, exchanges end with [`NativeError::Missing`].
    pub native: Option<NativeHost>,
    /// Shown what the flow reports.
    pub report: fn(&Progress),
}

impl Driver {
    /// A driver with vault and store in memory, no homeserver and no page.
    #[must_use]
    pub fn new(http: Http) -> Self {
        Self::with(http, None, MemoryVault::default(), MemoryStore::default(), NoPage)
    }
}

impl<V: KeyVault, S: Store, P: Page> Driver<V, S, P> {
    /// A driver over all of these.
    #[must_use]
    pub fn with(http: Http, homeserver: Option<Homeserver>, vault: V, store: S, page: P) -> Self {
        Self { http, homeserver, vault, store, page, native: None, report: |_| () }
    }

    /// Runs a flow to its end.
    pub async fn run<'a, T, F: Future<Output = T> + 'a>(&self, flow: impl FnOnce(Io) -> F) -> T {
        let mut run = Run::start(now(), flow);
        loop {
            match run.step() {
                Step::Done(result) => return result,
                Step::Do(effect) => {
                    let answer = self.perform(effect).await;
                    run.answer(answer, now());
                }
            }
        }
    }

    /// Performs one effect; for tests that stop a run, or look at it, between two.
    pub async fn perform(&self, effect: Effect) -> Answer {
        match effect {
            Effect::Http(requests) => Answer::Http(self.send_all(requests).await),
            Effect::Vault(command) => self.vault(command).await,
            Effect::Store(command) => self.store(command).await,
            Effect::Page(command) => Answer::Page(self.page.perform(command).await),
            Effect::SleepUntil(time) => {
                tokio::time::sleep(time.since(now())).await;
                Answer::Done
            }
            Effect::Report(progress) => {
                (self.report)(&progress);
                Answer::Done
            }
            // There is no page of the extension to show it on.
            Effect::Keep { .. } => Answer::Failed,
            Effect::Native(command) => self.native(command).await,
        }
    }

    /// All at the same time; the answers in the order of the requests.
    async fn send_all(&self, requests: Vec<HttpRequest>) -> Vec<Result<HttpResponse, TransportError>> {
        let mut answers: Vec<_> = requests.iter().map(|_| Err(TransportError::Unreachable)).collect();
        let mut under_way = JoinSet::new();
        for (index, request) in requests.into_iter().enumerate() {
            let (url, token) = match self.address(&request.target) {
                Ok(address) => address,
                Err(error) => {
                    answers[index] = Err(error);
                    continue;
                }
            };
            let http = self.http.clone();
            under_way.spawn(async move {
                let sent = Request {
                    method: request.method,
                    url,
                    body: request.body,
                    token: token.as_ref().map(|token| token.expose("the homeserver's own access token")),
                    timeout: Duration::from_millis(request.timeout_ms.into()),
                    max_bytes: request.max_bytes as usize,
                };
                (index, http.send(sent).await)
            });
        }
        while let Some(ended) = under_way.join_next().await {
            if let Ok((index, answer)) = ended {
                answers[index] = answer;
            }
        }
        answers
    }

    fn address(&self, target: &Target) -> Result<(Url, Option<SecretText>), TransportError> {
        match target {
            Target::Url(url) => Ok((url.clone(), None)),
            Target::Homeserver(path) => {
                let homeserver = self.homeserver.as_ref().ok_or(TransportError::NoToken)?;
                let token = homeserver.token.as_ref().ok_or(TransportError::NoToken)?;
                let base = homeserver.base.as_str().trim_end_matches('/');
                let url = Url::parse(&format!("{base}{path}")).map_err(|_| TransportError::Unreachable)?;
                if url.origin() != homeserver.base.origin() {
                    return Err(TransportError::Redirected);
                }
                let token = SecretText::new(token.expose("one copy a request").to_owned());
                Ok((url, Some(token)))
            }
        }
    }

    async fn vault(&self, command: VaultCommand) -> Answer {
        match command {
            VaultCommand::Admit { id, key } => answer(self.vault.admit(&id, key).await, Answer::Wrapped),
            VaultCommand::Derive { id, wrapped, info } => {
                answer(self.vault.derive(&id, &wrapped, &info).await, Answer::Derived)
            }
            VaultCommand::Holds(id) => answer(self.vault.holds(&id).await, Answer::Holds),
            VaultCommand::Ids => answer(self.vault.ids().await, Answer::Ids),
            VaultCommand::Forget(id) => answer(self.vault.forget(&id).await, |()| Answer::Done),
            VaultCommand::Sign(text) => answer(self.vault.sign(&text).await, Answer::Signed),
            VaultCommand::Stretch { passphrase, typed } => {
                answer(self.vault.stretch(&passphrase, &typed).await, Answer::Stretched)
            }
        }
    }

    async fn native(&self, command: NativeCommand) -> Answer {
        match (&self.native, command) {
            (Some(host), NativeCommand::Exchange(request)) => Answer::Native(host.exchange(&request).await),
            (None, NativeCommand::Exchange(_)) => Answer::Native(Err(NativeError::Missing)),
            (host, NativeCommand::Close) => {
                if let Some(host) = host {
                    host.close().await;
                }
                Answer::Done
            }
        }
    }

    async fn store(&self, command: StoreCommand) -> Answer {
        match command {
            StoreCommand::Get(key) => answer(self.store.get(&key).await, Answer::Record),
            StoreCommand::Put(key, value) => answer(self.store.put(&key, &value).await, |()| Answer::Done),
            StoreCommand::GetAll(keys) => answer(self.store.get_all(&keys).await, Answer::Records),
            StoreCommand::PutAll(records) => answer(self.store.put_all(&records).await, |()| Answer::Done),
            StoreCommand::Replace { key, old, new } => {
                answer(self.store.replace(&key, old.as_deref(), &new).await, Answer::Replaced)
            }
            StoreCommand::Delete(key) => answer(self.store.delete(&key).await, |()| Answer::Done),
        }
    }
}

fn answer<T, E>(result: Result<T, E>, of: impl FnOnce(T) -> Answer) -> Answer {
    result.map_or(Answer::Failed, of)
}
