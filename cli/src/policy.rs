//! `keystead policy check`: what the extension would say of a policy, before anybody has it; `keystead policy hosts`: which
//! sites it needs.

use std::path::PathBuf;

use clap::Args;
use keystead_core::{
    bootstrap::pair::{Pair, Typed, pair},
    error::{Code, Coded as _},
    ident::{EmailAddress, Fingerprint, UserId},
    openpgp::Purpose,
    policy::{ArmoredCertificate, Policy},
    signed::parse_json,
    time::UnixMillis,
};
use serde_json::Value;

use crate::{
    dates::{now, parse_date, show_date},
    failure::{Ending, Failure},
    files,
};

/// Check a policy: the document itself, or a browser's policy file with it.
#[derive(Debug, Args)]
pub struct PolicyCheck {
    /// The policy as JSON; or policies.json of Firefox, or a policy file of Chromium.
    file: PathBuf,
    /// Check for this time (default: now).
    #[arg(long, value_parser = parse_date, value_name = "DATE")]
    at: Option<UnixMillis>,
}

impl PolicyCheck {
    /// Does it; what to read goes to `out`.
    ///
    /// # Errors
    /// [`Failure`] where the policy is refused.
    pub fn run(self, out: &mut String) -> Result<Ending, Failure> {
        let policy = read(&self.file)?;
        let at = self.at.unwrap_or_else(now);
        let (mut certificates, mut unfit) = (String::new(), 0);
        for (field, purpose, list) in certificates_of(&policy) {
            for (index, armored) in list.iter().enumerate() {
                for certificate in armored.certificates() {
                    let fingerprint = certificate.fingerprint();
                    let expires = certificate.expires(at).map_or("never expires".to_owned(), |end| {
                        let word = if end <= at { "expired" } else { "expires" };
                        format!("{word} {}", show_date(end))
                    });
                    certificates.push_str(&format!("  {field}[{index}]: {}, {expires}\n", fingerprint.as_str()));
                    if let Err(why) = certificate.check(purpose, at) {
                        certificates.push_str(&format!("    {}: {why}\n", why.code().as_str()));
                        unfit += 1;
                    }
                }
            }
        }
        let verdict = match unfit {
            0 => "good".to_owned(),
            1 => "a certificate in it cannot be used; put a current one into its place".to_owned(),
            number => format!("{number} certificates in it cannot be used; put current ones into their places"),
        };
        out.push_str(&format!("{}: {verdict}\n", self.file.display()));
        for deployment in &policy.deployments {
            out.push_str(&format!(
                "  {} on {} ({})\n",
                deployment.origin.as_str(),
                deployment.homeserver.as_str(),
                deployment.server_name.as_str()
            ));
        }
        out.push_str(&certificates);
        for line in first_logins(&policy) {
            out.push_str(&format!("  First login {line}.\n"));
        }
        Ok(if unfit == 0 { Ending::Fine } else { Ending::NotFine })
    }
}

/// Print the sites that a policy needs, as match patterns for `host_permissions` of the extension's manifest.
#[derive(Debug, Args)]
pub struct PolicyHosts {
    /// The policy as JSON; or policies.json of Firefox, or a policy file of Chromium.
    file: PathBuf,
}

impl PolicyHosts {
    /// Does it; what to read goes to `out`.
    ///
    /// # Errors
    /// [`Failure`] where the policy is refused.
    pub fn run(self, out: &mut String) -> Result<Ending, Failure> {
        for pattern in read(&self.file)?.host_patterns() {
            out.push_str(&pattern);
            out.push('\n');
        }
        Ok(Ending::Fine)
    }
}

