//! The log as evidence, outside the browser that wrote it: every line follows from the one before it.
//!
//! Whoever can write the file can write another one from its beginning, and whoever has the browser can have it signed: the
//! heads that were noted elsewhere are what to compare with ([`verify_heads`]).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    head::Head,
    log::{Content, chain_hash, line_hash},
};
use crate::{
    error::{Code, Coded},
    time::UnixMillis,
};

/// What a whole log has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// The signature of that, which holds; `None` where the file has none.
    pub signed: Option<Head>,
    /// The hash of each line, by the number of its entry.
    hashes: BTreeMap<u64, String>,
}

/// The last line of a log that was saved.
#[derive(Deserialize)]
struct Last {
    head: Head,
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
    /// The last line does not say what the log ends with, or its signature does not hold.
    #[error("the last line does not sign this log")]
    Unsigned,
    /// The heads are not for the key that signed the log, or nobody signed it.
    #[error("none of the heads is this log's")]
    NoHead,
    /// A line of the heads cannot be read, or its signature does not hold.
    #[error("line {0} of the heads is none")]
    NotAHead(usize),
    /// The log had another entry when this head was noted.
    #[error("entry {0} is not what was noted of it")]
    Altered(u64),
}

impl Coded for EvidenceError {
    fn code(&self) -> Code {
        match self {
            Self::Empty
            | Self::Unreadable(_)
            | Self::Broken(_)
            | Self::Unsigned
            | Self::NoHead
            | Self::NotAHead(_)
            | Self::Altered(_) => Code::PinEvidence,
        }
    }
}

/// Follows a log from its first line to its last.
///
/// # Errors
/// [`EvidenceError`], with the first line that is wrong.
pub fn verify_evidence(text: &str) -> Result<Evidence, EvidenceError> {
    let mut evidence = Evidence::default();
    let mut next = 1;
    for (index, line) in text.lines().enumerate() {
        if let Ok(Last { head }) = serde_json::from_str(line) {
            let fits = head.number == evidence.last && head.hash == evidence.head && head.holds();
            if !fits || text.lines().count() > index + 1 {
                return Err(EvidenceError::Unsigned);
            }
            evidence.signed = Some(head);
            break;
        }
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
        evidence.hashes.insert(evidence.last, evidence.head.clone());
        next = evidence.last.saturating_add(1);
    }
    if evidence.last == 0 { Err(EvidenceError::Empty) } else { Ok(evidence) }
}

/// Compares a log with the heads that were noted of it elsewhere: a line each, as IT was sent them or the head alone. Those of
/// other logs are passed over. Returns how many agree, and when the last of those was noted.
///
/// # Errors
/// [`EvidenceError`]. A head whose entry was condensed since can no longer be compared; it is not counted.
pub fn verify_heads(evidence: &Evidence, heads: &str) -> Result<(u64, Option<UnixMillis>), EvidenceError> {
    let key = evidence.signed.as_ref().ok_or(EvidenceError::NoHead)?.key;
    let (mut agree, mut of_this, mut last) = (0, 0, None);
    for (index, line) in heads.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let head = serde_json::from_str(line).map(|Last { head }| head).or_else(|_| serde_json::from_str::<Head>(line));
        let head = head.ok().filter(Head::holds).ok_or(EvidenceError::NotAHead(index + 1))?;
        if head.key != key {
            continue;
        }
        of_this += 1;
        match evidence.hashes.get(&head.number) {
            Some(hash) if *hash == head.hash => {
                agree += 1;
                last = last.max(Some(head.at));
            }
            None if head.number <= evidence.last && evidence.condensed > 0 => {}
            Some(_) | None => return Err(EvidenceError::Altered(head.number)),
        }
    }
    if of_this == 0 { Err(EvidenceError::NoHead) } else { Ok((agree, last)) }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Log, MAX_OF_ONE, Verdict, What},
        *,
    };
    use crate::{
        ident::UserId,
        recovery::{KeyVault as _, MemoryVault, Signed},
    };

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

    async fn head(vault: &MemoryVault, log: &str, at: u64) -> Head {
        let evidence = verify_evidence(log).unwrap();
        let (number, hash, at) = (evidence.last, evidence.head, UnixMillis(at));
        let Signed { key, signature } = vault.sign(&super::super::head::text(number, &hash, at)).await.unwrap();
        Head { number, hash, at, key, signature }
    }

    fn with_head(log: &str, head: &Head) -> String {
        format!("{log}{}\n", serde_json::json!({ "head": head }))
    }

    #[tokio::test]
    async fn a_signed_log_is_compared_with_what_was_noted_of_it() {
        let vault = MemoryVault::default();
        let text = log(6);
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        let (then, now) = (head(&vault, &lines[..4].concat(), 50).await, head(&vault, &text, 90).await);
        let signed = with_head(&text, &now);
        let evidence = verify_evidence(&signed).unwrap();
        assert_eq!((evidence.signed.as_ref(), evidence.last), (Some(&now), 6));

        let noted = |heads: &[&Head]| heads.iter().map(|head| serde_json::to_string(head).unwrap() + "\n").collect();
        let noted_both: String = noted(&[&then, &now]);
        assert_eq!(verify_heads(&evidence, &noted_both), Ok((2, Some(UnixMillis(90)))));
        let as_told = serde_json::json!({ "kind": "keystead_log_head", "deployment": "https://a", "head": then });
        assert_eq!(verify_heads(&evidence, &as_told.to_string()), Ok((1, Some(UnixMillis(50)))));

        // Written anew and signed by the same browser; cut off; another browser's; forged.
        let anew = log(6).replace("\"at\":5,", "\"at\":6,");
        let anew = verify_evidence(&with_head(&anew, &head(&vault, &anew, 95).await)).unwrap();
        assert_eq!(verify_heads(&anew, &noted_both), Err(EvidenceError::Altered(6)));
        let cut = lines[..5].concat();
        let cut = verify_evidence(&with_head(&cut, &head(&vault, &cut, 95).await)).unwrap();
        assert_eq!(verify_heads(&cut, &noted_both), Err(EvidenceError::Altered(6)));
        let other = head(&MemoryVault::default(), &text, 90).await;
        assert_eq!(verify_heads(&evidence, &noted(&[&other])), Err(EvidenceError::NoHead));
        let forged = Head { number: 5, ..now.clone() };
        assert_eq!(verify_heads(&evidence, &noted(&[&forged])), Err(EvidenceError::NotAHead(1)));
        assert_eq!(verify_heads(&evidence, "x"), Err(EvidenceError::NotAHead(1)));
        assert_eq!(verify_heads(&verify_evidence(&text).unwrap(), &noted_both), Err(EvidenceError::NoHead));

        for wrong in [with_head(&text, &then), with_head(&text, &forged), format!("{signed}{signed}")] {
            assert_eq!(verify_evidence(&wrong), Err(EvidenceError::Unsigned));
        }
    }

    #[tokio::test]
    async fn a_head_of_an_entry_that_was_condensed_says_nothing() {
        let vault = MemoryVault::default();
        let before = head(&vault, &log(3), 5).await;
        let text = log(4 * MAX_OF_ONE as u64);
        let evidence = verify_evidence(&with_head(&text, &head(&vault, &text, 9).await)).unwrap();
        let noted = serde_json::to_string(&before).unwrap();
        assert_eq!(verify_heads(&evidence, &noted), Ok((0, None)));
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
