//! A browser profile, with servers that answer what a test has them answer.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fs,
    path::PathBuf,
};

use serde_json::{Value, json};

use super::super::*;
use crate::{
    bootstrap::{
        Setup,
        login::{self, Login},
    },
    effect::{Answer, Effect, HttpRequest, HttpResponse, Io, Run, Step, StoreCommand, Target, TransportError},
    ident::{DeviceId, Fingerprint, Origin, UserId},
    matrix::homeserver::Homeserver,
    openpgp::{Certificate, SecretCertificate, sign_detached},
    policy::Policy,
    restore::reading::Lately,
    signed::{Roster, Written},
    store::{MemoryStore, Store},
    time::UnixMillis,
};

/// The reference time of the acceptance vectors.
pub(super) const AT: u64 = 1_800_000_000_000;
pub(super) const ANN: &str = "@ann:example.org";
pub(super) const HOST: &str = "https://keys.example.org";
pub(super) const ROSTER: &str = "https://it.example.org/roster.json";

pub(super) type Answered = Result<HttpResponse, TransportError>;

pub(super) fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)
}

/// The certificate of an acceptance vector; they are Ann's, all of them one certificate in different states.
pub(super) fn vector(name: &str) -> Certificate {
    let text = fs::read_to_string(folder("openpgp/acceptance").join(format!("{name}.txt"))).unwrap();
    Certificate::parse_all(text.split_once("\n\n").unwrap().1.as_bytes()).unwrap().remove(0)
}

pub(super) fn ann() -> Certificate {
    vector("accepted")
}

pub(super) fn signer(part: &str) -> String {
    fs::read_to_string(folder("signed/keys").join(format!("{part}.asc"))).unwrap()
}

pub(super) fn origin() -> Origin {
    Origin::parse("https://chat.example.org").unwrap()
}

pub(super) fn response(status: u16, body: impl Into<Vec<u8>>) -> Answered {
    Ok(HttpResponse { status, content_type: String::new(), retry_after_ms: None, body: body.into() })
}

pub(super) fn index_of(address: &str) -> String {
    format!("{HOST}/pks/lookup?op=index&options=mr&exact=on&search={}", address.replace('@', "%40"))
}

fn get_of(certificate: &Certificate) -> String {
    format!("{HOST}/pks/lookup?op=get&options=mr&exact=on&search=0x{}", certificate.fingerprint().as_str())
}

/// A browser profile, and the servers that it meets.
pub(super) struct World {
    pub(super) policy: RefCell<Value>,
    pub(super) store: MemoryStore,
    /// What stands at a URL, up to its query or with it; anything else is not found.
    pages: RefCell<BTreeMap<String, Answered>>,
    key_servers_down: Cell<bool>,
    pub(super) asked: RefCell<Vec<String>>,
    pub(super) now: Cell<u64>,
    pub(super) user: &'static str,
}

