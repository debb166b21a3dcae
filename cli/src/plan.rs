//! What the extension will do for each person under a policy: which address it looks up, which certificate it wants, and
//! whether it asks.

use std::collections::BTreeMap;

use keystead_core::{
    bootstrap::pair::{Pair, Typed, pair},
    directory::{DirectoryConfig, refresh},
    error::{Code, Coded as _},
    ident::{Fingerprint, Origin},
    openpgp::{AcceptanceRule, Certificate, Purpose, RecipientAccepted, same_mailbox},
    policy::{ArmoredCertificate, Deployment, Policy},
    signed::{Roster, fetch},
    time::UnixMillis,
};

use crate::{driver::Driver, failure::Failure, staff::Row};

/// What is to be looked up for one person.
pub(crate) struct Planned {
    /// The rule; its address is the one that is looked up.
    pub(crate) rule: AcceptanceRule,
    /// The certificate that the list says it is.
    expected: Option<Fingerprint>,
    /// Nothing is looked up, for this reason.
    pub(crate) refused: Option<Code>,
    /// The person is asked at the first login, also after typing their name; unknown without a policy.
    pub(crate) asked: Option<bool>,
}

impl Planned {
    /// Without a policy: what the list says.
    pub(crate) fn by_list(row: &Row, rule: &AcceptanceRule) -> Self {
        let (address, fingerprint) = (Some(row.email.clone()), row.fingerprint.clone());
        let rule = AcceptanceRule { address, fingerprint, ..rule.clone() };
        Self { rule, expected: None, refused: None, asked: None }
    }

    /// The certificate that was found, if it is the one that the list names.
    pub(crate) fn judge(&self, found: Result<RecipientAccepted, Code>) -> Result<RecipientAccepted, Code> {
        let accepted = found?;
        let another = self.expected.as_ref().is_some_and(|expected| expected != accepted.fingerprint());
        if another { Err(Code::DirFingerprint) } else { Ok(accepted) }
    }
}

/// What is to be looked up for everybody under a policy.
pub(crate) struct Plan {
    pub(crate) config: DirectoryConfig,
    pub(crate) people: Vec<Planned>,
    /// The escrow certificates as they are now, and whether they can be sealed to.
    pub(crate) escrow: Vec<(Fingerprint, Result<(), Code>)>,
}

impl Plan {
    /// Makes it: brings the policy's certificates up to date, fetches its rosters.
    pub(crate) async fn make(driver: &Driver, policy: &Policy, rows: &[Row], at: UnixMillis) -> Result<Self, Failure> {
        let config = policy.directory_config();
        let up_to_date = async |armored: &[ArmoredCertificate]| {
            let (config, certificates) = (&config, ArmoredCertificate::all(armored));
            driver.run(|io| async move { refresh(&io, config, certificates).await }).await
        };
        let escrow = up_to_date(policy.escrow_certificates()).await;
        let certifiers = policy.directory.as_ref().map_or(&[][..], |directory| &directory.certifiers);
        let certifiers = up_to_date(certifiers).await;
        let signers = policy.roster.as_ref().map_or(&[][..], |roster| &roster.signers);
        let signers = up_to_date(signers).await;
        let mut rosters = BTreeMap::new();
        for row in rows {
            if let Some(deployment) = deployment_of(policy, row).filter(|d| !rosters.contains_key(&d.origin)) {
                rosters.insert(deployment.origin.clone(), roster(driver, policy, deployment, &signers).await?);
            }
        }
        let plan = |row: &Row| {
            let roster = deployment_of(policy, row).and_then(|deployment| rosters.get(&deployment.origin)?.as_ref());
            planned(policy, row, roster, &certifiers)
        };
        let usable = |certificate: &Certificate| {
            let checked = certificate.check(Purpose::Encryption, at).map_err(|why| why.code());
            (certificate.fingerprint(), checked)
        };
        Ok(Self { people: rows.iter().map(plan).collect(), escrow: escrow.iter().map(usable).collect(), config })
    }
}

/// The deployment that a person logs in to: the one on their server.
fn deployment_of<'p>(policy: &'p Policy, row: &Row) -> Option<&'p Deployment> {
    let server = row.matrix_id.server_name();
    policy.deployments.iter().find(|deployment| deployment.server_name.as_str() == server)
}

async fn roster(
    driver: &Driver,
    policy: &Policy,
    deployment: &Deployment,
    signers: &[Certificate],
) -> Result<Option<Roster>, Failure> {
    let Some(url) = policy.roster_url(deployment) else { return Ok(None) };
    let origin: &Origin = &deployment.origin;
    let fetched = driver.run(|io| async move { fetch::<Roster>(&io, &url, signers, origin).await }).await;
    let refused = |code| Failure::Refused { code, detail: format!("the roster of {}", origin.as_str()) };
    fetched.map(|fetched| Some(fetched.document.body)).map_err(refused)
}

/// Puts one person to the rule that the extension follows; the person types their name.
fn planned(policy: &Policy, row: &Row, roster: Option<&Roster>, certifiers: &[Certificate]) -> Planned {
    let server = deployment_of(policy, row).map(|deployment| deployment.server_name.as_str());
    let entry = roster.and_then(|roster| roster.person(&row.matrix_id));
    let entry = entry.map(|person| (&person.email, &person.fingerprint));
    let pair = pair(policy, server, entry, &row.matrix_id, &Typed::Account);
    let silent = pair.is_silent(policy);
    let (address, fingerprint, refused) = match pair {
        Pair::Believed { address, fingerprint } | Pair::Unconfirmed { address, fingerprint } => {
            let differs = !same_mailbox(&address, &row.email);
            (address, fingerprint, differs.then_some(Code::DirContradiction))
        }
        // The address would be the homeserver's, which is not asked here.
        Pair::Unknown => (row.email.clone(), None, None),
        Pair::OtherAccount => (row.email.clone(), None, Some(Code::DirOtherAccount)),
        Pair::Contradiction => (row.email.clone(), None, Some(Code::DirContradiction)),
    };
    let rule =
        AcceptanceRule { certifiers: certifiers.to_vec(), ..policy.acceptance_rule(&address, fingerprint.as_ref()) };
    Planned { rule, expected: row.fingerprint.clone(), refused, asked: Some(!silent) }
}
