//! An organisation to test in: its services, its certifier, its people, and where one of them sits.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use keystead_testbed::{
    Action, Answer, Gpg, HostPage, HostPageOptions, KeyKind, KeySpec, Proxy, Recorded, Rule, Sks, Synapse,
    SynapseOptions,
};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::{Browser, BrowserKind, BrowserOptions, Extension};

/// Services and people; one for a test binary.
#[derive(Debug)]
pub struct Company {
    /// The homeserver.
    pub synapse: Synapse,
    /// The key server.
    pub sks: Sks,
    /// The key ring of everybody.
    pub gpg: Gpg,
    /// The fingerprint of the certifier's key.
    pub certifier: String,
    /// The certifier's certificate.
    pub certifier_certificate: String,
    element: PathBuf,
    people: AtomicU32,
}

/// Somebody with an account.
#[derive(Clone, Debug)]
pub struct Employee {
    /// The first part of the Matrix ID.
    pub localpart: String,
    /// The Matrix ID.
    pub user_id: String,
    /// The password.
    pub password: String,
    /// The e-mail address that the policy's template makes of the Matrix ID.
    pub address: String,
}

/// One run's way to the services, with its own Element Web.
#[derive(Debug)]
pub struct Desk {
    /// In front of the homeserver.
    pub homeserver: Proxy,
    _behind: Proxy,
    /// In front of the key server.
    pub keyserver: Proxy,
    /// Element Web.
    pub element: HostPage,
}

/// With `KEYSTEAD_TRACE` set, what went to the services is told when the run is over: paths only, no bodies, no tokens.
impl Drop for Desk {
    #[allow(clippy::print_stderr)]
    fn drop(&mut self) {
        if std::env::var_os("KEYSTEAD_TRACE").is_none() {
            return;
        }
        let mut all = self.homeserver.requests();
        all.extend(self.keyserver.requests());
        all.sort_by_key(|request| request.at);
        let Some(start) = all.first().map(|request| request.at) else { return };
        for Recorded { asked, status, rule, at, .. } in all.iter().filter(|request| request.asked.method != "OPTIONS") {
            let (after, status) = (at.duration_since(start).as_millis(), status.unwrap_or_default());
            let rule = rule.as_deref().map(|rule| format!("  by rule {rule}")).unwrap_or_default();
            eprintln!("{after:6} ms  {status:3}  {} {}{rule}", asked.method, asked.path);
        }
    }
}

impl Company {
    /// Starts the services.
    ///
    /// # Errors
    /// If one is not installed, or the host page is not built.
    pub async fn found() -> Result<Self> {
        let element = match std::env::var_os("KEYSTEAD_ELEMENT_WEB") {
            Some(dir) if !dir.is_empty() => PathBuf::from(dir),
            _ => Path::new(env!("CARGO_MANIFEST_DIR")).join("host/dist"),
        };
        ensure!(element.join("index.html").is_file(), "{} is not built: run `cargo xtask setup`", element.display());
        let (synapse, sks) = tokio::try_join!(Synapse::start(SynapseOptions::default()), Sks::start())?;
        let gpg = Gpg::new()?;
        let certifier = gpg.generate(&KeySpec::new("Example certifier <pki@example.org>", KeyKind::Ed25519)).await?;
        let certifier_certificate = gpg.export(&certifier).await?;
        Ok(Self { synapse, sks, gpg, certifier, certifier_certificate, element, people: AtomicU32::new(0) })
    }

    /// Makes an account, with a name that nobody else has, and no key.
    ///
    /// # Errors
    /// If the homeserver refuses.
    pub async fn hire(&self, stem: &str) -> Result<Employee> {
        let localpart = format!("{stem}{}", self.people.fetch_add(1, Ordering::Relaxed));
        let password = format!("{localpart} has a password");
        let user_id = self.synapse.register_user(&localpart, &password).await?;
        let address = format!("{localpart}@example.org");
        Ok(Employee { localpart, user_id, password, address })
    }

    /// Makes an account and a key that the certifier has signed; the key server has it. Answers its fingerprint too.
    ///
    /// # Errors
    /// If a service refuses.
    pub async fn hire_with_key(&self, stem: &str, kind: KeyKind) -> Result<(Employee, String)> {
        let employee = self.hire(stem).await?;
        let fingerprint = self.certified_key(&employee.address, kind).await?;
        self.sks.add_key(&self.gpg.export(&fingerprint).await?).await?;
        Ok((employee, fingerprint))
    }

    /// Makes a key for an address and has the certifier sign it; answers its fingerprint.
    ///
    /// # Errors
    /// If gpg refuses.
    pub async fn certified_key(&self, address: &str, kind: KeyKind) -> Result<String> {
        let fingerprint = self.gpg.generate(&KeySpec::new(&format!("Somebody <{address}>"), kind)).await?;
        self.gpg.certify(&self.certifier, &fingerprint).await?;
        Ok(fingerprint)
    }

    /// Is it a real Element Web that people use here? The host page has nothing of media, settings and calls.
    #[must_use]
    pub fn has_element_web(&self) -> bool {
        self.element.join("usercontent/index.html").is_file()
    }

