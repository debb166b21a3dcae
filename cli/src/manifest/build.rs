//! `keystead manifest build`: a release of Element Web into a list of its files.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use clap::Args;
use keystead_core::{
    error::{Code, Coded as _},
    integrity::{ExtensionVersion, FileKind, FilePath, Listing, Release, ReleaseVersion},
    openpgp::verify_detached,
};

use super::{
    folder,
    listing::{self, Made},
    part::{Contents, Part},
    refused, release_file, tarball,
};
use crate::{
    dates::now,
    failure::{Ending, Failure},
    files,
};

/// The most bytes of an archive whose signature is checked: it is held in memory, so that what is read is what was signed.
const MAX_ARCHIVE: u64 = 512 << 20;

/// List the files of an Element Web release
///
/// Takes the folder that a web server would serve, or the release's archive as its makers publish it (.tar or .tar.gz);
/// nothing is unpacked. Give the makers' signature and certificate too: it is checked before anything is read. The result is
/// for no deployment yet: keystead manifest add-site makes a manifest of it. The same release gives the same bytes on every
/// machine, so two people can compare what they built.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct ManifestBuild {
    /// A folder, or an archive.
    #[arg(value_name = "DIR|TARBALL")]
    source: PathBuf,
    /// The makers' detached, armored OpenPGP signature of the archive.
    #[arg(long, value_name = "FILE", requires = "signer")]
    signature: Option<PathBuf>,
    /// A file with the makers' certificates; may be given several times.
    #[arg(long, value_name = "CERT", requires = "signature")]
    signer: Vec<PathBuf>,
    /// What the release calls itself (default: what its file `version` says).
    #[arg(long, value_parser = |text: &str| ReleaseVersion::parse(text), value_name = "VERSION")]
    release: Option<ReleaseVersion>,
    /// The first version of the extension that may run it.
    #[arg(long, value_parser = |text: &str| text.parse::<ExtensionVersion>(), default_value = "0.1.0", value_name = "VERSION")]
    minimum_extension: ExtensionVersion,
    /// Where to write it (default: standard output).
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl ManifestBuild {
    /// Does it; what to read goes to `out`.
    ///
    /// # Errors
    /// [`Failure`] where the signature is not to be believed, or the release is none.
    pub fn run(self, out: &mut String) -> Result<Ending, Failure> {
        let parts = self.parts()?;
        let version = match &self.release {
            Some(version) => version.clone(),
            None => version_of(&parts)?,
        };
        let Made { listing, notes } = listing::make(parts)?;
        is_element_web(&listing)?;
        let release = Release::new(version, self.minimum_extension, listing);
        let bytes = release_file::to_bytes(&release);
        let Some(path) = self.output else {
            out.push_str(&String::from_utf8_lossy(&bytes));
            return Ok(Ending::Fine);
        };
        files::write(&path, &bytes)?;
        out.push_str(&format!("{}: Element Web {}\n{}", path.display(), release.version().as_str(), summary(&release)));
        for note in notes {
            out.push_str(&format!("  note: {note}\n"));
        }
        out.push_str(&format!("Next: keystead manifest add-site {}\n", path.display()));
        Ok(Ending::Fine)
    }

    fn parts(&self) -> Result<Vec<Part>, Failure> {
        let cannot = |error| Failure::Usage(format!("cannot read {}: {error}", self.source.display()));
        let metadata = fs::metadata(&self.source).map_err(cannot)?;
        match &self.signature {
            Some(_) if metadata.is_dir() => {
                Err(Failure::Usage("--signature is of an archive; a folder has none".into()))
            }
            Some(signature) if metadata.len() <= MAX_ARCHIVE => {
                let mut archive = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
                File::open(&self.source)
                    .and_then(|file| file.take(MAX_ARCHIVE).read_to_end(&mut archive))
                    .map_err(cannot)?;
                self.verify(&archive, signature)?;
                tarball::read(&*archive)
            }
            Some(_) => Err(refused(Code::IntBomb, self.source.display().to_string())),
            None if metadata.is_dir() => folder::read(&self.source),
            None => tarball::read(File::open(&self.source).map_err(cannot)?),
        }
    }

    fn verify(&self, archive: &[u8], signature: &Path) -> Result<(), Failure> {
        let signers = files::certificates(&self.signer)?;
        let text = files::read_text(signature)?;
        verify_detached(archive, &text, &signers, now())
            .map(|_| ())
            .map_err(|error| refused(error.code(), self.source.display().to_string()))
    }
}

fn version_of(parts: &[Part]) -> Result<ReleaseVersion, Failure> {
    let contents = parts.iter().find(|part| part.path.as_str() == "version").map(|part| &part.contents);
    let text = match contents {
        Some(Contents::Kept(bytes)) => std::str::from_utf8(bytes).ok(),
        _ => None,
    };
    let text = text.ok_or_else(|| refused(Code::IntRelease, "it has no file `version`; give --release"))?;
    let version = ReleaseVersion::parse(text.trim().trim_start_matches('v'));
    version.map_err(|_| refused(Code::IntRelease, "its file `version` has none; give --release"))
}

fn is_element_web(listing: &Listing) -> Result<(), Failure> {
    let index = FilePath::parse("index.html").ok().and_then(|path| listing.document(&path));
    match index {
        Some(index) if !index.scripts.is_empty() => Ok(()),
        Some(_) => Err(refused(Code::IntRelease, "its index.html has no script")),
        None => Err(refused(Code::IntRelease, "it has no index.html")),
    }
}

/// How many files and bytes of each kind.
pub(super) fn summary(release: &Release) -> String {
    let mut text = format!("  id {}\n", release.id().as_str());
    for kind in FileKind::ALL {
        let of_kind = || release.listing().files().iter().filter(|file| file.kind == kind);
        let size: u64 = of_kind().map(|file| file.size).sum();
        if of_kind().count() > 0 {
            text.push_str(&format!("  {:>5} {:<14} {:>12} bytes\n", of_kind().count(), kind.as_str(), size));
        }
    }
    let all = release.listing().files();
    text.push_str(&format!(
        "  {:>5} {:<14} {:>12} bytes\n",
        all.len(),
        "in all",
        all.iter().map(|file| file.size).sum::<u64>()
    ));
    text
}
