//! Pinned peers: one worker for each account takes in what pages are answered, decides what may be sent, and carries out
//! what the person decides, one after the other.

use std::{collections::BTreeSet, rc::Rc};

use futures_channel::{mpsc, oneshot};
use futures_util::StreamExt;
use keystead_core::{
    bootstrap::recipients::RosterSource,
    error::Code,
    ident::{DeviceId, Origin, RoomId, UserId},
    matrix::homeserver::Stop,
    pins::{
        self, Answered, Book, DecidedView, Decision, OwnDevice, Passage, PersonView, Sent,
        shared::{Merged, Read},
    },
    policy::{Pins, Policy},
    time::UnixMillis,
};
use serde_json::{Value, json};
use wasm_bindgen_futures::spawn_local;

use crate::{adapter::clock, background::State, deployment, driver::Driver, pages, sharing};

/// Something to do with the pins of an account.
pub(crate) enum Job {
    /// A page, which has this device, asked for the keys of people, and was answered this.
    Observe(DeviceId, Answered),
    /// Was an answer with this digest taken in before, in a page that has this device?
    Known(DeviceId, String, oneshot::Sender<bool>),
    /// A page sent a message to an encrypted room.
    Used(RoomId),
    /// Look again at what may be over in a moment.
    Settle,
    /// A page sends this to devices.
    Gate(Sent, oneshot::Sender<Result<Passage, Code>>),
    /// The person decided about somebody.
    Decide(UserId, Box<Decision>, oneshot::Sender<Result<(), Code>>),
    /// A page of the extension wants to know about whom something was decided.
    Decided(oneshot::Sender<Result<Vec<DecidedView>, Code>>),
    /// Say what there is to say.
    Look,
    /// Take in what the person's other browsers know.
    Share(Box<Read>, oneshot::Sender<Result<Merged, Code>>),
    /// Of these people another identity is pinned now, and they were not given a room key.
    Moved(BTreeSet<UserId>),
}

/// Has the worker of an account do something, in order.
pub(crate) fn enqueue(state: &Rc<State>, origin: &Origin, user: &UserId, job: Job) {
    let key = (origin.clone(), user.clone());
    if settings(state).is_none() && !state.pins.borrow().contains_key(&key) {
        pass(job);
        return tell(state, origin, Vec::new(), Vec::new());
    }
    let mut workers = state.pins.borrow_mut();
    let worker = workers.entry(key).or_insert_with(|| {
        let (sender, jobs) = mpsc::unbounded();
        let (state, origin, user) = (Rc::clone(state), origin.clone(), user.clone());
        spawn_local(async move { work(state, origin, user, jobs).await });
        sender
    });
    let _ = worker.unbounded_send(job);
}

/// Says whether an answer with this digest was taken in before.
pub(crate) async fn is_known(
    state: &Rc<State>,
    origin: &Origin,
    user: &UserId,
    device: DeviceId,
    digest: String,
) -> bool {
    let (sender, answer) = oneshot::channel();
    enqueue(state, origin, user, Job::Known(device, digest, sender));
    answer.await.unwrap_or_default()
}

/// Decides about what a page sends to devices.
pub(crate) async fn gate(state: &Rc<State>, origin: &Origin, user: &UserId, sent: Sent) -> Value {
    let (sender, answer) = oneshot::channel();
    enqueue(state, origin, user, Job::Gate(sent, sender));
    match answer.await {
        Ok(Ok(Passage::AsItIs)) => json!({}),
        Ok(Ok(Passage::Without(body))) => json!({ "value": body }),
        Ok(Ok(Passage::Unclear)) => json!({ "unclear": true }),
        Ok(Err(code)) => json!({ "refused": code.as_str() }),
        Err(_) => json!({ "refused": Code::StoFailed.as_str() }),
    }
}

/// Carries out what the person decided about somebody.
pub(crate) async fn decide(
    state: &Rc<State>,
    origin: &Origin,
    user: &UserId,
    peer: UserId,
    decision: Decision,
) -> Result<(), Code> {
    let (sender, answer) = oneshot::channel();
    enqueue(state, origin, user, Job::Decide(peer, Box::new(decision), sender));
    answer.await.unwrap_or(Err(Code::StoFailed))
}

/// About whom something was decided lately.
pub(crate) async fn decided(state: &Rc<State>, origin: &Origin, user: &UserId) -> Result<Vec<DecidedView>, Code> {
    let (sender, answer) = oneshot::channel();
    enqueue(state, origin, user, Job::Decided(sender));
    answer.await.unwrap_or(Err(Code::StoFailed))
}

/// What the policy says of pins; `None` where it says nothing of them: then nothing is pinned and nothing waits.
pub(crate) fn settings(state: &State) -> Option<Pins> {
    state.policy.borrow().policy.as_ref().and_then(|policy| policy.pins.clone())
}

