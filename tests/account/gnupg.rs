//! Restore on a new browser with GnuPG's help: the real gpgme-json, and one that fails in every way.

use std::{fs, path::Path};

use keystead_cli::NativeHost;
use keystead_core::{
    bootstrap::Outcome,
    bridge::READ_WINDOW,
    effect::NativeError,
    error::Code,
    recovery::sealed,
    restore::Way,
    status::{Question, State},
};
use keystead_testbed::gpgme_json;

use crate::{account::Account, world::World};

/// An account that is set up on one browser, on another that has never seen it.
async fn on_a_new_browser(world: &World) -> Account {
    let first = world.hire().await;
    let outcome = first.start(world, None).await.unwrap();
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    world.use_gnupg();
    first.elsewhere(world).await
}

pub(crate) fn gnupg_of(world: &World) -> NativeHost {
    NativeHost::new(gpgme_json().unwrap()).env("GNUPGHOME", world.gpg.home()).env("LC_ALL", "C.UTF-8")
}

/// What the person is told of GnuPG, beside the sealed recovery to be opened by hand.
fn said(outcome: &Outcome) -> Option<Code> {
    assert_eq!(outcome.progress.state, State::Recover, "{:?}", outcome.progress.problem);
    let Some(Question::Recover { message: Some(_), gnupg: Some(gnupg), .. }) = &outcome.progress.question else {
        panic!("{:?}", outcome.progress.question)
    };
    gnupg.problem
}

