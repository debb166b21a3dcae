//! A deployment whose code is guarded: its Element Web behind a proxy that can be made hostile, and a manifest of what is
//! behind it, built and checked by the real command.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Parser;
use keystead_cli::{Ending, ManifestAddSite, ManifestBuild};
use keystead_testbed::{Action, Answer, Asked, HostPageOptions, KeyKind, KeySpec, Proxy, Rule};
use reqwest::header::CACHE_CONTROL;
use serde_json::{Map, Value, json};

use crate::{Browser, Company, Desk};

/// Where the manifest is served.
const MANIFEST: &str = "/keystead-manifest.json";
/// What a payload asks for if it runs.
const RAN: &str = "/ran/";

/// A guarded deployment.
#[derive(Debug)]
pub struct Guarded {
    /// The web host, which can be made hostile.
    pub host: Proxy,
    /// The services behind it.
    pub desk: Desk,
    /// The fingerprint of who signs the manifest.
    pub signer: String,
    certificate: String,
    /// The manifest, and its signature.
    pub manifest: (Vec<u8>, String),
    site: Site,
    /// Where reports of the log go, and a file that is refused there.
    pub it: Proxy,
}

/// What a deployment has beside the usual.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// The folder that it is served from, such as `/element`; the origin's root where it is empty.
    pub folder: &'static str,
    /// Is it served over HTTPS, with a certificate that nobody vouches for?
    pub https: bool,
    /// Its own files, listed and served: their paths in that folder, their types and bytes.
    pub files: Vec<(String, &'static str, Vec<u8>)>,
    /// A second release that may run beside the first.
    pub second: Option<PathBuf>,
    /// Fields of its `config.json` beside the usual ones, or instead of them.
    pub config: Map<String, Value>,
}

#[derive(Parser)]
struct Build {
    #[command(flatten)]
    build: ManifestBuild,
}

#[derive(Parser)]
struct AddSite {
    #[command(flatten)]
    add_site: ManifestAddSite,
}

impl Guarded {
    /// Makes a manifest of what the desk's Element Web serves, and publishes it.
    ///
    /// # Errors
    /// If the command or gpg refuses.
    pub async fn start(company: &Company) -> Result<Self> {
        Self::start_with(company, Site::default()).await
    }

    /// The same, with more.
    ///
    /// # Errors
    /// If the command or gpg refuses.
    pub async fn start_with(company: &Company, site: Site) -> Result<Self> {
        let options = HostPageOptions { config: site.config.clone(), folder: site.folder.to_owned() };
        let desk = company.desk_with(options)?;
        let upstream = desk.element.url();
        let host = if site.https { Proxy::start_https(&upstream)? } else { Proxy::start(&upstream)? };
        let spec = KeySpec::new("IT <it@example.org>", KeyKind::Ed25519).sign_only();
        let signer = company.gpg.generate(&spec).await?;
        let certificate = company.gpg.export(&signer).await?;
        let document = manifest(&desk, &host.url(), &site, 2, Term::days(90)).await?;
        let signature = company.gpg.sign_detached(&document, &signer).await?;
        let it = Proxy::start(&host.url())?;
        it.add(Rule::when("IT", |_| true, Action::Answer(Answer::new(204, "text/plain", ""))));
        let guarded = Self { host, desk, signer, certificate, manifest: (document, signature), site, it };
        guarded.behave();
        Ok(guarded)
    }

    /// The organisation's usual policy, with page integrity in this mode.
    #[must_use]
    pub fn policy(&self, company: &Company, mode: &str) -> Value {
        let mut policy = company.policy(&self.desk);
        policy["deployments"][0]["origin"] = self.host.url().into();
        policy["integrity"] =
            json!({ "mode": mode, "url": format!("{}{MANIFEST}", self.host.url()), "signers": [self.certificate] });
        policy
    }

