//! Which of the certificates that were found is meant, or the most telling reason why none is.

use super::Looked;
use crate::{
    error::{Code, Coded},
    openpgp::{AcceptanceRule, Certificate, RecipientAccepted, Rejection},
    time::UnixMillis,
};

/// The one certificate that the rule accepts.
///
/// # Errors
/// [`Code::DirAmbiguous`] where it accepts several, unless only the newest of these is still in the directory, with every
/// source asked: then it has replaced the others. Where it accepts none: why the nearest one was not accepted; where
/// nothing was found: what was wrong with the sources, [`Code::DirUnreachable`] where one could not be asked, else
/// [`Code::DirNone`].
pub fn choose(looked: &Looked, rule: &AcceptanceRule, at: UnixMillis) -> Result<RecipientAccepted, Code> {
    let (mut accepted, mut rejected) = (Vec::new(), Vec::new());
    for certificate in &looked.certificates {
        match rule.accept(certificate, at) {
            Ok(recipient) => accepted.push(recipient),
            Err(rejection) => rejected.push(rejection),
        }
    }
    if accepted.len() > 1 && looked.problems.is_empty() {
        // A source that withholds a newer one does not bring back an older one, whose key may be lost.
        let of = |one: &RecipientAccepted| {
            looked.certificates.iter().find(|known| known.fingerprint() == *one.fingerprint())
        };
        let newest = accepted.iter().filter_map(of).map(Certificate::made_at).max();
        let in_use = |one: &RecipientAccepted| looked.served.contains(one.fingerprint());
        let mut used = accepted.iter().filter(|one| in_use(one)).filter_map(of);
        if let (Some(one), None) = (used.next(), used.next())
            && Some(one.made_at()) == newest
        {
            accepted.retain(in_use);
        }
    }
    match (accepted.pop(), accepted.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(Code::DirAmbiguous),
        (None, _) => Err(why_none(&rejected, &looked.problems)),
    }
}

fn why_none(rejected: &[Rejection], problems: &[(String, Code)]) -> Code {
    if let Some(nearest) = rejected.iter().copied().max_by_key(nearness) {
        return nearest.code();
    }
    // What a source did wrong tells more than that it, or another, was down.
    let first = |wanted: &[Code]| problems.iter().map(|(_, code)| *code).find(|code| wanted.contains(code));
    first(&[Code::DirFingerprint, Code::DirNotAKey, Code::DirTooLarge, Code::DirRedirect])
        .or_else(|| first(&[Code::DirTimeout]))
        .unwrap_or(if problems.is_empty() { Code::DirNone } else { Code::DirUnreachable })
}

/// How much a rejected certificate is the wanted one: somebody else's says least.
fn nearness(rejection: &Rejection) -> u8 {
    match rejection {
        Rejection::Fingerprint => 0,
        Rejection::Address => 1,
        Rejection::Revoked => 2,
        Rejection::Weak => 3,
        Rejection::Expired => 4,
        Rejection::Encryption => 5,
        Rejection::Uncertified => 6,
        Rejection::CertificationOld => 7,
    }
}
