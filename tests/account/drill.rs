//! Drill and witness: the backup is tested, the person's own certificate vouches for the identity, and nobody else's does.

use std::time::Duration;

use keystead_core::{
    bootstrap::Outcome,
    error::Code,
    ident::{KeyId, UserId},
    identity::{PublicKey, derive_public},
    recovery::{RecoveryKey, sealed},
    restore::{
        Way,
        drill::{Drill, FIRST_REMINDER_DAYS, REMINDER_DAYS, is_due},
        witness::Statement,
    },
    secret::{SecretBytes, SecretText},
    status::{Question, State},
};
use keystead_testbed::{KeyKind, KeySpec};
use serde_json::Value;

use crate::{account::Account, gnupg::gnupg_of, world::World};

async fn set_up(world: &World) -> Account {
    let account = world.hire().await;
    assert_eq!(account.start(world, None).await.unwrap().progress.state, State::Complete);
    account
}

/// The id of the key in force, and the text of its sealed recovery as gpg opens it.
async fn opened(world: &World, account: &Account) -> (KeyId, SecretText) {
    let keys = account.data(world).await[sealed::ACCOUNT_DATA]["keys"].take();
    let (id, entry) = keys.as_object().unwrap().iter().next().unwrap();
    let text = world.gpg.decrypt(entry["message"].as_str().unwrap()).await.unwrap();
    (KeyId::parse(id).unwrap(), SecretText::new(String::from_utf8(text).unwrap()))
}

fn copy(text: &SecretText) -> SecretText {
    SecretText::new(text.expose("the test gives it again").to_owned())
}

/// Is the person asked whose identity it is?
fn asked(outcome: &Outcome) -> bool {
    match outcome.progress.state {
        State::Complete => false,
        State::Believe => matches!(outcome.progress.question, Some(Question::Believe { .. })),
        other => panic!("{other:?}: {:?}", outcome.progress.problem),
    }
}

#[tokio::test]
async fn gnupg_tests_it_and_vouches_and_a_new_browser_asks_nothing() {
    let world = World::start().await;
    world.use_gnupg();
    let account = set_up(&world).await.with_gnupg(gnupg_of(&world));
    let drill = account.drill(&world, None).await.unwrap();
    let Drill { problem, recipient, witnessed, .. } = &drill;
    assert_eq!((*problem, *witnessed), (None, true));
    assert_eq!(recipient.as_ref().map(|fingerprint| fingerprint.as_str()), Some(world.person.as_str()));
    assert_eq!(account.record().await.drill, Some(drill));

    let laptop = account.elsewhere(&world).await.with_gnupg(gnupg_of(&world));
    assert!(!asked(&laptop.restore(&world, Way::Silent).await));
    let other = account.elsewhere(&world).await;
    other.restore(&world, Way::Silent).await;
    let (_, text) = opened(&world, &account).await;
    assert!(!asked(&other.restore(&world, Way::Given(text)).await));
    for browser in [&laptop, &other] {
        assert!(browser.is_vouched_for(&world).await);
        assert_eq!(browser.start(&world, None).await.unwrap().progress.state, State::Complete);
    }
    // Looked for while the client comes up, the certificate is not looked for again.
    let ahead = account.elsewhere(&world).await.with_gnupg(gnupg_of(&world));
    ahead.log_in(None).await;
    ahead.read_ahead(&world).await;
    let looked = ahead.trace();
    assert!(looked.iter().any(|effect| effect.contains("hkp")), "{looked:?}");
    assert!(!asked(&ahead.restore(&world, Way::Silent).await));
    let since = ahead.trace().split_off(looked.len());
    let restored = since.iter().position(|effect| effect == "page restore").unwrap();
    assert!(!since[..restored].iter().any(|effect| effect.contains("hkp")), "{since:?}");
    assert!(ahead.is_vouched_for(&world).await);
    // What other browsers write beside it leaves it there, and a second test asks for no second signature.
    assert!(account.drill(&world, None).await.unwrap().witnessed);
    assert!(!account.trace().iter().any(|effect| effect == "native sign"), "{:?}", account.trace());
}

#[tokio::test]
async fn the_first_restore_with_gnupg_vouches_too() {
    let world = World::start().await;
    world.use_gnupg();
    let account = set_up(&world).await;
    let laptop = account.elsewhere(&world).await.with_gnupg(gnupg_of(&world));
    let outcome = laptop.restore(&world, Way::Silent).await;
    let Some(Question::Believe { master_key, .. }) = outcome.progress.question else { panic!("nobody is asked") };
    laptop.believe(master_key, true).await;
    assert!(!asked(&laptop.restore(&world, Way::Asked).await));
    let next = account.elsewhere(&world).await.with_gnupg(gnupg_of(&world));
    assert!(!asked(&next.restore(&world, Way::Silent).await));
}

