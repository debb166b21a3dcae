//! `keystead manifest sign` and `verify`: of a manifest, and of a revocation.

use std::path::PathBuf;

use clap::Args;
use keystead_core::{
    integrity::{EXPIRY_WARNING, ReleaseManifest, Revocation},
    signed::Kind,
};
use serde_json::json;

use super::add_site::describe;
use crate::{
    failure::{Ending, Failure},
    files,
    signing::{Belief, SigningKey, field_of},
};

fn is_revocation(document: &[u8]) -> Result<bool, Failure> {
    Ok(field_of(document, "kind")? == json!(Kind::Revocation))
}

/// Sign a manifest or a revocation: the signature is written beside it, with .asc appended.
#[derive(Debug, Args)]
pub struct ManifestSign {
    /// The manifest, or the revocation.
    #[arg(value_name = "MANIFEST")]
    document: PathBuf,
    #[command(flatten)]
    key: SigningKey,
}

impl ManifestSign {
    /// Does it; what to read goes to `out`.
    ///
    /// # Errors
    /// [`Failure`] where no reader would believe the document with this signature; nothing is written then.
    pub fn run(self, out: &mut String) -> Result<Ending, Failure> {
        let document = files::read(&self.document)?;
        if is_revocation(&document)? {
            self.key.sign::<Revocation>(&self.document, &document, out)?;
        } else {
            self.key.sign::<ReleaseManifest>(&self.document, &document, out)?;
        }
        Ok(Ending::Fine)
    }
}

/// Check a manifest or a revocation and the signature beside it, as the extension does.
#[derive(Debug, Args)]
pub struct ManifestVerify {
    /// The manifest, or the revocation; its signature is expected beside it, with .asc appended.
    #[arg(value_name = "MANIFEST")]
    document: PathBuf,
    #[command(flatten)]
    belief: Belief,
}

impl ManifestVerify {
    /// Does it; what to read goes to `out`.
    ///
    /// # Errors
    /// [`Failure`] where the document is not to be believed.
    pub fn run(self, out: &mut String) -> Result<Ending, Failure> {
        // What is no document at all is refused by its signature.
        if is_revocation(&files::read(&self.document)?).unwrap_or(false) {
            let read = self.belief.read::<Revocation>(&self.document, out)?;
            for release in read.body.revoked() {
                let (id, version) = (release.id.as_str(), release.version.as_str());
                out.push_str(&format!("  Element Web {version}, id {id}: {}\n", release.reason));
            }
            return Ok(Ending::Fine);
        }
        let read = self.belief.read::<ReleaseManifest>(&self.document, out)?;
        out.push_str(&describe(&read.body));
        if self.belief.at().plus(EXPIRY_WARNING) >= read.envelope.expires {
            out.push_str("  It ends within seven days: build, sign and publish the next one.\n");
        }
        Ok(Ending::Fine)
    }
}
