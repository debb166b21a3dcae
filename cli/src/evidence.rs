//! `keystead evidence verify`: is a log of key changes what a browser wrote?

use std::path::PathBuf;

use clap::Args;
use keystead_core::{error::Coded as _, pins::verify_evidence};

use crate::{
    dates::show_date,
    failure::{Ending, Failure},
    files,
};

/// Follow a log of key changes, as the popup saves it, from its first line to its last
///
/// That no line was altered, taken out or put in shows from the log itself. That its end was not cut off, or all of it
/// written anew, shows where the hash of its last line was noted elsewhere.
#[derive(Debug, Args)]
pub struct EvidenceVerify {
    /// The log: one JSON document a line.
    file: PathBuf,
    /// The hash that the last line must have.
    #[arg(long, value_name = "HASH")]
    head: Option<String>,
}

impl EvidenceVerify {
    /// Does it; what to read goes to `out`.
    ///
    /// # Errors
    /// [`Failure`] where the log is refused.
    pub fn run(self, out: &mut String) -> Result<Ending, Failure> {
        let text = files::read_text(&self.file)?;
        let evidence = verify_evidence(&text)
            .map_err(|error| Failure::Refused { code: error.code(), detail: error.to_string() })?;
        out.push_str(&format!("{}: whole\n", self.file.display()));
        out.push_str(&format!("  {} entries", evidence.entries));
        if let (Some(from), Some(to)) = (evidence.from, evidence.to) {
            out.push_str(&format!(", from {} to {}", show_date(from), show_date(to)));
        }
        out.push_str(&format!("; {} older ones are condensed\n  last line: {}\n", evidence.condensed, evidence.head));
        match self.head {
            Some(head) if head != evidence.head => {
                out.push_str("  the last line is another one than expected\n");
                Ok(Ending::NotFine)
            }
            Some(_) | None => Ok(Ending::Fine),
        }
    }
}
