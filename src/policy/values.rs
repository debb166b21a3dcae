//! The texts of a policy, each parsed once.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    ident::{EmailAddress, NotAnIdentifier, Origin},
    openpgp::Certificate,
};

macro_rules! value {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// What a text must be to be taken.
            pub(super) const EXPECTED: &'static str = $expected;

            #[doc = concat!("Reads ", $expected, ".\n\n# Errors\n[`NotAnIdentifier`] where the text is something else.")]
            pub fn parse(text: &str) -> Result<Self, NotAnIdentifier> {
                let accepts: fn(&str) -> bool = $accepts;
                if accepts(text) { Ok(Self(text.to_owned())) } else { Err(NotAnIdentifier(stringify!($name))) }
            }

            /// The text as it stands in the policy.
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
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

/// An `https` URL, or `http` on a loopback host; no credentials, no fragment.
fn safe_url(text: &str) -> Option<Url> {
    let url = bare_url(text)?;
    (url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url))).then_some(url)
}

fn bare_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (bare && url.has_host()).then_some(url)
}

fn is_loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

value!(
    /// A base URL that requests are made under.
    BaseUrl, "a URL such as https://matrix.example.org (https, or http on a loopback host)",
    |text| safe_url(text).is_some_and(|url| url.query().is_none())
);

impl BaseUrl {
    /// The URL of a path under this one.
    ///
    /// # Errors
    /// [`NotAnIdentifier`] where base and path make no URL of the same origin.
    pub fn join(&self, path: &str) -> Result<Url, NotAnIdentifier> {
        let none = NotAnIdentifier("path");
        let base = Url::parse(&self.0).map_err(|_| none)?;
        let joined = format!("{}/{}", self.0.trim_end_matches('/'), path.trim_start_matches('/'));
        Url::parse(&joined).ok().filter(|url| url.origin() == base.origin()).ok_or(none)
    }

    /// The URL itself.
    #[must_use]
    pub fn url(&self) -> Option<Url> {
        Url::parse(&self.0).ok()
    }

    /// Does another text name the same base? Slashes at the end, and a port that goes without saying, make no difference.
    #[must_use]
    pub fn is(&self, other: &str) -> bool {
        let base = |text: &str| {
            let url = bare_url(text).filter(|url| url.query().is_none())?;
            Some((url.origin(), url.path().trim_end_matches('/').to_owned()))
        };
        base(&self.0).is_some() && base(&self.0) == base(other)
    }
}

value!(
    /// A Matrix server name (Matrix, appendices, "Server Name"): a host, and a port if it has one.
    ServerName, "a Matrix server name such as example.org",
    |text| {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        let host_ok = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c)),
        };
        let port_ok = port.is_none_or(|p| (1..=5).contains(&p.len()) && p.chars().all(|c| c.is_ascii_digit()));
        text.len() <= 230 && host_ok && port_ok
    }
);

const HOST: &str = "{host}";

value!(
    /// Where a signed document lies; `{host}` stands for the host of the deployment's origin, with its port if it has one.
    DocumentUrl,
    "a URL such as https://it.example.org/{host}/roster.json (https, or http on a loopback host)",
    // In the place of the host itself it would let each deployment's web host serve its own document.
    |text| {
        let filled = |with: &str| safe_url(&text.replace(HOST, with)).filter(|url| url.query().is_none());
        filled("a.b").is_some() && filled("a.b").map(|url| url.origin()) == filled("c.d:1").map(|url| url.origin())
    }
);

impl DocumentUrl {
    /// Is there one document for each deployment?
    #[must_use]
    pub fn names_the_deployment(&self) -> bool {
        self.0.contains(HOST)
    }

    /// The URL of one deployment's document.
    #[must_use]
    pub fn for_deployment(&self, origin: &Origin) -> Option<Url> {
        let host = origin.as_str().split_once("://")?.1;
        safe_url(&self.0.replace(HOST, host))
    }
}

