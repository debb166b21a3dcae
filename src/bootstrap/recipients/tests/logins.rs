//! Who is believed to be logged in, and who is asked.

use serde_json::json;

use super::world::*;
use crate::{
    bootstrap::logout::{self, Logout},
    ident::{DeviceId, Fingerprint, UserId},
};

#[tokio::test]
async fn a_roster_is_silent_for_who_typed_their_own_name_and_asks_after_single_sign_on() {
    for (typed, expect) in [
        (Some("ann"), "sealed to Own"),
        (Some(ANN), "sealed to Own"),
        (Some("Ann.Lee@example.org"), "asks ann@example.org"),
        (Some("ann@EXAMPLE.org"), "sealed to Own"),
        (None, "asks ann@example.org"),
        (Some("bob"), "Failed KS-DIR-OTHER-ACCOUNT"),
    ] {
        let world = World::with_roster("ann@example.org", json!({}));
        world.serve("ann@example.org", &[ann()]);
        world.log_in("ABC", typed).await;
        assert_eq!(world.outcome("ABC").await, expect, "{typed:?}");
    }
    let world = World::with_roster("ann@example.org", json!({ "directory": { "trust_server_user_id": true } }));
    world.serve("ann@example.org", &[ann()]);
    world.log_in("ABC", None).await;
    assert_eq!(world.outcome("ABC").await, "sealed to Own");
}

#[tokio::test]
async fn the_roster_s_fingerprint_holds_for_whoever_must_confirm() {
    let world = World::with_roster("ann@example.org", json!({}));
    world.publish_roster(2, &[(ANN, "ann@example.org", &Fingerprint::parse(&"0".repeat(40)).unwrap())]);
    world.serve("ann@example.org", &[ann()]);
    world.log_in("ABC", None).await;
    assert_eq!(world.outcome("ABC").await, "KS-DIR-FINGERPRINT", "the person is not even asked");
}

#[tokio::test]
async fn per_user_policy_and_roster_must_agree() {
    let account = json!({ "account": { "user_id": ANN, "address": "Ann@example.org" } });
    let world = World::with_roster("ann@example.org", account.clone());
    world.serve("Ann@example.org", &[ann()]);
    world.log_in("ABC", None).await;
    assert_eq!(world.outcome("ABC").await, "sealed to Own");
    world.publish_roster(2, &[(ANN, "ann@example.org", &Fingerprint::parse(&"0".repeat(40)).unwrap())]);
    assert_eq!(world.outcome("ABC").await, "KS-DIR-FINGERPRINT", "the roster's fingerprint counts");
    world.publish_roster(3, &[(ANN, "bob@example.org", &ann().fingerprint())]);
    assert_eq!(world.outcome("ABC").await, "KS-DIR-CONTRADICTION");
}

#[tokio::test]
async fn what_was_typed_or_answered_at_one_login_says_nothing_of_the_next() {
    let (origin, user) = (origin(), UserId::parse(ANN).unwrap());
    let world = World::with_roster("ann@example.org", json!({}));
    world.serve("ann@example.org", &[ann()]);
    world.log_in("ABC", Some("ann")).await;
    assert_eq!(world.outcome("ABC").await, "sealed to Own");
    // Somebody else logs in at this desk, and the homeserver says that it is Ann.
    world.log_in("DEF", None).await;
    assert_eq!(world.outcome("DEF").await, "asks ann@example.org");
    world.answer("DEF", &ann(), true).await;
    assert_eq!(world.outcome("DEF").await, "sealed to Own");
    world.log_in("GHI", None).await;
    assert_eq!(world.outcome("GHI").await, "asks ann@example.org");
    world.answer("GHI", &ann(), false).await;
    assert_eq!(world.outcome("GHI").await, "KS-DIR-CONFIRM");
    assert_eq!(world.outcome("DEF").await, "sealed to Own");
    // Even under a device ID that was Ann's, once she has logged out, or where a name is typed.
    let logout = Logout { origin: &origin, user_id: &user, device_id: None, retention: None };
    world.drive(|io| async { logout::end(io, logout).await.is_ok() }).await;
    for device in ["ABC", "DEF", "GHI"] {
        world.log_in(device, None).await;
        assert_eq!(world.outcome(device).await, "asks ann@example.org");
    }
    world.log_in("ABC", Some("ann")).await;
    world.log_in("ABC", Some("bob")).await;
    assert_eq!(world.outcome("ABC").await, "Failed KS-DIR-OTHER-ACCOUNT");
    world.answer("XYZ", &ann(), true).await;
    assert!(!world.record().await.devices.contains_key(&DeviceId::parse("XYZ").unwrap()));
}
