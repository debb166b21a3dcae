//! Which address belongs to the account, and who says so.
//!
//! Threat: a hostile homeserver names a colleague's address or a colleague's user ID, and the recovery key is sealed to
//! the wrong person (guarantee G4). The homeserver's word alone is never believed in silence.

use crate::{
    ident::{EmailAddress, Fingerprint, UserId},
    policy::Policy,
};

/// An account and its address, and how far that can be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pair {
    /// Per-user policy, the roster, or the name typed at login says so.
    Believed {
        /// The address.
        address: EmailAddress,
        /// The fingerprint that the roster names.
        fingerprint: Option<Fingerprint>,
    },
    /// Only the homeserver says so: the person must confirm.
    Unconfirmed(EmailAddress),
    /// Nobody knows an address.
    Unknown,
    /// The session is not the account that policy or the typed name means.
    OtherAccount,
}

/// Decides on the pair.
///
/// `typed` is the name the person typed at this login, if one was seen; `remembered` says that an earlier login of this
/// browser was already matched so; `roster` is the account's entry in the roster in force.
#[must_use]
pub fn pair(
    policy: &Policy,
    server_name: Option<&str>,
    roster: Option<(&EmailAddress, &Fingerprint)>,
    user_id: &UserId,
    typed: Option<&str>,
    remembered: bool,
) -> Pair {
    if typed.is_some_and(|name| !names(name, user_id)) {
        return Pair::OtherAccount;
    }
    if let Some(account) = &policy.account {
        if account.user_id != *user_id {
            return Pair::OtherAccount;
        }
        return Pair::Believed { address: account.address.clone(), fingerprint: None };
    }
    if let Some((address, fingerprint)) = roster {
        return Pair::Believed { address: address.clone(), fingerprint: Some(fingerprint.clone()) };
    }
    // A user of another server has no address by this deployment's template.
    if server_name.is_some_and(|name| name != user_id.server_name()) {
        return Pair::OtherAccount;
    }
    let trusts_server = policy.directory.as_ref().and_then(|d| d.trust_server_user_id).unwrap_or(false);
    match policy.address_for(user_id.localpart()) {
        None => Pair::Unknown,
        Some(address) if typed.is_some() || remembered || trusts_server => {
            Pair::Believed { address, fingerprint: None }
        }
        Some(address) => Pair::Unconfirmed(address),
    }
}

/// Does a name, as people type it at login, mean this account? Either the whole user ID, or its localpart (with or
/// without `@`); homeservers fold case.
pub(super) fn names(typed: &str, user_id: &UserId) -> bool {
    let typed = typed.trim();
    let folded = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
    folded(typed, user_id.as_str()) || folded(typed.strip_prefix('@').unwrap_or(typed), user_id.localpart())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_name_means_the_account_or_not() {
        let ann = UserId::parse("@ann:example.org").unwrap();
        for yes in ["ann", "Ann", " @ann:example.org ", "@ann", "@Ann:Example.org"] {
            assert!(names(yes, &ann), "{yes}");
        }
        for no in ["", "anna", "@bob:example.org", "@ann:evil.example", "ann@example.org"] {
            assert!(!names(no, &ann), "{no}");
        }
    }
}
