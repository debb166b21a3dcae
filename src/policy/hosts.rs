//! Which sites a policy needs: the host permissions that are asked of the person, or baked in at packaging.

use std::collections::BTreeSet;

use serde_json::Value;
use url::Url;

use super::{Deployment, Policy};
use crate::ident::EmailAddress;

impl Policy {
    /// The match patterns of every site that this policy makes the extension act on or fetch from.
    #[must_use]
    pub fn host_patterns(&self) -> Vec<String> {
        host_patterns(&serde_json::to_value(self).unwrap_or_default())
    }

    /// The match patterns of the sites without which one of the deployments cannot be served.
    #[must_use]
    pub fn host_patterns_of(&self, deployment: &Deployment) -> Vec<String> {
        Self { deployments: vec![deployment.clone()], ..self.clone() }.host_patterns()
    }
}

impl Deployment {
    /// The match pattern of its pages.
    #[must_use]
    pub fn page_pattern(&self) -> Option<String> {
        pattern(&Url::parse(self.origin.as_str()).ok()?)
    }
}

/// The match patterns of every site that a policy's document names, each once, without ports (Firefox allows none in a
/// pattern). The document need not be checked: what is no URL names no site. So the options page can ask for access in
/// the click that saves, without the OpenPGP code that checking takes.
///
/// The Web Key Directory lies on the host of the person's address. Where no address is known beforehand, it is expected on
/// the deployment's own domain.
#[must_use]
pub fn host_patterns(document: &Value) -> Vec<String> {
    let mut urls: Vec<Url> = Vec::new();
    for deployment in list(&document["deployments"]) {
        let origin = url(&deployment["origin"]);
        let host = origin.as_ref().and_then(Url::host_str).unwrap_or_default().to_owned();
        for section in ["roster", "integrity"] {
            let named = document[section]["url"].as_str().map(|text| text.replace("{host}", &host));
            urls.extend(named.and_then(|text| Url::parse(&text).ok()));
        }
        urls.extend(origin.into_iter().chain(url(&deployment["homeserver"])));
    }
    urls.extend(url(&document["evidence"]["url"]));
    let directory = &document["directory"];
    urls.extend(list(&directory["hkp"]).filter_map(key_server));
    if directory["wkd"] == true {
        for domain in address_domains(document) {
            urls.extend(Url::parse(&format!("https://{domain}")).ok());
            urls.extend(Url::parse(&format!("https://openpgpkey.{domain}")).ok());
        }
    }
    urls.iter().filter_map(pattern).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The match pattern of everything on a URL's host; `None` where it is no address of the web.
fn pattern(url: &Url) -> Option<String> {
    let web = matches!(url.scheme(), "https" | "http");
    Some(format!("{}://{}/*", url.scheme(), url.host_str()?)).filter(|_| web)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn url(value: &Value) -> Option<Url> {
    Url::parse(value.as_str()?).ok()
}

fn key_server(value: &Value) -> Option<Url> {
    let (scheme, rest) = value.as_str()?.split_once("://")?;
    let scheme = match scheme {
        "hkps" => "https",
        "hkp" => "http",
        other => other,
    };
    Url::parse(&format!("{scheme}://{rest}")).ok()
}

fn address_domains(document: &Value) -> BTreeSet<String> {
    let account = document["account"]["address"].as_str().map(str::to_owned);
    let template = document["directory"]["address_template"].as_str().map(|text| text.replace("{localpart}", "a"));
    let addresses = account.into_iter().chain(template);
    let known: BTreeSet<String> =
        addresses.filter_map(|text| EmailAddress::parse(&text).ok()).map(|address| address.ascii_domain()).collect();
    if !known.is_empty() {
        return known;
    }
    let host = |name: &str| name.rsplit_once(':').map_or(name, |(host, _)| host).to_owned();
    list(&document["deployments"]).filter_map(|deployment| deployment["server_name"].as_str()).map(host).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(more: &Value) -> Value {
        let mut document = json!({
            "deployments": [{
                "origin": "https://chat.example.org",
                "homeserver": "https://matrix.example.org:8448",
                "server_name": "example.org",
            }],
        });
        for (field, value) in more.as_object().unwrap() {
            document[field] = value.clone();
        }
        document
    }

    fn patterns(more: &Value) -> Vec<String> {
        host_patterns(&document(more))
    }

    #[test]
    fn a_pattern_for_every_site_and_no_more() {
        let more = json!({ "directory": { "hkp": ["https://keys.example.org:11371", "hkps://keys.example.org"] } });
        let expected = ["https://chat.example.org/*", "https://keys.example.org/*", "https://matrix.example.org/*"];
        assert_eq!(patterns(&more), expected);
        assert_eq!(Policy::parse(&document(&more)).unwrap().host_patterns(), expected);
    }

    #[test]
    fn one_deployment_needs_its_own_sites_and_the_shared_ones() {
        let mut document = document(&json!({ "directory": { "hkp": ["https://keys.example.org"], "wkd": true } }));
        let other = json!({ "origin": "http://localhost:8080", "homeserver": "http://127.0.0.1:8008",
            "server_name": "other.example:8008" });
        document["deployments"].as_array_mut().unwrap().push(other);
        let policy = Policy::parse(&document).unwrap();
        let second = &policy.deployments[1];
        assert_eq!(second.page_pattern().as_deref(), Some("http://localhost/*"));
        let expected = [
            "http://127.0.0.1/*",
            "http://localhost/*",
            "https://keys.example.org/*",
            "https://openpgpkey.other.example/*",
            "https://other.example/*",
        ];
        assert_eq!(policy.host_patterns_of(second), expected);
        let both = policy.host_patterns();
        assert!(expected.iter().all(|pattern| both.iter().any(|other| other == pattern)), "{both:?}");
    }

    #[test]
    fn signed_documents_may_lie_on_a_host_for_each_deployment() {
        let more = json!({ "roster": { "url": "https://it.example.org/{host}/roster.json", "signers": [] } });
        assert!(patterns(&more).contains(&"https://it.example.org/*".to_owned()));
    }

    #[test]
    fn web_key_directories_lie_on_the_domain_of_the_address() {
        let guessed = patterns(&json!({ "directory": { "wkd": true } }));
        assert!(guessed.contains(&"https://openpgpkey.example.org/*".to_owned()), "{guessed:?}");
        let template = json!({ "directory": { "wkd": true, "address_template": "{localpart}@mail.example.net" } });
        let known = patterns(&template);
        assert!(known.contains(&"https://openpgpkey.mail.example.net/*".to_owned()), "{known:?}");
        assert!(!known.contains(&"https://openpgpkey.example.org/*".to_owned()), "{known:?}");
    }

    #[test]
    fn what_is_no_web_address_names_no_site() {
        let more =
            json!({ "directory": { "hkp": ["file:///etc/passwd", "keys", 7] }, "evidence": { "url": "data:x" } });
        assert_eq!(patterns(&more).len(), 2);
        assert!(host_patterns(&json!({ "deployments": [{ "origin": 1 }] })).is_empty());
    }
}
