//! A wipe: afterwards neither what is left here nor what the homeserver has opens anything, nor both together.

use keystead_core::{
    bootstrap::record::VaultKey,
    effect::{Answer, Effect, VaultCommand},
    error::Code,
    recovery::{RecoveryKey, WrappedRecoveryKey, sealed},
    restore::Way,
    secret::{SecretBytes, SecretText},
    status::{Question, State},
};

use crate::{
    account::Account,
    world::{Fault, World},
};

async fn set_up(world: &World) -> Account {
    let account = world.hire().await;
    assert_eq!(account.start(world, None).await.unwrap().progress.state, State::Complete);
    account
}

/// Nothing here opens anything; the pin stays.
async fn is_empty(account: &Account, world: &World) -> Result<(), String> {
    let held = account.held().await;
    if !held.is_empty() {
        return Err(format!("the vault holds {held:?}"));
    }
    let record = account.record().await;
    let text = record.to_text().unwrap();
    let server = account.data(world).await[sealed::ACCOUNT_DATA]["keys"].take();
    for entry in server.as_object().unwrap().values() {
        for copy in entry["wrapped"].as_object().unwrap().values() {
            if text.contains(copy["ciphertext"].as_str().unwrap()) {
                return Err("a wrapped copy is left".into());
            }
        }
        if text.contains(entry["message"].as_str().unwrap().lines().nth(3).unwrap()) {
            return Err("the sealed recovery is left".into());
        }
    }
    if record.master_key.is_some() { Ok(()) } else { Err("the pin is gone".into()) }
}

#[tokio::test]
async fn nothing_is_left_but_the_pin_wherever_a_wipe_is_disturbed() {
    let world = World::start().await;
    let account = set_up(&world).await;
    account.wipe(None).await.unwrap().unwrap();
    let trace = account.trace();
    is_empty(&account, &world).await.unwrap();
    let mut rows = 0;
    for (index, name) in trace.iter().enumerate() {
        for fault in Fault::all_at(index, name) {
            let account = set_up(&world).await;
            let ended = account.wipe(Some(fault)).await;
            if !matches!(ended, Some(Ok(()))) {
                account.wipe(None).await.unwrap().unwrap();
            }
            is_empty(&account, &world).await.map_err(|why| format!("{fault:?} ({name}): {why}")).unwrap();
            rows += 1;
        }
    }
    println!("{rows} rows over {} effects", trace.len());
    assert!(rows > trace.len());
}

#[tokio::test]
async fn a_session_that_goes_on_is_left_alone_and_the_next_one_opens_the_sealed_recovery() {
    let world = World::start().await;
    let account = set_up(&world).await;
    let before = account.data(&world).await;
    account.wipe(None).await.unwrap().unwrap();
    let outcome = account.start(&world, None).await.unwrap();
    assert_eq!(outcome.progress.state, State::Foreign);
    assert_eq!(outcome.progress.problem.map(|(code, _)| code), Some(Code::RecVaultLost));
    assert_eq!(account.data(&world).await, before, "the account was changed");

    // Although the policy would have kept everything.
    let account = account.again(&world, true).await;
    let outcome = account.restore(&world, Way::Silent).await;
    let Some(Question::Recover { message: Some(message), .. }) = outcome.progress.question else {
        panic!("{:?}: {:?}", outcome.progress.state, outcome.progress.problem)
    };
    let opened = SecretText::new(String::from_utf8(world.gpg.decrypt(&message).await.unwrap()).unwrap());
    // The pin is kept: nobody is asked whose identity it is.
    let outcome = account.restore(&world, Way::Given(opened)).await;
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    account.is_whole(&world).await.unwrap();
}

/// Opens the recovery key with what the vault has and a copy that it wrapped.
async fn opens(account: &Account, key: &VaultKey, wrapped: &WrappedRecoveryKey) -> bool {
    let derive = VaultCommand::Derive { id: key.id.clone(), wrapped: wrapped.clone(), info: String::new() };
    match account.drive(|io| async move { io.ask(Effect::Vault(derive)).await }).await {
        Ok(Answer::Derived(derived)) => key.description.verify(&derived).is_ok(),
        _ => false,
    }
}

#[tokio::test]
async fn it_takes_the_disk_and_the_homeserver_s_documents_together_and_after_a_wipe_not_even_both_are_enough() {
    let world = World::start().await;
    let account = set_up(&world).await;
    let key = account.record().await.keys[0].clone();
    // The person has left, and the policy keeps what is on the disk.
    let account = account.again(&world, true).await;
    let disk = account.record().await.to_text().unwrap();
    let entry = account.data(&world).await[sealed::ACCOUNT_DATA]["keys"][key.id.as_str()].take();
    let copies = entry["wrapped"].as_object().unwrap().values().cloned();
    let copies: Vec<WrappedRecoveryKey> = copies.map(|copy| serde_json::from_value(copy).unwrap()).collect();
    let [copy] = copies.as_slice() else { panic!("{} copies", copies.len()) };

    assert!(opens(&account, &key, copy).await, "with both halves");
    // The disk: wrapping keys, and nothing that they wrapped.
    assert!(!account.held().await.is_empty());
    assert!(
        !disk.contains(entry["wrapped"].as_object().unwrap().values().next().unwrap()["ciphertext"].as_str().unwrap())
    );
    assert!(account.record().await.keys.iter().all(|key| key.wrapped.is_none()), "a copy is on the disk");
    // The documents, with a vault that has nothing, and with one that has a wrapping key of its own under the same name.
    let elsewhere = account.elsewhere(&world).await;
    assert!(!opens(&elsewhere, &key, copy).await, "the homeserver's documents alone");
    let other = RecoveryKey::from_bytes(SecretBytes::new([7; 32]));
    let admit = VaultCommand::Admit { id: key.id.clone(), key: other };
    let admitted = elsewhere.drive(|io| async move { io.ask(Effect::Vault(admit)).await }).await;
    assert!(matches!(admitted, Ok(Answer::Wrapped(_))));
    assert!(!opens(&elsewhere, &key, copy).await, "with another browser's wrapping key");

    account.wipe(None).await.unwrap().unwrap();
    assert!(!opens(&account, &key, copy).await, "both, after a wipe");
}
