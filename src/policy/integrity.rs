//! What the policy says of page integrity, as those who check and enforce need it.

use url::Url;

use super::{ArmoredCertificate, Deployment, PassiveKind, Policy};
use crate::{integrity::OverrideAllowed, openpgp::Certificate};

impl Policy {
    /// Where the release manifest of a deployment lies (`integrity.url`).
    #[must_use]
    pub fn manifest_url(&self, deployment: &Deployment) -> Option<Url> {
        self.integrity.as_ref()?.url.as_ref()?.for_deployment(&deployment.origin)
    }

    /// Who may sign manifests and revocations (`integrity.signers`).
    #[must_use]
    pub fn manifest_signers(&self) -> Vec<Certificate> {
        self.integrity.as_ref().map(|integrity| ArmoredCertificate::all(&integrity.signers)).unwrap_or_default()
    }

    /// Kinds of files of which the bytes may differ (`integrity.passive`).
    #[must_use]
    pub fn passive_kinds(&self) -> &[PassiveKind] {
        self.integrity.as_ref().map_or(&[], |integrity| &integrity.passive)
    }

    /// The proof that a person may open what was refused (`integrity.override`).
    #[must_use]
    pub fn override_allowed(&self) -> Option<OverrideAllowed> {
        OverrideAllowed::of(self.integrity.as_ref()?.override_.unwrap_or_default())
    }

    /// Where IT is told of what happens (`evidence.url`).
    #[must_use]
    pub fn evidence_url(&self) -> Option<Url> {
        Url::parse(self.evidence.as_ref()?.url.as_str()).ok()
    }
}
