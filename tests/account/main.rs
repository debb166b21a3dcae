//! An account's life on a real homeserver, a real key server and the real gpg: set up, disturbed, restored, attacked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod account;
mod adopt;
mod another_client;
mod crash;
mod drill;
mod element;
mod foreign;
mod gnupg;
mod interrupted;
mod pins;
mod restore;
mod restore_crash;
mod roster;
mod rotate;
mod rotate_crash;
mod stale;
mod turns;
mod two_writers;
mod wipe;
mod world;
