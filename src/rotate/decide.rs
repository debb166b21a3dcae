//! Whether the recovery key is to be replaced, and why. Pure: what was found goes in, what is to be done comes out.

use serde::{Deserialize, Serialize};

use super::record::Announced;
use crate::{
    bootstrap::recipients::{Chosen, Now},
    ident::Fingerprint,
    openpgp::RecipientAccepted,
    status::{RecipientView, Role},
    time::UnixMillis,
};

/// Why a recovery key is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A recipient's certificate was put out of use by its owner.
    Retired,
    /// A recipient's certificate was revoked as compromised, or nobody says why.
    Compromised,
    /// The person has another certificate.
    Replaced,
    /// The organisation's escrow certificate is not in the policy any more.
    EscrowRemoved,
    /// There is one more recipient.
    Added,
}

impl Reason {
    /// Is the recovery key one that somebody may hold who should not?
    #[must_use]
    pub const fn is_compromise(self) -> bool {
        match self {
            Self::Compromised | Self::EscrowRemoved => true,
            Self::Retired | Self::Replaced | Self::Added => false,
        }
    }
}

/// What is to be done.
pub(super) struct Decision {
    /// Who is shown as a recipient to come.
    pub(super) announced: Vec<Announced>,
    /// Somebody is to leave or to come, and that waits for something.
    pub(super) waits: bool,
    /// None of the person's own certificates is to stay.
    pub(super) lacks_own: bool,
    /// Make another recovery key, for these.
    pub(super) rotate: Option<Rotate>,
}

/// A recovery key that is to be replaced.
pub(super) struct Rotate {
    /// Who may open the next one.
    pub(super) recipients: Chosen,
    /// Why.
    pub(super) reasons: Vec<Reason>,
    /// Who opens the one in force and is not to be trusted any more.
    pub(super) distrusted: Vec<RecipientView>,
}

/// What is known of the recovery key in force, and of who is to come.
pub(super) struct Known<'a> {
    /// Who may open it.
    pub(super) recipients: &'a [RecipientView],
    /// The person keeps it.
    pub(super) kept: bool,
    /// Who was shown before.
    pub(super) announced: &'a [Announced],
    /// Certificates that were seen revoked at any time.
    pub(super) revoked: &'a [Fingerprint],
}

