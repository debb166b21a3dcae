//! Whole answers that were taken in: a client that is answered the same again, byte for byte, need not hand it over.

use std::collections::VecDeque;

use sha2::{Digest, Sha256};

use super::{answer::MAX_ANSWER_BYTES, book::Book, verdict::Verdict};
use crate::{ident::UserId, policy::Pins};

/// How many answers are kept in mind. Clients ask for 250 people at a time.
const MAX_ANSWERS: usize = 64;

/// What a client was answered to a keys query.
pub struct Answered {
    /// The query's body.
    pub(super) asked: String,
    /// The answer's body; `None` where it stayed in the page, because nobody would read so long a one.
    pub(super) answer: Option<String>,
    /// The page's digest of the two, where they are long.
    pub(super) digest: Option<String>,
}

impl Answered {
    /// The answer to a query as a page hands it in: its body, and the digest of the two where they are long.
    #[must_use]
    pub const fn new(asked: String, answer: String, digest: Option<String>) -> Self {
        Self { asked, answer: Some(answer), digest }
    }

    /// An answer of which a page says no more than how many bytes it has; `None` where one of that size is read, and has to
    /// be handed in.
    #[must_use]
    pub fn too_long(asked: String, bytes: u64) -> Option<Self> {
        (bytes > MAX_ANSWER_BYTES as u64).then_some(Self { asked, answer: None, digest: None })
    }
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

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn a_page_keeps_to_itself_what_nobody_would_read_and_nothing_else() {
        let hook = Path::new(env!("CARGO_MANIFEST_DIR")).join("extension/hook/wire.js");
        let longest = format!("const LONGEST = {} << 20;", MAX_ANSWER_BYTES >> 20);
        assert!(fs::read_to_string(hook).unwrap().contains(&longest), "the page has another limit than {longest}");
        let most = (MAX_ANSWER_BYTES >> 20 << 20) as u64;
        assert!(Answered::too_long(String::new(), most).is_none());
        assert!(Answered::too_long(String::new(), most + 1).is_some());
    }
}
