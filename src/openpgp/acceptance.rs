//! Who may open a sealed recovery: the one rule (guarantee G4), default-deny.
//!
//! Threat: a recovery key sealed to the wrong person. The rule's parts are checked in a fixed order, and the first that
//! fails is the reason given ([`Rejection`], in this order): a certificate with several defects always gets the same
//! answer.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use sequoia_openpgp::{
    Cert,
    cert::{
        Preferences, ValidCert,
        amalgamation::{ValidUserIDAmalgamation, key::ValidErasedKeyAmalgamation},
    },
    packet::{
        Key,
        key::{PublicParts, UnspecifiedRole},
    },
    policy::Policy,
    types::{Features, SignatureType},
};

use super::{
    Certificate,
    reduced::By,
    user_id::{same_mailbox, user_id_address},
    validity::{can_use, created, is_revoked, lenient_policy, policy_at, system_time, user_id_revoked},
};
use crate::{
    error::{Code, Coded},
    ident::{EmailAddress, Fingerprint},
    time::UnixMillis,
};

/// Which certificate may be encrypted to. A rule that names neither an address nor a fingerprint accepts nothing.
#[derive(Debug, Clone, Default)]
pub struct AcceptanceRule {
    /// A valid user ID must name this address.
    pub address: Option<EmailAddress>,
    /// It must be this certificate.
    pub fingerprint: Option<Fingerprint>,
    /// If not empty, one of these must vouch for the user ID.
    pub certifiers: Vec<Certificate>,
    /// How old a certifier's word may be.
    pub certification_max_age: Option<Duration>,
    /// Certificates that were seen revoked at any time: they count as revoked whatever copy is at hand, a certifier's too.
    pub revoked: Vec<Fingerprint>,
}

/// Why a certificate is not accepted, in the order in which it is found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Rejection {
    /// It is not the certificate that was looked up, or the rule names none.
    #[error("the certificate has another fingerprint")]
    Fingerprint,
    /// It is revoked, hard or soft, in any copy, at whatever time.
    #[error("the certificate is revoked")]
    Revoked,
    /// It would be valid but for algorithms that are no longer safe: its primary key or self-signatures, the user ID's,
    /// or those of every encryption key.
    #[error("the certificate rests on weak algorithms")]
    Weak,
    /// It is not alive at this time.
    #[error("the certificate has expired")]
    Expired,
    /// No valid (self-signed, unrevoked, unexpired) user ID names the address, or nothing in it is validly self-signed.
    #[error("the certificate has no valid user ID with the address")]
    Address,
    /// It has no key for encryption that is valid, alive, not revoked and of a kind that we can encrypt to. (Said second
    /// where its primary key is of a kind that we cannot verify with, since nothing else can be found out then: curves
    /// but those of NIST and 25519, RSA above 4096 bits, ElGamal.)
    #[error("the certificate has no key for encryption")]
    Encryption,
    /// No certifier vouches for the user ID, or not any more: revoked, expired, or the certifier itself is.
    #[error("the user ID is not certified")]
    Uncertified,
    /// A certifier vouches for the user ID, but since longer than the rule allows.
    #[error("the user ID was certified too long ago")]
    CertificationOld,
}

impl Coded for Rejection {
    fn code(&self) -> Code {
        match self {
            Self::Fingerprint => Code::DirFingerprint,
            Self::Revoked => Code::DirRevoked,
            Self::Weak => Code::DirWeak,
            Self::Expired => Code::DirExpired,
            Self::Address => Code::DirWrongAddress,
            Self::Encryption => Code::DirNoEncryption,
            Self::Uncertified => Code::DirUncertified,
            Self::CertificationOld => Code::DirCertificationOld,
        }
    }
}

/// A certificate that an [`AcceptanceRule`] accepted: the only thing that is ever encrypted to.
pub struct RecipientAccepted {
    fingerprint: Fingerprint,
    user_id: String,
    pub(super) features: Features,
    pub(super) keys: Vec<Key<PublicParts, UnspecifiedRole>>,
}

impl RecipientAccepted {
    /// The certificate's fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The user ID that was matched, as it is written in the certificate; without a wanted address the primary one, and
    /// empty where there is none.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.user_id
    }
}

impl fmt::Debug for RecipientAccepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<accepted recipient>")
    }
}

type ValidKey<'a> = ValidErasedKeyAmalgamation<'a, PublicParts>;
type UserIds<'a> = Vec<ValidUserIDAmalgamation<'a>>;

