//! Which e-mail address a user ID names.
//!
//! Threat: a user ID that reads as one address to a person or a certifier and as another to a program. So one form is
//! taken and everything else names no address.

use crate::ident::EmailAddress;

/// The address that a user ID names: `ann@example.org`, `<ann@example.org>`, or anything without `@`, `<`, `>` and
/// control characters followed by `<ann@example.org>`, as `Ann Lee (work) <ann@example.org>`.
///
/// `None` where it names none or more than one (any second `@` counts, also one in a name or comment).
#[must_use]
pub fn user_id_address(user_id: &str) -> Option<EmailAddress> {
    let invisible = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if user_id.chars().any(invisible) || user_id.matches('@').count() != 1 {
        return None;
    }
    let text = user_id.trim();
    let address = match text.strip_suffix('>') {
        Some(inner) => inner.split_once('<')?.1,
        None => text,
    };
    EmailAddress::parse(address).ok()
}

/// Do both addresses name one mailbox, as directories see it?
///
/// WKD hashes the local part with ASCII letters in lower case (draft-koch-openpgp-webkey-service, section 3.1) and HKP
/// servers search without regard to case, so a directory cannot hold `Ann@…` and `ann@…` apart: the local part is
/// compared without regard to ASCII case, and otherwise character for character. Domains are compared in lower case,
/// an internationalised one in its ASCII form.
#[must_use]
pub fn same_mailbox(a: &EmailAddress, b: &EmailAddress) -> bool {
    a.local().eq_ignore_ascii_case(b.local()) && a.ascii_domain() == b.ascii_domain()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_is_read_and_no_other() {
        let address = |id| user_id_address(id).map(String::from);
        for id in [
            "ann@example.org",
            " ann@Example.org ",
            "<ann@example.org>",
            "Ann <ann@example.org>",
            "Ann (x) <ann@example.org>",
            "Ann<ann@example.org>",
        ] {
            assert_eq!(address(id).as_deref(), Some("ann@example.org"), "{id:?}");
        }
        for id in [
            "",
            "Ann",
            "Ann <>",
            "<<ann@example.org>>",
            "Ann <b> <ann@example.org>",
            "ann@example.org>",
            "Ann ann@example.org",
            "<ann@example.org> Ann",
            "a@b.c <ann@example.org>",
            "Ann <ann@example.org> (a@b.c)",
            "Ann\0 <ann@example.org>",
            "Ann <ann@example.org\u{200b}>",
            "Ann <ann@example..org>",
            "Ann <\"ann\"@example.org>",
            "Ann <ann @example.org>",
        ] {
            assert_eq!(address(id), None, "{id:?}");
        }
    }

    #[test]
    fn mailboxes_are_compared_as_directories_do() {
        let same = |a, b| same_mailbox(&EmailAddress::parse(a).unwrap(), &EmailAddress::parse(b).unwrap());
        assert!(same("Ann.Lee@Example.org", "ann.lee@eXample.ORG"));
        assert!(same("ann@münchen.de", "ann@xn--mnchen-3ya.de"));
        for other in [
            "annlee@example.org",
            "ann.lee@example.com",
            "ann.lee+x@example.org",
            "änn.lee@example.org",
            "ann.lee@xexample.org",
        ] {
            assert!(!same("ann.lee@example.org", other), "{other}");
        }
        // Only ASCII letters have a case here: a Kelvin sign is no k, and folding further would go beyond the directory.
        assert!(!same("K@example.org", "\u{212a}@example.org"));
        assert!(!same("Ä@example.org", "ä@example.org"));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_read_is_the_only_address_in_the_text(id in "[a-c@<>(). ,]{0,24}") {
            if let Some(address) = user_id_address(&id) {
                assert_eq!(id.matches('@').count(), 1);
                assert!(id.contains(address.as_str()));
            }
        }
    }
}
