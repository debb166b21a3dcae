//! A homeserver with one account's data, and the account's browsers: a disk, a vault and a book each.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use serde_json::{Value, json};

use crate::{
    bootstrap::record::{AccountRecord, KeyStatus, VaultKey},
    effect::{
        Answer, Effect, HttpRequest, HttpResponse, Io, Method, PageAnswer, PageCommand, Run, Step, StoreCommand,
        Target, TransportError, VaultCommand,
    },
    error::Code,
    events::{self, Event},
    ident::{KeyId, Origin, UserId},
    identity::{PublicKey, derive_public},
    matrix::homeserver::Stop,
    pins::{
        Book, Change, Decision, Happened, PeerRecord, PinnedIdentity, Verdict,
        log::What,
        shared::{self, NamedStore, Shared, Sight, StoreId, Trouble},
    },
    policy::Pins,
    recovery::{EncryptedSecret, KeyDescription, KeyVault, MemoryVault, RecoveryKey, SecretDocument},
    secret::SecretBytes,
    store::{MemoryStore, Store},
    time::UnixMillis,
};

pub(super) const KEY_ID: &str = "ours";
/// Of the recovery key that takes its place.
pub(super) const NEXT_KEY_ID: &str = "next";

pub(super) fn key(byte: u8) -> PublicKey {
    derive_public(&SecretBytes::new([byte; 32]))
}

pub(super) fn user(text: &str) -> UserId {
    UserId::parse(text).unwrap()
}

fn origin() -> Origin {
    Origin::parse("https://chat.example.org").unwrap()
}

fn recovery_key() -> RecoveryKey {
    RecoveryKey::from_bytes(SecretBytes::new([42; 32]))
}