    /// An Element Web and proxies for one run.
    ///
    /// # Errors
    /// If no port is free.
    pub fn desk(&self) -> Result<Desk> {
        self.desk_with(HostPageOptions::default())
    }

    /// The same, with Element Web served so.
    ///
    /// # Errors
    /// As [`Company::desk`].
    pub fn desk_with(&self, options: HostPageOptions) -> Result<Desk> {
        let behind = Proxy::start(self.synapse.url())?;
        // Synapse tells clients its own address when they log in: they would leave the way that we watch.
        let stay = Action::rewrite_json(|_, answer| {
            if let Some(answer) = answer.as_object_mut() {
                answer.remove("well_known");
            }
        });
        behind.add(Rule::when("login", |asked| asked.path.ends_with("/login"), stay));
        let homeserver = Proxy::start(&behind.url())?;
        let keyserver = Proxy::start(self.sks.url())?;
        let element = HostPage::start(&self.element, &homeserver.url(), self.synapse.server_name(), options)?;
        Ok(Desk { homeserver, _behind: behind, keyserver, element })
    }

    /// The policy of a usual organisation: a key server, a template for addresses, a certifier.
    #[must_use]
    pub fn policy(&self, desk: &Desk) -> Value {
        json!({
            "deployments": [{
                "origin": desk.element.url(),
                "homeserver": desk.homeserver.url(),
                "server_name": self.synapse.server_name(),
            }],
            "directory": {
                "hkp": [desk.keyserver.url()],
                "address_template": "{localpart}@example.org",
                "certifiers": [self.certifier_certificate],
            },
        })
    }

