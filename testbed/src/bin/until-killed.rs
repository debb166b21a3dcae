//! Starts a key server, says where, and waits to be killed: for the test that sees it end then.

#![allow(clippy::print_stdout, reason = "the test reads it")]

use std::io::Write as _;

use anyhow::Result;
use keystead_testbed::Sks;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let sks = Sks::start().await?;
    println!("{}", sks.url());
    std::io::stdout().flush()?;
    std::future::pending().await
}
