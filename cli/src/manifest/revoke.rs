//! `keystead manifest revoke`: releases that must no longer run, whatever manifest allows them.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use keystead_core::{
    error::Code,
    integrity::{ReleaseVersion, Revocation, RevokedRelease},
    signed::{Written, parse_json},
    time::UnixMillis,
};

use super::{open::read_manifest, refused};
use crate::{
    dates::{now, parse_date, show_date},
    failure::{Ending, Failure},
    files,
};

/// Take releases back: no browser runs them any more, whatever manifest allows them
///
/// What was once revoked stays so in every browser that has seen it. The revocation lies beside the manifest, with .revoked
/// appended to its name, and is signed as it is.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct ManifestRevoke {
    /// The manifest that allows them.
    manifest: PathBuf,
    /// What the release calls itself; may be given several times.
    #[arg(long, required = true, value_parser = |text: &str| ReleaseVersion::parse(text), value_name = "VERSION")]
    release: Vec<ReleaseVersion>,
    /// Why, for people.
    #[arg(long, default_value = "", value_name = "TEXT")]
    reason: String,
    /// The last revocation: what it names is named again.
    #[arg(long, value_name = "FILE")]
    previous: Option<PathBuf>,
    /// Greater than in every revocation published before.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    serial: u64,
    /// After how many days it no longer has to be believed by who has not seen it yet.
    #[arg(long, default_value_t = 3650, value_parser = clap::value_parser!(u64).range(1..=3650), value_name = "DAYS")]
    expires: u64,
    /// Since when it holds (default: now).
    #[arg(long, value_parser = parse_date, value_name = "DATE")]
    issued: Option<UnixMillis>,
    /// Where to write it (default: MANIFEST.revoked).
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl ManifestRevoke {
    /// Does it; what to read goes to `out`.
    ///
    /// # Errors
    /// [`Failure`] where the manifest has no such release.
    pub fn run(self, out: &mut String) -> Result<Ending, Failure> {
        let (deployment, manifest) = read_manifest(&self.manifest)?;
        let issued = self.issued.unwrap_or_else(now);
        let mut revoked = match &self.previous {
            Some(path) => previous(path)?,
            None => Vec::new(),
        };
        for version in &self.release {
            let mut found = manifest.releases().iter().filter(|release| release.version() == version).peekable();
            if found.peek().is_none() {
                let what = format!("{} has no release {}", self.manifest.display(), version.as_str());
                return Err(Failure::Usage(what));
            }
            for release in
                found.filter(|release| revoked.iter().all(|known| &known.id != release.id())).collect::<Vec<_>>()
            {
                let (id, version, reason) = (release.id().clone(), version.clone(), self.reason.clone());
                revoked.push(RevokedRelease { id, version, since: issued, reason });
            }
        }
        let revocation = Revocation::new(revoked).map_err(|field| refused(Code::SgnFormat, field))?;
        let expires = issued.plus(Duration::from_secs(self.expires * 86_400));
        let written = Written::make(deployment, self.serial, issued, expires, &revocation)?;
        let output = self.output.unwrap_or_else(|| {
            let mut name = self.manifest.into_os_string();
            name.push(".revoked");
            name.into()
        });
        files::write(&output, &written.bytes)?;
        let (count, output) = (revocation.revoked().len(), output.display());
        let releases = if count == 1 { "1 release".to_owned() } else { format!("{count} releases") };
        out.push_str(&format!("{output}: {releases}, serial {}, holds until {}\n", self.serial, show_date(expires)));
        out.push_str(&format!("Next: keystead manifest sign {output}\n"));
        Ok(Ending::Fine)
    }
}

fn previous(path: &std::path::Path) -> Result<Vec<RevokedRelease>, Failure> {
    let wrong = |why: String| refused(Code::SgnFormat, format!("{}: {why}", path.display()));
    let mut document = parse_json(&files::read(path)?).map_err(|error| wrong(error.to_string()))?;
    let list = document.get_mut("revoked").map(serde_json::Value::take);
    serde_json::from_value(list.unwrap_or_default()).map_err(|_| wrong("revoked".into()))
}
