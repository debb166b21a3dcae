//! What a record says to a person's other browsers, and what it takes from them.

use super::entry::{Decided, Outcome, SharedPin, Sight};
use crate::{
    identity::PublicKey,
    pins::{
        log::What,
        record::{Acceptance, Change, PeerRecord, PinnedIdentity},
        verdict::Verdict,
    },
    time::UnixMillis,
};

/// What became of something that another browser said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::pins) struct Taken {
    /// The record is not as it was.
    pub(in crate::pins) changed: bool,
    /// Another identity is pinned than before.
    pub(in crate::pins) moved: bool,
    /// What is to be in the history.
    pub(in crate::pins) told: Vec<What>,
}

impl PeerRecord {
    /// What other browsers are told.
    #[must_use]
    pub fn shared(&self) -> SharedPin {
        let (sight, decided) = self.known();
        SharedPin { user: self.user_id.clone(), sight, decided }
    }

    /// Notes what is known, before something is decided. Records of before have only the identities.
    pub(in crate::pins) fn remember(&mut self) {
        (self.sight, self.decided) = self.known();
    }

    fn known(&self) -> (Option<Sight>, Option<Decided>) {
        let sight = |pinned: &PinnedIdentity| Sight { master: pinned.master, at: pinned.since };
        let first = self.previous.as_ref().or(self.identity.as_ref()).map(sight);
        // Nothing but a decision puts one identity behind another, or says of one that it was compared.
        let compared = self.identity.as_ref().is_some_and(|pinned| pinned.compared);
        let decided = (self.previous.is_some() || compared).then(|| Decided {
            at: self.identity.as_ref().or(self.previous.as_ref()).map_or(self.first_seen, |pinned| pinned.since),
            outcome: Outcome::Accepted,
            master: self.identity.as_ref().map(|pinned| pinned.master),
            previous: self.previous.as_ref().map(|pinned| pinned.master),
            compared,
            before: None,
        });
        (self.sight.or(first), self.decided.or(decided))
    }

    /// Notes that this is what was decided, when the pin is as it is to be.
    pub(in crate::pins) fn settle_on(&mut self, outcome: Outcome, now: UnixMillis) {
        let before = self.decided.map(|before| before.at);
        let at = before.map_or(now, |before| now.max(UnixMillis(before.0.saturating_add(1))));
        let before = before.filter(|_| outcome == Outcome::Kept);
        let master = self.identity.as_ref().map(|pinned| pinned.master);
        let previous = self.previous.as_ref().map(|pinned| pinned.master);
        let compared = self.identity.as_ref().is_some_and(|pinned| pinned.compared);
        self.sight = self.sight.or(master.map(|master| Sight { master, at: now }));
        self.decided = Some(Decided { at, outcome, master, previous, compared, before });
    }

    /// Since when an identity is known, in whichever browser.
    pub(in crate::pins) fn known_since(&self, pinned: &PinnedIdentity) -> UnixMillis {
        let sight = self.sight.filter(|sight| sight.master == pinned.master).map(|sight| sight.at);
        let decided = self.decided.filter(|decided| decided.master == Some(pinned.master)).map(|decided| decided.at);
        sight.into_iter().chain(decided).chain([pinned.since]).min().unwrap_or(pinned.since)
    }

