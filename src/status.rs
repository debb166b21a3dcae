//! What the extension's own pages show: made by the background, drawn by the pages, holding no secret.

mod request;
mod typed;

use serde::{Deserialize, Serialize};

pub use self::{request::PageRequest, typed::Typed};
use crate::{
    error::Code,
    ident::{EmailAddress, Fingerprint, KeyId, Origin, UserId},
    identity::PublicKey,
    pins::{OwnDevice, PersonView},
    policy::ContactUrl,
    restore::drill::Drill,
    rotate::Compromised,
    time::UnixMillis,
};

/// The steps of a first set-up, in their order (see [`crate::bootstrap`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepName {
    /// Read what is there.
    Look,
    /// Find who may open the sealed recovery.
    Recipients,
    /// Make the recovery key and seal it.
    Make,
    /// Write the sealed recovery, read it back, compare.
    Seal,
    /// Make it the account's secret storage.
    Switch,
    /// Store the secrets.
    Store,
    /// Read everything back and open it.
    Prove,
}

impl StepName {
    /// All of them, in order.
    pub const ALL: [Self; 7] =
        [Self::Look, Self::Recipients, Self::Make, Self::Seal, Self::Switch, Self::Store, Self::Prove];
}

/// Where an account stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// There is no policy yet; where the extension was installed by an administrator: ask IT.
    #[default]
    NoPolicy,
    /// Nobody is logged in.
    SignedOut,
    /// Element, or we, are setting up.
    Working,
    /// Everything is in place and proven.
    Complete,
    /// Nobody's certificate may be used yet; tried again later.
    Waiting,
    /// Secret storage belongs to a key that is not ours; untouched.
    Foreign,
    /// The person switched key storage or recovery off; untouched.
    Declined,
    /// A person must confirm a recipient ([`Question::Confirm`]).
    Confirm,
    /// A person must keep the recovery key ([`Question::Keep`]).
    Keep,
    /// A person must open the sealed recovery, or enter the recovery key ([`Question::Recover`]).
    Recover,
    /// A person must say whether the account's identity is theirs ([`Question::Believe`]).
    Believe,
    /// Secret storage belongs to a key that is not ours, and the person may open it ([`Question::Adopt`]).
    Adopt,
    /// Something failed; tried again later, nothing lost.
    Failed,
}

/// Why a certificate may open the sealed recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It is the account's owner's.
    Own,
    /// It is the organisation's escrow certificate.
    Escrow,
}

/// A certificate that may open the sealed recovery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipientView {
    /// Whose.
    pub role: Role,
    /// The certificate's fingerprint.
    pub fingerprint: Fingerprint,
    /// The user ID that was matched, as it is written in the certificate.
    pub user_id: String,
}

/// What is known of a run; each [`crate::effect::Effect::Report`] replaces the last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Where the account stands.
    pub state: State,
    /// The step that is under way or failed; all before it are done. `None` before the first and after the last.
    pub step: Option<StepName>,
    /// Who may open the sealed recovery.
    pub recipients: Vec<RecipientView>,
    /// When the sealed recovery was last written, read back and found equal.
    pub sealed_proven_at: Option<UnixMillis>,
    /// What went wrong last, and when.
    pub problem: Option<(Code, UnixMillis)>,
    /// When the next try is due.
    pub retry_at: Option<UnixMillis>,
    /// What is asked of the person.
    pub question: Option<Question>,
    /// What is to be known of recipients, and of a rotation.
    pub rotation: RotationView,
}

/// What is to be known of the recipients, and of a rotation ([`crate::rotate`]).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RotationView {
    /// Who will be able to open the sealed recovery.
    pub upcoming: Vec<Upcoming>,
    /// Whose certificate expires soon, or has expired, and when.
    pub expiring: Vec<(RecipientView, UnixMillis)>,
    /// Somebody may hold a recovery key of before.
    pub compromised: Option<Compromised>,
    /// Why one who is not to open the sealed recovery any more still does, and since when it waits.
    pub problem: Option<(Code, UnixMillis)>,
}

