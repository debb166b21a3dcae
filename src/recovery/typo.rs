//! Where a recovery key was mistyped, and what was meant by letters in the other case.
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

/// How many letters may be in the other case: some 10,000 texts, of which one in 256 has a right checksum and is asked about.
/// With each letter more it would be ten times as many.
const LETTERS: usize = 3;

/// The recovery key that was meant, where at most three of its letters were typed in the other case, as keyboards of phones
/// do by themselves. Letters that no recovery key has in that case (`l`, `I`, `O`) are not counted. `fits` says of a recovery
/// key whether it is the right one.
#[must_use]
pub fn read_in_any_case(written: &str, fits: impl Fn(&RecoveryKey) -> bool) -> Option<RecoveryKey> {
    let mut only = Zeroizing::new(String::with_capacity(written.len()));
    only.extend(written.chars().map(|letter| match letter {
        'l' => 'L',
        'I' => 'i',
        'O' => 'o',
        other => other,
    }));
    let mut tried = Zeroizing::new(digits_of(&only).ok()?.as_bytes().to_vec());
    let letters: Vec<usize> = (0..tried.len()).filter(|index| other_case(tried[*index]).is_some()).collect();
    search(&mut tried, &letters, LETTERS, &fits)
}

fn search(
    tried: &mut [u8],
    letters: &[usize],
    left: usize,
    fits: &impl Fn(&RecoveryKey) -> bool,
) -> Option<RecoveryKey> {
    let key = std::str::from_utf8(tried).ok().and_then(|digits| RecoveryKey::parse(digits).ok());
    if let Some(key) = key.filter(fits) {
        return Some(key);
    }
    for (nth, &index) in letters.iter().enumerate().filter(|_| left > 0) {
        let typed = tried[index];
        tried[index] = other_case(typed)?;
        if let Some(key) = search(tried, letters.get(nth + 1..)?, left - 1, fits) {
            return Some(key);
        }
        tried[index] = typed;
    }
    None
}

/// The same letter in the other case, where recovery keys have both.
fn other_case(letter: u8) -> Option<u8> {
    let other = letter ^ 0x20;
    (letter.is_ascii_alphabetic() && BASE58.contains(&other)).then_some(other)
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
    fn letters_in_the_other_case_are_read_as_they_were_meant() {
        let key = RecoveryKey::from_bytes(SecretBytes::new([7; 32]));
        let description = KeyDescription::make(&key.derive_keys("")).unwrap();
        let fits = |key: &RecoveryKey| description.verify(&key.derive_keys("")).is_ok();
        let read = |typed: &str| read_in_any_case(typed, fits).map(|key| *key.bytes().expose("test"));
        let written = key.to_base58();
        let written = written.expose("test");
        let turned = |turn: &[usize]| -> String {
            let turned = |(index, letter): (usize, char)| {
                let other =
                    if letter.is_ascii_uppercase() { letter.to_ascii_lowercase() } else { letter.to_ascii_uppercase() };
                if turn.contains(&index) { other } else { letter }
            };
            written.chars().enumerate().map(turned).collect()
        };
        let both =
            |(index, letter): (usize, char)| u8::try_from(letter).ok().and_then(other_case).is_some().then_some(index);
        let letters: Vec<usize> = written.chars().enumerate().filter_map(both).collect();
        assert_eq!(read(written), Some([7; 32]));
        for four in letters.windows(4).step_by(6) {
            for turn in [&four[..1], &four[..2], &[four[0], four[1], four[3]]] {
                assert_eq!(read(&turned(turn)), Some([7; 32]), "{turn:?}");
            }
            assert_eq!(read(&turned(four)), None);
        }
        // What has one case only is no letter that was turned.
        let one_case = |(_, letter): &(usize, char)| matches!(letter, 'L' | 'i' | 'o');
        let more: Vec<usize> = written.chars().enumerate().filter(one_case).map(|(index, _)| index).collect();
        assert!(!more.is_empty());
        assert_eq!(read(&turned(&[&more[..], &letters[..3]].concat())), Some([7; 32]));
        for other in
            ["no recovery key", "", RecoveryKey::from_bytes(SecretBytes::new([8; 32])).to_base58().expose("test")]
        {
            assert_eq!(read(other), None);
        }
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
