//! How a flow of the core asks the world for something.
//!
//! The contract. A flow is an `async fn` that is given an [`Io`]. It is driven by hand, by whoever has the network and the
//! storage (the *driver*):
//!
//! 1. [`Run::step`] gives the one [`Effect`] the flow waits for, or its result.
//! 2. The driver performs the effect and hands the [`Answer`] and the time to [`Run::answer`]; then again from 1.
//!
//! Nothing else wakes a flow: there is no executor, no timer and no clock in here. At most one effect is open at a time,
//! so a driver can stop a run before or after any effect and drop it; whatever must survive that has been put in the
//! store by then, and every effect can be repeated. [`Effect::name`] says in a stable word which effect it is, without
//! anything personal: traces and crash tests are made of these.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    ident::{KeyId, RoomId, UserId},
    recovery::{DerivedKeys, Passphrase, RecoveryKey, Signed, WrappedRecoveryKey},
    secret::SecretText,
    status::Progress,
    time::UnixMillis,
};

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The deployment's homeserver: a path with its query, from `/_matrix/…` on; sent with the session's access token.
    Homeserver(String),
    /// A whole URL, sent with no credentials of any kind.
    Url(url::Url),
}

/// The HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Put,
    Post,
}

/// One HTTP request. The driver sends no cookies, uses no cache, follows redirects on the same origin at most (in the browser
/// none), and gives up after `timeout_ms` or after `max_bytes` of body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// A stable word for traces: what is asked, never of whom.
    pub name: &'static str,
    /// The method.
    pub method: Method,
    /// Where to.
    pub target: Target,
    /// A JSON body.
    pub body: Option<String>,
    /// Time limit for the whole exchange, in milliseconds.
    pub timeout_ms: u32,
    /// The most bytes of body that are read.
    pub max_bytes: u32,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The `Content-Type` header, empty if none.
    pub content_type: String,
    /// The `Retry-After` header in milliseconds, if there is a usable one.
    pub retry_after_ms: Option<u64>,
    /// The body, at most `max_bytes`.
    pub body: Vec<u8>,
}

/// Why there is no answer at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum TransportError {
    /// No connection, or it broke.
    #[error("the server cannot be reached")]
    Unreachable,
    /// Not done within the time limit.
    #[error("no answer within the time limit")]
    Timeout,
    /// The body is larger than allowed.
    #[error("the answer is too large")]
    TooLarge,
    /// A redirect to another origin.
    #[error("redirected to another host")]
    Redirected,
    /// No tab has handed over an access token.
    #[error("no access token at hand")]
    NoToken,
}

/// What a [`crate::recovery::KeyVault`] is asked through a run.
pub enum VaultCommand {
    /// Make a wrapping key for this id, keep it (durably), and wrap the recovery key with it.
    Admit {
        /// The secret storage key's id.
        id: KeyId,
        /// The recovery key; wiped by the vault.
        key: RecoveryKey,
    },
    /// Derive the AES and MAC keys for one secret.
    Derive {
        /// The secret storage key's id.
        id: KeyId,
        /// The recovery key as [`VaultCommand::Admit`] returned it.
        wrapped: WrappedRecoveryKey,
        /// The HKDF info: the secret's name, or empty for the key description.
        info: String,
    },
    /// Is there a wrapping key for this id?
    Holds(KeyId),
    /// Which ids are there wrapping keys for?
    Ids,
    /// Remove the wrapping key for this id for good.
    Forget(KeyId),
    /// Sign this text with the key that the vault keeps for such.
    Sign(String),
    /// Make the recovery key of a passphrase.
    Stretch {
        /// How.
        passphrase: Passphrase,
        /// What the person typed.
        typed: SecretText,
    },
}

/// What a [`crate::store::Store`] is asked through a run. Writes are durable when they are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreCommand {
    /// Read a record.
    Get(String),
    /// Write a record.
    Put(String, String),
    /// Read several records.
    GetAll(Vec<String>),
    /// Write several records, all of them or none.
    PutAll(Vec<(String, String)>),
    /// Write a record if what is there is still `old`; `None` means that there is none.
    Replace {
        /// The record's key.
        key: String,
        /// What it must be.
        old: Option<String>,
        /// What it becomes.
        new: String,
    },
    /// Remove a record.
    Delete(String),
}

