//! Tests of the backup, which the person asks for.

use std::rc::Rc;

use keystead_core::{
    error::Code,
    ident::{Origin, UserId},
    restore::drill::{self, Drill},
    secret::SecretText,
    status::DrillStart,
};

use crate::{adapter::clock, background::State, deployment, driver::Driver, requests};

/// What there is to be tested; `None` where nobody is logged in.
pub(crate) async fn start(state: &Rc<State>, origin: &Origin) -> Option<Result<DrillStart, Code>> {
    let setup = deployment::ready(state, origin).await?;
    let gnupg = setup.policy.restore.as_ref().is_some_and(|restore| restore.gnupg_host.is_some());
    let user = setup.user_id.clone();
    let message = Driver::new(state, origin, &user).run(|io| drill::message(io, setup)).await;
    Some(message.map(|message| DrillStart { message, gnupg }))
}

/// Tests it; `None` where nobody is logged in.
pub(crate) async fn run(state: &Rc<State>, origin: &Origin, given: Option<SecretText>) -> Option<Result<Drill, Code>> {
    let setup = deployment::ready(state, origin).await?;
    let user = setup.user_id.clone();
    let drilled = Driver::new(state, origin, &user).run(|io| drill::run(io, setup, given)).await;
    remind(state, origin, &user).await;
    Some(drilled)
}

/// How the last one ended, and whether it is time for another.
pub(crate) async fn last(state: &State, origin: &Origin, account: Option<&UserId>) -> (Option<Drill>, bool) {
    let Some(account) = account else { return (None, false) };
    let Some(record) = requests::record(state, origin, account).await else { return (None, false) };
    let days = {
        let in_force = state.policy.borrow();
        let restore = in_force.policy.as_ref().and_then(|policy| policy.restore.as_ref());
        restore.and_then(|restore| restore.drill_reminder_days)
    };
    let due = drill::is_due(&record, days, clock::now());
    (record.drill, due)
}

/// Has the badge say whether it is time to test the backup.
pub(crate) async fn remind(state: &Rc<State>, origin: &Origin, account: &UserId) {
    let (_, due) = last(state, origin, Some(account)).await;
    let progress = state.live(origin, |live| {
        live.drill_due = due;
        live.progress.clone()
    });
    deployment::report(state, origin, progress);
}