/// A recipient that is to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upcoming {
    /// Which.
    pub recipient: RecipientView,
    /// It is not used before.
    pub from: UnixMillis,
}

impl Progress {
    /// Must the person be called? For a question, for a recipient that is to come, and for trouble that does not pass by itself.
    #[must_use]
    pub fn calls(&self) -> bool {
        let passes = self.retry_at.is_some() && self.problem.is_some_and(|(code, _)| PASSING.contains(&code));
        let RotationView { upcoming, compromised, problem, .. } = &self.rotation;
        let told = !upcoming.is_empty() || compromised.is_some() || problem.is_some();
        self.question.is_some() || told || (self.state == State::Failed && !passes)
    }
}

/// What is over, as a rule, when it is tried again.
const PASSING: [Code; 11] = [
    Code::NetUnreachable,
    Code::NetServer,
    Code::NetLimited,
    Code::NetToken,
    Code::NetAnswer,
    Code::RecPage,
    Code::RecNoIdentity,
    Code::RecReadBack,
    Code::RecSecretMissing,
    Code::RecDevice,
    Code::StoFailed,
];

/// A question that only the person can answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Question {
    /// Is this certificate yours? The pair of account and address is the homeserver's word only.
    Confirm {
        /// The account.
        account: UserId,
        /// The address that the homeserver or the person named.
        address: EmailAddress,
        /// The certificate's matching user ID.
        user_id: String,
        /// Its fingerprint.
        fingerprint: Fingerprint,
    },
    /// Keep this recovery key: there is no directory. The key itself is asked for separately.
    Keep {
        /// Its id: when it changes, another key was made in its place.
        key_id: KeyId,
    },
    /// Open the account's history on this browser: with the opened sealed recovery, or with the recovery key.
    Recover {
        /// The account.
        account: UserId,
        /// The sealed recovery, ASCII-armored, where the account has one for the key in force.
        message: Option<String>,
        /// How it stands with GnuPG, where the policy names its host and there is a message for it.
        #[serde(default)]
        gnupg: Option<GnupgView>,
        /// In which group of four characters, counted from 1, the recovery key was mistyped that was given last, where that
        /// can be known.
        #[serde(default)]
        group: Option<usize>,
    },
    /// Open secret storage that somebody else set up, with the recovery key or passphrase that was made there: then it
    /// comes into our care. The person may say *not now*.
    Adopt {
        /// The account.
        account: UserId,
        /// Can a passphrase open it?
        passphrase: bool,
        /// As in [`Question::Recover`].
        group: Option<usize>,
    },
    /// Is this identity yours? The sealed recovery was opened, but anyone can seal something to a person.
    Believe {
        /// The account.
        account: UserId,
        /// The master key that the recovery key opens.
        master_key: PublicKey,
        /// Its security code, in groups of five digits.
        security_code: String,
    },
    /// Was it you who reset the identity? Answered by [`PageRequest::Believe`].
    Reset {
        /// The account.
        account: UserId,
        /// The new master key.
        master_key: PublicKey,
        /// Its security code, in groups of five digits.
        security_code: String,
    },
}

impl Question {
    /// Where an account stands that waits for the answer.
    #[must_use]
    pub const fn state(&self) -> State {
        match self {
            Self::Confirm { .. } => State::Confirm,
            Self::Keep { .. } => State::Keep,
            Self::Recover { .. } => State::Recover,
            Self::Believe { .. } | Self::Reset { .. } => State::Believe,
            Self::Adopt { .. } => State::Adopt,
        }
    }
}

/// How it stands with GnuPG on the person's own machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GnupgView {
    /// Why it did not open the sealed recovery when it was last asked.
    pub problem: Option<Code>,
}

