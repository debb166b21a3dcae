//! When signatures are verified: each at once, or many together, which takes half the time.

use std::cell::RefCell;

use ed25519_dalek::{Signature, VerifyingKey, verify_batch};

use super::PublicKey;

/// How the signatures of documents are verified.
pub struct Signatures {
    /// Those that were taken on trust.
    later: Option<RefCell<Vec<Unverified>>>,
}

struct Unverified {
    key: PublicKey,
    message: String,
    signature: [u8; 64],
}

impl Signatures {
    /// Each at once.
    #[must_use]
    pub const fn at_once() -> Self {
        Self { later: None }
    }

    /// All together: nothing that was found meanwhile counts before [`Self::hold`] has said so.
    #[must_use]
    pub const fn together() -> Self {
        Self { later: Some(RefCell::new(Vec::new())) }
    }

    pub(super) fn holds(&self, key: &PublicKey, message: String, signature: [u8; 64]) -> bool {
        match &self.later {
            None => key.verifies(message.as_bytes(), &signature),
            Some(later) => {
                later.borrow_mut().push(Unverified { key: *key, message, signature });
                true
            }
        }
    }

    /// Do all hold that were taken on trust? Where one does not, nobody knows which. What a verification by itself is
    /// strict about (a key of small order, which "signs" what nobody signed) is not taken here either.
    #[must_use]
    pub fn hold(self) -> bool {
        let Some(later) = self.later.map(RefCell::into_inner) else { return true };
        let messages: Vec<_> = later.iter().map(|one| one.message.as_bytes()).collect();
        let signatures: Vec<_> = later.iter().map(|one| Signature::from_bytes(&one.signature)).collect();
        let keys: Vec<_> = later.iter().map(|one| *one.key.point()).collect();
        !keys.iter().any(VerifyingKey::is_weak) && verify_batch(&messages, &signatures, &keys).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use vodozemac::Ed25519SecretKey;

    use super::*;
    use crate::{identity::derive_public, secret::SecretBytes};

    fn signed(key: u8, message: &str) -> (PublicKey, String, [u8; 64]) {
        let signature = Ed25519SecretKey::from_slice(&[key; 32]).sign(message.as_bytes());
        (derive_public(&SecretBytes::new([key; 32])), message.to_owned(), signature.to_bytes())
    }

    #[test]
    fn together_they_hold_where_each_does() {
        let all: Vec<_> = (0..20).map(|n| signed(n % 3, &format!("message {n}"))).collect();
        let hold = |all: &[(PublicKey, String, [u8; 64])]| {
            let together = Signatures::together();
            all.iter().for_each(|(key, message, signature)| assert!(together.holds(key, message.clone(), *signature)));
            together.hold()
        };
        assert!(hold(&[]) && hold(&all));
        for at in 0..all.len() {
            let mut one_bad = all.clone();
            one_bad[at].1.push('x');
            assert!(!hold(&one_bad), "{at}");
            let mut other_key = all.clone();
            other_key[at].0 = derive_public(&SecretBytes::new([9; 32]));
            assert!(!hold(&other_key), "{at}");
        }
        let (key, message, mut signature) = signed(1, "a message");
        assert!(Signatures::at_once().holds(&key, message.clone(), signature));
        signature[40] ^= 1;
        assert!(!Signatures::at_once().holds(&key, message, signature));
    }

    #[test]
    fn a_key_that_signs_whatever_one_likes_signs_nothing() {
        // The neutral element: with R = B * s every message verifies.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let Ok(key) = PublicKey::parse(&crate::matrix::base64::encode_unpadded(&neutral)) else { return };
        let signature = [0; 64];
        assert!(!Signatures::at_once().holds(&key, "anything".into(), signature));
        let together = Signatures::together();
        assert!(together.holds(&key, "anything".into(), signature));
        assert!(!together.hold());
    }
}