/// What the page hook is asked to let the client do. None of it returns a secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum PageCommand {
    /// Expect this key as the account's default key: that it comes is no news.
    ExpectKey {
        /// The key's id.
        key: KeyId,
    },
    /// Wait until the client has this account data from its own sync.
    AwaitAccountData {
        /// The event type.
        kind: String,
        /// The content it must have.
        content: Value,
    },
    /// Have the client store its secrets (`bootstrapSecretStorage`); they come through the bridge.
    StoreSecrets,
    /// Have the client hand over its secrets as they are, to be stored beside somebody else's entries; they come through
    /// the bridge.
    StoreBeside,
    /// Have the client take its secrets from secret storage over the bridge: verify its own device, load the backup key,
    /// and leave the view that asks the person to confirm the identity.
    Restore,
    /// Have the client publish the cross-signing keys that it made and did not come to publish: what a first login does by
    /// itself, where that was interrupted.
    MakeIdentity {
        /// A client that has none makes some; unless its own set-up ran in this page.
        anew: bool,
    },
    /// Have the client make a new key backup, signed by its own identity.
    MakeBackup,
    /// Have the client take all that is in its key backup, and make a new one with a new key in its place, signed by its own
    /// identity. The new key comes through the bridge.
    RenewBackup,
    /// Have the client make one authenticated call (it refreshes its token if it must) and hand over the token it has.
    RenewToken,
    /// Ask the client whether this session itself has what is to be stored.
    Readiness,
    /// Have the client make new room keys for the next message of every room, and hand them out anew.
    DiscardSessions,
    /// Ask the client which of these people are in one of these rooms; answered with [`PageAnswer::In`].
    WhoIsIn {
        /// The people.
        users: Vec<UserId>,
        /// The rooms.
        rooms: Vec<RoomId>,
    },
}

/// What the client says of itself ([`PageCommand::Readiness`]).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// It has the private halves of all three cross-signing keys, and the private key of the active key backup.
    pub holds_secrets: bool,
}

/// How a page command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "page", rename_all = "snake_case")]
pub enum PageAnswer {
    /// Done.
    Done,
    /// Done, and this is what the client says.
    Ready(Readiness),
    /// Done, and these people are there.
    In {
        /// Who.
        users: Vec<UserId>,
    },
    /// The client refused or failed.
    Failed,
    /// The tab is gone, or did not answer in time.
    Gone,
}

/// The most bytes of one message from a native messaging host; what is larger, browsers refuse as well.
pub const MAX_NATIVE_MESSAGE: usize = 1 << 20;

/// One message to the native messaging host that speaks for GnuPG; it answers with one.
#[derive(Clone, PartialEq, Eq)]
pub struct NativeRequest {
    /// A stable word for traces: what is asked.
    pub name: &'static str,
    /// The message, a JSON object.
    pub message: String,
    /// Time limit for the answer, in milliseconds: a person may have to find a PIN.
    pub timeout_ms: u32,
}

/// What is asked of the native messaging host that the driver knows.
pub enum NativeCommand {
    /// Start the host unless it runs, send this, and answer with the next message, a JSON text of at most
    /// [`MAX_NATIVE_MESSAGE`] bytes. The host is ended, and never heard again, where that fails.
    Exchange(NativeRequest),
    /// End the host; it need not run.
    Close,
}

/// Why a native messaging host did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NativeError {
    /// None is registered, or it is not for this extension.
    #[error("there is no native messaging host")]
    Missing,
    /// The extension lacks the permission.
    #[error("native messaging is not permitted")]
    NoPermission,
    /// It ended, or sent what is no message.
    #[error("the native messaging host ended")]
    Died,
    /// No answer within the time limit.
    #[error("no answer within the time limit")]
    Timeout,
    /// Its message is larger than allowed. (Not every browser tells this from [`NativeError::Died`].)
    #[error("the answer is too large")]
    TooLarge,
}

/// One thing a flow waits for.
pub enum Effect {
    /// Perform these at the same time; answer with as many results in the same order.
    Http(Vec<HttpRequest>),
    /// Ask the vault.
    Vault(VaultCommand),
    /// Ask the store.
    Store(StoreCommand),
    /// Ask the page.
    Page(PageCommand),
    /// Answer [`Answer::Done`] at this time, or somewhat later.
    SleepUntil(UnixMillis),
    /// Show this; answer [`Answer::Done`] at once.
    Report(Box<Progress>),
    /// Have the person keep this recovery key, shown on a page of the extension; answer [`Answer::Done`] when the person
    /// says so of the key of this id, [`Answer::Failed`] when that will not happen.
    Keep {
        /// The secret storage key's id: one key was shown and another put into force if it were not compared.
        key_id: KeyId,
        /// The recovery key in the Matrix base58 form.
        text: SecretText,
    },
    /// Ask the native messaging host.
    Native(NativeCommand),
}

