//! The organisation's own certificates, and its word for who the person is.
//!
//! Threat: an escrow, certifier's or signer's key that was stolen and revoked, while browsers go on with the copy in the
//! policy. So each is asked for at the key servers before it is used; a server that does not answer changes nothing.

use url::Url;

use super::{End, Scene, known, stop};
use crate::{
    bootstrap::record::{AccountRecord, RecordError},
    directory::{self, DirectoryConfig},
    effect::Io,
    error::{Code, Coded},
    ident::{Origin, UserId},
    openpgp::{AcceptanceRule, Certificate, RecipientAccepted},
    policy::{ArmoredCertificate, Policy},
    signed::{self, Fetched, Person, Roster},
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
    Ok(refresh(scene.io, &scene.setup.origin, &config, record, certificates).await?)
}

async fn refresh(
    io: &Io,
    origin: &Origin,
    config: &DirectoryConfig,
    record: &mut AccountRecord,
    certificates: Vec<Certificate>,
) -> Result<Vec<Certificate>, RecordError> {
    let certificates = directory::refresh(io, config, certificates).await;
    known::note_revoked(io, origin, record, &certificates).await?;
    Ok(certificates)
}

/// Where the organisation's list of people lies, and who may sign it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterSource {
    url: Url,
    signers: Vec<ArmoredCertificate>,
    directory: DirectoryConfig,
}

impl RosterSource {
    /// As the policy has it for a deployment; `None` where it has none.
    #[must_use]
    pub fn of(policy: &Policy, origin: &Origin) -> Option<Self> {
        let url = policy.deployment(origin).and_then(|deployment| policy.roster_url(deployment))?;
        let signers = policy.roster.as_ref()?.signers.clone();
        Some(Self { url, signers, directory: policy.directory_config() })
    }

    /// Reads the roster, with signers that were never seen revoked.
    ///
    /// # Errors
    /// As [`signed::fetch`]; the code of a [`RecordError`].
    pub async fn read(&self, io: &Io, origin: &Origin, user: &UserId) -> Result<Fetched<Roster>, Code> {
        let code = |error: RecordError| error.code();
        let mut record = AccountRecord::load(io, origin, user).await.map_err(code)?;
        let signers = ArmoredCertificate::all(&self.signers);
        let mut signers = refresh(io, origin, &self.directory, &mut record, signers).await.map_err(code)?;
        signers.retain(|signer| !record.revoked.contains(&signer.fingerprint()));
        signed::fetch(io, &self.url, &signers, origin).await
    }
}

/// The account's entry in the roster, if the policy names a roster.
pub(crate) async fn roster_entry(scene: &Scene<'_>) -> Result<Option<Person>, End> {
    let setup = scene.setup;
    if setup.policy.roster.is_none() {
        return Ok(None);
    }
    let source = RosterSource::of(&setup.policy, &setup.origin).ok_or_else(|| stop(Code::PolValue))?;
    let fetched = source.read(scene.io, &setup.origin, &setup.user_id).await.map_err(stop)?;
    Ok(fetched.document.body.person(&setup.user_id).cloned())
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