/// One deployment as the popup shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentView {
    /// The Element Web origin.
    pub origin: Origin,
    /// Who is logged in there, if anyone.
    pub account: Option<UserId>,
    /// Does the extension hold the host permissions it needs?
    pub permitted: bool,
    /// How far things are.
    pub progress: Progress,
    /// Does this browser hold keys of an account here: of the one that is logged in, else of any?
    #[serde(default)]
    pub holds_keys: bool,
    /// How the last test of the backup ended, if there was one.
    #[serde(default)]
    pub drill: Option<Drill>,
    /// Is it time to test the backup?
    #[serde(default)]
    pub drill_due: bool,
    /// The people whose keys are not as they were.
    #[serde(default)]
    pub people: Vec<PersonView>,
    /// The account's own devices, all that were ever seen.
    #[serde(default)]
    pub devices: Vec<OwnDevice>,
    /// What is wrong with what the person's browsers share of others' keys, and since when.
    #[serde(default)]
    pub shared: Option<(Code, UnixMillis)>,
}

/// What there is to be tested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillStart {
    /// The sealed recovery, ASCII-armored; absent where the person keeps the recovery key.
    pub message: Option<String>,
    /// Does the policy name GnuPG's host?
    pub gnupg: bool,
}

/// All that the popup shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Where the policy comes from.
    pub policy: PolicySource,
    /// What is wrong with the policy, and in which field.
    pub policy_problem: Option<(Code, String)>,
    /// Where *Ask IT* leads, where the policy says.
    #[serde(default)]
    pub ask_it: Option<ContactUrl>,
    /// The deployments of the policy.
    pub deployments: Vec<DeploymentView>,
}

/// Where the policy in force comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicySource {
    /// There is none.
    #[default]
    None,
    /// There is none, and the extension was installed by an administrator: the options page is not read.
    AskIt,
    /// The organisation's managed storage.
    Managed,
    /// The person's options page.
    Own,
}

/// What the background answers a page of the extension: `{"Ok": …}`, or `{"Err": …}` where it did not do what was asked.
pub type Reply<T> = Result<T, Refusal>;

/// Why the background did not do what a page of the extension asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The request is of no known form: page and background are of different versions.
    #[error("the request is of no known form")]
    Form,
    /// Nothing of that kind is asked of the person now.
    #[error("nothing of that kind is asked")]
    NotAsked,
    /// Another recovery key waits to be kept than the one that was shown.
    #[error("another recovery key waits")]
    Replaced,
    /// Nothing was saved: the browser's storage failed.
    #[error("it was not saved")]
    NotSaved,
    /// The background cannot start.
    #[error("the background cannot start")]
    NotStarted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_person_is_called_for_questions_and_for_what_does_not_pass() {
        let failed = |code, retry_at| Progress {
            state: State::Failed,
            problem: Some((code, UnixMillis(1))),
            retry_at,
            ..Progress::default()
        };
        let soon = Some(UnixMillis(2));
        assert!(!Progress::default().calls());
        assert!(!failed(Code::NetUnreachable, soon).calls());
        assert!(failed(Code::NetUnreachable, None).calls(), "nobody tries again");
        assert!(failed(Code::RecIdentity, soon).calls(), "another identity stays another identity");
        let waiting = Progress { state: State::Waiting, retry_at: soon, ..Progress::default() };
        assert!(!waiting.calls());
        let question = Some(Question::Keep { key_id: KeyId::parse("a").unwrap() });
        assert!(Progress { question, ..Progress::default() }.calls());
    }

    #[test]
    fn a_reply_is_one_or_the_other() {
        assert_eq!(serde_json::to_string(&Reply::Ok(1)).unwrap(), r#"{"Ok":1}"#);
        assert_eq!(serde_json::to_string(&Reply::<()>::Err(Refusal::NotSaved)).unwrap(), r#"{"Err":"not_saved"}"#);
    }
}
