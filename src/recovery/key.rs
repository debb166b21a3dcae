//! The recovery key and its written form.

use std::fmt;

use zeroize::Zeroizing;

use super::DerivedKeys;
use crate::{
    error::{Code, Coded},
    secret::{NoRandomness, SecretBytes, SecretText},
};

/// What a written recovery key begins with, before the 32 bytes (Client-Server API, "Key representation").
const PREFIX: [u8; 2] = [0x8B, 0x01];
/// Prefix, key and parity byte.
const DECODED_LENGTH: usize = PREFIX.len() + 32 + 1;
/// 35 bytes that begin with `8B 01` are always this many base58 digits.
const WRITTEN_LENGTH: usize = 48;
/// The base58 alphabet.
pub(super) const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// Digits are written in groups of this many.
const GROUP_LENGTH: usize = 4;

/// The 32 random bytes that open a user's secret storage.
///
/// ```
/// use keystead_core::recovery::RecoveryKey;
/// let key = RecoveryKey::make_random()?;
/// let written = key.to_base58();
/// let typed = format!("  {}\n", written.expose("a person keeps it").replace(' ', ""));
/// assert_eq!(RecoveryKey::parse(&typed)?.bytes().expose("test"), key.bytes().expose("test"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RecoveryKey(SecretBytes<32>);

impl RecoveryKey {
    /// Makes a key with the platform's generator.
    ///
    /// # Errors
    /// [`NoRandomness`] where the platform has none to give.
    pub fn make_random() -> Result<Self, NoRandomness> {
        SecretBytes::make_random().map(Self)
    }

    /// Takes 32 bytes for a recovery key.
    #[must_use]
    pub const fn from_bytes(bytes: SecretBytes<32>) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn bytes(&self) -> &SecretBytes<32> {
        &self.0
    }

    /// Reads the written form, with any spacing: base58 of `8B 01`, the key, and the parity of all bytes before.
    ///
    /// # Errors
    /// [`RecoveryKeyError`], which says as much about the place of the mistake as can be known.
    pub fn parse(written: &str) -> Result<Self, RecoveryKeyError> {
        let digits = digits_of(written)?;
        let mut decoded = Zeroizing::new([0; DECODED_LENGTH]);
        // All digits are base58 digits by now: what does not fit is a number that is too large or too small, and that is
        // decided by the first digits, as the prefix is.
        let length = bs58::decode(&*digits).onto(&mut *decoded).map_err(|_| RecoveryKeyError::Beginning)?;
        if length != DECODED_LENGTH || !decoded.starts_with(&PREFIX) {
            return Err(RecoveryKeyError::Beginning);
        }
        if parity(&*decoded) != 0 {
            return Err(RecoveryKeyError::Checksum);
        }
        let key = &decoded[PREFIX.len()..DECODED_LENGTH - 1];
        SecretBytes::from_slice(key).map(Self).ok_or(RecoveryKeyError::Beginning)
    }

    /// Writes the key as a person keeps it: 12 groups of 4 characters, with single spaces between.
    #[must_use]
    pub fn to_base58(&self) -> SecretText {
        let mut decoded = Zeroizing::new([0; DECODED_LENGTH]);
        decoded[..PREFIX.len()].copy_from_slice(&PREFIX);
        decoded[PREFIX.len()..DECODED_LENGTH - 1].copy_from_slice(self.0.expose("written for a person"));
        decoded[DECODED_LENGTH - 1] = parity(&decoded[..DECODED_LENGTH - 1]);
        let digits = Zeroizing::new(bs58::encode(&*decoded).into_string());
        // As large as it gets, so that growing leaves no copies behind.
        let mut written = String::with_capacity(WRITTEN_LENGTH + WRITTEN_LENGTH / GROUP_LENGTH);
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && index % GROUP_LENGTH == 0 {
                written.push(' ');
            }
            written.push(digit);
        }
        SecretText::new(written)
    }

    /// Derives the keys for one secret by its name, or those for the key description with an empty `info`.
    #[must_use]
    pub fn derive_keys(&self, info: &str) -> DerivedKeys {
        DerivedKeys::derive(self, info)
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<recovery key>")
    }
}

/// Which group of four characters of a written recovery key, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group(pub usize);

impl Group {
    /// The group of the character with this index, spaces not counted.
    pub(super) const fn of(index: usize) -> Self {
        Self(index / GROUP_LENGTH + 1)
    }
}

