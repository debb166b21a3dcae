//! The recovery key, and what it opens: a Matrix account's secret storage (Client-Server API, "Secrets", algorithm
//! `m.secret_storage.v1.aes-hmac-sha2`).
//!
//! Threats answered. The homeserver keeps the documents: whatever it alters is refused by a MAC that is compared in
//! constant time, and a refusal does not say why. A recovery key in clear can be stolen: it is in clear only while it is
//! made, typed or restored; all later work is done by a [`KeyVault`] that hands out [`DerivedKeys`] for one secret at a
//! time. One gap is the format's own: the MAC does not cover the initialisation vector of a secret, so an altered one
//! gives another plaintext without an alarm. A secret is therefore believed only after it derived what is published
//! (see [`crate::identity`]).

mod derived;
mod description;
mod document;
mod key;
mod passphrase;
pub mod sealed;
mod seed;
mod typo;
pub mod vault;

pub use self::{
    derived::DerivedKeys,
    description::{ALGORITHM, DescriptionError, DescriptionVerified, KeyDescription},
    document::{EncryptedSecret, SecretDocument, SecretError},
    key::{Group, RecoveryKey, RecoveryKeyError},
    passphrase::{MAX_ITERATIONS, Passphrase},
    seed::{decode_seed, encode_seed},
    typo::{find_typo, read_in_any_case},
    vault::{FailingVault, KeyVault, MemoryVault, Signed, VaultError, WrappedRecoveryKey},
};

/// The names of the secrets that Keystead knows by meaning; each is also the account data type that holds it, and the
/// `info` that its keys are derived with. Any other name is stored and read just the same.
pub mod secret_name {
    /// The seed of the master key.
    pub const MASTER: &str = "m.cross_signing.master";
    /// The seed of the self-signing key.
    pub const SELF_SIGNING: &str = "m.cross_signing.self_signing";
    /// The seed of the user-signing key.
    pub const USER_SIGNING: &str = "m.cross_signing.user_signing";
    /// The private key of the key backup.
    pub const MEGOLM_BACKUP: &str = "m.megolm_backup.v1";

    /// All of them.
    pub const ALL: [&str; 4] = [MASTER, SELF_SIGNING, USER_SIGNING, MEGOLM_BACKUP];
}
