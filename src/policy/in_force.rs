//! Which policy is in force: the organisation's, else the person's own, else none.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Policy, PolicyError};
use crate::{error::Code, status::PolicySource};

/// What the browser has to offer. An empty object counts as absent: Chromium answers so for some seconds after an
/// installation, and where the administrator has set nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offered<'a> {
    /// Managed storage.
    pub managed: Option<&'a Value>,
    /// Was the extension installed by an administrator (`management.getSelf`)?
    pub installed_by_admin: bool,
    /// What the options page saved. Not read where an administrator installed the extension.
    pub own: Option<&'a Value>,
}

/// The policy that was last found good; a saved record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "version")]
pub enum LastGood {
    /// The first form.
    #[serde(rename = "1")]
    V1 {
        /// Where it came from: managed storage or the options page.
        source: PolicySource,
        /// The document as it was found.
        document: Value,
        /// The version of Keystead that found it good.
        #[serde(default)]
        by: String,
    },
}

impl LastGood {
    /// What this version found good.
    #[must_use]
    pub fn new(source: PolicySource, document: Value) -> Self {
        Self::V1 { source, document, by: env!("CARGO_PKG_VERSION").to_owned() }
    }

    fn from(&self, wanted: PolicySource) -> Option<&Value> {
        let Self::V1 { source, document, .. } = self;
        (*source == wanted).then_some(document)
    }
}

/// The policy in force, and what the popup says of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InForce {
    /// `None`: nothing starts. Nothing is wiped either.
    pub policy: Option<Policy>,
    /// Where it comes from.
    pub source: PolicySource,
    /// What is wrong with what was offered, even while the last good one is in force.
    pub problem: Option<PolicyError>,
    /// To be saved as the last good one, where it is not yet; nothing else ever replaces or removes that record.
    pub remember: Option<LastGood>,
}

impl<'a> Offered<'a> {
    /// What is to be in force of it, if that is in order.
    fn wanted(&self) -> Option<(&'a Value, PolicySource)> {
        let managed = present(self.managed).map(|document| (document, PolicySource::Managed));
        let own = || present(self.own).filter(|_| !self.installed_by_admin);
        managed.or_else(|| own().map(|document| (document, PolicySource::Own)))
    }

    /// Is there nothing in it to be checked that was not found good before, by this version?
    #[must_use]
    pub fn is_known(&self, last_good: Option<&LastGood>) -> bool {
        self.wanted().is_none_or(|(document, source)| last_good == Some(&LastGood::new(source, document.clone())))
    }
}

impl InForce {
    /// Decides. `last_good` is the record that an earlier [`InForce::remember`] asked to save.
    #[must_use]
    pub fn decide(offered: Offered<'_>, last_good: Option<&LastGood>) -> Self {
        if let Some((document, source)) = offered.wanted() {
            return Self::of(document, source, last_good, offered.installed_by_admin);
        }
        if offered.installed_by_admin {
            let expected = "a policy in managed storage, set by the administrator";
            let problem = PolicyError::new(Code::PolAbsent, "", expected);
            return Self { source: PolicySource::AskIt, problem: Some(problem), ..Self::default() };
        }
        Self::default()
    }

    fn of(document: &Value, source: PolicySource, last_good: Option<&LastGood>, by_admin: bool) -> Self {
        let found = LastGood::new(source, document.clone());
        let is_known = last_good == Some(&found);
        if let Some(policy) = is_known.then(|| Policy::parse_known(document)).flatten() {
            return Self { policy: Some(policy), source, ..Self::default() };
        }
        let problem = match Policy::parse(document) {
            Ok(policy) => {
                let remember = (!is_known).then_some(found);
                return Self { policy: Some(policy), source, problem: None, remember };
            }
            Err(problem) => Some(problem),
        };
        // The last good one was good for the version that saved it; this one must find it good too.
        match last_good.and_then(|last| last.from(source)).and_then(|document| Policy::parse(document).ok()) {
            Some(policy) => Self { policy: Some(policy), source, problem, remember: None },
            None => {
                let source = if by_admin { PolicySource::AskIt } else { PolicySource::None };
                Self { policy: None, source, problem, remember: None }
            }
        }
    }
}

fn present(document: Option<&Value>) -> Option<&Value> {
    document.filter(|document| !document.is_null() && document.as_object().is_none_or(|fields| !fields.is_empty()))
}
