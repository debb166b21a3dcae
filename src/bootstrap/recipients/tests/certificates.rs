//! What is kept of the certificates that were seen, and what a hostile directory can make of it.

use std::time::{Duration, SystemTime};

use sequoia_openpgp::{cert::CertBuilder, serialize::SerializeInto};
use serde_json::json;

use super::world::*;
use crate::{
    bootstrap::record::{AccountRecord, MAX_REVOKED},
    ident::{EmailAddress, Fingerprint},
    openpgp::Certificate,
};

/// Ann's profile, whose policy names her address; a person answers whose certificate it is.
async fn confirmed() -> World {
    let world = World::new(json!({ "directory": { "address_template": "{localpart}@example.org" } }));
    world.log_in("ABC", Some("ann")).await;
    world.answer("ABC", &ann(), true).await;
    world
}

#[tokio::test]
async fn a_certificate_that_was_seen_revoked_is_refused_whatever_is_served_or_kept_later() {
    for revoked in ["revoked-hard", "revoked-soft", "revoked-designated"] {
        let world = confirmed().await;
        world.serve("ann@example.org", &[ann()]);
        assert_eq!(world.outcome("ABC").await, "sealed to Own");
        world.serve("ann@example.org", &[vector(revoked)]);
        assert_eq!(world.outcome("ABC").await, "KS-DIR-REVOKED", "{revoked}");
        world.serve("ann@example.org", &[ann()]);
        assert_eq!(world.outcome("ABC").await, "KS-DIR-REVOKED", "{revoked}");
        world.tamper(|record| record.certificates.clear()).await;
        assert_eq!(
            world.outcome("ABC").await,
            "KS-DIR-REVOKED",
            "{revoked}: the copies are gone, the knowledge is not"
        );
        assert_eq!(world.record().await.revoked, [ann().fingerprint()]);
    }
}

#[tokio::test]
async fn what_is_kept_and_cannot_be_read_stops_the_run() {
    let world = confirmed().await;
    world.serve("ann@example.org", &[vector("revoked-hard")]);
    assert_eq!(world.outcome("ABC").await, "KS-DIR-REVOKED");
    world.tamper(|record| record.certificates[0].truncate(200)).await;
    let before = world.record().await.certificates;
    assert_eq!(world.outcome("ABC").await, "KS-STO-RECORD");
    assert_eq!(world.record().await.certificates, before, "and is left as it is");
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_not_kept() {
    let world = confirmed().await;
    let address = EmailAddress::parse("ann@example.org").unwrap();
    world.serve("ann@example.org", &[vector("id-wrong"), ann()]);
    assert_eq!(world.outcome("ABC").await, "sealed to Own");
    let kept = |record: &AccountRecord| kept(record).iter().map(Certificate::fingerprint).collect::<Vec<_>>();
    assert_eq!(kept(&world.record().await), [ann().fingerprint()]);
    // One that has, or had, the address is kept for what may be learned of it later.
    for state in ["id-revoked", "id-expired"] {
        assert!(vector(state).carries(&address) && vector(state).fingerprint() == vector("id-wrong").fingerprint());
        world.serve("ann@example.org", &[vector(state), ann()]);
        world.outcome("ABC").await;
        assert_eq!(kept(&world.record().await), [ann().fingerprint(), vector(state).fingerprint()]);
    }
}

fn kept(record: &AccountRecord) -> Vec<Certificate> {
    record.certificates.iter().flat_map(|text| Certificate::parse_all(text.as_bytes()).unwrap()).collect()
}

/// A certificate that somebody made for Ann's address, with this much of user IDs besides.
fn made_up(bytes: usize) -> Certificate {
    let made = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    let mut builder = CertBuilder::new().set_creation_time(made).add_userid("<ann@example.org>");
    for n in 0..bytes / 10_000 {
        builder = builder.add_userid(format!("{n}{}", "x".repeat(10_000)));
    }
    let (cert, _) = builder.add_transport_encryption_subkey().generate().unwrap();
    Certificate::parse_all(&cert.to_vec().unwrap()).unwrap().remove(0)
}

#[tokio::test]
async fn a_directory_that_never_ends_does_not_fill_the_store() {
    let world = confirmed().await;
    for (round, bytes) in [0, 0, 0, 60_000].into_iter().enumerate() {
        let mut all: Vec<_> = (0..12).map(|_| made_up(bytes)).collect();
        all.push(ann());
        world.serve("ann@example.org", &all);
        assert_eq!(world.outcome("ABC").await, "sealed to Own", "the one that the person said is theirs");
        let record = world.record().await;
        assert_eq!(record.certificates.len(), if round == 0 { 13 } else { 16 });
        assert_eq!(kept(&record)[0].fingerprint(), ann().fingerprint(), "what is meant comes first");
    }
    let world = confirmed().await;
    world.serve("ann@example.org", &[vec![ann()], (0..12).map(|_| made_up(60_000)).collect()].concat());
    assert_eq!(world.outcome("ABC").await, "sealed to Own");
    let record = world.record().await;
    let bytes: usize = record.certificates.iter().map(String::len).sum();
    assert!((100_000..=256 << 10).contains(&bytes), "{bytes}");
    assert_eq!(kept(&record)[0].fingerprint(), ann().fingerprint());
}

#[test]
fn made_up_revoked_certificates_do_not_fill_the_record_and_do_not_keep_the_real_one_out() {
    let fingerprint = |n: usize| Fingerprint::parse(&format!("{n:040}")).unwrap();
    let mut record = AccountRecord::new(crate::ident::UserId::parse(ANN).unwrap());
    record.note_revoked(&fingerprint(0), false);
    for n in 0..1000 {
        record.note_revoked(&fingerprint(n), false);
    }
    assert_eq!(record.revoked.len(), MAX_REVOKED);
    assert!(record.revoked.contains(&fingerprint(0)), "what was noted stays");
    record.note_revoked(&ann().fingerprint(), true);
    assert!(record.revoked.contains(&ann().fingerprint()));
}

#[tokio::test]
async fn the_roster_s_certificate_is_found_among_a_hundred_with_the_same_address() {
    let world = World::with_roster("ann@example.org", json!({}));
    let entry = |n| format!("pub:{n:040}:22:256:1::\nuid:Ann <ann@example.org>:1::\n");
    let index: String = (0..100).map(entry).collect();
    world.serve_copy(&ann());
    world.page(&index_of("ann@example.org"), response(200, index));
    world.log_in("ABC", Some("ann")).await;
    assert_eq!(world.outcome("ABC").await, "sealed to Own");
}
