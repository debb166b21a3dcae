//! The proxy in front of real services: it passes them unchanged, and misbehaves exactly as told.

#![allow(clippy::unwrap_used, reason = "functions shared by tests are test code too")]

use std::fs;
use std::time::{Duration, Instant};

use keystead_testbed::{
    Action, Answer, Gate, Gpg, HostPage, HostPageOptions, KeyKind, KeySpec, Proxy, Rule, Sks, Synapse, SynapseOptions,
};
use reqwest::{Client, Method};
use serde_json::{Value, json};

const SHORT: Duration = Duration::from_millis(300);

fn page() -> (tempfile::TempDir, HostPage) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("index.html"), "<!doctype html>").unwrap();
    let host = HostPage::start(dir.path(), "http://hs.example", "example", HostPageOptions::default()).unwrap();
    (dir, host)
}

fn impatient() -> Client {
    Client::builder().timeout(SHORT).build().unwrap()
}

#[tokio::test]
async fn what_no_rule_names_passes_and_is_recorded() {
    let (_dir, host) = page();
    let proxy = Proxy::start(&host.url()).unwrap();
    let http = Client::new();
    let direct = http.get(format!("{}/config.json", host.url())).send().await.unwrap();
    let passed = http.get(format!("{}/config.json?a=b%20c", proxy.url())).header("x-test", "1").send().await.unwrap();
    assert_eq!(direct.headers()["content-type"], passed.headers()["content-type"]);
    assert_eq!(direct.text().await.unwrap(), passed.text().await.unwrap());
    assert_eq!(http.get(format!("{}/nothing", proxy.url())).send().await.unwrap().status(), 404);

    let requests = proxy.take_requests();
    assert_eq!(requests.len(), 2);
    assert_eq!((requests[0].asked.path.as_str(), requests[0].asked.query.as_str()), ("/config.json", "a=b%20c"));
    assert_eq!(requests[0].asked.headers["x-test"], "1");
    assert_eq!((requests[0].status, requests[1].status), (Some(200), Some(404)));
    assert!(requests[0].rule.is_none() && requests[0].waited.is_some() && requests[0].at < requests[1].at);
    assert!(proxy.requests().is_empty());
}

