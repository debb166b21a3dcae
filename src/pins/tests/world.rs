//! A homeserver, a store and a client in memory, and people with real keys.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value, json};

use crate::{
    effect::{Answer, Effect, HttpResponse, Io, PageAnswer, PageCommand, Run, Step, StoreCommand},
    error::Coded,
    ident::{Origin, UserId},
    identity::{PublicKey, derive_public, sign_json},
    matrix::base64,
    pins::{Book, Contact, Decision, PersonView, decide, gate},
    policy::Pins,
    secret::SecretBytes,
    store::{MemoryStore, Store},
    time::UnixMillis,
};

/// Somebody with an identity and devices.
pub(super) struct Person {
    user: UserId,
    seed: u8,
    master: PublicKey,
    devices: Map<String, Value>,
}

fn seed(byte: u8) -> SecretBytes<32> {
    SecretBytes::new([byte; 32])
}

fn signed(mut document: Value, user: &UserId, by: &[(String, u8)]) -> Value {
    let object = document.as_object_mut().unwrap();
    for (key_id, byte) in by {
        sign_json(object, user, key_id, &seed(*byte)).unwrap();
    }
    document
}

/// The Curve25519 key that stands for a number.
pub(super) fn curve25519(byte: u8) -> String {
    base64::encode_unpadded(&[byte; 32])
}

impl Person {
    /// With a master key and, beside it, a self-signing key.
    pub(super) fn new(user: &str, seed_byte: u8) -> Self {
        let user = UserId::parse(user).unwrap();
        Self { user, seed: seed_byte, master: derive_public(&seed(seed_byte)), devices: Map::new() }
    }

    pub(super) fn user(&self) -> UserId {
        self.user.clone()
    }

    pub(super) fn master(&self) -> &PublicKey {
        &self.master
    }

    fn self_signing(&self) -> u8 {
        self.seed + 100
    }

    pub(super) fn self_signing_id(&self) -> String {
        derive_public(&seed(self.self_signing())).key_id()
    }

    /// Adds a device, or another in its place.
    pub(super) fn add_device(&mut self, id: &str, keys: u8, vouched: bool) {
        let own_id = format!("ed25519:{id}");
        let device = json!({
            "user_id": self.user, "device_id": id,
            "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
            "keys": {
                format!("curve25519:{id}"): curve25519(keys),
                own_id.as_str(): derive_public(&seed(keys)).to_base64(),
            },
        });
        let mut by = vec![(own_id, keys)];
        by.extend(vouched.then(|| (self.self_signing_id(), self.self_signing())));
        self.devices.insert(id.to_owned(), signed(device, &self.user, &by));
    }

    /// What an honest homeserver answers.
    pub(super) fn answer(&self) -> Value {
        let key = |usage: &str, byte| {
            let key = derive_public(&seed(byte));
            json!({ "user_id": self.user, "usage": [usage], "keys": { key.key_id(): key.to_base64() } })
        };
        let by_master = [(self.master.key_id(), self.seed)];
        let user = self.user.as_str();
        json!({
            "device_keys": { user: self.devices },
            "failures": {},
            "master_keys": { user: key("master", self.seed) },
            "self_signing_keys": { user: signed(key("self_signing", self.self_signing()), &self.user, &by_master) },
        })
    }
}

/// Everything around a book.
pub(super) struct World {
    store: MemoryStore,
    book: Option<Book>,
    pub(super) pins: Pins,
    now: UnixMillis,
    answers: VecDeque<Value>,
    discarded: usize,
}

fn origin() -> Origin {
    Origin::parse("https://chat.example.org").unwrap()
}

