//! Which address belongs to the account, and who says so.
//!
//! Threat: a hostile homeserver names a colleague's address or a colleague's user ID, and the recovery key is sealed to
//! the wrong person (guarantee G4). The homeserver's word alone is never believed in silence, and after a single sign-on
//! the user ID itself is nothing but its word: a roster then says whose certificate is `@ann`'s, not that this is Ann.

use serde::{Deserialize, Serialize};

use crate::{
    ident::{EmailAddress, Fingerprint, UserId},
    openpgp::same_mailbox,
    policy::Policy,
};

/// What the person typed into the login form of this very login, as far as it says who they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Typed {
    /// Nothing, or a text that names nobody.
    #[default]
    Nothing,
    /// The account's user ID or localpart.
    Account,
    /// Somebody else's.
    Other,
    /// An e-mail address: it says something only where it is the one that is expected of the account.
    Address(EmailAddress),
}

impl Typed {
    /// Reads a name as people type it at login: a whole user ID, a localpart (with or without `@`; homeservers fold
    /// case), or an e-mail address, which is what a text is for Element that has its `@` not at the beginning.
    #[must_use]
    pub fn read(text: &str, user_id: &UserId) -> Self {
        let text = text.trim();
        let folded = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
        match text.find('@') {
            None if text.is_empty() => Self::Nothing,
            Some(at) if at > 0 => EmailAddress::parse(text).map_or(Self::Nothing, Self::Address),
            _ if folded(text, user_id.as_str()) => Self::Account,
            _ if folded(text.strip_prefix('@').unwrap_or(text), user_id.localpart()) => Self::Account,
            _ => Self::Other,
        }
    }

    /// Does it say that the person is the one to whom these addresses belong?
    fn means(&self, addresses: &[&EmailAddress]) -> bool {
        match self {
            Self::Account => true,
            Self::Address(typed) => addresses.iter().any(|address| same_mailbox(typed, address)),
            Self::Nothing | Self::Other => false,
        }
    }
}

/// An account and its address, and how far that can be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pair {
    /// Per-user policy says so, or the person's own login and then the roster or the template.
    Believed {
        /// The address.
        address: EmailAddress,
        /// The fingerprint that the roster names.
        fingerprint: Option<Fingerprint>,
    },
    /// That the person is this account, only the homeserver says: the person must confirm.
    Unconfirmed {
        /// The address.
        address: EmailAddress,
        /// The fingerprint that the roster names.
        fingerprint: Option<Fingerprint>,
    },
    /// Neither policy nor roster gives an address.
    Unknown,
    /// The session is not the account that policy or the typed name means.
    OtherAccount,
    /// Policy and roster give different addresses.
    Contradiction,
}

/// Decides on the pair; the first row that fits:
///
/// | policy's `account` | typed at this login | roster | then |
/// |---|---|---|---|
/// | this one | – | none, or the same address | believed, with the roster's fingerprint |
/// | this one | – | another address | contradiction |
/// | another | – | – | other account |
/// | – | another user ID or localpart | – | other account |
/// | – | this account, or its address | has it | believed |
/// | – | – | has it | unconfirmed |
/// | – | (a user of another server than the deployment's) | – | other account |
/// | – | this account, or its address | – | the template's address, believed |
/// | – | – | – | the template's address, unconfirmed; unknown without a template |
///
/// With `trust_server_user_id` what is unconfirmed here is believed. `roster` is the account's entry in the roster in
/// force.
#[must_use]
pub fn pair(
    policy: &Policy,
    server_name: Option<&str>,
    roster: Option<(&EmailAddress, &Fingerprint)>,
    user_id: &UserId,
    typed: &Typed,
) -> Pair {
    if let Some(account) = &policy.account {
        return match roster {
            _ if account.user_id != *user_id => Pair::OtherAccount,
            Some((address, _)) if !same_mailbox(address, &account.address) => Pair::Contradiction,
            roster => Pair::Believed { address: account.address.clone(), fingerprint: roster.map(|(_, f)| f.clone()) },
        };
    }
    if *typed == Typed::Other {
        return Pair::OtherAccount;
    }
    let ours = server_name.is_none_or(|name| name == user_id.server_name());
    // A user of another server has no address by this deployment's template.
    let by_template = policy.address_for(user_id.localpart()).filter(|_| ours);
    let (address, fingerprint) = match (roster, &by_template) {
        (Some((address, fingerprint)), _) => (address.clone(), Some(fingerprint.clone())),
        (None, _) if !ours => return Pair::OtherAccount,
        (None, None) => return Pair::Unknown,
        (None, Some(address)) => (address.clone(), None),
    };
    let expected: Vec<_> = by_template.iter().chain([&address]).collect();
    let trusts_server = policy.directory.as_ref().and_then(|d| d.trust_server_user_id).unwrap_or(false);
    if typed.means(&expected) || trusts_server {
        Pair::Believed { address, fingerprint }
    } else {
        Pair::Unconfirmed { address, fingerprint }
    }
}

