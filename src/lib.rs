//! What Keystead knows and decides.
//!
//! This crate is sans-IO: it has no clock, network, storage, browser or terminal. A flow (first set-up, restore…) is a
//! [`effect::Run`]: it hands out one [`effect::Effect`] at a time and is given the answer. The same flows run in the
//! browser extension, in the native command and in tests.

pub mod bootstrap;
pub mod bridge;
pub mod directory;
pub mod effect;
pub mod error;
pub mod events;
pub mod gnupg;
pub mod ident;
pub mod identity;
pub mod integrity;
pub mod matrix;
pub mod openpgp;
pub mod pins;
pub mod policy;
pub mod recovery;
pub mod restore;
pub mod rotate;
pub mod secret;
pub mod signed;
pub mod sorted;
pub mod status;
pub mod store;
pub mod time;
mod value;
mod versioned;
