//! A rotation is stopped before and after every effect, and each of its requests goes wrong in every way. After each, another
//! client opens the account by way of gpg, and the next starts finish the job.

use keystead_core::status::State;

use crate::{
    crash::by_turns,
    rotate::{Reader, SETTLED, default_key, escrow, nothing_under, set_up},
    world::{Fault, World},
};

/// A run that was disturbed may need this many starts.
const STARTS: usize = 6;

async fn row(world: &World, escrow: &serde_json::Value, fault: Option<Fault>) -> Result<Vec<String>, String> {
    world.set_policy("escrow", Some(escrow.clone()));
    let account = set_up(world).await;
    let before = default_key(&account.data(world).await);
    world.set_policy("escrow", None);
    let mut reader = Reader::default();
    account.moments.replace(Some(Vec::new()));
    account.start(world, fault).await;
    let trace = account.trace();
    for _ in 0..STARTS {
        let moments = account.moments.replace(Some(Vec::new())).unwrap();
        for data in moments.into_iter().chain([account.data(world).await]) {
            reader.reads(&account, world, &data).await.map_err(|why| format!("another client: {why}"))?;
        }
        account.wait(SETTLED);
        let outcome = account.start(world, None).await.ok_or("it died")?;
        let record = account.record().await;
        let renewed = record.rotation.compromised.as_ref().is_some_and(|one| one.backup.is_none());
        let replaced = record.rotation.leftovers.is_empty() && record.keys.len() == 1 && record.keys[0].id != before;
        let done = renewed && replaced;
        if outcome.progress.state == State::Complete && done {
            let data = account.data(world).await;
            reader.reads(&account, world, &data).await?;
            nothing_under(&data, &before)?;
            return if record.rotation.under_way.is_none() { Ok(trace) } else { Err("it is under way still".into()) };
        }
    }
    Err("it is not finished".into())
}

#[tokio::test]
async fn a_rotation_that_is_disturbed_anywhere_is_finished_by_the_next_starts() {
    let world = World::start().await;
    let (_, escrow) = escrow(&world, "escrow").await;
    let trace = row(&world, &escrow, None).await.unwrap();
    let first = trace.iter().position(|name| name == "vault admit").expect("no key was made") - 2;
    let (mut rows, mut failed) = (0, Vec::new());
    for (index, name) in trace.iter().enumerate().skip(first) {
        for fault in by_turns(index, name) {
            rows += 1;
            if let Err(why) = row(&world, &escrow, Some(fault)).await {
                failed.push(format!("{fault:?} ({name}): {why}"));
            }
        }
    }
    println!("{rows} rows over {} effects, {} passed", trace.len() - first, rows - failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
