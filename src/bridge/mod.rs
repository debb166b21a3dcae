//! The secret-storage bridge: what the client stores in, and reads from, secret storage passes through here.
//!
//! Threat: a page that asks for more than it needs; a homeserver that makes the client believe that there is nothing to
//! read (then the client makes a new identity over the old one), or that hands it a backup key of the server's own. The
//! rules:
//!
//! - It acts only while the account's default key is the vault's current one; else Element's own functions run. (In a
//!   rotation, what is stored is stored under the next key as well, and either may be the default key. In an adoption,
//!   what the client hands over is stored under a key of ours beside the default key, and nothing else is done.)
//! - Reading a cross-signing seed never resolves to nothing once an identity is published, whosever secret storage it is:
//!   it is refused.
//! - Nothing is handed out before a restore has opened every secret here, and each is handed out only if it derives the
//!   published key still.
//! - A cross-signing seed is stored only if it derives the published key.
//! - What is Keystead's own in the account's data ([`OWN`]) is neither stored nor handed out: no client has anything to do
//!   with it, and our own flows do not come this way.
//! - What the person removes, by a reset in Element, is first put aside in the account's own data.
//! - Reading is answered only for a restore ([`crate::restore`]), which begins within [`READ_WINDOW`] of a login that was
//!   confirmed with the homeserver, or because the person asks for it; once per secret, within the same time, and noted in
//!   the log.

use std::{cell::Cell, rc::Rc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    bootstrap::{
        look,
        prove::{self, Published},
        record::{AccountRecord, VaultKey},
    },
    effect::{Effect, HttpResponse, Io, VaultCommand},
    error::Code,
    events::{self, Event},
    ident::{DeviceId, Origin, UserId},
    identity::{PublishedIdentity, derive_public},
    matrix::{
        account_data,
        homeserver::{Homeserver, Stop},
        keys,
    },
    recovery::{SecretDocument, secret_name},
    restore::reading::Lately,
    rotate::reset,
    secret::SecretText,
    sorted::SortedMap,
    time::UnixMillis,
};

/// The secrets that an identity is made of.
const SEEDS: [&str; 3] = [secret_name::MASTER, secret_name::SELF_SIGNING, secret_name::USER_SIGNING];

/// What the names of Keystead's own account data begin with.
const OWN: &str = "io.keystead.";

/// How long after a login a restore may begin by itself, and how long after its beginning secrets are handed to the page.
pub const READ_WINDOW: Duration = Duration::from_secs(60);

/// How long an account without an identity is one for a client that asks again: it read what it goes by earlier still.
const UNPUBLISHED: Duration = Duration::from_secs(1);

/// A session that the homeserver confirmed.
#[derive(Debug, Clone)]
pub struct Session {
    /// The deployment.
    pub origin: Origin,
    /// The account.
    pub user_id: UserId,
    /// Its device.
    pub device_id: DeviceId,
    /// What was read of the account for it.
    pub lately: Lately,
    unpublished: Unpublished,
}

impl Session {
    /// The session of a device.
    #[must_use]
    pub fn new(origin: Origin, user_id: UserId, device_id: DeviceId) -> Self {
        Self { origin, user_id, device_id, lately: Lately::default(), unpublished: Unpublished::default() }
    }
}

/// When the account was last seen without an identity. A client that comes up asks for three seeds one after the other,
/// and a person waits for it.
#[derive(Debug, Clone, Default)]
struct Unpublished(Rc<Cell<Option<UnixMillis>>>);

impl Unpublished {
    fn is_so(&self, now: UnixMillis) -> bool {
        self.0.get().is_some_and(|at| at <= now && now.since(at) <= UNPUBLISHED)
    }
}

/// What the page hook is told.
pub enum Answer {
    /// Not ours: Element's own function runs.
    Own,
    /// Stored.
    Stored,
    /// The secret.
    Secret(SecretText),
    /// Refused.
    Refused(Code),
}

impl Answer {
    fn of(result: Result<Self, Stop>) -> Self {
        result.unwrap_or_else(|stop| Self::Refused(stop.code))
    }
}

