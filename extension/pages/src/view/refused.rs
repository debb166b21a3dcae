//! What was served is not to run, or not as listed: which file, what was expected, what was found, and whom to tell. There is
//! a way past a refusal only where the policy has one.

use std::rc::Rc;

use keystead_core::{
    ident::Origin,
    integrity::{IntegrityRequest, IntegrityState, IntegrityView, RefusalView},
    policy::IntegrityMode,
};
use serde_json::Value;
use wasm_bindgen_futures::spawn_local;

use super::headline::Tone;
use crate::{
    browser::{self, Bell},
    dom::{El, Stage, button, el},
    route::Route,
    text::{self, Msg},
};

/// How many files the popup names.
const NAMED: usize = 3;
/// So many are remembered; there may be more.
const MOST: usize = 20;

/// Shows it, and anew whenever something changes.
pub(crate) async fn show(stage: Rc<Stage>, origin: Origin) {
    let bell = Bell::of_background();
    let mut drawn: Option<IntegrityView> = None;
    loop {
        let view = of(&origin).await;
        if drawn.is_none() || drawn != view {
            let differs = view.as_ref().is_some_and(|view| view.mode == IntegrityMode::Report);
            let title = if differs { Msg("differs_title") } else { Msg("refused_title") };
            stage.show(super::page(title, draw(&origin, view.as_ref(), &bell)));
            drawn = view;
        }
        bell.wait(None).await;
    }
}

/// How it stands with a deployment; `None` where it is not guarded.
pub(super) async fn of(origin: &Origin) -> Option<IntegrityView> {
    all().await.into_iter().find(|view| view.origin == *origin)
}

/// How it stands with all deployments that are guarded.
pub(super) async fn all() -> Vec<IntegrityView> {
    browser::ask(&IntegrityRequest::Integrity).await.unwrap_or_default()
}

/// The line of a deployment's card.
pub(super) fn line(at: usize, view: &IntegrityView) -> El {
    let checked = view.checked.to_string();
    let releases = view.releases.join(", ");
    let (tone, said) = match view.state {
        IntegrityState::Protected => (Tone::Good, Msg("integrity_protected").with(&[&releases, &checked])),
        IntegrityState::Reporting if view.releases.is_empty() => (Tone::Calm, Msg("integrity_no_list").text()),
        IntegrityState::Reporting => (Tone::Calm, Msg("integrity_reporting").with(&[&releases, &checked])),
        IntegrityState::Differs => (Tone::Asks, Msg("integrity_differs").with(&[&releases, &count(view)])),
        IntegrityState::Preparing => (Tone::Busy, Msg("integrity_preparing").text()),
        IntegrityState::Waiting => (Tone::Asks, Msg("integrity_waiting").text()),
        IntegrityState::Refused => (Tone::Bad, Msg("integrity_refused").text()),
    };
    let note = |code| el("p").class("small").text(&text::sentence(code));
    el("div")
        .class(&format!("problem {}", tone.class()))
        .attr("data-integrity", state_name(view.state))
        .child(el("p").class("sentence").text(&said))
        .children(differing(at, view))
        .children(view.problem.map(note))
        .children(view.warning.map(note))
}

/// The files that differ, the newest first; each once.
fn files(view: &IntegrityView) -> Vec<String> {
    let mut files: Vec<String> = Vec::new();
    for path in view.refusals.iter().filter(|refused| refused.differs()).map(RefusalView::path) {
        if !files.contains(&path) {
            files.push(path);
        }
    }
    files
}

/// How many they are.
fn count(view: &IntegrityView) -> String {
    let files = files(view).len();
    if view.refusals.len() < MOST { files.to_string() } else { format!("{files}+") }
}

/// Where nothing is held back: which files differ, since when, and whom to tell.
fn differing(at: usize, view: &IntegrityView) -> Vec<El> {
    if view.state != IntegrityState::Differs {
        return Vec::new();
    }
    let since = view.refusals.iter().filter(|refused| refused.differs()).map(|refused| refused.since).min();
    let since = since.map(|since| el("p").text(&Msg("integrity_differs_since").with(&[&text::moment(since)])));
    let named = files(view).into_iter().take(NAMED).map(|path| el("li").child(el("code").text(&path)));
    let hash = Route::Refused(view.origin.clone()).hash();
    let all = button(&format!("differs-{at}"), &Msg("integrity_differs_all").text(), move || browser::open_tab(&hash));
    let buttons = el("div").class("buttons").child(all).child(tell(&format!("tell-{at}"), &view.origin));
    let does = el("p").class("small").text(&Msg("refused_tell_does").text());
    since.into_iter().chain([el("ul").class("differing").children(named), buttons, does]).collect()
}

