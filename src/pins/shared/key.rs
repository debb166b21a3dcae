//! The key that a person's browsers share, and what is made of it.

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Payload},
};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    ident::UserId,
    matrix::base64,
    recovery::{DerivedKeys, EncryptedSecret, decode_seed, encode_seed},
    secret::{NoRandomness, SecretBytes, SecretText},
};

/// Account data that holds the key, a secret in secret storage (Client-Server API, "Secrets").
pub const KEY: &str = "io.keystead.pins.key";
/// Account data that says which chunks there are; and, with `.` and a number behind it, each of them.
pub const HEAD: &str = "io.keystead.pins";

/// Which store it is: made of its key, so that another key is another store. 128 bits in base64 without padding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StoreId(String);

/// The text names no store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a store of pins")]
pub struct NotAStoreId;

impl StoreId {
    /// Reads a name.
    ///
    /// # Errors
    /// [`NotAStoreId`]
    pub fn parse(text: &str) -> Result<Self, NotAStoreId> {
        let bytes = base64::decode_array::<16>(text).ok_or(NotAStoreId)?;
        if base64::encode_unpadded(&bytes) == text { Ok(Self(text.to_owned())) } else { Err(NotAStoreId) }
    }

    /// The text of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for StoreId {
    type Error = NotAStoreId;
    fn try_from(text: String) -> Result<Self, NotAStoreId> {
        Self::parse(&text)
    }
}

impl From<StoreId> for String {
    fn from(id: StoreId) -> Self {
        id.0
    }
}

/// Which part of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Head,
    Chunk(usize),
}

impl Part {
    /// The account data that it lies in.
    pub(super) fn kind(self) -> String {
        match self {
            Self::Head => HEAD.to_owned(),
            Self::Chunk(index) => format!("{HEAD}.{index}"),
        }
    }
}

/// A part as it lies in account data: AES-256-GCM. What it says of itself is covered by the tag, and so are the account and
/// the place where it lies: none can stand for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sealed {
    version: String,
    /// The state that it was written for; each has a higher one than those before.
    pub(super) counter: u64,
    /// How many chunks the store has then.
    pub(super) of: usize,
    #[serde(with = "base64::array")]
    iv: [u8; 12],
    #[serde(with = "base64::bytes")]
    ciphertext: Vec<u8>,
}

const VERSION: &str = "1";

impl Sealed {
    /// What names exactly this part: SHA-256, in base64 without padding.
    pub(super) fn hash(&self) -> String {
        // Of what is covered, in one form: a homeserver may write the JSON in another order.
        let text = serde_json::json!([self.version, self.counter, self.of, base64::encode_unpadded(&self.iv)]);
        let hash = Sha256::new().chain_update(text.to_string()).chain_update(&self.ciphertext);
        base64::encode_unpadded(&hash.finalize())
    }
}

/// The key: 32 random bytes, which only secret storage keeps.
pub(crate) struct ShareKey {
    bytes: SecretBytes<32>,
    cipher: SecretBytes<32>,
    place: SecretBytes<32>,
}

impl ShareKey {
    pub(crate) fn make_random() -> Result<Self, NoRandomness> {
        SecretBytes::make_random().map(Self::from_bytes)
    }

    pub(super) fn from_bytes(bytes: SecretBytes<32>) -> Self {
        let (cipher, place) = (derive(&bytes, "encrypt"), derive(&bytes, "place"));
        Self { bytes, cipher, place }
    }

    /// Reads the secret as secret storage has it: the bytes in base64.
    pub(super) fn from_secret(secret: &SecretText) -> Option<Self> {
        decode_seed(secret).ok().map(Self::from_bytes)
    }

    /// Opens the entry of it in secret storage.
    pub(super) fn from_entry(entry: &EncryptedSecret, derived: &DerivedKeys) -> Option<Self> {
        entry.decrypt(derived).ok().and_then(|secret| Self::from_secret(&secret))
    }

    pub(crate) fn to_secret(&self) -> SecretText {
        encode_seed(&self.bytes)
    }

    /// Which store it is the key of.
    pub(crate) fn id(&self) -> StoreId {
        let id: SecretBytes<16> = derive(&self.bytes, "id");
        StoreId(base64::encode_unpadded(id.expose("it is a name, and says nothing of the key")))
    }

    /// In which of so many chunks, a power of two, somebody is. By a keyed hash: whoever invents people
    /// cannot have them all in one.
    pub(super) fn place(&self, user: &UserId, of: usize) -> usize {
        let key = self.place.expose("to find the chunk of somebody");
        let hash = <Hmac<Sha256> as hmac::Mac>::new_from_slice(key).map(|hmac| hmac.chain_update(user.as_str()));
        let byte = hash.map_or(0, |hmac| hmac.finalize().into_bytes()[0]);
        usize::from(byte) % of.max(1)
    }

    pub(super) fn seal(
        &self,
        owner: &UserId,
        part: Part,
        (counter, of): (u64, usize),
        content: &[u8],
    ) -> Result<Sealed, NoRandomness> {
        let mut iv = [0; 12];
        getrandom::fill(&mut iv).map_err(|_| NoRandomness)?;
        self.dangerous_seal_with_iv(owner, part, (counter, of), content, iv)
    }

