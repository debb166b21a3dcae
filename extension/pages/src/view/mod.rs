//! The views of the page, and what they share.

mod adopt;
pub(crate) mod confirm;
mod decided;
pub(crate) mod drill;
mod headline;
pub(crate) mod keep;
pub(crate) mod options;
mod people;
pub(crate) mod phone;
pub(crate) mod popup;
pub(crate) mod recover;
pub(crate) mod refused;
mod rotation;

use keystead_core::{
    error::Code,
    ident::{Fingerprint, Origin},
    restore::drill::Drill,
    status::{DeploymentView, RecipientView, State, Status},
};

use self::headline::Tone;
use crate::{
    browser,
    dom::{El, button, el},
    text::{self, Msg},
};

/// A fingerprint in groups of four: two lines of five (version 4), or four of four (version 6).
fn fingerprint(of: &Fingerprint) -> El {
    let groups = text::groups(of);
    let in_line = if groups.len() == 10 { 5 } else { 4 };
    el("code")
        .class("fingerprint")
        .children(groups.chunks(in_line).map(|line| el("span").text(&line.join(" ")).text(" ")))
}

/// What is the matter: the sentence, what to do, the code.
fn problem(code: Code, tone: Tone) -> El {
    el("div")
        .class(&format!("problem {}", tone.class()))
        .child(el("p").class("sentence").text(&text::sentence(code)))
        .child(el("p").text(&text::advice(code)))
        .child(el("p").class("small").text(&Msg("problem_code").text()).text(" ").child(el("code").text(code.as_str())))
}

/// The deployment of a status that has this origin.
fn deployment<'s>(status: &'s Status, origin: &Origin) -> Option<&'s DeploymentView> {
    status.deployments.iter().find(|deployment| &deployment.origin == origin)
}

/// Is it still open how an account stands? So it is while a background has only just been started.
fn is_open(shown: &DeploymentView) -> bool {
    matches!(shown.progress.state, State::NoPolicy | State::SignedOut | State::Working)
}

/// How the last test of the backup ended, and with which of the certificates that may open it, where that is known.
fn last_drill(shown: &DeploymentView) -> String {
    let Some(Drill { at, problem, recipient, .. }) = &shown.drill else { return Msg("drill_never").text() };
    let at = text::moment(*at);
    match (problem, recipient) {
        (Some(code), _) => format!("{} {}", Msg("drill_failed").with(&[&at]), text::sentence(*code)),
        (None, None) => Msg("drill_passed").with(&[&at]),
        (None, Some(recipient)) => {
            let whose = Msg("drill_by").with(&[&certificate(recipient, &shown.progress.recipients)]);
            format!("{}. {whose}", Msg("drill_passed").with(&[&at]))
        }
    }
}

/// A certificate in short: its name, where it is one of these, and some of its fingerprint.
fn certificate(fingerprint: &Fingerprint, among: &[RecipientView]) -> String {
    let short = text::short(fingerprint);
    match among.iter().find(|recipient| recipient.fingerprint == *fingerprint) {
        Some(recipient) => format!("{} ({short})", recipient.user_id),
        None => short,
    }
}

/// A full page: whose it is, what it is about, and the rest.
fn page(title: Msg, body: El) -> El {
    gloo::utils::document().set_title(&format!("{} · {}", title.text(), Msg("name").text()));
    let brand = el("p")
        .class("brand")
        .child(el("img").attr("src", "/icons/icon.svg").attr("alt", "").attr("width", "24").attr("height", "24"))
        .text(&Msg("name").text());
    el("div").class("page").child(el("header").child(brand).child(el("h1").text(&title.text()))).child(body)
}

/// One thing to know.
fn note(title: Msg, detail: Msg) -> El {
    el("div")
        .class("body")
        .child(el("div").class("outcome").child(el("h2").text(&title.text())).child(el("p").text(&detail.text())))
}

/// What a question ended in, and the way out.
fn outcome(title: Msg, detail: Msg) -> El {
    let close = || wasm_bindgen_futures::spawn_local(browser::close_tab());
    note(title, detail).child(el("div").class("buttons").child(button("close", &Msg("close").text(), close)))
}

/// The host of an origin, as people know a site.
fn host(origin: &Origin) -> &str {
    origin.as_str().split_once("://").map_or(origin.as_str(), |(_, host)| host)
}