/// Where the organisation's list of people lies.
fn roster(state: &State, origin: &Origin) -> Option<RosterSource> {
    state.policy.borrow().policy.as_ref().and_then(|policy| RosterSource::of(policy, origin))
}

async fn work(state: Rc<State>, origin: Origin, user: UserId, mut jobs: mpsc::UnboundedReceiver<Job>) {
    let mut book: Option<Book> = None;
    // One timer for all.
    let mut waiting = false;
    // The last entry of the log that the person's other browsers are told of, or came from them.
    let mut told = None;
    // What the book, the policy and the roster's place were when everybody was last shown what there is to say.
    let mut shown = None;
    while let Some(job) = jobs.next().await {
        waiting &= !matches!(job, Job::Settle);
        let Some(pins) = settings(&state) else {
            shown = None;
            pass(job);
            tell(&state, &origin, Vec::new(), Vec::new());
            continue;
        };
        let mut driver = Driver::new(&state, &origin, &user);
        let opened = match book.take() {
            Some(book) => Ok(book),
            None => {
                let (origin, user) = (&origin, &user);
                driver.run(|io| async move { Book::open(&io, origin, user).await }).await
            }
        };
        let Ok(mut open) = opened else {
            shown = None;
            refuse(job);
            continue;
        };
        open.trust_roster(roster(&state, &origin));
        told.get_or_insert(open.last_entry());
        let (shares, looks) = (matches!(job, Job::Share(..)), matches!(job, Job::Look));
        let asks = matches!(job, Job::Gate(..) | Job::Known(..));
        let done = {
            let (book, pins) = (&mut open, &pins);
            driver.run(|io| async move { perform(&io, book, pins, job).await }).await
        };
        // A message to thousands asks for many passages in a row, and none of them changes anything as a rule.
        let now = Some((open.revision(), pins.clone(), roster(&state, &origin)));
        let as_shown = std::mem::replace(&mut shown, now.clone()) == now;
        if as_shown && asks && done {
            book = Some(open);
            continue;
        }
        if let Some(at) = open.look_again_at(&pins, clock::now()).filter(|_| !waiting) {
            waiting = true;
            look_again(&state, &origin, &user, at);
        }
        if told.replace(open.last_entry()) != Some(open.last_entry()) && !shares {
            sharing::soon(&state, &origin, &user);
        }
        if looks {
            tell_it(&state, &origin, &user);
        }
        let (people, devices) = (open.people(&pins), open.own_devices());
        // What could not be kept is not believed either: the next one reads it anew.
        book = done.then_some(open);
        if !done {
            shown = None;
        }
        tell(&state, &origin, people, devices);
    }
}

/// Has the worker look again, if the background lives that long; if not, the next one does.
fn look_again(state: &Rc<State>, origin: &Origin, user: &UserId, at: UnixMillis) {
    let (state, origin, user) = (Rc::clone(state), origin.clone(), user.clone());
    spawn_local(async move {
        clock::sleep(at.since(clock::now())).await;
        enqueue(&state, &origin, &user, Job::Settle);
    });
}

/// `false` where what is in memory may not be what is on the disk.
async fn perform(io: &keystead_core::effect::Io, book: &mut Book, pins: &Pins, job: Job) -> bool {
    let kept = |code: Code| code != Code::StoFailed && code != Code::StoRecord;
    match job {
        Job::Observe(device, answered) => {
            book.is_here(device);
            let observed = book.hear(io, pins, &answered).await;
            let observed = observed.map_err(|error| Stop::from(error).code);
            let released = book.release(io, pins).await.map_err(|error| Stop::from(error).code);
            observed.and(released.map(drop)).map_or_else(kept, |()| true)
        }
        Job::Known(device, digest, answer) => {
            book.is_here(device);
            let _ = answer.send(book.has_heard(pins, &digest));
            true
        }
        Job::Gate(sent, answer) => {
            let gated = pins::pass(io, book, pins, &sent).await.map_err(|stop| stop.code);
            let whole = gated.as_ref().map_or_else(|code| kept(*code), |_| true);
            let _ = answer.send(gated);
            // What was asked for may have shown that others may have room keys again.
            let released = book.release(io, pins).await;
            whole && released.is_ok()
        }
        Job::Decide(peer, decision, answer) => {
            let decided = pins::decide(io, book, pins, &peer, &decision).await.map_err(|stop| stop.code);
            let whole = decided.as_ref().map_or_else(|code| kept(*code), |()| true);
            let _ = answer.send(decided);
            whole
        }
        Job::Decided(answer) => {
            let decided = book.decided(io, pins).await.map_err(|error| Stop::from(error).code);
            let whole = decided.as_ref().map_or_else(|code| kept(*code), |_| true);
            let _ = answer.send(decided);
            whole
        }
        Job::Used(room) => book.use_room(io, room).await.is_ok(),
        Job::Settle => {
            let settled = pins::settle(io, book, pins).await.map_or_else(|stop| kept(stop.code), |()| true);
            let released = book.release(io, pins).await;
            settled && released.is_ok()
        }
        // What may go may have changed since, with the owner's own identity, the policy or the roster.
        Job::Look => {
            let looked = pins::look(io, book, pins).await.map_or_else(|stop| kept(stop.code), |()| true);
            book.look(io, pins).await.is_ok() && looked
        }
        Job::Share(read, answer) => {
            let merged = book.share(io, pins, *read).await.map_err(|stop| stop.code);
            let whole = merged.as_ref().map_or_else(|code| kept(*code), |_| true);
            let _ = answer.send(merged);
            whole
        }
        Job::Moved(people) => {
            pins::ask_again(io, book, pins, &people).await.map_or_else(|stop| kept(stop.code), |()| true)
        }
    }
}

