//! Certificates with their secret keys: for the native command and for tests; the extension holds none.

use sequoia_openpgp::{
    Cert, KeyHandle, Packet,
    cert::amalgamation::key::PrimaryKey,
    crypto::{Password, SessionKey},
    packet::{
        PKESK, SKESK,
        key::{SecretParts, UnspecifiedRole},
    },
    parse::{
        Parse,
        stream::{DecryptionHelper, DecryptorBuilder, MessageStructure, VerificationHelper},
    },
    types::SymmetricAlgorithm,
};

use super::{
    Certificate, ParseError,
    certificate::parse_certs,
    validity::{lenient_policy, system_time},
};
use crate::{
    error::{Code, Coded},
    secret::SecretText,
    time::UnixMillis,
};

/// The most bytes of plaintext that are read: a sealed recovery is far smaller.
const MAX_PLAINTEXT: u64 = 1 << 20;

/// A certificate with secret keys that need no passphrase (any more).
pub struct SecretCertificate {
    cert: Cert,
    certificate: Certificate,
}

impl SecretCertificate {
    /// Reads one certificate with its secret keys, and unlocks them.
    ///
    /// # Errors
    /// [`ParseError::NotAKey`] where it is anything but one certificate with secret keys, or the passphrase is wrong.
    pub fn parse(input: &[u8], passphrase: Option<&SecretText>) -> Result<Self, ParseError> {
        let mut certs = parse_certs(input)?;
        let cert = certs.pop().filter(|cert| cert.is_tsk()).ok_or(ParseError::NotAKey)?;
        if !certs.is_empty() {
            return Err(ParseError::NotAKey);
        }
        let cert = match passphrase {
            Some(passphrase) => unlock(cert, passphrase).map_err(|_| ParseError::NotAKey)?,
            None => cert,
        };
        let certificate = Certificate::from_cert(cert.clone()).ok_or(ParseError::NotAKey)?;
        let open = cert.keys().secret().any(|key| key.key().has_unencrypted_secret());
        if open { Ok(Self { cert, certificate }) } else { Err(ParseError::NotAKey) }
    }

    /// The certificate without its secrets.
    #[must_use]
    pub fn certificate(&self) -> Certificate {
        self.certificate.clone()
    }

    pub(super) fn cert(&self) -> &Cert {
        &self.cert
    }
}

fn unlock(cert: Cert, passphrase: &SecretText) -> sequoia_openpgp::Result<Cert> {
    let password = Password::from(passphrase.expose("unlocks the person's own secret key"));
    let mut unlocked: Vec<Packet> = Vec::new();
    for key in cert.keys().secret().filter(|key| !key.key().has_unencrypted_secret()) {
        let primary = key.primary();
        let key = key.key().clone().decrypt_secret(&password)?;
        unlocked.push(if primary { key.role_into_primary().into() } else { key.role_into_subordinate().into() });
    }
    Ok(cert.insert_packets(unlocked)?.0)
}

/// A message did not open; it does not say why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message cannot be opened")]
pub struct OpenError;

impl Coded for OpenError {
    fn code(&self) -> Code {
        Code::RecMac
    }
}

/// Opens a sealed message with a secret key, expired or revoked as it may be: an old sealed recovery must still open.
///
/// Dangerous: the secret key is in this process. The extension leaves opening to GnuPG.
///
/// # Errors
/// [`OpenError`] where it is not for this key, was altered, or is no encrypted UTF-8 text.
pub fn dangerous_open(armored: &str, secret: &SecretCertificate, at: UnixMillis) -> Result<SecretText, OpenError> {
    let policy = lenient_policy();
    let mut decryptor = DecryptorBuilder::from_bytes(armored.as_bytes())
        .and_then(|builder| builder.with_policy(&policy, system_time(at), Opener(secret)))
        .map_err(|_| OpenError)?;
    let mut plain = zeroize::Zeroizing::new(Vec::new());
    std::io::copy(&mut std::io::Read::take(&mut decryptor, MAX_PLAINTEXT), &mut *plain).map_err(|_| OpenError)?;
    // Only a message read to its end has had its integrity checked.
    if !decryptor.message_processed() {
        return Err(OpenError);
    }
    let text = std::str::from_utf8(&plain).map_err(|_| OpenError)?;
    Ok(SecretText::new(text.to_owned()))
}

struct Opener<'a>(&'a SecretCertificate);

impl VerificationHelper for Opener<'_> {
    fn get_certs(&mut self, _: &[KeyHandle]) -> sequoia_openpgp::Result<Vec<Cert>> {
        Ok(Vec::new())
    }

    fn check(&mut self, _: MessageStructure<'_>) -> sequoia_openpgp::Result<()> {
        // Who made a sealed message is not a matter of signatures: see the module `bootstrap`.
        Ok(())
    }
}

impl DecryptionHelper for Opener<'_> {
    fn decrypt(
        &mut self,
        pkesks: &[PKESK],
        _: &[SKESK],
        algorithm: Option<SymmetricAlgorithm>,
        decrypt: &mut dyn FnMut(Option<SymmetricAlgorithm>, &SessionKey) -> bool,
    ) -> sequoia_openpgp::Result<Option<Cert>> {
        for key in self.0.cert.keys().secret().filter(|key| key.key().has_unencrypted_secret()) {
            let secret: sequoia_openpgp::packet::Key<SecretParts, UnspecifiedRole> = key.key().clone();
            let handle = secret.key_handle();
            let mut pair = secret.into_keypair()?;
            let ours = pkesks.iter().filter(|pkesk| pkesk.recipient().is_none_or(|r| r.aliases(&handle)));
            for pkesk in ours {
                if pkesk.decrypt(&mut pair, algorithm).is_some_and(|(algorithm, key)| decrypt(algorithm, &key)) {
                    return Ok(None);
                }
            }
        }
        Err(OpenError.into())
    }
}