    /// Takes in what another browser of the owner's knows of the person: what was decided there after the last decision
    /// here, and a first sight that is older than the one here. Of two first sights, where this browser has looked for
    /// itself, neither is believed: both identities are held back until somebody decides.
    pub(in crate::pins) fn take(&mut self, theirs: &SharedPin, now: UnixMillis) -> Taken {
        let ours = self.shared();
        let merged = ours.merge(theirs);
        if merged == ours {
            return Taken::default();
        }
        self.remember();
        let decision = merged.decided.filter(|_| merged.decided != ours.decided);
        (self.sight, self.decided) = (merged.sight, merged.decided);
        let was = self.identity.as_ref().map(|pinned| pinned.master);
        let mut told = Vec::new();
        match (decision, merged.decided) {
            (Some(decided), _) => {
                told.push(What::Elsewhere { decided: Some(Box::new(decided)), sight: None });
                if ours.decided.is_some_and(|ours| ours.outcome == Outcome::Kept && ours.at > decided.at) {
                    // What was wanted held back here, later and not knowing of that, stays so; and is asked about again.
                    self.quiet = false;
                    return Taken { changed: true, moved: false, told };
                }
                self.follow(decided.master, decided.previous, decided.compared, now, &mut told);
                let accepted = decided.outcome == Outcome::Accepted && decided.previous.is_some();
                // What was accepted here of devices can be withdrawn still, where the identity is the same.
                if accepted || was != decided.master {
                    self.accepted = accepted.then_some(Acceptance::Identity);
                }
            }
            // An older sight changes nothing where somebody decided.
            (None, Some(_)) => {}
            (None, None) if was != merged.master() => {
                told.push(What::Elsewhere { decided: None, sight: merged.sight.map(Box::new) });
                if was.is_none() || self.unseen {
                    self.follow(merged.master(), None, false, now, &mut told);
                } else {
                    self.contest(now, &mut told);
                }
            }
            (None, None) => {}
        }
        // What was answered last is to be looked at again where the pin is another one, or what was in its way is gone.
        let moved = self.answer.is_empty();
        Taken { changed: true, moved, told }
    }

    /// Another browser saw another identity before this one saw its own: nothing is followed, and nothing passes.
    fn contest(&mut self, now: UnixMillis, told: &mut Vec<What>) {
        self.answer.clear();
        self.quiet = false;
        let (Some(old), Some(pinned)) = (self.contested_by(), &self.identity) else { return };
        // What is held back already stays what it is.
        if self.change.is_none() {
            let verdict = Verdict::MasterChanged { old, new: pinned.master };
            told.push(What::Seen(Box::new(verdict.clone())));
            self.change = Some(Change { verdict, at: now });
        }
    }

    /// Pins what was pinned elsewhere. What is published is measured by it from now on.
    fn follow(
        &mut self,
        master: Option<PublicKey>,
        previous: Option<PublicKey>,
        compared: bool,
        now: UnixMillis,
        told: &mut Vec<What>,
    ) {
        let pinned = |master: PublicKey, compared| PinnedIdentity { master, since: now, compared };
        let was = self.identity.as_ref().map(|pinned| pinned.master);
        self.previous = previous.map(|previous| pinned(previous, false));
        if was == master {
            if let Some(pinned) = &mut self.identity {
                pinned.compared |= compared;
            }
            let contested =
                |change: &Change| matches!(change.verdict, Verdict::MasterChanged { new, .. } if Some(new) == was);
            if self.change.as_ref().is_some_and(contested) {
                self.change = None;
                self.answer.clear();
            }
            return;
        }
        let published = match self.change.as_ref().map(|change| &change.verdict) {
            Some(Verdict::MasterChanged { new, .. }) => Some(*new),
            Some(Verdict::Unlisted { master }) => Some(*master),
            Some(Verdict::IdentityRemoved { .. }) => None,
            _ if self.unseen => None,
            _ => was,
        };
        self.unseen = true;
        self.identity = master.map(|master| pinned(master, compared));
        self.demote();
        self.answer.clear();
        self.newcomer = None;
        self.quiet = false;
        let verdict = match (self.change.take(), master, published) {
            // That this browser's own record was lost stays said until somebody decides.
            (Some(change), ..) if change.verdict == Verdict::StoreRolledBack => {
                self.change = Some(change);
                return;
            }
            (_, Some(old), Some(new)) if old != new => Verdict::MasterChanged { old, new },
            (Some(Change { verdict: Verdict::IdentityRemoved { .. }, .. }), Some(old), None) => {
                Verdict::IdentityRemoved { old }
            }
            // What is invalid is so whoever is pinned.
            (Some(change), ..)
                if matches!(change.verdict, Verdict::SignatureInvalid { .. } | Verdict::Malformed { .. }) =>
            {
                self.change = Some(change);
                return;
            }
            _ => return,
        };
        told.push(What::Seen(Box::new(verdict.clone())));
        self.change = Some(Change { verdict, at: now });
    }
}