    /// Where Element Web is opened, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}{}", self.host.url(), self.site.folder)
    }

    /// Everything is served as it is, with the good manifest.
    pub fn behave(&self) {
        let (document, signature) = &self.manifest;
        self.publish(document, signature);
    }

    /// Everything is served as it is, with this manifest.
    pub fn publish(&self, document: &[u8], signature: &str) {
        self.host.set_rules(files(document, signature).into_iter().chain(self.own()));
    }

    /// The host does as these rules say, and serves the good manifest.
    pub fn attack(&self, rules: Vec<Rule>) {
        let (document, signature) = &self.manifest;
        self.host.set_rules(files(document, signature).into_iter().chain(rules).chain(self.own()));
    }

    /// The deployment's own files, and what payloads ask for.
    fn own(&self) -> Vec<Rule> {
        let own = self.site.files.iter().map(|(path, content_type, bytes)| {
            let path = format!("{}/{path}", self.site.folder);
            let index = path.strip_suffix("index.html").map(str::to_owned);
            let matcher = move |asked: &Asked| asked.path == path || Some(&asked.path) == index.as_ref();
            let answer = Answer::new(200, content_type, bytes.clone());
            Rule::when("own file", matcher, Action::Answer(answer.with_header(CACHE_CONTROL, "no-cache")))
        });
        let home = Answer::new(200, "text/javascript", "");
        let ran = Rule::when("payload", |asked| asked.path.starts_with(RAN), Action::Answer(home));
        own.chain([ran]).collect()
    }

    /// JavaScript that reports home if it ever runs.
    #[must_use]
    pub fn payload(&self, name: &str) -> String {
        let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        format!("try{{fetch(\"{}{RAN}{name}\",{{mode:\"no-cors\"}})}}catch{{}};\n", self.host.url())
    }

    /// The payloads that have run.
    #[must_use]
    pub fn ran(&self) -> Vec<String> {
        let requests = self.host.requests().into_iter().map(|request| request.asked.path);
        requests.filter(|path| path.starts_with(RAN)).collect()
    }

    /// Makes another manifest of the same files.
    ///
    /// # Errors
    /// If the command refuses.
    pub async fn another(&self, serial: u64, days: u32) -> Result<Vec<u8>> {
        self.another_for(serial, Term::days(days)).await
    }

    /// Makes another manifest of the same files, for another time.
    ///
    /// # Errors
    /// If the command refuses.
    pub async fn another_for(&self, serial: u64, term: Term) -> Result<Vec<u8>> {
        manifest(&self.desk, &self.host.url(), &self.site, serial, term).await
    }

    /// The entries of the log that IT was sent, in their order.
    #[must_use]
    pub fn told(&self) -> Vec<Value> {
        let bodies = self.it.requests().into_iter().map(|request| request.asked.body);
        let logs = bodies.filter_map(|body| serde_json::from_slice::<Value>(&body).ok());
        let lines = logs.flat_map(|log| log["entries"].as_array().cloned().unwrap_or_default());
        lines.filter_map(|line| serde_json::from_str(line.as_str()?).ok()).collect()
    }
}

/// When a manifest holds.
#[derive(Clone, Debug)]
pub struct Term {
    /// The date from which on; now where it is empty.
    pub from: String,
    /// For how many days.
    pub days: u32,
}

impl Term {
    /// From now on.
    #[must_use]
    pub fn days(days: u32) -> Self {
        Self { from: String::new(), days }
    }
}

fn files(document: &[u8], signature: &str) -> Vec<Rule> {
    let file = |path: String, bytes: Vec<u8>| {
        let matcher = move |asked: &keystead_testbed::Asked| asked.path == path;
        Rule::when("manifest", matcher, Action::Answer(Answer::new(200, "application/json", bytes)))
    };
    vec![file(MANIFEST.to_owned(), document.to_vec()), file(format!("{MANIFEST}.asc"), signature.as_bytes().to_vec())]
}

async fn manifest(desk: &Desk, origin: &str, site: &Site, serial: u64, term: Term) -> Result<Vec<u8>> {
    let dir = tempfile::Builder::new().prefix("keystead-manifest-").tempdir()?;
    let own = dir.path().join("site");
    std::fs::create_dir(&own)?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let config = http.get(format!("{}{}/config.json", desk.element.url(), site.folder)).send().await?.bytes().await?;
    std::fs::write(own.join("config.json"), config)?;
    for (path, _, bytes) in &site.files {
        let path = own.join(path);
        std::fs::create_dir_all(path.parent().context("no folder")?)?;
        std::fs::write(path, bytes)?;
    }
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is no text");
    let mut add = vec!["add-site".to_owned()];
    let versions = ["1.12.0", "1.12.1"];
    for (source, version) in [Some(desk.element.dir()), site.second.as_deref()].into_iter().flatten().zip(versions) {
        let release = text(&dir.path().join(format!("{version}.json")))?;
        let build = Build::try_parse_from(["build", &text(source)?, "--release", version, "--output", &release])?;
        fine(|said| build.build.run(said))?;
        add.push(release);
    }
    let whole = text(&dir.path().join("manifest.json"))?;
    let (serial, days, base) = (serial.to_string(), term.days.to_string(), format!("{}/", site.folder));
    let own = text(&own)?;
    let rest = ["--site", &own, "--deployment", origin, "--base", &base, "--serial", &serial, "--expires", &days];
    add.extend(rest.iter().chain(&["--output", &whole]).map(|word| (*word).to_owned()));
    if !term.from.is_empty() {
        add.extend(["--issued".to_owned(), term.from]);
    }
    let add = AddSite::try_parse_from(add)?;
    fine(|said| add.add_site.run(said))?;
    Ok(std::fs::read(whole)?)
}

fn fine(run: impl FnOnce(&mut String) -> Result<Ending, keystead_cli::Failure>) -> Result<()> {
    let mut said = String::new();
    match run(&mut said) {
        Ok(Ending::Fine) => Ok(()),
        Ok(Ending::NotFine) => bail!("{said}"),
        Err(failure) => bail!("{failure}"),
    }
}

impl Browser {
    /// How it stands with the (only) guarded deployment.
    ///
    /// # Errors
    /// If the background does not answer, or guards none.
    pub async fn integrity(&self) -> Result<Value> {
        let mut views = self.ask(&json!({ "ask": "integrity" })).await?;
        Ok(views.get_mut(0).context("nothing is guarded")?.take())
    }
}
