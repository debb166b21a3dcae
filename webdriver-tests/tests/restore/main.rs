//! History that opens again, in real browsers: `cargo xtask test e2e restore`.
//!
//! As in `bootstrap`, each row has its own account, deployment, browser and profile. Arguments pick rows by parts of their
//! names.

mod by_hand;
mod foreign;
mod gnupg;
mod hostile;
mod interrupted;
mod pages;
mod rotate;
mod same_browser;
mod scene;
mod tabs;
mod typed;
mod wipe;

use std::process::ExitCode;

use keystead_webdriver_tests::rows;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    rows::run("restore", |company, kind, rows| {
        same_browser::add(company, kind, rows);
        by_hand::add(company, kind, rows);
        foreign::add(company, kind, rows);
        gnupg::add(company, kind, rows);
        hostile::add(company, kind, rows);
        wipe::add(company, kind, rows);
        pages::add(company, kind, rows);
        rotate::add(company, kind, rows);
        typed::add(company, kind, rows);
        tabs::add(company, kind, rows);
        interrupted::add(company, kind, rows);
    })
    .await
}
