//! The real homeserver Synapse, on SQLite.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::ports::free_port;
use crate::process::Service;
use crate::scratch::scratch_dir;

/// Opens registration to tests; the server lives on loopback, for the length of a test.
pub(crate) const REGISTRATION_SECRET: &str = "testbed-registration-secret";
/// The signing key of a server that federates with nobody: 32 bytes, unpadded base64.
const SIGNING_KEY: &str = "ed25519 a_bed a2V5c3RlYWQgdGVzdGJlZCBzaWduaW5nIGtleSAwMDE\n";
const UP_WITHIN: Duration = Duration::from_secs(40);
const ATTEMPTS: usize = 3;
const ADMIN: (&str, &str) = ("keystead-admin", "testbed-admin-password");

/// What a test wants of its homeserver beyond the defaults.
#[derive(Clone, Debug)]
pub struct SynapseOptions {
    /// The part of Matrix IDs after the colon.
    pub server_name: String,
    /// `INFO`, or `DEBUG` for a search of everything the server could write down.
    pub log_level: String,
    /// Settings that are added to `homeserver.yaml` or replace the testbed's.
    pub settings: Map<String, Value>,
}

impl Default for SynapseOptions {
    fn default() -> Self {
        Self { server_name: "localhost".to_owned(), log_level: "INFO".to_owned(), settings: Map::new() }
    }
}

/// A running homeserver with one administrator.
#[derive(Debug)]
pub struct Synapse {
    // Dropped before the directory it writes to.
    _service: Service,
    dir: TempDir,
    url: String,
    server_name: String,
    pub(crate) http: reqwest::Client,
    pub(crate) admin_token: String,
}

impl Synapse {
    /// Starts an empty homeserver and waits until it answers.
    ///
    /// # Errors
    /// If Synapse is not installed or does not come up.
    pub async fn start(options: SynapseOptions) -> Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::start_once(&options).await {
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    async fn start_once(options: &SynapseOptions) -> Result<Self> {
        let python = keystead_tools::synapse_python()?;
        let dir = scratch_dir("synapse")?;
        let port = free_port()?;
        let url = format!("http://127.0.0.1:{port}");
        let configuration = write_configuration(dir.path(), port, &url, options)?;
        let mut homeserver = Command::new(python);
        homeserver.args(["-m", "synapse.app.homeserver", "--config-path"]).arg(configuration);
        homeserver.current_dir(dir.path()).env("PYTHONUNBUFFERED", "1").env_remove("PYTHONPATH");
        let mut service = Service::start("Synapse", homeserver, &dir.path().join("output.log"))?;
        let http =
            reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(Duration::from_secs(60)).build()?;
        let probe = format!("{url}/health");
        let answers = async || http.get(&probe).send().await.is_ok_and(|answer| answer.status().is_success());
        service.ready(UP_WITHIN, answers).await?;
        let server_name = options.server_name.clone();
        let mut synapse = Self { _service: service, dir, url, server_name, http, admin_token: String::new() };
        synapse.admin_token = synapse.register(ADMIN.0, ADMIN.1, true).await.context("no administrator")?;
        Ok(synapse)
    }

    /// The server's address, such as `http://127.0.0.1:4711`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The part of Matrix IDs after the colon.
    #[must_use]
    pub fn server_name(&self) -> &str {
        &self.server_name
    }

    /// The SQLite database, with `-wal` and `-shm` files beside it.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.dir.path().join("homeserver.db")
    }

    /// What the server logged.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.dir.path().join("homeserver.log")
    }

    /// The directory of all the server's files.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// Writes `homeserver.yaml` (as JSON, which is YAML) and what it names; answers its path.
fn write_configuration(dir: &Path, port: u16, url: &str, options: &SynapseOptions) -> Result<PathBuf> {
    let plenty = json!({"per_second": 10_000, "burst_count": 10_000});
    let mut settings = json!({
        "server_name": options.server_name,
        "public_baseurl": url,
        "report_stats": false,
        "listeners": [{
            "port": port, "type": "http", "tls": false, "x_forwarded": false, "bind_addresses": ["127.0.0.1"],
            "resources": [{"names": ["client"], "compress": false}],
        }],
        "database": {"name": "sqlite3", "args": {"database": dir.join("homeserver.db")}},
        "log_config": dir.join("log.yaml"),
        "pid_file": dir.join("homeserver.pid"),
        "media_store_path": dir.join("media"),
        "signing_key_path": dir.join("signing.key"),
        "macaroon_secret_key": "testbed-macaroon-secret",
        "form_secret": "testbed-form-secret",
        "registration_shared_secret": REGISTRATION_SECRET,
        "trusted_key_servers": [],
        "federation_domain_whitelist": [],
        "bcrypt_rounds": 4,
        "rc_message": plenty,
        "rc_registration": plenty,
        "rc_login": {"address": plenty, "account": plenty, "failed_attempts": plenty},
        "rc_joins": {"local": plenty, "remote": plenty},
        "rc_joins_per_room": plenty,
        "rc_invites": {"per_room": plenty, "per_user": plenty, "per_issuer": plenty},
        "rc_3pid_validation": plenty,
        "rc_room_creation": plenty,
        "rc_user_directory": plenty,
        "rc_presence": {"per_user": plenty},
        "rc_media_create": plenty,
        "rc_delayed_event_mgmt": plenty,
        "rc_admin_redaction": plenty,
    });
    if let Some(settings) = settings.as_object_mut() {
        settings.extend(options.settings.clone());
    }
    let log = json!({
        "version": 1,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(request)s %(message)s"}},
        "handlers": {"file": {
            "class": "logging.FileHandler", "formatter": "line", "encoding": "utf8", "filename": dir.join("homeserver.log"),
        }},
        "root": {"level": options.log_level, "handlers": ["file"]},
        "disable_existing_loggers": false,
    });
    fs::write(dir.join("log.yaml"), log.to_string())?;
    fs::write(dir.join("signing.key"), SIGNING_KEY)?;
    let path = dir.join("homeserver.yaml");
    fs::write(&path, settings.to_string())?;
    Ok(path)
}
