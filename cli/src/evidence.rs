//! `keystead evidence verify`: is a log of key changes what a browser wrote?

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use keystead_core::{
    error::{Code, Coded as _},
    pins::{EvidenceError, verify_evidence, verify_heads},
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
/// That no line was altered, taken out or put in shows from the log itself; which browser wrote it, from the signature in
/// its last line. That its end was not cut off, or all of it written anew by whoever has the browser, shows from what was
/// noted elsewhere: the hash of its last line, or the heads that IT was told of.
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
}

impl EvidenceVerify {
    /// Does it; what to read goes to `out`.
    ///
    /// # Errors
    /// [`Failure`] where the log is refused.
    pub async fn run(self, out: &mut String) -> Result<Ending, Failure> {
        let text = files::read_text(&self.file)?;
        let evidence = verify_evidence(&text).map_err(refused)?;
        out.push_str(&format!("{}: whole\n", self.file.display()));
        out.push_str(&format!("  {} entries", evidence.entries));
        if let (Some(from), Some(to)) = (evidence.from, evidence.to) {
            out.push_str(&format!(", from {} to {}", show_date(from), show_date(to)));
        }
        out.push_str(&format!("; {} older ones are condensed\n  last line: {}\n", evidence.condensed, evidence.head));
        if let Some(signed) = &evidence.signed {
            let (key, at) = (signed.key.to_base64(), show_date(signed.at));
            out.push_str(&format!("  signed by the browser's key {key} on {at}\n"));
        }
        if let Some(heads) = &self.heads {
            let (agree, last) = verify_heads(&evidence, &read(heads).await?).map_err(refused)?;
            let last = last.map_or_else(String::new, |at| format!(", the last of {}", show_date(at)));
            out.push_str(&format!("  heads that agree: {agree}{last}\n"));
        }
        match self.head {
            Some(head) if head != evidence.head => {
                out.push_str("  the last line is another one than expected\n");
                Ok(Ending::NotFine)
            }
            Some(_) | None => Ok(Ending::Fine),
        }
    }
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
