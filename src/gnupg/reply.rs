//! What gpgme-json answers: an object that comes as Base64 of its JSON, in one part or several.

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{GnupgError, json_text};
use crate::{ident::Fingerprint, matrix::base64, secret::SecretText};

/// The most bytes of a whole reply. (A sealed recovery is about one kilobyte.)
pub const MAX_REPLY: usize = 4 << 20;

/// The most parts of a reply: twice as many as [`MAX_REPLY`] needs.
const MAX_PARTS: usize = 64;

/// A part of a reply: the answer to a request that named a size, and to `getmore`.
#[derive(Deserialize)]
struct Part<'a> {
    // Base64 needs no escapes, so nothing of it is copied.
    #[serde(borrow)]
    response: Option<&'a str>,
    #[serde(default)]
    more: bool,
    #[serde(default)]
    base64: bool,
    // An error may come unpacked.
    #[serde(rename = "type", borrow)]
    kind: Option<&'a str>,
    code: Option<u32>,
}

/// The parts of a reply that have arrived.
#[derive(Default)]
pub(super) struct Parts {
    found: Vec<Zeroizing<Vec<u8>>>,
    length: usize,
}

impl Parts {
    /// Takes one message in; says whether it was the last.
    pub(super) fn push(&mut self, message: &SecretText) -> Result<bool, GnupgError> {
        let message = message.expose("the reply is in it");
        let part: Part<'_> = serde_json::from_str(message).map_err(|_| GnupgError::Answer)?;
        let Some(response) = part.response.filter(|_| part.base64) else {
            return Err(error_in(part.kind, part.code).unwrap_or(GnupgError::Answer));
        };
        let bytes = Zeroizing::new(base64::decode(response).ok_or(GnupgError::Answer)?);
        self.length += bytes.len();
        if self.length > MAX_REPLY || self.found.len() >= MAX_PARTS {
            return Err(GnupgError::TooLarge);
        }
        // A host that always has more of nothing would keep us for ever.
        if part.more && bytes.is_empty() {
            return Err(GnupgError::Answer);
        }
        self.found.push(bytes);
        Ok(!part.more)
    }

    /// The whole reply, unless it is an error.
    pub(super) fn whole(self) -> Result<Reply, GnupgError> {
        // Room for all of it at once: a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.length));
        for part in self.found {
            bytes.extend_from_slice(&part);
        }
        let reply = Reply(bytes);
        let outcome: Part<'_> = reply.read()?;
        match error_in(outcome.kind, outcome.code) {
            Some(error) => Err(error),
            None => Ok(reply),
        }
    }
}

fn error_in(kind: Option<&str>, value: Option<u32>) -> Option<GnupgError> {
    (kind == Some("error")).then(|| value.map_or(GnupgError::Answer, GnupgError::of_value))
}

/// A whole reply that is no error.
pub(super) struct Reply(Zeroizing<Vec<u8>>);

/// The result of `decrypt` and of `sign`.
#[derive(Deserialize)]
struct Data<'a> {
    #[serde(rename = "type", borrow)]
    kind: &'a str,
    #[serde(default)]
    base64: bool,
    // Raw: serde would put the text through a buffer of its own, which it does not wipe.
    #[serde(borrow)]
    data: &'a RawValue,
    dec_info: Option<Decryption>,
}

#[derive(Deserialize)]
struct Decryption {
    #[serde(default)]
    legacy_cipher_nomdc: bool,
    #[serde(default)]
    recipients: Vec<serde::de::IgnoredAny>,
}

/// A key of the person's key ring.
#[derive(Deserialize)]
pub(super) struct ListedKey {
    fingerprint: String,
    #[serde(default)]
    secret: bool,
    #[serde(default)]
    revoked: bool,
    #[serde(default)]
    expired: bool,
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    invalid: bool,
    #[serde(default)]
    can_sign: bool,
    #[serde(default)]
    subkeys: Vec<ListedSubkey>,
}

#[derive(Deserialize)]
struct ListedSubkey {
    keyid: String,
}

impl ListedKey {
    /// Is this the secret key with this fingerprint?
    pub(super) fn is_secret(&self, fingerprint: &Fingerprint) -> bool {
        self.secret && self.fingerprint.eq_ignore_ascii_case(fingerprint.as_str())
    }

    /// May it sign now?
    pub(super) fn signs(&self) -> bool {
        self.can_sign && !(self.revoked || self.expired || self.disabled || self.invalid)
    }

    /// Does it have a key or subkey of this id?
    pub(super) fn has(&self, key_id: &str) -> bool {
        self.subkeys.iter().any(|subkey| subkey.keyid.eq_ignore_ascii_case(key_id))
    }
}

/// The versions of what answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// Of gpgme-json and the library it belongs to.
    pub gpgme: String,
    /// Of GnuPG itself; `None` where the host finds none that it can use.
    pub gnupg: Option<String>,
}

impl Reply {
    fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, GnupgError> {
        let text = std::str::from_utf8(&self.0).map_err(|_| GnupgError::Answer)?;
        serde_json::from_str(text).map_err(|_| GnupgError::Answer)
    }

    fn data(&self, kind: &str) -> Result<(Zeroizing<Vec<u8>>, Option<Decryption>), GnupgError> {
        let reply: Data<'_> = self.read()?;
        let text = json_text::read(reply.data.get()).filter(|_| reply.kind == kind).ok_or(GnupgError::Answer)?;
        let bytes = if reply.base64 {
            let text = std::str::from_utf8(&text).map_err(|_| GnupgError::Answer)?;
            Zeroizing::new(base64::decode(text).ok_or(GnupgError::Answer)?)
        } else {
            text
        };
        Ok((bytes, reply.dec_info))
    }

    /// Is it the answer of gpgme-json to [`super::request::Request::hello`]?
    pub(super) fn is_help(&self) -> Result<(), GnupgError> {
        let reply: Part<'_> = self.read()?;
        if reply.kind == Some("help") { Ok(()) } else { Err(GnupgError::Answer) }
    }

    /// The text of a message that was decrypted.
    pub(super) fn plaintext(&self) -> Result<SecretText, GnupgError> {
        let (bytes, info) = self.data("plaintext")?;
        // GnuPG refuses both by itself; another version, or another configuration, might not.
        if info.is_none_or(|info| info.legacy_cipher_nomdc || info.recipients.is_empty()) {
            return Err(GnupgError::Message);
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| GnupgError::Message)?;
        Ok(SecretText::new(text.to_owned()))
    }

    /// The signature that was made, armored.
    pub(super) fn signature(&self) -> Result<String, GnupgError> {
        let (bytes, _) = self.data("signature")?;
        String::from_utf8(bytes.to_vec()).map_err(|_| GnupgError::Answer)
    }

    /// The keys that were listed.
    pub(super) fn keys(&self) -> Result<Vec<ListedKey>, GnupgError> {
        #[derive(Deserialize)]
        struct Keys {
            keys: Vec<ListedKey>,
        }
        self.read::<Keys>().map(|list| list.keys)
    }

    /// The versions.
    pub(super) fn versions(&self) -> Result<Versions, GnupgError> {
        #[derive(Deserialize)]
        struct Version {
            gpgme: String,
            info: Vec<Engine>,
        }
        #[derive(Deserialize)]
        struct Engine {
            protocol: String,
            version: Option<String>,
        }
        let reply: Version = self.read()?;
        let gnupg = reply.info.into_iter().find(|engine| engine.protocol == "OpenPGP");
        Ok(Versions { gpgme: reply.gpgme, gnupg: gnupg.and_then(|engine| engine.version) })
    }
}
