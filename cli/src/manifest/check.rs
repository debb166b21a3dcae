//! `keystead manifest check`: a live deployment against its manifest, file by file.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use futures_util::{StreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use keystead_core::{
    effect::TransportError,
    error::Code,
    ident::Origin,
    integrity::{ConfigFile, FilePath, ListedFile, Release, ReleaseManifest, ReleaseVersion, Sha256Digest},
    openpgp::Certificate,
    signed::Reader,
};
use serde_json::{Map, Value, json};
use url::Url;

use super::{add_site::read_settings, open::read_manifest, part::Hashes};
use crate::{
    dates::now,
    failure::{Ending, Failure},
    files,
    http::{Http, Streamed},
    words::words,
};

/// How much more than listed is read of a file before it is given up.
const MORE: u64 = 64 << 10;
/// The most bytes of settings.
const MAX_SETTINGS: u64 = 1 << 20;

/// Compare what a server serves with a manifest, file by file
///
/// Run it as a gate before an upgrade goes live, against the server that will serve it, and as a monitor after, from outside.
/// Every listed file is fetched and hashed; the settings must have the signed values. Redirects to another host, files that
/// are larger than listed, and answers that never end are refused. Exit code 0: everything is as listed; 1: something is not.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct ManifestCheck {
    /// Where Element Web is served, such as https://chat.example.org/; it may be another host than the manifest's.
    url: Url,
    /// The manifest.
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// A file with certificates; the manifest's signature is checked first. May be given several times.
    #[arg(long, value_name = "FILE")]
    signer: Vec<PathBuf>,
    /// Which release must be served (default: the one whose index.html is).
    #[arg(long, value_parser = |text: &str| ReleaseVersion::parse(text), value_name = "VERSION")]
    release: Option<ReleaseVersion>,
    /// How many seconds a file may take.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600), value_name = "SECONDS")]
    timeout: u64,
    /// How many files are fetched at a time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64), value_name = "NUMBER")]
    at_once: u8,
    /// One JSON object a line for each file that is not as listed.
    #[arg(long)]
    json: bool,
}

/// What was wrong with a file.
struct Problem {
    path: FilePath,
    code: Code,
    expected: Option<String>,
    found: Option<String>,
}

/// What is fetched, and what it must be.
enum Wanted<'a> {
    File(&'a ListedFile),
    Settings(&'a ConfigFile),
    /// Settings that Element would load, and nobody signed.
    NoSettings(FilePath),
}

impl Wanted<'_> {
    fn path(&self) -> &FilePath {
        match self {
            Self::File(file) => &file.path,
            Self::Settings(settings) => &settings.path,
            Self::NoSettings(path) => path,
        }
    }
}

struct Checker {
    http: Http,
    base: Url,
    limit: Duration,
}

impl ManifestCheck {
    /// Does it; what to read goes to `out`.
    ///
    /// # Errors
    /// [`Failure`] where the manifest is not to be read or believed.
    pub async fn run(self, out: &mut String) -> Result<Ending, Failure> {
        let manifest = self.read()?;
        let http = Http::new().map_err(|_| Failure::Usage("this machine has no TLS".into()))?;
        let checker = Checker { http, base: base(&self.url)?, limit: Duration::from_secs(self.timeout) };
        let release = match &self.release {
            Some(version) => manifest.releases().iter().rfind(|release| release.version() == version),
            None => checker.served(&manifest).await.or(manifest.releases().last()),
        };
        let release = release.ok_or_else(|| Failure::Usage("the manifest has no release of that version".into()))?;
        let wanted = wanted(&manifest, release, &checker.base);
        let listed = wanted.iter().filter(|wanted| !matches!(wanted, Wanted::NoSettings(_))).count();
        let progress = progress(wanted.len());
        let checks = wanted.into_iter().map(|wanted| checker.check(wanted));
        let mut checks = stream::iter(checks).buffer_unordered(self.at_once.into());
        let mut problems = Vec::new();
        while let Some(problem) = checks.next().await {
            progress.inc(1);
            problems.extend(problem);
        }
        progress.finish_and_clear();
        problems.sort_by(|a, b| a.path.cmp(&b.path));
        for problem in &problems {
            out.push_str(&if self.json { problem.as_json() } else { problem.as_text() });
        }
        let bad = problems.iter().filter(|problem| problem.code != Code::IntUnlisted).count();
        let (version, good) = (release.version().as_str(), listed.saturating_sub(bad));
        if !self.json {
            out.push_str(&format!("{}: Element Web {version}, {good} of {listed} files are as listed\n", checker.base));
        }
        Ok(if problems.is_empty() { Ending::Fine } else { Ending::NotFine })
    }

