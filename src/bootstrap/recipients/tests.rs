//! Logins and the recipients that come of them, on a browser's disk, with servers that answer what a test has them answer.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fs,
    path::PathBuf,
};

use serde_json::{Value, json};

use super::{super::Setup, *};
use crate::{
    bootstrap::login,
    effect::{Answer, Effect, HttpRequest, HttpResponse, Io, Run, Step, StoreCommand, Target, TransportError},
    ident::{DeviceId, Fingerprint, Origin, UserId},
    matrix::homeserver::Homeserver,
    openpgp::{SecretCertificate, sign_detached},
    policy::Policy,
    signed::Written,
    store::{MemoryStore, Store},
    time::UnixMillis,
};

/// The reference time of the acceptance vectors.
const AT: u64 = 1_800_000_000_000;
const ANN: &str = "@ann:example.org";
const HOST: &str = "https://keys.example.org";
const ROSTER: &str = "https://it.example.org/roster.json";

type Answered = Result<HttpResponse, TransportError>;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)
}

/// The certificate of an acceptance vector; they are Ann's, all of them one certificate in different states.
fn vector(name: &str) -> Certificate {
    let text = fs::read_to_string(folder("openpgp/acceptance").join(format!("{name}.txt"))).unwrap();
    Certificate::parse_all(text.split_once("\n\n").unwrap().1.as_bytes()).unwrap().remove(0)
}

fn ann() -> Certificate {
    vector("accepted")
}

fn signer(part: &str) -> String {
    fs::read_to_string(folder("signed/keys").join(format!("{part}.asc"))).unwrap()
}

fn origin() -> Origin {
    Origin::parse("https://chat.example.org").unwrap()
}

fn response(status: u16, body: impl Into<Vec<u8>>) -> Answered {
    Ok(HttpResponse { status, content_type: String::new(), retry_after_ms: None, body: body.into() })
}

/// A browser profile, and the servers that it meets.
struct World {
    policy: RefCell<Value>,
    store: MemoryStore,
    /// What stands at a URL, up to its query or with it; anything else is not found.
    pages: RefCell<BTreeMap<String, Answered>>,
    asked: RefCell<Vec<String>>,
    now: Cell<u64>,
    user: &'static str,
}

impl World {
    fn new(more: Value) -> Self {
        let mut policy = json!({
            "deployments": [{
                "origin": origin().as_str(),
                "homeserver": "https://matrix.example.org",
                "server_name": "example.org",
            }],
            "directory": { "hkp": [HOST] },
        });
        merge(&mut policy, more);
        Self {
            policy: RefCell::new(policy),
            store: MemoryStore::default(),
            pages: RefCell::default(),
            asked: RefCell::default(),
            now: Cell::new(AT),
            user: ANN,
        }
    }

    /// A policy whose roster names Ann's certificate, with this address.
    fn with_roster(email: &str, more: Value) -> Self {
        let mut policy = json!({ "roster": { "url": ROSTER, "signers": [signer("signer")] } });
        merge(&mut policy, more);
        let world = Self::new(policy);
        world.publish_roster(1, &[(ANN, email, &ann().fingerprint())]);
        world
    }

    fn publish_roster(&self, serial: u64, people: &[(&str, &str, &Fingerprint)]) {
        let person = |(id, email, fingerprint): &(&str, &str, &Fingerprint)| {
            serde_json::from_value(json!({ "matrix_id": id, "email": email, "fingerprint": fingerprint })).unwrap()
        };
        let roster = Roster::new(people.iter().map(person).collect()).unwrap();
        let (issued, expires) = (UnixMillis(AT - 86_400_000), UnixMillis(AT + 86_400_000));
        let written = Written::make(origin(), serial, issued, expires, &roster).unwrap();
        let secret = SecretCertificate::parse(signer("signer.sec").as_bytes(), None).unwrap();
        let signature = sign_detached(&written.bytes, &secret, issued).unwrap();
        self.page(ROSTER, response(200, written.bytes));
        self.page(&format!("{ROSTER}.asc"), response(200, signature));
    }

    fn page(&self, url: &str, answer: Answered) {
        self.pages.borrow_mut().insert(url.to_owned(), answer);
    }

    /// What the key server lists for an address and hands out.
    fn serve(&self, address: &str, certificates: &[Certificate]) {
        let mut index = String::from("info:1:1\n");
        for certificate in certificates {
            index += &format!("pub:{}:22:256:1780000000::\n", certificate.fingerprint().as_str());
            self.serve_copy(certificate);
        }
        let address = address.replace('@', "%40");
        let url = format!("{HOST}/pks/lookup?op=index&options=mr&exact=on&search={address}");
        self.page(&url, response(200, index));
    }

