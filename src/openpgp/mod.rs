//! OpenPGP certificates: whose may open a sealed recovery, sealing to them, and signatures of documents.
//!
//! Threat: a key server, a web host or a homeserver that hands out somebody else's certificate, an old copy without its
//! revocation, or one that rests on broken algorithms. So nothing is encrypted to a [`Certificate`] as such:
//! [`seal`] takes [`RecipientAccepted`], which only [`AcceptanceRule::accept`] makes. Every check is given the time it is
//! for; none reads a clock.
//!
//! The format is RFC 9580 (and RFC 4880 for what GnuPG 2.2 knows); the implementation is sequoia-openpgp
//! (`docs/adr/0001-openpgp-backend.md`).

mod acceptance;
mod certificate;
mod outline;
mod purpose;
mod reduced;
mod seal;
mod secret;
mod signature;
mod user_id;
mod validity;

pub use acceptance::{AcceptanceRule, RecipientAccepted, Rejection};
pub use certificate::{Certificate, MAX_CERTIFICATES, MAX_INPUT, ParseError};
pub use outline::{OutlineError, encrypted_to, issuers};
pub use purpose::{Purpose, Unfit};
pub use seal::{SealError, seal};
pub use secret::{OpenError, SecretCertificate, dangerous_open};
pub use signature::{SignError, VerifyError, sign_detached, verify_detached};
pub use user_id::{same_mailbox, user_id_address};
