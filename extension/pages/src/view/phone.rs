//! How to bring in a phone or another app: verify it from here, else open the sealed recovery. Nothing is asked or sent.

use keystead_core::{
    ident::Origin,
    status::{PageRequest, Status},
};

use crate::{
    browser,
    dom::{El, Stage, el},
    text::Msg,
};

/// Shows it, with the account's name where that is known.
pub(crate) async fn show(stage: &Stage, origin: &Origin) {
    let status = browser::ask::<Status>(&PageRequest::Status).await.ok();
    let shown = status.as_ref().and_then(|status| super::deployment(status, origin));
    let account = shown.and_then(|shown| shown.account.as_ref());
    let kept = shown.is_some_and(|shown| shown.progress.recipients.is_empty());
    let lead = match account {
        Some(account) => Msg("phone_intro").with(&[account.as_str()]),
        None => Msg("phone_intro_nobody").text(),
    };
    let list =
        |steps: &[Msg]| el("ol").class("numbered").children(steps.iter().map(|step| el("li").text(&step.text())));
    let way = |title: Msg, when: Msg, steps: &[Msg]| -> El {
        el("section").child(el("h2").text(&title.text())).child(el("p").text(&when.text())).child(list(steps))
    };
    let here = way(
        Msg("phone_here_title"),
        Msg("phone_here_when"),
        &[Msg("phone_here_sign_in"), Msg("phone_here_accept"), Msg("phone_here_compare")],
    );
    // Without a certificate, the person has the recovery key on paper.
    let key = if kept { Msg("phone_key_kept") } else { Msg("phone_key_open") };
    let key =
        way(Msg("phone_key_title"), Msg("phone_key_when"), &[key, Msg("phone_key_enter"), Msg("phone_key_secret")]);
    let body = el("div").class("body").child(el("p").class("lead").text(&lead)).child(here).child(key);
    stage.finish(super::page(Msg("phone_title"), body));
}
