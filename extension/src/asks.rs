//! The bridge's end in the background: what pages ask of secret storage.
//!
//! An ask can be what started the background: then nobody is known to be logged in yet, and it waits until the page has
//! said who is, and the homeserver has confirmed it.

use std::{rc::Rc, time::Duration};

use keystead_core::{
    bootstrap::record::AccountRecord,
    bridge::{self, Answer},
    error::Code,
    ident::{Origin, UserId},
    rotate,
    secret::SecretText,
    sorted::SortedMap,
    store::Store,
};
use serde_json::{Value, json};

use crate::{
    adapter::{clock, webextension},
    background::State,
    driver::Driver,
    pages, pins,
    protocol::{Ask, What, Who},
    requests::record,
};

/// How long an ask waits for its session to be confirmed.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(20);
/// How many asks of one page are worked on, or wait, at the same time.
const MAX_OPEN: usize = 64;

/// Answers what a page asks.
pub(crate) async fn answer(state: Rc<State>, page: u32, origin: Origin, ask: Ask) {
    let Ask { id, who, what } = ask;
    let open = pages::change(&state, page, |page| {
        page.open_asks += 1;
        page.open_asks
    });
    let Some(open) = open else { return };
    let session = if open <= MAX_OPEN { confirmed(&state, page, &who).await } else { None };
    let what = match what {
        What::Observe(answer) => {
            if let (Some(session), Some(_)) = (session, pins::settings(&state)) {
                let job = pins::Job::Observe(session.device_id, answer);
                pins::enqueue(&state, &origin, &session.user_id, job);
            }
            return answered(&state, page, &id.into(), json!({}));
        }
        What::Known { digest } => {
            let known = match session {
                Some(session) => pins::is_known(&state, &origin, &session.user_id, session.device_id, digest).await,
                None => false,
            };
            return answered(&state, page, &id.into(), json!({ "known": known }));
        }
        What::Used { room } => {
            if let Some(session) = session {
                pins::enqueue(&state, &origin, &session.user_id, pins::Job::Used(room));
            }
            return answered(&state, page, &id.into(), json!({}));
        }
        What::Send(sent) => {
            let message = match session {
                Some(session) => pins::gate(&state, &origin, &session.user_id, sent).await,
                None => json!({ "refused": Code::NetToken.as_str() }),
            };
            return answered(&state, page, &id.into(), message);
        }
        secret => secret,
    };
    let answer = match session {
        Some(session) => bridged(&state, &session, what).await,
        None => without_session(&state, &origin, &who.user_id).await,
    };
    // What was found for one session is not for the next.
    let answer = match answer {
        Answer::Secret(_) if !is_confirmed(&state, page, &who) => Answer::Refused(Code::RecBridge),
        answer => answer,
    };
    let message = match answer {
        Answer::Own => json!({ "own": true }),
        Answer::Stored => json!({}),
        Answer::Secret(secret) => json!({ "value": secret.expose("the client asked for it, by the rules") }),
        Answer::Refused(code) => json!({ "refused": Code::as_str(code) }),
    };
    answered(&state, page, &id.into(), message);
}

fn answered(state: &State, page: u32, id: &Value, message: Value) {
    pages::change(state, page, |page| page.open_asks -= 1);
    reply(state, page, id, message);
}

/// Refuses what is no ask of a known form: whoever asks waits for an answer.
pub(crate) fn refuse(state: &State, page: u32, id: &Value) {
    reply(state, page, id, json!({ "refused": Code::as_str(Code::RecBridge) }));
}

fn reply(state: &State, page: u32, id: &Value, mut message: Value) {
    message["re"] = id.clone();
    pages::send(state, page, &message);
}

async fn bridged(state: &Rc<State>, session: &bridge::Session, what: What) -> Answer {
    let mut driver = Driver::new(state, &session.origin, &session.user_id);
    match what {
        What::Store { name, secret } => {
            let secret = SecretText::new(secret);
            driver.run(|io| bridge::store(io, session, &name, &secret)).await
        }
        What::HandOver { secrets } => {
            let secrets = kept_secret(secrets);
            driver.run(|io| async move { bridge::hand_over(io, session, &by_name(&secrets)).await }).await
        }
        What::HandOverBeside { secrets } => {
            let secrets = kept_secret(secrets);
            driver.run(|io| async move { bridge::hand_over_beside(io, session, &by_name(&secrets)).await }).await
        }
        What::PutAside { name } => {
            let answer = driver.run(|io| bridge::put_aside(io, session, &name)).await;
            // Nothing else tells that the client has another identity then.
            let record = record(state, &session.origin, &session.user_id).await;
            if record.is_some_and(|record| record.rotation.reset.is_some()) {
                webextension::set_alarm(session.origin.as_str(), clock::now().plus(rotate::LOOK_AFTER_RESET)).await;
            }
            answer
        }
        What::Get { name } => driver.run(|io| bridge::get(io, session, &name)).await,
        What::Observe(_) | What::Known { .. } | What::Send(_) | What::Used { .. } => Answer::Own,
    }
}

/// From here on they are wiped when they are dropped.
fn kept_secret(secrets: SortedMap<String, String>) -> Vec<(String, SecretText)> {
    secrets.into_iter().map(|(name, secret)| (name, SecretText::new(secret))).collect()
}

fn by_name(secrets: &[(String, SecretText)]) -> Vec<(&str, &SecretText)> {
    secrets.iter().map(|(name, secret)| (name.as_str(), secret)).collect()
}

/// Waits for the homeserver to confirm a session of this page.
async fn confirmed(state: &State, page: u32, who: &Who) -> Option<bridge::Session> {
    let look = || match state.pages.borrow().get(&page) {
        None => Some(None),
        Some(page) => page.confirmed(who).cloned().map(Some),
    };
    state.until(CONFIRMED_WITHIN, look).await.flatten()
}

fn is_confirmed(state: &State, page: u32, who: &Who) -> bool {
    state.pages.borrow().get(&page).is_some_and(|page| page.confirmed(who).is_some())
}

/// Where the account has a key of ours that can be opened here, Element's own functions are not to run on what is ours.
async fn without_session(state: &State, origin: &Origin, user_id: &UserId) -> Answer {
    let record = match state.database.get(&AccountRecord::store_key(origin, user_id)).await {
        Ok(None) => return Answer::Own,
        Ok(Some(text)) => AccountRecord::parse(&text),
        Err(_) => return Answer::Refused(Code::StoFailed),
    };
    match record {
        Ok(record) if record.current().is_none_or(|key| key.wrapped.is_none()) => Answer::Own,
        Ok(_) => Answer::Refused(Code::RecBridge),
        Err(_) => Answer::Refused(Code::StoRecord),
    }
}
