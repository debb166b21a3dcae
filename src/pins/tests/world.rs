//! A homeserver, a store and a client in memory.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    path::PathBuf,
    time::Duration,
};

use serde_json::{Value, json};

use super::person::{Person, curve25519};
use crate::{
    bootstrap::{recipients::RosterSource, record::AccountRecord},
    effect::{
        Answer, Effect, HttpRequest, HttpResponse, Io, PageAnswer, PageCommand, Run, Step, StoreCommand, Target,
        TransportError, VaultCommand,
    },
    error::{Code, Coded},
    ident::{DeviceId, Origin, RoomId, UserId},
    identity::PublicKey,
    openpgp::{SecretCertificate, sign_detached},
    pins::{
        Answered, Book, Contact, DecidedView, Decision, Passage, PersonView, Sent, Verdict, ask_again, decide, look,
        pass, settle,
        shared::{self, SharedPin, Trouble, tests::world::Server},
    },
    policy::{Pins, Policy},
    recovery::{KeyVault, MemoryVault},
    signed::{Roster, Written},
    store::{MemoryStore, Store},
    time::UnixMillis,
};

/// What a page does with a body: says in short to whom it goes, and hands it in where that is not enough.
async fn through(io: &Io, book: &mut Book, pins: &Pins, text: &str) -> Option<String> {
    let mut outline: Value = serde_json::from_str::<Value>(text).unwrap()["messages"].take();
    for message in outline.as_object_mut().unwrap().values_mut().flat_map(|m| m.as_object_mut().unwrap().values_mut()) {
        *message = message["ciphertext"].as_object().unwrap().keys().next().unwrap().as_str().into();
    }
    let passage = pass(io, book, pins, &Sent::Outline(outline.to_string())).await.unwrap();
    let passed = match pass(io, book, pins, &Sent::Whole(text.to_owned())).await.unwrap() {
        Passage::Without(body) => Some(body),
        Passage::AsItIs => None,
        Passage::Unclear => panic!("a body says it all"),
    };
    assert!(passage == Passage::Unclear || passed.is_none(), "it would have gone by its outline");
    passed
}

/// Everything around a book.
pub(super) struct World {
    store: MemoryStore,
    book: Option<Book>,
    pub(super) pins: Pins,
    now: UnixMillis,
    answers: VecDeque<Value>,
    discarded: usize,
    client_away: bool,
    people: BTreeMap<String, Value>,
    longest: usize,
    pub(super) asked: usize,
    /// Who is in which room, by the client's word; `None`: it does not say.
    pub(super) rooms: Option<BTreeMap<&'static str, Vec<UserId>>>,
    /// What lies on the organisation's web host.
    files: BTreeMap<String, Vec<u8>>,
    /// The homeserver does not answer.
    away: bool,
    /// Where the account's data is, and the vault of this browser: where it shares what is pinned.
    account: Option<(Server, MemoryVault)>,
}

const ROSTER: &str = "https://it.example.org/roster.json";

/// A roster as IT publishes it.
pub(super) struct Published<'a> {
    pub(super) serial: u64,
    pub(super) people: &'a [(&'a str, Option<&'a PublicKey>, Option<UnixMillis>)],
    /// Whose key signs it.
    pub(super) signer: &'a str,
    pub(super) deployment: &'a str,
    pub(super) holds: Duration,
}

impl Default for Published<'_> {
    fn default() -> Self {
        let (deployment, holds) = ("https://chat.example.org", Duration::from_secs(30 * 86_400));
        Self { serial: 1, people: &[], signer: "signer", deployment, holds }
    }
}

fn signing_key(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/signed/keys");
    fs::read_to_string(folder.join(format!("{name}.asc"))).unwrap()
}

fn origin() -> Origin {
    Origin::parse("https://chat.example.org").unwrap()
}

fn owner() -> UserId {
    UserId::parse("@ann:a").unwrap()
}

