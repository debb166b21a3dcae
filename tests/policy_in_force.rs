//! Which policy is in force: design, "Start-up", case by case.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "functions shared by tests are test code too"
)]

use keystead_core::{
    error::Code,
    policy::{InForce, LastGood, Offered},
    status::PolicySource,
};
use serde_json::{Value, json};

fn policy(server_name: &str) -> Value {
    json!({ "deployments": [{
        "origin": format!("https://chat.{server_name}"),
        "homeserver": format!("https://matrix.{server_name}"),
        "server_name": server_name,
    }]})
}

fn good() -> Value {
    policy("example.org")
}

fn bad() -> Value {
    json!({ "deployments": [], "colour": "green" })
}

fn last(source: PolicySource) -> LastGood {
    LastGood::new(source, policy("last.example.org"))
}

/// The server name of the policy in force, its source, and the problem's code.
fn outcome(found: &InForce) -> (Option<&str>, PolicySource, Option<Code>) {
    let name = found.policy.as_ref().map(|policy| policy.deployments[0].server_name.as_str());
    (name, found.source, found.problem.as_ref().map(|problem| problem.code))
}

const LAST: Option<&str> = Some("last.example.org");
const NEW: Option<&str> = Some("example.org");

#[test]
fn installed_by_an_administrator_nothing_starts_until_managed_storage_is_there() {
    let (empty, own) = (json!({}), good());
    for managed in [None, Some(&empty), Some(&Value::Null)] {
        for last in [None, Some(last(PolicySource::Own)), Some(last(PolicySource::Managed))] {
            let offered = Offered { managed, installed_by_admin: true, own: Some(&own) };
            let found = InForce::decide(offered, last.as_ref());
            assert_eq!(outcome(&found), (None, PolicySource::AskIt, Some(Code::PolAbsent)));
            assert_eq!(found.remember, None, "the last good one stays as it is");
        }
    }
}

#[test]
fn a_good_managed_policy_is_in_force_and_remembered_once() {
    let (managed, own) = (good(), policy("own.example.org"));
    for installed_by_admin in [true, false] {
        let offered = Offered { managed: Some(&managed), installed_by_admin, own: Some(&own) };
        let found = InForce::decide(offered, Some(&last(PolicySource::Managed)));
        assert_eq!(outcome(&found), (NEW, PolicySource::Managed, None));
        let saved = found.remember.unwrap();
        assert_eq!(saved, LastGood::new(PolicySource::Managed, good()));
        assert_eq!(InForce::decide(offered, Some(&saved)).remember, None, "it is saved already");
    }
}

#[test]
fn an_invalid_managed_policy_keeps_the_last_good_one() {
    let (managed, own) = (bad(), good());
    for installed_by_admin in [true, false] {
        let offered = Offered { managed: Some(&managed), installed_by_admin, own: Some(&own) };
        let found = InForce::decide(offered, Some(&last(PolicySource::Managed)));
        assert_eq!(outcome(&found), (LAST, PolicySource::Managed, Some(Code::PolField)));
        assert_eq!(found.remember, None);
    }
}

#[test]
fn an_invalid_managed_policy_never_lets_the_persons_own_in() {
    let (managed, own) = (bad(), good());
    for (installed_by_admin, source) in [(true, PolicySource::AskIt), (false, PolicySource::None)] {
        let offered = Offered { managed: Some(&managed), installed_by_admin, own: Some(&own) };
        for last in [None, Some(last(PolicySource::Own))] {
            let found = InForce::decide(offered, last.as_ref());
            assert_eq!(outcome(&found), (None, source, Some(Code::PolField)));
        }
    }
}

#[test]
fn without_a_managed_policy_the_persons_own_is_in_force() {
    let (own, broken) = (good(), bad());
    let offer = |own| Offered { managed: None, installed_by_admin: false, own };
    let found = InForce::decide(offer(Some(&own)), None);
    assert_eq!(outcome(&found), (NEW, PolicySource::Own, None));
    let found = InForce::decide(offer(Some(&broken)), Some(&last(PolicySource::Own)));
    assert_eq!(outcome(&found), (LAST, PolicySource::Own, Some(Code::PolField)));
    let found = InForce::decide(offer(Some(&broken)), Some(&last(PolicySource::Managed)));
    assert_eq!(outcome(&found), (None, PolicySource::None, Some(Code::PolField)));
    assert_eq!(outcome(&InForce::decide(offer(None), None)), (None, PolicySource::None, None));
}

#[test]
fn a_last_good_one_that_this_version_refuses_is_none() {
    let (managed, stale) = (bad(), LastGood::new(PolicySource::Managed, bad()));
    let offered = Offered { managed: Some(&managed), installed_by_admin: true, own: None };
    assert_eq!(outcome(&InForce::decide(offered, Some(&stale))), (None, PolicySource::AskIt, Some(Code::PolField)));
}

#[test]
fn what_another_version_found_good_is_looked_at_again() {
    let (managed, saved) = (bad(), json!({ "version": "1", "source": "managed", "document": bad() }));
    for by in [json!({}), json!({ "by": "0.0.1" })] {
        let mut saved = saved.clone();
        saved.as_object_mut().unwrap().extend(by.as_object().unwrap().clone());
        let last: LastGood = serde_json::from_value(saved).unwrap();
        let offered = Offered { managed: Some(&managed), installed_by_admin: true, own: None };
        let found = InForce::decide(offered, Some(&last));
        assert_eq!(outcome(&found), (None, PolicySource::AskIt, Some(Code::PolField)));
    }
}

#[test]
fn the_saved_record_has_a_version_and_an_unknown_one_is_refused() {
    let saved = serde_json::to_value(last(PolicySource::Managed)).unwrap();
    assert_eq!(saved["version"], "1");
    assert_eq!(serde_json::from_value::<LastGood>(saved.clone()).unwrap(), last(PolicySource::Managed));
    let mut newer = saved;
    newer["version"] = "2".into();
    assert!(serde_json::from_value::<LastGood>(newer).is_err());
}
