//! Guarantee G2 by force: a first set-up is stopped before and after every effect, and each of its requests goes wrong in
//! every way, on a real homeserver, a real key server and the real gpg. After each, the next start must finish the job.
//!
//! The list of effects is the trace of an undisturbed run, so a new effect is a new row by itself.

use keystead_core::status::State;

use crate::world::{Fault, World};

/// A run that was disturbed may need this many starts; a person's browser has as many as it wants.
const STARTS: usize = 3;

/// Runs a row for everything that can go wrong at each effect of an undisturbed run; says how many ran and passed.
pub(crate) async fn matrix(trace: &[String], row: impl AsyncFn(Fault) -> Result<(), String>) {
    rows_at(trace, Fault::all_at, row).await;
}

/// The same for long runs: [`by_turns`].
pub(crate) async fn matrix_by_turns(trace: &[String], row: impl AsyncFn(Fault) -> Result<(), String>) {
    rows_at(trace, by_turns, row).await;
}

/// Every third of what can go wrong at an effect, by turns, so that each effect and each way is met; with
/// `KEYSTEAD_EVERY_CRASH` set, everything.
pub(crate) fn by_turns(index: usize, name: &str) -> Vec<Fault> {
    let every = every();
    let faults = Fault::all_at(index, name).into_iter().enumerate();
    faults.filter(|(way, _)| every || (way + index).is_multiple_of(3)).map(|(_, fault)| fault).collect()
}

/// Is everything wanted, and not only what is taken by turns?
pub(crate) fn every() -> bool {
    std::env::var_os("KEYSTEAD_EVERY_CRASH").is_some_and(|value| !value.is_empty())
}

async fn rows_at(
    trace: &[String],
    faults: impl Fn(usize, &str) -> Vec<Fault>,
    row: impl AsyncFn(Fault) -> Result<(), String>,
) {
    let (mut rows, mut failed) = (0, Vec::new());
    for (index, name) in trace.iter().enumerate() {
        for fault in faults(index, name) {
            rows += 1;
            if let Err(why) = row(fault).await {
                failed.push(format!("{fault:?} ({name}): {why}"));
            }
        }
    }
    println!("{rows} rows over {} effects, {} passed", trace.len(), rows - failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

async fn row(world: &World, fault: Fault) -> Result<(), String> {
    let account = world.hire().await;
    account.start(world, Some(fault)).await;
    account.nothing_is_lost(world).await.map_err(|e| format!("after the crash: {e}"))?;
    let mut state = State::Working;
    for _ in 0..STARTS {
        state = account.start(world, None).await.map_or(State::Working, |outcome| outcome.progress.state);
        if state == State::Complete {
            break;
        }
    }
    if state != State::Complete {
        return Err(format!("ended as {state:?}"));
    }
    account.is_whole(world).await
}

#[tokio::test]
async fn a_set_up_that_is_disturbed_anywhere_is_finished_by_the_next_start() {
    let world = World::start().await;
    let undisturbed = world.hire().await;
    let outcome = undisturbed.start(&world, None).await.expect("nothing stops it");
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    undisturbed.is_whole(&world).await.unwrap();
    let trace = undisturbed.trace();
    assert!(trace.len() > 30, "a trace of {} effects is not a whole set-up", trace.len());

    matrix(&trace, async |fault| row(&world, fault).await).await;
}