    /// As [`Self::seal`] with a given initialisation vector: used twice, it gives both contents away. For tests only.
    fn dangerous_seal_with_iv(
        &self,
        owner: &UserId,
        part: Part,
        (counter, of): (u64, usize),
        content: &[u8],
        iv: [u8; 12],
    ) -> Result<Sealed, NoRandomness> {
        let mut sealed = Sealed { version: VERSION.to_owned(), counter, of, iv, ciphertext: Vec::new() };
        let aad = self.covered(owner, part, &sealed);
        let payload = Payload { msg: content, aad: aad.as_bytes() };
        sealed.ciphertext = self.aes().encrypt(&iv.into(), payload).map_err(|_| NoRandomness)?;
        Ok(sealed)
    }

    /// Opens a part; `None` where it is not one of this store's, of this account's, for this place, as it was written.
    pub(super) fn open(&self, owner: &UserId, part: Part, sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
        let aad = self.covered(owner, part, sealed);
        let payload = Payload { msg: &sealed.ciphertext, aad: aad.as_bytes() };
        self.aes().decrypt(&sealed.iv.into(), payload).ok().map(Zeroizing::new)
    }

    /// What the tag covers besides the content. The key itself is the store's.
    fn covered(&self, owner: &UserId, part: Part, sealed: &Sealed) -> String {
        serde_json::json!([sealed.version, owner, part.kind(), sealed.counter, sealed.of]).to_string()
    }

    fn aes(&self) -> Aes256Gcm {
        Aes256Gcm::new(self.cipher.expose("to encrypt or decrypt what browsers share").into())
    }
}

/// HKDF-SHA-256 without a salt; `info` is the key's account-data type and what it is for.
#[expect(clippy::expect_used, reason = "HKDF-SHA-256 gives up to 8160 bytes, at most 32 are asked for")]
fn derive<const N: usize>(key: &SecretBytes<32>, what_for: &str) -> SecretBytes<N> {
    let hkdf = Hkdf::<Sha256>::new(None, key.expose("derive what encrypts, places and names"));
    let mut bits = Zeroizing::new([0; N]);
    hkdf.expand_multi_info(&[KEY.as_bytes(), b" ", what_for.as_bytes()], &mut *bits).expect("so many can be had");
    SecretBytes::new(*bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann() -> UserId {
        UserId::parse("@ann:example.org").unwrap()
    }

    fn key(byte: u8) -> ShareKey {
        ShareKey::from_bytes(SecretBytes::new([byte; 32]))
    }

    #[test]
    fn a_part_opens_only_as_what_it_was_written_for() {
        let sealed = key(1).seal(&ann(), Part::Chunk(2), (7, 4), b"[]").unwrap();
        assert_eq!(key(1).open(&ann(), Part::Chunk(2), &sealed).unwrap().as_slice(), b"[]");
        let bob = UserId::parse("@bob:example.org").unwrap();
        assert!(key(1).open(&bob, Part::Chunk(2), &sealed).is_none(), "of another account");
        assert!(key(1).open(&ann(), Part::Chunk(3), &sealed).is_none(), "in another's place");
        assert!(key(1).open(&ann(), Part::Head, &sealed).is_none(), "as the head");
        assert!(key(2).open(&ann(), Part::Chunk(2), &sealed).is_none(), "of another store");
        let altered = |change: fn(&mut Sealed)| {
            let mut sealed = sealed.clone();
            change(&mut sealed);
            assert_ne!(sealed.hash(), key(9).seal(&ann(), Part::Head, (7, 4), b"[]").unwrap().hash());
            key(1).open(&ann(), Part::Chunk(2), &sealed).is_none()
        };
        assert!(altered(|sealed| sealed.counter += 1));
        assert!(altered(|sealed| sealed.of *= 2));
        assert!(altered(|sealed| sealed.iv[0] ^= 1));
        assert!(altered(|sealed| sealed.ciphertext[0] ^= 1));
        assert!(altered(|sealed| sealed.version.push('0')));
    }

    #[test]
    fn the_format_is_as_it_was() {
        let sealed = key(7).dangerous_seal_with_iv(&ann(), Part::Head, (3, 1), b"{}", [5; 12]).unwrap();
        let vector: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/vectors/pins/shared.json")).unwrap();
        assert_eq!(key(7).id().as_str(), vector["id"]);
        assert_eq!(serde_json::to_value(&sealed).unwrap(), vector["head"]);
        assert_eq!(sealed.hash(), vector["hash"]);
        assert_eq!(key(7).place(&ann(), 256), vector["place"].as_u64().unwrap() as usize);
    }

    #[test]
    fn a_secret_is_read_as_it_was_written_and_names_its_store() {
        let made = ShareKey::make_random().unwrap();
        let again = ShareKey::from_secret(&made.to_secret()).unwrap();
        assert_eq!(made.id(), again.id());
        assert_eq!(StoreId::parse(made.id().as_str()).unwrap(), made.id());
        assert!(ShareKey::from_secret(&SecretText::new("no key".into())).is_none());
        for text in ["", "AAAA", &format!("{}=", made.id().as_str())] {
            assert!(StoreId::parse(text).is_err(), "{text}");
        }
    }
}
