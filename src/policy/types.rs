//! The policy as types: one field for each of the schema, names alike.
//!
//! What is `None` was not said; the methods give what then holds.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    choices::{
        FirstContact, IntegrityMode, Language, LogLevel, OnChange, OnMissing, Override, PassiveKind, RetainAfterLogout,
        UnsignedDevices,
    },
    values::{
        AddressTemplate, ArmoredCertificate, BaseUrl, ContactUrl, DocumentUrl, HostName, KeyServerUrl, ServerName,
    },
};
use crate::{
    directory::DirectoryConfig,
    ident::{EmailAddress, Fingerprint, Origin, UserId},
    openpgp::AcceptanceRule,
};

/// A policy that was read, checked and found without contradiction ([`Policy::parse`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Where Keystead acts; at least one, no origin twice.
    pub deployments: Vec<Deployment>,
    /// Who uses this browser profile, by the organisation's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// The signed list of people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roster: Option<Roster>,
    /// Where certificates are found, and which are believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<Directory>,
    /// The organisation's own recipients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escrow: Option<Escrow>,
    /// How history opens again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<Restore>,
    /// What happens when keys are new or change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pins: Option<Pins>,
    /// Whether the page's code is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrity: Option<Integrity>,
    /// Where evidence goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// First set-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Bootstrap>,
    /// The language of Keystead's pages; the browser's where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// What goes into the log; `warn` where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level: Option<LogLevel>,
}

impl Policy {
    /// The deployment of an origin.
    #[must_use]
    pub fn deployment(&self, origin: &Origin) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| &deployment.origin == origin)
    }

    /// The address that the template makes of a localpart that the person typed; `None` without a template.
    #[must_use]
    pub fn address_for(&self, localpart: &str) -> Option<EmailAddress> {
        self.directory.as_ref()?.address_template.as_ref()?.address_for(localpart)
    }

    /// The address of an account by the organisation's word for this profile; `None` for any other account.
    #[must_use]
    pub fn managed_address(&self, user: &UserId) -> Option<&EmailAddress> {
        self.account.as_ref().filter(|account| &account.user_id == user).map(|account| &account.address)
    }

    /// Where the roster of a deployment lies.
    #[must_use]
    pub fn roster_url(&self, deployment: &Deployment) -> Option<Url> {
        self.roster.as_ref()?.url.for_deployment(&deployment.origin)
    }

    /// Which sources of the directory are asked; none without a directory.
    #[must_use]
    pub fn directory_config(&self) -> DirectoryConfig {
        let Some(directory) = &self.directory else { return DirectoryConfig::default() };
        DirectoryConfig {
            hkp: directory.hkp.iter().filter_map(KeyServerUrl::url).collect(),
            wkd: directory.wkd.unwrap_or(false),
        }
    }

    /// Which certificate of an address may open its owner's sealed recovery; `fingerprint` is the roster's.
    #[must_use]
    pub fn acceptance_rule(&self, address: &EmailAddress, fingerprint: Option<&Fingerprint>) -> AcceptanceRule {
        let directory = self.directory.as_ref();
        AcceptanceRule {
            address: Some(address.clone()),
            fingerprint: fingerprint.cloned(),
            certifiers: directory.map(|found| ArmoredCertificate::all(&found.certifiers)).unwrap_or_default(),
            certification_max_age: directory.and_then(Directory::certification_max_age),
            revoked: Vec::new(),
        }
    }

    /// What to do where the directory has no certificate that may be used.
    #[must_use]
    pub fn on_missing(&self) -> OnMissing {
        self.directory.as_ref().and_then(|directory| directory.on_missing).unwrap_or_default()
    }

    /// The organisation's own recipients; none without escrow.
    #[must_use]
    pub fn escrow_certificates(&self) -> &[ArmoredCertificate] {
        self.escrow.as_ref().map_or(&[], |escrow| &escrow.certificates)
    }

    /// Set up even where the person switched key storage or recovery off?
    #[must_use]
    pub fn bootstrap_required(&self) -> bool {
        self.bootstrap.as_ref().and_then(|bootstrap| bootstrap.required).unwrap_or(false)
    }

    /// How the page's code is checked.
    #[must_use]
    pub fn integrity_mode(&self) -> IntegrityMode {
        self.integrity.as_ref().and_then(|integrity| integrity.mode).unwrap_or_default()
    }

    /// How long the wrapping key stays after a logout.
    #[must_use]
    pub fn retention(&self) -> Retention {
        let restore = self.restore.as_ref();
        match restore.and_then(|restore| restore.retain_after_logout) {
            Some(RetainAfterLogout::Never) => Retention::Never,
            Some(RetainAfterLogout::Always) => Retention::Always,
            Some(RetainAfterLogout::Hours) => {
                let hours = restore.and_then(|restore| restore.retain_hours).unwrap_or(0);
                Retention::For(Duration::from_secs(u64::from(hours) * 3600))
            }
            None if self.integrity_mode() == IntegrityMode::Enforce => Retention::Always,
            None => Retention::Never,
        }
    }

    /// What goes into the log.
    #[must_use]
    pub fn log_level(&self) -> LogLevel {
        self.log_level.unwrap_or_default()
    }
}