    /// A browser with the extension and a policy, and the extension on duty.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn browser(&self, kind: BrowserKind, policy: Value) -> Result<Browser> {
        let extension = Extension::packed_for_tests(kind)?;
        let browser = Browser::start(kind, BrowserOptions { extension, policy }).await?;
        browser.wait_until_installed().await?;
        Ok(browser)
    }

    /// Serves a roster on its web host, with a signature of this key's beside it.
    ///
    /// # Errors
    /// If gpg refuses.
    pub async fn publish_roster(&self, files: &Proxy, document: &Value, signer: &str) -> Result<()> {
        let document = document.to_string();
        let signature = self.gpg.sign_detached(document.as_bytes(), signer).await?;
        let file = |path: &str, text: String| {
            let path = path.to_owned();
            let matcher = move |asked: &keystead_testbed::Asked| asked.path == path;
            Rule::when("file", matcher, Action::Answer(Answer::new(200, "application/json", text)))
        };
        files.set_rules([file("/roster.json", document), file("/roster.json.asc", signature)]);
        Ok(())
    }

    /// A person's global account data: a document for each kind.
    ///
    /// # Errors
    /// If the homeserver refuses.
    pub async fn account_data(&self, who: &Employee) -> Result<Value> {
        Ok(self.synapse.account_data(&who.user_id).await?["global"].take())
    }

    /// The key id in force, and the sealed recovery for it.
    ///
    /// # Errors
    /// If there is none.
    pub async fn sealed_recovery(&self, who: &Employee) -> Result<(String, String)> {
        let data = self.account_data(who).await?;
        let id = data["m.secret_storage.default_key"]["key"].as_str().context("the account has no default key")?;
        let message = data["io.keystead.recovery"]["keys"][id]["message"].as_str();
        let message = message.context("there is no sealed recovery for the default key")?;
        Ok((id.to_owned(), message.to_owned()))
    }

    /// Opens a person's sealed recovery with gpg; answers the key id in force and the recovery key.
    ///
    /// # Errors
    /// If there is none, or gpg cannot open it.
    pub async fn open_sealed_recovery(&self, who: &Employee) -> Result<(String, String)> {
        let (id, message) = self.sealed_recovery(who).await?;
        let text = String::from_utf8(self.gpg.decrypt(&message).await?)?;
        let key = text.lines().find_map(|line| line.strip_prefix("Recovery key: "));
        Ok((id, key.context("the sealed recovery names no recovery key")?.to_owned()))
    }

    /// Lets a person join a room that they were invited to.
    ///
    /// # Errors
    /// If the homeserver refuses.
    pub async fn join(&self, who: &Employee, room_id: &str) -> Result<()> {
        let puppet = self.synapse.login_as(&who.user_id).await?;
        let path = format!("/_matrix/client/v3/join/{room_id}");
        self.synapse.call(Method::POST, &path, Some(&puppet.access_token), Some(&json!({}))).await?.ok()?;
        Ok(())
    }

    /// Has a member of a room invite somebody.
    ///
    /// # Errors
    /// If the homeserver refuses.
    pub async fn invite(&self, who: &Employee, room_id: &str, whom: &Employee) -> Result<()> {
        let puppet = self.synapse.login_as(&who.user_id).await?;
        let path = format!("/_matrix/client/v3/rooms/{room_id}/invite");
        let body = json!({ "user_id": whom.user_id });
        self.synapse.call(Method::POST, &path, Some(&puppet.access_token), Some(&body)).await?.ok()?;
        Ok(())
    }

    /// Takes a device of a person's away, as they do from another one.
    ///
    /// # Errors
    /// If the homeserver refuses.
    pub async fn remove_device(&self, who: &Employee, device: &str) -> Result<()> {
        let path = format!("/_synapse/admin/v2/users/{}/devices/{device}", who.user_id);
        self.synapse.administer(Method::DELETE, &path, None).await?.ok()?;
        Ok(())
    }

    /// How many room keys a person's backup has.
    ///
    /// # Errors
    /// If there is no backup.
    pub async fn backed_up_keys(&self, who: &Employee) -> Result<u64> {
        let puppet = self.synapse.login_as(&who.user_id).await?;
        let path = "/_matrix/client/v3/room_keys/version";
        let backup = self.synapse.call(Method::GET, path, Some(&puppet.access_token), None).await?.ok()?;
        backup["count"].as_u64().context("a backup without a count")
    }

    /// The public identity keys that the homeserver publishes for a person.
    ///
    /// # Errors
    /// If there are none.
    pub async fn identity(&self, who: &Employee) -> Result<Value> {
        let keys = self.published_keys(who).await?;
        let of = |kind: &str| keys[kind][who.user_id.as_str()]["keys"].clone();
        ensure!(of("master_keys").is_object(), "the account has no identity");
        Ok(json!([of("master_keys"), of("self_signing_keys"), of("user_signing_keys")]))
    }

    /// All that the homeserver publishes of a person's keys: the answer to a keys query.
    ///
    /// # Errors
    /// If the homeserver refuses.
    pub async fn published_keys(&self, who: &Employee) -> Result<Value> {
        let puppet = self.synapse.login_as(&who.user_id).await?;
        let body = json!({ "device_keys": { who.user_id.as_str(): [] } });
        let path = "/_matrix/client/v3/keys/query";
        self.synapse.call(Method::POST, path, Some(&puppet.access_token), Some(&body)).await?.ok()
    }

    /// The documents about secrets that an account has: secret storage, what is in it, sealed recoveries. Empty ones, which
    /// clients write to delete, are left out.
    ///
    /// # Errors
    /// If the homeserver refuses.
    pub async fn secret_documents(&self, who: &Employee) -> Result<Map<String, Value>> {
        const KINDS: [&str; 4] = ["m.secret_storage.", "m.cross_signing.", "m.megolm_backup.", "io.keystead."];
        let data = self.account_data(who).await?;
        let all = data.as_object().cloned().unwrap_or_default().into_iter();
        Ok(all
            .filter(|(kind, content)| KINDS.iter().any(|start| kind.starts_with(start)) && *content != json!({}))
            .collect())
    }

    /// Checks that the account has neither secret storage nor a sealed recovery.
    ///
    /// # Errors
    /// If it has, with what.
    pub async fn nothing_set_up(&self, who: &Employee) -> Result<()> {
        let found: Vec<String> = self.secret_documents(who).await?.into_iter().map(|(kind, _)| kind).collect();
        ensure!(found.is_empty(), "the account has {}", found.join(", "));
        Ok(())
    }

    /// Writes one document of a person's account data, as another of their clients would.
    ///
    /// # Errors
    /// If the homeserver refuses.
    pub async fn put_account_data(&self, who: &Employee, kind: &str, content: &Value) -> Result<()> {
        let puppet = self.synapse.login_as(&who.user_id).await?;
        let path = format!("/_matrix/client/v3/user/{}/account_data/{kind}", who.user_id);
        self.synapse.call(Method::PUT, &path, Some(&puppet.access_token), Some(content)).await?.ok()?;
        Ok(())
    }

    /// Checks that the sealed recovery in force is encrypted to these certificates and to no other.
    ///
    /// # Errors
    /// If it is not, with the key ids.
    pub async fn sealed_to_exactly(&self, who: &Employee, fingerprints: &[&str]) -> Result<()> {
        let mut wanted = Vec::new();
        for fingerprint in fingerprints {
            let listed = self.gpg.run(&["--with-colons", "--list-keys", fingerprint], b"").await?;
            let listed = String::from_utf8(listed)?;
            let subkeys = listed.lines().map(|line| line.split(':').collect::<Vec<_>>());
            wanted.extend(subkeys.filter(|fields| fields[0] == "sub").map(|fields| fields[4].to_owned()));
        }
        let (_, message) = self.sealed_recovery(who).await?;
        let packets = self.gpg.run(&["--list-only", "--list-packets"], message.as_bytes()).await?;
        let packets = String::from_utf8(packets)?;
        let recipients = packets.lines().filter(|line| line.starts_with(":pubkey enc packet:"));
        let mut found: Vec<String> =
            recipients.filter_map(|line| Some(line.split_once("keyid ")?.1.to_owned())).collect();
        wanted.sort();
        found.sort();
        ensure!(wanted == found, "sealed to the keys {found:?}, not {wanted:?}");
        Ok(())
    }
}
