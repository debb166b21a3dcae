//! The log as evidence, outside the browser that wrote it: every line follows from the one before it.
//!
//! Threat: whoever holds the file. The last line signs all that stands before it. What stands for lines that went has a
//! hash that nothing else in the file proves, so without that signature lines before it can be altered; whoever has the
//! browser can have anything signed: the heads that were noted elsewhere are what to compare with ([`verify_heads`]).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    head::{Head, KIND},
    log::{Content, Gone, line_hash},
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
    /// How many lines that stand for others do not name what they followed: an earlier version wrote them.
    pub untied: u64,
    /// When the first of those in words was written.
    pub from: Option<UnixMillis>,
    /// When the last was.
    pub to: Option<UnixMillis>,
    /// The hash of the last line: SHA-256 in base64 without padding.
    pub head: String,
    /// The signature of that and of every line, which holds; `None` where the file has none.
    pub signed: Option<Head>,
    /// The hash of each line, by the number of its entry.
    hashes: BTreeMap<u64, String>,
    /// What is said to have been the hash of the last of those that went, by its number.
    gone: BTreeMap<u64, String>,
}

/// The last line of a log that was saved, or what IT was told.
#[derive(Deserialize)]
struct Last {
    head: Head,
}

/// What IT is told.
#[derive(Deserialize)]
struct Told {
    kind: String,
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
    /// A line does not follow from the one before it, or the last one stands for others.
    #[error("line {0} does not follow from the one before it")]
    Broken(usize),
    /// The last line does not sign what stands before it, or its signature does not hold.
    #[error("the last line does not sign this log")]
    Unsigned,
    /// The log had another entry when a head was noted.
    #[error("entry {0} is not what was noted of it")]
    Altered(u64),
}

impl Coded for EvidenceError {
    fn code(&self) -> Code {
        match self {
            Self::Empty | Self::Unreadable(_) | Self::Broken(_) | Self::Unsigned | Self::Altered(_) => {
                Code::PinEvidence
            }
        }
    }
}

/// Follows a log from its first line to its last. One that nobody signed is followed too ([`Evidence::signed`]): its end may
/// be cut off, and what stands before lines that went may be altered.
///
/// # Errors
/// [`EvidenceError`], with the first line that is wrong.
pub fn verify_evidence(text: &str) -> Result<Evidence, EvidenceError> {
    let mut evidence = Evidence::default();
    let (mut next, mut end) = (1, 0);
    for (index, whole) in text.split_inclusive('\n').enumerate() {
        let (before, line) = (&text[..end], whole.trim_end_matches(['\r', '\n']));
        end += whole.len();
        if let Ok(Last { head }) = serde_json::from_str(line) {
            let fits = (head.number, &head.hash, &head.saved) == (evidence.last, &evidence.head, &line_hash(before));
            if !fits || !head.holds() || end < text.len() {
                return Err(EvidenceError::Unsigned);
            }
            evidence.signed = Some(head);
            break;
        }
        let content = serde_json::from_str(line).map_err(|_| EvidenceError::Unreadable(index + 1))?;
        let follows = match content {
            Content::Entry(entry) => {
                let follows = entry.number == next && entry.previous == evidence.head;
                evidence.entries += 1;
                evidence.from.get_or_insert(entry.at);
                evidence.to = Some(entry.at);
                evidence.last = entry.number;
                evidence.head = line_hash(line);
                evidence.hashes.insert(entry.number, evidence.head.clone());
                follows
            }
            Content::Gone { gone: Gone { from, to, previous, hash } } => {
                let follows = previous.as_ref().is_none_or(|previous| *previous == evidence.head);
                evidence.condensed += to.saturating_sub(from).saturating_add(1);
                evidence.untied += u64::from(previous.is_none());
                evidence.last = to;
                evidence.head.clone_from(&hash);
                evidence.gone.insert(to, hash);
                // The last entry of a log never goes.
                let is_last = text.get(end..).is_none_or(|rest| rest.lines().next().is_none_or(is_head));
                follows && from == next && from <= to && !is_last
            }
        };
        if !follows {
            return Err(EvidenceError::Broken(index + 1));
        }
        next = evidence.last.saturating_add(1);
    }
    if evidence.last == 0 { Err(EvidenceError::Empty) } else { Ok(evidence) }
}

