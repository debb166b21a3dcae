//! What pages of the extension ask the background.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Typed;
use crate::{
    ident::{Fingerprint, KeyId, Origin, UserId},
    identity::PublicKey,
    pins::Decision,
};

/// What a page of the extension asks the background (`runtime.sendMessage`); each is answered with a [`super::Reply`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", try_from = "Fields")]
pub enum PageRequest {
    /// The status; answered with [`super::Status`].
    Status,
    /// The recipient was confirmed or refused; answered with [`super::Status`] when that is saved.
    Confirm {
        /// Of which deployment.
        origin: Origin,
        /// Of which account there.
        account: UserId,
        /// Which certificate the person saw.
        fingerprint: Fingerprint,
        /// Yes or no.
        accept: bool,
    },
    /// Show the recovery key that waits to be kept; answered with its `key_id` and its `text` in the Matrix base58 form.
    RecoveryKey {
        /// Of which deployment.
        origin: Origin,
    },
    /// The person kept the recovery key of this id; answered with [`super::Status`] when that is saved.
    Kept {
        /// Of which deployment.
        origin: Origin,
        /// Which key the person saw.
        key_id: KeyId,
    },
    /// Open the account's history with this: the opened sealed recovery or the recovery key, as it was typed or pasted.
    /// Answered with [`super::Status`] when the attempt is over.
    Recover {
        /// Of which deployment.
        origin: Origin,
        /// The text. Sent within the extension only.
        text: Typed,
    },
    /// The person does not want to open secret storage that somebody else set up, for now; answered with [`super::Status`].
    NotNow {
        /// Of which deployment.
        origin: Origin,
        /// Of which account.
        account: UserId,
    },
    /// This browser is to forget the keys of an account; of all there, where none is named. Answered with [`super::Status`] when
    /// that is done.
    Wipe {
        /// Of which deployment.
        origin: Origin,
        /// Of which account.
        account: Option<UserId>,
    },
    /// What there is to be tested; answered with [`super::DrillStart`], or with the code of what is wrong.
    DrillStart {
        /// Of which deployment.
        origin: Origin,
    },
    /// Test the backup: with what the person opened, else with GnuPG. Answered with [`super::Drill`], or with the code of what was
    /// wrong before there was anything to compare.
    Drill {
        /// Of which deployment.
        origin: Origin,
        /// The text. Sent within the extension only.
        given: Option<Typed>,
    },
    /// The people about whom something was decided lately; answered with a list of [`crate::pins::DecidedView`].
    Decided {
        /// Of which deployment.
        origin: Origin,
        /// Of which account there.
        account: UserId,
    },
    /// The log of what happened to people's keys, for the person to keep; answered with its text.
    Evidence {
        /// On which deployment.
        origin: Origin,
        /// Of which account.
        account: UserId,
    },
    /// The person wants GnuPG to open the sealed recovery; the next [`PageRequest::Retry`] has it do so, or, where the
    /// browser starts the extension anew for that, the next run. Answered with [`super::Status`].
    WishGnupg {
        /// Of which deployment.
        origin: Origin,
        /// Of which account.
        account: UserId,
    },
    /// The account's identity was recognised, or not; answered with [`super::Status`].
    Believe {
        /// Of which deployment.
        origin: Origin,
        /// Of which account there.
        account: UserId,
        /// The master key the person saw the security code of.
        master_key: PublicKey,
        /// Yes or no.
        accept: bool,
    },
    /// The person read what a compromise means; answered with [`super::Status`].
    CompromiseRead {
        /// Of which deployment.
        origin: Origin,
        /// Of which account.
        account: UserId,
    },
    /// The person read what is wrong with what the browsers share; answered with [`super::Status`].
    SharedRead {
        /// Of which deployment.
        origin: Origin,
        /// Of which account.
        account: UserId,
    },
    /// Try again now; answered with [`super::Status`].
    Retry {
        /// Of which deployment.
        origin: Origin,
    },
    /// The person decided about somebody whose keys are not as they were; answered with [`super::Status`].
    Decide {
        /// Of which deployment.
        origin: Origin,
        /// Of which account there.
        account: UserId,
        /// About whom.
        peer: UserId,
        /// What.
        decision: Box<Decision>,
    },
    /// The policy of the options page; answered with the JSON document or `null`.
    OwnPolicy,
    /// Save the policy of the options page; answered with `null`, or with `[code, path, expected]` where it is refused.
    SaveOwnPolicy {
        /// The document.
        policy: Value,
    },
}

/// A request as it is read: what serde makes of an enum with a tag is several times as large.
#[derive(Deserialize)]
struct Fields {
    ask: String,
    origin: Option<Origin>,
    account: Option<UserId>,
    fingerprint: Option<Fingerprint>,
    accept: Option<bool>,
    key_id: Option<KeyId>,
    text: Option<Typed>,
    given: Option<Typed>,
    master_key: Option<PublicKey>,
    peer: Option<UserId>,
    decision: Option<Box<Decision>>,
    policy: Option<Value>,
}

