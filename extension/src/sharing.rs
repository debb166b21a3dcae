//! Pins that a person's browsers share: each account's are shared one time after the other, beside everything else. What a
//! page sends waits for none of the talk with the homeserver.

use std::{rc::Rc, time::Duration};

use futures_channel::{mpsc, oneshot};
use futures_util::StreamExt;
use keystead_core::{
    error::{Code, Coded as _},
    ident::{Origin, UserId},
    pins::shared::{self, Merged, Read, Shared},
    status::State as Stage,
};
use wasm_bindgen_futures::spawn_local;

use crate::{
    adapter::{clock, webextension},
    background::State,
    deployment,
    driver::Driver,
    pins::{self, Job},
};

/// What changes within this time is shared together.
const SOON: Duration = Duration::from_secs(5);
/// How often it is looked whether another browser has written; and how long it is waited at most where something is wrong.
const LOOK_AFTER: Duration = Duration::from_secs(15 * 60);
/// The alarm for that: the browser may have stopped the background. No origin has such a name.
pub(crate) const ALARM: &str = "sharing";

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

/// It is time to look whether another browser has written. Where the background was only just started, the first run in a
/// page does.
pub(crate) fn look(state: &Rc<State>) {
    let accounts: Vec<_> = state.sharing.borrow().keys().cloned().collect();
    for (origin, user) in accounts {
        soon(state, &origin, &user);
    }
}

async fn work(state: Rc<State>, origin: Origin, user: UserId, mut wishes: mpsc::UnboundedReceiver<()>) {
    let mut pause = SOON;
    while wishes.next().await.is_some() {
        clock::sleep(pause).await;
        while wishes.try_recv().is_ok() {}
        if !complete(&state, &origin, &user) {
            continue;
        }
        webextension::set_alarm(ALARM, clock::now().plus(LOOK_AFTER)).await;
        let Some(calm) = share(&state, &origin, &user).await else { continue };
        // Neither a homeserver that drops what is written nor one that puts back what was has us write without end.
        pause = if calm { SOON } else { LOOK_AFTER.min(2 * pause) };
    }
}

/// Is the account logged in here, and everything in place?
fn complete(state: &State, origin: &Origin, user: &UserId) -> bool {
    state.live(origin, |live| live.account.as_ref() == Some(user) && live.progress.state == Stage::Complete)
}

/// Shares once; `None` where that cannot be done now, `false` where something was not as it must be.
async fn share(state: &Rc<State>, origin: &Origin, user: &UserId) -> Option<bool> {
    let settings = pins::settings(state)?;
    let mut driver = Driver::new(state, origin, user);
    // A browser that stops the background in a pause of it is to start it again.
    deployment::share(state, origin, true);
    let read = driver.run(|io| shared::read(io, origin, user, &settings)).await;
    deployment::share(state, origin, false);
    show(state, origin, user).await;
    let merged = merge(state, origin, user, read.ok()??).await.ok()?;
    let (moved, trouble) = (merged.moved.clone(), merged.trouble());
    let written = driver.run(|io| shared::write(io, merged)).await;
    show(state, origin, user).await;
    if !moved.is_empty() {
        pins::enqueue(state, origin, user, Job::Moved(moved));
    }
    let written = written.ok()?;
    if written == Shared::Again {
        soon(state, origin, user);
    }
    Some(written == Shared::Same && trouble.is_none())
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