#[tokio::test]
async fn no_other_signature_vouches() {
    let world = World::start().await;
    let account = set_up(&world).await;
    let (key_id, text) = opened(&world, &account).await;
    let named = text.expose("to find the master key").lines().find_map(|line| line.strip_prefix("Master key: "));
    let master_key = PublicKey::parse(named.unwrap()).unwrap();
    let (user, bob) = (account.user().clone(), UserId::parse("@bob:example.org").unwrap());
    let other_id = KeyId::parse("another").unwrap();
    let other_key = derive_public(&SecretBytes::new([7; 32]));
    let say = |user_id: &UserId, key_id: &KeyId, master_key: &PublicKey| {
        Statement { user_id, key_id, master_key }.to_text().unwrap()
    };
    let right = say(&user, &key_id, &master_key);
    // Of the same address, and certified by nobody.
    let spec = KeySpec::new("Everybody <everybody@example.org>", KeyKind::Ed25519);
    let stranger = world.gpg.generate(&spec).await.unwrap();
    world.publish(&world.gpg.export(&stranger).await.unwrap()).await;

    let person = world.person.clone();
    let rows = [
        ("another account's", say(&bob, &key_id, &master_key), &person, true),
        ("another master key's", say(&user, &key_id, &other_key), &person, true),
        ("another recovery key's", say(&user, &other_id, &master_key), &person, true),
        ("with a line end", format!("{right}\n"), &person, true),
        ("by a certificate that nobody certified", right.clone(), &stranger, true),
        ("the right one", right.clone(), &person, false),
    ];
    for (name, statement, signer, asks) in rows {
        let signature = world.gpg.sign_detached(statement.as_bytes(), signer).await.unwrap();
        put_witness(&world, &account, &signature).await;
        for ahead in [false, true] {
            let browser = account.elsewhere(&world).await;
            browser.restore(&world, Way::Silent).await;
            if ahead {
                browser.read_ahead(&world).await;
            }
            assert_eq!(asked(&browser.restore(&world, Way::Given(copy(&text))).await), asks, "{name}");
            assert_eq!(browser.given.borrow().is_empty(), asks, "{name}");
        }
    }
    put_witness(&world, &account, "-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n").await;
    let browser = account.elsewhere(&world).await;
    browser.restore(&world, Way::Silent).await;
    assert!(asked(&browser.restore(&world, Way::Given(copy(&text))).await), "no signature");

    // A browser that has seen another identity in place follows no witness.
    let signature = world.gpg.sign_detached(right.as_bytes(), &person).await.unwrap();
    put_witness(&world, &account, &signature).await;
    let pinned = account.elsewhere(&world).await;
    pinned.restore(&world, Way::Silent).await;
    pinned.tamper(|record| record.master_key = Some(other_key)).await;
    let outcome = pinned.restore(&world, Way::Given(copy(&text))).await;
    assert_eq!(outcome.progress.problem.map(|(code, _)| code), Some(Code::RecIdentity));

    // Its certificate was revoked since.
    world.publish(&world.gpg.revoked(&person).await.unwrap()).await;
    let browser = account.elsewhere(&world).await;
    browser.restore(&world, Way::Silent).await;
    assert!(asked(&browser.restore(&world, Way::Given(text)).await), "by a revoked certificate");
}

async fn put_witness(world: &World, account: &Account, signature: &str) {
    let mut document = account.data(world).await[sealed::ACCOUNT_DATA].take();
    for entry in document["keys"].as_object_mut().unwrap().values_mut() {
        entry["witness"] = signature.into();
    }
    account.put(world, sealed::ACCOUNT_DATA, &document).await;
}

#[tokio::test]
async fn what_is_wrong_with_the_backup_is_found_and_kept() {
    let world = World::start().await;
    let (account, other) = (set_up(&world).await, set_up(&world).await);
    let (_, text) = opened(&world, &account).await;
    let (_, of_other) = opened(&world, &other).await;
    for wrong in ["", "no recovery key"] {
        assert_eq!(account.drill(&world, Some(SecretText::new(wrong.into()))).await, Err(Code::RecFormat));
        assert_eq!(account.record().await.drill, None, "a typing error is no test");
    }
    let another = RecoveryKey::make_random().unwrap().to_base58();
    for (given, expected) in
        [(of_other, Some(Code::RecSealedForged)), (another, Some(Code::RecMac)), (copy(&text), None)]
    {
        let drill = account.drill(&world, Some(given)).await.unwrap();
        assert_eq!((drill.problem, drill.recipient.clone(), drill.witnessed), (expected, None, false));
        assert_eq!(account.record().await.drill, Some(drill));
    }
    let mut document: Value = account.data(&world).await[sealed::ACCOUNT_DATA].take();
    let of_other = other.data(&world).await[sealed::ACCOUNT_DATA]["keys"].take();
    for entry in document["keys"].as_object_mut().unwrap().values_mut() {
        entry["message"] = of_other.as_object().unwrap().values().next().unwrap()["message"].clone();
    }
    // A homeserver that is only late is asked again.
    let mut late = account.data(&world).await;
    late[sealed::ACCOUNT_DATA] = document.clone();
    account.reads_late(late).await;
    assert_eq!(account.drill(&world, Some(copy(&text))).await.unwrap().problem, None);
    account.put(&world, sealed::ACCOUNT_DATA, &document).await;
    let drill = account.drill(&world, Some(text)).await.unwrap();
    assert_eq!(drill.problem, Some(Code::RecSealedForged), "the server's message is another one");
}

#[tokio::test]
async fn the_person_is_reminded_when_it_is_time() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let world = World::start().await;
    let account = set_up(&world).await;
    let (_, text) = opened(&world, &account).await;
    let due = async |days| is_due(&account.record().await, days, account.time());
    account.wait(DAY * (FIRST_REMINDER_DAYS - 1));
    assert!(!due(None).await && !due(Some(30)).await, "not at once");
    assert!(due(Some(3)).await, "the policy has fewer");
    account.wait(DAY + Duration::from_secs(60));
    assert!(due(None).await && due(Some(30)).await, "none was ever done");
    assert!(!due(Some(0)).await, "never");
    account.drill(&world, Some(text)).await.unwrap();
    assert!(!due(None).await);
    account.wait(DAY * (REMINDER_DAYS - 1));
    assert!(!due(None).await);
    assert!(due(Some(30)).await);
    account.wait(DAY + Duration::from_secs(60));
    assert!(due(None).await);
    assert!(!due(Some(0)).await, "never");
}