    fn read(&self) -> Result<ReleaseManifest, Failure> {
        let (deployment, manifest) = read_manifest(&self.manifest)?;
        if self.signer.is_empty() {
            return Ok(manifest);
        }
        self.believe(&deployment, &files::certificates(&self.signer)?)
    }

    fn believe(&self, deployment: &Origin, signers: &[Certificate]) -> Result<ReleaseManifest, Failure> {
        let reader = Reader { signers, deployment, newest_serial_seen: 0, now: now() };
        let signature = files::read_text(&files::signature_path(&self.manifest))?;
        Ok(reader.read::<ReleaseManifest>(&files::read(&self.manifest)?, &signature)?.body)
    }
}

fn base(url: &Url) -> Result<Url, Failure> {
    let mut base = url.clone();
    base.set_query(None);
    base.set_fragment(None);
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", url.path()));
    }
    let is_web = matches!(base.scheme(), "http" | "https") && base.has_host();
    if is_web { Ok(base) } else { Err(Failure::Usage(format!("{url} is no http or https URL"))) }
}

/// Everything that must be served: the site's own files in the place of the release's.
fn wanted<'a>(manifest: &'a ReleaseManifest, release: &'a Release, base: &Url) -> Vec<Wanted<'a>> {
    let site = manifest.site();
    let of_release = release.listing().files().iter().filter(|file| site.listing().file(&file.path).is_none());
    let of_release = of_release.filter(|file| site.config().iter().all(|config| config.path != file.path));
    let mut wanted: Vec<_> = of_release.chain(site.listing().files()).map(Wanted::File).collect();
    wanted.extend(site.config().iter().map(Wanted::Settings));
    // What Element asks for before its config.json.
    let hosts = [base.host_str().map(|host| format!("config.{host}.json")), Some("config.json".to_owned())];
    for path in hosts.into_iter().flatten().filter_map(|name| FilePath::parse(&name).ok()) {
        if wanted.iter().all(|wanted| wanted.path() != &path) {
            wanted.push(Wanted::NoSettings(path));
        }
    }
    wanted
}

fn progress(total: usize) -> ProgressBar {
    let progress = ProgressBar::new(total as u64);
    if let Ok(style) = ProgressStyle::with_template("{pos} of {len} files {bar:40} {elapsed}") {
        progress.set_style(style);
    }
    progress
}