/// Saves what IT is to be sent.
fn tell(id: &str, origin: &Origin) -> El {
    let origin = origin.clone();
    button(id, &Msg("refused_tell").text(), move || {
        let request = IntegrityRequest::IntegrityEvidence { origin: origin.clone() };
        spawn_local(async move {
            let Ok(evidence) = browser::ask::<Value>(&request).await else { return };
            let text = serde_json::to_string_pretty(&evidence).unwrap_or_default();
            browser::save_file("keystead-evidence.json", "application/json", &text);
        });
    })
}

/// The state's name for tests and styles.
fn state_name(state: IntegrityState) -> &'static str {
    match state {
        IntegrityState::Protected => "protected",
        IntegrityState::Reporting => "reporting",
        IntegrityState::Differs => "differs",
        IntegrityState::Preparing => "preparing",
        IntegrityState::Waiting => "waiting",
        IntegrityState::Refused => "refused",
    }
}

fn draw(origin: &Origin, view: Option<&IntegrityView>, bell: &Bell) -> El {
    let body = el("div").class("body");
    let Some(view) = view else { return body.child(el("p").text(&Msg("refused_nothing").text())) };
    let differs = view.mode == IntegrityMode::Report;
    let (nothing, some, try_again) = match view.mode {
        IntegrityMode::Report => (Msg("differs_nothing"), Msg("differs_lead"), Msg("differs_again")),
        IntegrityMode::Enforce | IntegrityMode::Off => {
            (Msg("refused_nothing"), Msg("refused_lead"), Msg("refused_again"))
        }
    };
    // Where files are only compared, that there is no list of them is no difference.
    let tells = match view.mode {
        IntegrityMode::Report => view.refusals.iter().any(RefusalView::differs),
        IntegrityMode::Enforce | IntegrityMode::Off => !view.refusals.is_empty() || view.problem.is_some(),
    };
    let lead = if tells { some.with(&[super::host(origin)]) } else { nothing.text() };
    let again = {
        let (origin, page, bell) = (origin.clone(), view.page.clone(), bell.clone());
        button("again", &try_again.text(), move || {
            let (request, page) = (IntegrityRequest::IntegrityAgain { origin: origin.clone() }, page.clone());
            let bell = bell.clone();
            spawn_local(async move {
                match browser::ask::<Value>(&request).await {
                    Ok(_) => browser::go_to(&page),
                    Err(_) => bell.ring(),
                }
            });
        })
    };
    // Only where the policy has it so; the person reads first what it means.
    let open = view.may_open.then(|| {
        let (origin, page, bell) = (origin.clone(), view.page.clone(), bell.clone());
        let open = button("open", &Msg("refused_open").text(), move || {
            let (request, page) = (IntegrityRequest::IntegrityOpen { origin: origin.clone() }, page.clone());
            let bell = bell.clone();
            spawn_local(async move {
                match browser::ask::<Value>(&request).await {
                    Ok(_) => browser::go_to(&page),
                    Err(_) => bell.ring(),
                }
            });
        });
        let does = el("p").class("small").text(&Msg("refused_open_does").text());
        el("section").class("card").attr("data-open", "once").child(does).child(el("div").class("buttons").child(open))
    });
    // Of what has run nobody knows what it did.
    let keys = (!differs).then(|| el("p").text(&Msg("refused_keys").text()));
    let tone = if differs { Tone::Asks } else { Tone::Bad };
    body.child(el("p").class("lead").text(&lead))
        .children(keys)
        .children(view.problem.map(|code| super::problem(code, Tone::Bad)))
        .children(view.refusals.iter().take(5).map(|refused| refusal(refused, tone)))
        .child(el("div").class("buttons").child(again.class("primary")).child(tell("tell", origin)))
        .child(el("p").class("small").text(&Msg("refused_tell_does").text()))
        .children(open)
}

fn refusal(refused: &RefusalView, tone: Tone) -> El {
    let row =
        |label: Msg, value: &str| el("p").class("small").text(&label.text()).text(" ").child(el("code").text(value));
    let hashes: Vec<_> = refused.expected.iter().map(|hash| hash.to_base64()).collect();
    let expected = if hashes.is_empty() { Msg("refused_not_listed").text() } else { hashes.join(" ") };
    let found = refused.found.map_or_else(|| Msg("refused_not_read").text(), |hash| hash.to_base64());
    let differ = (!refused.settings.is_empty()).then(|| row(Msg("refused_settings"), &refused.settings.join(", ")));
    el("section")
        .class("card")
        .attr("data-code", refused.code.as_str())
        .child(super::problem(refused.code, tone))
        .child(row(Msg("refused_file"), &refused.url))
        .child(row(Msg("refused_expected"), &expected))
        .child(row(Msg("refused_found"), &found))
        .children(differ)
        .child(row(Msg("refused_since"), &text::moment(refused.since)))
}
