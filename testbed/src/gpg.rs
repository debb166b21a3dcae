//! The real GnuPG, in a key ring of its own.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command as BlockingCommand, Stdio};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::scratch::{scratch_dir, scratch_dir_in};

/// The longest path of a key ring that leaves room for the agent's socket (108 bytes in Linux).
const LONGEST_HOME: usize = 80;

/// The algorithms that people's certificates use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyKind {
    /// Ed25519 to sign, Cv25519 to encrypt: GnuPG's choice of today.
    Ed25519,
    /// RSA with 3072 bits, GnuPG's choice of yesterday.
    Rsa3072,
    /// NIST P-256, as on many smart cards.
    P256,
    /// RSA with 1024 bits: too weak to be accepted.
    Rsa1024,
}

impl KeyKind {
    fn parameters(self) -> [&'static str; 2] {
        match self {
            Self::Ed25519 => ["EDDSA\nKey-Curve: ed25519", "ECDH\nSubkey-Curve: cv25519"],
            Self::Rsa3072 => ["RSA\nKey-Length: 3072", "RSA\nSubkey-Length: 3072"],
            Self::P256 => ["ECDSA\nKey-Curve: nistp256", "ECDH\nSubkey-Curve: nistp256"],
            Self::Rsa1024 => ["RSA\nKey-Length: 1024", "RSA\nSubkey-Length: 1024"],
        }
    }
}

/// What a new key should be.
#[derive(Clone, Debug)]
pub struct KeySpec {
    user_id: String,
    kind: KeyKind,
    encrypts: bool,
    expires: String,
    made_at: Option<String>,
    sha1: bool,
    passphrase: Option<String>,
}

impl KeySpec {
    /// A key that signs, certifies, encrypts and never expires, for a user ID such as `Alice <alice@example.org>`.
    #[must_use]
    pub fn new(user_id: &str, kind: KeyKind) -> Self {
        Self {
            user_id: user_id.to_owned(),
            kind,
            encrypts: true,
            expires: "0".to_owned(),
            made_at: None,
            sha1: false,
            passphrase: None,
        }
    }

    /// Without the subkey that encrypts.
    #[must_use]
    pub fn sign_only(mut self) -> Self {
        self.encrypts = false;
        self
    }

    /// With a lifetime such as `1d` or `2y`, or a day such as `2030-01-01`.
    #[must_use]
    pub fn expires(mut self, when: &str) -> Self {
        when.clone_into(&mut self.expires);
        self
    }

    /// Made at a time such as `20200131T120000`, in UTC.
    #[must_use]
    pub fn made_at(mut self, when: &str) -> Self {
        self.made_at = Some(when.to_owned());
        self
    }

    /// With signatures over SHA-1, which nobody may believe any more.
    #[must_use]
    pub fn sha1_signatures(mut self) -> Self {
        self.sha1 = true;
        self
    }

    /// Locked with this passphrase, for which the agent asks whenever the key is used.
    #[must_use]
    pub fn passphrase(mut self, passphrase: &str) -> Self {
        self.passphrase = Some(passphrase.to_owned());
        self
    }

    fn batch(&self) -> String {
        let [primary, subkey] = self.kind.parameters();
        let protection = if self.passphrase.is_some() { "" } else { "%no-protection\n" };
        let mut batch = format!("{protection}Key-Type: {primary}\nKey-Usage: sign,cert\n");
        if self.encrypts {
            batch += &format!("Subkey-Type: {subkey}\nSubkey-Usage: encrypt\n");
        }
        let (name, address) = match self.user_id.split_once('<') {
            Some((name, rest)) => (name.trim(), rest.trim_end_matches('>')),
            None => ("", self.user_id.as_str()),
        };
        if !name.is_empty() {
            batch += &format!("Name-Real: {name}\n");
        }
        batch + &format!("Name-Email: {address}\nExpire-Date: {}\n%commit\n", self.expires)
    }
}