/// Answers of the real gpgme-json, as they were recorded.
fn recorded(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/vectors/gnupg/{name}.txt"));
    let text = fs::read_to_string(path).unwrap();
    text.split_once("\n\n").unwrap().1.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn gnupg_opens_it_by_itself_and_only_the_identity_is_asked_for() {
    let world = World::start().await;
    let browser = on_a_new_browser(&world).await.with_gnupg(gnupg_of(&world));
    let outcome = browser.restore(&world, Way::Silent).await;
    let Some(Question::Believe { master_key, .. }) = outcome.progress.question else {
        panic!("{:?}: {:?}", outcome.progress.state, outcome.progress.problem)
    };
    assert!(browser.given.borrow().is_empty(), "the page was given something before anyone vouched for the identity");
    browser.believe(master_key, true).await;
    let outcome = browser.restore(&world, Way::Asked).await;
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    assert_eq!(browser.times_asked(), 1);
    assert!(browser.is_vouched_for(&world).await);
    browser.is_whole(&world).await.unwrap();
}

#[tokio::test]
async fn who_says_that_the_identity_is_not_theirs_is_not_asked_for_a_pin_again() {
    let world = World::start().await;
    let browser = on_a_new_browser(&world).await.with_gnupg(gnupg_of(&world));
    let outcome = browser.restore(&world, Way::Silent).await;
    let Some(Question::Believe { master_key, .. }) = outcome.progress.question else {
        panic!("{:?}: {:?}", outcome.progress.state, outcome.progress.problem)
    };
    browser.believe(master_key, false).await;
    assert_eq!(said(&browser.restore(&world, Way::Asked).await), None);
    assert_eq!(browser.times_asked(), 1);
    assert!(browser.given.borrow().is_empty());
}

#[tokio::test]
async fn each_failure_is_said_and_kept_and_nobody_is_asked_twice() {
    let world = World::start().await;
    let browser = on_a_new_browser(&world).await;
    let hello = || recorded("cancelled")[..1].to_vec();
    let rows = [
        (recorded("cancelled"), NativeError::Died, Code::GpgCancelled),
        (recorded("wrong-passphrase"), NativeError::Died, Code::GpgPin),
        (recorded("wrong-key"), NativeError::Died, Code::GpgWrongKey),
        (recorded("no-secret-key"), NativeError::Died, Code::GpgNoSecretKey),
        (recorded("agent-missing"), NativeError::Died, Code::GpgAgent),
        (recorded("pinentry-missing"), NativeError::Died, Code::GpgAgent),
        (recorded("damaged"), NativeError::Died, Code::GpgMessage),
        (hello(), NativeError::Died, Code::GpgDied),
        (hello(), NativeError::TooLarge, Code::GpgTooLarge),
        (hello(), NativeError::Timeout, Code::GpgTimeout),
        // What it opens is no sealed recovery.
        (recorded("decrypted"), NativeError::Died, Code::RecFormat),
    ];
    for (answers, end, expected) in rows {
        browser.wish_gnupg().await;
        browser.script_gnupg(answers, end);
        assert_eq!(said(&browser.restore(&world, Way::Silent).await), Some(expected));
        assert_eq!(browser.times_asked(), 1, "{expected:?}");
        // Neither a browser that starts again nor another try of the page's has it asked again; the words stay.
        for way in [Way::Silent, Way::Asked] {
            assert_eq!(said(&browser.restore(&world, way).await), Some(expected));
        }
        assert_eq!(browser.times_asked(), 1, "{expected:?}");
    }
    // ... and the way by hand leads on from there.
    let outcome = browser.restore(&world, Way::Silent).await;
    let Some(Question::Recover { message: Some(message), .. }) = outcome.progress.question else { panic!() };
    let text = String::from_utf8(world.gpg.decrypt(&message).await.unwrap()).unwrap();
    let outcome = browser.restore(&world, Way::Given(keystead_core::secret::SecretText::new(text))).await;
    assert_eq!(outcome.progress.state, State::Believe, "{:?}", outcome.progress.problem);
    assert!(browser.given.borrow().is_empty(), "the page was given something");
}

#[tokio::test]
async fn without_a_host_or_the_permission_nobody_was_asked_and_later_it_is_tried_again() {
    let world = World::start().await;
    let browser = on_a_new_browser(&world).await;
    for (end, expected) in [(NativeError::Missing, Code::GpgNoHost), (NativeError::NoPermission, Code::GpgPermission)] {
        browser.script_gnupg(vec![], end);
        assert_eq!(said(&browser.restore(&world, Way::Silent).await), Some(expected));
        assert_eq!(browser.times_asked(), 0);
    }
    // The person presses the button, and the browser starts the extension anew.
    browser.wait(READ_WINDOW * 2);
    browser.script_gnupg(recorded("cancelled"), NativeError::Died);
    assert_eq!(
        said(&browser.restore(&world, Way::Silent).await),
        Some(Code::GpgPermission),
        "too late to begin by itself"
    );
    browser.wish_gnupg().await;
    assert_eq!(said(&browser.restore(&world, Way::Silent).await), Some(Code::GpgCancelled));
    // A wish that is old is none.
    browser.wish_gnupg().await;
    browser.wait(READ_WINDOW * 2);
    browser.script_gnupg(recorded("cancelled"), NativeError::Died);
    assert_eq!(said(&browser.restore(&world, Way::Silent).await), None);
    assert_eq!(browser.times_asked(), 0);
}

#[tokio::test]
async fn a_sealed_recovery_of_somebody_else_in_its_place_opens_nothing() {
    let world = World::start().await;
    let browser = on_a_new_browser(&world).await.with_gnupg(gnupg_of(&world));
    let other = world.hire().await;
    other.start(&world, None).await.unwrap();
    let entry = |document: &serde_json::Value| {
        document["keys"].as_object().unwrap().iter().map(|(id, entry)| (id.clone(), entry.clone())).next().unwrap()
    };
    let (_, of_other) = entry(&other.data(&world).await[sealed::ACCOUNT_DATA]);
    let mut document = browser.data(&world).await[sealed::ACCOUNT_DATA].take();
    let (id, _) = entry(&document);
    document["keys"][&id]["message"] = of_other["message"].clone();
    browser.put(&world, sealed::ACCOUNT_DATA, &document).await;
    assert_eq!(said(&browser.restore(&world, Way::Silent).await), Some(Code::RecSealedForged));
    assert_eq!(browser.record().await.master_key, None);
    assert!(browser.given.borrow().is_empty(), "the page was given something");
}
