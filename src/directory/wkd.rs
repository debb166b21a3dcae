//! The Web Key Directory (draft-koch-openpgp-webkey-service, sections 3.1 and 3.2).

use sha1::{Digest, Sha1};
use url::Url;

use super::answer::{Answered, SourceError, certificates, request};
use crate::{
    effect::{HttpRequest, TransportError},
    ident::EmailAddress,
    openpgp::Certificate,
};

/// z-base-32 (RFC 6189, section 5.1.6).
const ALPHABET: &[u8; 32] = b"ybndrfg8ejkmcpqxot1uwisza345h769";

/// The advanced method: on the host `openpgpkey` of the address's domain. `None` where the domain is no host name.
#[must_use]
pub fn advanced(address: &EmailAddress) -> Option<HttpRequest> {
    let domain = address.ascii_domain();
    let url = url(&format!("openpgpkey.{domain}"), &format!("/{domain}"), address)?;
    Some(request("wkd advanced", url))
}

/// The direct method: on the domain itself. To be used only where [`wants_direct`].
#[must_use]
pub fn direct(address: &EmailAddress) -> Option<HttpRequest> {
    let url = url(&address.ascii_domain(), "", address)?;
    Some(request("wkd direct", url))
}

fn url(host: &str, domain: &str, address: &EmailAddress) -> Option<Url> {
    let mut url = Url::parse(&format!("https://{host}/.well-known/openpgpkey{domain}/hu/{}", hash(address))).ok()?;
    url.query_pairs_mut().append_pair("l", address.local());
    Some(url)
}

/// The name of the address in the directory: the SHA-1 of its local part, ASCII letters in lower case, in z-base-32.
#[must_use]
pub fn hash(address: &EmailAddress) -> String {
    let digest = Sha1::digest(address.local().to_ascii_lowercase());
    let bit = |at: usize| usize::from(digest[at / 8] >> (7 - at % 8) & 1);
    let quintet = |at: usize| (0..5).fold(0, |value, offset| value << 1 | bit(at + offset));
    (0..160).step_by(5).map(|at| char::from(ALPHABET[quintet(at)])).collect()
}

/// Is the direct method to be tried? Only where the advanced one's host does not answer at all: any answer, a refusal
/// too, is that host's last word. (The draft asks whether the host's name exists; a browser does not say.)
#[must_use]
pub fn wants_direct(advanced: &Answered) -> bool {
    match advanced {
        Err(TransportError::Unreachable | TransportError::Timeout) => true,
        Err(TransportError::TooLarge | TransportError::Redirected | TransportError::NoToken) | Ok(_) => false,
    }
}

/// Reads an answer; empty where the directory does not have the address.
///
/// # Errors
/// [`SourceError`] where there is no usable answer.
pub fn read(answered: Answered) -> Result<Vec<Certificate>, SourceError> {
    certificates(answered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Target;

    fn url(request: Option<HttpRequest>) -> String {
        match request.map(|request| request.target) {
            Some(Target::Url(url)) => url.into(),
            Some(Target::Homeserver(_)) | None => String::new(),
        }
    }

    #[test]
    fn urls_are_those_of_the_draft() {
        // The example of draft-koch-openpgp-webkey-service, section 3.1.
        let joe = EmailAddress::parse("Joe.Doe@Example.ORG").unwrap();
        let advanced = "https://openpgpkey.example.org/.well-known/openpgpkey/example.org/hu/iy9q119eutrkn8s1mk4r39qejnbu3n5q?l=Joe.Doe";
        assert_eq!(url(super::advanced(&joe)), advanced);
        let direct = "https://example.org/.well-known/openpgpkey/hu/iy9q119eutrkn8s1mk4r39qejnbu3n5q?l=Joe.Doe";
        assert_eq!(url(super::direct(&joe)), direct);
    }

    #[test]
    fn an_internationalised_domain_is_asked_in_its_ascii_form() {
        let address = EmailAddress::parse("ann@München.de").unwrap();
        assert!(
            url(advanced(&address))
                .starts_with("https://openpgpkey.xn--mnchen-3ya.de/.well-known/openpgpkey/xn--mnchen-3ya.de/hu/")
        );
    }

    #[test]
    fn the_local_part_cannot_reach_another_page() {
        for local in ["../../x", "a?b", "a#b", "a&l=b", "a%2fb"] {
            let Ok(address) = EmailAddress::parse(&format!("{local}@example.org")) else { continue };
            let url = Url::parse(&url(direct(&address))).unwrap();
            assert_eq!(url.path(), format!("/.well-known/openpgpkey/hu/{}", hash(&address)));
            assert_eq!(url.query_pairs().collect::<Vec<_>>(), [("l".into(), local.into())]);
        }
    }
}