impl Checker {
    /// The release whose index.html is served.
    async fn served<'a>(&self, manifest: &'a ReleaseManifest) -> Option<&'a Release> {
        let path = FilePath::parse("index.html").ok()?;
        let all = || manifest.releases().iter().rev();
        let most = all().filter_map(|release| release.listing().file(&path)).map(|file| file.size).max()?;
        let (sha256, _, _) = self.hash(&path, most + MORE).await.ok()?;
        all().find(|release| release.listing().file(&path).is_some_and(|file| file.sha256 == sha256))
    }

    async fn check(&self, wanted: Wanted<'_>) -> Option<Problem> {
        let path = wanted.path().clone();
        let (code, expected, found) = match wanted {
            Wanted::File(file) => self.file(file).await?,
            Wanted::Settings(settings) => self.settings(settings).await?,
            Wanted::NoSettings(path) => self.no_settings(&path).await?,
        };
        Some(Problem { path, code, expected, found })
    }

    async fn file(&self, file: &ListedFile) -> Option<Difference> {
        let sri = |sha256: &Sha256Digest| format!("sha256-{}", sha256.to_base64());
        let expected = Some(format!("{} bytes, {}", file.size, sri(&file.sha256)));
        match self.hash(&file.path, file.size + MORE).await {
            Ok((sha256, sha384, _)) if sha256 == file.sha256 && sha384 == file.sha384 => None,
            Ok((sha256, _, size)) => {
                Some((Code::IntChanged, expected, Some(format!("{size} bytes, {}", sri(&sha256)))))
            }
            Err((code, found)) => Some((code, expected, Some(found))),
        }
    }

    async fn settings(&self, settings: &ConfigFile) -> Option<Difference> {
        match self.values(&settings.path).await {
            Ok(Ok(values)) if values == settings.values => None,
            Ok(Ok(values)) => {
                let names = settings.values.keys().chain(values.keys());
                let differ: std::collections::BTreeSet<_> =
                    names.filter(|name| settings.values.get(*name) != values.get(*name)).collect();
                let show = |of: &Map<String, Value>| {
                    let pairs = differ.iter().map(|name| match of.get(*name) {
                        Some(value) => format!("{name}: {value}"),
                        None => format!("no {name}"),
                    });
                    Some(pairs.collect::<Vec<_>>().join(", "))
                };
                Some((Code::IntConfig, show(&settings.values), show(&values)))
            }
            Ok(Err(why)) => Some((Code::IntConfig, Some("settings".into()), Some(why))),
            Err((code, found)) => Some((code, Some("settings".into()), Some(found))),
        }
    }

    /// Many servers answer with a page of theirs where there is nothing.
    async fn no_settings(&self, path: &FilePath) -> Option<Difference> {
        match self.values(path).await {
            Ok(Ok(_)) => Some((Code::IntUnlisted, None, Some("settings that the manifest does not have".into()))),
            Ok(Err(_)) | Err((Code::IntMissing, _)) => None,
            Err((code, found)) => Some((code, None, Some(found))),
        }
    }

    async fn values(&self, path: &FilePath) -> Result<Result<Map<String, Value>, String>, (Code, String)> {
        let mut bytes = Vec::new();
        self.fetch(path, MAX_SETTINGS, &mut |chunk| bytes.extend_from_slice(chunk)).await?;
        Ok(read_settings(&bytes))
    }

    async fn hash(
        &self,
        path: &FilePath,
        most: u64,
    ) -> Result<(Sha256Digest, keystead_core::integrity::Sha384Digest, u64), (Code, String)> {
        let (mut hashes, mut size) = (Hashes::default(), 0);
        let mut take = |chunk: &[u8]| {
            hashes.update(chunk);
            size += chunk.len() as u64;
        };
        self.fetch(path, most, &mut take).await?;
        let (sha256, sha384) = hashes.finish();
        Ok((sha256, sha384, size))
    }

    async fn fetch(&self, path: &FilePath, most: u64, take: &mut dyn FnMut(&[u8])) -> Result<(), (Code, String)> {
        let url = url_of(&self.base, path).ok_or((Code::IntMissing, "no URL".to_owned()))?;
        match self.http.stream(url, self.limit, most, take).await {
            Ok(Streamed { status: 200 }) => Ok(()),
            Ok(Streamed { status: status @ (404 | 410) }) => Err((Code::IntMissing, format!("status {status}"))),
            Ok(Streamed { status }) => Err((Code::IntUnreachable, format!("status {status}"))),
            Err(TransportError::Redirected) => Err((Code::IntRedirect, "a redirect to another host".into())),
            Err(TransportError::TooLarge) => Err((Code::IntTooLarge, format!("more than {most} bytes"))),
            Err(TransportError::Timeout) => {
                Err((Code::IntUnreachable, format!("not done within {} seconds", self.limit.as_secs())))
            }
            Err(TransportError::Unreachable | TransportError::NoToken) => {
                Err((Code::IntUnreachable, "no connection, or it broke".into()))
            }
        }
    }
}

type Difference = (Code, Option<String>, Option<String>);

/// Where a file is asked for: a folder's document as browsers do, by the folder.
fn url_of(base: &Url, path: &FilePath) -> Option<Url> {
    let path = if path.name() == "index.html" { path.folder() } else { path.as_str() };
    let mut url = base.clone();
    let mut segments = url.path_segments_mut().ok()?;
    segments.pop_if_empty();
    if path.is_empty() {
        segments.push("");
    } else {
        segments.extend(path.split('/'));
    }
    drop(segments);
    Some(url)
}

impl Problem {
    fn as_text(&self) -> String {
        let mut text = format!("{}: {}: {}\n", self.path.as_str(), self.code.as_str(), words(self.code).sentence);
        for (what, value) in [("expected", &self.expected), ("found", &self.found)] {
            if let Some(value) = value {
                text.push_str(&format!("  {what:<8} {value}\n"));
            }
        }
        text
    }

    fn as_json(&self) -> String {
        let words = words(self.code);
        let line = json!({
            "path": self.path, "code": self.code, "sentence": words.sentence, "what_to_do": words.next,
            "expected": self.expected, "found": self.found,
        });
        format!("{line}\n")
    }
}
