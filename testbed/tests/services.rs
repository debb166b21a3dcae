//! Starts the real services and uses each as the other tests do.

use std::fs;

use keystead_testbed::{Gpg, HostPage, HostPageOptions, KeyKind, KeySpec, Sks, Synapse, SynapseOptions};
use reqwest::{Client, Method};
use serde_json::json;

#[tokio::test]
async fn the_homeserver_has_people_and_an_administrator() {
    let synapse = Synapse::start(SynapseOptions::default()).await.unwrap();
    let alice = synapse.register_user("alice", "correct horse").await.unwrap();
    assert_eq!(alice, "@alice:localhost");
    assert!(synapse.register_user("alice", "again").await.is_err());
    assert!(synapse.login("alice", "wrong").await.is_err());

    let device = synapse.login("alice", "correct horse").await.unwrap();
    assert_eq!(device.user_id, alice);
    let path = "/_matrix/client/v3/user/@alice:localhost/account_data/io.keystead.test";
    let written = json!({"word": "planted-in-account-data"});
    synapse.call(Method::PUT, path, Some(&device.access_token), Some(&written)).await.unwrap().ok().unwrap();
    let data = synapse.account_data(&alice).await.unwrap();
    assert_eq!(data["global"]["io.keystead.test"], written, "{data}");

    let puppet = synapse.login_as(&alice).await.unwrap();
    let devices = "/_matrix/client/v3/devices";
    let devices = synapse.call(Method::GET, devices, Some(&puppet.access_token), None).await.unwrap().ok().unwrap();
    assert_eq!(devices["devices"].as_array().unwrap().len(), 1, "the administrator's session must have no device");

    synapse.set_addresses(&alice, &["alice@example.org"]).await.unwrap();
    let threepids = "/_matrix/client/v3/account/3pid";
    let threepids = synapse.call(Method::GET, threepids, Some(&puppet.access_token), None).await.unwrap().ok().unwrap();
    assert_eq!(threepids["threepids"][0]["address"], "alice@example.org");

    // What is searched for leaks is what the server really writes.
    assert!(fs::read_to_string(synapse.log_file()).unwrap().contains("/_matrix/client/v3/devices"));
    let mut database = fs::read(synapse.database()).unwrap();
    database.extend(fs::read(synapse.database().with_extension("db-wal")).unwrap_or_default());
    let planted = b"planted-in-account-data";
    assert!(database.windows(planted.len()).any(|window| window == planted));
}

#[tokio::test]
async fn settings_reach_the_homeserver() {
    let settings = json!({"rc_login": {"address": {"per_second": 0.01, "burst_count": 1}}});
    let options = SynapseOptions { settings: settings.as_object().unwrap().clone(), ..SynapseOptions::default() };
    let synapse = Synapse::start(options).await.unwrap();
    synapse.register_user("alice", "correct horse").await.unwrap();
    synapse.login("alice", "correct horse").await.unwrap();
    let refused = synapse.login("alice", "correct horse").await.unwrap_err();
    assert!(refused.to_string().contains("429"), "{refused}");
}

#[tokio::test]
async fn the_key_server_serves_what_gpg_made() {
    let sks = Sks::start().await.unwrap();
    let gpg = Gpg::new().unwrap();
    let certifier = gpg.generate(&KeySpec::new("IT <it@example.org>", KeyKind::Ed25519)).await.unwrap();
    for (name, kind) in [("ed", KeyKind::Ed25519), ("rsa", KeyKind::Rsa3072), ("nist", KeyKind::P256)] {
        let address = format!("{name}@example.org");
        let fingerprint = gpg.generate(&KeySpec::new(&format!("Test <{address}>"), kind)).await.unwrap();
        gpg.certify(&certifier, &fingerprint).await.unwrap();
        assert_eq!(sks.lookup(&address).await.unwrap(), None);
        sks.add_key(&gpg.export(&fingerprint).await.unwrap()).await.unwrap();

        let index = sks.index(&address).await.unwrap().unwrap();
        assert!(index.contains(&format!("pub:{fingerprint}:")), "{index}");
        let served = sks.lookup(&format!("0x{fingerprint}")).await.unwrap().unwrap();
        let elsewhere = Gpg::new().unwrap();
        elsewhere.import(&served).await.unwrap();
        let message = elsewhere.encrypt(b"the recovery key", &[&fingerprint]).await.unwrap();
        assert_eq!(gpg.decrypt(&message).await.unwrap(), b"the recovery key");
        assert!(elsewhere.decrypt(&message).await.is_err(), "opened without the secret key");

        let signatures = gpg.run(&["--with-colons", "--list-sigs", &fingerprint], b"").await.unwrap();
        assert!(String::from_utf8(signatures).unwrap().contains(&certifier[24..]), "not certified");
    }
}

