//! Another version of the extension under an open page, in real browsers: `cargo xtask test e2e update`.
//!
//! Each row has its own accounts, deployment, browser and profile. The older version is the extension under a lower version
//! number, with what it keeps as it was written before fields were added; the browser replaces it by the newer one as its
//! own updates do, and the page stays open.

mod pages;
mod rooms;
mod scene;
mod set_up;

use std::process::ExitCode;

use keystead_webdriver_tests::rows;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    rows::run("update", |company, kind, rows| {
        rooms::add(company, kind, rows);
        set_up::add(company, kind, rows);
        pages::add(company, kind, rows);
    })
    .await
}