/// A key ring and the agent that serves it; both end when this is dropped. Keys have no passphrase unless one is given.
#[derive(Debug)]
pub struct Gpg {
    home: TempDir,
    // gpg itself does not always wait for another that writes to the same key ring.
    one_at_a_time: Mutex<()>,
}

impl Gpg {
    /// Makes an empty key ring.
    ///
    /// # Errors
    /// If GnuPG is not installed or no directory can be made.
    pub fn new() -> Result<Self> {
        if keystead_tools::on_path("gpg").is_none() {
            bail!("gpg is not installed: run `cargo xtask setup`");
        }
        let mut home = scratch_dir("gpg")?;
        if home.path().as_os_str().len() > LONGEST_HOME {
            home = scratch_dir_in(Path::new("/tmp"), "gpg")?;
        }
        fs::set_permissions(home.path(), Permissions::from_mode(0o700))?;
        Ok(Self { home, one_at_a_time: Mutex::default() })
    }

    /// The directory of the key ring, for `GNUPGHOME`.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Has gpg look for its agent where there is none.
    ///
    /// # Errors
    /// If the key ring's folder cannot be written to.
    pub fn lose_agent(&self) -> Result<()> {
        fs::write(self.home().join("gpg.conf"), "agent-program /nonexistent/gpg-agent\n")?;
        self.end_agent();
        Ok(())
    }