fn is_head(line: &str) -> bool {
    serde_json::from_str::<Last>(line).is_ok()
}

/// A log against the heads that were noted of it elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// How many agree.
    pub agree: u64,
    /// When the last of those was signed.
    pub last: Option<UnixMillis>,
    /// How many cannot be compared: their entry is one of those that went.
    pub condensed: u64,
    /// How many are of other keys, or of other logs.
    pub others: u64,
    /// How many lines are about something else than a log: IT is told of page integrity at the same place.
    pub foreign: u64,
    /// The lines that are no head, or one whose signature does not hold; from 1.
    pub unreadable: Vec<usize>,
    /// The entries that are not what was noted of them.
    pub altered: Vec<u64>,
    /// The last entry that was noted, and whether it could be compared.
    newest: Option<(u64, bool)>,
}

/// What noted heads prove of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proven {
    /// This entry is another one than was noted.
    Altered(u64),
    /// Nothing: none agrees.
    Nothing,
    /// Not how it went on: the newest one is of this entry, which went.
    NotTheNewest(u64),
    /// The newest one agrees, and none speaks against it.
    Agrees,
}

impl Compared {
    /// What it comes to.
    #[must_use]
    pub fn proven(&self) -> Proven {
        match (self.altered.first(), self.newest) {
            (Some(number), _) => Proven::Altered(*number),
            (None, None) => Proven::Nothing,
            (None, _) if self.agree == 0 => Proven::Nothing,
            (None, Some((number, false))) => Proven::NotTheNewest(number),
            (None, Some((_, true))) => Proven::Agrees,
        }
    }
}

/// Compares a log with the heads that were noted of it elsewhere: a line each, as IT was sent them or the head alone. One
/// that agrees proves the lines from its entry back to the next that stands for others. `None` where nobody signed the log:
/// which heads are its own is not known then.
#[must_use]
pub fn verify_heads(evidence: &Evidence, heads: &str) -> Option<Compared> {
    let signed = evidence.signed.as_ref()?;
    let mut compared = Compared::default();
    for (index, line) in heads.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        if serde_json::from_str(line).is_ok_and(|Told { kind }| kind != KIND) {
            compared.foreign += 1;
            continue;
        }
        let head = serde_json::from_str(line).map(|Last { head }| head).or_else(|_| serde_json::from_str::<Head>(line));
        let Some(head) = head.ok().filter(Head::holds) else {
            compared.unreadable.push(index + 1);
            continue;
        };
        if (head.key, &head.deployment, &head.account) != (signed.key, &signed.deployment, &signed.account) {
            compared.others += 1;
            continue;
        }
        let agrees = evidence.agrees(signed, &head);
        match agrees {
            Some(true) => {
                compared.agree += 1;
                compared.last = compared.last.max(Some(head.at));
            }
            Some(false) => compared.altered.push(head.number),
            None => compared.condensed += 1,
        }
        compared.newest = compared.newest.max(Some((head.number, agrees.is_some())));
    }
    Some(compared)
}