/// Stores a secret the client hands over.
pub async fn store(io: Io, session: &Session, name: &str, secret: &SecretText) -> Answer {
    if is_own(name) {
        return Answer::Refused(Code::RecBridge);
    }
    Answer::of(try_store(&io, session, &[(name, secret)], Place::Default).await)
}

/// Stores secrets the client hands over, all of them or, where one is refused, none.
pub async fn hand_over(io: Io, session: &Session, secrets: &[(&str, &SecretText)]) -> Answer {
    Answer::of(try_hand_over(&io, session, secrets, Place::Default).await)
}

/// The same, beside somebody else's entries, under the key of ours that is to take over: no other entry is touched, and
/// the default key is still the other one.
pub async fn hand_over_beside(io: Io, session: &Session, secrets: &[(&str, &SecretText)]) -> Answer {
    Answer::of(try_hand_over(&io, session, secrets, Place::Beside).await)
}

async fn try_hand_over(
    io: &Io,
    session: &Session,
    secrets: &[(&str, &SecretText)],
    place: Place,
) -> Result<Answer, Stop> {
    let all = |name: &&str| secrets.iter().filter(|(given, _)| given == name).count() == 1;
    if secrets.len() != secret_name::ALL.len() || !secret_name::ALL.iter().all(all) {
        return Ok(Answer::Refused(Code::RecBridge));
    }
    try_store(io, session, secrets, place).await
}

/// Reads everything at once, then writes everything at once: at a first login a person waits for it.
async fn try_store(io: &Io, session: &Session, secrets: &[(&str, &SecretText)], place: Place) -> Result<Answer, Stop> {
    let homeserver = Homeserver::new(io);
    let user = &session.user_id;
    let held = held_keys(io, session, place).await?;
    if held.is_empty() {
        return Ok(Answer::Own);
    }
    let mut requests = vec![account_data::get(user, account_data::DEFAULT_KEY), keys::query(user)];
    requests.extend(secrets.iter().map(|(name, _)| account_data::get(user, name)));
    let responses = homeserver.send_all(requests).await?;
    let [default_key, keys, documents @ ..] = responses.as_slice() else {
        return Err(Stop { code: Code::NetAnswer, not_before: None });
    };
    let default_key = look::read_default_key(default_key)?;
    if !held.iter().any(|key| place.expects(key) == default_key.as_deref()) {
        return Ok(Answer::Own);
    }
    for (name, secret) in secrets {
        if let Some(code) = refuses(name, secret, user, keys)? {
            return Ok(Answer::Refused(code));
        }
    }
    let mut writes = Vec::new();
    for ((name, secret), document) in secrets.iter().zip(documents) {
        // In a rotation, under both keys: whichever is the default key afterwards opens it.
        let mut document: SecretDocument = account_data::read_get(document)?.unwrap_or_default();
        for key in &held {
            let derived = prove::derive(io, key, name).await?;
            prove::enter(&mut document, &key.id, &derived, secret)?;
        }
        let content = serde_json::to_value(&document).unwrap_or_default();
        writes.push(account_data::put(user, name, &content));
    }
    for response in homeserver.send_all(writes).await? {
        account_data::read_put(&response)?;
    }
    Ok(Answer::Stored)
}

/// Under which key of ours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The account's default key.
    Default,
    /// One that was made beside the default key.
    Beside,
    /// Somebody else's default key, which the person gave; only read with.
    Lent,
}

impl Place {
    /// The default key that there must be for a key of ours to be used.
    fn expects(self, key: &VaultKey) -> Option<&str> {
        match self {
            Self::Default | Self::Lent => Some(key.id.as_str()),
            Self::Beside => key.beside.as_deref(),
        }
    }
}

/// A cross-signing seed must derive the key that is published.
fn refuses(name: &str, secret: &SecretText, user: &UserId, keys: &HttpResponse) -> Result<Option<Code>, Stop> {
    if !SEEDS.contains(&name) {
        return Ok(None);
    }
    let Some(identity) = PublishedIdentity::read(&keys::read_query(keys)?, user)? else {
        return Ok(Some(Code::RecNoIdentity));
    };
    let published = match name {
        secret_name::MASTER => Some(identity.master()),
        secret_name::SELF_SIGNING => Some(identity.self_signing()),
        _ => identity.user_signing(),
    };
    let fits = crate::recovery::decode_seed(secret).is_ok_and(|seed| Some(&derive_public(&seed)) == published);
    Ok((!fits).then_some(Code::RecSecretMismatch))
}

