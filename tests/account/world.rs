//! The services, and what can go wrong.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::atomic::{AtomicU32, Ordering},
};

use keystead_core::policy::Policy;
use keystead_testbed::{Gpg, KeyKind, KeySpec, Session, Sks, Synapse, SynapseOptions};
use serde_json::{Map, Value, json};

use crate::account::Account;

/// What goes wrong, and at which effect of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process dies before the effect is performed.
    DiesBefore(usize),
    /// The process dies when the effect was performed, before it knows.
    DiesAfter(usize),
    /// From here on nothing reaches any server.
    Offline(usize),
    /// From here on the servers answer with this status.
    Status(usize, u16),
    /// The write is answered with success and lost.
    Lost(usize),
    /// The write is done, and what was there before is read for a while.
    Stale(usize),
    /// From here on the clock is a year ahead; it is right again when this start is over.
    Ahead(usize),
    /// The same, a year behind.
    Behind(usize),
    /// Of several writes at a time some reach the server; then the process dies.
    Halved(usize),
    /// The store, the vault or the page fails.
    Fails(usize),
}

impl Fault {
    /// All that can go wrong at an effect.
    pub(crate) fn all_at(index: usize, name: &str) -> Vec<Self> {
        // A year ahead or behind by turns: one row an effect.
        let jump = if index.is_multiple_of(2) { Self::Ahead(index) } else { Self::Behind(index) };
        let mut faults = vec![Self::DiesBefore(index), Self::DiesAfter(index), jump];
        if name.starts_with("http") {
            faults.push(Self::Offline(index));
            faults.extend([500, 429, 401].map(|status| Self::Status(index, status)));
        }
        if name.contains("PUT ") {
            faults.push(Self::Lost(index));
        }
        if name.contains("PUT ") || WRITING_PAGE.contains(&name) {
            faults.push(Self::Stale(index));
        }
        if name.matches("PUT ").count() > 1 {
            faults.push(Self::Halved(index));
        }
        if ["store", "vault", "page"].iter().any(|kind| name.starts_with(kind)) {
            faults.push(Self::Fails(index));
        }
        faults
    }
}

/// What the page does that changes something on the homeserver.
const WRITING_PAGE: [&str; 5] =
    ["page store_secrets", "page store_beside", "page restore", "page make_identity", "page make_backup"];

/// The address in the one certificate that all accounts of this test share.
const ADDRESS: &str = "everybody@example.org";

/// The services that all rows share.
/// Everybody's password.
pub(crate) const PASSWORD: &str = "a password";

pub(crate) struct World {
    pub(crate) synapse: Rc<Synapse>,
    pub(crate) gpg: Gpg,
    keyserver: Sks,
    certifier: String,
    certifier_key: String,
    /// The fingerprint of the one certificate.
    pub(crate) person: String,
    /// What the policy has instead of the account's address and the certifier.
    instead: RefCell<Option<Value>>,
    gnupg: Cell<bool>,
    /// What the policy has besides.
    also: RefCell<Map<String, Value>>,
    people: AtomicU32,
}

impl World {
    pub(crate) async fn start() -> Self {
        let synapse = Synapse::start(SynapseOptions::default()).await.unwrap();
        let keyserver = Sks::start().await.unwrap();
        let gpg = Gpg::new().unwrap();
        let certifier = gpg.generate(&KeySpec::new("IT <it@example.org>", KeyKind::Ed25519)).await.unwrap();
        let person = gpg.generate(&KeySpec::new(&format!("Everybody <{ADDRESS}>"), KeyKind::Ed25519)).await.unwrap();
        gpg.certify(&certifier, &person).await.unwrap();
        keyserver.add_key(&gpg.export(&person).await.unwrap()).await.unwrap();
        let certifier_key = certifier;
        let certifier = gpg.export(&certifier_key).await.unwrap();
        let synapse = Rc::new(synapse);
        Self {
            synapse,
            gpg,
            keyserver,
            certifier,
            certifier_key,
            person,
            instead: RefCell::default(),
            gnupg: Cell::default(),
            also: RefCell::default(),
            people: AtomicU32::new(0),
        }
    }

    /// A new account, as Element leaves it after a first login.
    pub(crate) async fn hire(&self) -> Account {
        Account::new(self, &self.first_log_in().await).await
    }

    /// A new account, as an Element leaves it that was interrupted at its first login.
    pub(crate) async fn hire_bare(&self) -> Account {
        Account::bare(self, &self.first_log_in().await).await
    }

    async fn first_log_in(&self) -> Session {
        let name = format!("person{}", self.people.fetch_add(1, Ordering::Relaxed));
        self.synapse.register_user(&name, PASSWORD).await.unwrap();
        self.synapse.login(&name, "a password").await.unwrap()
    }

    /// One more session of an account.
    pub(crate) async fn log_in(&self, user: &str) -> Session {
        let name = user.trim_start_matches('@').split(':').next().unwrap();
        self.synapse.login(name, "a password").await.unwrap()
    }

    /// From now on the policy has this, and neither the account's address nor the certifier.
    pub(crate) fn change_policy(&self, instead: Value) {
        self.instead.replace(Some(instead));
    }

    /// From now on the policy has this besides, or not any more.
    pub(crate) fn set_policy(&self, field: &str, value: Option<Value>) {
        match value {
            Some(value) => self.also.borrow_mut().insert(field.into(), value),
            None => self.also.borrow_mut().remove(field),
        };
    }

    /// The certifier's certificate.
    pub(crate) fn certifier_certificate(&self) -> &str {
        &self.certifier
    }

    /// One more certificate, which the certifier has signed and the key server has.
    pub(crate) async fn certify(&self, user_id: &str, expires: Option<&str>) -> String {
        let mut spec = KeySpec::new(user_id, KeyKind::Ed25519);
        if let Some(expires) = expires {
            spec = spec.expires(expires);
        }
        let fingerprint = self.gpg.generate(&spec).await.unwrap();
        self.gpg.certify(&self.certifier_key, &fingerprint).await.unwrap();
        self.publish(&self.gpg.export(&fingerprint).await.unwrap()).await;
        fingerprint
    }

    /// From now on the policy names GnuPG's host.
    pub(crate) fn use_gnupg(&self) {
        self.gnupg.set(true);
    }

    /// Puts a certificate, or a new copy of one, on the key server.
    pub(crate) async fn publish(&self, certificate: &str) {
        self.keyserver.add_key(certificate).await.unwrap();
    }

    /// The policy that names the account's address and the certifier.
    pub(crate) fn policy(&self, user: &str) -> Policy {
        let mut policy = json!({
            "deployments": [{
                "origin": "http://localhost:8080",
                "homeserver": self.synapse.url(),
                "server_name": self.synapse.server_name(),
            }],
            "directory": { "hkp": [self.keyserver.url()] },
        });
        if self.gnupg.get() {
            policy["restore"] = json!({ "gnupg_host": keystead_core::gnupg::HOST_NAME });
        }
        match &*self.instead.borrow() {
            Some(Value::Object(instead)) => policy.as_object_mut().unwrap().extend(instead.clone()),
            _ => {
                policy["account"] = json!({ "user_id": user, "address": ADDRESS });
                policy["directory"]["certifiers"] = json!([self.certifier]);
            }
        }
        policy.as_object_mut().unwrap().extend(self.also.borrow().clone());
        Policy::parse(&policy).map_err(|e| (e.code, e.path)).unwrap()
    }
}