#[tokio::test]
async fn gpg_makes_certificates_that_must_be_refused() {
    let gpg = Gpg::new().unwrap();
    let old = KeySpec::new("Old <old@example.org>", KeyKind::Ed25519).made_at("20200101T000000").expires("1y");
    let old = gpg.generate(&old).await.unwrap();
    let silent = gpg.generate(&KeySpec::new("S <s@example.org>", KeyKind::P256).sign_only()).await.unwrap();
    let weak = gpg.generate(&KeySpec::new("W <w@example.org>", KeyKind::Rsa1024).sha1_signatures()).await.unwrap();
    let gone = gpg.generate(&KeySpec::new("G <g@example.org>", KeyKind::Ed25519)).await.unwrap();

    let listed = Gpg::new().unwrap();
    for fingerprint in [&old, &silent, &weak] {
        listed.import(&gpg.export(fingerprint).await.unwrap()).await.unwrap();
    }
    listed.import(&gpg.revoked(&gone).await.unwrap()).await.unwrap();
    for (fingerprint, sign) in [(&old, "pub:e:"), (&silent, "pub:-:"), (&gone, "pub:r:")] {
        let list = listed.run(&["--with-colons", "--list-keys", fingerprint], b"").await.unwrap();
        let list = String::from_utf8(list).unwrap();
        assert!(list.contains(sign), "{list}");
        assert!(listed.encrypt(b"x", &[fingerprint]).await.is_err());
    }
    let packets = gpg.run(&["--list-packets"], gpg.export(&weak).await.unwrap().as_bytes()).await.unwrap();
    assert!(String::from_utf8(packets).unwrap().contains("digest algo 2,"));
    assert!(gpg.encrypt(b"x", &[&gone]).await.is_ok(), "the key ring that prepared the revocation must stay as it was");
}

#[tokio::test]
async fn the_host_page_has_its_configuration_and_right_types() {
    let page = tempfile::tempdir().unwrap();
    fs::write(page.path().join("config.json"), "{\"from\": \"the build\"}").unwrap();
    for name in ["index.html", "a.js", "b.wasm", "c.css", "d.json"] {
        fs::write(page.path().join(name), "x").unwrap();
    }
    let config = json!({"brand": "Test"}).as_object().unwrap().clone();
    let options = HostPageOptions { config, ..HostPageOptions::default() };
    let host = HostPage::start(page.path(), "http://hs.example", "example", options).unwrap();
    let http = Client::new();
    let config: serde_json::Value =
        http.get(format!("{}/config.json?cachebuster=1", host.url())).send().await.unwrap().json().await.unwrap();
    assert_eq!(config["default_server_config"]["m.homeserver"]["base_url"], "http://hs.example");
    assert_eq!((config["brand"].as_str(), config.get("from")), (Some("Test"), None));
    let types = [
        ("", "text/html"),
        ("a.js", "text/javascript"),
        ("b.wasm", "application/wasm"),
        ("c.css", "text/css"),
        ("d.json", "application/json"),
    ];
    for (path, expected) in types {
        let answer = http.get(format!("{}/{path}", host.url())).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"].to_str().unwrap(), expected);
        assert_eq!(answer.headers()["cache-control"].to_str().unwrap(), "no-cache");
    }
    assert_eq!(http.get(format!("{}/config.localhost.json", host.url())).send().await.unwrap().status(), 404);
    assert!(HostPage::start(&page.path().join("none"), "", "", HostPageOptions::default()).is_err());
}