/// Is it Keystead's own, and none of a client's?
fn is_own(name: &str) -> bool {
    name.starts_with(OWN)
}

/// Reads a secret for the client.
pub async fn get(io: Io, session: &Session, name: &str) -> Answer {
    if is_own(name) {
        return Answer::Refused(Code::RecBridge);
    }
    Answer::of(try_get(&io, session, name).await)
}

/// What of the account decides whether the client is given a secret, read at once: a person waits for four of them.
struct Looked {
    key: VaultKey,
    published: Published,
    document: Option<SecretDocument>,
    /// It was read by the restore, and not for this.
    lately: bool,
}

impl Looked {
    /// Reads the answers; `None` as for [`look_for`].
    fn of(responses: [&HttpResponse; 4], held: &[VaultKey], user: &UserId) -> Result<Option<Self>, Stop> {
        let [default_key, document, keys, backup] = responses;
        let default_key = look::read_default_key(default_key)?;
        let Some(key) = held.iter().find(|key| Some(key.id.as_str()) == default_key.as_deref()) else {
            return Ok(None);
        };
        let published = Published::of(keys, backup, user)?;
        let document = account_data::read_get(document)?;
        Ok(Some(Self { key: key.clone(), published, document, lately: false }))
    }

    fn has_entry(&self) -> bool {
        self.document.as_ref().is_some_and(|document| document.entry(&self.key.id).is_ok_and(|entry| entry.is_some()))
    }
}

/// `None` where no key of ours, nor one that the person lent us, is the default key.
async fn look_for(io: &Io, homeserver: &Homeserver<'_>, session: &Session, name: &str) -> Result<Option<Looked>, Stop> {
    let user = &session.user_id;
    let mut held = held_keys(io, session, Place::Default).await?;
    held.extend(held_keys(io, session, Place::Lent).await?);
    if held.is_empty() {
        return Ok(None);
    }
    // What the restore has just read and proven is not asked for again.
    let lately = session.lately.get(io.now());
    let proven = lately.as_ref().and_then(|reading| reading.of_secret(name));
    if let Some(responses) = proven
        && let Ok(Some(looked)) = Looked::of(responses, &held, user)
        && looked.has_entry()
    {
        return Ok(Some(Looked { lately: true, ..looked }));
    }
    let mut requests = vec![account_data::get(user, account_data::DEFAULT_KEY), account_data::get(user, name)];
    requests.extend(prove::published_requests(user));
    let responses = homeserver.send_all(requests).await?;
    let [default_key, document, keys, backup] = responses.as_slice() else {
        return Err(Stop { code: Code::NetAnswer, not_before: None });
    };
    Looked::of([default_key, document, keys, backup], &held, user)
}

async fn try_get(io: &Io, session: &Session, name: &str) -> Result<Answer, Stop> {
    let homeserver = Homeserver::new(io);
    // The restore has opened all of them; what is given must be the same still.
    let Some(Looked { key, published, document, lately }) = look_for(io, &homeserver, session, name).await? else {
        return Ok(if reads_nothing(io, &homeserver, session, name).await? {
            Answer::Refused(Code::RecSecretMissing)
        } else {
            Answer::Own
        });
    };
    let mut record = AccountRecord::load(io, &session.origin, &session.user_id).await?;
    // Secrets of an identity that this browser does not know as the account's would be the server's.
    if record.master_key.as_ref() != Some(published.identity.master()) {
        return Ok(Answer::Refused(Code::RecIdentity));
    }
    // Noted before it is given: a crash between the two must not make it twice.
    let now = io.now();
    let note = |record: &mut AccountRecord| {
        let Some(device) = record.devices.get_mut(&session.device_id) else { return false };
        let in_time = device.granted.is_some_and(|granted| granted <= now && now.since(granted) <= READ_WINDOW);
        if !in_time || device.given.iter().any(|given| given == name) {
            return false;
        }
        device.given.push(name.to_owned());
        true
    };
    if !record.change(io, &session.origin, note).await? {
        // A session that nobody vouches for yet is left to Element's own dialog, and to a person with the recovery key. The
        // restore read before its client signed the device.
        let published = if lately { prove::read_published(&homeserver, &session.user_id).await? } else { published };
        let vouched = published.identity.vouched_devices().any(|device| *device.device_id() == session.device_id);
        return Ok(if vouched { Answer::Refused(Code::RecBridge) } else { Answer::Own });
    }
    let given = Event::SecretGiven { name: name.to_owned(), device_id: session.device_id.clone() };
    events::note(io, &session.origin, &session.user_id, given).await?;
    let Some(entry) = document.and_then(|d| d.entry(&key.id).ok().flatten()) else {
        return Ok(Answer::Refused(Code::RecSecretMissing));
    };
    let derived = prove::derive(io, &key, name).await?;
    let Ok(secret) = entry.decrypt(&derived) else { return Ok(Answer::Refused(Code::RecMac)) };
    Ok(if prove::fits(name, &secret, &published) {
        Answer::Secret(secret)
    } else {
        Answer::Refused(Code::RecSecretMismatch)
    })
}

