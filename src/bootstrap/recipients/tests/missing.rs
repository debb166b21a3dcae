//! Nobody knows a certificate, or an address.

use serde_json::{Value, json};

use super::world::*;

fn policy(on_missing: &str, escrow: bool) -> Value {
    let mut policy =
        json!({ "directory": { "address_template": "{localpart}@example.org", "on_missing": on_missing } });
    if escrow {
        policy["escrow"] = json!({ "certificates": [vector("accepted-p256").to_armored()] });
    }
    policy
}

#[tokio::test]
async fn the_policy_says_what_happens_where_there_is_no_certificate() {
    for (on_missing, escrow, expect) in [
        ("wait", false, "KS-DIR-NONE"),
        ("wait", true, "KS-DIR-NONE"),
        ("escrow", true, "sealed to Escrow"),
        ("show", false, "kept, sealed to "),
        ("show", true, "kept, sealed to Escrow"),
    ] {
        let world = World::new(policy(on_missing, escrow));
        world.log_in("ABC", Some("ann")).await;
        assert_eq!(world.outcome("ABC").await, expect, "{on_missing} {escrow}");
    }
}

#[tokio::test]
async fn what_is_there_and_not_to_be_trusted_is_not_missing() {
    for (state, missing, code) in [
        ("expired", true, "KS-DIR-EXPIRED"),
        ("sign-only", true, "KS-DIR-NO-ENCRYPTION"),
        ("revoked-hard", false, "KS-DIR-REVOKED"),
        ("weak-sha1", false, "KS-DIR-WEAK"),
        ("id-wrong", false, "KS-DIR-WRONG-ADDRESS"),
    ] {
        for (on_missing, expect) in [("wait", code), ("escrow", "sealed to Escrow")] {
            let world = World::new(policy(on_missing, true));
            world.serve("ann@example.org", &[vector(state)]);
            world.log_in("ABC", Some("ann")).await;
            let expect = if missing { expect } else { code };
            assert_eq!(world.outcome("ABC").await, expect, "{on_missing}: {state}");
        }
    }
    let world = World::new(policy("show", false));
    world.servers_down();
    world.log_in("ABC", Some("ann")).await;
    assert_eq!(world.outcome("ABC").await, "KS-DIR-UNREACHABLE", "a directory that is away may have one");
}

#[tokio::test]
async fn without_a_directory_the_person_keeps_the_recovery_key() {
    let world = World::new(json!({}));
    world.policy.borrow_mut().as_object_mut().unwrap().shift_remove("directory");
    world.log_in("ABC", None).await;
    assert_eq!(world.outcome("ABC").await, "kept, sealed to ");
}

/// A policy that gives nobody an address, and what the homeserver says of its account's.
async fn known_to_the_homeserver(addresses: &[&str], more: Value) -> World {
    let world = World::new(more);
    let threepids: Vec<_> = addresses.iter().map(|a| json!({ "medium": "email", "address": a })).collect();
    world.page("/_matrix/client/v3/account/3pid", response(200, json!({ "threepids": threepids }).to_string()));
    world.serve("ann@example.org", &[ann()]);
    world
}

#[tokio::test]
async fn an_address_that_only_the_homeserver_knows_is_asked_about_however_the_person_logged_in() {
    let trusting = json!({ "directory": { "trust_server_user_id": true } });
    let certified = json!({ "directory": {
        "certifiers": [std::fs::read_to_string(folder("openpgp/certifiers/good.asc")).unwrap()],
    } });
    for (typed, more) in [
        (None, json!({})),
        (Some("ann"), json!({})),
        (Some("ann@example.org"), json!({})),
        (None, trusting),
        (Some("ann"), certified),
    ] {
        let world = known_to_the_homeserver(&["ann@example.org"], more).await;
        let certificate = vector("accepted-certified");
        world.serve("ann@example.org", std::slice::from_ref(&certificate));
        world.log_in("ABC", typed).await;
        assert_eq!(world.outcome("ABC").await, "asks ann@example.org", "{typed:?}");
        world.answer("ABC", &certificate, true).await;
        assert_eq!(world.outcome("ABC").await, "sealed to Own");
        world.answer("ABC", &certificate, false).await;
        assert_eq!(world.outcome("ABC").await, "KS-DIR-CONFIRM");
    }
}

#[tokio::test]
async fn of_several_addresses_the_one_with_a_certificate_is_asked_about_the_typed_one_first() {
    let several = ["bob@example.org", "ann@example.org", "ann@example.net"];
    let world = known_to_the_homeserver(&several, json!({})).await;
    world.log_in("ABC", None).await;
    assert_eq!(world.outcome("ABC").await, "asks ann@example.org");
    world.answer("ABC", &ann(), false).await;
    assert_eq!(world.outcome("ABC").await, "KS-DIR-NONE", "the others have none");

    let world = known_to_the_homeserver(&several, json!({})).await;
    world.serve("bob@example.org", &[vector("id-wrong")]);
    world.log_in("ABC", Some("ann@example.org")).await;
    assert_eq!(world.outcome("ABC").await, "asks ann@example.org");
    assert_eq!(world.asked.borrow().iter().filter(|name| *name == "hkp index").count(), 1);
}

#[tokio::test]
async fn an_account_without_an_address_waits_for_one() {
    for answer in [
        response(200, r#"{"threepids":[{"medium":"msisdn","address":"49"}]}"#),
        response(404, r#"{"errcode":"M_UNRECOGNIZED"}"#),
        response(403, "{}"),
        response(200, "<html>"),
    ] {
        let world = World::new(json!({}));
        world.page("/_matrix/client/v3/account/3pid", answer);
        world.log_in("ABC", Some("ann")).await;
        assert_eq!(world.outcome("ABC").await, "KS-DIR-NO-ADDRESS");
    }
    let world = World::new(json!({}));
    world.log_in("ABC", Some("ann")).await;
    world.page("/_matrix/client/v3/account/3pid", response(500, ""));
    assert_eq!(world.outcome("ABC").await, "KS-NET-SERVER");
}
