//! `keystead evidence verify`: is a log of key changes what a browser wrote?

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use keystead_core::{
    error::{Code, Coded as _},
    ident::UserId,
    pins::{Compared, Evidence, EvidenceError, Head, Proven, verify_evidence, verify_heads},
};
use url::Url;

use crate::{
    dates::show_date,
    failure::{Ending, Failure},
    files,
    http::Http,
};

/// How long a URL may take, and how many bytes it may have.
const LIMIT: Duration = Duration::from_secs(60);
const MAX_BYTES: u64 = 64 << 20;

/// Follow a log of key changes, as the popup saves it, from its first line to its last
///
/// Its last line is the browser's signature of all the others: whoever has only the file alters nothing, takes nothing out
/// and cuts nothing off. A log without it ends with exit code 1. That it was not written anew by whoever has the browser
/// shows from what was noted elsewhere: the hash of its last line, or the heads that IT was told of. Of those the newest must
/// agree.
#[derive(Debug, Args)]
pub struct EvidenceVerify {
    /// The log: one JSON document a line.
    file: PathBuf,
    /// The hash that the last line must have.
    #[arg(long, value_name = "HASH")]
    head: Option<String>,
    /// What IT was told of it (`evidence.url`): where the heads lie, one JSON document a line. A file, or a URL.
    #[arg(long, value_name = "URL")]
    heads: Option<String>,
    /// Whose log it must be: a Matrix ID.
    #[arg(long, value_name = "USER")]
    account: Option<String>,
}

impl EvidenceVerify {
    /// Does it; what to read goes to `out`.
    ///
    /// # Errors
    /// [`Failure`] where the log is refused.
    pub async fn run(self, out: &mut String) -> Result<Ending, Failure> {
        let account = self.account.as_deref().map(UserId::parse).transpose();
        let account = account.map_err(|error| Failure::Usage(format!("--account: {error}")))?;
        let text = files::read_text(&self.file)?;
        let evidence = verify_evidence(&text).map_err(refused)?;
        let word = if evidence.signed.is_some() { "whole" } else { "not signed" };
        out.push_str(&format!("{}: {word}\n", self.file.display()));
        contents(&evidence, out);
        let mut fine = match &evidence.signed {
            Some(signed) => signature(signed, account.as_ref(), out),
            // Nor is it known whose it is.
            None => unsigned(&evidence, self.head.as_ref() == Some(&evidence.head), out) && account.is_none(),
        };
        if let Some(heads) = &self.heads {
            match verify_heads(&evidence, &read(heads).await?) {
                Some(compared) => fine &= report(&compared, out)?,
                None => {
                    out.push_str("  It cannot be compared with heads: which key's they would be is not known.\n");
                    fine = false;
                }
            }
        }
        if self.head.is_some_and(|head| head != evidence.head) {
            out.push_str("  the last line is another one than expected\n");
            fine = false;
        }
        Ok(if fine { Ending::Fine } else { Ending::NotFine })
    }
}

/// What is in it.
fn contents(evidence: &Evidence, out: &mut String) {
    out.push_str(&format!("  {} entries", evidence.entries));
    if let (Some(from), Some(to)) = (evidence.from, evidence.to) {
        out.push_str(&format!(", from {} to {}", show_date(from), show_date(to)));
    }
    out.push_str(&format!("; {} older ones are condensed\n  last line: {}\n", evidence.condensed, evidence.head));
    if evidence.untied > 0 {
        out.push_str(&format!(
            "  {} of the lines that stand for them are of an earlier version: whether they follow from the lines before \
             them cannot be checked\n",
            evidence.untied
        ));
    }
}

/// Whose it is. Returns whether it is whose it must be.
fn signature(signed: &Head, account: Option<&UserId>, out: &mut String) -> bool {
    let (key, at) = (signed.key.to_base64(), show_date(signed.at));
    out.push_str(&format!("  signed by the browser's key {key} on {at}\n"));
    let deployment = signed.deployment.as_str();
    let of_it = account.is_none_or(|account| signed.is_of(account));
    let whose = match account {
        Some(account) if of_it => format!("of {} at {deployment}", account.as_str()),
        Some(account) => format!("not of {}, but of another account at {deployment}", account.as_str()),
        None => format!("of an account at {deployment}; --account USER tells whether it is that person's"),
    };
    out.push_str(&format!("  {whose}\n"));
    of_it
}

/// A log without a signature proves what is noted of its last line, as far back as each line has the hash of the one before.
fn unsigned(evidence: &Evidence, noted: bool, out: &mut String) -> bool {
    out.push_str(match (noted, evidence.condensed) {
        (true, 0) => "  Its last line is the expected one. Which browser wrote it is not known.\n",
        (true, _) => {
            "  Its last line is the expected one. Which browser wrote it is not known, nor whether what stands before the \
             condensed entries was altered.\n"
        }
        (false, _) => {
            "  Each line follows from the one before it, but the browser's signature, with which a saved log ends, is not \
             there. Whether its end was cut off, or it was written anew, is not known. (Chrome before 137 and Firefox before \
             129 cannot sign.)\n"
        }
    });
    noted && evidence.condensed == 0
}

/// What the heads say. Returns whether they prove the log.
fn report(compared: &Compared, out: &mut String) -> Result<bool, Failure> {
    let last = compared.last.map_or_else(String::new, |at| format!(", the last of {}", show_date(at)));
    out.push_str(&format!("  heads that agree: {}{last}\n", compared.agree));
    out.push_str(&format!("  heads that cannot be compared, their entries are condensed: {}\n", compared.condensed));
    out.push_str(&format!("  heads of other keys: {}\n", compared.others));
    if compared.foreign > 0 {
        out.push_str(&format!("  lines about something else: {}\n", compared.foreign));
    }
    for line in &compared.unreadable {
        out.push_str(&format!("  line {line} of the heads cannot be read, or its signature does not hold\n"));
    }
    match compared.proven() {
        Proven::Altered(number) => return Err(refused(EvidenceError::Altered(number))),
        Proven::Nothing => out.push_str("  No head agrees: they prove nothing of this log.\n"),
        Proven::NotTheNewest(number) => out.push_str(&format!(
            "  The newest head is of entry {number}, which is condensed: what came after those that agree is not proven.\n"
        )),
        Proven::Agrees => return Ok(true),
    }
    Ok(false)
}

fn refused(error: EvidenceError) -> Failure {
    Failure::Refused { code: error.code(), detail: error.to_string() }
}

/// Reads a file, or what a URL has.
async fn read(place: &str) -> Result<String, Failure> {
    let Some(url) = Url::parse(place).ok().filter(|url| url.has_host()) else {
        return files::read_text(Path::new(place));
    };
    let cannot = |detail: String| Failure::Refused { code: Code::DirUnreachable, detail };
    let http = Http::new().map_err(|error| cannot(error.to_string()))?;
    let mut bytes = Vec::new();
    let mut take = |chunk: &[u8]| bytes.extend_from_slice(chunk);
    let streamed = http.stream(url, LIMIT, MAX_BYTES, &mut take).await;
    match streamed.map_err(|error| cannot(error.to_string()))?.status {
        200 => String::from_utf8(bytes).map_err(|_| cannot("no UTF-8 text".into())),
        status => Err(cannot(format!("answered with status {status}"))),
    }
}
