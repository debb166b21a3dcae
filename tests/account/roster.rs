//! A first login by the roster: a web host serves it, the key server has the certificate, gpg opens what is sealed.

use keystead_core::{
    error::Code,
    ident::{Fingerprint, Origin},
    openpgp::{SecretCertificate, sign_detached},
    signed::{Person, Roster, Written},
    status::{Question, State},
    time::UnixMillis,
};
use keystead_testbed::{Action, Answer, KeyKind, KeySpec, Proxy, Rule};
use serde_json::{Value, json};

use crate::{account::Account, world::World};

const DAY: u64 = 86_400_000;

/// An organisation whose roster lists these accounts with the one certificate of this test.
async fn organisation(world: &World, host: &Proxy, serial: u64, accounts: &[&Account]) -> Value {
    let spec = KeySpec::new(&format!("Roster {serial} <roster@example.org>"), KeyKind::Ed25519).sign_only();
    let signer = world.gpg.generate(&spec).await.unwrap();
    let person = |account: &&Account| -> Person {
        let fingerprint = Fingerprint::parse(&world.person).unwrap();
        let (id, email) = (account.user(), "everybody@example.org");
        serde_json::from_value(json!({ "matrix_id": id, "email": email, "fingerprint": fingerprint })).unwrap()
    };
    let now = keystead_cli::now();
    let (issued, expires) = (UnixMillis(now.0 - 1000), UnixMillis(now.0 + DAY));
    let origin = Origin::parse("http://localhost:8080").unwrap();
    let roster = Roster::new(accounts.iter().map(person).collect()).unwrap();
    let written = Written::make(origin, serial, issued, expires, &roster).unwrap();
    let secret = world.gpg.export_secret(&signer).await.unwrap();
    let secret = SecretCertificate::parse(secret.as_bytes(), None).unwrap();
    let signature = sign_detached(&written.bytes, &secret, keystead_cli::now()).unwrap();
    let serve = |path: &str, body: Vec<u8>| Rule::on_any(path, Action::Answer(Answer::new(200, "text/plain", body)));
    host.set_rules([serve("/roster.json.asc", signature.into_bytes()), serve("/roster.json", written.bytes.clone())]);
    let signers = [world.gpg.export(&signer).await.unwrap()];
    json!({ "roster": { "url": format!("{}/roster.json", host.url()), "signers": signers } })
}

#[tokio::test]
async fn whoever_typed_a_name_that_the_roster_has_is_asked_nothing_and_after_single_sign_on_once() {
    let world = World::start().await;
    let host = Proxy::start(world.synapse.url()).unwrap();
    let (typed, signed_on, stranger) = (world.hire().await, world.hire().await, world.hire().await);
    world.change_policy(organisation(&world, &host, 1, &[&typed, &signed_on]).await);

    typed.log_in(Some(typed.user().localpart())).await;
    let outcome = typed.start(&world, None).await.unwrap();
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    assert_eq!(outcome.progress.recipients[0].fingerprint.as_str(), world.person);
    typed.is_whole(&world).await.unwrap();

    signed_on.log_in(None).await;
    let outcome = signed_on.start(&world, None).await.unwrap();
    assert_eq!(outcome.progress.state, State::Confirm, "{:?}", outcome.progress.problem);
    let Some(Question::Confirm { fingerprint, .. }) = outcome.progress.question else { panic!("nothing is asked") };
    assert_eq!(fingerprint.as_str(), world.person);
    assert!(signed_on.is_whole(&world).await.is_err(), "nothing is set up before the answer");
    signed_on.confirm(&fingerprint).await;
    let outcome = signed_on.start(&world, None).await.unwrap();
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    signed_on.is_whole(&world).await.unwrap();

    // Nobody knows an address of this one, not even the homeserver.
    stranger.log_in(Some(stranger.user().localpart())).await;
    let outcome = stranger.start(&world, None).await.unwrap();
    assert_eq!(outcome.progress.problem.map(|(code, _)| code), Some(Code::DirNoAddress));
}

#[tokio::test]
async fn a_signer_that_is_revoked_at_the_key_server_signs_no_roster() {
    let world = World::start().await;
    let host = Proxy::start(world.synapse.url()).unwrap();
    let (first, second) = (world.hire().await, world.hire().await);
    let policy = organisation(&world, &host, 7, &[&first]).await;
    world.change_policy(policy.clone());
    first.log_in(Some(first.user().localpart())).await;
    assert_eq!(first.start(&world, None).await.unwrap().progress.state, State::Complete);

    // The signer's key is stolen, and revoked at the key server; the policy still has the copy of before.
    let signer = policy["roster"]["signers"][0].as_str().unwrap();
    let fingerprint = keystead_core::openpgp::Certificate::parse_all(signer.as_bytes()).unwrap()[0].fingerprint();
    world.publish(&world.gpg.revoked(fingerprint.as_str()).await.unwrap()).await;
    second.log_in(Some(second.user().localpart())).await;
    let outcome = second.start(&world, None).await.unwrap();
    assert_eq!(outcome.progress.problem.map(|(code, _)| code), Some(Code::SgnSigner));
    assert!(second.is_whole(&world).await.is_err());
}
