//! Whole answers that were taken in: a client that is answered the same again, byte for byte, need not hand it over.

use std::collections::VecDeque;

use sha2::{Digest, Sha256};

use super::{book::Book, verdict::Verdict};
use crate::{ident::UserId, policy::Pins};

/// How many answers are kept in mind. Clients ask for 250 people at a time.
const MAX_ANSWERS: usize = 64;

/// What a client was answered to a keys query.
pub struct Answered {
    /// The query's body.
    pub asked: String,
    /// The answer's body.
    pub answer: String,
    /// The page's digest of the two, where they are long.
    pub digest: Option<String>,
}

/// The answers that are kept in mind, while the background lives.
#[derive(Default)]
pub(super) struct Heard {
    /// What the policy said of pins when they were taken in.
    pins: Option<Pins>,
    answers: VecDeque<Answer>,
}

struct Answer {
    digest: String,
    /// Whom it is about.
    people: Vec<UserId>,
    /// What was known of them when it was taken in.
    state: [u8; 32],
}

impl Book {
    /// Is this an answer that was taken in, and has nobody in it been answered for otherwise since?
    #[must_use]
    pub fn has_heard(&self, pins: &Pins, digest: &str) -> bool {
        let answer = self.heard.answers.iter().find(|answer| answer.digest == digest);
        self.heard.pins.as_ref() == Some(pins)
            && answer.is_some_and(|answer| self.state_of(&answer.people) == Some(answer.state))
    }

    /// Keeps an answer in mind that was taken in.
    pub(super) fn keep_in_mind(&mut self, pins: &Pins, digest: &str, people: Vec<UserId>) {
        let Some(state) = self.state_of(&people) else { return };
        if self.heard.pins.as_ref() != Some(pins) {
            self.heard = Heard { pins: Some(pins.clone()), answers: VecDeque::new() };
        }
        let answers = &mut self.heard.answers;
        answers.retain(|answer| answer.digest != digest);
        if answers.len() >= MAX_ANSWERS {
            answers.pop_front();
        }
        answers.push_back(Answer { digest: digest.to_owned(), people, state });
    }

    /// SHA-256 over what each of them was last answered for; `None` where that alone does not say what to do with it.
    fn state_of(&self, people: &[UserId]) -> Option<[u8; 32]> {
        let mut hash = Sha256::new();
        for user in people {
            let record = self.records.get(user)?;
            if record.change.as_ref().is_some_and(|change| matches!(change.verdict, Verdict::Unlisted { .. })) {
                return None;
            }
            hash.update((record.answer.len() as u64).to_be_bytes());
            hash.update(&record.answer);
        }
        Some(hash.finalize().into())
    }
}
