//! Pinned peers, in real browsers: `cargo xtask test e2e pins`.
//!
//! As in `bootstrap`, each row has its own accounts, deployment, browser and profile. What a device got is known from the
//! device itself, which is an independent client, and from what went over the wire.

mod attacks;
mod first;
mod forger;
mod hand;
mod pages;
mod quiet;
mod roster;
mod scene;
mod second;
mod secrets;
mod shared;
mod sliding;
mod store;
mod table;

use std::process::ExitCode;

use keystead_webdriver_tests::rows;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    rows::run("pins", |company, kind, rows| {
        attacks::add(company, kind, rows);
        first::add(company, kind, rows);
        roster::add(company, kind, rows);
        quiet::add(company, kind, rows);
        secrets::add(company, kind, rows);
        sliding::add(company, kind, rows);
        shared::add(company, kind, rows);
        store::add(company, kind, rows);
        pages::add(company, kind, rows);
    })
    .await
}