fn owner() -> UserId {
    UserId::parse("@ann:a").unwrap()
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

impl World {
    pub(super) fn new() -> Self {
        let (store, pins) = Default::default();
        let answers = VecDeque::from([json!({ "device_keys": {} })]);
        let mut world = Self { store, book: None, pins, now: UnixMillis(1_700_000_000_000), answers, discarded: 0 };
        world.reopen();
        world
    }

    /// As after a restart of the browser.
    pub(super) fn reopen(&mut self) {
        self.book = None;
        let book = self.run(async |io, _| Book::open(io, &origin(), &owner()).await.unwrap());
        self.book = Some(book);
    }

    pub(super) fn book(&self) -> &Book {
        self.book.as_ref().unwrap()
    }

    fn run<T>(&mut self, flow: impl AsyncFnOnce(&Io, &mut Option<Book>) -> T) -> T {
        let mut book = self.book.take();
        let result = {
            let book = &mut book;
            let mut run = Run::start(self.now, |io| async move { flow(&io, book).await });
            loop {
                match run.step() {
                    Step::Done(result) => break result,
                    Step::Do(effect) => {
                        let answer = self.perform(effect);
                        run.answer(answer, self.now);
                    }
                }
            }
        };
        self.book = book;
        result
    }

    fn perform(&mut self, effect: Effect) -> Answer {
        match effect {
            Effect::Store(StoreCommand::GetAll(keys)) => Answer::Records(ready(self.store.get_all(&keys)).unwrap()),
            Effect::Store(StoreCommand::PutAll(records)) => {
                ready(self.store.put_all(&records)).unwrap();
                Answer::Done
            }
            Effect::SleepUntil(at) => {
                self.now = at;
                Answer::Done
            }
            Effect::Page(PageCommand::DiscardSessions) => {
                self.discarded += 1;
                Answer::Page(PageAnswer::Done)
            }
            Effect::Http(requests) => {
                let answer = match self.answers.len() {
                    1 => self.answers[0].to_string(),
                    _ => self.answers.pop_front().unwrap().to_string(),
                };
                let response = |_| {
                    let body = answer.clone().into_bytes();
                    Ok(HttpResponse { status: 200, content_type: String::new(), retry_after_ms: None, body })
                };
                Answer::Http(requests.iter().map(response).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    /// The page gets this answer; the codes of what it means.
    pub(super) fn observe(&mut self, answer: &Value) -> Vec<&'static str> {
        let (text, pins) = (answer.to_string(), self.pins.clone());
        self.run(async |io, book| {
            let book = book.as_mut().unwrap();
            let verdicts = book.observe(io, &pins, &text, Contact::Plain).await.unwrap();
            book.release(io, &pins).await.unwrap();
            verdicts.iter().map(|(_, verdict)| verdict.code().as_str()).collect()
        })
    }

    pub(super) fn observe_own(&mut self) {
        self.observe(&Person::new("@ann:a", 50).answer());
    }

    /// What the homeserver answers us from now on.
    pub(super) fn homeserver(&mut self, answer: Value) {
        self.answers = VecDeque::from([answer]);
    }

    /// And after so many answers, this.
    pub(super) fn homeserver_after(&mut self, times: usize, answer: Value) {
        let before = self.answers[0].clone();
        self.answers = std::iter::repeat_n(before, times).chain([answer]).collect();
    }

    /// One after the other.
    pub(super) fn homeserver_in_turn(&mut self, answers: impl Iterator<Item = Value>) {
        self.answers = answers.collect();
    }

    pub(super) fn now(&self) -> UnixMillis {
        self.now
    }

    /// Whatever may settle has settled.
    pub(super) fn later(&mut self) {
        self.now = self.now.plus(2 * crate::pins::SETTLES_WITHIN);
    }

    /// The client sends a device a message that is encrypted to this key: does it pass? The rest of the body must stay.
    pub(super) fn gets(&mut self, user: &str, device: &str, key: u8) -> bool {
        let content = json!({
            "algorithm": "m.olm.v1.curve25519-aes-sha2", "sender_key": curve25519(3),
            "ciphertext": { curve25519(key): { "type": 0, "body": "AwogF" } },
        });
        let text = json!({ "messages": { user: { device: content } } }).to_string();
        let pins = self.pins.clone();
        let passed = self.run(async |io, book| gate(io, book.as_mut().unwrap(), &pins, &text).await.unwrap());
        match passed {
            None => true,
            Some(body) => {
                assert_eq!(body, json!({ "messages": { user: {} } }).to_string());
                false
            }
        }
    }

    pub(super) fn decide(&mut self, user: &str, decision: &Decision) -> Result<(), &'static str> {
        let (user, pins) = (UserId::parse(user).unwrap(), self.pins.clone());
        let decided = self.run(async |io, book| decide(io, book.as_mut().unwrap(), &pins, &user, decision).await);
        decided.map_err(|stop| stop.code.as_str())
    }

    pub(super) fn people(&self) -> Vec<PersonView> {
        self.book().people(&self.pins)
    }

    /// How often the client was asked to make new room keys.
    pub(super) fn discarded(&self) -> usize {
        self.discarded
    }

    pub(super) fn records(&self) -> BTreeMap<String, String> {
        let keys = ready(self.store.keys("")).unwrap();
        keys.into_iter().map(|key| (key.clone(), ready(self.store.get(&key)).unwrap().unwrap())).collect()
    }

    /// The browser's disk has another state, and the browser starts.
    pub(super) fn put_back(&mut self, records: BTreeMap<String, String>) {
        self.store = MemoryStore::default();
        ready(self.store.put_all(&records.into_iter().collect::<Vec<_>>())).unwrap();
        self.reopen();
    }
}
