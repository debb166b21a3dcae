//! What a person's browsers tell each other of somebody, and what two of them know together.
//!
//! The rules: a decision beats an observation, the newer decision beats the older, and the first sight is never lost. Both
//! are a maximum or a minimum over a total order; so it does not matter who tells whom, in which order, or how often. That
//! something is to be held back still is as new as what it was said of: a browser that has not heard of an acceptance yet
//! says nothing against it.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::{ident::UserId, identity::PublicKey, time::UnixMillis};

/// The first sight of somebody's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// The master key.
    #[serde(rename = "k")]
    pub master: PublicKey,
    /// When, by the clock of the browser that saw it.
    #[serde(rename = "t")]
    pub at: UnixMillis,
}

/// What was decided about somebody's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The organisation's list of people named another one.
    Reset,
    /// Somebody accepted what was published.
    Accepted,
    /// Somebody took an acceptance back.
    Withdrawn,
    /// Somebody wants another one held back.
    Kept,
}

/// The last decision about somebody's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// When; later than the decision before it, whatever the clock says.
    #[serde(rename = "t")]
    pub at: UnixMillis,
    /// What.
    #[serde(rename = "o")]
    pub outcome: Outcome,
    /// The master key that is pinned by it; `None` where it is that there is none any more.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub master: Option<PublicKey>,
    /// The one before: what the next is compared with where there is none now.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<PublicKey>,
    /// The security code of the pinned one was compared.
    #[serde(rename = "c", default, skip_serializing_if = "std::ops::Not::not")]
    pub compared: bool,
    /// Of [`Outcome::Kept`]: when the decision was made that was the last until then.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub before: Option<UnixMillis>,
}

/// What a person's browsers know of somebody's identity. No devices: each browser sees those for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedPin {
    /// Of whom.
    #[serde(rename = "u")]
    pub user: UserId,
    /// The first sight.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub sight: Option<Sight>,
    /// The last decision.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Decided>,
}

impl Sight {
    /// The older one; of two at one time always the same.
    fn order(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at).then_with(|| self.master.to_base64().cmp(&other.master.to_base64()))
    }
}

impl Decided {
    /// As of when it knows what was decided.
    fn knows_until(&self) -> UnixMillis {
        if self.outcome == Outcome::Kept { self.before.unwrap_or(UnixMillis(0)) } else { self.at }
    }

    /// The newer one; of two at one time the more careful, else always the same.
    fn order(&self, other: &Self) -> Ordering {
        let text = |key: Option<PublicKey>| key.map(|key| key.to_base64());
        let order = (self.knows_until(), self.at, self.outcome).cmp(&(other.knows_until(), other.at, other.outcome));
        let order = order.then_with(|| text(self.master).cmp(&text(other.master)));
        let order = order.then_with(|| text(self.previous).cmp(&text(other.previous)));
        order.then((self.compared, self.before).cmp(&(other.compared, other.before)))
    }
}

