//! Two browsers of one person at the same time, and another client that changes secret storage meanwhile. Account data has no
//! compare-and-swap, so whoever writes last wins; whatever the order, one recovery key is in force in the end and opens
//! everything, once something was complete it stays so, and nobody is asked anything.

use std::{cell::RefCell, rc::Rc};

use keystead_core::{bootstrap::Outcome, error::Code, status::State};

use crate::{
    account::Account,
    rotate::{Reader, SETTLED, default_key, escrow, restored, set_up, show_for_a_day},
    turns::Turns,
    world::World,
};

/// How many more starts the browsers have, one after the other.
const STARTS: usize = 4;

/// Both run at the same time, in this order.
async fn together(world: &World, browsers: [&Account; 2], runs: &[usize]) -> [Outcome; 2] {
    let turns = Rc::new(Turns::new(runs));
    let run = async |seat: usize| {
        let browser = browsers[seat];
        browser.sit_down(&turns, seat);
        let outcome = browser.start(world, None).await.expect("nothing stops it");
        browser.stand_up();
        outcome
    };
    let (one, other) = tokio::join!(run(0), run(1));
    [one, other]
}

fn said(outcome: &Outcome) -> (State, Option<Code>) {
    (outcome.progress.state, outcome.progress.problem.map(|(code, _)| code))
}

/// Nobody is asked; whoever is not complete says that the recovery key in force is another browser's.
fn is_quiet(outcome: &Outcome) -> Result<(), String> {
    let quiet = match outcome.progress.state {
        State::Complete => true,
        State::Foreign => {
            outcome.progress.problem.is_some_and(|(code, _)| [Code::RecVaultLost, Code::RecReplaced].contains(&code))
        }
        _ => false,
    };
    if quiet && outcome.progress.question.is_none() { Ok(()) } else { Err(format!("{:?}", said(outcome))) }
}

/// So it is with both, by themselves.
async fn are_quiet(world: &World, browsers: [&Account; 2]) -> Result<(), String> {
    for browser in browsers {
        browser.asked.set(false);
        browser.wait(SETTLED);
        is_quiet(&browser.start(world, None).await.unwrap())?;
    }
    Ok(())
}

/// The default key is one that gpg takes from a sealed recovery, or one that a browser holds, with a sealed recovery to write
/// again.
async fn is_kept(world: &World, browsers: [&Account; 2]) -> Result<(), String> {
    let Err(why) = browsers[0].nothing_is_lost(world).await else { return Ok(()) };
    let data = browsers[0].data(world).await;
    let default_key = data["m.secret_storage.default_key"]["key"].as_str().unwrap_or_default();
    for browser in browsers {
        let record = browser.record().await;
        let key = record.current().filter(|key| key.id.as_str() == default_key);
        if key.is_some_and(|key| key.wrapped.is_some() && key.sealed.is_some()) {
            return Ok(());
        }
    }
    Err(why)
}

async fn row(world: &World, runs: &[usize]) -> Result<usize, String> {
    let one = world.hire().await;
    let other = one.elsewhere(world).await;
    let outcomes = together(world, [&one, &other], runs).await;
    let rounds = one.trace().iter().filter(|effect| effect.starts_with("http")).count();
    is_kept(world, [&one, &other]).await.map_err(|why| format!("{why}: {:?}", outcomes.each_ref().map(said)))?;
    for outcome in outcomes.iter().filter(|outcome| outcome.progress.state == State::Complete) {
        outcome.retry_at.ok_or("it is not looked at again")?;
    }
    let last = RefCell::new(outcomes.each_ref().map(said));
    for round in 0..STARTS {
        let next = [one.start(world, None).await.unwrap(), other.start(world, None).await.unwrap()];
        let same = *last.borrow() == next.each_ref().map(said);
        last.replace(next.each_ref().map(said));
        one.is_whole(world).await.map_err(|why| format!("later: {why}: {:?}", last.borrow()))?;
        // What one of them sees to in the first round, the other sees in the second.
        if same && round > 0 {
            are_quiet(world, [&one, &other]).await?;
            let complete = next.iter().any(|outcome| outcome.progress.state == State::Complete);
            return if complete { Ok(rounds) } else { Err(format!("nobody is complete: {:?}", last.borrow())) };
        }
    }
    let last = last.borrow();
    Err(format!("it does not come to rest: {last:?}"))
}

#[tokio::test]
async fn two_browsers_that_set_up_at_the_same_time_end_with_one_recovery_key() {
    let world = World::start().await;
    let rounds = row(&world, &[usize::MAX]).await.unwrap();
    let (mut rows, mut failed) = (0, Vec::new());
    for first in 1..=rounds {
        for second in (1..=rounds).skip(first % 5).step_by(5) {
            rows += 1;
            if let Err(why) = row(&world, &[first, second, usize::MAX]).await {
                failed.push(format!("{first}, then {second}: {why}"));
            }
        }
    }
    println!("{rows} orders of {rounds} rounds, {} passed", rows - failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Both browsers hold the recovery key, and are to replace it now.
async fn about_to_rotate(world: &World, policy: &serde_json::Value) -> [Account; 2] {
    world.set_policy("escrow", None);
    let one = set_up(world).await;
    let other = restored(&one, world).await;
    world.set_policy("escrow", Some(policy.clone()));
    for browser in [&one, &other] {
        browser.wait(SETTLED);
        assert!(!browser.start(world, None).await.unwrap().progress.rotation.upcoming.is_empty());
        show_for_a_day(browser, world).await;
    }
    [one, other]
}

async fn rotation(world: &World, policy: &serde_json::Value, runs: &[usize]) -> Result<usize, String> {
    let [one, other] = about_to_rotate(world, policy).await;
    let before = default_key(&one.data(world).await);
    together(world, [&one, &other], runs).await;
    let rounds = one.trace().iter().filter(|effect| effect.starts_with("http")).count();
    is_kept(world, [&one, &other]).await?;
    for _ in 0..STARTS {
        for browser in [&one, &other] {
            browser.wait(SETTLED);
            browser.start(world, None).await.unwrap();
        }
    }
    let data = one.data(world).await;
    if default_key(&data) == before {
        return Err("the recovery key is the same".into());
    }
    Reader::default().reads(&one, world, &data).await?;
    are_quiet(world, [&one, &other]).await?;
    Ok(rounds)
}

#[tokio::test]
async fn two_browsers_that_replace_the_recovery_key_at_the_same_time_end_with_one() {
    let world = World::start().await;
    let (_, policy) = escrow(&world, "escrow").await;
    let rounds = rotation(&world, &policy, &[usize::MAX]).await.unwrap();
    let (mut rows, mut failed) = (0, Vec::new());
    for first in (1..=rounds).step_by(2) {
        for second in (1..=rounds).skip(first % 4).step_by(4) {
            rows += 1;
            if let Err(why) = rotation(&world, &policy, &[first, second, usize::MAX]).await {
                failed.push(format!("{first}, then {second}: {why}"));
            }
        }
    }
    println!("{rows} orders of {rounds} rounds, {} passed", rows - failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