impl World {
    pub(super) fn new(more: Value) -> Self {
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
            key_servers_down: Cell::default(),
            asked: RefCell::default(),
            now: Cell::new(AT),
            user: ANN,
        }
    }

    /// A policy whose roster names Ann's certificate, with this address.
    pub(super) fn with_roster(email: &str, more: Value) -> Self {
        let mut policy = json!({ "roster": { "url": ROSTER, "signers": [signer("signer")] } });
        merge(&mut policy, more);
        let world = Self::new(policy);
        world.publish_roster(1, &[(ANN, email, &ann().fingerprint())]);
        world
    }

    pub(super) fn publish_roster(&self, serial: u64, people: &[(&str, &str, &Fingerprint)]) {
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

    pub(super) fn page(&self, url: &str, answer: Answered) {
        self.pages.borrow_mut().insert(url.to_owned(), answer);
    }

    /// What the key server lists for an address and hands out.
    pub(super) fn serve(&self, address: &str, certificates: &[Certificate]) {
        let mut index = String::from("info:1:1\n");
        for certificate in certificates {
            index += &format!("pub:{}:22:256:1780000000::\n", certificate.fingerprint().as_str());
            self.serve_copy(certificate);
        }
        self.page(&index_of(address), response(200, index));
    }

    /// A certificate that the key server hands out and lists for nobody.
    pub(super) fn serve_copy(&self, certificate: &Certificate) {
        self.page(&get_of(certificate), response(200, certificate.to_armored()));
    }

    /// And one that it no longer has.
    pub(super) fn forget_copy(&self, certificate: &Certificate) {
        self.pages.borrow_mut().remove(&get_of(certificate));
    }

    /// No key server answers any more.
    pub(super) fn servers_down(&self) {
        self.key_servers_down.set(true);
    }

    /// Changes what is kept of the account.
    pub(super) async fn tamper(&self, change: impl Fn(&mut AccountRecord)) {
        let (origin, mut record) = (origin(), self.record().await);
        self.drive(|io| async move { record.change(&io, &origin, change).await }).await.unwrap();
    }

    fn policy(&self) -> Policy {
        Policy::parse(&self.policy.borrow()).map_err(|e| (e.code, e.path)).unwrap()
    }

    fn user(&self) -> UserId {
        UserId::parse(self.user).unwrap()
    }

    /// A login: the homeserver says that the session is the account's, under a device ID of its choice.
    pub(super) async fn log_in(&self, device: &str, typed: Option<&str>) {
        let body = json!({ "user_id": self.user, "device_id": device }).to_string();
        self.page("/_matrix/client/v3/account/whoami", response(200, body));
        let (origin, user_id, device_id) = (origin(), self.user(), DeviceId::parse(device).unwrap());
        // All of them are open: a browser can have several jars of cookies.
        let others = ["ABC", "DEF", "GHI"].map(|device| DeviceId::parse(device).unwrap());
        let login = Login {
            origin: &origin,
            user_id: &user_id,
            device_id: &device_id,
            typed,
            others: &others,
            retention: None,
        };
        let confirmed = self.drive(|io| async { login::confirm(io, login).await.is_ok() });
        assert!(confirmed.await);
    }

    pub(super) async fn answer(&self, device: &str, certificate: &Certificate, accept: bool) {
        let (origin, user, device) = (origin(), self.user(), DeviceId::parse(device).unwrap());
        let fingerprint = certificate.fingerprint();
        let noted =
            self.drive(|io| async { AccountRecord::answer(io, &origin, &user, &device, fingerprint, accept).await });
        noted.await.unwrap();
    }

    pub(super) async fn record(&self) -> AccountRecord {
        let (origin, user) = (origin(), self.user());
        self.drive(|io| async move { AccountRecord::load(&io, &origin, &user).await }).await.unwrap()
    }

    /// The recipients of a first set-up in this session, in words.
    pub(super) async fn outcome(&self, device: &str) -> String {
        let setup = Setup {
            origin: origin(),
            server_name: Some("example.org".into()),
            user_id: self.user(),
            device_id: DeviceId::parse(device).unwrap(),
            policy: self.policy(),
            standing: String::new(),
            asked: true,
            lately: Lately::default(),
        };
        let chosen = self.drive(|io| async {
            let io = io;
            let scene = Scene { io: &io, setup: &setup, homeserver: Homeserver::new(&io) };
            let mut record = AccountRecord::load(&io, &setup.origin, &setup.user_id).await?;
            choose(&scene, &mut record, &mut Progress::default()).await
        });
        match chosen.await {
            Ok(chosen @ Chosen::Sealed(_)) => format!("sealed to {}", roles(&chosen)),
            Ok(chosen @ Chosen::Kept(_)) => format!("kept, sealed to {}", roles(&chosen)),
            Err(End::Stop(stop)) => stop.code.as_str().to_owned(),
            Err(End::Leave(state, code)) => format!("{state:?} {}", code.map_or("", Code::as_str)),
            Err(End::Watch(state, code, _)) => format!("{state:?} {}", code.as_str()),
            Err(End::Ask(code, question)) => match *question {
                Question::Confirm { account, address, .. } => {
                    assert_eq!(account, self.user());
                    format!("asks {}", address.as_str())
                }
                _ => format!("asks {}", code.as_str()),
            },
        }
    }

    pub(super) async fn drive<'a, T, F: Future<Output = T> + 'a>(&self, flow: impl FnOnce(Io) -> F) -> T {
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
            Target::Url(url) if self.key_servers_down.get() && url.as_str().starts_with(HOST) => {
                return Err(TransportError::Unreachable);
            }
            Target::Url(url) => url.as_str(),
            Target::Homeserver(path) => path,
        };
        self.pages.borrow().get(url).cloned().unwrap_or_else(|| response(404, "{}"))
    }
}

pub(super) fn roles(chosen: &Chosen) -> String {
    let names: Vec<_> = chosen.views().iter().map(|view| format!("{:?}", view.role)).collect();
    names.join("+")
}

pub(super) fn merge(document: &mut Value, more: Value) {
    match (document, more) {
        (Value::Object(document), Value::Object(more)) => {
            for (name, value) in more {
                merge(document.entry(name).or_insert(Value::Null), value);
            }
        }
        (document, more) => *document = more,
    }
}
