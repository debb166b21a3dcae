//! Who is to come, whose certificate expires, and what a compromise means: part of an account's card in the popup.

use keystead_core::status::{DeploymentView, PageRequest, RotationView, Status};
use wasm_bindgen_futures::spawn_local;

use super::{headline::Tone, popup::recipient};
use crate::{
    browser::{self, Bell},
    dom::{El, button, el},
    text::{self, Msg},
};

/// Adds it, as far as there is any.
pub(super) fn add(mut card: El, at: usize, shown: &DeploymentView, bell: &Bell) -> El {
    let RotationView { upcoming, expiring, compromised, problem } = &shown.progress.rotation;
    if let Some((code, _)) = problem {
        card = card.child(super::problem(*code, Tone::Bad));
    }
    if !upcoming.is_empty() {
        let item = |one: &keystead_core::status::Upcoming| {
            recipient(&one.recipient)
                .attr("data-from", &one.from.0.to_string())
                .child(el("span").class("small").text(&Msg("upcoming_from").with(&[&text::moment(one.from)])))
        };
        card = card
            .child(el("h3").text(&Msg("upcoming").text()))
            .child(el("ul").class("recipients upcoming").children(upcoming.iter().map(item)))
            .child(el("p").class("small").text(&Msg("upcoming_detail").text()));
    }
    for (whose, when) in expiring {
        let said = Msg("expires").with(&[&whose.user_id, &text::moment(*when)]);
        card = card.child(el("p").class("small expiring").text(&said));
    }
    if let Some(compromised) = compromised {
        let said = Msg("compromised_detail").with(&[&text::moment(compromised.at)]);
        let notice = el("div")
            .class("problem asks compromised")
            .child(el("p").class("sentence").text(&Msg("compromised").text()))
            .child(el("ul").class("recipients").children(compromised.recipients.iter().map(recipient)))
            .child(el("p").text(&said))
            .child(el("p").text(&Msg("compromised_do").text()));
        card = card.child(match compromised.backup {
            Some(_) => notice,
            None => notice.child(el("div").class("buttons").child(read(at, shown, bell))),
        });
    }
    card
}

fn read(at: usize, shown: &DeploymentView, bell: &Bell) -> El {
    let (origin, account, bell) = (shown.origin.clone(), shown.account.clone(), bell.clone());
    button(&format!("compromise-read-{at}"), &Msg("compromised_read").text(), move || {
        let (origin, bell) = (origin.clone(), bell.clone());
        let Some(account) = account.clone() else { return };
        spawn_local(async move {
            // The answer is the status, and the bell asks for it again anyway.
            let _ = browser::ask::<Status>(&PageRequest::CompromiseRead { origin, account }).await;
            bell.ring();
        });
    })
}
