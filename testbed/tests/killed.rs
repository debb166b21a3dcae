//! A test process that is killed leaves no service behind.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn services_end_with_the_process_that_started_them() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_until-killed")).stdout(Stdio::piped()).spawn().unwrap();
    let url = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    let address = url.trim_start_matches("http://");
    TcpStream::connect(address).unwrap();

    child.kill().unwrap();
    child.wait().unwrap();
    let killed = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(killed.elapsed() < Duration::from_secs(5), "the key server outlived its owner");
    }
}