impl Evidence {
    /// Is this what was noted? `None` where the entry went: the hash of the last of those that went speaks against the log
    /// where it is another one, and for nothing where it is the same.
    fn agrees(&self, signed: &Head, noted: &Head) -> Option<bool> {
        match self.hashes.get(&noted.number) {
            Some(hash) => Some(*hash == noted.hash && (noted.number < self.last || noted.saved == signed.saved)),
            None if noted.number > self.last => Some(false),
            None => self.gone.get(&noted.number).filter(|hash| **hash != noted.hash).map(|_| false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Log, MAX_OF_ONE, Verdict, What, head},
        *,
    };
    use crate::{
        ident::{Origin, UserId},
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

    /// Signs a log as a browser does.
    async fn head_of(vault: &MemoryVault, log: &str, user: &str, at: u64) -> Head {
        let evidence = verify_evidence(log).unwrap();
        let (number, hash) = (evidence.last, evidence.head);
        let (deployment, user) = (Origin::parse("https://chat.a").unwrap(), UserId::parse(user).unwrap());
        let (account, saved, at) = (head::account(&deployment, &user), line_hash(log), UnixMillis(at));
        let text = head::text(&deployment, &account, (number, &hash), &saved, at);
        let Signed { key, signature } = vault.sign(&text).await.unwrap();
        Head { deployment, account, number, hash, saved, at, key, signature }
    }

    async fn head(vault: &MemoryVault, log: &str, at: u64) -> Head {
        head_of(vault, log, "@me:a", at).await
    }

    fn with_head(log: &str, head: &Head) -> String {
        format!("{log}{}\n", serde_json::json!({ "head": head }))
    }

    fn noted(heads: &[&Head]) -> String {
        heads.iter().map(|head| serde_json::to_string(head).unwrap() + "\n").collect()
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

        let both = noted(&[&then, &now]);
        let compared = verify_heads(&evidence, &both).unwrap();
        assert_eq!((compared.agree, compared.last, compared.proven()), (2, Some(UnixMillis(90)), Proven::Agrees));
        let as_told = serde_json::json!({ "kind": "keystead_log_head", "version": 2, "head": then });
        let compared = verify_heads(&evidence, &as_told.to_string()).unwrap();
        assert_eq!((compared.agree, compared.last, compared.proven()), (1, Some(UnixMillis(50)), Proven::Agrees));

        // Written anew and signed by the same browser; cut off.
        let anew = log(6).replace("\"at\":5,", "\"at\":6,");
        let cut = lines[..5].concat();
        for wrong in [anew, cut] {
            let wrong = verify_evidence(&with_head(&wrong, &head(&vault, &wrong, 95).await)).unwrap();
            let compared = verify_heads(&wrong, &both).unwrap();
            assert_eq!((compared.agree, compared.proven()), (1, Proven::Altered(6)));
        }

        // Another browser's; another person's; forged; no head; about something else. None is in the way of those that agree.
        let other = head(&MemoryVault::default(), &text, 90).await;
        let another = head_of(&vault, &text, "@other:a", 90).await;
        let forged = Head { number: 5, ..now.clone() };
        let useless = format!("{}x\n\n{{\"kind\":\"keystead_integrity\"}}\n", noted(&[&other, &another, &forged]));
        let compared = verify_heads(&evidence, &useless).unwrap();
        assert_eq!((compared.others, compared.foreign, &*compared.unreadable), (2, 1, &[3, 4][..]));
        assert_eq!((compared.agree, compared.proven()), (0, Proven::Nothing));
        let compared = verify_heads(&evidence, &(useless + &both)).unwrap();
        assert_eq!((compared.agree, compared.unreadable.len(), compared.proven()), (2, 2, Proven::Agrees));
        assert_eq!(verify_heads(&evidence, "").unwrap().proven(), Proven::Nothing);
        assert_eq!(verify_heads(&verify_evidence(&text).unwrap(), &both), None, "nobody signed it");

        let elsewhere = Head { deployment: Origin::parse("https://chat.b").unwrap(), ..now.clone() };
        for wrong in [
            with_head(&text, &then),
            with_head(&text, &forged),
            with_head(&text, &elsewhere),
            with_head(&text, &Head { account: another.account, ..now.clone() }),
            format!("{signed}{signed}"),
        ] {
            assert_eq!(verify_evidence(&wrong), Err(EvidenceError::Unsigned));
        }
    }

    #[tokio::test]
    async fn a_head_of_an_entry_that_was_condensed_is_counted_and_proves_nothing() {
        let vault = MemoryVault::default();
        let many = 4 * MAX_OF_ONE as u64;
        let text = log(many);
        let now = head(&vault, &text, 9).await;
        let evidence = verify_evidence(&with_head(&text, &now)).unwrap();
        let (to, hash) = evidence.gone.first_key_value().map(|(to, hash)| (*to, hash.clone())).unwrap();
        let within = head(&vault, &log(to - 1), 5).await;
        let compared = verify_heads(&evidence, &noted(&[&within])).unwrap();
        assert_eq!((compared.condensed, compared.agree, compared.proven()), (1, 0, Proven::Nothing));
        let compared = verify_heads(&evidence, &noted(&[&within, &now])).unwrap();
        assert_eq!((compared.condensed, compared.agree, compared.proven()), (1, 1, Proven::Agrees));

        // Of the last of those that went there is a hash: it can only speak against the log.
        let end = head(&vault, &log(to), 6).await;
        assert_eq!(end.hash, hash);
        assert_eq!(verify_heads(&evidence, &noted(&[&end])).unwrap().condensed, 1);
        let other = log(to).replace(&format!("\"at\":{},", to - 1), "\"at\":1,");
        let other = head(&vault, &other, 6).await;
        assert_eq!(verify_heads(&evidence, &noted(&[&other])).unwrap().proven(), Proven::Altered(to));

        // The newest one went, an older one is there.
        let first = evidence.hashes.first_key_value().map(|(number, _)| *number).unwrap();
        assert!(first < to);
        let older = head(&vault, &log(first), 4).await;
        let compared = verify_heads(&evidence, &noted(&[&older, &within])).unwrap();
        assert_eq!((compared.agree, compared.proven()), (1, Proven::NotTheNewest(to - 1)));
    }

    #[test]
    fn a_log_that_was_condensed_is_still_whole() {
        let text = log(4 * MAX_OF_ONE as u64);
        let evidence = verify_evidence(&text).unwrap();
        assert!(evidence.condensed > 0);
        assert_eq!((evidence.last, evidence.untied), (4 * MAX_OF_ONE as u64, 0));
        assert_eq!(evidence.entries + evidence.condensed, evidence.last);
        let at = text.lines().position(|line| line.contains("gone")).unwrap();
        let from = format!("\"from\":{}", at + 1);
        assert!(text.lines().nth(at).unwrap().contains(&from));
        let wrong = text.replacen(&from, "\"from\":99", 1);
        assert_eq!(verify_evidence(&wrong), Err(EvidenceError::Broken(at + 1)));
        // What stands before it was altered.
        let wrong = text.replacen("\"at\":0,", "\"at\":7,", 1);
        assert_eq!(verify_evidence(&wrong), Err(EvidenceError::Broken(2)));
    }

    /// A line that stands for one other, written by whoever has the file.
    fn condensed(line: &str, number: usize, previous: Option<&str>) -> String {
        let mut gone = serde_json::json!({ "from": number, "to": number, "hash": line_hash(line) });
        if let Some(previous) = previous {
            gone["previous"] = line_hash(previous).into();
        }
        serde_json::json!({ "gone": gone }).to_string()
    }

    #[tokio::test]
    async fn whoever_has_only_the_file_hides_no_change_behind_a_condensed_line() {
        let vault = MemoryVault::default();
        let text = log(6);
        let now = head(&vault, &text, 90).await;
        let lines: Vec<_> = text.lines().collect();
        let altered = lines[2].replace("\"at\":2,", "\"at\":7,");
        let put = |third: &str, fourth: &str| {
            let lines = [lines[0], lines[1], third, fourth, lines[4], lines[5]];
            lines.iter().fold(String::new(), |text, line| text + line + "\n")
        };
        // Its hash is the right one, and so is the one before it.
        let wrong = put(&altered, &condensed(lines[3], 4, Some(&altered)));
        assert_eq!(verify_evidence(&with_head(&wrong, &now)), Err(EvidenceError::Unsigned));
        assert_eq!(verify_evidence(&wrong).unwrap().signed, None, "and without the signature it is said to have none");
        let wrong = put(&altered, &condensed(lines[3], 4, Some(lines[2])));
        assert_eq!(verify_evidence(&wrong), Err(EvidenceError::Broken(4)));
        // As an earlier version wrote it: it can be followed, and is counted.
        let old = put(lines[2], &condensed(lines[3], 4, None));
        assert_eq!(verify_evidence(&with_head(&old, &now)), Err(EvidenceError::Unsigned));
        let signed = with_head(&old, &head(&vault, &old, 95).await);
        assert_eq!(verify_evidence(&signed).map(|log| (log.untied, log.condensed)), Ok((1, 1)));
        // Nothing but the hash that was noted.
        let empty = condensed(lines[5], 6, None).replace("\"from\":6", "\"from\":1") + "\n";
        assert_eq!(verify_evidence(&empty), Err(EvidenceError::Broken(1)));
        assert_eq!(verify_evidence(&with_head(&empty, &now)), Err(EvidenceError::Broken(1)));
    }
}
