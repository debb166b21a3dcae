//! Restore: on a new browser, after a login, and against a homeserver that would have the person follow it.

use keystead_core::{
    bootstrap::Outcome,
    bridge::READ_WINDOW,
    error::Code,
    identity::{PublicKey, derive_public},
    recovery::sealed,
    restore::Way,
    secret::{SecretBytes, SecretText},
    status::{Question, State},
};
use serde_json::{Value, json};

use crate::{account::Account, world::World};

/// An account that is set up on a browser.
async fn set_up(world: &World) -> Account {
    let account = world.hire().await;
    let outcome = account.start(world, None).await.unwrap();
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    account
}

fn code(outcome: &Outcome) -> Option<Code> {
    outcome.progress.problem.map(|(code, _)| code)
}

/// What the person gets by opening the sealed recovery with gpg.
async fn opened(world: &World, message: &str) -> SecretText {
    let text = world.gpg.decrypt(message).await.unwrap();
    SecretText::new(String::from_utf8(text).unwrap())
}

fn message_of(outcome: &Outcome) -> String {
    assert_eq!(outcome.progress.state, State::Recover, "{:?}", outcome.progress.problem);
    let Some(Question::Recover { message: Some(message), .. }) = &outcome.progress.question else {
        panic!("no sealed recovery is offered")
    };
    message.clone()
}

fn asked(outcome: &Outcome) -> PublicKey {
    assert_eq!(outcome.progress.state, State::Believe, "{:?}", outcome.progress.problem);
    let Some(Question::Believe { master_key, security_code, .. }) = &outcome.progress.question else {
        panic!("the person is asked nothing")
    };
    assert_eq!(security_code.len(), 35);
    *master_key
}

#[tokio::test]
async fn on_a_new_browser_the_opened_sealed_recovery_and_one_confirmation_restore_everything() {
    let world = World::start().await;
    let first = set_up(&world).await;
    let browser = first.elsewhere(&world).await;
    let message = message_of(&browser.restore(&world, Way::Silent).await);
    let given = Way::Given(opened(&world, &message).await);
    let master_key = asked(&browser.restore(&world, given).await);
    assert!(browser.given.borrow().is_empty(), "the page was given something before anyone vouched for the identity");

    browser.believe(master_key, true).await;
    let outcome = browser.restore(&world, Way::Asked).await;
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    assert!(browser.is_vouched_for(&world).await);
    assert_eq!(browser.given.borrow().len(), 4);

    // Both browsers find everything in place, and each has its own way to the recovery key.
    for account in [&browser, &first, &browser] {
        let outcome = account.start(&world, None).await.unwrap();
        assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    }
    let keys = browser.data(&world).await[sealed::ACCOUNT_DATA]["keys"].take();
    let entry = keys.as_object().unwrap().values().next().unwrap();
    assert_eq!(entry["wrapped"].as_object().unwrap().len(), 2, "two browsers have a copy");
    browser.is_whole(&world).await.unwrap();
}

#[tokio::test]
async fn in_the_same_browser_a_new_session_needs_nothing_where_the_wrapping_key_was_kept() {
    let world = World::start().await;
    let account = set_up(&world).await.again(&world, true).await;
    assert!(account.record().await.keys.iter().all(|key| key.wrapped.is_none()), "a wrapped copy outlived the session");
    let outcome = account.restore(&world, Way::Silent).await;
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    assert!(account.is_vouched_for(&world).await);

    // Where it was not kept, the person is asked; and pinned is pinned: no second question.
    let account = account.again(&world, false).await;
    let message = message_of(&account.restore(&world, Way::Silent).await);
    let outcome = account.restore(&world, Way::Given(opened(&world, &message).await)).await;
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
}

/// What was read while the client came up says nothing any more where it has changed: neither that something cannot be
/// restored, nor that it can.
#[tokio::test]
async fn what_was_read_ahead_and_has_changed_since_is_read_anew() {
    let world = World::start().await;
    let mut first = set_up(&world).await;
    let documents = first.data(&world).await;
    for (name, changed) in [
        ("m.secret_storage.default_key", json!({})),
        ("m.secret_storage.default_key", json!({ "key": "another" })),
        ("m.cross_signing.master", json!({})),
        ("m.megolm_backup.v1", json!({ "encrypted": { "another": { "iv": "", "ciphertext": "", "mac": "" } } })),
    ] {
        let account = first.again(&world, true).await;
        account.log_in(None).await;
        account.put(&world, name, &changed).await;
        account.read_ahead(&world).await;
        account.put(&world, name, &documents[name]).await;
        account.asked.set(false);
        let outcome = account.restore(&world, Way::Silent).await;
        assert_eq!(outcome.progress.state, State::Complete, "{name}: {:?}", outcome.progress.problem);
        assert!(account.is_vouched_for(&world).await);
        assert_eq!(account.given.borrow().len(), 4);
        first = account;
    }
}