fn is_account_data(request: &HttpRequest) -> bool {
    matches!(&request.target, Target::Homeserver(path) if path.contains("/account_data/"))
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

impl World {
    pub(super) fn new() -> Self {
        let (store, pins) = Default::default();
        let answers = VecDeque::from([json!({ "device_keys": {} })]);
        let now = UnixMillis(1_800_000_000_000);
        let (people, longest, asked, discarded, rooms, files, away, client_away) = Default::default();
        let (book, account) = Default::default();
        let mut world = Self {
            store,
            book,
            pins,
            now,
            answers,
            discarded,
            people,
            longest,
            asked,
            rooms,
            files,
            away,
            client_away,
            account,
        };
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
                self.discarded += usize::from(!self.client_away);
                Answer::Page(if self.client_away { PageAnswer::Gone } else { PageAnswer::Done })
            }
            Effect::Store(StoreCommand::Get(key)) => Answer::Record(ready(self.store.get(&key)).unwrap()),
            Effect::Store(StoreCommand::Replace { key, old, new }) => {
                Answer::Replaced(ready(self.store.replace(&key, old.as_deref(), &new)).unwrap())
            }
            Effect::Page(PageCommand::WhoIsIn { users, rooms }) => {
                let Some(in_rooms) = &self.rooms else { return Answer::Page(PageAnswer::Gone) };
                let members = |room: &RoomId| in_rooms.get(room.as_str()).into_iter().flatten();
                let is_in = |user: &UserId| rooms.iter().flat_map(members).any(|member| member == user);
                Answer::Page(PageAnswer::In { users: users.into_iter().filter(is_in).collect() })
            }
            Effect::Http(requests) if matches!(requests[0].target, Target::Url(_)) => {
                let file = |request: &HttpRequest| {
                    let Target::Url(url) = &request.target else { return Err(TransportError::Unreachable) };
                    let body = self.files.get(url.as_str()).cloned().ok_or(TransportError::Unreachable)?;
                    Ok(HttpResponse { status: 200, content_type: String::new(), retry_after_ms: None, body })
                };
                Answer::Http(requests.iter().map(file).collect())
            }
            Effect::Http(requests) if is_account_data(&requests[0]) => match &self.account {
                Some((server, _)) => server.answer(&requests),
                None => panic!("nothing is shared"),
            },
            Effect::Vault(VaultCommand::Holds(id)) => {
                let (_, vault) = self.account.as_ref().unwrap();
                Answer::Holds(ready(vault.holds(&id)).unwrap())
            }
            Effect::Vault(VaultCommand::Derive { id, wrapped, info }) => {
                let (_, vault) = self.account.as_ref().unwrap();
                Answer::Derived(ready(vault.derive(&id, &wrapped, &info)).unwrap())
            }
            Effect::Http(requests) if self.away => {
                Answer::Http(requests.iter().map(|_| Err(TransportError::Unreachable)).collect())
            }
            Effect::Http(requests) => {
                if !self.people.is_empty() {
                    self.asked += requests.len();
                    let response = |request| {
                        let answer = self.answer_for(request).ok_or(TransportError::TooLarge)?;
                        let body = answer.to_string().into_bytes();
                        Ok(HttpResponse { status: 200, content_type: String::new(), retry_after_ms: None, body })
                    };
                    return Answer::Http(requests.iter().map(response).collect());
                }
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
        self.observe_asked(answer, &Self::asked_for(answer))
    }

    /// Would the page hand this answer in?
    pub(super) fn knows(&self, answer: &Value) -> bool {
        let digest = Self::digest(&Self::asked_for(answer), &answer.to_string());
        self.book().has_heard(&self.pins, &digest)
    }

    /// What stands for the digest of a query and its answer.
    fn digest(asked: &BTreeSet<UserId>, text: &str) -> String {
        format!("{asked:?} {text}")
    }

    fn asked_for(answer: &Value) -> BTreeSet<UserId> {
        let users = |field: &str| answer[field].as_object().into_iter().flat_map(|users| users.keys());
        users("device_keys").chain(users("master_keys")).map(|user| UserId::parse(user).unwrap()).collect()
    }

    /// The same, to a query for other people.
    pub(super) fn observe_asked(&mut self, answer: &Value, asked: &BTreeSet<UserId>) -> Vec<&'static str> {
        let (text, pins) = (answer.to_string(), self.pins.clone());
        self.run(async |io, book| {
            let book = book.as_mut().unwrap();
            let digest = Self::digest(asked, &text);
            let heard = book.has_heard(&pins, &digest);
            let (people, verdicts) = book.take_in(io, &pins, &text, asked, Contact::Plain).await.unwrap();
            let nothing_new = verdicts.iter().all(|(_, verdict)| *verdict == Verdict::Unchanged);
            assert!(!heard || nothing_new, "it would not have been handed in: {verdicts:?}");
            if let Some(people) = people {
                book.keep_in_mind(&pins, &digest, people);
            }
            book.release(io, &pins).await.unwrap();
            verdicts.iter().map(|(_, verdict)| verdict.code().as_str()).collect()
        })
    }

    /// The page gets this text for an answer about somebody; the codes of what it means, or of why it means nothing.
    pub(super) fn observe_text(&mut self, text: &str, asked: &UserId) -> Vec<&'static str> {
        let (pins, asked) = (self.pins.clone(), BTreeSet::from([asked.clone()]));
        self.run(async |io, book| {
            let observed = book.as_mut().unwrap().observe(io, &pins, text, &asked, Contact::Plain).await;
            observed.map_or_else(
                |error| vec![error.code().as_str()],
                |verdicts| verdicts.iter().map(|(_, verdict)| verdict.code().as_str()).collect(),
            )
        })
    }

    /// The page gets an answer about somebody that it keeps to itself, for it has so many bytes; why that means nothing.
    pub(super) fn observe_too_long(&mut self, bytes: usize, asked: &UserId) -> Vec<&'static str> {
        let query = json!({ "device_keys": { asked.as_str(): [] } }).to_string();
        let (answered, pins) = (Answered::too_long(query, bytes as u64).unwrap(), self.pins.clone());
        self.run(async |io, book| {
            let heard = book.as_mut().unwrap().hear(io, &pins, &answered).await;
            heard.err().map(|error| error.code().as_str()).into_iter().collect()
        })
    }

    /// The account is complete here, and this browser shares what is pinned.
    pub(super) fn joins(&mut self, server: &Server) {
        let (vault, record) = server.account();
        ready(self.store.put(&AccountRecord::store_key(&origin(), &owner()), &record.to_text().unwrap())).unwrap();
        self.account = Some((server.clone(), vault));
    }

    /// This browser and the account's data tell each other what they know.
    pub(super) fn shares(&mut self) {
        let pins = self.pins.clone();
        self.run(async |io, book| {
            let book = book.as_mut().unwrap();
            let read = shared::read(io.clone(), &origin(), &owner(), &pins).await.unwrap().unwrap();
            let merged = book.share(io, &pins, read).await.unwrap();
            let moved = merged.moved.clone();
            shared::write(io.clone(), merged).await.unwrap();
            ask_again(io, book, &pins, &moved).await.unwrap();
        });
    }

    /// What is wrong with what is shared.
    pub(super) fn trouble(&mut self) -> Option<Trouble> {
        let trouble = self.run(async |io, _| shared::trouble(io.clone(), &origin(), &owner()).await.unwrap());
        trouble.map(|(trouble, _)| trouble)
    }

    /// Another browser of the owner's knows this.
    pub(super) fn hears(&mut self, pin: &SharedPin) {
        let (pins, pin) = (self.pins.clone(), std::slice::from_ref(pin));
        let moved = self.run(async |io, book| book.as_mut().unwrap().take_all(io, &pins, pin).await.unwrap());
        assert!(self.people().iter().all(|person| person.code != Code::PinDevice), "before anybody has looked");
        self.run(async |io, book| ask_again(io, book.as_mut().unwrap(), &pins, &moved).await.unwrap());
    }

    /// What it tells other browsers of somebody.
    pub(super) fn tells(&self, person: &Person) -> SharedPin {
        self.book().records[&person.user()].shared()
    }

    /// This browser proves the owner's identity.
    pub(super) fn prove(&mut self, own: &Person) {
        let mut record = AccountRecord::new(owner());
        record.master_key = Some(*own.master());
        let text = record.to_text().unwrap();
        ready(self.store.put_all(&[(AccountRecord::store_key(&origin(), &owner()), text)])).unwrap();
        let pins = self.pins.clone();
        self.run(async |io, book| book.as_mut().unwrap().look(io, &pins).await.unwrap());
    }

    /// The client sends a message to a room.
    pub(super) fn writes_to(&mut self, room: &str) {
        let room = RoomId::parse(room).unwrap();
        self.run(async |io, book| book.as_mut().unwrap().use_room(io, room).await.unwrap());
    }

    /// The policy names a roster, which this key's owner may sign.
    pub(super) fn trust(&mut self, signer: &str) {
        let policy = json!({
            "deployments": [{
                "origin": origin(), "homeserver": "https://matrix.example.org", "server_name": "example.org",
            }],
            "directory": { "wkd": true },
            "roster": { "url": ROSTER, "signers": [signing_key(signer)] },
        });
        let policy = Policy::parse(&policy).unwrap();
        self.book.as_mut().unwrap().trust_roster(RosterSource::of(&policy, &origin()));
    }

    /// IT publishes a roster.
    pub(super) fn publish(&mut self, roster: &Published<'_>) {
        let person = |(user, master, since): &(&str, Option<&PublicKey>, Option<UnixMillis>)| {
            let email = format!("{}@example.org", UserId::parse(user).unwrap().localpart());
            let fingerprint = "00678DC98E2C2CE3AF94C8DD31BE56E5328EE4AB";
            let mut person = json!({ "matrix_id": user, "email": email, "fingerprint": fingerprint });
            if let Some(master) = master {
                person["master_key"] = master.to_base64().into();
            }
            if let Some(since) = since {
                person["since"] = since.0.into();
            }
            serde_json::from_value(person).unwrap()
        };
        let people = Roster::new(roster.people.iter().map(person).collect()).unwrap();
        let (issued, deployment) = (self.now, Origin::parse(roster.deployment).unwrap());
        let expires = issued.plus(roster.holds);
        let document = Written::make(deployment, roster.serial, issued, expires, &people).unwrap().bytes;
        let secret = SecretCertificate::parse(signing_key(&format!("{}.sec", roster.signer)).as_bytes(), None).unwrap();
        let signature = sign_detached(&document, &secret, issued).unwrap();
        self.files.insert(ROSTER.into(), document);
        self.files.insert(format!("{ROSTER}.asc"), signature.into_bytes());
    }

    /// About whom something was decided lately.
    pub(super) fn decided(&mut self) -> Vec<DecidedView> {
        let pins = self.pins.clone();
        self.run(async |io, book| book.as_mut().unwrap().decided(io, &pins).await.unwrap())
    }

    /// As at the start of the background.
    pub(super) fn look(&mut self) {
        let pins = self.pins.clone();
        self.run(async |io, book| look(io, book.as_mut().unwrap(), &pins).await.unwrap());
    }

    /// Time passes.
    pub(super) fn wait(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    /// The homeserver has these people, and answers nothing that is longer than this.
    pub(super) fn homeserver_of(&mut self, people: &[&Person], longest: usize) {
        self.people = people.iter().map(|person| (person.user().as_str().to_owned(), person.answer())).collect();
        self.longest = longest;
    }

    /// It has something else of one of them.
    pub(super) fn homeserver_has(&mut self, person: &Person) {
        self.people.insert(person.user().as_str().to_owned(), person.answer());
    }

    fn answer_for(&self, request: &HttpRequest) -> Option<Value> {
        let query: Value = serde_json::from_str(request.body.as_deref().unwrap()).unwrap();
        let mut answer = json!({ "device_keys": {}, "master_keys": {}, "self_signing_keys": {} });
        for user in query["device_keys"].as_object().unwrap().keys() {
            let Some(one) = self.people.get(user) else { continue };
            for (field, of_all) in answer.as_object_mut().unwrap() {
                of_all[user] = one[field][user].clone();
            }
        }
        (answer.to_string().len() <= self.longest).then_some(answer)
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

    /// One request for the first device of each of these people: who gets a key?
    pub(super) fn send(&mut self, people: &[(&Person, &str, u8)]) -> Vec<String> {
        let mut messages = json!({});
        for (person, device, key) in people {
            messages[person.user().as_str()] = json!({ *device: {
                "algorithm": "m.olm.v1.curve25519-aes-sha2", "sender_key": curve25519(3),
                "ciphertext": { curve25519(*key): { "type": 0, "body": "AwogF" } },
            } });
        }
        let text = json!({ "messages": messages }).to_string();
        let pins = self.pins.clone();
        let passed = self.run(async |io, book| through(io, book.as_mut().unwrap(), &pins, &text).await);
        let passed: Value = serde_json::from_str(&passed.unwrap_or(text)).unwrap();
        let got = passed["messages"].as_object().unwrap().iter().filter(|(_, devices)| **devices != json!({}));
        got.map(|(user, _)| user.clone()).collect()
    }

    /// Time passes, and what may be over in a moment is looked at again: so many times at most.
    pub(super) fn settle(&mut self) {
        for _ in 0..8 {
            let Some(at) = self.book().look_again_at(&self.pins, self.now) else { return };
            self.now = at;
            self.look_once();
        }
    }

    /// One look at what may be over in a moment.
    pub(super) fn look_once(&mut self) {
        let pins = self.pins.clone();
        self.run(async |io, book| settle(io, book.as_mut().unwrap(), &pins).await.unwrap());
    }

    /// The homeserver does not answer any more, or does again.
    pub(super) fn is_away(&mut self, away: bool) {
        self.away = away;
    }

    /// As [`Self::settle`], with a homeserver that may not answer.
    pub(super) fn settles_or_not(&mut self) {
        for _ in 0..8 {
            let Some(at) = self.book().look_again_at(&self.pins, self.now) else { return };
            self.now = self.now.max(at);
            let pins = self.pins.clone();
            // What could not be asked is asked the next time.
            let _ = self.run(async |io, book| settle(io, book.as_mut().unwrap(), &pins).await);
        }
    }

    /// This browser is that device of the owner.
    pub(super) fn is_here(&mut self, device: &str) {
        self.book.as_mut().unwrap().is_here(DeviceId::parse(device).unwrap());
    }

    /// The client sends a device a message that is encrypted to this key: does it pass? The rest of the body must stay.
    pub(super) fn gets(&mut self, user: &str, device: &str, key: u8) -> bool {
        let content = json!({
            "algorithm": "m.olm.v1.curve25519-aes-sha2", "sender_key": curve25519(3),
            "ciphertext": { curve25519(key): { "type": 0, "body": "AwogF" } },
        });
        let text = json!({ "messages": { user: { device: content } } }).to_string();
        let pins = self.pins.clone();
        let passed = self.run(async |io, book| through(io, book.as_mut().unwrap(), &pins, &text).await);
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

    /// No page is there that could be told anything.
    pub(super) fn client_is_away(&mut self, away: bool) {
        self.client_away = away;
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
