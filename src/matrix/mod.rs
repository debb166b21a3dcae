//! matrix
pub(crate) mod base64;
