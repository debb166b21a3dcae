//! `keystead roster`: builds, signs and verifies the list of people.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use clap::{ArgGroup, Args};
use keystead_core::{
    error::{Code, Coded as _},
    ident::Origin,
    openpgp::{Certificate, SecretCertificate, sign_detached},
    policy::ServerName,
    secret::SecretText,
    signed::{Reader, Roster, SignedDocument, Written, parse_json},
    time::UnixMillis,
};

use crate::{
    dates::{now, parse_date, show_date},
    failure::{Ending, Failure},
    files, staff,
};

fn origin(text: &str) -> Result<Origin, String> {
    Origin::parse(text).map_err(|error| format!("{error} such as https://chat.example.org"))
}

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
#[command(group(ArgGroup::new("signer").required(true).args(["key", "gpg"])))]
pub struct RosterSign {
    /// The roster.
    roster: PathBuf,
    /// A file with the signer's armored secret key.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A file whose first line is the passphrase of --key.
    #[arg(long, value_name = "FILE", requires = "key")]
    passphrase_file: Option<PathBuf>,
    /// Have GnuPG sign with this key instead, on a smartcard too.
    #[arg(long, value_name = "KEYID")]
    gpg: Option<String>,
}

impl RosterSign {
    /// Does it; what to read goes to `out`.
    ///
    /// # Errors
    /// [`Failure`] where no reader would believe the roster with this signature; nothing is written then.
    pub fn run(self, out: &mut String) -> Result<Ending, Failure> {
        let document = files::read(&self.roster)?;
        let deployment = deployment_of(&document)?;
        let (signature, signers) = match (&self.key, &self.gpg) {
            (Some(key), _) => sign_with_key(&document, key, self.passphrase_file.as_deref())?,
            (None, Some(key_id)) => sign_with_gpg(&document, key_id)?,
            (None, None) => return Err(Failure::Usage("give --key or --gpg".into())),
        };
        let reader = Reader { signers: &signers, deployment: &deployment, newest_serial_seen: 0, now: now() };
        let read: SignedDocument<Roster> = reader.read(&document, &signature)?;
        let path = files::signature_path(&self.roster);
        files::write(&path, signature.as_bytes())?;
        out.push_str(&format!("{}: signed by {}\n", path.display(), read.signature().signer().as_str()));
        Ok(Ending::Fine)
    }
}

/// The deployment that a document says it is for; nothing else of it is believed yet.
fn deployment_of(document: &[u8]) -> Result<Origin, Failure> {
    let value =
        parse_json(document).map_err(|error| Failure::Refused { code: Code::SgnFormat, detail: error.to_string() })?;
    let origin = value["deployment"].as_str().and_then(|text| Origin::parse(text).ok());
    origin.ok_or_else(|| Failure::Refused { code: Code::SgnFormat, detail: "deployment".into() })
}

fn sign_with_key(
    document: &[u8],
    key: &Path,
    passphrase: Option<&Path>,
) -> Result<(String, Vec<Certificate>), Failure> {
    let armored = files::read(key)?;
    let passphrase = match passphrase {
        Some(path) => {
            let text = files::read_text(path)?;
            Some(SecretText::new(text.lines().next().unwrap_or_default().to_owned()))
        }
        None => None,
    };
    let secret = SecretCertificate::parse(&armored, passphrase.as_ref()).map_err(|_| {
        let hint = if passphrase.is_some() { ", or the passphrase is wrong" } else { " that needs no passphrase" };
        Failure::Usage(format!("{} holds no single secret key{hint}", key.display()))
    })?;
    let signature = sign_detached(document, &secret, now()).map_err(|error| Failure::refused(error.code()))?;
    Ok((signature, vec![secret.certificate()]))
}

fn sign_with_gpg(document: &[u8], key_id: &str) -> Result<(String, Vec<Certificate>), Failure> {
    let signature = gpg(&["--armor", "--detach-sign", "--local-user", key_id, "--output", "-"], document)?;
    let exported = gpg(&["--armor", "--export", key_id], &[])?;
    let certificates = Certificate::parse_all(exported.as_bytes());
    Ok((signature, certificates.map_err(|error| Failure::refused(error.code()))?))
}

fn gpg(arguments: &[&str], input: &[u8]) -> Result<String, Failure> {
    let cannot = |why: &str| Failure::Usage(format!("gpg {}: {why}", arguments[1]));
    let mut child = Command::new("gpg")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| cannot(&error.to_string()))?;
    // Dropped at once, which ends its input. A gpg that stops early says why on its own.
    let sent = child.stdin.take().map(|mut stdin| stdin.write_all(input));
    let output = child.wait_with_output().map_err(|error| cannot(&error.to_string()))?;
    match sent {
        Some(Ok(())) if output.status.success() => {
            String::from_utf8(output.stdout).map_err(|_| cannot("answered no text"))
        }
        _ => Err(cannot("failed")),
    }
}

/// Check a roster and the signature beside it, as the extension does.
#[derive(Debug, Args)]
pub struct RosterVerify {
    /// The roster; its signature is expected beside it, with .asc appended.
    roster: PathBuf,
    /// A file with certificates of which any may have signed; may be given several times.
    #[arg(long, value_name = "FILE", required = true)]
    signer: Vec<PathBuf>,
    /// The origin of Element Web, such as https://chat.example.org.
    #[arg(long, value_parser = origin, value_name = "URL")]
    deployment: Origin,
    /// The greatest serial number that was published before.
    #[arg(long, default_value_t = 0, value_name = "SERIAL")]
    newest_serial: u64,
    /// Check for this time (default: now).
    #[arg(long, value_parser = parse_date, value_name = "DATE")]
    at: Option<UnixMillis>,
}

impl RosterVerify {
    /// Does it; what to read goes to `out`.
    ///
    /// # Errors
    /// [`Failure`] where the roster is not to be believed.
    pub fn run(self, out: &mut String) -> Result<Ending, Failure> {
        let document = files::read(&self.roster)?;
        let signature = files::read_text(&files::signature_path(&self.roster))?;
        let reader = Reader {
            signers: &files::certificates(&self.signer)?,
            deployment: &self.deployment,
            newest_serial_seen: self.newest_serial,
            now: self.at.unwrap_or_else(now),
        };
        let read: SignedDocument<Roster> = reader.read(&document, &signature)?;
        out.push_str(&format!(
            "{}: good\n  signed by {}\n  for {}, serial {}\n  issued {}, holds until {}\n  {}\n",
            self.roster.display(),
            read.signature().signer().as_str(),
            read.envelope.deployment.as_str(),
            read.envelope.serial,
            show_date(read.envelope.issued),
            show_date(read.envelope.expires),
            people(&read.body),
        ));
        Ok(Ending::Fine)
    }
}
