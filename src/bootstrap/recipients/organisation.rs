//! The organisation's own certificates, and its word for who the person is.
//!
//! Threat: an escrow, certifier's or signer's key that was stolen and revoked, while browsers go on with the copy in the
//! policy. So each is asked for at the key servers before it is used; a server that does not answer changes nothing.

use super::{End, Scene, known, stop};
use crate::{
    bootstrap::record::AccountRecord,
    directory,
    error::Code,
    openpgp::{AcceptanceRule, Certificate, RecipientAccepted},
    policy::ArmoredCertificate,
    signed::{self, Person, Roster},
    status::{Progress, Role},
};

/// The certificates that the policy names, as they are now.
pub(super) struct Organisation {
    /// All that the policy names for escrow.
    pub(super) escrow: Vec<Certificate>,
    pub(super) certifiers: Vec<Certificate>,
    /// Those of the roster that were never seen revoked.
    signers: Vec<Certificate>,
}

impl Organisation {
    /// Brings them up to date.
    pub(super) async fn read(scene: &Scene<'_>, record: &mut AccountRecord) -> Result<Self, End> {
        let policy = &scene.setup.policy;
        let mut escrow = ArmoredCertificate::all(policy.escrow_certificates());
        let certifiers = policy.directory.as_ref().map_or(&[][..], |directory| &directory.certifiers);
        let mut certifiers = ArmoredCertificate::all(certifiers);
        let (escrows, both) = (escrow.len(), escrow.len() + certifiers.len());
        escrow.append(&mut certifiers);
        escrow.extend(signers(scene));
        let mut all = up_to_date(scene, record, escrow).await?;
        let mut signers = all.split_off(both);
        signers.retain(|signer| !record.revoked.contains(&signer.fingerprint()));
        let certifiers = all.split_off(escrows);
        Ok(Self { escrow: all, certifiers, signers })
    }

    /// The organisation's own recipients: the policy names the certificates themselves, so they need no address and no
    /// certifier.
    pub(super) fn escrow(
        &self,
        scene: &Scene<'_>,
        record: &AccountRecord,
    ) -> Result<Vec<(Role, RecipientAccepted)>, End> {
        let accept = |certificate| accept(scene, record, certificate).ok_or_else(|| stop(Code::DirEscrow));
        self.escrow.iter().map(accept).collect()
    }

    /// Those of its own recipients that may be used now.
    pub(super) fn escrow_in_use(&self, scene: &Scene<'_>, record: &AccountRecord) -> Vec<(Role, RecipientAccepted)> {
        self.escrow.iter().filter_map(|certificate| accept(scene, record, certificate)).collect()
    }

    /// The account's entry in the roster, if the policy names a roster.
    pub(super) async fn person(&self, scene: &Scene<'_>, progress: &mut Progress) -> Result<Option<Person>, End> {
        person(scene, &self.signers, progress).await
    }
}

fn accept(scene: &Scene<'_>, record: &AccountRecord, certificate: &Certificate) -> Option<(Role, RecipientAccepted)> {
    let fingerprint = Some(certificate.fingerprint());
    let rule = AcceptanceRule { fingerprint, revoked: record.revoked.clone(), ..AcceptanceRule::default() };
    Some((Role::Escrow, rule.accept(certificate, scene.io.now()).ok()?))
}

fn signers(scene: &Scene<'_>) -> Vec<Certificate> {
    scene.setup.policy.roster.as_ref().map(|roster| ArmoredCertificate::all(&roster.signers)).unwrap_or_default()
}

async fn up_to_date(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    certificates: Vec<Certificate>,
) -> Result<Vec<Certificate>, End> {
    let config = scene.setup.policy.directory_config();
    let certificates = directory::refresh(scene.io, &config, certificates).await;
    known::note_revoked(scene, record, &certificates).await?;
    Ok(certificates)
}

/// The account's entry in the roster, if the policy names a roster.
pub(crate) async fn roster_entry(scene: &Scene<'_>) -> Result<Option<Person>, End> {
    if scene.setup.policy.roster.is_none() {
        return Ok(None);
    }
    let mut record = AccountRecord::load(scene.io, &scene.setup.origin, &scene.setup.user_id).await?;
    let mut signers = up_to_date(scene, &mut record, signers(scene)).await?;
    signers.retain(|signer| !record.revoked.contains(&signer.fingerprint()));
    person(scene, &signers, &mut Progress::default()).await
}

async fn person(scene: &Scene<'_>, signers: &[Certificate], progress: &mut Progress) -> Result<Option<Person>, End> {
    let policy = &scene.setup.policy;
    if policy.roster.is_none() {
        return Ok(None);
    }
    let url = policy.deployment(&scene.setup.origin).and_then(|deployment| policy.roster_url(deployment));
    let url = url.ok_or_else(|| stop(Code::PolValue))?;
    let fetched = signed::fetch::<Roster>(scene.io, &url, signers, &scene.setup.origin).await.map_err(stop)?;
    progress.problem = fetched.problem.map(|code| (code, scene.io.now()));
    Ok(fetched.document.body.person(&scene.setup.user_id).cloned())
}