/// How long the browser keeps its wrapping key after a logout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// It goes at once.
    Never,
    /// It goes after this time.
    For(Duration),
    /// It stays.
    Always,
}

/// One Element Web origin with its homeserver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// The origin that Element Web is opened at.
    pub origin: Origin,
    /// The base URL of the homeserver's client API.
    pub homeserver: BaseUrl,
    /// What stands behind the colon in its Matrix IDs.
    pub server_name: ServerName,
}

/// Who uses this browser profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The person's Matrix ID, on a server of one of the deployments.
    pub user_id: UserId,
    /// The address in the person's certificate.
    pub address: EmailAddress,
}

/// The signed list of people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    /// Where it lies.
    pub url: DocumentUrl,
    /// Who may sign it; at least one.
    pub signers: Vec<ArmoredCertificate>,
}

/// Where certificates are found, and which are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// Key servers, in the order in which they are asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hkp: Vec<KeyServerUrl>,
    /// Ask the Web Key Directory too?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wkd: Option<bool>,
    /// How a localpart becomes an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_template: Option<AddressTemplate>,
    /// Who must have certified a user ID; nobody if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certifiers: Vec<ArmoredCertificate>,
    /// Certifications older than this count as none; in days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certification_max_age_days: Option<u32>,
    /// What to do where there is no certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_missing: Option<OnMissing>,
    /// Is the homeserver believed about who logged in by single sign-on?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_server_user_id: Option<bool>,
}

impl Directory {
    /// The greatest age of a certification; `None`: any.
    #[must_use]
    pub fn certification_max_age(&self) -> Option<Duration> {
        self.certification_max_age_days.map(|days| Duration::from_secs(u64::from(days) * 86_400))
    }
}

/// The organisation's own recipients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Escrow {
    /// At least one.
    pub certificates: Vec<ArmoredCertificate>,
}

/// How history opens again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// The native messaging host of GnuPG.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gnupg_host: Option<HostName>,
    /// Does the wrapping key stay after a logout? See [`Policy::retention`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain_after_logout: Option<RetainAfterLogout>,
    /// For how many hours; with [`RetainAfterLogout::Hours`] only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain_hours: Option<u32>,
    /// Days between reminders to test the backup; 0: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill_reminder_days: Option<u32>,
}

/// What happens when keys are new or change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    /// An identity that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_change: Option<OnChange>,
    /// Devices that their owner did not sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsigned_devices: Option<UnsignedDevices>,
    /// An identity that is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_contact: Option<FirstContact>,
    /// Accounts that are not watched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exempt: Vec<UserId>,
    /// Are pins shared between a person's browsers?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<bool>,
    /// Where *Ask IT* leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask_it: Option<ContactUrl>,
}

/// Whether the page's code is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Integrity {
    /// How strictly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<IntegrityMode>,
    /// Where the release manifest lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<DocumentUrl>,
    /// Who may sign it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<ArmoredCertificate>,
    /// Kinds of files that may differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passive: Vec<PassiveKind>,
    /// May the person go on all the same?
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub override_: Option<Override>,
}

/// Where evidence goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// What takes reports (`integrity::tell_it`).
    pub url: BaseUrl,
}

/// First set-up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bootstrap {
    /// Also where the person declined?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn policy(more: Value) -> Policy {
        let mut document = serde_json::json!({ "deployments": [{
            "origin": "https://chat.example.org",
            "homeserver": "https://matrix.example.org",
            "server_name": "example.org",
        }]});
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Policy::parse(&document).unwrap()
    }

    #[test]
    fn what_holds_where_nothing_is_said() {
        let policy = policy(serde_json::json!({}));
        assert_eq!(policy.retention(), Retention::Never);
        assert_eq!(policy.integrity_mode(), IntegrityMode::Off);
        assert_eq!(policy.on_missing(), OnMissing::Wait);
        assert_eq!(policy.log_level(), LogLevel::Warn);
        assert!(!policy.bootstrap_required() && policy.escrow_certificates().is_empty());
        assert!(policy.directory_config().hkp.is_empty() && !policy.directory_config().wkd);
        assert_eq!(policy.address_for("ann"), None);
    }

    #[test]
    fn what_is_said_holds() {
        let hours = policy(serde_json::json!({ "restore": { "retain_after_logout": "hours", "retain_hours": 12 } }));
        assert_eq!(hours.retention(), Retention::For(Duration::from_secs(12 * 3600)));
        let directory = serde_json::json!({ "hkp": ["hkps://k.example.org"], "address_template": "{localpart}@a.org" });
        let found = policy(serde_json::json!({ "directory": directory }));
        assert_eq!(found.directory_config().hkp[0].as_str(), "https://k.example.org/");
        assert_eq!(found.address_for("ann").unwrap().as_str(), "ann@a.org");
        let account = serde_json::json!({ "user_id": "@ann:example.org", "address": "ann@a.org" });
        let found = policy(serde_json::json!({ "account": account }));
        let user = |text| UserId::parse(text).unwrap();
        assert_eq!(found.managed_address(&user("@ann:example.org")).unwrap().as_str(), "ann@a.org");
        assert_eq!(found.managed_address(&user("@bob:example.org")), None);
    }
}