#[tokio::test]
async fn a_rule_answers_counts_and_ends() {
    let (_dir, host) = page();
    let proxy = Proxy::start(&host.url()).unwrap();
    let limited = Answer::matrix_error(429, "M_LIMIT_EXCEEDED").with_header(reqwest::header::RETRY_AFTER, "1");
    proxy.add(Rule::on(Method::GET, "/config", Action::Answer(limited)).skip(1).times(2));
    let http = Client::new();
    let url = format!("{}/config.json", proxy.url());
    let mut seen = Vec::new();
    for _ in 0..4 {
        let answer = http.get(&url).header("origin", "http://page.example").send().await.unwrap();
        if answer.status() == 429 {
            assert_eq!(answer.headers()["retry-after"], "1");
            assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        }
        seen.push(answer.status().as_u16());
    }
    assert_eq!(seen, [200, 429, 429, 200]);
    assert_eq!(proxy.requests()[1].rule.as_deref(), Some("GET /config"));
    assert_eq!(http.post(&url).send().await.unwrap().status(), 405, "another method must pass");

    proxy.set_rules([Rule::on_any("/", Action::redirect("http://elsewhere.example/"))]);
    let plain = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    assert_eq!(plain.get(&url).send().await.unwrap().headers()["location"], "http://elsewhere.example/");
    proxy.behave();
    assert_eq!(http.get(&url).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn answers_can_be_rewritten() {
    let (_dir, host) = page();
    let proxy = Proxy::start(&host.url()).unwrap();
    proxy.add(Rule::on(Method::GET, "/config", Action::rewrite_json(|asked, body| body["brand"] = json!(asked.query))));
    proxy.add(Rule::on_any("/", Action::rewrite(|_, answer| Answer { status: 418, ..answer })));
    let http = Client::new();
    let config: Value =
        http.get(format!("{}/config.json?evil", proxy.url())).send().await.unwrap().json().await.unwrap();
    assert_eq!(config["brand"], "evil");
    assert_eq!(config["default_server_config"]["m.homeserver"]["server_name"], "example");
    let page = http.get(proxy.url()).send().await.unwrap();
    assert_eq!((page.status().as_u16(), page.text().await.unwrap().as_str()), (418, "<!doctype html>"));
}

#[tokio::test]
async fn connections_break_hang_and_wait() {
    let (_dir, host) = page();
    let proxy = Proxy::start(&host.url()).unwrap();
    let url = format!("{}/config.json", proxy.url());

    proxy.set_rules([Rule::on_any("/", Action::Drop)]);
    let broken = Client::new().get(&url).send().await.unwrap_err();
    assert!(!broken.is_timeout() && !broken.is_status(), "{broken:?}");
    proxy.set_rules([Rule::on_any("/", Action::Stall)]);
    assert!(impatient().get(&url).send().await.unwrap_err().is_timeout());
    let wait = Duration::from_millis(200);
    proxy.set_rules([Rule::on_any("/", Action::Delay(wait, Box::new(Action::Pass)))]);
    let started = Instant::now();
    assert_eq!(Client::new().get(&url).send().await.unwrap().status(), 200);
    assert!(started.elapsed() >= wait);
    let gate = Gate::closed();
    proxy.set_rules([Rule::on_any("/", Action::Wait(gate.clone(), Box::new(Action::Pass)))]);
    let waiting = tokio::spawn(Client::new().get(&url).send());
    while proxy.requests().len() < 4 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(SHORT).await;
    assert!(!waiting.is_finished());
    gate.open();
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
    let body = Action::Endless { content_type: "text/plain", chunk: "never ".repeat(1000).into() };
    proxy.set_rules([Rule::on_any("/", body)]);
    let mut endless = impatient().get(&url).send().await.unwrap();
    assert_eq!(endless.status(), 200);
    let mut length = 0;
    while length < 1 << 20 {
        length += endless.chunk().await.unwrap().unwrap().len();
    }

    let statuses: Vec<_> = proxy.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [None, None, Some(200), Some(200), Some(200)]);
}

#[tokio::test]
async fn the_network_can_be_cut_and_mended() {
    let (_dir, host) = page();
    let proxy = Proxy::start(&host.url()).unwrap();
    let url = format!("{}/config.json", proxy.url());
    // Each request on a connection of its own: one kept from before a cut may be found broken only after the request is sent.
    let http = Client::builder().pool_max_idle_per_host(0).build().unwrap();
    proxy.add(Rule::on_any("/stalled", Action::Stall));
    let stall = || tokio::spawn(http.get(format!("{}/stalled", proxy.url())).send());
    let more_than = async |count: usize| {
        while proxy.requests().len() <= count {
            tokio::task::yield_now().await;
        }
    };
    let stalled = stall();
    more_than(0).await;
    assert_eq!(http.get(&url).send().await.unwrap().status(), 200);

    proxy.cut();
    stalled.await.unwrap().unwrap_err();
    http.get(&url).send().await.unwrap_err();
    proxy.mend();
    assert_eq!(http.get(&url).send().await.unwrap().status(), 200);

    let so_far = proxy.requests().len();
    let stalled = stall();
    more_than(so_far).await;
    proxy.cut();
    proxy.mend();
    stalled.await.unwrap().unwrap_err();
    assert_eq!(http.get(&url).send().await.unwrap().status(), 200);

    drop(proxy);
    assert!(http.get(&url).send().await.is_err());
}

#[tokio::test]
async fn a_homeserver_acts_although_its_answer_is_lost_and_long_polls_pass() {
    let synapse = Synapse::start(SynapseOptions::default()).await.unwrap();
    let proxy = Proxy::start(synapse.url()).unwrap();
    synapse.register_user("alice", "correct horse").await.unwrap();
    let device = synapse.login("alice", "correct horse").await.unwrap();
    let http = Client::new();
    let ask = |method: Method, path: &str| {
        http.request(method, format!("{}/_matrix/client/v3/{path}", proxy.url())).bearer_auth(&device.access_token)
    };

    let data = "user/@alice:localhost/account_data/io.keystead.test";
    proxy.add(Rule::on(Method::PUT, "/_matrix/client/v3/user/", Action::PassThenDrop).times(1));
    ask(Method::PUT, data).json(&json!({"written": true})).send().await.unwrap_err();
    let kept: Value = ask(Method::GET, data).send().await.unwrap().json().await.unwrap();
    assert_eq!(kept["written"], true);

    let first: Value = ask(Method::GET, "sync").send().await.unwrap().json().await.unwrap();
    let since = first["next_batch"].as_str().unwrap().to_owned();
    let poll = tokio::spawn(ask(Method::GET, &format!("sync?timeout=30000&since={since}")).send());
    ask(Method::PUT, data).json(&json!({"written": "again"})).send().await.unwrap();
    let news: Value = poll.await.unwrap().unwrap().json().await.unwrap();
    assert!(news["account_data"]["events"].to_string().contains("again"), "{news}");

    let preflight = http
        .request(Method::OPTIONS, format!("{}/_matrix/client/v3/sync", proxy.url()))
        .header("origin", "http://page.example")
        .header("access-control-request-method", "GET")
        .send()
        .await
        .unwrap();
    assert_eq!(preflight.headers()["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn a_key_server_answers_through_the_proxy() {
    let sks = Sks::start().await.unwrap();
    let proxy = Proxy::start(sks.url()).unwrap();
    let gpg = Gpg::new().unwrap();
    let fingerprint = gpg.generate(&KeySpec::new("Alice <alice@example.org>", KeyKind::Ed25519)).await.unwrap();
    sks.add_key(&gpg.export(&fingerprint).await.unwrap()).await.unwrap();
    let lookup = format!("{}/pks/lookup?op=get&options=mr&exact=on&search=", proxy.url());
    let found = Client::new().get(format!("{lookup}alice@example.org")).send().await.unwrap();
    assert!(found.text().await.unwrap().contains("BEGIN PGP PUBLIC KEY BLOCK"));
    assert_eq!(Client::new().get(format!("{lookup}bob@example.org")).send().await.unwrap().status(), 404);
}
