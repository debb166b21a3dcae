//! The real HKP key server `sks`. It verifies nothing, so it serves poisoned and hostile keys as readily as good ones.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::ports::free_port;
use crate::process::Service;
use crate::scratch::scratch_dir;

const UP_WITHIN: Duration = Duration::from_secs(15);
const ATTEMPTS: usize = 3;

/// A running key server with a database of its own.
#[derive(Debug)]
pub struct Sks {
    // Dropped before the directory it writes to.
    _service: Service,
    _dir: TempDir,
    url: String,
    http: reqwest::Client,
}

impl Sks {
    /// Starts an empty key server and waits until it answers.
    ///
    /// # Errors
    /// If `sks` is not installed or does not come up.
    pub async fn start() -> Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::start_once().await {
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    async fn start_once() -> Result<Self> {
        let command = keystead_tools::on_path("sks").context("sks is not installed: run `cargo xtask setup`")?;
        let dir = scratch_dir("sks")?;
        let port = free_port()?;
        write_configuration(dir.path(), port)?;
        let mut database = Command::new(command);
        database.arg("-basedir").arg(dir.path()).arg("db").current_dir(dir.path());
        let mut service = Service::start("sks", database, &dir.path().join("output.log"))?;
        let url = format!("http://127.0.0.1:{port}");
        let http =
            reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(Duration::from_secs(30)).build()?;
        let probe = format!("{url}/pks/lookup?op=stats");
        service.ready(UP_WITHIN, async || http.get(&probe).send().await.is_ok()).await?;
        Ok(Self { _service: service, _dir: dir, url, http })
    }

    /// The server's address, such as `http://127.0.0.1:4711`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Adds one armored certificate.
    ///
    /// # Errors
    /// If the server refuses it.
    pub async fn add_key(&self, armored: &str) -> Result<()> {
        let url = format!("{}/pks/add", self.url);
        let answer = self.http.post(url).form(&[("keytext", armored)]).send().await.context("sks does not answer")?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("sks refused a certificate with {status}: {text}");
        }
        Ok(())
    }

    /// The armored certificates for an address or a fingerprint (`0x…`); `None` if the server knows none.
    ///
    /// # Errors
    /// If the server does not answer, or with anything but a certificate or 404.
    pub async fn lookup(&self, search: &str) -> Result<Option<String>> {
        self.ask("get", search).await
    }

    /// The machine-readable index for an address or a fingerprint (`0x…`); `None` if the server knows none.
    ///
    /// # Errors
    /// As for [`Sks::lookup`].
    pub async fn index(&self, search: &str) -> Result<Option<String>> {
        self.ask("index", search).await
    }

    async fn ask(&self, operation: &str, search: &str) -> Result<Option<String>> {
        let query = [("op", operation), ("options", "mr"), ("exact", "on"), ("search", search)];
        let url = reqwest::Url::parse_with_params(&format!("{}/pks/lookup", self.url), query)?;
        let answer = self.http.get(url).send().await.context("sks does not answer")?;
        match answer.status().as_u16() {
            200 => Ok(Some(answer.text().await?)),
            404 => Ok(None),
            status => bail!("sks answered {operation} with {status}"),
        }
    }
}

fn write_configuration(dir: &Path, port: u16) -> Result<()> {
    for folder in ["etc/sks", "var/log/sks", "var/lib/sks/DB", "var/spool/sks", "var/run/sks"] {
        fs::create_dir_all(dir.join(folder))?;
    }
    let configuration = format!(
        "hostname: localhost\nhkp_address: 127.0.0.1\nhkp_port: {port}\nnodename: keystead\npagesize: 16\nptree_pagesize: 16\n"
    );
    fs::write(dir.join("etc/sks/sksconf"), configuration)?;
    fs::write(dir.join("etc/sks/membership"), "")?;
    Ok(())
}
