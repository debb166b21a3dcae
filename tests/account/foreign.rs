//! Secret storage of another client's making, on a session that lacks what is in it: the person is asked once, for the
//! recovery key or the passphrase, and both that and the sealed recovery open everything afterwards.

use std::time::Duration;

use keystead_core::{
    bootstrap::Outcome,
    error::Code,
    ident::KeyId,
    recovery::{EncryptedSecret, KeyDescription, RecoveryKey, SecretDocument, encode_seed, secret_name},
    restore::Way,
    secret::{SecretBytes, SecretText},
    status::{Question, State},
};
use serde_json::{Value, json};

use crate::{
    account::Account,
    crash::matrix,
    world::{Fault, World},
};

const OWN: &str = "made-by-another-client";
const STARTS: usize = 3;

fn code(outcome: &Outcome) -> Option<Code> {
    outcome.progress.problem.map(|(code, _)| code)
}

fn typed(text: &str) -> Way {
    Way::Given(SecretText::new(text.to_owned()))
}

/// Is the person asked, also for a passphrase; and which group is said to be wrong?
fn asked(outcome: &Outcome) -> (bool, Option<usize>) {
    assert_eq!(outcome.progress.state, State::Adopt, "{:?}", outcome.progress.problem);
    let Some(Question::Adopt { passphrase, group, .. }) = outcome.progress.question else { panic!("nothing is asked") };
    (passphrase, group)
}

/// Says that the identity is the person's own, which is asked.
async fn believe(account: &Account, outcome: &Outcome) {
    let Some(Question::Believe { master_key, .. }) = outcome.progress.question else {
        panic!("{:?}: {:?}", outcome.progress.state, outcome.progress.problem)
    };
    assert!(account.given.borrow().is_empty(), "the page was given something before anyone vouched for the identity");
    account.believe(master_key, true).await;
}

/// The sealed recovery and the key of their own open everything, and of the latter nothing is left here.
async fn is_adopted(account: &Account, world: &World, own: &RecoveryKey) -> Result<(), String> {
    account.is_whole(world).await?;
    let data = account.data(world).await;
    account.opens_everything(&data, &KeyId::parse(OWN).unwrap(), own)?;
    let record = account.record().await;
    let id = data["m.secret_storage.default_key"]["key"].as_str().unwrap();
    if id == OWN || record.lent.is_some() || record.opened.is_some() || record.key(&KeyId::parse(id).unwrap()).is_none()
    {
        return Err("the key of their own is still in use".into());
    }
    let held = account.held().await;
    if held == [KeyId::parse(id).unwrap()] { Ok(()) } else { Err(format!("the vault holds {held:?}")) }
}

#[tokio::test]
async fn a_new_session_is_opened_with_the_recovery_key_and_then_adopted() {
    let world = World::start().await;
    let first = world.hire().await;
    let own = first.store_own(&world, OWN).await;
    let browser = first.elsewhere(&world).await;
    browser.holds_secrets.set(false);
    let before = browser.data(&world).await;
    assert_eq!(asked(&browser.restore(&world, Way::Silent).await), (false, None));

    let written = own.to_base58();
    let written = written.expose("the person types it");
    let other = RecoveryKey::make_random().unwrap().to_base58();
    let typo = format!("{}{}", &written[..written.len() - 1], if written.ends_with('1') { '2' } else { '1' });
    for (text, expected, group) in [
        (typo.as_str(), Code::RecChecksum, Some(12)),
        (other.expose("the person types it"), Code::RecMac, None),
        ("correct horse battery staple", Code::RecFormat, Some(6)),
        ("", Code::RecFormat, None),
    ] {
        let outcome = browser.restore(&world, typed(text)).await;
        assert_eq!((code(&outcome), asked(&outcome)), (Some(expected), (false, group)), "{text}");
    }
    assert_eq!(browser.data(&world).await, before, "something was changed");
    assert_eq!(browser.held().await, []);

    let outcome = browser.restore(&world, typed(&written.replace(' ', "\n  "))).await;
    believe(&browser, &outcome).await;
    let outcome = browser.restore(&world, Way::Asked).await;
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    assert!(browser.is_vouched_for(&world).await);
    assert_eq!(browser.given.borrow().len(), 4);

    let outcome = browser.start(&world, None).await.unwrap();
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    is_adopted(&browser, &world, &own).await.unwrap();
}

