//! The first login in real browsers: `cargo xtask test e2e bootstrap`.
//!
//! One table a file; each row has its own account, deployment, browser and profile, and shares the homeserver and the key
//! server with the others. Arguments pick rows by parts of their names.

mod answers;
mod crashes;
mod first_login;
mod hostile_homeserver;
mod hostile_keyserver;
mod leaks;
mod own_wishes;
mod questions;
mod recipients;
mod roster;
mod scene;
mod sessions;
mod stops;
mod troubles;
mod unserved;

use std::process::ExitCode;

use keystead_webdriver_tests::rows;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    rows::run("bootstrap", |company, kind, rows| {
        first_login::add(company, kind, rows);
        hostile_keyserver::add(company, kind, rows);
        hostile_homeserver::add(company, kind, rows);
        own_wishes::add(company, kind, rows);
        leaks::add(company, kind, rows);
        questions::add(company, kind, rows);
        roster::add(company, kind, rows);
        stops::add(company, kind, rows);
        troubles::add(company, kind, rows);
        crashes::add(company, kind, rows);
        sessions::add(company, kind, rows);
        answers::add(company, kind, rows);
        unserved::add(company, kind, rows);
        recipients::add(company, kind, rows);
    })
    .await
}
