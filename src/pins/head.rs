//! Signed heads: what the log ended with at a time, signed by a key that this browser does not give away.
//!
//! Threat: a log that somebody improved afterwards. Each line has the hash of the one before it, so a head stands for all
//! that came before. The signature says which browser wrote it; heads that were noted elsewhere (`evidence.url`, once a day)
//! say what it was then, whoever holds the browser since.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use super::log::{Log, line_hash, read_kept};
use crate::{
    bootstrap::record::RecordError,
    effect::{Answer, Effect, HttpRequest, Io, Method, StoreCommand, Target, VaultCommand},
    ident::{Origin, UserId},
    identity::PublicKey,
    matrix::base64,
    recovery::Signed,
    time::UnixMillis,
    value,
};

/// How often IT is told.
const DAILY: Duration = Duration::from_secs(24 * 60 * 60);
/// What says that IT is told a head.
pub(super) const KIND: &str = "keystead_log_head";
/// Time limit for telling IT, in milliseconds.
const TIMEOUT_MS: u32 = 15_000;

/// What the log of an account in one browser ended with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Where the account is used.
    pub deployment: Origin,
    /// Whose log it is: the SHA-256 of the deployment's origin, a line feed and the Matrix ID, in base64 without padding.
    pub account: String,
    /// The number of the last entry.
    pub number: u64,
    /// The SHA-256 of its line, in base64 without padding.
    pub hash: String,
    /// The SHA-256 of the whole log, every line with its line feed, in base64 without padding. What stands for lines that
    /// went is covered by nothing else.
    pub saved: String,
    /// When it was signed.
    pub at: UnixMillis,
    /// The browser's key for this account's log.
    pub key: PublicKey,
    /// Its signature, in base64.
    #[serde(with = "base64::array")]
    pub signature: [u8; 64],
}

impl Head {
    /// Did the key that it names sign it?
    #[must_use]
    pub fn holds(&self) -> bool {
        let Self { deployment, account, number, hash, saved, at, .. } = self;
        self.key.verifies(text(deployment, account, (*number, hash), saved, *at).as_bytes(), &self.signature)
    }

    /// Is it of this person's log?
    #[must_use]
    pub fn is_of(&self, user: &UserId) -> bool {
        self.account == account(&self.deployment, user)
    }
}

/// What is signed.
pub(super) fn text(deployment: &Origin, account: &str, last: (u64, &str), saved: &str, at: UnixMillis) -> String {
    let (number, hash) = last;
    format!("keystead log head 2\n{}\n{account}\n{number}\n{hash}\n{saved}\n{}", deployment.as_str(), at.0)
}

/// Names an account to those who know it.
pub(super) fn account(deployment: &Origin, user: &UserId) -> String {
    line_hash(&format!("{}\n{}", deployment.as_str(), user.as_str()))
}

/// The log for the person to keep, one JSON document a line; the last one is its signed head, where the vault can sign.
///
/// # Errors
/// [`RecordError::Store`] where the store fails.
pub async fn evidence(io: &Io, origin: &Origin, owner: &UserId) -> Result<String, RecordError> {
    let (mut text, head) = signed(io, origin, owner).await?;
    if let Some(head) = head {
        text.push_str(&json!({ "head": head }).to_string());
        text.push('\n');
    }
    Ok(text)
}

/// Tells IT the head, where a day has passed since it was last told, the log has grown, and the vault can sign.
///
/// # Errors
/// [`RecordError::Store`]; where IT does not take it, it is told the next time.
pub async fn tell_head(io: &Io, origin: &Origin, owner: &UserId, url: &Url) -> Result<(), RecordError> {
    let key = format!("pin-head|{}|{}", origin.as_str(), owner.as_str());
    let Answer::Record(told) = io.ask(Effect::Store(StoreCommand::Get(key.clone()))).await else {
        return Err(RecordError::Store);
    };
    // One that cannot be read is told again.
    let told: Option<Head> = told.and_then(|text| value::read(&text));
    if told.as_ref().is_some_and(|told| told.at <= io.now() && io.now().since(told.at) < DAILY) {
        return Ok(());
    }
    let (_, Some(head)) = signed(io, origin, owner).await? else { return Ok(()) };
    if told.is_some_and(|told| told.number == head.number && told.hash == head.hash) {
        return Ok(());
    }
    let body = json!({ "kind": KIND, "version": 2, "head": head });
    let request = HttpRequest {
        name: "log head",
        method: Method::Post,
        target: Target::Url(url.clone()),
        body: Some(body.to_string()),
        timeout_ms: TIMEOUT_MS,
        max_bytes: 1 << 16,
    };
    let Answer::Http(answers) = io.ask(Effect::Http(vec![request])).await else { return Ok(()) };
    if !matches!(answers.first(), Some(Ok(answer)) if (200..300).contains(&answer.status)) {
        return Ok(());
    }
    let text = serde_json::to_string(&head).map_err(|_| RecordError::Unreadable)?;
    match io.ask(Effect::Store(StoreCommand::Put(key, text))).await {
        Answer::Done => Ok(()),
        _ => Err(RecordError::Store),
    }
}

