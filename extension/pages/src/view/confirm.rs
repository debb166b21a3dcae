//! Is this certificate yours? Asked where the pair of account and address is the homeserver's word only.
//!
//! Threat: a hostile homeserver names a colleague's address, or a hostile directory a certificate of its own, and the
//! person clicks the question away. So the page says what a yes gives away, shows the whole fingerprint and how to compare
//! it, and never puts the focus on yes.

use std::rc::Rc;

use keystead_core::{
    ident::Origin,
    status::{PageRequest, Question, Status},
};
use wasm_bindgen_futures::spawn_local;

use crate::{
    browser::{self, Bell},
    dom::{El, Stage, button, el},
    text::{self, Msg},
};

/// Lists the person's own keys, that is, those with a private part, with their fingerprints. No value goes into it: an
/// address from a server has no place in a line that people paste into a terminal.
const COMMAND: &str = "gpg --fingerprint --list-secret-keys";

/// Asks, for as long as the question stands.
pub(crate) async fn show(stage: Rc<Stage>, origin: Origin) {
    let bell = Bell::of_background();
    browser::stay_awake(&bell);
    let mut drawn: Option<Question> = None;
    loop {
        let status = browser::ask::<Status>(&PageRequest::Status).await;
        let question = match status.as_ref().map(|status| super::deployment(status, &origin)) {
            // A background that was started again comes to the question again; until then, what stands here stays.
            Ok(Some(shown)) if shown.progress.question.is_none() && super::is_open(shown) => drawn.clone(),
            Ok(shown) => shown.and_then(|shown| shown.progress.question.clone()),
            Err(_) => drawn.clone(),
        };
        match question {
            Some(Question::Confirm { .. }) if question == drawn => {}
            Some(Question::Confirm { .. }) => {
                if let Some(asked) = &question {
                    stage.show(draw(&stage, &origin, asked));
                }
                drawn = question;
            }
            Some(
                Question::Keep { .. }
                | Question::Recover { .. }
                | Question::Adopt { .. }
                | Question::Believe { .. }
                | Question::Reset { .. },
            )
            | None => {
                let nothing = super::outcome(Msg("confirm_nothing"), Msg("confirm_nothing_detail"));
                stage.show(super::page(Msg("confirm_title"), nothing));
                stage.say(&Msg("confirm_nothing").text());
                drawn = None;
            }
        }
        bell.wait(None).await;
        if stage.is_final() {
            return;
        }
    }
}

fn draw(stage: &Rc<Stage>, origin: &Origin, question: &Question) -> El {
    let Question::Confirm { account, address, user_id, fingerprint } = question else { return el("div") };
    let fact = |label: Msg, value: El| el("div").child(el("dt").text(&label.text())).child(el("dd").child(value));
    let plain = |text: &str| el("span").text(text);
    let facts = el("dl")
        .class("facts")
        .child(fact(Msg("confirm_account"), plain(account.as_str())))
        .child(fact(Msg("confirm_address"), plain(address.as_str())))
        .child(fact(Msg("confirm_user_id"), plain(user_id)))
        .child(fact(Msg("fingerprint"), super::fingerprint(fingerprint)));
    let why = el("section")
        .child(el("h2").text(&Msg("confirm_why_title").text()))
        .child(el("p").text(&Msg("confirm_why").with(&[account.server_name()])));
    let how = el("section").child(el("h2").text(&Msg("confirm_how_title").text())).child(
        el("ol")
            .class("numbered")
            .child(el("li").text(&Msg("confirm_how_terminal").text()).child(el("pre").child(el("code").text(COMMAND))))
            .child(el("li").text(&Msg("confirm_how_compare").text()))
            .child(el("li").text(&Msg("confirm_how_other").text())),
    );
    let answer = |id: &str, label: Msg, accept: bool| {
        let stage = stage.clone();
        let (origin, account, fingerprint) = (origin.clone(), account.clone(), fingerprint.clone());
        let request = PageRequest::Confirm { origin, account, fingerprint, accept };
        button(id, &label.text(), move || spawn_local(send(stage.clone(), request.clone(), accept)))
    };
    let buttons = el("div").class("buttons").child(answer("not-mine", Msg("confirm_no"), false)).child(answer(
        "mine",
        Msg("confirm_yes"),
        true,
    ));
    let body = el("div")
        .class("body")
        .child(el("p").class("lead").text(&Msg("confirm_intro").text()))
        .child(facts)
        .child(why)
        .child(how)
        .child(el("p").id("trouble").class("trouble"))
        .child(buttons);
    super::page(Msg("confirm_title"), body)
}

async fn send(stage: Rc<Stage>, request: PageRequest, accept: bool) {
    if let Err(why) = browser::ask::<Status>(&request).await {
        return stage.trouble(&text::not_done(why));
    }
    let (title, detail) = if accept {
        (Msg("confirm_yes_title"), Msg("confirm_yes_detail"))
    } else {
        (Msg("confirm_no_title"), Msg("confirm_no_detail"))
    };
    stage.finish(super::page(Msg("confirm_title"), super::outcome(title, detail)));
    stage.say(&title.text());
}