/// Tells IT what the log ends with, where the policy says so.
fn tell_it(state: &Rc<State>, origin: &Origin, user: &UserId) {
    let url = state.policy.borrow().policy.as_ref().and_then(Policy::evidence_url);
    let Some(url) = url else { return };
    let (state, origin, user) = (Rc::clone(state), origin.clone(), user.clone());
    spawn_local(async move {
        let mut driver = Driver::new(&state, &origin, &user);
        // What does not arrive is told the next time.
        let _ = driver.run(|io| async move { pins::tell_head(&io, &origin, &user, &url).await }).await;
    });
}

/// Where nothing is pinned, nothing is held back.
fn pass(job: Job) {
    match job {
        Job::Gate(_, answer) => drop(answer.send(Ok(Passage::AsItIs))),
        Job::Known(_, _, answer) => drop(answer.send(true)),
        Job::Decide(_, _, answer) => drop(answer.send(Err(Code::PinChanged))),
        Job::Decided(answer) => drop(answer.send(Ok(Vec::new()))),
        Job::Share(_, answer) => drop(answer.send(Err(Code::PinChanged))),
        Job::Observe(..) | Job::Used(_) | Job::Settle | Job::Look | Job::Moved(_) => {}
    }
}

fn refuse(job: Job) {
    match job {
        Job::Gate(_, answer) => drop(answer.send(Err(Code::StoFailed))),
        Job::Decide(_, _, answer) => drop(answer.send(Err(Code::StoFailed))),
        Job::Decided(answer) => drop(answer.send(Err(Code::StoFailed))),
        Job::Share(_, answer) => drop(answer.send(Err(Code::StoFailed))),
        Job::Observe(..) | Job::Known(..) | Job::Used(_) | Job::Settle | Job::Look | Job::Moved(_) => {}
    }
}

/// Says what there is to say, where that has changed.
fn tell(state: &Rc<State>, origin: &Origin, people: Vec<PersonView>, devices: Vec<OwnDevice>) {
    let news = state.live(origin, |live| {
        let news = live.people != people || live.devices != devices;
        (live.people, live.devices) = (people, devices);
        news
    });
    if news {
        for page in pages::of(state, origin) {
            show(state, page, origin);
        }
        deployment::announce(state);
    }
}

/// Tells a page whom to look out for, and shows what is to be said of those that are in the room it shows.
pub(crate) fn show(state: &Rc<State>, page: u32, origin: &Origin) {
    let people = state.live(origin, |live| live.people.clone());
    let users: Vec<_> = people.iter().map(|person| person.user_id.clone()).collect();
    pages::send(state, page, &json!({ "do": "watch", "users": users }));
    let here = pages::change(state, page, |page| page.room.clone()).unwrap_or_default();
    let ask_it = settings(state).and_then(|pins| pins.ask_it).map(|url| url.as_str().to_owned());
    let account = pages::change(state, page, |page| page.confirmed.as_ref().map(|session| session.user_id.clone()));
    let account = account.flatten();
    // One's own devices are in every room: there they are told of where it matters, else in the popup alone.
    let told = |person: &PersonView| {
        here.contains(&person.user_id) && (person.withheld || account.as_ref() != Some(&person.user_id))
    };
    let badge =
        |person: &PersonView| json!({ "user_id": person.user_id, "code": person.code, "severity": person.severity });
    let held: Vec<_> = people.iter().filter(|person| person.held).map(badge).collect();
    let people: Vec<_> = people.into_iter().filter(told).collect();
    pages::send(state, page, &json!({ "do": "notice", "people": people, "ask_it": ask_it, "held": held }));
}