value!(
    /// An HKP key server: `https`, `hkps`, `http` or `hkp`.
    KeyServerUrl, "the URL of a key server such as https://keys.example.org or hkp://keys.example.org:11371",
    |text| key_server(text).is_some()
);

fn key_server(text: &str) -> Option<Url> {
    let text = match text.split_once("://")? {
        ("hkps", rest) => format!("https://{rest}"),
        ("hkp", rest) => format!("http://{rest}"),
        _ => text.to_owned(),
    };
    bare_url(&text).filter(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none())
}

impl KeyServerUrl {
    /// The server's URL as the network knows it; `hkp` without a port means port 11371.
    #[must_use]
    pub fn url(&self) -> Option<Url> {
        let mut url = key_server(&self.0)?;
        if self.0.starts_with("hkp://") {
            // Read under its own scheme: as http a port 80 that was written would look like none.
            let port = Url::parse(&self.0).ok()?.port();
            url.set_port(port.or(Some(11371))).ok()?;
        }
        Some(url)
    }

    /// Could anyone on the way change what it answers?
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.url().is_none_or(|url| url.scheme() == "http" && !is_loopback(&url))
    }
}

const LOCALPART: &str = "{localpart}";

value!(
    /// How a Matrix localpart becomes an e-mail address.
    AddressTemplate, "an address with {localpart} before the @, such as {localpart}@example.org",
    |text| {
        let filled = |with: &str| EmailAddress::parse(&text.replace(LOCALPART, with)).ok();
        text.matches(LOCALPART).count() == 1
            && filled("x").is_some_and(|address| !address.as_str().contains(['{', '}']))
            && filled("x").map(|a| a.domain().to_owned()) == filled("y").map(|a| a.domain().to_owned())
    }
);

impl AddressTemplate {
    /// The address for a localpart; `None` where that makes no address.
    #[must_use]
    pub fn address_for(&self, localpart: &str) -> Option<EmailAddress> {
        EmailAddress::parse(&self.0.replace(LOCALPART, localpart)).ok()
    }
}

value!(
    /// One or more armored OpenPGP certificates. A secret key is none, though it holds one: it has no place in a policy.
    /// Whether there are certificates in it is looked at where a policy is first read.
    ArmoredCertificate,
    "an armored OpenPGP public key block",
    |text| {
        text.trim_start().starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----") && !text.contains("PRIVATE KEY BLOCK")
    }
);

impl ArmoredCertificate {
    /// Can the certificates in it be read?
    pub(super) fn is_readable(&self) -> bool {
        Certificate::parse_all(self.0.as_bytes()).is_ok()
    }

    /// The certificates in it; at least one.
    #[must_use]
    pub fn certificates(&self) -> Vec<Certificate> {
        Certificate::parse_all(self.0.as_bytes()).unwrap_or_default()
    }

    /// All the certificates of a list of the policy.
    #[must_use]
    pub fn all(list: &[Self]) -> Vec<Certificate> {
        list.iter().flat_map(Self::certificates).collect()
    }
}

value!(
    /// The name of a native messaging host, as both browsers allow it.
    HostName, "the name of a native messaging host such as com.keystead.gpgme",
    |text| {
        let part = |p: &str| !p.is_empty() && p.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        text.len() <= 255 && text.split('.').all(part)
    }
);