#[tokio::test]
async fn a_logout_in_the_middle_of_it_does_not_end_adoption_for_good() {
    let world = World::start().await;
    let first = world.hire().await;
    let own = first.store_own(&world, OWN).await;
    let account = first.elsewhere(&world).await;
    account.holds_secrets.set(false);
    let outcome = account.restore(&world, typed(own.to_base58().expose("the person types it"))).await;
    believe(&account, &outcome).await;
    // The client has its secrets, and nothing of ours is in place.
    let store = account.restore(&world, Way::Asked).await;
    assert_eq!(store.progress.state, State::Complete, "{:?}", store.progress.problem);
    assert!(account.record().await.lent.is_some() && account.record().await.master_key.is_some());
    let account = account.again(&world, false).await;
    account.holds_secrets.set(false);
    assert_eq!(asked(&account.restore(&world, Way::Silent).await), (false, None));
    let outcome = account.restore(&world, typed(own.to_base58().expose("the person types it"))).await;
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    let outcome = account.start(&world, None).await.unwrap();
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    is_adopted(&account, &world, &own).await.unwrap();
    // In our care, what the person makes of it is not taken back.
    account.store_own(&world, "changed").await;
    assert_eq!(account.start(&world, None).await.unwrap().progress.state, State::Foreign);
}

/// A session that another one verified, and that got no secrets from it, up to the person's yes.
async fn verified_and_empty(world: &World) -> (Account, RecoveryKey) {
    let account = world.hire().await;
    let own = account.store_own(world, OWN).await;
    account.is_verified_by_another().await;
    account.holds_secrets.set(false);
    account.log_in(None).await;
    assert_eq!(asked(&account.start(world, None).await.unwrap()), (false, None));
    let outcome = account.restore(world, typed(own.to_base58().expose("the person types it"))).await;
    believe(&account, &outcome).await;
    (account, own)
}

async fn disturbed(world: &World, fault: Option<Fault>) -> Result<Vec<String>, String> {
    let (account, own) = verified_and_empty(world).await;
    let mut outcome = account.start(world, fault).await;
    let trace = account.trace();
    for _ in 0..STARTS {
        let data = account.data(world).await;
        account.opens_everything(&data, &KeyId::parse(OWN).unwrap(), &own)?;
        if outcome.as_ref().is_some_and(|outcome| outcome.progress.state == State::Complete) {
            break;
        }
        outcome = account.start(world, None).await;
    }
    let ended = outcome.map(|outcome| (outcome.progress.state, outcome.progress.problem));
    is_adopted(&account, world, &own).await.map_err(|why| format!("{why}, ended as {ended:?}"))?;
    Ok(trace)
}

#[tokio::test]
async fn a_verified_session_without_secrets_is_adopted_wherever_it_is_disturbed() {
    let world = World::start().await;
    let trace = disturbed(&world, None).await.unwrap();
    matrix(&trace, async |fault| disturbed(&world, Some(fault)).await.map(|_| ())).await;
}

/// Stores everything under a passphrase that is stretched so often.
async fn with_passphrase(world: &World, account: &Account, iterations: u64) -> RecoveryKey {
    let info = |iterations: u64| json!({ "algorithm": "m.pbkdf2", "salt": "salt", "iterations": iterations });
    let key = KeyDescription::make(&RecoveryKey::make_random().unwrap().derive_keys("")).unwrap();
    let mut description = serde_json::to_value(&key).unwrap();
    description["passphrase"] = info(1000);
    let description: KeyDescription = serde_json::from_value(description).unwrap();
    let passphrase = description.passphrase().unwrap().unwrap();
    let key = passphrase.derive_key(&SecretText::new("correct horse battery staple".into()));
    account.store_under(world, OWN, &key, Some(info(iterations))).await;
    key
}

