//! `keystead manifest add-site`: releases and the deployment's own part into a manifest.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use keystead_core::{
    error::Code,
    ident::Origin,
    integrity::{BasePath, ConfigFile, FilePath, ReleaseManifest, Site},
    signed::{Written, parse_json},
    time::UnixMillis,
};
use serde_json::{Map, Value};

use super::{
    folder,
    listing::{self, Made},
    part::{Contents, Part},
    refused, release_file,
};
use crate::{
    dates::{now, parse_date, show_date},
    failure::{Ending, Failure},
    files,
    signing::origin,
};

/// Make a manifest of releases and your own settings and files
///
/// Give every release that may run: while an upgrade is rolled out, both the old and the new one. The folder --site holds
/// what you put beside the release, as it is served: config.json, config.HOST.json, a welcome page, pictures. What is served
/// as config.json must then have exactly these values. A file with the path of a release's file takes its place.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct ManifestAddSite {
    /// What keystead manifest build wrote; several where several releases may run.
    #[arg(required = true, value_name = "RELEASE")]
    releases: Vec<PathBuf>,
    /// The folder with your own files, config.json among them.
    #[arg(long, value_name = "DIR")]
    site: PathBuf,
    /// The origin of Element Web, such as https://chat.example.org.
    #[arg(long, value_parser = origin, value_name = "URL")]
    deployment: Origin,
    /// The folder of the origin that Element Web is served from.
    #[arg(long, value_parser = |text: &str| BasePath::parse(text), default_value = "/", value_name = "PATH")]
    base: BasePath,
    /// Greater than in every manifest published before.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    serial: u64,
    /// After how many days it no longer holds.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3650), value_name = "DAYS")]
    expires: u64,
    /// Since when it holds (default: now).
    #[arg(long, value_parser = parse_date, value_name = "DATE")]
    issued: Option<UnixMillis>,
    /// Where to write it.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

impl ManifestAddSite {
    /// Does it; what to read goes to `out`.
    ///
    /// # Errors
    /// [`Failure`] where a release or a setting is not to be read, or they do not go together.
    pub fn run(self, out: &mut String) -> Result<Ending, Failure> {
        let releases = self.releases.iter().map(|path| release_file::read(path)).collect::<Result<Vec<_>, _>>()?;
        let (config, parts) = settings(folder::read(&self.site)?)?;
        if config.is_empty() {
            return Err(refused(Code::IntConfig, format!("{} has no config.json", self.site.display())));
        }
        let Made { listing, notes } = listing::make(parts)?;
        let wrong = |field: String| refused(Code::SgnFormat, field);
        let site = Site::new(self.base, config, listing).map_err(wrong)?;
        let manifest = ReleaseManifest::new(site, releases).map_err(wrong)?;
        check_modules(&manifest)?;
        let issued = self.issued.unwrap_or_else(now);
        let expires = issued.plus(Duration::from_secs(self.expires * 86_400));
        let written = Written::make(self.deployment, self.serial, issued, expires, &manifest)?;
        files::write(&self.output, &written.bytes)?;
        let output = self.output.display();
        out.push_str(&format!("{output}: serial {}, holds until {}\n", self.serial, show_date(expires)));
        out.push_str(&describe(&manifest));
        for note in notes {
            out.push_str(&format!("  note: {note}\n"));
        }
        out.push_str(&format!("Next: keystead manifest sign {output}\n"));
        Ok(Ending::Fine)
    }
}

/// Takes the files of settings out of the others.
fn settings(parts: Vec<Part>) -> Result<(Vec<ConfigFile>, Vec<Part>), Failure> {
    let (mut config, mut others) = (Vec::new(), Vec::new());
    for part in parts {
        match &part.contents {
            Contents::Kept(bytes) if ConfigFile::is_named(&part.path) => {
                let values = read_settings(bytes)
                    .map_err(|why| refused(Code::IntConfig, format!("{}: {why}", part.path.as_str())))?;
                config.push(ConfigFile { path: part.path, values });
            }
            _ => others.push(part),
        }
    }
    Ok((config, others))
}

/// Reads settings; no key may stand twice.
pub(super) fn read_settings(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    match parse_json(bytes) {
        Ok(Value::Object(values)) => Ok(values),
        Ok(_) => Err("not a JSON object".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// What `modules` names is code: it must be in the manifest.
fn check_modules(manifest: &ReleaseManifest) -> Result<(), Failure> {
    let site = manifest.site();
    for file in site.config() {
        let modules = match file.values.get("modules") {
            None => continue,
            Some(Value::Array(modules)) => modules,
            Some(_) => return Err(refused(Code::IntConfig, format!("{}: modules is no list", file.path.as_str()))),
        };
        for module in modules {
            let name = module.as_str().unwrap_or_default();
            let path = name.strip_prefix(site.base().as_str()).or(name.strip_prefix("./")).unwrap_or(name);
            let is_listed = FilePath::parse(path).is_ok_and(|path| {
                let mut all = manifest.releases().iter().map(keystead_core::integrity::Release::listing);
                site.listing().file(&path).is_some() || all.all(|listing| listing.file(&path).is_some())
            });
            if !is_listed {
                let what = format!("{}: the module {module} is in no --site folder and no release", file.path.as_str());
                return Err(refused(Code::IntConfig, what));
            }
        }
    }
    Ok(())
}

/// What a manifest allows, for people.
pub(super) fn describe(manifest: &ReleaseManifest) -> String {
    let mut text = String::new();
    for release in manifest.releases() {
        let files = release.listing().files().len();
        text.push_str(&format!(
            "  Element Web {}: {files} files, id {}\n",
            release.version().as_str(),
            release.id().as_str()
        ));
    }
    let site = manifest.site();
    text.push_str(&format!(
        "  served from {}, with {} files of your own\n",
        site.base().as_str(),
        site.listing().files().len()
    ));
    for file in site.config() {
        text.push_str(&format!("  {}:\n", file.path.as_str()));
        for (name, value) in &file.values {
            urls(name, value, &mut |name, url| text.push_str(&format!("    {name}: {url}\n")));
        }
        if let Some(Value::Array(modules)) = file.values.get("modules") {
            modules.iter().for_each(|module| text.push_str(&format!("    module {module}\n")));
        }
    }
    text
}

/// Every URL in a value, and where it stands.
fn urls(name: &str, value: &Value, take: &mut impl FnMut(&str, &str)) {
    match value {
        Value::String(text) if text.contains("://") => take(name, text),
        Value::Array(items) => items.iter().for_each(|item| urls(name, item, take)),
        Value::Object(fields) => fields.iter().for_each(|(field, value)| urls(&format!("{name}.{field}"), value, take)),
        _ => {}
    }
}
