//! Sealing: encryption of a short text to accepted recipients.

use std::io::Write;

use sequoia_openpgp::{
    armor,
    serialize::stream::{Armorer, Encryptor, LiteralWriter, Message, Recipient},
    types::Features,
};

use super::RecipientAccepted;
use crate::{
    error::{Code, Coded},
    secret::SecretText,
};

/// Why nothing was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// There is nobody to seal to.
    #[error("no recipient")]
    NoRecipient,
    /// A recipient's key cannot be encrypted to.
    #[error("a recipient's key cannot be used")]
    Key,
}

impl Coded for SealError {
    fn code(&self) -> Code {
        match self {
            Self::NoRecipient => Code::DirNone,
            Self::Key => Code::DirNoEncryption,
        }
    }
}

/// Encrypts a text to every encryption key of every recipient; returns the armored message (RFC 9580, section 10.3).
///
/// Integrity is always protected: by version 1 of the encrypted container with its modification detection code, which
/// every OpenPGP program opens; by version 2 (AEAD) only where all recipients have certificates of version 6 that say
/// they can open it. Of an older certificate that word is worth nothing: GnuPG keeps it on import, and does not open
/// what it promises. Uncompressed, with no file name and no date.
///
/// # Errors
/// [`SealError`]; then nothing was encrypted to anyone.
pub fn seal(text: &SecretText, recipients: &[RecipientAccepted]) -> Result<String, SealError> {
    if recipients.is_empty() {
        return Err(SealError::NoRecipient);
    }
    let mut seen = Vec::new();
    let mut to = Vec::new();
    let all_of_version_6 = recipients.iter().flat_map(|recipient| &recipient.keys).all(|key| key.version() == 6);
    for recipient in recipients {
        let features = if all_of_version_6 { recipient.features.clone() } else { Features::empty().set_seipdv1() };
        for key in &recipient.keys {
            let handle = key.key_handle();
            if !seen.contains(&handle) {
                to.push(Recipient::new(features.clone(), handle.clone(), key));
                seen.push(handle);
            }
        }
    }
    let armored =
        encrypt(text.expose("what is sealed is encrypted here").as_bytes(), to).map_err(|_| SealError::Key)?;
    String::from_utf8(armored).map_err(|_| SealError::Key)
}

fn encrypt(text: &[u8], to: Vec<Recipient<'_>>) -> sequoia_openpgp::Result<Vec<u8>> {
    let mut armored = Vec::new();
    let message = Armorer::new(Message::new(&mut armored)).kind(armor::Kind::Message).build()?;
    let message = Encryptor::for_recipients(message, to).build()?;
    let mut message = LiteralWriter::new(message).build()?;
    message.write_all(text)?;
    message.finalize()?;
    Ok(armored)
}