impl SharedPin {
    /// What two browsers know together; of another person's it takes nothing.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        if self.user != other.user {
            return self.clone();
        }
        Self {
            user: self.user.clone(),
            sight: self.sight.into_iter().chain(other.sight).min_by(Sight::order),
            decided: self.decided.into_iter().chain(other.decided).max_by(Decided::order),
        }
    }

    /// The master key that is pinned by what is known.
    #[must_use]
    pub fn master(&self) -> Option<PublicKey> {
        self.decided.map_or_else(|| self.sight.map(|sight| sight.master), |decided| decided.master)
    }

    /// The same without what is of a later time than this.
    pub(super) fn until(&self, latest: UnixMillis) -> Self {
        Self {
            user: self.user.clone(),
            sight: self.sight.filter(|sight| sight.at <= latest),
            decided: self.decided.filter(|decided| decided.at <= latest),
        }
    }

    /// Is there nothing that another browser could use?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.sight.is_none() && self.decided.is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{identity::derive_public, secret::SecretBytes};

    fn key(byte: u8) -> PublicKey {
        derive_public(&SecretBytes::new([byte; 32]))
    }

    fn pin(sight: Option<(u8, u64)>, decided: Option<Decided>) -> SharedPin {
        let sight = sight.map(|(byte, at)| Sight { master: key(byte), at: UnixMillis(at) });
        SharedPin { user: UserId::parse("@bob:a").unwrap(), sight, decided }
    }

    fn decision(at: u64, outcome: Outcome, master: u8) -> Option<Decided> {
        let master = Some(key(master));
        Some(Decided { at: UnixMillis(at), outcome, master, previous: None, compared: false, before: None })
    }

    #[test]
    fn each_rule_by_itself() {
        let nothing = pin(None, None);
        let (old, new) = (pin(Some((1, 5)), None), pin(Some((2, 9)), None));
        assert_eq!(nothing.merge(&new), new, "what was unknown is known");
        assert_eq!(old.merge(&new), old, "the first sight stays");
        assert_eq!(new.merge(&old).master(), Some(key(1)), "whoever saw it later takes the earlier one over");
        let accepted = pin(Some((2, 9)), decision(10, Outcome::Accepted, 2));
        let both = old.merge(&accepted);
        assert_eq!(both.master(), Some(key(2)), "a decision beats an older observation");
        assert_eq!(both.sight, old.sight, "and the first sight is known still");
        let observed_later = pin(Some((3, 99)), None);
        assert_eq!(accepted.merge(&observed_later).master(), Some(key(2)), "and a newer one");
        let withdrawn = pin(Some((1, 5)), decision(11, Outcome::Withdrawn, 1));
        assert_eq!(both.merge(&withdrawn).master(), Some(key(1)), "the newer decision beats the older");
        let withdrawn = pin(None, decision(10, Outcome::Withdrawn, 1));
        assert_eq!(accepted.merge(&withdrawn).master(), Some(key(1)), "of two at one time the more careful");
        let kept = |before| {
            let decided = decision(12, Outcome::Kept, 1).map(|kept| Decided { before, ..kept });
            accepted.merge(&pin(None, decided)).master()
        };
        assert_eq!(kept(None), Some(key(2)), "who did not know of it has said nothing of it");
        assert_eq!(kept(Some(UnixMillis(9))), Some(key(2)));
        assert_eq!(kept(Some(UnixMillis(10))), Some(key(1)), "and who knew of it has");
        let other = SharedPin { user: UserId::parse("@eve:a").unwrap(), ..old.clone() };
        assert_eq!(new.merge(&other), new, "nothing of anybody else");
    }

    #[test]
    fn that_there_is_no_identity_any_more_is_a_decision_too() {
        let removed = Decided {
            at: UnixMillis(7),
            outcome: Outcome::Accepted,
            master: None,
            previous: Some(key(1)),
            compared: false,
            before: None,
        };
        assert_eq!(pin(Some((1, 5)), None).merge(&pin(None, Some(removed))).master(), None);
    }

    #[test]
    fn the_written_form_is_short_and_stays() {
        let text = serde_json::to_string(&pin(Some((1, 5)), decision(10, Outcome::Kept, 1))).unwrap();
        let k = key(1).to_base64();
        assert_eq!(text, format!(r#"{{"u":"@bob:a","s":{{"k":"{k}","t":5}},"d":{{"t":10,"o":"kept","k":"{k}"}}}}"#));
        assert_eq!(serde_json::to_string(&pin(None, None)).unwrap(), r#"{"u":"@bob:a"}"#);
    }

    prop_compose! {
        fn pins()(
            sight in proptest::option::of((0_u8..3, 0_u64..3)),
            decided in proptest::option::of((0_u64..3, 0_usize..4, proptest::option::of(0_u8..3), 0_u8..3, any::<bool>())),
            before in proptest::option::of(0_u64..3),
        ) -> SharedPin {
            let outcomes = [Outcome::Reset, Outcome::Accepted, Outcome::Withdrawn, Outcome::Kept];
            let decided = decided.map(|(at, outcome, master, previous, compared)| Decided {
                at: UnixMillis(at),
                outcome: outcomes[outcome],
                master: master.map(key),
                previous: Some(key(previous)),
                compared,
                before: before.map(UnixMillis),
            });
            pin(sight, decided)
        }
    }

    proptest! {
        #[test]
        fn who_tells_whom_and_how_often_does_not_matter(a in pins(), b in pins(), c in pins()) {
            prop_assert_eq!(a.merge(&b), b.merge(&a));
            prop_assert_eq!(a.merge(&b).merge(&c), a.merge(&b.merge(&c)));
            prop_assert_eq!(a.merge(&a), a.clone());
            let ab = a.merge(&b);
            prop_assert_eq!(ab.merge(&b), ab.clone());
            prop_assert!(ab.sight.is_some() == (a.sight.is_some() || b.sight.is_some()), "a first sight is never lost");
        }
    }
}
