//! Which fields contradict each other: everything that the schema cannot say.

use super::{FirstContact, IntegrityMode, OnMissing, Policy, PolicyError, RetainAfterLogout};
use crate::error::Code;

/// Checks a policy whose fields are each in order.
pub(super) fn check(policy: &Policy) -> Result<(), PolicyError> {
    deployments(policy)?;
    account(policy)?;
    roster(policy)?;
    directory(policy)?;
    if policy.escrow.as_ref().is_some_and(|escrow| escrow.certificates.is_empty()) {
        return Err(empty("escrow.certificates"));
    }
    restore(policy)?;
    let first_contact = policy.pins.as_ref().and_then(|pins| pins.first_contact);
    if first_contact == Some(FirstContact::Roster) && policy.roster.is_none() {
        return Err(contradiction("pins.first_contact", "a roster (field roster), or another value"));
    }
    integrity(policy)
}

fn contradiction(path: impl Into<String>, expected: impl Into<String>) -> PolicyError {
    PolicyError::new(Code::PolCombination, path, expected)
}

fn empty(path: &str) -> PolicyError {
    PolicyError::new(Code::PolValue, path, "at least one entry")
}

fn deployments(policy: &Policy) -> Result<(), PolicyError> {
    if policy.deployments.is_empty() {
        return Err(empty("deployments"));
    }
    for (index, deployment) in policy.deployments.iter().enumerate() {
        if policy.deployments[..index].iter().any(|earlier| earlier.origin == deployment.origin) {
            return Err(contradiction(format!("deployments[{index}].origin"), "each origin once"));
        }
    }
    Ok(())
}

fn account(policy: &Policy) -> Result<(), PolicyError> {
    let Some(account) = &policy.account else { return Ok(()) };
    let server = account.user_id.server_name();
    if policy.deployments.iter().any(|deployment| deployment.server_name.as_str() == server) {
        Ok(())
    } else {
        Err(contradiction("account.user_id", "a Matrix ID on the server_name of one of the deployments"))
    }
}

/// Several deployments cannot share one signed document: each document names its deployment.
fn one_document_each(policy: &Policy, names_it: bool, path: &str) -> Result<(), PolicyError> {
    if policy.deployments.len() > 1 && !names_it {
        return Err(contradiction(path, "{host} in the URL, as there are several deployments"));
    }
    Ok(())
}

fn roster(policy: &Policy) -> Result<(), PolicyError> {
    let Some(roster) = &policy.roster else { return Ok(()) };
    if roster.signers.is_empty() {
        return Err(empty("roster.signers"));
    }
    one_document_each(policy, roster.url.names_the_deployment(), "roster.url")?;
    if policy.directory.is_none() {
        return Err(contradiction(
            "roster",
            "a directory (field directory), where its people's certificates are found",
        ));
    }
    Ok(())
}

fn directory(policy: &Policy) -> Result<(), PolicyError> {
    let Some(directory) = &policy.directory else { return Ok(()) };
    let vouched = !directory.certifiers.is_empty() || policy.roster.is_some();
    if directory.hkp.is_empty() && directory.wkd != Some(true) {
        return Err(contradiction("directory", "a key server (hkp) or wkd: true"));
    }
    if let Some(index) = directory.hkp.iter().position(super::KeyServerUrl::is_plain).filter(|_| !vouched) {
        return Err(contradiction(
            format!("directory.hkp[{index}]"),
            "https, as neither directory.certifiers nor a roster says whose certificate is whose",
        ));
    }
    if directory.certification_max_age_days.is_some() && directory.certifiers.is_empty() {
        return Err(contradiction("directory.certification_max_age_days", "certifiers (field directory.certifiers)"));
    }
    if directory.on_missing == Some(OnMissing::Escrow) && policy.escrow.is_none() {
        return Err(contradiction("directory.on_missing", "escrow certificates (field escrow), or another value"));
    }
    Ok(())
}

fn restore(policy: &Policy) -> Result<(), PolicyError> {
    let Some(restore) = &policy.restore else { return Ok(()) };
    let hours = restore.retain_after_logout == Some(RetainAfterLogout::Hours);
    match (hours, restore.retain_hours) {
        (true, None) => {
            Err(contradiction("restore.retain_hours", "a number of hours, as retain_after_logout is hours"))
        }
        (false, Some(_)) => {
            Err(contradiction("restore.retain_hours", "retain_after_logout: hours, or no retain_hours"))
        }
        _ => Ok(()),
    }
}

fn integrity(policy: &Policy) -> Result<(), PolicyError> {
    let Some(integrity) = &policy.integrity else { return Ok(()) };
    if policy.integrity_mode() == IntegrityMode::Off {
        return Ok(());
    }
    let Some(url) = &integrity.url else {
        return Err(contradiction("integrity.url", "the URL of the release manifest, as integrity.mode is not off"));
    };
    if integrity.signers.is_empty() {
        return Err(contradiction("integrity.signers", "at least one signer, as integrity.mode is not off"));
    }
    one_document_each(policy, url.names_the_deployment(), "integrity.url")
}
