//! The sealed recovery: what the OpenPGP message says, and how it lies in account data.
//!
//! The message is plain text that a person can read with any OpenPGP program; its lines of the form `Name: value` can be
//! read by a program. It names user, server, key id and master key, so that a message meant for another account, or an
//! old one, is told apart. Being encrypted *to* somebody proves nothing about who wrote it: whoever opens one still has
//! to check what it names.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{RecoveryKey, RecoveryKeyError, WrappedRecoveryKey};
use crate::{
    error::{Code, Coded},
    ident::{Fingerprint, KeyId, UserId},
    identity::PublicKey,
    pins::shared::StoreId,
    secret::SecretText,
    sorted::SortedMap,
    time::UnixMillis,
};

/// The account-data type that holds the sealed recoveries.
pub const ACCOUNT_DATA: &str = crate::matrix::account_data::KEYSTEAD_RECOVERY;

const TITLE: &str = "Keystead sealed recovery, version 1";

/// What a sealed recovery says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedNames {
    /// The account.
    pub user_id: UserId,
    /// The secret storage key's id.
    pub key_id: KeyId,
    /// The account's public master key.
    pub master_key: PublicKey,
    /// The store of pins that the account's browsers share, where they do ([`crate::pins::shared`]).
    pub pins: Option<StoreId>,
}

/// Why an opened text is no sealed recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealedError {
    /// A line is missing, twice, or not of its form.
    #[error("this is not the text of a sealed recovery")]
    Form,
    /// The recovery key in it is none.
    #[error("the recovery key in it cannot be read")]
    Key(RecoveryKeyError),
}

impl Coded for SealedError {
    fn code(&self) -> Code {
        match self {
            Self::Form => Code::RecFormat,
            Self::Key(error) => error.code(),
        }
    }
}

impl SealedNames {
    /// The text to be sealed.
    #[must_use]
    pub fn to_text(&self, key: &RecoveryKey) -> SecretText {
        let pins = self.pins.as_ref().map(|id| format!("Pins: {}\n", id.as_str())).unwrap_or_default();
        SecretText::new(format!(
            "{TITLE}\n\
             \n\
             Recovery key: {}\n\
             User: {}\n\
             Server: {}\n\
             Key id: {}\n\
             Master key: {}\n\
             {pins}\
             \n\
             Whoever has the recovery key can read all encrypted messages of this account.\n\
             To use it: in Element, when asked to confirm your identity, choose the recovery key and enter it.\n",
            key.to_base58().expose("it is about to be sealed"),
            self.user_id.as_str(),
            self.user_id.server_name(),
            self.key_id.as_str(),
            self.master_key.to_base64(),
        ))
    }

    /// Reads an opened text. Line ends may be LF or CRLF; lines it does not know are passed over.
    ///
    /// # Errors
    /// [`SealedError`].
    pub fn parse(text: &SecretText) -> Result<(Self, RecoveryKey), SealedError> {
        let text = text.expose("to find the lines in it");
        let mut lines = text.lines().map(str::trim);
        if lines.next() != Some(TITLE) {
            return Err(SealedError::Form);
        }
        let mut fields = SortedMap::new();
        for line in lines {
            let Some((name, value)) = line.split_once(": ") else { continue };
            let known = ["Recovery key", "User", "Server", "Key id", "Master key", "Pins"].contains(&name);
            if known && fields.insert(name, value).is_some() {
                return Err(SealedError::Form);
            }
        }
        let field = |name: &str| fields.get(name).copied().ok_or(SealedError::Form);
        let names = Self {
            user_id: UserId::parse(field("User")?).map_err(|_| SealedError::Form)?,
            key_id: KeyId::parse(field("Key id")?).map_err(|_| SealedError::Form)?,
            master_key: PublicKey::parse(field("Master key")?).map_err(|_| SealedError::Form)?,
            // A sealed recovery of before pins were shared has none.
            pins: fields.get("Pins").map(|id| StoreId::parse(id)).transpose().map_err(|_| SealedError::Form)?,
        };
        // It says nothing that the user ID does not: where they differ, somebody altered one of them.
        if field("Server")? != names.user_id.server_name() {
            return Err(SealedError::Form);
        }
        let key = RecoveryKey::parse(field("Recovery key")?).map_err(SealedError::Key)?;
        Ok((names, key))
    }
}

/// A sealed recovery: what may be kept, and shown to anyone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedRecovery {
    /// The OpenPGP message, ASCII-armored.
    pub message: String,
    /// The certificates that may open it.
    pub recipients: Vec<Fingerprint>,
    /// When it was sealed.
    pub sealed_at: UnixMillis,
}