pub(super) fn next_key() -> RecoveryKey {
    RecoveryKey::from_bytes(SecretBytes::new([43; 32]))
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[derive(Default)]
struct Data {
    documents: BTreeMap<String, Value>,
    writes: usize,
    bytes: usize,
    now: u64,
    away: bool,
    /// Nothing that is written to these is kept.
    drops: Option<&'static str>,
    /// What is read instead, so many times.
    late: Option<(BTreeMap<String, Value>, usize)>,
}

/// A homeserver.
#[derive(Clone)]
pub(in crate::pins) struct Server {
    data: Rc<RefCell<Data>>,
    owner: UserId,
}

impl Server {
    pub(in crate::pins) fn new() -> Self {
        Self::of("@ann:a")
    }

    pub(super) fn of(owner: &str) -> Self {
        let default_key = ("m.secret_storage.default_key".to_owned(), json!({ "key": KEY_ID }));
        let data = Data { documents: [default_key].into(), now: 1_800_000_000_000, ..Data::default() };
        Self { data: Rc::new(RefCell::new(data)), owner: user(owner) }
    }

    /// One more browser, where the account is complete.
    pub(super) fn browser(&self) -> Browser {
        let (vault, record) = self.account();
        let pins = Pins { share: Some(true), ..Pins::default() };
        Browser::start(self.clone(), vault, MemoryStore::default(), Some(record), pins)
    }

    /// What a browser has where the account is complete: its vault, and its record.
    pub(in crate::pins) fn account(&self) -> (MemoryVault, AccountRecord) {
        let vault = MemoryVault::default();
        let id = KeyId::parse(KEY_ID).unwrap();
        let wrapped = ready(vault.admit(&id, recovery_key())).unwrap();
        let description = KeyDescription::make(&recovery_key().derive_keys("")).unwrap();
        let mut record = AccountRecord::new(self.owner.clone());
        record.keys.push(VaultKey {
            id,
            status: KeyStatus::Current,
            wrapped: Some(wrapped),
            description,
            master_key: key(99),
            sealed: None,
            recipients: Vec::new(),
            kept: true,
            sealed_proven_at: None,
            proven_at: Some(UnixMillis(1)),
            beside: None,
            replaces: None,
            pins: None,
        });
        (vault, record)
    }

    pub(in crate::pins) fn put(&self, kind: &str, content: Option<Value>) {
        let documents = &mut self.data.borrow_mut().documents;
        match content {
            Some(content) => documents.insert(kind.to_owned(), content),
            None => documents.remove(kind),
        };
    }

    pub(super) fn get(&self, kind: &str) -> Option<Value> {
        self.data.borrow().documents.get(kind).cloned()
    }

    pub(in crate::pins) fn kinds(&self) -> Vec<String> {
        self.data.borrow().documents.keys().cloned().collect()
    }

    pub(in crate::pins) fn documents(&self) -> BTreeMap<String, Value> {
        self.data.borrow().documents.clone()
    }

    /// The key of a store, under the next recovery key.
    pub(super) fn enter_next(&self, entry: &EncryptedSecret) {
        let document = self.get(shared::KEY).map(|content| serde_json::from_value(content).unwrap());
        let mut document: SecretDocument = document.unwrap_or_default();
        document.set_entry(&KeyId::parse(NEXT_KEY_ID).unwrap(), entry);
        self.put(shared::KEY, Some(serde_json::to_value(&document).unwrap()));
    }

    /// The key of the store that there is, under the next recovery key.
    pub(super) fn carried_over(&self) -> EncryptedSecret {
        let document: SecretDocument = serde_json::from_value(self.get(shared::KEY).unwrap()).unwrap();
        let entry = document.entry(&KeyId::parse(KEY_ID).unwrap()).unwrap().unwrap();
        let secret = entry.decrypt(&recovery_key().derive_keys(shared::KEY)).unwrap();
        EncryptedSecret::encrypt(&next_key().derive_keys(shared::KEY), &secret).unwrap()
    }

    /// Puts head and chunks back to what they were.
    pub(in crate::pins) fn put_back(&self, old: &BTreeMap<String, Value>, which: impl Fn(&str) -> bool) {
        let parts = old.iter().filter(|(kind, _)| kind.starts_with(shared::HEAD) && *kind != shared::KEY);
        parts.filter(|(kind, _)| which(kind)).for_each(|(kind, content)| self.put(kind, Some(content.clone())));
    }

    pub(super) fn writes(&self) -> usize {
        self.data.borrow().writes
    }

    pub(super) fn bytes(&self) -> usize {
        self.data.borrow().bytes
    }

    pub(super) fn wait(&self, millis: u64) {
        self.data.borrow_mut().now += millis;
    }

    pub(super) fn is_late(&self, old: BTreeMap<String, Value>, times: usize) {
        self.data.borrow_mut().late = Some((old, times));
    }

    pub(super) fn is_away(&self, away: bool) {
        self.data.borrow_mut().away = away;
    }

    /// Answers that it has written what is of these kinds, and has not.
    pub(super) fn drops(&self, kinds: Option<&'static str>) {
        self.data.borrow_mut().drops = kinds;
    }

    pub(in crate::pins) fn answer(&self, requests: &[HttpRequest]) -> Answer {
        let data = &mut *self.data.borrow_mut();
        if data.away {
            return Answer::Http(requests.iter().map(|_| Err(TransportError::Unreachable)).collect());
        }
        let old = match &mut data.late {
            Some((old, times)) if *times > 0 => {
                *times -= 1;
                Some(old.clone())
            }
            Some(_) | None => None,
        };
        let one = |request: &HttpRequest| {
            let Target::Homeserver(path) = &request.target else { panic!("not to the homeserver") };
            let kind = path.rsplit('/').next().unwrap().to_owned();
            let response = |status, body: Value| HttpResponse {
                status,
                content_type: String::new(),
                retry_after_ms: None,
                body: body.to_string().into_bytes(),
            };
            match &request.body {
                Some(body) => {
                    assert_eq!(request.method, Method::Put);
                    data.writes += 1;
                    data.bytes += body.len();
                    if data.drops.is_none_or(|dropped| !kind.starts_with(dropped)) {
                        data.documents.insert(kind, serde_json::from_str(body).unwrap());
                    }
                    Ok(response(200, json!({})))
                }
                None => match old.as_ref().unwrap_or(&data.documents).get(&kind) {
                    Some(content) => Ok(response(200, content.clone())),
                    None => Ok(response(404, json!({ "errcode": "M_NOT_FOUND" }))),
                },
            }
        };
        Answer::Http(requests.iter().map(one).collect())
    }
}

/// A browser.
pub(super) struct Browser {
    server: Server,
    vault: MemoryVault,
    store: MemoryStore,
    book: Option<Book>,
    pub(super) pins: Pins,
    /// How far off its clock is, in milliseconds.
    pub(super) off: i64,
}

/// What is done before an effect; `false` where the browser dies then.
type Before<'b> = &'b mut dyn FnMut(&Effect) -> bool;

impl Browser {
    fn start(
        server: Server,
        vault: MemoryVault,
        store: MemoryStore,
        record: Option<AccountRecord>,
        pins: Pins,
    ) -> Self {
        if let Some(record) = record {
            let key = AccountRecord::store_key(&origin(), &server.owner);
            ready(store.put(&key, &record.to_text().unwrap())).unwrap();
        }
        let mut browser = Self { server, vault, store, book: None, pins, off: 0 };
        let owner = browser.server.owner.clone();
        browser.book = browser.run(async |io, _| Book::open(&io, &origin(), &owner).await.ok());
        browser
    }

    pub(super) fn restarts(self) -> Self {
        Self::start(self.server, self.vault, self.store, None, self.pins)
    }

    fn now(&self) -> UnixMillis {
        UnixMillis(self.server.data.borrow().now.saturating_add_signed(self.off))
    }

    fn run<T>(&mut self, flow: impl AsyncFnOnce(Io, &mut Option<Book>) -> T) -> T {
        self.try_run(&mut |_| true, flow).unwrap()
    }

    fn try_run<T>(&mut self, before: Before<'_>, flow: impl AsyncFnOnce(Io, &mut Option<Book>) -> T) -> Option<T> {
        let mut book = self.book.take();
        let result = {
            let book = &mut book;
            let mut run = Run::start(self.now(), |io| async move { flow(io, book).await });
            loop {
                match run.step() {
                    Step::Done(result) => break Some(result),
                    Step::Do(effect) => {
                        if !before(&effect) {
                            break None;
                        }
                        let answer = self.perform(effect);
                        run.answer(answer, self.now());
                    }
                }
            }
        };
        self.book = book;
        result
    }

    fn perform(&self, effect: Effect) -> Answer {
        match effect {
            Effect::Http(requests) => self.server.answer(&requests),
            Effect::SleepUntil(at) => {
                let now = self.now();
                self.server.data.borrow_mut().now += u64::try_from(at.since(now).as_millis()).unwrap();
                Answer::Done
            }
            Effect::Store(StoreCommand::Get(key)) => Answer::Record(ready(self.store.get(&key)).unwrap()),
            Effect::Store(StoreCommand::GetAll(keys)) => Answer::Records(ready(self.store.get_all(&keys)).unwrap()),
            Effect::Store(StoreCommand::PutAll(records)) => {
                ready(self.store.put_all(&records)).unwrap();
                Answer::Done
            }
            Effect::Store(StoreCommand::Replace { key, old, new }) => {
                Answer::Replaced(ready(self.store.replace(&key, old.as_deref(), &new)).unwrap())
            }
            Effect::Vault(VaultCommand::Holds(id)) => Answer::Holds(ready(self.vault.holds(&id)).unwrap()),
            Effect::Vault(VaultCommand::Derive { id, wrapped, info }) => {
                Answer::Derived(ready(self.vault.derive(&id, &wrapped, &info)).unwrap())
            }
            Effect::Page(PageCommand::DiscardSessions) => Answer::Page(PageAnswer::Done),
            other => panic!("{other:?}"),
        }
    }

    /// The browser shares, by turns with whatever `before` does.
    fn flow(&mut self, before: Before<'_>) -> Option<Result<Option<Shared>, Stop>> {
        let (pins, owner) = (self.pins.clone(), self.server.owner.clone());
        self.try_run(before, async |io, book| {
            let origin = origin();
            let Some(read) = shared::read(io.clone(), &origin, &owner, &pins).await? else { return Ok(None) };
            let merged = book.as_mut().unwrap().share(&io, &pins, read).await?;
            shared::write(io, merged).await.map(Some)
        })
    }

    pub(super) fn shares(&mut self) -> Option<Shared> {
        self.flow(&mut |_| true).unwrap().unwrap()
    }

    pub(super) fn shares_or_stops(&mut self) -> Result<Option<Shared>, &'static str> {
        self.flow(&mut |_| true).unwrap().map_err(|stop| stop.code.as_str())
    }

    /// `true` where the browser died.
    pub(super) fn shares_and_dies_at(&mut self, at: usize) -> bool {
        let mut left = at;
        let ended = self.flow(&mut |_| {
            left = left.wrapping_sub(1);
            left != usize::MAX
        });
        ended.is_none()
    }

    /// Somebody else does something before this effect.
    pub(super) fn shares_while(&mut self, at: usize, mut other: impl FnMut()) {
        let mut left = at;
        let ended = self.flow(&mut |_| {
            if left == 0 {
                other();
            }
            left = left.wrapping_sub(1);
            true
        });
        ended.unwrap().unwrap();
    }

    /// Until it pauses, if it does: `true` where the background was stopped then.
    pub(super) fn shares_to_the_pause(&mut self) -> bool {
        self.flow(&mut |effect| !matches!(effect, Effect::SleepUntil(_))).is_none()
    }

    /// Until the key that it makes is written, and no further.
    pub(super) fn shares_to_the_key(&mut self) {
        self.shares_to_the_pause();
    }

    /// Until this effect, and no further.
    pub(super) fn shares_until(&mut self, end: impl Fn(&Effect) -> bool) {
        self.flow(&mut |effect| !end(effect));
    }

    /// The client is answered this identity of somebody.
    pub(super) fn sees(&mut self, peer: &str, master: u8) {
        self.knows(peer, master);
        self.save();
    }

    /// The same, not on the disk yet.
    pub(super) fn knows(&mut self, peer: &str, master: u8) {
        let (peer, master, now) = (user(peer), key(master), self.now());
        let book = self.book.as_mut().unwrap();
        let record = book.records.entry(peer.clone()).or_insert_with(|| PeerRecord::new(peer.clone(), now));
        record.answer = "seen".into();
        let verdict = match record.identity.as_ref().map(|pinned| pinned.master) {
            None => {
                record.identity = Some(PinnedIdentity { master, since: now, compared: false });
                record.sight = Some(Sight { master, at: now });
                Verdict::FirstContact { master }
            }
            Some(old) => Verdict::MasterChanged { old, new: master },
        };
        if matches!(verdict, Verdict::MasterChanged { .. }) {
            record.change = Some(Change { verdict: verdict.clone(), at: now });
        }
        book.note(&peer, [What::Seen(Box::new(verdict))].into_iter(), now).unwrap();
    }

    pub(super) fn save(&mut self) {
        self.run(async |io, book| book.as_mut().unwrap().save(&io).await.unwrap());
    }

    fn decides(&mut self, peer: &str, decision: &Decision) {
        let peer = user(peer);
        self.server.wait(1);
        self.run(async |io, book| book.as_mut().unwrap().decide(&io, &peer, decision).await.unwrap());
    }

    pub(super) fn accepts(&mut self, peer: &str, compared: bool) {
        let shown = self.record(peer).shown();
        self.decides(peer, &Decision::Accept { shown, compared });
    }

    pub(super) fn withdraws(&mut self, peer: &str) {
        self.decides(peer, &Decision::Withdraw);
    }

    pub(super) fn keeps(&mut self, peer: &str) {
        self.decides(peer, &Decision::KeepHolding);
    }

    pub(super) fn record(&self, peer: &str) -> PeerRecord {
        let peer = user(peer);
        let key = PeerRecord::store_key(&origin(), &self.server.owner, &peer);
        PeerRecord::parse(&ready(self.store.get(&key)).unwrap().unwrap()).unwrap()
    }

    pub(super) fn pinned(&self, peer: &str) -> Option<PublicKey> {
        let key = PeerRecord::store_key(&origin(), &self.server.owner, &user(peer));
        let text = ready(self.store.get(&key)).unwrap()?;
        PeerRecord::parse(&text).unwrap().identity.map(|pinned| pinned.master)
    }

    pub(super) fn is_held(&self, peer: &str) -> bool {
        self.record(peer).change.is_some_and(|change| change.verdict.holds(&self.pins))
    }

    pub(super) fn people(&self) -> BTreeSet<UserId> {
        let mut people: BTreeSet<_> = self.book.as_ref().unwrap().log.people().cloned().collect();
        people.remove(&self.server.owner);
        people
    }

    pub(super) fn history(&self, peer: &str) -> Vec<Happened> {
        let history = self.book.as_ref().unwrap().history(&user(peer));
        history.iter().map(|entry| Happened::from(&entry.what)).collect()
    }

    pub(super) fn trouble(&self) -> Option<Trouble> {
        let text = ready(self.store.get(&format!("pin-share|{}|{}", origin().as_str(), self.server.owner.as_str())));
        let saved: Value = serde_json::from_str(&text.unwrap()?).unwrap();
        serde_json::from_value(saved["trouble"][0].clone()).ok()
    }

    pub(super) fn store_id(&self) -> StoreId {
        let text = ready(self.store.get(&format!("pin-share|{}|{}", origin().as_str(), self.server.owner.as_str())));
        let saved: Value = serde_json::from_str(&text.unwrap().unwrap()).unwrap();
        serde_json::from_value(saved["newest"]["id"].clone()).unwrap()
    }

    /// A day has passed since all of it was looked at.
    pub(super) fn looks_at_all(&mut self) -> &mut Self {
        self.server.wait(24 * 60 * 60 * 1000);
        self
    }

    pub(super) fn reads_trouble(&mut self) {
        let owner = self.server.owner.clone();
        self.run(async |io, _| shared::read_by_person(io, &origin(), &owner).await.unwrap());
    }

    /// What the account's log has of troubles.
    pub(super) fn events(&self) -> Vec<Trouble> {
        let log = ready(self.store.get(&events::store_key(&origin(), &self.server.owner))).unwrap().unwrap_or_default();
        let trouble = |entry: events::Entry| match entry.event {
            Event::SharedPinsLost { trouble } => trouble,
            other => panic!("{other:?}"),
        };
        events::read(&log).unwrap().into_iter().map(trouble).collect()
    }

    pub(super) fn change_key(&mut self, change: impl Fn(&mut VaultKey)) {
        let owner = self.server.owner.clone();
        self.run(async |io, _| {
            let mut record = AccountRecord::load(&io, &origin(), &owner).await.unwrap();
            let id = KeyId::parse(KEY_ID).unwrap();
            record.change(&io, &origin(), |record| record.update(&id, &change)).await.unwrap();
        });
    }

    /// A sealed recovery was opened here that names this store.
    pub(super) fn is_told_of(&mut self, id: &StoreId) {
        self.change_key(|key| key.pins = Some(NamedStore::known(id.clone())));
    }

    /// The recovery key was made here.
    pub(super) fn names_a_store(&mut self) -> StoreId {
        let named = self.name_store(false, &recovery_key());
        self.change_key(|key| key.pins = Some(named.clone()));
        named.id
    }

    /// The store that is named with this recovery key: the one that there is, or another one.
    fn name_store(&mut self, same: bool, key: &RecoveryKey) -> NamedStore {
        let owner = self.server.owner.clone();
        self.run(async |io, _| {
            let record = AccountRecord::load(&io, &origin(), &owner).await.unwrap();
            let replaced = record.current().filter(|_| same);
            NamedStore::for_key(&io, &origin(), &owner, replaced, key).await.map_err(|_| Code::RecVault).unwrap()
        })
    }

    /// The recovery key is replaced; after a compromise it names another store. Returns what it names.
    pub(super) fn rotates(&mut self, compromised: bool) -> NamedStore {
        let named = self.name_store(!compromised, &next_key());
        self.has_next_key(named.clone());
        self.server.put("m.secret_storage.default_key", Some(json!({ "key": NEXT_KEY_ID })));
        self.server.enter_next(named.entry.as_ref().unwrap());
        named
    }

    /// The next recovery key is the one in force here.
    pub(super) fn has_next_key(&mut self, named: NamedStore) {
        let (owner, id) = (self.server.owner.clone(), KeyId::parse(NEXT_KEY_ID).unwrap());
        let wrapped = ready(self.vault.admit(&id, next_key())).unwrap();
        self.run(async |io, _| {
            let mut record = AccountRecord::load(&io, &origin(), &owner).await.unwrap();
            let next = |record: &mut AccountRecord| {
                for key in &mut record.keys {
                    (key.id, key.wrapped, key.pins) = (id.clone(), Some(wrapped.clone()), Some(named.clone()));
                }
            };
            record.change(&io, &origin(), next).await.unwrap();
        });
    }
}
