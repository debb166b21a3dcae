//! The Matrix Client-Server API, as far as Keystead speaks it: builders of requests and readers of answers.
//!
//! Threat answered: a homeserver that answers anything. Every request has a time limit and a size cap; every answer goes
//! through a type; what a status means is decided in one place ([`MatrixError::of_status`]). Documents that are written
//! back keep the fields that are not known here. Whether what a document *says* is true is for [`crate::identity`] and
//! [`crate::recovery`] to find out.

pub mod account_data;
pub mod backup;
pub(crate) mod base64;
mod error;
pub mod homeserver;
pub mod keys;
mod request;
pub mod session;
mod signed_json;

pub use self::{
    backup::BackupVersion,
    error::MatrixError,
    keys::{CrossSigningKey, DeviceKeys, KeysQueryResponse},
    session::Whoami,
    signed_json::SignedJson,
};
