//! Names of things, each parsed once where it enters.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text is not the identifier it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {0}")]
pub struct NotAnIdentifier(
    /// What it should have been.
    pub &'static str,
);

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $what:literal, $parse:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            #[doc = concat!("Reads a ", $what, ".\n\n# Errors\n[`NotAnIdentifier`] where the text is none.")]
            pub fn parse(text: &str) -> Result<Self, NotAnIdentifier> {
                let parse: fn(&str) -> Option<String> = $parse;
                parse(text).map(Self).ok_or(NotAnIdentifier($what))
            }

            /// The text of it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAnIdentifier;
            fn try_from(text: String) -> Result<Self, NotAnIdentifier> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        // What identifies a person or a key does not slip into a log by way of `{:?}`.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!("<", $what, ">"))
            }
        }
    };
}

identifier!(
    /// A Matrix user ID, `@localpart:server` (Matrix, appendices, "User Identifiers"); at most 255 bytes.
    UserId, "Matrix user ID", |text| {
        let (localpart, server) = text.strip_prefix('@')?.split_once(':')?;
        let printable = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_graphic());
        (text.len() <= 255 && printable(localpart) && printable(server)).then(|| text.to_owned())
    }
);

identifier!(
    /// A Matrix room ID, `!…` (Matrix, appendices, "Room IDs"); at most 255 bytes.
    RoomId, "Matrix room ID", |text| {
        let printable = text.len() > 1 && text.chars().all(|c| c.is_ascii_graphic());
        (text.len() <= 255 && text.starts_with('!') && printable).then(|| text.to_owned())
    }
);

impl UserId {
    /// The part between `@` and the first `:`.
    #[must_use]
    pub fn localpart(&self) -> &str {
        self.0[1..].split_once(':').map_or("", |(localpart, _)| localpart)
    }

    /// The server's name, with its port if it has one.
    #[must_use]
    pub fn server_name(&self) -> &str {
        self.0[1..].split_once(':').map_or("", |(_, server)| server)
    }
}

identifier!(
    /// A Matrix device ID: opaque, 1 to 255 printable characters.
    DeviceId, "device ID", |text| {
        ((1..=255).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic())).then(|| text.to_owned())
    }
);

identifier!(
    /// The id of a secret storage key (Matrix, "Secret storage"): opaque, 1 to 255 of `A-Za-z0-9._~-` and `+/=`.
    KeyId, "key id", |text| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._~-+/=".contains(c);
        ((1..=255).contains(&text.len()) && text.chars().all(allowed)).then(|| text.to_owned())
    }
);

identifier!(
    /// An e-mail address as directories know it: `local@domain`, ASCII or UTF-8 local part, the domain in lower case.
    EmailAddress, "e-mail address", |text| {
        let (local, domain) = text.rsplit_once('@')?;
        let label = |l: &str| !l.is_empty() && l.chars().all(|c| c.is_alphanumeric() || c == '-');
        let local_ok = !local.is_empty() && local.len() <= 64
            && local.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"@<>\"(),:;[]\\".contains(c));
        (text.len() <= 254 && local_ok && domain.split('.').all(label))
            .then(|| format!("{local}@{}", domain.to_lowercase()))
    }
);

impl EmailAddress {
    /// What stands before the last `@`.
    #[must_use]
    pub fn local(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// What stands after the last `@`, in lower case.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// The domain in its ASCII form (RFC 5891, section 4.4), as it is looked up: labels that are not ASCII in Punycode.
    ///
    /// What other ways of writing a label come to the same (IDNA's mappings) is not known here: two such labels are two
    /// domains.
    #[must_use]
    pub fn ascii_domain(&self) -> String {
        let label = |label: &str| match idna::punycode::encode_str(label).filter(|_| !label.is_ascii()) {
            Some(code) => format!("xn--{code}"),
            None => label.to_owned(),
        };
        self.domain().split('.').map(label).collect::<Vec<_>>().join(".")
    }
}

identifier!(
    /// An OpenPGP fingerprint: 40 (version 4) or 64 (version 6) upper-case hex digits. Short key ids are no fingerprints.
    Fingerprint, "OpenPGP fingerprint", |text| {
        let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let digits = digits.strip_prefix("0x").or(digits.strip_prefix("0X")).unwrap_or(&digits);
        (matches!(digits.len(), 40 | 64) && digits.chars().all(|c| c.is_ascii_hexdigit()))
            .then(|| digits.to_ascii_uppercase())
    }
);

identifier!(
    /// A web origin, `scheme://host[:port]` as browsers write it; `https`, or `http` on a loopback host.
    Origin, "web origin", |text| {
        let url = url::Url::parse(text).ok()?;
        let loopback = matches!(url.host_str()?, "localhost" | "127.0.0.1" | "[::1]");
        let scheme_ok = url.scheme() == "https" || (url.scheme() == "http" && loopback);
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none()
            && url.username().is_empty() && url.password().is_none();
        (scheme_ok && bare).then(|| url.origin().ascii_serialization())
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_take_what_they_should_and_nothing_else() {
        assert_eq!(UserId::parse("@a:b.c:8448").unwrap().server_name(), "b.c:8448");
        for bad in ["", "a:b", "@a", "@:b", "@a:", "@a b:c", "@a:b\n"] {
            assert!(UserId::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(EmailAddress::parse("Ann@Example.ORG").unwrap().as_str(), "Ann@example.org");
        for bad in ["", "a", "@b", "a@", "a@b..c", "a b@c", "a@b@", "<a@b.c>"] {
            assert!(EmailAddress::parse(bad).is_err(), "{bad:?}");
        }
        let spaced = "0123 4567 89ab cdef 0123  4567 89AB CDEF 0123 4567";
        assert_eq!(Fingerprint::parse(spaced).unwrap().as_str(), "0123456789ABCDEF0123456789ABCDEF01234567");
        assert!(Fingerprint::parse("0123456789ABCDEF").is_err(), "a long key id is no fingerprint");
        assert_eq!(Origin::parse("https://chat.example.org/").unwrap().as_str(), "https://chat.example.org");
        for bad in ["http://chat.example.org", "https://a/b", "https://u@a", "ftp://a", "null"] {
            assert!(Origin::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn identifiers_do_not_print() {
        assert_eq!(format!("{:?}", UserId::parse("@ann:example.org").unwrap()), "<Matrix user ID>");
    }
}