impl std::fmt::Debug for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl Effect {
    /// A stable word for traces and crash tests.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Http(requests) => {
                let names: Vec<_> = requests.iter().map(|r| r.name).collect();
                format!("http {}", names.join("+"))
            }
            Self::Vault(VaultCommand::Admit { .. }) => "vault admit".into(),
            Self::Vault(VaultCommand::Derive { .. }) => "vault derive".into(),
            Self::Vault(VaultCommand::Holds(_)) => "vault holds".into(),
            Self::Vault(VaultCommand::Ids) => "vault ids".into(),
            Self::Vault(VaultCommand::Forget(_)) => "vault forget".into(),
            Self::Vault(VaultCommand::Sign(_)) => "vault sign".into(),
            Self::Vault(VaultCommand::Stretch { .. }) => "vault stretch".into(),
            Self::Store(StoreCommand::Get(_)) => "store get".into(),
            Self::Store(StoreCommand::Put(..)) => "store put".into(),
            Self::Store(StoreCommand::GetAll(_)) => "store get_all".into(),
            Self::Store(StoreCommand::PutAll(_)) => "store put_all".into(),
            Self::Store(StoreCommand::Replace { .. }) => "store replace".into(),
            Self::Store(StoreCommand::Delete(_)) => "store delete".into(),
            Self::Page(PageCommand::ExpectKey { .. }) => "page expect".into(),
            Self::Page(PageCommand::AwaitAccountData { .. }) => "page await".into(),
            Self::Page(PageCommand::StoreSecrets) => "page store_secrets".into(),
            Self::Page(PageCommand::StoreBeside) => "page store_beside".into(),
            Self::Page(PageCommand::Restore) => "page restore".into(),
            Self::Page(PageCommand::MakeIdentity { .. }) => "page make_identity".into(),
            Self::Page(PageCommand::MakeBackup) => "page make_backup".into(),
            Self::Page(PageCommand::RenewBackup) => "page renew_backup".into(),
            Self::Page(PageCommand::RenewToken) => "page renew_token".into(),
            Self::Page(PageCommand::Readiness) => "page readiness".into(),
            Self::Page(PageCommand::DiscardSessions) => "page discard_sessions".into(),
            Self::Page(PageCommand::WhoIsIn { .. }) => "page who_is_in".into(),
            Self::SleepUntil(_) => "sleep".into(),
            Self::Report(_) => "report".into(),
            Self::Keep { .. } => "keep".into(),
            Self::Native(NativeCommand::Exchange(request)) => format!("native {}", request.name),
            Self::Native(NativeCommand::Close) => "native close".into(),
        }
    }
}

/// The answer to an [`Effect`], variant for variant.
pub enum Answer {
    /// To [`Effect::Http`].
    Http(Vec<Result<HttpResponse, TransportError>>),
    /// To [`VaultCommand::Admit`].
    Wrapped(WrappedRecoveryKey),
    /// To [`VaultCommand::Derive`].
    Derived(DerivedKeys),
    /// To [`VaultCommand::Sign`].
    Signed(Signed),
    /// To [`VaultCommand::Stretch`].
    Stretched(RecoveryKey),
    /// To [`VaultCommand::Holds`].
    Holds(bool),
    /// To [`VaultCommand::Ids`].
    Ids(Vec<KeyId>),
    /// To [`StoreCommand::Get`].
    Record(Option<String>),
    /// To [`StoreCommand::GetAll`], in the same order.
    Records(Vec<Option<String>>),
    /// To [`StoreCommand::Replace`]: was it replaced?
    Replaced(bool),
    /// To [`Effect::Page`].
    Page(PageAnswer),
    /// To [`NativeCommand::Exchange`].
    Native(Result<SecretText, NativeError>),
    /// To everything that only has to be done.
    Done,
    /// The vault or the store failed.
    Failed,
}

/// What [`Run::step`] found.
#[derive(Debug)]
pub enum Step<T> {
    /// Perform this, then call [`Run::answer`].
    Do(Effect),
    /// The flow ended.
    Done(T),
}

#[derive(Default)]
struct Wire {
    effect: Option<Effect>,
    answer: Option<Answer>,
    now: Option<UnixMillis>,
}

/// A flow's end of the wire.
#[derive(Clone)]
pub struct Io(Rc<RefCell<Wire>>);

impl Io {
    /// The time as of the last answer.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.0.borrow().now.unwrap_or(UnixMillis(0))
    }

    /// Hands out an effect and waits for its answer.
    pub async fn ask(&self, effect: Effect) -> Answer {
        self.0.borrow_mut().effect = Some(effect);
        std::future::poll_fn(|_| self.0.borrow_mut().answer.take().map_or(Poll::Pending, Poll::Ready)).await
    }
}

/// A flow under way.
pub struct Run<'a, T> {
    wire: Rc<RefCell<Wire>>,
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
}

impl<'a, T> Run<'a, T> {
    /// Starts a flow at a time; nothing of it runs before [`Run::step`].
    pub fn start<F: Future<Output = T> + 'a>(now: UnixMillis, flow: impl FnOnce(Io) -> F) -> Self {
        let wire = Rc::new(RefCell::new(Wire { now: Some(now), ..Wire::default() }));
        let future = Box::pin(flow(Io(Rc::clone(&wire))));
        Self { wire, future }
    }

    /// Runs the flow to its next effect or its end. To be called once at the start and once after each answer.
    pub fn step(&mut self) -> Step<T> {
        match self.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => Step::Done(result),
            Poll::Pending => match self.wire.borrow_mut().effect.take() {
                Some(effect) => Step::Do(effect),
                // A flow waits only through `Io::ask`, and is polled only when that has its answer.
                None => Step::Do(Effect::SleepUntil(UnixMillis(0))),
            },
        }
    }

    /// Hands the flow the answer to the effect that [`Run::step`] gave.
    pub fn answer(&mut self, answer: Answer, now: UnixMillis) {
        let mut wire = self.wire.borrow_mut();
        wire.answer = Some(answer);
        wire.now = Some(now);
    }
}