#[tokio::test]
async fn a_passphrase_does_as_well_and_a_thousand_million_iterations_are_refused() {
    let world = World::start().await;
    let account = world.hire().await;
    account.holds_secrets.set(false);
    let own = with_passphrase(&world, &account, 1000).await;
    assert_eq!(asked(&account.start(&world, None).await.unwrap()), (true, None));
    let outcome = account.restore(&world, typed("correct horse battery stable")).await;
    assert_eq!((code(&outcome), asked(&outcome)), (Some(Code::RecMac), (true, None)));
    let outcome = account.restore(&world, typed("correct horse battery staple\n")).await;
    believe(&account, &outcome).await;
    assert_eq!(account.restore(&world, Way::Asked).await.progress.state, State::Complete);
    assert_eq!(account.start(&world, None).await.unwrap().progress.state, State::Complete);
    is_adopted(&account, &world, &own).await.unwrap();

    let account = world.hire().await;
    account.holds_secrets.set(false);
    let own = with_passphrase(&world, &account, 10_000_001).await;
    assert_eq!(asked(&account.start(&world, None).await.unwrap()), (false, None));
    let outcome = account.restore(&world, typed("correct horse battery staple")).await;
    assert_eq!(code(&outcome), Some(Code::RecDescription));
    assert!(!account.trace().iter().any(|effect| effect == "vault stretch"), "the work was done");
    // The recovery key itself opens it all the same.
    let outcome = account.restore(&world, typed(own.to_base58().expose("the person types it"))).await;
    believe(&account, &outcome).await;
}

#[tokio::test]
async fn not_now_holds_for_a_week_and_the_way_stays_open() {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    let world = World::start().await;
    let account = world.hire().await;
    account.store_own(&world, OWN).await;
    account.holds_secrets.set(false);
    account.asked.set(false);
    assert!(account.start(&world, None).await.unwrap().progress.calls());
    account.put_off().await;
    for _ in 0..7 {
        let outcome = account.start(&world, None).await.unwrap();
        assert_eq!((outcome.progress.state, code(&outcome)), (State::Foreign, Some(Code::RecForeign)));
        assert!(!outcome.progress.calls(), "the person is called");
        let outcome = account.restore(&world, Way::Silent).await;
        assert_eq!(outcome.progress.state, State::Foreign, "a new session asks");
        account.asked.set(true);
        asked(&account.start(&world, None).await.unwrap());
        account.asked.set(false);
        account.wait(HOUR * 24 - HOUR / 10);
    }
    account.wait(HOUR);
    asked(&account.start(&world, None).await.unwrap());
    asked(&account.restore(&world, Way::Silent).await);
}

#[tokio::test]
async fn what_opens_and_is_not_the_account_s_own_goes_nowhere() {
    let world = World::start().await;
    for name in secret_name::ALL {
        let account = world.hire().await;
        account.holds_secrets.set(false);
        let own = account.store_own(&world, OWN).await;
        let other = encode_seed(&SecretBytes::<32>::make_random().unwrap());
        let mut document = SecretDocument::default();
        let entry = EncryptedSecret::encrypt(&own.derive_keys(name), &other).unwrap();
        document.set_entry(&KeyId::parse(OWN).unwrap(), &entry);
        account.put(&world, name, &serde_json::to_value(&document).unwrap()).await;
        let before: Value = account.data(&world).await;
        let outcome = account.restore(&world, typed(own.to_base58().expose("the person types it"))).await;
        assert_eq!(code(&outcome), Some(Code::RecSecretMismatch), "{name}");
        assert!(account.given.borrow().is_empty(), "the page was given something");
        assert_eq!(account.data(&world).await, before);
        assert_eq!(account.record().await.master_key, None);
    }
}
