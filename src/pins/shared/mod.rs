//! Master keys and decisions, shared between a person's browsers: encrypted account data under a key in secret storage.
//!
//! Threats answered. The homeserver keeps the store: it cannot read it, and what it alters, mixes or puts in another place
//! does not open. It can hide the store, or serve one that is older: so every browser remembers the name of the store and
//! the highest counter that it has seen, a sealed recovery names the store for those that have seen nothing yet
//! ([`NamedStore`]), and what is missing or older, or was not kept though the homeserver said so, is told ([`Trouble`])
//! before this browser writes again what it knows. Whoever has the store's key could write anything into it: so after a
//! compromise there is another one, and nothing is taken from a store that is not the one that must be there. And nothing
//! that somebody is sent waits for the homeserver's answers to any of this.
//!
//! | document | what is in it |
//! |---|---|
//! | `io.keystead.pins.key` | the store's key, a secret in secret storage (Client-Server API, "Secrets") |
//! | `io.keystead.pins` | the head: a counter, who wrote it, and each chunk's counter and hash |
//! | `io.keystead.pins.N` | a chunk: some of the people, by a keyed hash of their IDs; below 50,000 bytes |
//!
//! A share is three steps: [`read()`], which talks to the homeserver; [`Book::share`], which takes in what others know
//! and talks to nobody; [`write()`], which has the store say it too. What two browsers know together is a question of
//! [`SharedPin::merge`] alone, so it does not matter who writes when, and what one of them lost comes back from another.
//!
//! [`Book::share`]: super::Book::share

mod entry;
mod key;
mod local;
mod merge;
mod named;
mod read;
mod take;
#[cfg(test)]
pub(in crate::pins) mod tests;
mod write;

pub use self::{
    entry::{Decided, Outcome, SharedPin, Sight},
    key::{HEAD, KEY, NotAStoreId, StoreId},
    local::{Trouble, read_by_person, trouble},
    merge::Merged,
    named::NamedStore,
    read::{Read, read},
    write::{Shared, write},
};
