//! The organisation's own certificates, as its key servers have them now.

use serde_json::json;

use super::world::*;

fn certifier(state: &str) -> String {
    std::fs::read_to_string(folder(&format!("openpgp/certifiers/{state}.asc"))).unwrap()
}

/// A policy with Ann's address, a certifier, and an escrow certificate in this state.
async fn world(escrow: &str) -> World {
    let world = World::new(json!({
        "directory": { "address_template": "{localpart}@example.org", "certifiers": [certifier("good")] },
        "escrow": { "certificates": [vector(escrow).to_armored()] },
    }));
    world.serve("ann@example.org", &[vector("accepted-certified")]);
    world.log_in("ABC", Some("ann")).await;
    world
}

#[tokio::test]
async fn an_escrow_certificate_that_does_not_hold_is_named_as_the_organisation_s() {
    for (state, expect) in [
        ("accepted", "sealed to Own+Escrow"),
        ("expired", "KS-DIR-ESCROW"),
        ("revoked-soft", "KS-DIR-ESCROW"),
        ("sign-only", "KS-DIR-ESCROW"),
    ] {
        assert_eq!(world(state).await.outcome("ABC").await, expect, "{state}");
    }
}

#[tokio::test]
async fn an_escrow_certificate_that_was_extended_since_is_used_as_it_is_now() {
    let world = world("expired").await;
    world.serve_copy(&vector("accepted-expires-later"));
    assert_eq!(world.outcome("ABC").await, "sealed to Own+Escrow");
}

#[tokio::test]
async fn an_escrow_certificate_that_was_revoked_since_is_refused_for_good() {
    let world = world("accepted").await;
    assert_eq!(world.outcome("ABC").await, "sealed to Own+Escrow");
    world.serve_copy(&vector("revoked-hard"));
    assert_eq!(world.outcome("ABC").await, "KS-DIR-ESCROW");
    world.forget_copy(&ann());
    assert_eq!(world.outcome("ABC").await, "KS-DIR-ESCROW");
}

#[tokio::test]
async fn a_certifier_that_was_revoked_since_certifies_nobody() {
    let world = world("accepted").await;
    let revoked = crate::openpgp::Certificate::parse_all(certifier("revoked").as_bytes()).unwrap().remove(0);
    world.serve_copy(&revoked);
    assert_eq!(world.outcome("ABC").await, "KS-DIR-UNCERTIFIED");
    world.forget_copy(&revoked);
    assert_eq!(world.outcome("ABC").await, "KS-DIR-UNCERTIFIED", "the policy's own copy is the old one");
}

#[tokio::test]
async fn a_signer_that_was_seen_revoked_signs_no_roster() {
    let world = World::with_roster("ann@example.org", json!({}));
    world.serve("ann@example.org", &[ann()]);
    world.log_in("ABC", Some("ann")).await;
    assert_eq!(world.outcome("ABC").await, "sealed to Own");
    assert_eq!(world.asked.borrow().iter().filter(|name| *name == "hkp get").count(), 2, "the signer's and Ann's");
    let signer = crate::openpgp::Certificate::parse_all(signer("signer").as_bytes()).unwrap().remove(0);
    world.tamper(move |record| record.revoked.push(signer.fingerprint())).await;
    assert_eq!(world.outcome("ABC").await, "KS-SGN-SIGNER");
}

#[tokio::test]
async fn key_servers_that_are_away_do_not_hold_the_organisation_s_certificates_up() {
    let world = world("accepted").await;
    world.servers_down();
    assert_eq!(world.outcome("ABC").await, "KS-DIR-UNREACHABLE", "only Ann's own is missing");
    let world = World::new(json!({
        "directory": { "on_missing": "escrow", "address_template": "{localpart}@example.org" },
        "escrow": { "certificates": [ann().to_armored()] },
    }));
    world.log_in("ABC", Some("ann")).await;
    assert_eq!(world.outcome("ABC").await, "sealed to Escrow");
}