    pub(crate) fn end_agent(&self) {
        // An agent that was never started cannot be ended, which is as good.
        let _ = BlockingCommand::new("gpgconf")
            .args(["--kill", "all"])
            .env("GNUPGHOME", self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }

    /// Makes a key; answers its fingerprint, 40 upper-case hexadecimal digits.
    ///
    /// # Errors
    /// If gpg refuses.
    pub async fn generate(&self, spec: &KeySpec) -> Result<String> {
        let mut arguments = vec!["--full-generate-key".to_owned()];
        if let Some(when) = &spec.made_at {
            arguments.push(format!("--faked-system-time={when}!"));
        }
        if spec.sha1 {
            arguments.push("--cert-digest-algo=SHA1".to_owned());
        }
        if let Some(passphrase) = &spec.passphrase {
            arguments.push(format!("--passphrase={passphrase}"));
        }
        arguments.push("--status-fd=1".to_owned());
        let status = self.run(&arguments, spec.batch().as_bytes()).await?;
        let status = String::from_utf8_lossy(&status);
        let made = status.lines().find_map(|line| line.strip_prefix("[GNUPG:] KEY_CREATED "));
        let fingerprint = made.and_then(|rest| rest.split(' ').nth(1));
        Ok(fingerprint.context("gpg made a key and did not say which")?.to_owned())
    }

    /// Certifies all user IDs of the key `subject` with the secret key `certifier`.
    ///
    /// # Errors
    /// If gpg refuses.
    pub async fn certify(&self, certifier: &str, subject: &str) -> Result<()> {
        self.run(&["--yes", "--local-user", certifier, "--quick-sign-key", subject], b"").await?;
        Ok(())
    }

    /// Certifies as [`Gpg::certify`] does, at a time such as `20200131T120000` in UTC.
    ///
    /// # Errors
    /// If gpg refuses.
    pub async fn certify_at(&self, certifier: &str, subject: &str, when: &str) -> Result<()> {
        let clock = format!("--faked-system-time={when}!");
        self.run(&[&clock, "--yes", "--local-user", certifier, "--quick-sign-key", subject], b"").await?;
        Ok(())
    }

    /// The armored certificate.
    ///
    /// # Errors
    /// If there is no such key.
    pub async fn export(&self, fingerprint: &str) -> Result<String> {
        text(self.run(&["--armor", "--export", fingerprint], b"").await?, "certificate")
    }

    /// The armored secret key.
    ///
    /// # Errors
    /// If there is no such key.
    pub async fn export_secret(&self, fingerprint: &str) -> Result<String> {
        text(self.run(&["--armor", "--export-secret-keys", fingerprint], b"").await?, "secret key")
    }

    /// Takes certificates, secret keys or revocations into the key ring.
    ///
    /// # Errors
    /// If gpg refuses.
    pub async fn import(&self, keys: &str) -> Result<()> {
        self.run(&["--import"], keys.as_bytes()).await?;
        Ok(())
    }

    /// The certificate with a revocation that was prepared when the key was made, armored; the key ring stays as it is.
    ///
    /// # Errors
    /// If the key was not made in this key ring.
    pub async fn revoked(&self, fingerprint: &str) -> Result<String> {
        let path = self.home().join("openpgp-revocs.d").join(format!("{fingerprint}.rev"));
        let prepared =
            fs::read_to_string(&path).with_context(|| format!("no prepared revocation {}", path.display()))?;
        // gpg puts a colon before the armor so that nobody imports it by accident.
        let armor = prepared.split_once(":-----BEGIN").context("the prepared revocation has no armor")?.1;
        let elsewhere = Self::new()?;
        elsewhere.import(&self.export(fingerprint).await?).await?;
        elsewhere.import(&format!("-----BEGIN{armor}")).await?;
        elsewhere.export(fingerprint).await
    }

    /// Decrypts a message.
    ///
    /// # Errors
    /// If no secret key opens it or it was altered.
    pub async fn decrypt(&self, message: &str) -> Result<Vec<u8>> {
        self.run(&["--decrypt"], message.as_bytes()).await
    }

    /// Encrypts a message to certificates of the key ring, armored.
    ///
    /// # Errors
    /// If gpg refuses one of the recipients.
    pub async fn encrypt(&self, message: &[u8], recipients: &[&str]) -> Result<String> {
        let mut arguments = vec!["--armor", "--trust-model", "always", "--encrypt"];
        arguments.extend(recipients.iter().flat_map(|fingerprint| ["--recipient", fingerprint]));
        text(self.run(&arguments, message).await?, "message")
    }

    /// Signs a document, detached and armored.
    ///
    /// # Errors
    /// If gpg refuses.
    pub async fn sign_detached(&self, document: &[u8], signer: &str) -> Result<String> {
        text(self.run(&["--armor", "--local-user", signer, "--detach-sign"], document).await?, "signature")
    }

    /// Signs as [`Gpg::sign_detached`] does, at a time such as `20200131T120000` in UTC.
    ///
    /// # Errors
    /// If gpg refuses.
    pub async fn sign_detached_at(&self, document: &[u8], signer: &str, when: &str) -> Result<String> {
        let clock = format!("--faked-system-time={when}!");
        text(self.run(&[&clock, "--armor", "--local-user", signer, "--detach-sign"], document).await?, "signature")
    }

    /// Runs gpg on this key ring, in batch mode; answers what it printed.
    ///
    /// # Errors
    /// If gpg fails, with its own words.
    pub async fn run(&self, arguments: &[impl AsRef<OsStr>], input: &[u8]) -> Result<Vec<u8>> {
        let _alone = self.one_at_a_time.lock().await;
        let mut command = Command::new("gpg");
        command.env("GNUPGHOME", self.home()).env("LC_ALL", "C.UTF-8").kill_on_drop(true);
        command.args(["--batch", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", ""]).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut gpg = command.spawn().context("cannot start gpg")?;
        let mut stdin = gpg.stdin.take().context("gpg without input")?;
        let feed = async move {
            // gpg may have seen enough and be gone: its exit status tells.
            let _ = stdin.write_all(input).await;
        };
        let ((), output) = tokio::join!(feed, gpg.wait_with_output());
        let output = output?;
        if !output.status.success() {
            bail!("gpg failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(output.stdout)
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        self.end_agent();
    }
}

fn text(output: Vec<u8>, what: &str) -> Result<String> {
    if output.is_empty() {
        bail!("gpg has no such {what}");
    }
    Ok(String::from_utf8(output)?)
}
