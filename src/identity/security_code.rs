//! The security code: digits that two people, or one person on two screens, compare in place of a master key.

use sha2::{Digest, Sha512};

use super::PublicKey;
use crate::ident::UserId;

/// Hashing again and again makes it dear to search for a key with a similar code.
const ROUNDS: usize = 5200;
const GROUPS: usize = 6;

/// The 30 digits of one account: SHA-512 over `Keystead security code 1`, the user ID and the master key (base64 without
/// padding), each ended by a line feed; the hash hashed again with the same text before it, 5200 times in all; of the last
/// hash six numbers of five bytes each (big-endian), modulo 100000.
///
/// Written in groups of five, with a space between them.
#[must_use]
pub fn security_code(user: &UserId, master: &PublicKey) -> String {
    let text = format!("Keystead security code 1\n{}\n{}\n", user.as_str(), master.to_base64());
    let mut hash = Vec::new();
    for _ in 0..ROUNDS {
        hash = Sha512::new().chain_update(&text).chain_update(&hash).finalize().to_vec();
    }
    let groups = hash.chunks_exact(5).take(GROUPS);
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)) % 100_000;
    groups.map(|bytes| format!("{:05}", number(bytes))).collect::<Vec<_>>().join(" ")
}

/// The 60 digits that two people compare: the codes of both accounts, in the order of their digits, so that both read the
/// same.
#[must_use]
pub fn shared_security_code(one: (&UserId, &PublicKey), other: (&UserId, &PublicKey)) -> String {
    let mut codes = [one, other].map(|(user, master)| security_code(user, master));
    codes.sort();
    codes.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_of_its_user_and_key() {
        let (ann, bob) = (UserId::parse("@ann:example.org").unwrap(), UserId::parse("@bob:example.org").unwrap());
        let key = |byte| crate::identity::derive_public(&crate::secret::SecretBytes::new([byte; 32]));
        let code = security_code(&ann, &key(1));
        assert_eq!(code.len(), 35);
        assert!(code.split(' ').all(|group| group.len() == 5 && group.bytes().all(|b| b.is_ascii_digit())), "{code}");
        assert_eq!(code, security_code(&ann, &key(1)));
        assert_ne!(code, security_code(&bob, &key(1)));
        assert_ne!(code, security_code(&ann, &key(2)));
    }

    /// `docs/security-code.md` has codes that were not computed by this program.
    #[test]
    fn the_documented_codes_come_out() {
        let page = include_str!("../../docs/security-code.md");
        let blocks: Vec<_> = page.split("```text\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
        let people: Vec<_> = blocks[0]
            .lines()
            .map(|line| {
                let [user, key, code] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
                (UserId::parse(user).unwrap(), PublicKey::parse(key).unwrap(), code)
            })
            .collect();
        for (user, key, code) in &people {
            assert_eq!(security_code(user, key), *code);
        }
        let [(ann, ann_key, _), (bob, bob_key, _)] = &people[..] else { panic!("not two people") };
        let shared = shared_security_code((ann, ann_key), (bob, bob_key));
        assert_eq!(shared, blocks[1].trim());
        assert_eq!(shared_security_code((bob, bob_key), (ann, ann_key)), shared, "the same on both sides");
    }
}
