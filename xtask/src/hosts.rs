//! Which sites a build may read and fetch from without asking the person.
//!
//! Without any, the extension asks for them where it is used. An organisation bakes its own in, so that a first login
//! needs no click.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

use crate::paths;

/// What a person says of the sites.
#[derive(Debug, clap::Args)]
pub(crate) struct Wanted {
    /// Bake in access to these sites, such as https://chat.example.org/*, so that nobody is asked for it.
    #[arg(long, num_args = 1.., value_name = "PATTERN")]
    host_permission: Vec<Pattern>,
    /// Bake in access to every site that this policy needs (the policy alone, or a browser's policy file with it).
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

impl Wanted {
    /// The sites, each once, in order.
    pub(crate) fn patterns(&self) -> Result<Vec<Pattern>> {
        let mut all = self.host_permission.clone();
        if let Some(policy) = &self.policy {
            all.extend(sites_of(policy)?);
        }
        all.sort();
        all.dedup();
        Ok(all)
    }
}

/// The sites of a policy, by the word of `keystead policy hosts`: the core decides, as it does in the extension.
fn sites_of(policy: &Path) -> Result<Vec<Pattern>> {
    let policy = policy.canonicalize().with_context(|| format!("cannot read {}", policy.display()))?;
    let mut keystead = Command::new("cargo");
    keystead.args(["run", "--quiet", "--package", "keystead-cli", "--", "policy", "hosts"]).arg(policy);
    keystead.current_dir(paths::root()).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = keystead.output().context("cannot start keystead")?;
    ensure!(output.status.success(), "the policy is refused");
    String::from_utf8(output.stdout)?.lines().map(str::parse).collect()
}

/// A match pattern for everything on one host, or on a domain and all below it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Pattern(String);

impl Pattern {
    /// The pattern as the manifest has it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Pattern {
    type Err = anyhow::Error;

    /// Takes what both browsers understand alike, and nothing that means every site.
    fn from_str(text: &str) -> Result<Self> {
        let Some((scheme, rest)) = text.split_once("://") else {
            bail!("{text} has no scheme: write it as https://chat.example.org/*");
        };
        ensure!(matches!(scheme, "https" | "http"), "{text} is neither https nor http");
        let Some((host, path)) = rest.split_once('/') else { bail!("{text} has no path: write {text}/*") };
        ensure!(path == "*", "{text} names a part of a site; access is to whole sites: write {scheme}://{host}/*");
        if let Some((name, port)) = host.rsplit_once(':')
            && port.bytes().all(|byte| byte.is_ascii_digit())
            && (name.ends_with(']') || !name.contains(':'))
        {
            bail!("{text} has a port, and match patterns have none: write {scheme}://{name}/*");
        }
        let domain = host.strip_prefix("*.").unwrap_or(host);
        ensure!(domain != "*", "{text} names every site there is: name the ones that the policy needs");
        if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            ensure!(address.parse::<Ipv6Addr>().is_ok(), "{host} is no address");
            return Ok(Self(text.to_owned()));
        }
        ensure!(
            domain.split('.').all(is_label),
            "{host} is no host name (in small letters; other alphabets as xn--…; * only in front, as in *.example.org)"
        );
        ensure!(host == domain || domain.contains('.'), "{text} names a whole top-level domain: name the sites in it");
        Ok(Self(text.to_owned()))
    }
}

fn is_label(label: &str) -> bool {
    let known = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    (1..=63).contains(&label.len()) && label.bytes().all(known) && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_single_sites_and_of_domains_are_taken() {
        for text in [
            "https://chat.example.org/*",
            "https://*.example.org/*",
            "http://keys/*",
            "http://127.0.0.1/*",
            "http://[::1]/*",
            "https://xn--bcher-kva.example/*",
        ] {
            assert_eq!(text.parse::<Pattern>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn everything_else_is_refused_with_what_to_write() {
        for (text, said) in [
            ("chat.example.org", "write it as https://"),
            ("<all_urls>", "write it as https://"),
            ("*://chat.example.org/*", "neither https nor http"),
            ("ftp://chat.example.org/*", "neither https nor http"),
            ("https://chat.example.org", "write https://chat.example.org/*"),
            ("https://chat.example.org/", "write https://chat.example.org/*"),
            ("https://chat.example.org/app/*", "write https://chat.example.org/*"),
            ("https://matrix.example.org:8448/*", "write https://matrix.example.org/*"),
            ("http://[::1]:8008/*", "write http://[::1]/*"),
            ("https://*/*", "every site there is"),
            ("https://*.*/*", "every site there is"),
            ("https://*.org/*", "a whole top-level domain"),
            ("https://chat.*/*", "is no host name"),
            ("https://Chat.example.org/*", "is no host name"),
            ("https://bücher.example/*", "is no host name"),
            ("https:///*", "is no host name"),
            ("https://chat..example.org/*", "is no host name"),
            ("https://-chat.example.org/*", "is no host name"),
            ("https://user@chat.example.org/*", "is no host name"),
            ("https://[::1/*", "is no host name"),
            ("https://*.[::1]/*", "is no host name"),
            ("https://[chat]/*", "is no address"),
        ] {
            let error = text.parse::<Pattern>().expect_err(text).to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