impl TryFrom<Fields> for PageRequest {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        fields.read().ok_or("no request")
    }
}

impl Fields {
    fn read(self) -> Option<PageRequest> {
        let Self { ask, origin, account, fingerprint, accept, key_id, text, given, master_key, peer, decision, policy } =
            self;
        match &*ask {
            "status" => return Some(PageRequest::Status),
            "own_policy" => return Some(PageRequest::OwnPolicy),
            "save_own_policy" => return Some(PageRequest::SaveOwnPolicy { policy: policy? }),
            _ => {}
        }
        let origin = origin?;
        match &*ask {
            "recovery_key" => return Some(PageRequest::RecoveryKey { origin }),
            "kept" => return Some(PageRequest::Kept { origin, key_id: key_id? }),
            "recover" => return Some(PageRequest::Recover { origin, text: text? }),
            "wipe" => return Some(PageRequest::Wipe { origin, account }),
            "drill_start" => return Some(PageRequest::DrillStart { origin }),
            "drill" => return Some(PageRequest::Drill { origin, given }),
            "retry" => return Some(PageRequest::Retry { origin }),
            _ => {}
        }
        let account = account?;
        Some(match &*ask {
            "confirm" => PageRequest::Confirm { origin, account, fingerprint: fingerprint?, accept: accept? },
            "not_now" => PageRequest::NotNow { origin, account },
            "decided" => PageRequest::Decided { origin, account },
            "evidence" => PageRequest::Evidence { origin, account },
            "wish_gnupg" => PageRequest::WishGnupg { origin, account },
            "believe" => PageRequest::Believe { origin, account, master_key: master_key?, accept: accept? },
            "compromise_read" => PageRequest::CompromiseRead { origin, account },
            "shared_read" => PageRequest::SharedRead { origin, account },
            "decide" => PageRequest::Decide { origin, account, peer: peer?, decision: decision? },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretText;

    #[test]
    fn each_request_is_read_as_it_was_sent_and_nothing_else_is_one() {
        let origin = || Origin::parse("https://chat.example.org").unwrap();
        let account = || UserId::parse("@ann:example.org").unwrap();
        let typed = || Typed::new(SecretText::new("what was typed".into()));
        let fingerprint = Fingerprint::parse(&"A1".repeat(20)).unwrap();
        let master_key = crate::identity::derive_public(&crate::secret::SecretBytes::new([1; 32]));
        let decision = Box::new(Decision::Withdraw);
        let all = [
            PageRequest::Status,
            PageRequest::Confirm { origin: origin(), account: account(), fingerprint, accept: false },
            PageRequest::RecoveryKey { origin: origin() },
            PageRequest::Kept { origin: origin(), key_id: KeyId::parse("key").unwrap() },
            PageRequest::Recover { origin: origin(), text: typed() },
            PageRequest::NotNow { origin: origin(), account: account() },
            PageRequest::Wipe { origin: origin(), account: None },
            PageRequest::Wipe { origin: origin(), account: Some(account()) },
            PageRequest::DrillStart { origin: origin() },
            PageRequest::Drill { origin: origin(), given: None },
            PageRequest::Drill { origin: origin(), given: Some(typed()) },
            PageRequest::Decided { origin: origin(), account: account() },
            PageRequest::Evidence { origin: origin(), account: account() },
            PageRequest::WishGnupg { origin: origin(), account: account() },
            PageRequest::Believe { origin: origin(), account: account(), master_key, accept: true },
            PageRequest::CompromiseRead { origin: origin(), account: account() },
            PageRequest::SharedRead { origin: origin(), account: account() },
            PageRequest::Retry { origin: origin() },
            PageRequest::Decide { origin: origin(), account: account(), peer: account(), decision },
            PageRequest::OwnPolicy,
            PageRequest::SaveOwnPolicy { policy: serde_json::json!({ "version": 1 }) },
        ];
        for request in all {
            let sent = serde_json::to_value(&request).unwrap();
            assert_eq!(serde_json::from_value::<PageRequest>(sent.clone()).unwrap(), request);
            // Whatever is missing, it is not another request.
            for field in sent.as_object().unwrap().keys() {
                let mut less = sent.clone();
                less.as_object_mut().unwrap().remove(field);
                let read = serde_json::from_value::<PageRequest>(less);
                let may_miss = ["account", "given"].contains(&&**field)
                    && matches!(request, PageRequest::Wipe { .. } | PageRequest::Drill { .. });
                assert_eq!(read.is_ok(), may_miss, "{request:?} without {field}");
            }
        }
        for none in ["", "Status", "status ", "integrity"] {
            assert!(serde_json::from_value::<PageRequest>(serde_json::json!({ "ask": none })).is_err(), "{none}");
        }
    }
}