impl AcceptanceRule {
    /// Checks a certificate at a time (now, for everything but tests). All copies of it must have been merged before.
    ///
    /// # Errors
    /// The first [`Rejection`] in the order of its variants.
    pub fn accept(&self, certificate: &Certificate, at: UnixMillis) -> Result<RecipientAccepted, Rejection> {
        let (cert, time) = (certificate.cert(), system_time(at));
        let (strict, lenient) = (policy_at(at), lenient_policy());

        let fingerprint = certificate.fingerprint();
        let named = self.address.is_some() || self.fingerprint.is_some();
        if !named || self.fingerprint.as_ref().is_some_and(|wanted| *wanted != fingerprint) {
            return Err(Rejection::Fingerprint);
        }
        if self.revoked.contains(&fingerprint) {
            return Err(Rejection::Revoked);
        }
        let valid = standing(cert, &strict, at)?;

        // What only the lenient policy finds is weak; where it finds nothing either, it is not there.
        let weak_or = |found_leniently: bool, otherwise| if found_leniently { Rejection::Weak } else { otherwise };
        let leniently = || at_time(cert, &lenient, time);

        let user_ids = self.user_ids(&valid);
        if self.address.is_some() && user_ids.is_empty() {
            let found = leniently().is_some_and(|valid| !self.user_ids(&valid).is_empty());
            return Err(weak_or(found, Rejection::Address));
        }
        let keys = encryption_keys(&valid);
        if keys.is_empty() {
            let found = leniently().is_some_and(|valid| !encryption_keys(&valid).is_empty());
            return Err(weak_or(found, Rejection::Encryption));
        }
        let user_id = self.certified(&user_ids, at)?;
        Ok(RecipientAccepted {
            fingerprint,
            user_id,
            // Without a word from the owner: what every OpenPGP program can open.
            features: valid.features().unwrap_or_else(Features::empty),
            keys,
        })
    }

    /// The valid user IDs that name the wanted address, or all where none is wanted; the primary one first.
    fn user_ids<'a>(&self, valid: &ValidCert<'a>) -> UserIds<'a> {
        valid
            .userids()
            .filter(|id| !user_id_revoked(id.amalgamation(), created(id.binding_signature())))
            .filter(|id| self.names(id))
            .collect()
    }

    fn names(&self, id: &ValidUserIDAmalgamation<'_>) -> bool {
        let Some(wanted) = &self.address else { return true };
        let address = std::str::from_utf8(id.userid().value()).ok().and_then(user_id_address);
        address.is_some_and(|address| same_mailbox(&address, wanted))
    }

    /// The first of the user IDs that is certified as the rule wants it.
    fn certified(&self, user_ids: &UserIds<'_>, at: UnixMillis) -> Result<String, Rejection> {
        let text = |id: &ValidUserIDAmalgamation<'_>| String::from_utf8_lossy(id.userid().value()).into_owned();
        if self.certifiers.is_empty() {
            return Ok(user_ids.first().map(text).unwrap_or_default());
        }
        let mut best = Rejection::Uncertified;
        for id in user_ids {
            for certifier in &self.certifiers {
                let since = certified_since(id, certifier, at);
                match since.filter(|_| !self.revoked.contains(&certifier.fingerprint())) {
                    Some(since) if self.recent(since, at) => return Ok(text(id)),
                    Some(_) => best = Rejection::CertificationOld,
                    None => (),
                }
            }
        }
        Err(best)
    }

    fn recent(&self, since: SystemTime, at: UnixMillis) -> bool {
        let age = system_time(at).duration_since(since).unwrap_or(Duration::MAX);
        self.certification_max_age.is_none_or(|max| age <= max)
    }
}

fn at_time<'a>(cert: &'a Cert, policy: &'a dyn Policy, time: SystemTime) -> Option<ValidCert<'a>> {
    cert.with_policy(policy, time).ok()
}

/// Does the certificate as a whole hold at this time, whatever it is for?
pub(super) fn standing<'a>(cert: &'a Cert, strict: &'a dyn Policy, at: UnixMillis) -> Result<ValidCert<'a>, Rejection> {
    let time = system_time(at);
    if !can_use(cert.primary_key().key()) {
        return Err(Rejection::Encryption);
    }
    if is_revoked(cert) {
        return Err(Rejection::Revoked);
    }
    let valid = at_time(cert, strict, time).ok_or_else(|| match at_time(cert, &lenient_policy(), time) {
        Some(_) => Rejection::Weak,
        None => Rejection::Address,
    })?;
    valid.alive().map_err(|_| Rejection::Expired)?;
    Ok(valid)
}

/// The keys that the owner means for encryption and that are valid, alive and not revoked.
fn encryption_keys(valid: &ValidCert<'_>) -> Vec<Key<PublicParts, UnspecifiedRole>> {
    // The two purposes add up: a key for either will do (RFC 9580, section 5.2.3.29).
    let candidates = valid.keys().alive().for_transport_encryption().for_storage_encryption();
    let usable = |key: &ValidKey<'_>| key.self_revocations().next().is_none() && can_use(key.key());
    candidates.filter(usable).map(|key| key.key().clone()).collect()
}

/// When this certifier vouched for this user ID, if it did and still does.
fn certified_since(id: &ValidUserIDAmalgamation<'_>, certifier: &Certificate, at: UnixMillis) -> Option<SystemTime> {
    let (strict, time) = (policy_at(at), system_time(at));
    let valid = standing(certifier.cert(), &strict, at).ok()?;
    let primary = valid.primary_key();
    if !primary.for_certification() {
        return None;
    }
    let key: &Key<PublicParts, UnspecifiedRole> = primary.key().into();
    // The certifier's newest word is the one that counts: a persona certification says that nothing was checked.
    let newest = id
        .amalgamation()
        .active_certifications_by_key(&strict, time, key)
        .find(|s| s.typ() != SignatureType::PersonaCertification);
    let since = newest?.signature_creation_time()?;
    // Of whatever date: a clock that runs behind must not bring a word back that was taken back.
    let by = By { certifier: certifier.cert(), owner: id.cert().primary_key().key(), id: id.userid() };
    let mut revocations = id.amalgamation().other_revocations();
    let revoked = revocations.any(|revocation| created(revocation) >= since && by.revoked(revocation));
    (!revoked).then_some(since)
}
