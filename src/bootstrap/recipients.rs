//! Step 2: find who may open the sealed recovery.
//!
//! Threat: a key server, a homeserver, or both, that want the recovery key sealed to somebody else. A certificate passes
//! only by the [acceptance rule](crate::openpgp::AcceptanceRule); the address only by the [rule of pairs](super::pair);
//! and where neither a certifier nor the roster vouches for the certificate, only a person's confirmation makes it one.

mod known;
mod organisation;

use super::{
    End, RETRY, Scene,
    pair::{Pair, Typed, pair},
    record::{AccountRecord, DeviceSeen},
};
use crate::{
    directory::{self, Wanted},
    error::Code,
    ident::{EmailAddress, Fingerprint},
    matrix::{homeserver::Stop, session},
    openpgp::{AcceptanceRule, Certificate, RecipientAccepted},
    policy::OnMissing,
    status::{Progress, Question, RecipientView, Role, State},
};

use organisation::Organisation;
pub use organisation::RosterSource;
pub(crate) use organisation::roster_entry;

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

/// How many of the addresses that the homeserver knows of an account are looked at.
const MAX_ADDRESSES: usize = 4;

/// Finds the recipients. What was wrong on the way and did no harm is noted in `progress`.
pub(super) async fn choose(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    progress: &mut Progress,
) -> Result<Chosen, End> {
    let policy = &scene.setup.policy;
    let organisation = Organisation::read(scene, record).await?;
    // An account that was in our care, and whose identity the person replaced, is not left without a sealed recovery for a
    // certificate that is lost: a rotation goes on without it as well.
    let escrow = match record.master_key {
        None => organisation.escrow(scene, record)?,
        Some(_) => organisation.escrow_in_use(scene, record),
    };
    let sources = policy.directory_config();
    if sources.hkp.is_empty() && !sources.wkd {
        return Ok(Chosen::Kept(escrow));
    }
    match own(scene, record, &organisation, progress, &[]).await {
        Ok(own) => Ok(Chosen::Sealed(std::iter::once((Role::Own, own)).chain(escrow).collect())),
        Err(End::Stop(Stop { code, .. })) if missing(code) => match policy.on_missing() {
            OnMissing::Escrow if !escrow.is_empty() => Ok(Chosen::Sealed(escrow)),
            OnMissing::Show => Ok(Chosen::Kept(escrow)),
            OnMissing::Wait | OnMissing::Escrow => Err(stop(code)),
        },
        Err(other) => Err(other),
    }
}

/// Who may open a sealed recovery now, where an account has one.
pub(crate) struct Now {
    /// The account's owner's certificate, or why there is none; `None` where no directory is asked for one.
    pub(crate) own: Option<Result<RecipientAccepted, End>>,
    /// The organisation's that may be used now.
    pub(crate) escrow: Vec<(Role, RecipientAccepted)>,
    /// All that the policy names for the organisation.
    pub(crate) escrow_named: Vec<Fingerprint>,
    /// What is known of the certificates, whoever's they are.
    pub(crate) certificates: Vec<Certificate>,
}

/// Looks again who may open the sealed recovery. `already` are those that the person, the policy or the rule accepted on
/// this browser before: nobody is asked about them again.
pub(crate) async fn now(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    progress: &mut Progress,
    already: &[Fingerprint],
) -> Result<Now, End> {
    let organisation = Organisation::read(scene, record).await?;
    let sources = scene.setup.policy.directory_config();
    let own = match sources.hkp.is_empty() && !sources.wkd {
        true => None,
        false => Some(own(scene, record, &organisation, progress, already).await),
    };
    let escrow = organisation.escrow_in_use(scene, record);
    let mut certificates = organisation.escrow;
    let escrow_named = certificates.iter().map(Certificate::fingerprint).collect();
    certificates.extend(known::read(record)?);
    Ok(Now { own, escrow, escrow_named, certificates })
}

/// Does the directory simply have nothing for the person, as opposed to having something that is not to be trusted?
const fn missing(code: Code) -> bool {
    matches!(code, Code::DirNone | Code::DirNoAddress | Code::DirExpired | Code::DirNoEncryption)
}

fn stop(code: Code) -> End {
    End::Stop(Stop { code, not_before: None })
}

/// The certificate of the account's owner, where nobody has to be asked whose it is; `None` also where it cannot be found now.
pub(crate) async fn own_certificate(scene: &Scene<'_>, record: &mut AccountRecord) -> Result<Option<Certificate>, End> {
    let organisation = Organisation::read(scene, record).await?;
    match own(scene, record, &organisation, &mut Progress::default(), &[]).await {
        Ok(accepted) => {
            Ok(known::read(record)?.into_iter().find(|known| known.fingerprint() == *accepted.fingerprint()))
        }
        Err(_) => Ok(None),
    }
}

