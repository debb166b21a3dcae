//! The browser's APIs, each behind a few functions. No rule of Keystead is in here.

pub(crate) mod clock;
pub(crate) mod database;
pub(crate) mod fetch;
pub(crate) mod vault;
pub(crate) mod webextension;
