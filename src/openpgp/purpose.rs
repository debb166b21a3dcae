//! What the certificates of a policy are for, and whether they are any good for it.

use super::{
    AcceptanceRule, Certificate, Rejection,
    acceptance::standing,
    validity::{can_use, lenient_policy, policy_at, system_time},
};
use crate::{
    error::{Code, Coded},
    time::UnixMillis,
};

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Sealed recoveries are encrypted to it.
    Encryption,
    /// It certifies the user IDs of others.
    Certification,
    /// It signs documents.
    Signing,
}

/// Why a certificate is no good for its purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It does not hold, or cannot be encrypted to.
    #[error("{0}")]
    Rejected(Rejection),
    /// Nothing in it is validly self-signed: not yet, or not at all.
    #[error("nothing in the certificate is validly self-signed at this time")]
    Invalid,
    /// Its primary key may not certify others.
    #[error("the certificate has no key for certification")]
    Certification,
    /// It has no key that may sign, is alive and not revoked.
    #[error("the certificate has no key for signing")]
    Signing,
}

impl Coded for Unfit {
    fn code(&self) -> Code {
        match self {
            Self::Rejected(rejection) => rejection.code(),
            Self::Invalid => Code::DirWrongAddress,
            Self::Certification => Code::DirUncertified,
            Self::Signing => Code::SgnSigner,
        }
    }
}

impl Certificate {
    /// Is it good for this at a time, by the rules that the acceptance of recipients and the verification of signatures
    /// follow?
    ///
    /// # Errors
    /// [`Unfit`]
    pub fn check(&self, purpose: Purpose, at: UnixMillis) -> Result<(), Unfit> {
        let strict = policy_at(at);
        let unfit =
            |rejection| if rejection == Rejection::Address { Unfit::Invalid } else { Unfit::Rejected(rejection) };
        let valid = standing(self.cert(), &strict, at).map_err(unfit)?;
        match purpose {
            Purpose::Encryption => {
                let rule = AcceptanceRule { fingerprint: Some(self.fingerprint()), ..AcceptanceRule::default() };
                rule.accept(self, at).map(|_| ()).map_err(unfit)
            }
            Purpose::Certification if valid.primary_key().for_certification() => Ok(()),
            Purpose::Certification => Err(Unfit::Certification),
            Purpose::Signing => {
                let mut keys = valid.keys().alive().for_signing();
                let fit = keys.any(|key| key.self_revocations().next().is_none() && can_use(key.key()));
                if fit { Ok(()) } else { Err(Unfit::Signing) }
            }
        }
    }

    /// When it expires, as far as can be said at a time; `None` where it never does.
    #[must_use]
    pub fn expires(&self, at: UnixMillis) -> Option<UnixMillis> {
        let policy = lenient_policy();
        let valid = self.cert().with_policy(&policy, system_time(at)).ok()?;
        let end = valid.primary_key().key_expiration_time()?;
        let since = end.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
        Some(UnixMillis(since.as_secs() * 1000))
    }
}