impl Pair {
    /// Is a certificate for it taken without asking the person? Only where the pair is believed, and the roster or a
    /// certifier vouches for the certificate itself.
    #[must_use]
    pub fn is_silent(&self, policy: &Policy) -> bool {
        let certified = policy.directory.as_ref().is_some_and(|directory| !directory.certifiers.is_empty());
        match self {
            Self::Believed { fingerprint, .. } => fingerprint.is_some() || certified,
            Self::Unconfirmed { .. } | Self::Unknown | Self::OtherAccount | Self::Contradiction => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ROSTER: &str = "0123456789ABCDEF0123456789ABCDEF01234567";

    fn user(text: &str) -> UserId {
        UserId::parse(text).unwrap()
    }

    fn address(text: &str) -> EmailAddress {
        EmailAddress::parse(text).unwrap()
    }

    #[test]
    fn a_typed_name_means_the_account_or_another_or_nothing() {
        let ann = user("@ann:example.org");
        for yes in ["ann", "Ann", " @ann:example.org ", "@ann", "@Ann:Example.org"] {
            assert_eq!(Typed::read(yes, &ann), Typed::Account, "{yes}");
        }
        for no in ["anna", "@bob:example.org", "@ann:evil.example", "@bob", "example.org"] {
            assert_eq!(Typed::read(no, &ann), Typed::Other, "{no}");
        }
        for nothing in ["", "  ", "ann@", "ann@exa mple.org", "a b@example.org"] {
            assert_eq!(Typed::read(nothing, &ann), Typed::Nothing, "{nothing}");
        }
        let typed = Typed::read(" Ann.Lee@Example.org", &ann);
        assert_eq!(typed, Typed::Address(address("Ann.Lee@example.org")));
        let saved = serde_json::to_string(&typed).unwrap();
        assert_eq!(serde_json::from_str::<Typed>(&saved).unwrap(), typed);
    }

    fn policy(account: Option<&str>, template: bool, trust: bool) -> Policy {
        let mut document = json!({
            "deployments": [{
                "origin": "https://chat.example.org",
                "homeserver": "https://matrix.example.org",
                "server_name": "example.org",
            }],
            "directory": { "hkp": ["https://keys.example.org"], "trust_server_user_id": trust },
        });
        if template {
            document["directory"]["address_template"] = "{localpart}@example.org".into();
        }
        if let Some(user) = account {
            document["account"] = json!({ "user_id": user, "address": "ann.lee@example.org" });
        }
        Policy::parse(&document).unwrap()
    }

    /// Who logs in, what policy and roster say, and what then is to be believed.
    struct Row {
        account: Option<&'static str>,
        template: bool,
        trust: bool,
        roster: Option<&'static str>,
        user: &'static str,
        typed: &'static str,
        expect: &'static str,
    }

    const ANN: &str = "@ann:example.org";

    /// `account template trust roster user typed => expect`, `-` for nothing.
    fn row(text: &'static str) -> Row {
        let (given, expect) = text.split_once(" => ").unwrap();
        let words: Vec<_> = given.split_whitespace().collect();
        let [account, template, trust, roster, user, typed] = words[..] else { panic!("{text}") };
        let given = |word: &'static str| Some(word).filter(|word| *word != "-");
        Row {
            account: given(account),
            template: given(template).is_some(),
            trust: given(trust).is_some(),
            roster: given(roster),
            user,
            typed: given(typed).unwrap_or_default(),
            expect,
        }
    }

    fn decide(row: &Row) -> (Policy, Pair) {
        let policy = policy(row.account, row.template, row.trust);
        let (user, fingerprint) = (user(row.user), Fingerprint::parse(ROSTER).unwrap());
        let email = row.roster.map(address);
        let roster = email.as_ref().map(|email| (email, &fingerprint));
        let found = pair(&policy, Some("example.org"), roster, &user, &Typed::read(row.typed, &user));
        (policy, found)
    }

    fn word(pair: &Pair) -> String {
        let with = |word: &str, address: &EmailAddress, fingerprint: &Option<Fingerprint>| {
            let pinned = if fingerprint.is_some() { " pinned" } else { "" };
            format!("{word} {}{pinned}", address.as_str())
        };
        match pair {
            Pair::Believed { address, fingerprint } => with("believed", address, fingerprint),
            Pair::Unconfirmed { address, fingerprint } => with("unconfirmed", address, fingerprint),
            Pair::Unknown => "unknown".into(),
            Pair::OtherAccount => "other".into(),
            Pair::Contradiction => "contradiction".into(),
        }
    }

    #[test]
    fn the_table() {
        let wrong: Vec<_> = [
            // Per-user policy: believed however the person logged in, and whatever was typed.
            "@ann:example.org - - - @ann:example.org - => believed ann.lee@example.org",
            "@ann:example.org T - - @ann:example.org ann => believed ann.lee@example.org",
            "@ann:example.org - - - @ann:example.org bob => believed ann.lee@example.org",
            "@ann:example.org - - - @ann:example.org bob@example.org => believed ann.lee@example.org",
            "@ann:example.org - - Ann.Lee@example.org @ann:example.org - => believed ann.lee@example.org pinned",
            "@ann:example.org - - bob@example.org @ann:example.org ann => contradiction",
            "@ann:example.org T T bob@example.org @ann:example.org ann => contradiction",
            "@ann:example.org T T - @bob:example.org bob => other",
            "@ann:example.org - - bob@example.org @bob:example.org bob => other",
            // The roster says whose certificate it is, the typed name that the person is this account.
            "- - - ann@example.org @ann:example.org ann => believed ann@example.org pinned",
            "- T - ann.lee@example.org @ann:example.org @ann:example.org => believed ann.lee@example.org pinned",
            "- - - ann@example.org @ann:example.org - => unconfirmed ann@example.org pinned",
            "- T - ann@example.org @ann:example.org - => unconfirmed ann@example.org pinned",
            "- - T ann@example.org @ann:example.org - => believed ann@example.org pinned",
            "- - - ann@example.org @ann:example.org bob => other",
            "- - T ann@example.org @ann:example.org bob => other",
            "- - - ann@example.net @ann:example.net ann => believed ann@example.net pinned",
            // An e-mail address is somebody's own where it is the one that is expected, and nothing where it is not.
            "- - - ann.lee@example.org @ann:example.org Ann.Lee@Example.org => believed ann.lee@example.org pinned",
            "- T - ann.lee@example.org @ann:example.org ann@example.org => believed ann.lee@example.org pinned",
            "- T - ann.lee@example.org @ann:example.org bob@example.org => unconfirmed ann.lee@example.org pinned",
            "- T - - @ann:example.org ann@example.org => believed ann@example.org",
            "- T - - @ann:example.org bob@example.org => unconfirmed ann@example.org",
            "- - - - @ann:example.org ann@example.org => unknown",
            // The template.
            "- T - - @ann:example.org ann => believed ann@example.org",
            "- T - - @ann:example.org - => unconfirmed ann@example.org",
            "- T T - @ann:example.org - => believed ann@example.org",
            "- T T - @ann:example.org bob => other",
            "- T T - @ann:example.net ann => other",
            "- - - - @ann:example.org ann => unknown",
            "- - T - @ann:example.org - => unknown",
        ]
        .into_iter()
        .map(row)
        .map(|row| (word(&decide(&row).1), row))
        .filter(|(found, row)| found != row.expect)
        .map(|(found, row)| format!("{found} instead of {}: {} {}", row.expect, row.user, row.typed))
        .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn silence_needs_the_person_s_word_and_somebody_who_vouches_for_the_certificate() {
        let silent = |text| {
            let (policy, pair) = decide(&row(text));
            pair.is_silent(&policy)
        };
        assert!(silent("- - - ann@example.org @ann:example.org ann => -"));
        assert!(!silent("- - - ann@example.org @ann:example.org - => -"), "single sign-on");
        assert!(!silent("- T - - @ann:example.org ann => -"), "nobody vouches for the certificate");
        let mut document: Value = serde_json::to_value(policy(None, true, false)).unwrap();
        document["directory"]["certifiers"] = json!([include_str!("../../tests/vectors/openpgp/certifiers/good.asc")]);
        let certified = Policy::parse(&document).unwrap();
        let of = |typed: &str| pair(&certified, Some("example.org"), None, &user(ANN), &Typed::read(typed, &user(ANN)));
        assert!(of("ann").is_silent(&certified));
        assert!(!of("").is_silent(&certified), "single sign-on");
    }
}
