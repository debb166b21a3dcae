//! Adoption: secret storage of another client's making comes into our care, and its owner's recovery key goes on opening
//! everything, wherever the run is stopped.

use keystead_core::{error::Code, ident::KeyId, recovery::RecoveryKey, status::State};
use serde_json::{Value, json};

use crate::{
    account::Account,
    crash::matrix_by_turns,
    world::{Fault, World},
};

const OWN: &str = "made-by-another-client";
const STARTS: usize = 3;

/// The person's own key opens everything at any moment; so does the sealed recovery, once it is in force.
async fn nothing_is_lost(account: &Account, world: &World, own: &RecoveryKey) -> Result<(), String> {
    let data = account.data(world).await;
    account.opens_everything(&data, &KeyId::parse(OWN).unwrap(), own).map_err(|why| format!("the own key: {why}"))?;
    if data["m.secret_storage.default_key"]["key"] == OWN { Ok(()) } else { account.is_whole(world).await }
}

async fn row(world: &World, fault: Option<Fault>) -> Result<Vec<String>, String> {
    let account = world.hire().await;
    let own = account.store_own(world, OWN).await;
    let mut outcome = account.start(world, fault).await;
    let trace = account.trace();
    nothing_is_lost(&account, world, &own).await.map_err(|why| format!("after the first start: {why}"))?;
    for _ in 0..STARTS {
        if outcome.as_ref().is_some_and(|outcome| outcome.progress.state == State::Complete) {
            break;
        }
        outcome = account.start(world, None).await;
    }
    let state = outcome.map(|outcome| (outcome.progress.state, outcome.progress.problem));
    if state.as_ref().map(|(state, _)| *state) != Some(State::Complete) {
        return Err(format!("ended as {state:?}"));
    }
    account.is_whole(world).await?;
    nothing_is_lost(&account, world, &own).await?;
    if account.data(world).await["m.secret_storage.default_key"]["key"] == OWN {
        return Err("the own key is still the default key".into());
    }
    Ok(trace)
}

#[tokio::test]
async fn a_session_that_has_everything_is_adopted_wherever_it_is_disturbed() {
    let world = World::start().await;
    let trace = row(&world, None).await.unwrap();
    assert!(trace.iter().any(|effect| effect == "page store_beside"));
    matrix_by_turns(&trace, async |fault| row(&world, Some(fault)).await.map(|_| ())).await;
}

#[tokio::test]
async fn a_session_that_lacks_secrets_changes_nothing_and_asks() {
    let world = World::start().await;
    let account = world.hire().await;
    account.store_own(&world, OWN).await;
    account.holds_secrets.set(false);
    let before = account.data(&world).await;
    let outcome = account.start(&world, None).await.unwrap();
    assert_eq!(outcome.progress.state, State::Adopt);
    assert_eq!(outcome.progress.problem.map(|(code, _)| code), Some(Code::RecForeign));
    assert_eq!(account.data(&world).await, before);
}

#[tokio::test]
async fn a_default_key_with_nothing_under_it_is_left_alone() {
    let world = World::start().await;
    let account = world.hire().await;
    account.store_own(&world, "slipped-in").await;
    account.store_own(&world, OWN).await;
    // The other default key's description is there, and none of the identity's secrets is under it any more.
    account.put(&world, "m.secret_storage.default_key", &json!({ "key": "slipped-in" })).await;
    let before = account.data(&world).await;
    let outcome = account.start(&world, None).await.unwrap();
    assert_eq!(outcome.progress.problem.map(|(code, _)| code), Some(Code::RecForeign));
    assert_eq!(account.data(&world).await, before);
}

#[tokio::test]
async fn what_a_person_makes_of_an_account_in_our_care_is_not_taken_back() {
    let world = World::start().await;
    let account = world.hire().await;
    assert_eq!(account.start(&world, None).await.unwrap().progress.state, State::Complete);
    account.store_own(&world, OWN).await;
    let before = account.data(&world).await;
    assert_eq!(account.start(&world, None).await.unwrap().progress.state, State::Foreign);
    assert_eq!(account.data(&world).await, before);
}

#[tokio::test]
async fn secrets_that_are_not_the_account_s_own_are_not_switched_to() {
    let world = World::start().await;
    let account = world.hire().await;
    account.store_own(&world, OWN).await;
    let untrusted = json!({ "public_key": "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo", "signatures": {} });
    account.put_backup(&world, &untrusted).await;
    let outcome = account.start(&world, None).await.unwrap();
    assert_eq!(outcome.progress.problem.map(|(code, _)| code), Some(Code::RecBackupUntrusted));
    let data: Value = account.data(&world).await;
    assert_eq!(data["m.secret_storage.default_key"]["key"], OWN);
    assert!(!account.trace().iter().any(|effect| effect == "page make_backup" || effect == "page store_beside"));
}