    /// A certificate that the key server hands out and lists for nobody.
    fn serve_copy(&self, certificate: &Certificate) {
        let search = format!("0x{}", certificate.fingerprint().as_str());
        let url = format!("{HOST}/pks/lookup?op=get&options=mr&exact=on&search={search}");
        self.page(&url, response(200, certificate.to_armored()));
    }

    fn policy(&self) -> Policy {
        Policy::parse(&self.policy.borrow()).map_err(|e| (e.code, e.path)).unwrap()
    }

    fn user(&self) -> UserId {
        UserId::parse(self.user).unwrap()
    }

    /// A login: the homeserver says that the session is the account's, under a device ID of its choice.
    async fn log_in(&self, device: &str, typed: Option<&str>) {
        let body = json!({ "user_id": self.user, "device_id": device }).to_string();
        self.page("/_matrix/client/v3/account/whoami", response(200, body));
        let (origin, user, device) = (origin(), self.user(), DeviceId::parse(device).unwrap());
        let confirmed = self.drive(|io| async { login::confirm(io, &origin, &user, &device, typed).await.is_ok() });
        assert!(confirmed.await);
    }

    async fn answer(&self, device: &str, certificate: &Certificate, accept: bool) {
        let (origin, user, device) = (origin(), self.user(), DeviceId::parse(device).unwrap());
        let fingerprint = certificate.fingerprint();
        let noted =
            self.drive(|io| async { AccountRecord::answer(io, &origin, &user, &device, fingerprint, accept).await });
        noted.await.unwrap();
    }

    async fn record(&self) -> AccountRecord {
        let (origin, user) = (origin(), self.user());
        self.drive(|io| async move { AccountRecord::load(&io, &origin, &user).await }).await.unwrap()
    }

    /// The recipients of a first set-up in this session, in words.
    async fn outcome(&self, device: &str) -> String {
        let setup = Setup {
            origin: origin(),
            server_name: Some("example.org".into()),
            user_id: self.user(),
            device_id: DeviceId::parse(device).unwrap(),
            policy: self.policy(),
        };
        let chosen = self.drive(|io| async {
            let io = io;
            let scene = Scene { io: &io, setup: &setup, homeserver: Homeserver::new(&io) };
            let mut record = AccountRecord::load(&io, &setup.origin, &setup.user_id).await?;
            choose(&scene, &mut record).await
        });
        match chosen.await {
            Ok(chosen @ Chosen::Sealed(_)) => format!("sealed to {}", roles(&chosen)),
            Ok(chosen @ Chosen::Kept(_)) => format!("kept, sealed to {}", roles(&chosen)),
            Err(End::Stop(stop)) => stop.code.as_str().to_owned(),
            Err(End::Leave(state, code)) => format!("{state:?} {}", code.map_or("", Code::as_str)),
            Err(End::Ask(_, Question::Confirm { account, address, .. })) => {
                assert_eq!(account, self.user());
                format!("asks {}", address.as_str())
            }
            Err(End::Ask(code, _)) => format!("asks {}", code.as_str()),
        }
    }

    async fn drive<'a, T, F: Future<Output = T> + 'a>(&self, flow: impl FnOnce(Io) -> F) -> T {
        let mut run = Run::start(UnixMillis(self.now.get()), flow);
        loop {
            let answer = match run.step() {
                Step::Done(result) => return result,
                Step::Do(Effect::Http(requests)) => {
                    self.asked.borrow_mut().extend(requests.iter().map(|request| request.name.to_owned()));
                    Answer::Http(requests.iter().map(|request| self.serve_request(request)).collect())
                }
                Step::Do(Effect::Store(StoreCommand::Get(key))) => Answer::Record(self.store.get(&key).await.unwrap()),
                Step::Do(Effect::Store(StoreCommand::Put(key, value))) => {
                    self.store.put(&key, &value).await.unwrap();
                    Answer::Done
                }
                Step::Do(Effect::Store(StoreCommand::Replace { key, old, new })) => {
                    Answer::Replaced(self.store.replace(&key, old.as_deref(), &new).await.unwrap())
                }
                Step::Do(Effect::SleepUntil(time)) => {
                    self.now.set(self.now.get().max(time.0));
                    Answer::Done
                }
                Step::Do(effect) => panic!("no effect {effect:?} is expected here"),
            };
            run.answer(answer, UnixMillis(self.now.get()));
        }
    }

    fn serve_request(&self, request: &HttpRequest) -> Answered {
        let url = match &request.target {
            Target::Url(url) => url.as_str(),
            Target::Homeserver(path) => path,
        };
        self.pages.borrow().get(url).cloned().unwrap_or_else(|| response(404, "{}"))
    }
}

