//! Starts everything at once. Alone in this file, because it is measured.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use keystead_testbed::{Testbed, TestbedOptions};
use reqwest::Client;

#[tokio::test]
async fn all_services_are_up_in_time_and_leave_nothing() {
    let page = tempfile::tempdir().unwrap();
    fs::write(page.path().join("index.html"), "<!doctype html>").unwrap();
    let started = Instant::now();
    let options = TestbedOptions { host: Some(page.path().to_owned()), ..TestbedOptions::default() };
    let testbed = Testbed::start(options).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());

    let (homeserver, keyserver) = (testbed.synapse.url().to_owned(), testbed.sks.url().to_owned());
    let host = testbed.host.as_ref().unwrap().url();
    let dirs: Vec<PathBuf> = vec![testbed.synapse.dir().to_owned(), testbed.gpg.home().to_owned()];
    for url in [&homeserver, &keyserver, &host] {
        Client::new().get(url).send().await.unwrap();
    }
    drop(testbed);
    for url in [&homeserver, &keyserver, &host] {
        assert!(Client::new().get(url).send().await.unwrap_err().is_connect(), "{url} still answers");
    }
    for dir in dirs {
        assert!(!dir.exists(), "{} was left behind", dir.display());
    }
}