/// As Element does it: a page that is loaded again does not ask a second time to be confirmed.
#[tokio::test]
async fn a_client_that_was_started_again_before_it_was_confirmed_is_restored_all_the_same() {
    let world = World::start().await;
    let first = set_up(&world).await;
    let browser = first.elsewhere(&world).await;
    browser.holds_secrets.set(false);
    browser.log_in(None).await;
    let message = message_of(&browser.start(&world, None).await.unwrap());
    let given = Way::Given(opened(&world, &message).await);
    let master_key = asked(&browser.restore(&world, given).await);
    assert_eq!(asked(&browser.start(&world, None).await.unwrap()), master_key, "it is asked for still");
    browser.believe(master_key, true).await;
    let outcome = browser.start(&world, None).await.unwrap();
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    assert!(browser.is_vouched_for(&world).await && browser.holds_secrets.get());

    // Where the wrapping key was kept, by itself; but not long after the login.
    let account = first.again(&world, true).await;
    account.holds_secrets.set(false);
    account.asked.set(false);
    account.log_in(None).await;
    account.wait(READ_WINDOW * 2);
    let outcome = account.start(&world, None).await.unwrap();
    assert_eq!((outcome.progress.state, code(&outcome)), (State::Waiting, Some(Code::RecSession)));
    assert!(account.given.borrow().is_empty() && !account.is_vouched_for(&world).await);
    account.asked.set(true);
    let outcome = account.start(&world, None).await.unwrap();
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    let account = account.again(&world, true).await;
    account.holds_secrets.set(false);
    account.asked.set(false);
    account.log_in(None).await;
    let outcome = account.start(&world, None).await.unwrap();
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    assert!(account.is_vouched_for(&world).await && account.holds_secrets.get());
    account.is_whole(&world).await.unwrap();
}

#[tokio::test]
async fn what_is_typed_is_checked_before_anything_happens() {
    let world = World::start().await;
    let (ann, bob) = (set_up(&world).await, set_up(&world).await);
    let browser = ann.elsewhere(&world).await;
    let message = message_of(&browser.restore(&world, Way::Silent).await);
    let text = opened(&world, &message).await;
    let text = text.expose("the test types it");
    let key = text.lines().find_map(|line| line.strip_prefix("Recovery key: ")).unwrap();
    let of_bob = message_of(&bob.elsewhere(&world).await.restore(&world, Way::Silent).await);
    let of_bob = opened(&world, &of_bob).await;
    let of_bob = of_bob.expose("the test types it");
    let key_of_bob = of_bob.lines().find_map(|line| line.strip_prefix("Recovery key: ")).unwrap();
    let typo = format!("{}{}", &key[..key.len() - 1], if key.ends_with('1') { '2' } else { '1' });
    let cut = format!("{} {}", &key[..11], &key[12..]);
    for (typed, expected, in_group) in [
        (of_bob.to_owned(), Code::RecSealedForged, None),
        (key_of_bob.to_owned(), Code::RecMac, None),
        (typo, Code::RecChecksum, Some(12)),
        (cut, Code::RecFormat, Some(3)),
        ("where is my key?".to_owned(), Code::RecFormat, Some(4)),
        (String::new(), Code::RecFormat, None),
    ] {
        let outcome = browser.restore(&world, Way::Given(SecretText::new(typed))).await;
        assert_eq!(code(&outcome), Some(expected));
        assert_eq!(outcome.progress.state, State::Recover, "what is wrong is asked for again");
        let Some(Question::Recover { group, .. }) = outcome.progress.question else { panic!("nothing is asked") };
        assert_eq!(group, in_group, "{expected:?}");
    }
    // In any spacing, and with three letters in the other case, as people type it.
    let mut turned = 0;
    let turn = |letter: char| {
        let turns = turned < 3 && letter.is_ascii_lowercase() && !matches!(letter, 'i' | 'o');
        turned += usize::from(turns);
        if turns { letter.to_ascii_uppercase() } else { letter }
    };
    let typed: String = key.chars().map(turn).collect();
    assert_ne!(typed, key);
    let typed = SecretText::new(typed.replace(' ', "\n  "));
    asked(&browser.restore(&world, Way::Given(typed)).await);
    assert!(browser.given.borrow().is_empty());
}

