//! `keystead roster`: builds, signs and verifies the list of people.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use keystead_core::{
    ident::{Origin, UserId},
    identity::PublicKey,
    policy::ServerName,
    signed::{Roster, Written},
    time::UnixMillis,
};

use crate::{
    dates::{now, parse_date, show_date},
    failure::{Ending, Failure},
    files,
    signing::{Belief, SigningKey, origin},
    staff,
};

fn server_name(text: &str) -> Result<ServerName, String> {
    ServerName::parse(text).map_err(|_| "not a Matrix server name such as example.org".into())
}

/// Make a roster of a list of people.
#[derive(Debug, Args)]
pub struct RosterBuild {
    /// CSV with the columns matrix_id, email, fingerprint, and perhaps master_key and since.
    staff: PathBuf,
    /// The origin of Element Web, such as https://chat.example.org.
    #[arg(long, value_parser = origin, value_name = "URL")]
    deployment: Origin,
    /// What stands behind the colon in everybody's Matrix ID (default: what does in the first person's).
    #[arg(long, value_parser = server_name, value_name = "NAME")]
    server_name: Option<ServerName>,
    /// Greater than in every roster published before.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    serial: u64,
    /// After how many days it no longer holds.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3650), value_name = "DAYS")]
    expires: u64,
    /// Since when it holds (default: now).
    #[arg(long, value_parser = parse_date, value_name = "DATE")]
    issued: Option<UnixMillis>,
    /// Where to write it (default: standard output).
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl RosterBuild {
    /// Does it; what to read goes to `out`.
    ///
    /// # Errors
    /// [`Failure`] where the list has errors, or the roster cannot be.
    pub fn run(self, out: &mut String) -> Result<Ending, Failure> {
        let servers: Vec<_> = self.server_name.iter().map(|name| name.as_str().to_owned()).collect();
        let roster = staff::roster(staff::read(&files::read_text(&self.staff)?, &servers)?)?;
        let issued = self.issued.unwrap_or_else(now);
        let expires = issued.plus(Duration::from_secs(self.expires * 86_400));
        let written = Written::make(self.deployment, self.serial, issued, expires, &roster)?;
        match self.output {
            None => out.push_str(&String::from_utf8_lossy(&written.bytes)),
            Some(path) => {
                files::write(&path, &written.bytes)?;
                out.push_str(&format!(
                    "{}: {}, serial {}, holds until {}\nNext: keystead roster sign {}\n",
                    path.display(),
                    people(&roster),
                    self.serial,
                    show_date(expires),
                    path.display(),
                ));
            }
        }
        Ok(Ending::Fine)
    }
}

fn people(roster: &Roster) -> String {
    match roster.people().len() {
        1 => "1 person".into(),
        number => format!("{number} people"),
    }
}

/// Sign a roster: the signature is written beside it, with .asc appended.
#[derive(Debug, Args)]
pub struct RosterSign {
    /// The roster.
    roster: PathBuf,
    #[command(flatten)]
    key: SigningKey,
}

impl RosterSign {
    /// Does it; what to read goes to `out`.
    ///
    /// # Errors
    /// [`Failure`] where no reader would believe the roster with this signature; nothing is written then.
    pub fn run(self, out: &mut String) -> Result<Ending, Failure> {
        self.key.sign::<Roster>(&self.roster, &files::read(&self.roster)?, out)?;
        Ok(Ending::Fine)
    }
}

/// Name a person's new master key: a reset on purpose, which browsers then accept by themselves.
///
/// The roster must be signed with this key and in force. It gets the next serial number and is signed again; publish both
/// files where they lay.
#[derive(Debug, Args)]
pub struct RosterSet {
    /// The person's Matrix ID.
    #[arg(value_parser = user_id)]
    user: UserId,
    /// The person's master key, as the person's own device shows it: 43 letters of base64.
    #[arg(long, value_parser = public_key, value_name = "KEY")]
    master_key: PublicKey,
    /// Since when it is the person's (default: now); only a key that a browser pinned before then is replaced.
    #[arg(long, value_parser = parse_date, value_name = "DATE")]
    since: Option<UnixMillis>,
    /// The roster.
    #[arg(long, default_value = "roster.json", value_name = "FILE")]
    roster: PathBuf,
    /// After how many days it no longer holds (default: as long as it held before).
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3650), value_name = "DAYS")]
    expires: Option<u64>,
    #[command(flatten)]
    key: SigningKey,
}

fn user_id(text: &str) -> Result<UserId, String> {
    UserId::parse(text).map_err(|error| error.to_string())
}

fn public_key(text: &str) -> Result<PublicKey, String> {
    PublicKey::parse(text).map_err(|_| "not an Ed25519 public key".into())
}

impl RosterSet {
    /// Does it; what to read goes to `out`.
    ///
    /// # Errors
    /// [`Failure`] where the roster is not one of the signer's own, or has nobody of that name; nothing is written then.
    pub fn run(self, out: &mut String) -> Result<Ending, Failure> {
        let old = self.key.read_own::<Roster>(&self.roster)?;
        let (issued, wrong) = (now(), |why: &str| Failure::Usage(format!("{}: {why}", self.roster.display())));
        let since = self.since.unwrap_or(issued);
        if since > issued {
            return Err(Failure::Usage("--since is in the future: browsers would not take it".into()));
        }
        let mut people = old.body.people().to_vec();
        let person = people.iter_mut().find(|person| person.matrix_id == self.user);
        let person = person.ok_or_else(|| wrong("nobody of that Matrix ID"))?;
        (person.master_key, person.since) = (Some(self.master_key), Some(since));
        let roster = Roster::new(people).map_err(|error| wrong(&error.to_string()))?;
        let envelope = old.envelope;
        let held = self
            .expires
            .map_or_else(|| envelope.expires.since(envelope.issued), |days| Duration::from_secs(days * 86_400));
        let (serial, expires) = (envelope.serial + 1, issued.plus(held));
        let written = Written::make(envelope.deployment, serial, issued, expires, &roster)?;
        self.key.sign::<Roster>(&self.roster, &written.bytes, out)?;
        files::write(&self.roster, &written.bytes)?;
        out.push_str(&format!(
            "{}: a new master key of {} since {}, serial {serial}, holds until {}\nNext: publish both files\n",
            self.roster.display(),
            self.user.as_str(),
            show_date(since),
            show_date(expires),
        ));
        Ok(Ending::Fine)
    }
}

/// Check a roster and the signature beside it, as the extension does.
#[derive(Debug, Args)]
pub struct RosterVerify {
    /// The roster; its signature is expected beside it, with .asc appended.
    roster: PathBuf,
    #[command(flatten)]
    belief: Belief,
}

impl RosterVerify {
    /// Does it; what to read goes to `out`.
    ///
    /// # Errors
    /// [`Failure`] where the roster is not to be believed.
    pub fn run(self, out: &mut String) -> Result<Ending, Failure> {
        let read = self.belief.read::<Roster>(&self.roster, out)?;
        out.push_str(&format!("  {}\n", people(&read.body)));
        Ok(Ending::Fine)
    }
}
