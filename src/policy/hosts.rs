//! Which sites the policy needs: the host permissions that are asked of the person, or baked in at packaging.

use std::collections::BTreeSet;

use url::Url;

use super::Policy;

impl Policy {
    /// The match patterns of every site that this policy makes the extension act on or fetch from, each once, without
    /// ports (Firefox allows none in a pattern).
    ///
    /// The Web Key Directory lies on the host of the person's address. Where no address is known beforehand, it is
    /// expected on the deployment's own domain.
    #[must_use]
    pub fn host_patterns(&self) -> Vec<String> {
        let mut urls: Vec<Url> = Vec::new();
        for deployment in &self.deployments {
            urls.extend(Url::parse(deployment.origin.as_str()).ok());
            urls.extend(deployment.homeserver.url());
            urls.extend(self.roster_url(deployment));
            let manifest = self.integrity.as_ref().and_then(|integrity| integrity.url.as_ref());
            urls.extend(manifest.and_then(|url| url.for_deployment(&deployment.origin)));
        }
        urls.extend(self.evidence.as_ref().and_then(|evidence| evidence.url.url()));
        if let Some(directory) = &self.directory {
            urls.extend(directory.hkp.iter().filter_map(super::KeyServerUrl::url));
            if directory.wkd == Some(true) {
                for domain in self.address_domains() {
                    urls.extend(Url::parse(&format!("https://{domain}")).ok());
                    urls.extend(Url::parse(&format!("https://openpgpkey.{domain}")).ok());
                }
            }
        }
        let pattern = |url: &Url| Some(format!("{}://{}/*", url.scheme(), url.host_str()?));
        let patterns: BTreeSet<String> = urls.iter().filter_map(pattern).collect();
        patterns.into_iter().collect()
    }

    fn address_domains(&self) -> BTreeSet<String> {
        let account = self.account.as_ref().map(|account| account.address.domain().to_owned());
        let template = self.address_for("a").map(|address| address.domain().to_owned());
        let known: BTreeSet<String> = account.into_iter().chain(template).collect();
        if !known.is_empty() {
            return known;
        }
        let host = |name: &str| name.rsplit_once(':').map_or(name, |(host, _)| host).to_owned();
        self.deployments.iter().map(|deployment| host(deployment.server_name.as_str())).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patterns(directory: serde_json::Value) -> Vec<String> {
        let document = json!({
            "deployments": [{
                "origin": "https://chat.example.org",
                "homeserver": "https://matrix.example.org:8448",
                "server_name": "example.org",
            }],
            "directory": directory,
        });
        Policy::parse(&document).unwrap().host_patterns()
    }

    #[test]
    fn a_pattern_for_every_site_and_no_more() {
        assert_eq!(
            patterns(json!({ "hkp": ["https://keys.example.org:11371", "https://keys.example.org"] })),
            ["https://chat.example.org/*", "https://keys.example.org/*", "https://matrix.example.org/*"],
        );
    }

    #[test]
    fn web_key_directories_lie_on_the_domain_of_the_address() {
        let guessed = patterns(json!({ "wkd": true }));
        assert!(guessed.contains(&"https://openpgpkey.example.org/*".to_owned()), "{guessed:?}");
        let known = patterns(json!({ "wkd": true, "address_template": "{localpart}@mail.example.net" }));
        assert!(known.contains(&"https://openpgpkey.mail.example.net/*".to_owned()), "{known:?}");
        assert!(!known.contains(&"https://openpgpkey.example.org/*".to_owned()), "{known:?}");
    }
}