/// Decides.
pub(super) fn decide(known: &Known<'_>, now: Now, at: UnixMillis) -> Decision {
    let fate: Vec<_> = known.recipients.iter().map(|view| (view, reason_to_leave(known, &now, view))).collect();
    let leaving = |view: &RecipientView| fate.iter().any(|(one, reason)| *one == view && reason.is_some());
    let is_recipient = |fingerprint: &Fingerprint| known.recipients.iter().any(|view| view.fingerprint == *fingerprint);
    // Where the key was restored, who opens it is the homeserver's word: that counts for those who leave, and no newcomer
    // comes by it.
    let was_shown = |view: &RecipientView| !view.user_id.is_empty();
    let known_here = |fingerprint: &Fingerprint| {
        known.recipients.iter().any(|view| view.fingerprint == *fingerprint && was_shown(view))
    };
    let kept = now.own.is_none() && known.kept;
    let own_known = matches!(now.own, Some(Ok(_)) | None);
    let named = now.escrow_named;
    let accepted: Vec<_> =
        now.own.and_then(Result::ok).map(|own| (Role::Own, own)).into_iter().chain(now.escrow).collect();

    let changes = fate.iter().any(|(_, reason)| reason.is_some())
        || accepted.iter().any(|(_, recipient)| !is_recipient(recipient.fingerprint()));
    let is_to_come = |fingerprint: &Fingerprint| changes && !known_here(fingerprint);
    let mut announced = Vec::new();
    for (role, recipient) in accepted.iter().filter(|(_, recipient)| is_to_come(recipient.fingerprint())) {
        let before = known.announced.iter().find(|one| one.recipient.fingerprint == *recipient.fingerprint());
        let new = || Announced::new(view(*role, recipient), at);
        announced.push(before.map_or_else(new, |before| before.go_on(at)));
    }
    // Who cannot be asked for just now is still to come.
    let still = |one: &&Announced| match one.recipient.role {
        Role::Own => !own_known,
        Role::Escrow => named.contains(&one.recipient.fingerprint),
    };
    let missing = |one: &&Announced| announced.iter().all(|new| new.recipient.fingerprint != one.recipient.fingerprint);
    let waiting: Vec<_> = known.announced.iter().filter(still).filter(missing).cloned().collect();
    announced.extend(waiting);

    let may_be_used = |recipient: &RecipientAccepted| {
        let shown = announced.iter().find(|one| one.recipient.fingerprint == *recipient.fingerprint());
        known_here(recipient.fingerprint()) || shown.is_some_and(|one| one.from() <= at)
    };
    let usable: Vec<_> = accepted.into_iter().filter(|(_, recipient)| may_be_used(recipient)).collect();
    let mut reasons: Vec<_> = fate.iter().filter_map(|(_, reason)| *reason).collect();
    if usable.iter().any(|(_, recipient)| !is_recipient(recipient.fingerprint())) && reasons.is_empty() {
        reasons.push(Reason::Added);
    }
    reasons.dedup();
    let distrusted = fate.iter().filter(|(_, reason)| reason.is_some_and(Reason::is_compromise));
    let distrusted: Vec<_> = distrusted.map(|(view, _)| (*view).clone()).collect();

    // Nobody loses the way in who has one and is to keep it.
    let stays_own = known.recipients.iter().any(|view| view.role == Role::Own);
    // A key that the person keeps gives way only to one that the person opens, or keeps as well.
    let enough = kept || if stays_own || known.kept { has_own(&usable) } else { !usable.is_empty() };
    let stays =
        |view: &RecipientView| leaving(view) || usable.iter().any(|(_, one)| *one.fingerprint() == view.fingerprint);
    let nobody_forgotten = known.recipients.iter().filter(|view| view.role == Role::Own).all(stays);
    let recipients = if kept { Chosen::Kept(usable) } else { Chosen::Sealed(usable) };
    let rotate = !reasons.is_empty() && enough && nobody_forgotten;
    let lacks_own = known.recipients.iter().filter(|view| view.role == Role::Own).all(leaving);
    let waits = !reasons.is_empty() && !rotate;
    Decision { announced, waits, lacks_own, rotate: rotate.then_some(Rotate { recipients, reasons, distrusted }) }
}

fn has_own(recipients: &[(Role, RecipientAccepted)]) -> bool {
    recipients.iter().any(|(role, _)| *role == Role::Own)
}

/// Why one who may open the recovery key in force is not to open the next one. Where the certificate has only expired, or
/// cannot be found just now, there is no reason: the same key opens what it opened.
fn reason_to_leave(known: &Known<'_>, now: &Now, view: &RecipientView) -> Option<Reason> {
    let fingerprint = &view.fingerprint;
    let certificate = now.certificates.iter().find(|certificate| certificate.fingerprint() == *fingerprint);
    if known.revoked.contains(fingerprint) || certificate.is_some_and(crate::openpgp::Certificate::is_revoked) {
        let softly = certificate.is_some_and(|one| one.is_revoked() && !one.may_be_compromised());
        return Some(if softly { Reason::Retired } else { Reason::Compromised });
    }
    match (view.role, &now.own) {
        (Role::Escrow, _) => (!now.escrow_named.contains(fingerprint)).then_some(Reason::EscrowRemoved),
        _ if now.escrow_named.contains(fingerprint) => None,
        (Role::Own, Some(Ok(own))) => (own.fingerprint() != fingerprint).then_some(Reason::Replaced),
        (Role::Own, Some(Err(_)) | None) => None,
    }
}

/// A recipient as the pages show it.
pub(super) fn view(role: Role, recipient: &RecipientAccepted) -> RecipientView {
    RecipientView { role, fingerprint: recipient.fingerprint().clone(), user_id: recipient.user_id().to_owned() }
}