value!(
    /// Where a person finds IT.
    ContactUrl, "an address such as mailto:it@example.org, or an https URL",
    |text| match text.strip_prefix("mailto:") {
        Some(address) => EmailAddress::parse(address).is_ok(),
        None => safe_url(text).is_some(),
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls() {
        for good in ["https://a", "https://a/b", "http://localhost:8008", "http://127.0.0.1:1/", "http://[::1]:1"] {
            assert!(BaseUrl::parse(good).is_ok(), "{good}");
        }
        for bad in
            ["", "a", "http://a", "ftp://a", "https://u@a", "https://a?b", "https://a#b", "file:///a", "https://"]
        {
            assert!(BaseUrl::parse(bad).is_err(), "{bad}");
        }
        let base = BaseUrl::parse("https://a.b/c/").unwrap();
        assert_eq!(base.join("/_matrix/x?y=z").unwrap().as_str(), "https://a.b/c/_matrix/x?y=z");
        assert!(BaseUrl::parse("https://a.b").unwrap().join("@c.d/").is_ok_and(|u| u.host_str() == Some("a.b")));
    }

    #[test]
    fn a_base_url_is_the_same_however_it_is_written() {
        let base = BaseUrl::parse("https://a.b").unwrap();
        for same in ["https://a.b", "https://a.b/", "https://A.b:443", "https://a.b//"] {
            assert!(base.is(same), "{same}");
        }
        for other in [
            "",
            "a.b",
            "http://a.b",
            "https://a.b:8448",
            "https://a.b/c",
            "https://a.b.c",
            "https://u@a.b",
            "https://a.b?c",
        ] {
            assert!(!base.is(other), "{other}");
        }
        assert!(BaseUrl::parse("https://a.b/c/").unwrap().is("https://a.b/c"));
    }

    #[test]
    fn server_names() {
        for good in ["example.org", "example.org:8448", "[::1]:8448", "localhost", "10.0.0.1"] {
            assert!(ServerName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ":1", "a b", "https://a", "a/b", "a:b", "a:123456", "[::1", "@a:b"] {
            assert!(ServerName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn document_urls_stay_on_their_host() {
        let url = DocumentUrl::parse("https://it.example.org/{host}/roster.json").unwrap();
        let filled = url.for_deployment(&Origin::parse("https://chat.example.org:8443").unwrap()).unwrap();
        assert_eq!(filled.as_str(), "https://it.example.org/chat.example.org:8443/roster.json");
        for bad in ["https://{host}/roster.json", "https://it.{host}/r", "http://it.example.org/r", "https://it:{host}"]
        {
            assert!(DocumentUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn key_servers() {
        let url = |text| KeyServerUrl::parse(text).unwrap().url().unwrap().to_string();
        assert_eq!(url("hkp://keys.a"), "http://keys.a:11371/");
        assert_eq!(url("hkp://keys.a:80"), "http://keys.a/", "a port that is written stands");
        assert_eq!(url("hkps://keys.a"), "https://keys.a/");
        assert!(KeyServerUrl::parse("http://keys.a").unwrap().is_plain());
        assert!(!KeyServerUrl::parse("http://127.0.0.1:11371").unwrap().is_plain());
        assert!(!KeyServerUrl::parse("hkps://keys.a").unwrap().is_plain());
        for bad in ["keys.a", "ldap://keys.a", "https://u:p@keys.a", "https://keys.a/?x"] {
            assert!(KeyServerUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn address_templates() {
        let template = AddressTemplate::parse("{localpart}@Example.org").unwrap();
        assert_eq!(template.address_for("ann").unwrap().as_str(), "ann@example.org");
        for bad in ["evil@other.org,ann", "a@b", "", "a b", "a<"] {
            assert!(template.address_for(bad).is_none(), "{bad}");
        }
        for bad in [
            "a@example.org",
            "{localpart}",
            "x@{localpart}",
            "x@{localpart}.org",
            "{localpart}{localpart}@a.b",
            "{user}@a.b",
            "{localpart}.{x}@a.b",
        ] {
            assert!(AddressTemplate::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_key_is_no_certificate() {
        assert!(ArmoredCertificate::parse("-----BEGIN PGP PRIVATE KEY BLOCK-----\n…").is_err());
    }

    #[test]
    fn contacts() {
        for good in ["mailto:it@example.org", "https://help.example.org/?a=b"] {
            assert!(ContactUrl::parse(good).is_ok(), "{good}");
        }
        for bad in
            ["javascript:alert(1)", "mailto:", "mailto:a@b?bcc=c@d", "http://help.example.org", "data:text/html,x"]
        {
            assert!(ContactUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
