//! Performs what a flow of the core asks for.

use std::{future::Future, rc::Rc};

use futures_channel::oneshot;
use futures_util::future::join_all;
use keystead_core::{
    effect::{
        Answer, Effect, HttpRequest, HttpResponse, Io, NativeCommand, NativeError, NativeRequest, PageAnswer, Run,
        Step, StoreCommand, TransportError, VaultCommand,
    },
    ident::{Origin, UserId},
    recovery::KeyVault,
    secret::SecretText,
    store::Store,
};

use crate::{
    adapter::{
        clock,
        fetch::{self, Session},
        native::NativeHost,
        vault::WebVault,
    },
    background::State,
    deployment::{self, ToKeep},
    pages,
};

/// Performs effects for one account.
pub(crate) struct Driver {
    state: Rc<State>,
    origin: Origin,
    user: UserId,
    vault: WebVault,
    /// How many sessions of the account had ended when the flow began.
    ended: u32,
    native: NativeHost,
}

impl Driver {
    /// For this account.
    pub(crate) fn new(state: &Rc<State>, origin: &Origin, user: &UserId) -> Self {
        let scope = format!("{}|{}", origin.as_str(), user.as_str());
        let vault = WebVault::new(state.database.clone(), scope);
        let ended = state.ended_sessions(origin, user);
        let native = NativeHost::default();
        Self { state: Rc::clone(state), origin: origin.clone(), user: user.clone(), vault, ended, native }
    }

    /// Runs a flow to its end.
    pub(crate) async fn run<'a, T, F: Future<Output = T> + 'a>(&mut self, flow: impl FnOnce(Io) -> F) -> T {
        let mut run = Run::start(clock::now(), flow);
        loop {
            match run.step() {
                Step::Done(result) => return result,
                Step::Do(effect) => {
                    let answer = self.perform(effect).await;
                    run.answer(answer, clock::now());
                }
            }
        }
    }

    async fn perform(&self, effect: Effect) -> Answer {
        // What was begun in a session that is over must not put back what its end has removed.
        if self.state.ended_sessions(&self.origin, &self.user) != self.ended {
            return match effect {
                Effect::Http(requests) => Answer::Http(requests.iter().map(|_| Err(TransportError::NoToken)).collect()),
                Effect::Page(_) => Answer::Page(PageAnswer::Gone),
                Effect::Native(_) => {
                    self.native.close();
                    Answer::Native(Err(NativeError::Died))
                }
                Effect::Report(_) | Effect::SleepUntil(_) => Answer::Done,
                Effect::Vault(_) | Effect::Store(_) | Effect::Keep { .. } => Answer::Failed,
            };
        }
        match effect {
            Effect::Http(requests) => Answer::Http(join_all(requests.iter().map(|r| self.http(r))).await),
            Effect::Vault(command) => self.vault(command).await,
            Effect::Store(StoreCommand::Get(key)) => {
                self.state.database.get(&key).await.map_or(Answer::Failed, Answer::Record)
            }
            Effect::Store(StoreCommand::Put(key, value)) => done(self.state.database.put(&key, &value).await),
            Effect::Store(StoreCommand::GetAll(keys)) => {
                self.state.database.get_all(&keys).await.map_or(Answer::Failed, Answer::Records)
            }
            Effect::Store(StoreCommand::PutAll(records)) => done(self.state.database.put_all(&records).await),
            Effect::Store(StoreCommand::Replace { key, old, new }) => {
                let replaced = self.state.database.replace(&key, old.as_deref(), &new).await;
                replaced.map_or(Answer::Failed, Answer::Replaced)
            }
            Effect::Store(StoreCommand::Delete(key)) => done(self.state.database.delete(&key).await),
            Effect::Page(command) => {
                Answer::Page(pages::command(&self.state, &self.origin, &self.user, &command).await)
            }
            Effect::SleepUntil(at) => {
                clock::sleep(at.since(clock::now())).await;
                Answer::Done
            }
            Effect::Report(progress) => {
                deployment::report(&self.state, &self.origin, *progress);
                Answer::Done
            }
            Effect::Keep { key_id, text } => {
                let (sender, kept) = oneshot::channel();
                let to_keep = ToKeep { key_id, text, kept: sender };
                self.state.live(&self.origin, |live| live.to_keep = Some(to_keep));
                // Nothing is under way while the person is asked: a background that is started again makes another key.
                deployment::tell_to_wait(&self.state, &self.origin, false);
                let answer = kept.await.map_or(Answer::Failed, |()| Answer::Done);
                deployment::tell_to_wait(&self.state, &self.origin, true);
                answer
            }
            Effect::Native(NativeCommand::Exchange(request)) => Answer::Native(self.native(&request).await),
            Effect::Native(NativeCommand::Close) => {
                self.native.close();
                Answer::Done
            }
        }
    }

    async fn http(&self, request: &HttpRequest) -> Result<HttpResponse, TransportError> {
        let homeserver = {
            let in_force = self.state.policy.borrow();
            let deployment = in_force.policy.as_ref().and_then(|p| p.deployment(&self.origin));
            deployment.map(|d| d.homeserver.as_str().trim_end_matches('/').to_owned())
        };
        let token = pages::token(&self.state, &self.origin, &self.user);
        let session = homeserver.as_deref().zip(token.as_deref());
        fetch::perform(request, session.map(|(homeserver, token)| Session { homeserver, token })).await
    }

    /// By the host that the policy names; without one, there is none.
    async fn native(&self, request: &NativeRequest) -> Result<SecretText, NativeError> {
        let host = {
            let in_force = self.state.policy.borrow();
            let restore = in_force.policy.as_ref().and_then(|policy| policy.restore.as_ref());
            restore.and_then(|restore| restore.gnupg_host.clone())
        };
        let host = host.ok_or(NativeError::Missing)?;
        self.native.exchange(host.as_str(), request).await
    }

    async fn vault(&self, command: VaultCommand) -> Answer {
        match command {
            VaultCommand::Admit { id, key } => self.vault.admit(&id, key).await.map_or(Answer::Failed, Answer::Wrapped),
            VaultCommand::Derive { id, wrapped, info } => {
                self.vault.derive(&id, &wrapped, &info).await.map_or(Answer::Failed, Answer::Derived)
            }
            VaultCommand::Holds(id) => self.vault.holds(&id).await.map_or(Answer::Failed, Answer::Holds),
            VaultCommand::Ids => self.vault.ids().await.map_or(Answer::Failed, Answer::Ids),
            VaultCommand::Forget(id) => done(self.vault.forget(&id).await),
            VaultCommand::Sign(text) => self.vault.sign(&text).await.map_or(Answer::Failed, Answer::Signed),
            VaultCommand::Stretch { passphrase, typed } => {
                self.vault.stretch(&passphrase, &typed).await.map_or(Answer::Failed, Answer::Stretched)
            }
        }
    }
}

fn done<E>(result: Result<(), E>) -> Answer {
    result.map_or(Answer::Failed, |()| Answer::Done)
}
