//! Who an account is: its cross-signing keys, what they sign, and what secrets they come from (Client-Server API,
//! "Cross-signing"; appendices, "Signing JSON").
//!
//! Threat answered: the homeserver publishes the keys, and can publish others. Nothing of its answer is believed before
//! the names in it fit together and every signature that is relied on was verified; the checks give witnesses
//! ([`DeviceVouched`], [`BackupTrusted`]) that only this module can make. What this module cannot tell is whether the
//! *master key* is the right one: that is compared with what secret storage holds, with a pin, or by people.

mod backup;
mod canonical;
mod key;
mod published;
mod security_code;
mod signatures;
mod signing;

pub use self::{
    backup::{BackupError, BackupTrusted, derive_backup_public},
    canonical::{CanonicalJsonError, canonical_json},
    key::{NotAPublicKey, PublicKey, derive_public},
    published::{DeviceVouched, IdentityError, PublishedIdentity, VouchError},
    security_code::{security_code, shared_security_code},
    signatures::Signatures,
    signing::{SignatureError, sign_json, verify_json, verify_json_with},
};
