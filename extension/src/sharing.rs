//! Pins that a person's browsers share: each account's are shared one time after the other, beside everything else. Nothing
//! that a page sends waits for it.

use std::{rc::Rc, time::Duration};

use futures_channel::{mpsc, oneshot};
use futures_util::{StreamExt, future::select};
use keystead_core::{
    error::{Code, Coded as _},
    ident::{Origin, UserId},
    pins::shared::{self, Merged, Read, Shared},
    status::State as Stage,
};
use wasm_bindgen_futures::spawn_local;

use crate::{
    adapter::clock,
    background::State,
    deployment,
    driver::Driver,
    pins::{self, Job},
};

/// What changes within this time is shared together.
const SOON: Duration = Duration::from_secs(5);
/// How often it is looked whether another browser has written.
const LOOK_AFTER: Duration = Duration::from_secs(15 * 60);

/// Has an account's pins shared soon, where its secret storage is in our care.
pub(crate) fn soon(state: &Rc<State>, origin: &Origin, user: &UserId) {
    if pins::settings(state).is_none() {
        return;
    }
    let key = (origin.clone(), user.clone());
    let mut workers = state.sharing.borrow_mut();
    let worker = workers.entry(key).or_insert_with(|| {
        let (sender, wishes) = mpsc::unbounded();
        let (state, origin, user) = (Rc::clone(state), origin.clone(), user.clone());
        spawn_local(async move { work(state, origin, user, wishes).await });
        sender
    });
    let _ = worker.unbounded_send(());
}

async fn work(state: Rc<State>, origin: Origin, user: UserId, mut wishes: mpsc::UnboundedReceiver<()>) {
    loop {
        select(wishes.next(), Box::pin(clock::sleep(LOOK_AFTER))).await;
        clock::sleep(SOON).await;
        while wishes.try_recv().is_ok() {}
        if complete(&state, &origin, &user) && share(&state, &origin, &user).await == Some(Shared::Again) {
            soon(&state, &origin, &user);
        }
    }
}

/// Is the account logged in here, and everything in place?
fn complete(state: &State, origin: &Origin, user: &UserId) -> bool {
    state.live(origin, |live| live.account.as_ref() == Some(user) && live.progress.state == Stage::Complete)
}

/// Shares once; `None` where that cannot be done now.
async fn share(state: &Rc<State>, origin: &Origin, user: &UserId) -> Option<Shared> {
    let settings = pins::settings(state)?;
    let mut driver = Driver::new(state, origin, user);
    // A browser that stops the background in a pause of it is to start it again.
    deployment::share(state, origin, true);
    let read = driver.run(|io| shared::read(io, origin, user, &settings)).await;
    deployment::share(state, origin, false);
    show(state, origin, user).await;
    let merged = merge(state, origin, user, read.ok()??).await.ok()?;
    let moved = merged.moved.clone();
    let written = driver.run(|io| shared::write(io, merged)).await;
    if !moved.is_empty() {
        pins::enqueue(state, origin, user, Job::Moved(moved));
    }
    written.ok()
}

async fn merge(state: &Rc<State>, origin: &Origin, user: &UserId, read: Read) -> Result<Merged, Code> {
    let (sender, answer) = oneshot::channel();
    pins::enqueue(state, origin, user, Job::Share(Box::new(read), sender));
    answer.await.unwrap_or(Err(Code::StoFailed))
}

/// Shows what is wrong with what is shared, until the person has read it.
pub(crate) async fn show(state: &Rc<State>, origin: &Origin, user: &UserId) {
    let trouble = Driver::new(state, origin, user).run(|io| shared::trouble(io, origin, user)).await;
    let trouble = trouble.ok().flatten().map(|(trouble, at)| (trouble.code(), at));
    let news = state.live(origin, |live| {
        let here = live.account.as_ref() == Some(user) && live.shared != trouble;
        if here {
            live.shared = trouble;
        }
        here
    });
    if news {
        deployment::announce(state);
    }
}