/// Why a text is no recovery key. Nothing of the text is repeated here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryKeyError {
    /// There is nothing but spaces.
    #[error("no recovery key was given")]
    Empty,
    /// A character that no recovery key has, such as `0`, `O`, `I` or `l`.
    #[error("group {} has a character that no recovery key has", .group.0)]
    Character {
        /// Where it is.
        group: Group,
    },
    /// Too few or too many characters.
    #[error("a recovery key has 48 characters, not {characters}")]
    Length {
        /// How many there are, spaces not counted.
        characters: usize,
        /// The first group that has not four, if the text is written in groups.
        group: Option<Group>,
    },
    /// The right number of characters, but not those that every recovery key begins with: it is something else, or the
    /// mistake is in the first group.
    #[error("recovery keys begin otherwise")]
    Beginning,
    /// The checksum is wrong: a typing error. It covers the whole, so it does not say where.
    #[error("the recovery key has a typing error")]
    Checksum,
}

impl RecoveryKeyError {
    /// The group of four with the mistake, where that can be known from the text alone.
    #[must_use]
    pub const fn group(&self) -> Option<Group> {
        match *self {
            Self::Empty | Self::Checksum => None,
            Self::Character { group } => Some(group),
            Self::Length { group, .. } => group,
            Self::Beginning => Some(Group(1)),
        }
    }
}

impl Coded for RecoveryKeyError {
    fn code(&self) -> Code {
        match self {
            Self::Empty | Self::Character { .. } | Self::Length { .. } | Self::Beginning => Code::RecFormat,
            Self::Checksum => Code::RecChecksum,
        }
    }
}

/// The digits without their spacing: exactly [`WRITTEN_LENGTH`] characters of the base58 alphabet.
pub(super) fn digits_of(written: &str) -> Result<Zeroizing<String>, RecoveryKeyError> {
    let mut digits = Zeroizing::new(String::with_capacity(written.len()));
    digits.extend(written.chars().filter(|&c| !is_spacing(c)));
    if digits.is_empty() {
        return Err(RecoveryKeyError::Empty);
    }
    let is_digit = |c: char| u8::try_from(c).is_ok_and(|byte| BASE58.contains(&byte));
    if let Some(index) = digits.chars().position(|c| !is_digit(c)) {
        return Err(RecoveryKeyError::Character { group: Group::of(index) });
    }
    if digits.len() != WRITTEN_LENGTH {
        return Err(RecoveryKeyError::Length { characters: digits.len(), group: odd_group(written) });
    }
    Ok(digits)
}

/// The first written group that has not four characters; `None` where the text is not written in groups.
fn odd_group(written: &str) -> Option<Group> {
    let mut groups = written.split(is_spacing).filter(|group| !group.is_empty());
    let odd = groups.clone().position(|group| group.chars().count() != GROUP_LENGTH)?;
    (groups.nth(1).is_some()).then_some(Group(odd + 1))
}

/// White space of every script, and what copying from a document or a chat adds without being seen.
const fn is_spacing(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200B}' | '\u{2060}' | '\u{FEFF}')
}

fn parity(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_recovery_key_does_not_print() {
        let key = RecoveryKey::from_bytes(SecretBytes::new([7; 32]));
        assert_eq!(format!("{key:?}"), "<recovery key>");
    }

    proptest! {
        #[test]
        fn the_written_form_reads_back(bytes in any::<[u8; 32]>(), spacing in "[ \t\n\u{a0}\u{200b}]{0,3}") {
            let written = RecoveryKey::from_bytes(SecretBytes::new(bytes)).to_base58();
            let written = written.expose("test");
            prop_assert_eq!(written.len(), WRITTEN_LENGTH + WRITTEN_LENGTH / GROUP_LENGTH - 1);
            prop_assert!(written.split(' ').all(|group| group.len() == GROUP_LENGTH));
            let typed = format!("{spacing}{}{spacing}", written.replace(' ', &spacing));
            let key = RecoveryKey::parse(&typed).unwrap();
            prop_assert_eq!(key.bytes().expose("test"), &bytes);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            prop_assert!(RecoveryKey::parse(&text).is_err());
        }

        #[test]
        fn one_wrong_bit_is_found(bytes in any::<[u8; 32]>(), index in 0..DECODED_LENGTH, bit in 0..8u8) {
            let written = RecoveryKey::from_bytes(SecretBytes::new(bytes)).to_base58();
            let mut decoded = bs58::decode(written.expose("test").replace(' ', "")).into_vec().unwrap();
            decoded[index] ^= 1u8 << bit;
            let error = RecoveryKey::parse(&bs58::encode(decoded).into_string()).unwrap_err();
            let in_prefix = index < PREFIX.len();
            prop_assert_eq!(error == RecoveryKeyError::Checksum, !in_prefix);
        }
    }
}
