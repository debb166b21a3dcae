//! Open secret storage that somebody else set up: what the page says; the field and the buttons are the recover page's.

use keystead_core::ident::UserId;

use super::recover::{self, FIELD};
use crate::{
    dom::{El, el},
    text::Msg,
};

/// The question.
pub(super) fn ask(account: &UserId, passphrase: bool, field: El, buttons: El, wrong: &str) -> El {
    let (title, how) = if passphrase {
        (Msg("adopt_enter_either"), Msg("adopt_enter_either_how"))
    } else {
        (Msg("recover_enter_only_title"), Msg("adopt_enter_how"))
    };
    let enter = el("section")
        .child(el("h2").text(&title.text()))
        .child(el("p").id("enter-how").text(&how.text()))
        .child(el("label").attr("for", FIELD).class("visually-hidden").text(&title.text()))
        .child(field);
    let body = el("div")
        .class("body")
        .child(el("p").class("lead").text(&Msg("adopt_intro").with(&[account.as_str()])))
        .child(
            el("ul")
                .class("bullets")
                .child(el("li").text(&Msg("adopt_keeps").text()))
                .child(el("li").text(&Msg("adopt_stays_here").text())),
        )
        .child(enter)
        .child(el("p").id("trouble").class("trouble").text(wrong))
        .child(recover::working())
        .child(buttons);
    super::page(Msg("adopt_title"), body)
}
