//! Where a recovery key was mistyped.
//!
//! The checksum says that there is a mistake, and not where. Who knows the key description can find the place: every text
//! that differs in one character, or in two that changed places, is tried against it. Only the place is told, as whoever
//! typed has to compare it with the original anyway.

use zeroize::Zeroizing;

use super::key::{BASE58, Group, RecoveryKey, digits_of};

/// The group with the mistake, where one wrong character, or two that changed places, are all that is wrong. `fits` says of
/// a recovery key whether it is the right one.
///
/// It tries some 2800 texts, of which one in 256 has a right checksum and is asked about.
#[must_use]
pub fn find_typo(written: &str, fits: impl Fn(&RecoveryKey) -> bool) -> Option<Group> {
    let digits = digits_of(written).ok()?;
    let fits = |digits: &[u8]| {
        let key = std::str::from_utf8(digits).ok().and_then(|digits| RecoveryKey::parse(digits).ok());
        key.is_some_and(|key| fits(&key))
    };
    let mut tried = Zeroizing::new(digits.as_bytes().to_vec());
    for index in 0..tried.len() {
        let typed = tried[index];
        for &digit in BASE58.iter().filter(|&&digit| digit != typed) {
            tried[index] = digit;
            if fits(&tried) {
                return Some(Group::of(index));
            }
        }
        tried[index] = typed;
        if index > 0 {
            tried.swap(index - 1, index);
            if fits(&tried) {
                return Some(Group::of(index - 1));
            }
            tried.swap(index - 1, index);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{recovery::KeyDescription, secret::SecretBytes};

    #[test]
    fn one_wrong_character_is_found_in_its_group() {
        let key = RecoveryKey::from_bytes(SecretBytes::new([7; 32]));
        let description = KeyDescription::make(&key.derive_keys("")).unwrap();
        let fits = |key: &RecoveryKey| description.verify(&key.derive_keys("")).is_ok();
        let written = key.to_base58();
        let written = written.expose("test");
        for (index, typed) in written.char_indices().filter(|(_, typed)| *typed != ' ') {
            // Another case where there is one, as people type.
            let other = match typed {
                'a'..='z' if BASE58.contains(&typed.to_ascii_uppercase().try_into().unwrap()) => {
                    typed.to_ascii_uppercase()
                }
                '2' => '3',
                _ => '2',
            };
            let mistyped = format!("{}{other}{}", &written[..index], &written[index + 1..]);
            assert_eq!(find_typo(&mistyped, fits), Some(Group(index / 5 + 1)), "character {index}");
        }
        let (first, second) = (written.chars().nth(10).unwrap(), written.chars().nth(11).unwrap());
        assert_ne!(first, second);
        let swapped = format!("{}{second}{first}{}", &written[..10], &written[12..]);
        assert_eq!(find_typo(&swapped, fits), Some(Group(3)));
    }

    #[test]
    fn more_mistakes_and_other_keys_have_no_place() {
        let [key, other] = [7, 8].map(|byte| RecoveryKey::from_bytes(SecretBytes::new([byte; 32])));
        let description = KeyDescription::make(&key.derive_keys("")).unwrap();
        let fits = |key: &RecoveryKey| description.verify(&key.derive_keys("")).is_ok();
        assert_eq!(find_typo(other.to_base58().expose("test"), fits), None);
        assert_eq!(find_typo("no recovery key", fits), None);
    }
}
