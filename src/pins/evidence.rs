//! The log as evidence, outside the browser that wrote it: every line follows from the one before it.
//!
//! Whoever can write the file can write another one from its beginning: the hash of the last line is what to compare with
//! what was noted elsewhere at that time.

use super::log::{Content, chain_hash, line_hash};
use crate::{
    error::{Code, Coded},
    time::UnixMillis,
};

/// What a whole log has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The number of the last entry.
    pub last: u64,
    /// How many entries it has in words.
    pub entries: u64,
    /// How many older ones are stood in for by their hash.
    pub condensed: u64,
    /// When the first of those in words was written.
    pub from: Option<UnixMillis>,
    /// When the last was.
    pub to: Option<UnixMillis>,
    /// The hash of the last line: SHA-256 in base64 without padding.
    pub head: String,
}

/// Why a log is no evidence. Lines count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// There is nothing in it.
    #[error("no entries")]
    Empty,
    /// A line cannot be read.
    #[error("line {0} cannot be read")]
    Unreadable(usize),
    /// A line does not follow from the one before it.
    #[error("line {0} does not follow from the one before it")]
    Broken(usize),
}

impl Coded for EvidenceError {
    fn code(&self) -> Code {
        match self {
            Self::Empty | Self::Unreadable(_) | Self::Broken(_) => Code::PinEvidence,
        }
    }
}

/// Follows a log from its first line to its last.
///
/// # Errors
/// [`EvidenceError`], with the first line that is wrong.
pub fn verify_evidence(text: &str) -> Result<Evidence, EvidenceError> {
    let (mut evidence, mut next) =
        (Evidence { last: 0, entries: 0, condensed: 0, from: None, to: None, head: String::new() }, 1);
    for (index, line) in text.lines().enumerate() {
        let content = serde_json::from_str(line).map_err(|_| EvidenceError::Unreadable(index + 1))?;
        let follows = match &content {
            Content::Entry(entry) => {
                evidence.entries += 1;
                evidence.from.get_or_insert(entry.at);
                evidence.to = Some(entry.at);
                evidence.last = entry.number;
                entry.number == next && entry.previous == evidence.head
            }
            Content::Gone { gone } => {
                evidence.condensed += gone.to.saturating_sub(gone.from).saturating_add(1);
                evidence.last = gone.to;
                gone.from == next && gone.from <= gone.to
            }
        };
        if !follows {
            return Err(EvidenceError::Broken(index + 1));
        }
        evidence.head = chain_hash(&content).unwrap_or_else(|| line_hash(line));
        next = evidence.last.saturating_add(1);
    }
    if evidence.last == 0 { Err(EvidenceError::Empty) } else { Ok(evidence) }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Log, MAX_OF_ONE, Verdict, What},
        *,
    };
    use crate::ident::UserId;

    fn log(entries: u64) -> String {
        let mut log = Log::default();
        for at in 0..entries {
            let peer = UserId::parse(if at % 3 == 0 { "@ann:a" } else { "@bob:a" }).unwrap();
            log.add(UnixMillis(at), &peer, What::Seen(Box::new(Verdict::StoreRolledBack))).unwrap();
        }
        log.to_text()
    }

    #[test]
    fn a_log_is_evidence_and_no_other_text_is() {
        let text = log(6);
        let evidence = verify_evidence(&text).unwrap();
        assert_eq!((evidence.entries, evidence.last, evidence.condensed), (6, 6, 0));
        assert_eq!((evidence.from, evidence.to), (Some(UnixMillis(0)), Some(UnixMillis(5))));
        assert_eq!(evidence.head, line_hash(text.lines().last().unwrap()));
        let lines: Vec<_> = text.lines().collect();
        let without = |left_out: usize| [&lines[..left_out], &lines[left_out + 1..]].concat().join("\n");
        assert_eq!(verify_evidence(&without(0)), Err(EvidenceError::Broken(1)));
        assert_eq!(verify_evidence(&without(3)), Err(EvidenceError::Broken(4)));
        assert_eq!(verify_evidence(&text.replace("\"at\":2,", "\"at\":7,")), Err(EvidenceError::Broken(4)));
        assert_eq!(
            verify_evidence(&text.replace("\"number\":4", "\"number\":\"4\"")),
            Err(EvidenceError::Unreadable(4))
        );
        assert_eq!(verify_evidence(""), Err(EvidenceError::Empty));
        // The last line is known by its hash alone.
        assert_ne!(verify_evidence(&text.replace("\"at\":5,", "\"at\":7,")).unwrap().head, evidence.head);
    }

    #[test]
    fn a_log_that_was_condensed_is_still_whole() {
        let text = log(4 * MAX_OF_ONE as u64);
        let evidence = verify_evidence(&text).unwrap();
        assert!(evidence.condensed > 0);
        assert_eq!(evidence.last, 4 * MAX_OF_ONE as u64);
        assert_eq!(evidence.entries + evidence.condensed, evidence.last);
        let (first, _) = text.split_once('\n').unwrap();
        assert!(first.contains("gone"));
        assert_eq!(verify_evidence(&text.replacen("\"from\":1", "\"from\":2", 1)), Err(EvidenceError::Broken(1)));
    }
}
