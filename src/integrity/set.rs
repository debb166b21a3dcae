//! The releases that may run now: what everything is enforced from.

use std::{collections::BTreeSet, time::Duration};

use super::{ExtensionVersion, Release, ReleaseId, ReleaseManifest, Site};
use crate::{
    error::Code,
    ident::{Fingerprint, Origin},
    signed::SignedDocument,
    time::UnixMillis,
};

/// How long before its end a manifest is warned of.
pub const EXPIRY_WARNING: Duration = Duration::from_secs(7 * 86_400);

/// Proof that a release manifest is signed by one whom the policy names, for this deployment, and in force. Only
/// [`ManifestSet::accept`] makes one, of a document that the one reader of signed documents let pass.
#[derive(Debug)]
pub struct ReleaseSignatureValid {
    signer: Fingerprint,
    serial: u64,
    expires: UnixMillis,
}

impl ReleaseSignatureValid {
    /// Whose signature it was.
    #[must_use]
    pub fn signer(&self) -> &Fingerprint {
        &self.signer
    }

    /// The serial number of the manifest.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Until when it holds.
    #[must_use]
    pub fn expires(&self) -> UnixMillis {
        self.expires
    }
}

/// The releases that a manifest allows, without those that are revoked or need a newer extension.
#[derive(Debug)]
pub struct ManifestSet {
    deployment: Origin,
    manifest: ReleaseManifest,
    /// For each release of the manifest, why it must not run.
    refused: Vec<Option<Code>>,
    valid: ReleaseSignatureValid,
}

impl ManifestSet {
    /// Takes a manifest that passed every check of a signed document.
    #[must_use]
    pub fn accept(
        document: SignedDocument<ReleaseManifest>,
        revoked: &BTreeSet<ReleaseId>,
        extension: ExtensionVersion,
    ) -> Self {
        let refusal = |release: &Release| {
            if revoked.contains(release.id()) {
                Some(Code::IntRevoked)
            } else if release.minimum_extension() > extension {
                Some(Code::IntExtension)
            } else {
                None
            }
        };
        let refused = document.body.releases().iter().map(refusal).collect();
        let valid = ReleaseSignatureValid {
            signer: document.signature().signer().clone(),
            serial: document.envelope.serial,
            expires: document.envelope.expires,
        };
        Self { deployment: document.envelope.deployment, manifest: document.body, refused, valid }
    }

    /// The deployment that it is for.
    #[must_use]
    pub fn deployment(&self) -> &Origin {
        &self.deployment
    }

    /// The deployment's own part.
    #[must_use]
    pub fn site(&self) -> &Site {
        self.manifest.site()
    }

    /// The releases that may run.
    pub fn releases(&self) -> impl Iterator<Item = &Release> {
        self.all().filter(|(_, refused)| refused.is_none()).map(|(release, _)| release)
    }

    /// The releases that must not run although the manifest lists them, and why: [`Code::IntRevoked`] or
    /// [`Code::IntExtension`].
    pub fn refused(&self) -> impl Iterator<Item = (&Release, Code)> {
        self.all().filter_map(|(release, refused)| refused.map(|code| (release, code)))
    }

    fn all(&self) -> impl Iterator<Item = (&Release, Option<Code>)> {
        self.manifest.releases().iter().zip(self.refused.iter().copied())
    }

    /// The proof that it is signed.
    #[must_use]
    pub fn signature(&self) -> &ReleaseSignatureValid {
        &self.valid
    }

    /// Does it hold still? It was in force when it was accepted; time goes on.
    #[must_use]
    pub fn holds_at(&self, now: UnixMillis) -> bool {
        now < self.valid.expires
    }

    /// What a person, and IT, should be told about it now: [`Code::IntExpiring`] from [`EXPIRY_WARNING`] before its end,
    /// [`Code::SgnExpired`] from then on.
    #[must_use]
    pub fn warning(&self, now: UnixMillis) -> Option<Code> {
        if !self.holds_at(now) {
            Some(Code::SgnExpired)
        } else if now.plus(EXPIRY_WARNING) >= self.valid.expires {
            Some(Code::IntExpiring)
        } else {
            None
        }
    }
}
