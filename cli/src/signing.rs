//! Signing a document with a key from a file or through GnuPG, and believing one as the extension does.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::{ArgGroup, Args};
use keystead_core::{
    error::{Code, Coded as _},
    ident::Origin,
    openpgp::{Certificate, SecretCertificate, sign_detached},
    secret::SecretText,
    signed::{Body, Reader, SignedDocument, parse_json},
    time::UnixMillis,
};
use serde_json::Value;

use crate::{
    dates::{now, parse_date, show_date},
    failure::Failure,
    files,
};

/// Reads the origin of a deployment.
pub(crate) fn origin(text: &str) -> Result<Origin, String> {
    Origin::parse(text).map_err(|error| format!("{error} such as https://chat.example.org"))
}

/// Who signs.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("signer").required(true).args(["key", "gpg"])))]
pub(crate) struct SigningKey {
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

impl SigningKey {
    /// Signs a document and writes the signature beside it, if a reader would believe the document with it.
    pub(crate) fn sign<T: Body>(&self, path: &Path, document: &[u8], out: &mut String) -> Result<(), Failure> {
        let deployment = deployment_of(document)?;
        let (signature, signers) = match (&self.key, &self.gpg) {
            (Some(key), _) => sign_with_key(document, key, self.passphrase_file.as_deref())?,
            (None, Some(key_id)) => sign_with_gpg(document, key_id)?,
            (None, None) => return Err(Failure::Usage("give --key or --gpg".into())),
        };
        let reader = Reader { signers: &signers, deployment: &deployment, newest_serial_seen: 0, now: now() };
        let read: SignedDocument<T> = reader.read(document, &signature)?;
        let path = files::signature_path(path);
        files::write(&path, signature.as_bytes())?;
        out.push_str(&format!("{}: signed by {}\n", path.display(), read.signature().signer().as_str()));
        Ok(())
    }

    /// Reads a document of one's own: signed with this key, beside it, and in force.
    pub(crate) fn read_own<T: Body>(&self, path: &Path) -> Result<SignedDocument<T>, Failure> {
        let document = files::read(path)?;
        let signature = files::read_text(&files::signature_path(path))?;
        let signers = match (&self.key, &self.gpg) {
            (Some(key), _) => vec![secret_key(key, self.passphrase_file.as_deref())?.certificate()],
            (None, Some(key_id)) => gpg_certificates(key_id)?,
            (None, None) => Vec::new(),
        };
        let deployment = deployment_of(&document)?;
        let reader = Reader { signers: &signers, deployment: &deployment, newest_serial_seen: 0, now: now() };
        Ok(reader.read(&document, &signature)?)
    }
}

/// Who is believed, and for what.
#[derive(Debug, Args)]
pub(crate) struct Belief {
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

impl Belief {
    /// The time to check for.
    pub(crate) fn at(&self) -> UnixMillis {
        self.at.unwrap_or_else(now)
    }

    /// Reads a document and the signature beside it; says who signed it, for what and until when.
    pub(crate) fn read<T: Body>(&self, path: &Path, out: &mut String) -> Result<SignedDocument<T>, Failure> {
        let document = files::read(path)?;
        let signature = files::read_text(&files::signature_path(path))?;
        let reader = Reader {
            signers: &files::certificates(&self.signer)?,
            deployment: &self.deployment,
            newest_serial_seen: self.newest_serial,
            now: self.at(),
        };
        let read: SignedDocument<T> = reader.read(&document, &signature)?;
        out.push_str(&format!(
            "{}: good\n  signed by {}\n  for {}, serial {}\n  issued {}, holds until {}\n",
            path.display(),
            read.signature().signer().as_str(),
            read.envelope.deployment.as_str(),
            read.envelope.serial,
            show_date(read.envelope.issued),
            show_date(read.envelope.expires),
        ));
        Ok(read)
    }
}

/// A field of a document of which nothing is believed yet.
pub(crate) fn field_of(document: &[u8], name: &str) -> Result<Value, Failure> {
    let refused = |detail: String| Failure::Refused { code: Code::SgnFormat, detail };
    let mut value = parse_json(document).map_err(|error| refused(error.to_string()))?;
    let field = value.get_mut(name).map(Value::take);
    field.ok_or_else(|| refused(name.to_owned()))
}

/// The deployment that a document says it is for.
pub(crate) fn deployment_of(document: &[u8]) -> Result<Origin, Failure> {
    let value = field_of(document, "deployment")?;
    let origin = value.as_str().and_then(|text| Origin::parse(text).ok());
    origin.ok_or_else(|| Failure::Refused { code: Code::SgnFormat, detail: "deployment".into() })
}

fn sign_with_key(
    document: &[u8],
    key: &Path,
    passphrase: Option<&Path>,
) -> Result<(String, Vec<Certificate>), Failure> {
    let secret = secret_key(key, passphrase)?;
    let signature = sign_detached(document, &secret, now()).map_err(|error| Failure::refused(error.code()))?;
    Ok((signature, vec![secret.certificate()]))
}

fn secret_key(key: &Path, passphrase: Option<&Path>) -> Result<SecretCertificate, Failure> {
    let armored = files::read(key)?;
    let passphrase = match passphrase {
        Some(path) => {
            let text = files::read_text(path)?;
            Some(SecretText::new(text.lines().next().unwrap_or_default().to_owned()))
        }
        None => None,
    };
    SecretCertificate::parse(&armored, passphrase.as_ref()).map_err(|_| {
        let hint = if passphrase.is_some() { ", or the passphrase is wrong" } else { " that needs no passphrase" };
        Failure::Usage(format!("{} holds no single secret key{hint}", key.display()))
    })
}

fn sign_with_gpg(document: &[u8], key_id: &str) -> Result<(String, Vec<Certificate>), Failure> {
    let signature = gpg(&["--armor", "--detach-sign", "--local-user", key_id, "--output", "-"], document)?;
    Ok((signature, gpg_certificates(key_id)?))
}

fn gpg_certificates(key_id: &str) -> Result<Vec<Certificate>, Failure> {
    let exported = gpg(&["--armor", "--export", key_id], &[])?;
    Certificate::parse_all(exported.as_bytes()).map_err(|error| Failure::refused(error.code()))
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