/// What account data says of one recovery key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryEntry {
    /// The sealed recovery; absent where the person keeps the recovery key.
    #[serde(flatten)]
    pub sealed: Option<SealedRecovery>,
    /// The owner's signature over the account, the key id and the master key, ASCII-armored
    /// ([`crate::restore::witness::Statement`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<String>,
    /// The recovery key under the wrapping keys of the browsers that hold it, by the browser's id
    /// ([`crate::bootstrap::record::AccountRecord::browser`]); a copy opens nothing without its browser.
    #[serde(default)]
    pub wrapped: SortedMap<String, WrappedRecoveryKey>,
    /// Fields of other versions, kept as they are.
    #[serde(flatten)]
    pub other: SortedMap<String, Value>,
}

impl RecoveryEntry {
    /// Does it say this, whatever it says of other browsers?
    #[must_use]
    pub fn holds(&self, sealed: Option<&SealedRecovery>, browser: &str, wrapped: &WrappedRecoveryKey) -> bool {
        self.sealed.as_ref() == sealed && self.wrapped.get(browser) == Some(wrapped)
    }
}

/// The content of [`ACCOUNT_DATA`]: sealed recoveries by key id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedDocument {
    /// The entries. One that is not of this version's form is kept, and not used.
    #[serde(default)]
    pub keys: SortedMap<String, Value>,
    /// Fields of other versions, kept as they are.
    #[serde(flatten)]
    pub other: SortedMap<String, Value>,
}

impl SealedDocument {
    /// Is there no entry of any form?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The entry for a key, if there is one of this version's form.
    #[must_use]
    pub fn entry(&self, id: &KeyId) -> Option<RecoveryEntry> {
        serde_json::from_value(self.keys.get(id.as_str())?.clone()).ok()
    }

    /// Puts an entry in, over one for the same key.
    ///
    /// # Errors
    /// [`SealedError::Form`] where the entry cannot be written as JSON.
    pub fn insert(&mut self, id: &KeyId, entry: &RecoveryEntry) -> Result<(), SealedError> {
        let value = serde_json::to_value(entry).map_err(|_| SealedError::Form)?;
        self.keys.insert(id.as_str().to_owned(), value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretBytes;

    const PINS: &str = "AAECAwQFBgcICQoLDA0ODw";

    fn written() -> String {
        let names = SealedNames {
            user_id: UserId::parse("@ann:example.org:8448").unwrap(),
            key_id: KeyId::parse("abc").unwrap(),
            master_key: crate::identity::derive_public(&SecretBytes::<32>::make_random().unwrap()),
            pins: Some(StoreId::parse(PINS).unwrap()),
        };
        names.to_text(&RecoveryKey::make_random().unwrap()).expose("test").to_owned()
    }

    fn parse(text: &str) -> Result<SealedNames, SealedError> {
        SealedNames::parse(&SecretText::new(text.to_owned())).map(|(names, _)| names)
    }

    #[test]
    fn what_is_written_is_read_with_line_ends_of_either_kind() {
        let text = written();
        assert_eq!(parse(&text).unwrap().user_id.as_str(), "@ann:example.org:8448");
        assert_eq!(parse(&text.replace('\n', "\r\n")).unwrap(), parse(&text).unwrap());
        assert_eq!(parse(&format!("{text}Note: kept\n")).unwrap(), parse(&text).unwrap());
    }

    #[test]
    fn a_line_that_is_missing_twice_or_altered_is_refused() {
        let text = written();
        for name in ["Recovery key", "User", "Server", "Key id", "Master key"] {
            let line = text.lines().find(|line| line.starts_with(&format!("{name}: "))).unwrap();
            let without = text.replace(&format!("{line}\n"), "");
            assert_eq!(parse(&without).err(), Some(SealedError::Form), "no {name}");
            assert_eq!(parse(&format!("{text}{line}\n")).err(), Some(SealedError::Form), "{name} twice");
        }
        let pins = format!("Pins: {PINS}\n");
        assert_eq!(parse(&text).unwrap().pins.unwrap().as_str(), PINS);
        assert_eq!(parse(&text.replace(&pins, "")).unwrap().pins, None, "one of before pins were shared");
        assert_eq!(parse(&format!("{text}{pins}")).err(), Some(SealedError::Form), "two stores");
        for (line, altered) in [
            ("Pins: AAEC", "Pins: no store, "),
            ("Server: example.org:8448", "Server: example.com"),
            ("Server: example.org:8448", "Server: example.org"),
            ("User: @ann:example.org:8448", "User: @ann:example.com"),
            ("version 1", "version 2"),
        ] {
            assert!(text.contains(line));
            assert_eq!(parse(&text.replace(line, altered)).err(), Some(SealedError::Form), "{altered}");
        }
    }
}