fn roles(chosen: &Chosen) -> String {
    let names: Vec<_> = chosen.views().iter().map(|view| format!("{:?}", view.role)).collect();
    names.join("+")
}

fn merge(document: &mut Value, more: Value) {
    match (document, more) {
        (Value::Object(document), Value::Object(more)) => {
            for (name, value) in more {
                merge(document.entry(name).or_insert(Value::Null), value);
            }
        }
        (document, more) => *document = more,
    }
}

#[tokio::test]
async fn a_roster_is_silent_for_who_typed_their_own_name_and_asks_after_single_sign_on() {
    for (typed, expect) in [
        (Some("ann"), "sealed to Own"),
        (Some(ANN), "sealed to Own"),
        (Some("Ann.Lee@example.org"), "asks ann@example.org"),
        (Some("ann@EXAMPLE.org"), "sealed to Own"),
        (None, "asks ann@example.org"),
        (Some("bob"), "Failed KS-DIR-OTHER-ACCOUNT"),
    ] {
        let world = World::with_roster("ann@example.org", json!({}));
        world.serve("ann@example.org", &[ann()]);
        world.log_in("ABC", typed).await;
        assert_eq!(world.outcome("ABC").await, expect, "{typed:?}");
    }
    let world = World::with_roster("ann@example.org", json!({ "directory": { "trust_server_user_id": true } }));
    world.serve("ann@example.org", &[ann()]);
    world.log_in("ABC", None).await;
    assert_eq!(world.outcome("ABC").await, "sealed to Own");
}

#[tokio::test]
async fn the_roster_s_fingerprint_holds_for_whoever_must_confirm() {
    let world = World::with_roster("ann@example.org", json!({}));
    world.publish_roster(2, &[(ANN, "ann@example.org", &Fingerprint::parse(&"0".repeat(40)).unwrap())]);
    world.serve("ann@example.org", &[ann()]);
    world.log_in("ABC", None).await;
    assert_eq!(world.outcome("ABC").await, "KS-DIR-FINGERPRINT", "the person is not even asked");
}

#[tokio::test]
async fn per_user_policy_and_roster_must_agree() {
    let account = json!({ "account": { "user_id": ANN, "address": "Ann@example.org" } });
    let world = World::with_roster("ann@example.org", account.clone());
    world.serve("Ann@example.org", &[ann()]);
    world.log_in("ABC", None).await;
    assert_eq!(world.outcome("ABC").await, "sealed to Own");
    world.publish_roster(2, &[(ANN, "ann@example.org", &Fingerprint::parse(&"0".repeat(40)).unwrap())]);
    assert_eq!(world.outcome("ABC").await, "KS-DIR-FINGERPRINT", "the roster's fingerprint counts");
    world.publish_roster(3, &[(ANN, "bob@example.org", &ann().fingerprint())]);
    assert_eq!(world.outcome("ABC").await, "KS-DIR-CONTRADICTION");
}

#[tokio::test]
async fn what_was_typed_or_answered_at_one_login_says_nothing_of_the_next() {
    let (origin, user) = (origin(), UserId::parse(ANN).unwrap());
    let world = World::with_roster("ann@example.org", json!({}));
    world.serve("ann@example.org", &[ann()]);
    world.log_in("ABC", Some("ann")).await;
    assert_eq!(world.outcome("ABC").await, "sealed to Own");
    // Somebody else logs in at this desk, and the homeserver says that it is Ann.
    world.log_in("DEF", None).await;
    assert_eq!(world.outcome("DEF").await, "asks ann@example.org");
    world.answer("DEF", &ann(), true).await;
    assert_eq!(world.outcome("DEF").await, "sealed to Own");
    world.log_in("GHI", None).await;
    assert_eq!(world.outcome("GHI").await, "asks ann@example.org");
    world.answer("GHI", &ann(), false).await;
    assert_eq!(world.outcome("GHI").await, "KS-DIR-CONFIRM");
    assert_eq!(world.outcome("DEF").await, "sealed to Own");
    // Even under a device ID that was Ann's, once she has logged out, or where a name is typed.
    world.drive(|io| async { login::leave(io, &origin, &user).await.is_ok() }).await;
    for device in ["ABC", "DEF", "GHI"] {
        world.log_in(device, None).await;
        assert_eq!(world.outcome(device).await, "asks ann@example.org");
    }
    world.log_in("ABC", Some("ann")).await;
    world.log_in("ABC", Some("bob")).await;
    assert_eq!(world.outcome("ABC").await, "Failed KS-DIR-OTHER-ACCOUNT");
    world.answer("XYZ", &ann(), true).await;
    assert!(!world.record().await.devices.contains_key(&DeviceId::parse("XYZ").unwrap()));
}
