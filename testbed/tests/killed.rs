//! A test process that is killed leaves no service behind.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use keystead_testbed::Sks;

const SAYS: &str = "serving on ";

#[test]
fn services_end_with_the_process_that_started_them() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "the_process_that_is_killed", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.map(Result::unwrap).find_map(|line| Some(line.split_once(SAYS)?.1.to_owned())).unwrap();
    TcpStream::connect(&address).unwrap();

    child.kill().unwrap();
    child.wait().unwrap();
    let killed = Instant::now();
    while TcpStream::connect(&address).is_ok() {
        assert!(killed.elapsed() < Duration::from_secs(5), "the key server outlived its owner");
    }
}

#[tokio::test]
#[ignore = "serves until it is killed, which the test above does"]
async fn the_process_that_is_killed() {
    let sks = Sks::start().await.unwrap();
    println!("{SAYS}{}", sks.url().trim_start_matches("http://"));
    std::io::stdout().flush().unwrap();
    std::future::pending::<()>().await;
}
