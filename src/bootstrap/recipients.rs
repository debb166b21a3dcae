//! Step 2: find who may open the sealed recovery.
//!
//! Threat: a key server, a homeserver, or both, that want the recovery key sealed to somebody else. A certificate passes
//! only by the [acceptance rule](crate::openpgp::AcceptanceRule); the address only by the [rule of pairs](super::pair);
//! and where neither a certifier nor the roster vouches for the certificate, only a person's confirmation makes it one.

use super::{
    End, RETRY, Scene,
    pair::{Pair, Typed, pair},
    record::AccountRecord,
};
use crate::{
    directory,
    error::Code,
    ident::EmailAddress,
    matrix::homeserver::Stop,
    openpgp::{AcceptanceRule, Certificate, RecipientAccepted},
    policy::{ArmoredCertificate, OnMissing},
    signed::{self, Person, Roster},
    status::{Question, RecipientView, Role},
};

/// Who may open the sealed recovery.
pub enum Chosen {
    /// These certificates.
    Sealed(Vec<(Role, RecipientAccepted)>),
    /// Nobody's: the person keeps the recovery key. The organisation's escrow certificates, if any, open a sealed
    /// recovery all the same.
    Kept(Vec<(Role, RecipientAccepted)>),
}

impl Chosen {
    /// The certificates.
    #[must_use]
    pub fn recipients(&self) -> &[(Role, RecipientAccepted)] {
        match self {
            Self::Sealed(recipients) | Self::Kept(recipients) => recipients,
        }
    }

    /// As the pages show them.
    #[must_use]
    pub fn views(&self) -> Vec<RecipientView> {
        let view = |(role, accepted): &(Role, RecipientAccepted)| RecipientView {
            role: *role,
            fingerprint: accepted.fingerprint().clone(),
            user_id: accepted.user_id().to_owned(),
        };
        self.recipients().iter().map(view).collect()
    }
}

/// Finds the recipients.
pub(super) async fn choose(scene: &Scene<'_>, record: &mut AccountRecord) -> Result<Chosen, End> {
    let policy = &scene.setup.policy;
    let escrow = escrow(scene)?;
    let sources = policy.directory_config();
    if sources.hkp.is_empty() && !sources.wkd {
        return Ok(Chosen::Kept(escrow));
    }
    match own(scene, record).await {
        Ok(own) => Ok(Chosen::Sealed(std::iter::once((Role::Own, own)).chain(escrow).collect())),
        Err(End::Stop(Stop { code, .. })) if missing(code) => match policy.on_missing() {
            OnMissing::Escrow if !escrow.is_empty() => Ok(Chosen::Sealed(escrow)),
            OnMissing::Show => Ok(Chosen::Kept(escrow)),
            OnMissing::Wait | OnMissing::Escrow => Err(stop(code)),
        },
        Err(other) => Err(other),
    }
}

/// Does the directory simply have nothing for the person, as opposed to having something that is not to be trusted?
const fn missing(code: Code) -> bool {
    matches!(code, Code::DirNone | Code::DirNoAddress | Code::DirExpired | Code::DirNoEncryption)
}

fn stop(code: Code) -> End {
    End::Stop(Stop { code, not_before: None })
}

fn escrow(scene: &Scene<'_>) -> Result<Vec<(Role, RecipientAccepted)>, End> {
    let mut accepted = Vec::new();
    for certificate in &ArmoredCertificate::all(scene.setup.policy.escrow_certificates()) {
        // The policy names the certificate itself: no address, no certifier.
        let rule = AcceptanceRule { fingerprint: Some(certificate.fingerprint()), ..AcceptanceRule::default() };
        accepted.push((Role::Escrow, rule.accept(certificate, scene.io.now())?));
    }
    Ok(accepted)
}

/// The account's entry in the roster, if the policy names a roster.
pub(crate) async fn roster_entry(scene: &Scene<'_>) -> Result<Option<Person>, End> {
    let policy = &scene.setup.policy;
    let Some(roster) = &policy.roster else { return Ok(None) };
    let url = policy.deployment(&scene.setup.origin).and_then(|deployment| policy.roster_url(deployment));
    let url = url.ok_or_else(|| stop(Code::PolValue))?;
    let signers = ArmoredCertificate::all(&roster.signers);
    let read = signed::fetch::<Roster>(scene.io, &url, &signers, &scene.setup.origin).await.map_err(stop)?;
    Ok(read.body.person(&scene.setup.user_id).cloned())
}

async fn own(scene: &Scene<'_>, record: &mut AccountRecord) -> Result<RecipientAccepted, End> {
    let setup = scene.setup;
    let policy = &setup.policy;
    let entry = roster_entry(scene).await?;
    // What was typed and answered at this very login: the next one may be somebody else's.
    let login = record.devices.get(&setup.device_id).cloned();
    let pair = pair(
        policy,
        setup.server_name.as_deref(),
        entry.as_ref().map(|person| (&person.email, &person.fingerprint)),
        &setup.user_id,
        login.as_ref().map_or(&Typed::Nothing, |device| &device.typed),
    );
    let silent = pair.is_silent(policy);
    let (address, fingerprint) = match pair {
        Pair::OtherAccount => return Err(End::Leave(crate::status::State::Failed, Some(Code::DirOtherAccount))),
        Pair::Contradiction => return Err(stop(Code::DirContradiction)),
        Pair::Unknown => return Err(stop(Code::DirNoAddress)),
        Pair::Unconfirmed { address, fingerprint } | Pair::Believed { address, fingerprint } => (address, fingerprint),
    };
    let rule = policy.acceptance_rule(&address, fingerprint.as_ref());
    let accepted = look_up(scene, record, &address, &rule).await?;
    let certificate = accepted.fingerprint();
    if silent || login.as_ref().is_some_and(|device| device.confirmed.contains(certificate)) {
        return Ok(accepted);
    }
    if login.is_some_and(|device| device.refused.contains(certificate)) {
        return Err(stop(Code::DirConfirm));
    }
    let question = Question::Confirm {
        account: setup.user_id.clone(),
        address,
        user_id: accepted.user_id().to_owned(),
        fingerprint: certificate.clone(),
    };
    Err(End::Ask(Code::DirConfirm, question))
}

async fn look_up(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    address: &EmailAddress,
    rule: &AcceptanceRule,
) -> Result<RecipientAccepted, End> {
    let config = scene.setup.policy.directory_config();
    let known = record.certificates.iter().filter_map(|text| Certificate::parse_all(text.as_bytes()).ok()).flatten();
    let looked = directory::lookup(scene.io, &config, address, known.collect()).await;
    let seen: Vec<String> = looked.certificates.iter().map(Certificate::to_armored).collect();
    let chosen = directory::choose(&looked, rule, scene.io.now());
    if seen != record.certificates {
        record.change(scene.io, &scene.setup.origin, |record| record.certificates.clone_from(&seen)).await?;
    }
    match chosen {
        Ok(accepted) => Ok(accepted),
        // A source that is away may be back soon; what a directory has changes more slowly.
        Err(code @ (Code::DirUnreachable | Code::DirTimeout)) => {
            Err(End::Stop(Stop { code, not_before: Some(scene.io.now().plus(RETRY)) }))
        }
        Err(code) => Err(stop(code)),
    }
}

#[cfg(test)]
mod tests;