/// The log, and its head, signed now; none of a log that has no entries, nor where the vault cannot sign: not every browser
/// has Ed25519.
async fn signed(io: &Io, origin: &Origin, owner: &UserId) -> Result<(String, Option<Head>), RecordError> {
    let log = read_kept(io, origin, owner).await?;
    let (number, hash) = Log::parse(&log).head();
    if number == 0 {
        return Ok((log, None));
    }
    let (account, saved, at) = (account(origin, owner), line_hash(&log), io.now());
    let text = text(origin, &account, (number, &hash), &saved, at);
    let Answer::Signed(Signed { key, signature }) = io.ask(Effect::Vault(VaultCommand::Sign(text))).await else {
        return Ok((log, None));
    };
    let deployment = origin.clone();
    Ok((log, Some(Head { deployment, account, number, hash, saved, at, key, signature })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        effect::{HttpResponse, Run, Step, TransportError},
        pins::{Proven, Verdict, What, verify_evidence, verify_heads},
        recovery::{FailingVault, KeyVault as _, MemoryVault},
        store::{MemoryStore, Store as _},
    };

    /// A browser, and IT.
    struct Scene {
        store: MemoryStore,
        vault: MemoryVault,
        now: UnixMillis,
        it_is_there: bool,
        can_sign: bool,
        told: Vec<String>,
    }

    impl Scene {
        fn new() -> Self {
            let now = UnixMillis(1_000_000);
            let (store, vault) = Default::default();
            Self { store, vault, now, it_is_there: true, can_sign: true, told: vec![] }
        }

        async fn run<T>(&mut self, flow: impl AsyncFnOnce(Io) -> T) -> T {
            let mut run = Run::start(self.now, |io| flow(io));
            loop {
                let effect = match run.step() {
                    Step::Done(done) => return done,
                    Step::Do(effect) => effect,
                };
                let answer = match effect {
                    Effect::Store(StoreCommand::Get(key)) => Answer::Record(self.store.get(&key).await.unwrap()),
                    Effect::Store(StoreCommand::GetAll(keys)) => {
                        Answer::Records(self.store.get_all(&keys).await.unwrap())
                    }
                    Effect::Store(StoreCommand::Put(key, text)) => {
                        self.store.put(&key, &text).await.unwrap();
                        Answer::Done
                    }
                    Effect::Vault(VaultCommand::Sign(text)) => {
                        let signed =
                            if self.can_sign { self.vault.sign(&text).await } else { FailingVault.sign(&text).await };
                        signed.map_or(Answer::Failed, Answer::Signed)
                    }
                    Effect::Http(requests) if self.it_is_there => {
                        self.told.extend(requests.into_iter().filter_map(|request| request.body));
                        let (content_type, body) = Default::default();
                        Answer::Http(vec![Ok(HttpResponse { status: 204, content_type, retry_after_ms: None, body })])
                    }
                    Effect::Http(_) => Answer::Http(vec![Err(TransportError::Unreachable)]),
                    other => panic!("{other:?}"),
                };
                run.answer(answer, self.now);
            }
        }

        async fn tell(&mut self) {
            let url = Url::parse("https://it.example.org/told").unwrap();
            let (origin, owner) = who();
            self.run(async |io| tell_head(&io, &origin, &owner, &url).await.unwrap()).await;
        }

        async fn happens(&mut self) {
            let (origin, owner) = who();
            let key = Log::store_key(&origin, &owner);
            let mut log = Log::parse(&self.store.get(&key).await.unwrap().unwrap_or_default());
            log.add(self.now, &owner, What::Seen(Box::new(Verdict::StoreRolledBack))).unwrap();
            self.store.put(&key, &log.to_text()).await.unwrap();
        }
    }

    fn who() -> (Origin, UserId) {
        (Origin::parse("https://chat.example.org").unwrap(), UserId::parse("@ann:example.org").unwrap())
    }

    #[tokio::test]
    async fn it_is_told_once_a_day_and_a_saved_log_agrees() {
        let mut scene = Scene::new();
        scene.tell().await;
        assert!(scene.told.is_empty(), "nothing has happened");
        scene.happens().await;
        scene.it_is_there = false;
        scene.tell().await;
        scene.it_is_there = true;
        scene.tell().await;
        scene.happens().await;
        scene.tell().await;
        assert_eq!(scene.told.len(), 1, "not before a day has passed");
        assert!(!scene.told[0].contains("ann"), "it names nobody");
        scene.now = scene.now.plus(DAILY);
        scene.tell().await;
        scene.now = scene.now.plus(DAILY);
        scene.tell().await;
        assert_eq!(scene.told.len(), 2, "nothing has happened since");
        let (origin, owner) = who();
        let saved = scene.run(async |io| evidence(&io, &origin, &owner).await.unwrap()).await;
        let saved = verify_evidence(&saved).unwrap();
        assert_eq!((saved.last, saved.signed.as_ref().map(|head| head.at)), (2, Some(scene.now)));
        let told_last = UnixMillis(1_000_000).plus(DAILY);
        let compared = verify_heads(&saved, &scene.told.join("\n")).unwrap();
        assert_eq!((compared.agree, compared.last, compared.proven()), (2, Some(told_last), Proven::Agrees));
        let head = saved.signed.unwrap();
        assert!(head.is_of(&owner) && !head.is_of(&UserId::parse("@bob:example.org").unwrap()));
        assert_eq!(head.deployment, origin);
    }

    #[tokio::test]
    async fn a_browser_that_cannot_sign_saves_the_log_and_tells_nothing() {
        let mut scene = Scene::new();
        scene.can_sign = false;
        scene.happens().await;
        scene.tell().await;
        let (origin, owner) = who();
        let key = Log::store_key(&origin, &owner);
        let saved = scene.run(async |io| evidence(&io, &origin, &owner).await.unwrap()).await;
        assert_eq!(Some(&saved), scene.store.get(&key).await.unwrap().as_ref(), "as it is kept");
        assert_eq!(verify_evidence(&saved).unwrap().signed, None);
        assert!(scene.told.is_empty());
        // After an update of the browser.
        scene.can_sign = true;
        scene.tell().await;
        assert_eq!(scene.told.len(), 1);
    }
}