/// Every certificate of a policy, by its field, and what it is there for.
fn certificates_of(policy: &Policy) -> [(&'static str, Purpose, &[ArmoredCertificate]); 4] {
    let signers = policy.roster.as_ref().map_or(&[][..], |roster| &roster.signers);
    let certifiers = policy.directory.as_ref().map_or(&[][..], |directory| &directory.certifiers);
    let releases = policy.integrity.as_ref().map_or(&[][..], |integrity| &integrity.signers);
    [
        ("roster.signers", Purpose::Signing, signers),
        ("directory.certifiers", Purpose::Certification, certifiers),
        ("escrow.certificates", Purpose::Encryption, policy.escrow_certificates()),
        ("integrity.signers", Purpose::Signing, releases),
    ]
}

/// Reads a policy from a document, or from the file of a browser's policies that holds it.
pub(crate) fn read(path: &std::path::Path) -> Result<Policy, Failure> {
    let document =
        parse_json(&files::read(path)?).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
    let extensions = document.pointer("/3rdparty/extensions").or(document.pointer("/policies/3rdparty/Extensions"));
    let Some(extensions) = extensions else { return Ok(Policy::parse(&document)?) };
    let ours = |policy: &&Value| policy.get("deployments").is_some();
    let mut found = extensions.as_object().into_iter().flat_map(serde_json::Map::values).filter(ours);
    match (found.next(), found.next()) {
        (Some(policy), None) => Ok(Policy::parse(policy)?),
        (None, _) => Err(Failure::Refused {
            code: Code::PolAbsent,
            detail: format!("no extension in {} has a policy with deployments", path.display()),
        }),
        (Some(_), Some(_)) => Err(Failure::Usage(format!("{} has several policies with deployments", path.display()))),
    }
}

/// Whom a first login asks what, by the rule that the extension follows: each kind of login is put to it.
fn first_logins(policy: &Policy) -> Vec<String> {
    let sources = policy.directory_config();
    if sources.hkp.is_empty() && !sources.wkd {
        return vec!["shows the recovery key once, for the person to keep (no directory)".into()];
    }
    let Some(deployment) = policy.deployments.first() else { return Vec::new() };
    let (server, account) = (deployment.server_name.as_str(), policy.account.as_ref());
    let somebody = UserId::parse(&format!("@somebody:{server}")).ok();
    let Some(user) = account.map(|account| account.user_id.clone()).or(somebody) else { return Vec::new() };
    let named = account.map(|account| account.address.clone()).or_else(|| policy.address_for(user.localpart()));
    let in_roster = named.or_else(|| EmailAddress::parse("somebody@example.org").ok());
    let fingerprint = Fingerprint::parse(&"0".repeat(40)).ok();
    let entry = in_roster.as_ref().zip(fingerprint.as_ref()).filter(|_| policy.roster.is_some());
    let people: &[_] =
        if entry.is_some() { &[(", in the roster", true), (", not in the roster", false)] } else { &[("", false)] };
    let logins: &[_] = match account {
        Some(_) => &[("of the policy's account", Typed::Nothing)],
        None => &[("with a typed name", Typed::Account), ("by single sign-on", Typed::Nothing)],
    };
    let mut lines = Vec::new();
    for (whose, listed) in people {
        for (how, typed) in logins {
            let pair = pair(policy, Some(server), entry.filter(|_| *listed), &user, typed);
            lines.push(format!("{how}{whose}: {}", sentence(policy, &pair)));
        }
    }
    if account.is_some() {
        lines.push(format!("of anybody else: refused ({})", Code::DirOtherAccount.as_str()));
    }
    lines
}

fn sentence(policy: &Policy, pair: &Pair) -> String {
    match pair {
        pair if pair.is_silent(policy) => "silent".into(),
        Pair::Believed { .. } => {
            "one question, as neither a certifier nor the roster vouches for the certificate".into()
        }
        Pair::Unconfirmed { .. } => "one question, as only the homeserver says who logged in".into(),
        Pair::Unknown => format!(
            "one question, where the homeserver knows an e-mail address of the account; else it waits ({})",
            Code::DirNoAddress.as_str()
        ),
        Pair::OtherAccount => format!("refused ({})", Code::DirOtherAccount.as_str()),
        Pair::Contradiction => format!("refused ({})", Code::DirContradiction.as_str()),
    }
}