/// Would the client read nothing for a cross-signing seed although an identity is published? It would then make a new one
/// and put it over the old.
async fn reads_nothing(io: &Io, homeserver: &Homeserver<'_>, session: &Session, name: &str) -> Result<bool, Stop> {
    let now = io.now();
    // The last of the three is always asked about.
    let lately = name != secret_name::USER_SIGNING && session.unpublished.is_so(now);
    if !SEEDS.contains(&name) || lately {
        return Ok(false);
    }
    let user = &session.user_id;
    let responses = homeserver.send_all(vec![account_data::get(user, name), keys::query(user)]).await?;
    let [document, keys] = responses.as_slice() else {
        return Err(Stop { code: Code::NetAnswer, not_before: None });
    };
    let document: Option<SecretDocument> = account_data::read_get(document)?;
    let published = PublishedIdentity::read(&keys::read_query(keys)?, user)?.is_some();
    session.unpublished.0.set((!published).then_some(now));
    Ok(published && document.is_none_or(|document| document.key_ids().next().is_none()))
}

/// The person removes a secret (a reset, in Element): what it was is put aside, so that a mistake can be undone.
pub async fn put_aside(io: Io, session: &Session, name: &str) -> Answer {
    if is_own(name) {
        return Answer::Refused(Code::RecBridge);
    }
    Answer::of(try_put_aside(&io, session, name).await)
}

async fn try_put_aside(io: &Io, session: &Session, name: &str) -> Result<Answer, Stop> {
    let homeserver = Homeserver::new(io);
    let user = &session.user_id;
    if current_key(io, &homeserver, session).await?.is_none() || !secret_name::ALL.contains(&name) {
        return Ok(Answer::Own);
    }
    if name == secret_name::MASTER {
        reset::begins(io, session).await?;
    }
    let kinds = [name, account_data::KEYSTEAD_SUPERSEDED];
    let responses = homeserver.send_all(kinds.map(|kind| account_data::get(user, kind)).to_vec()).await?;
    let [document, superseded] = responses.as_slice() else {
        return Err(Stop { code: Code::NetAnswer, not_before: None });
    };
    let Some(document): Option<Value> = account_data::read_get(document)? else { return Ok(Answer::Own) };
    let mut superseded: Superseded = account_data::read_get(superseded)?.unwrap_or_default();
    superseded.secrets.push(Aside { name: name.to_owned(), at: io.now(), document });
    let older = superseded.secrets.len().saturating_sub(MAX_ASIDE);
    superseded.secrets.drain(..older);
    let content = serde_json::to_value(&superseded).unwrap_or_default();
    let put = account_data::put(user, account_data::KEYSTEAD_SUPERSEDED, &content);
    account_data::read_put(&homeserver.send(put).await?)?;
    let event = Event::SecretSuperseded { name: name.to_owned() };
    events::note(io, &session.origin, user, event).await?;
    Ok(Answer::Own)
}

/// How many removed secrets are kept aside.
const MAX_ASIDE: usize = 32;

