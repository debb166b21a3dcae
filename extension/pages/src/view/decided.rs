//! About whom something was decided lately: nobody is asked about them any more, so this is where a decision is taken back.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use keystead_core::{
    ident::{Origin, UserId},
    pins::{DecidedView, Decision},
    status::{PageRequest, Status},
};
use wasm_bindgen_futures::spawn_local;

use super::people::{self, Subject};
use crate::{
    browser::{self, Bell},
    dom::{El, el},
    text::{self, Msg},
};

/// What is known of each account.
pub(super) type ByAccount = BTreeMap<(Origin, UserId), Vec<DecidedView>>;

/// What the background said last. Nothing else waits for it: it is asked for beside everything that is drawn.
#[derive(Clone, Default)]
pub(super) struct Known(Rc<RefCell<ByAccount>>);

impl Known {
    /// Asks anew, and rings where something has changed.
    pub(super) fn ask(&self, status: &Status, bell: &Bell) {
        let accounts = status.deployments.iter().filter_map(|one| Some((one.origin.clone(), one.account.clone()?)));
        for (origin, account) in accounts {
            let (known, bell) = (self.clone(), bell.clone());
            spawn_local(async move {
                let request = PageRequest::Decided { origin: origin.clone(), account: account.clone() };
                // Where it is not known now, it was not decided: the next ring asks again.
                let Ok(said) = browser::ask::<Vec<DecidedView>>(&request).await else { return };
                if known.0.borrow_mut().insert((origin, account), said.clone()).unwrap_or_default() != said {
                    bell.ring();
                }
            });
        }
    }

    /// What is known by now.
    pub(super) fn all(&self) -> ByAccount {
        self.0.borrow().clone()
    }
}

/// Everybody, folded; nothing where nothing was decided.
pub(super) fn section(
    at: usize,
    origin: &Origin,
    account: &UserId,
    decided: &[DecidedView],
    bell: &Bell,
) -> Option<El> {
    if decided.is_empty() {
        return None;
    }
    let one = |shown: &DecidedView| {
        let subject = Subject { origin, account, peer: &shown.user_id, bell };
        // By name: the next drawing may have somebody else in this place.
        person(&format!("{at}-{}", shown.user_id.as_str()), &subject, shown)
    };
    let withdrawable = decided.iter().any(|shown| shown.withdrawable);
    let does = withdrawable.then(|| el("p").class("small").text(&Msg("decided_withdraw_does").text()));
    Some(
        el("details")
            .id(&format!("decided-{at}"))
            .class("decided")
            .child(el("summary").text(&Msg("decided_open").text()))
            .child(el("p").class("small").text(&Msg("decided_help").text()))
            .children(does)
            .child(el("ul").class("recipients").children(decided.iter().map(one))),
    )
}

fn person(id: &str, subject: &Subject<'_>, shown: &DecidedView) -> El {
    let button = |name: &str, label: Msg, decision: Decision| {
        let spoken = format!("{}: {}", label.text(), shown.user_id.as_str());
        people::decide(&format!("{name}-{id}"), label, subject, decision).attr("aria-label", &spoken)
    };
    let withdraw = || button("withdraw", Msg("decided_withdraw"), Decision::Withdraw);
    let ask_again = || button("ask-again", Msg("decided_ask_again"), Decision::AskAgain);
    el("li")
        .class("person")
        .attr("data-user", shown.user_id.as_str())
        .child(el("strong").text(shown.user_id.as_str()))
        .child(el("span").text(&people::what(shown.last.what)))
        .child(el("span").class("small").text(&text::moment(shown.last.at)))
        .children(shown.held_quietly.then(|| el("span").text(&Msg("decided_held").text())))
        .child(people::history(&shown.history).id(&format!("past-{id}")))
        .child(
            el("div")
                .class("buttons")
                .children(shown.withdrawable.then(withdraw))
                .children(shown.held_quietly.then(ask_again)),
        )
}
