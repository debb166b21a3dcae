//! `keystead policy check`: what the extension would say of a policy, before anybody has it; `keystead policy hosts`: which
//! sites it needs.

use std::path::PathBuf;

use clap::Args;
use keystead_core::{
    error::{Code, Coded as _},
    openpgp::AcceptanceRule,
    policy::{ArmoredCertificate, Policy},
    signed::parse_json,
    time::UnixMillis,
};
use serde_json::Value;

use crate::{
    dates::{now, parse_date},
    failure::{Ending, Failure},
    files,
    words::words,
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
        let mut ending = Ending::Fine;
        for (index, certificate) in policy.escrow_certificates().iter().enumerate() {
            for code in unusable(certificate, at) {
                let sentence = words(code).sentence;
                out.push_str(&format!("escrow.certificates[{index}]: {}: {sentence}\n", code.as_str()));
                out.push_str("  Put one into the policy that can be encrypted to.\n");
                ending = Ending::NotFine;
            }
        }
        if ending == Ending::Fine {
            out.push_str(&format!("{}: good\n", self.file.display()));
            for deployment in &policy.deployments {
                out.push_str(&format!(
                    "  {} on {} ({})\n",
                    deployment.origin.as_str(),
                    deployment.homeserver.as_str(),
                    deployment.server_name.as_str()
                ));
            }
            out.push_str(&format!("  {}\n", silence(&policy)));
        }
        Ok(ending)
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

/// Why certificates of the policy cannot be sealed to.
fn unusable(armored: &ArmoredCertificate, at: UnixMillis) -> Vec<Code> {
    let rejected = |certificate: &keystead_core::openpgp::Certificate| {
        let rule = AcceptanceRule { fingerprint: Some(certificate.fingerprint()), ..AcceptanceRule::default() };
        rule.accept(certificate, at).err().map(|rejection| rejection.code())
    };
    armored.certificates().iter().filter_map(rejected).collect()
}

/// Whom the first login asks something.
fn silence(policy: &Policy) -> &'static str {
    match &policy.directory {
        None => "First login: the recovery key is shown once, for the person to keep (no directory).",
        Some(_) if policy.account.is_some() || policy.roster.is_some() => {
            "First login: silent for everybody whom account or roster names."
        }
        Some(directory) if directory.trust_server_user_id == Some(true) && directory.address_template.is_some() => {
            "First login: silent; the homeserver is believed about who logged in."
        }
        Some(directory) if directory.address_template.is_some() => {
            "First login: silent with a typed name; one confirmation after single sign-on."
        }
        Some(_) => "First login: one confirmation (no account, roster or address template).",
    }
}