/// The content of [`account_data::KEYSTEAD_SUPERSEDED`].
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Superseded {
    #[serde(default)]
    pub(crate) secrets: Vec<Aside>,
    #[serde(flatten)]
    other: SortedMap<String, Value>,
}

/// A secret that was removed, still encrypted as it was.
#[derive(Serialize, Deserialize)]
pub(crate) struct Aside {
    pub(crate) name: String,
    at: UnixMillis,
    pub(crate) document: Value,
}

/// The vault's current key, or the one that a rotation is just putting in its place: whichever is the account's default key
/// right now, if the vault can open it.
async fn current_key(io: &Io, homeserver: &Homeserver<'_>, session: &Session) -> Result<Option<VaultKey>, Stop> {
    let held = held_keys(io, session, Place::Default).await?;
    if held.is_empty() {
        return Ok(None);
    }
    let response = homeserver.send(account_data::get(&session.user_id, account_data::DEFAULT_KEY)).await?;
    let default_key = look::read_default_key(&response)?;
    Ok(held.into_iter().find(|key| Some(key.id.as_str()) == default_key.as_deref()))
}

/// The keys of ours for this place that the vault can open.
async fn held_keys(io: &Io, session: &Session, place: Place) -> Result<Vec<VaultKey>, Stop> {
    let record = AccountRecord::load(io, &session.origin, &session.user_id).await?;
    // After a logout there is a current key and no way to it: then Element's own dialog has to work.
    let keys = match place {
        Place::Default => record.current().into_iter().chain(record.replacement()).collect::<Vec<_>>(),
        Place::Beside => record.taking_over().into_iter().collect(),
        Place::Lent => record.lent.iter().collect(),
    };
    let mut held = Vec::new();
    for key in keys.into_iter().filter(|key| key.wrapped.is_some()) {
        match io.ask(Effect::Vault(VaultCommand::Holds(key.id.clone()))).await {
            crate::effect::Answer::Holds(true) => held.push(key.clone()),
            crate::effect::Answer::Holds(false) => {}
            _ => return Err(crate::recovery::VaultError::Failed.into()),
        }
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::{Run, Step};

    fn session() -> Session {
        let origin = Origin::parse("https://chat.example.org").unwrap();
        Session::new(origin, UserId::parse("@ann:a").unwrap(), DeviceId::parse("DEVICE").unwrap())
    }

    /// Refused before anything is asked of anybody.
    fn is_refused(flow: impl AsyncFnOnce(Io) -> Answer) -> bool {
        let mut run = Run::start(UnixMillis(1), |io| async move { flow(io).await });
        matches!(run.step(), Step::Done(Answer::Refused(Code::RecBridge)))
    }

    #[test]
    fn what_is_keysteads_own_does_not_pass() {
        let (session, secret) = (session(), SecretText::new("A".repeat(43)));
        let own = [crate::pins::shared::KEY, crate::pins::shared::HEAD, account_data::KEYSTEAD_RECOVERY];
        for name in own.into_iter().chain([account_data::KEYSTEAD_SUPERSEDED, "io.keystead."]) {
            assert!(is_refused(async |io| store(io, &session, name, &secret).await), "{name} is stored");
            assert!(is_refused(async |io| get(io, &session, name).await), "{name} is read");
            assert!(is_refused(async |io| put_aside(io, &session, name).await), "{name} is put aside");
            let [one, two, three, four] = secret_name::ALL;
            for names in [vec![name], vec![one, two, three, name], vec![one, two, three, four, name]] {
                let secrets: Vec<_> = names.iter().map(|name| (*name, &secret)).collect();
                assert!(is_refused(async |io| hand_over(io, &session, &secrets).await), "{names:?}");
                assert!(is_refused(async |io| hand_over_beside(io, &session, &secrets).await), "{names:?}");
            }
        }
        for name in secret_name::ALL.into_iter().chain(["org.example.notes", "io.keysteadish"]) {
            assert!(!is_refused(async |io| store(io, &session, name, &secret).await), "{name}");
            assert!(!is_refused(async |io| get(io, &session, name).await), "{name}");
            assert!(!is_refused(async |io| put_aside(io, &session, name).await), "{name}");
        }
    }
}