#[tokio::test]
async fn a_secret_that_is_not_the_account_s_own_stops_everything() {
    let world = World::start().await;
    let (account, other) = (set_up(&world).await, set_up(&world).await);
    let whole = account.data(&world).await;
    let of_other = other.data(&world).await;
    let account = account.again(&world, true).await;
    let mut rows = 0;
    for name in keystead_core::recovery::secret_name::ALL {
        let mut garbage = whole[name].clone();
        let entry = garbage["encrypted"].as_object_mut().unwrap().values_mut().next().unwrap();
        entry["ciphertext"] = "AAAA".into();
        let mut transplanted = whole[name].clone();
        let id = transplanted["encrypted"].as_object().unwrap().keys().next().unwrap().clone();
        let foreign = of_other[name]["encrypted"].as_object().unwrap().values().next().unwrap();
        transplanted["encrypted"][&id] = foreign.clone();
        for (content, expected) in [
            (json!({}), Code::RecSecretMissing),
            (json!({ "encrypted": {} }), Code::RecSecretMissing),
            (garbage, Code::RecMac),
            (transplanted, Code::RecMac),
        ] {
            account.put(&world, name, &content).await;
            let outcome = account.restore(&world, Way::Silent).await;
            assert_eq!(code(&outcome), Some(expected), "{name}: {content}");
            rows += 1;
        }
        account.put(&world, name, &whole[name]).await;
    }
    assert_eq!(rows, 16);
    assert!(account.given.borrow().is_empty(), "the page was given something");
    let outcome = account.restore(&world, Way::Silent).await;
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
}

#[tokio::test]
async fn nobody_follows_an_identity_or_a_backup_of_the_server_s() {
    let world = World::start().await;
    let other_key = derive_public(&SecretBytes::new([7; 32]));

    // This browser has seen another identity in place.
    let pinned = set_up(&world).await.again(&world, true).await;
    pinned.tamper(|record| record.master_key = Some(other_key)).await;
    let outcome = pinned.restore(&world, Way::Silent).await;
    assert_eq!(code(&outcome), Some(Code::RecIdentity));
    assert_eq!(pinned.record().await.master_key, Some(other_key), "the pin was overwritten");

    // A backup version that nobody signed.
    let account = set_up(&world).await.again(&world, true).await;
    let public_key = derive_public(&SecretBytes::new([8; 32])).to_base64();
    account.put_backup(&world, &json!({ "public_key": public_key, "signatures": {} })).await;
    assert_eq!(code(&account.restore(&world, Way::Silent).await), Some(Code::RecBackupUntrusted));

    // Everything fits, and the person says that it is not theirs.
    let browser = set_up(&world).await.elsewhere(&world).await;
    let message = message_of(&browser.restore(&world, Way::Silent).await);
    let master_key = asked(&browser.restore(&world, Way::Given(opened(&world, &message).await)).await);
    browser.believe(master_key, false).await;
    let outcome = browser.restore(&world, Way::Asked).await;
    assert_eq!(outcome.progress.state, State::Recover, "what was opened is forgotten");
    assert_eq!(browser.record().await.master_key, None);

    for account in [&pinned, &account, &browser] {
        assert!(account.given.borrow().is_empty(), "the page was given something");
        assert!(!account.is_vouched_for(&world).await);
    }
}

#[tokio::test]
async fn a_wrapped_copy_that_was_altered_on_the_server_opens_nothing() {
    let world = World::start().await;
    let account = set_up(&world).await.again(&world, true).await;
    let mut document = account.data(&world).await[sealed::ACCOUNT_DATA].take();
    for entry in document["keys"].as_object_mut().unwrap().values_mut() {
        for wrapped in entry["wrapped"].as_object_mut().unwrap().values_mut() {
            wrapped["iv"] = Value::from("AAAAAAAAAAAAAAAA");
        }
    }
    account.put(&world, sealed::ACCOUNT_DATA, &document).await;
    let message = message_of(&account.restore(&world, Way::Silent).await);
    let outcome = account.restore(&world, Way::Given(opened(&world, &message).await)).await;
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
}