/// The certificate of the account's owner.
async fn own(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    organisation: &Organisation,
    progress: &mut Progress,
    already: &[Fingerprint],
) -> Result<RecipientAccepted, End> {
    let setup = scene.setup;
    let entry = organisation.person(scene, progress).await?;
    // What was typed and answered at this very login: the next one may be somebody else's.
    let login = record.devices.get(&setup.device_id).cloned();
    let typed = login.as_ref().map_or(&Typed::Nothing, |device| &device.typed);
    let roster = entry.as_ref().map(|person| (&person.email, &person.fingerprint));
    let pair = pair(&setup.policy, setup.server_name.as_deref(), roster, &setup.user_id, typed);
    let silent = pair.is_silent(&setup.policy);
    let (addresses, fingerprint) = match pair {
        Pair::OtherAccount => return Err(End::Leave(State::Failed, Some(Code::DirOtherAccount))),
        Pair::Contradiction => return Err(stop(Code::DirContradiction)),
        Pair::Unknown => (third_party_addresses(scene, typed).await?, None),
        Pair::Unconfirmed { address, fingerprint } | Pair::Believed { address, fingerprint } => {
            (vec![address], fingerprint)
        }
    };
    let meant = Meant { addresses: &addresses, fingerprint: fingerprint.as_ref(), login: login.as_ref() };
    let mut why_not = None;
    for address in &addresses {
        let accepted = match meant.look_up(scene, record, organisation, address).await {
            Ok(accepted) => accepted,
            Err(End::Stop(reason)) => {
                why_not.get_or_insert(reason);
                continue;
            }
            Err(other) => return Err(other),
        };
        let certificate = accepted.fingerprint();
        if silent || meant.confirmed().contains(certificate) || already.contains(certificate) {
            return Ok(accepted);
        }
        if login.as_ref().is_some_and(|device| device.refused.contains(certificate)) {
            why_not.get_or_insert(Stop { code: Code::DirConfirm, not_before: None });
            continue;
        }
        let question = Question::Confirm {
            account: setup.user_id.clone(),
            address: address.clone(),
            user_id: accepted.user_id().to_owned(),
            fingerprint: certificate.clone(),
        };
        return Err(End::Ask(Code::DirConfirm, Box::new(question)));
    }
    Err(End::Stop(why_not.unwrap_or(Stop { code: Code::DirNoAddress, not_before: None })))
}

/// The e-mail addresses that the homeserver knows of the account, the one that was typed at login first. They are its word
/// only, whatever was typed and whoever is trusted about user IDs: the person confirms each.
async fn third_party_addresses(scene: &Scene<'_>, typed: &Typed) -> Result<Vec<EmailAddress>, End> {
    let response = scene.homeserver.send(session::third_party_ids()).await?;
    // A homeserver whose accounts are managed elsewhere has no such list.
    let mut addresses = session::read_email_addresses(&response).unwrap_or_default();
    addresses.sort_by_key(|address| *typed != Typed::Address(address.clone()));
    addresses.dedup();
    addresses.truncate(MAX_ADDRESSES);
    Ok(addresses)
}

/// Whose certificate is looked for.
struct Meant<'a> {
    /// The addresses that may be the account's.
    addresses: &'a [EmailAddress],
    /// The roster's word for which certificate it is.
    fingerprint: Option<&'a Fingerprint>,
    /// This login, and what was said at it.
    login: Option<&'a DeviceSeen>,
}

impl Meant<'_> {
    fn confirmed(&self) -> &[Fingerprint] {
        self.login.map_or(&[], |device| &device.confirmed)
    }

    /// The one certificate of an address that the rule accepts.
    async fn look_up(
        &self,
        scene: &Scene<'_>,
        record: &mut AccountRecord,
        organisation: &Organisation,
        address: &EmailAddress,
    ) -> Result<RecipientAccepted, End> {
        let policy = &scene.setup.policy;
        let fingerprints: Vec<_> = self.fingerprint.into_iter().chain(self.confirmed()).cloned().collect();
        let wanted = Wanted { address, fingerprints: &fingerprints, certifiers: &organisation.certifiers };
        // What is known of another of the addresses does not say why there is none for this one.
        let matters = |c: &Certificate| c.carries(address) || fingerprints.contains(&c.fingerprint());
        let (known, others): (Vec<_>, Vec<_>) = known::read(record)?.into_iter().partition(matters);
        let looked = directory::lookup(scene.io, &policy.directory_config(), &wanted, known).await;
        let seen: Vec<_> = looked.certificates.iter().chain(&others).collect();
        known::note(scene, record, &seen, self.addresses, &fingerprints).await?;
        let rule = AcceptanceRule {
            certifiers: organisation.certifiers.clone(),
            revoked: record.revoked.clone(),
            ..policy.acceptance_rule(address, self.fingerprint)
        };
        // Where several will do, the one that the person said is theirs is meant.
        let said = |certificate: &Fingerprint| {
            let rule = AcceptanceRule { fingerprint: Some(certificate.clone()), ..rule.clone() };
            directory::choose(&looked, &rule, scene.io.now()).ok()
        };
        let said = self.confirmed().iter().filter(|_| self.fingerprint.is_none()).find_map(said);
        match said.map_or_else(|| directory::choose(&looked, &rule, scene.io.now()), Ok) {
            Ok(accepted) => Ok(accepted),
            // A source that is away may be back soon; what a directory has changes more slowly.
            Err(code @ (Code::DirUnreachable | Code::DirTimeout)) => {
                Err(End::Stop(Stop { code, not_before: Some(scene.io.now().plus(RETRY)) }))
            }
            Err(code) => Err(stop(code)),
        }
    }
}

#[cfg(test)]
mod tests;
