//! Known code only, in real browsers: `cargo xtask test e2e integrity`.
//!
//! The host is made hostile in many ways in one browser; what it slips in reports home if it ever runs. Arguments pick rows
//! by parts of their names.

mod before;
mod documents;
mod everyday;
mod files;
mod first;
mod frames;
mod honest;
mod keys;
mod lab;
mod manifests;
mod opened;
mod releases;
mod report;
mod scene;
mod served;

use std::process::ExitCode;

use keystead_webdriver_tests::rows;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    rows::run("integrity", |company, kind, rows| {
        honest::add(company, kind, rows);
        files::add(company, kind, rows);
        documents::add(company, kind, rows);
        frames::add(company, kind, rows);
        manifests::add(company, kind, rows);
        lab::add(company, kind, rows);
        keys::add(company, kind, rows);
        opened::add(company, kind, rows);
        before::add(company, kind, rows);
        first::add(company, kind, rows);
        everyday::add(company, kind, rows);
        releases::add(company, kind, rows);
        report::add(company, kind, rows);
        served::add(company, kind, rows);
    })
    .await
}
