//! The people whose keys are not as they were: the same in the popup as in the room, where a page can hide it.

use keystead_core::{
    ident::{Origin, UserId},
    identity::PublicKey,
    pins::{Decision, Happened, HistoryLine, OwnDevice, PersonView, Severity, Standing},
    policy::ContactUrl,
    status::{DeploymentView, PageRequest, Status},
};
use wasm_bindgen_futures::spawn_local;

use super::headline::Tone;
use crate::{
    browser::{self, Bell},
    dom::{El, button, el},
    text::{self, Msg},
};

/// Everybody, each with what changed, the security codes and what can be decided.
pub(crate) fn people(
    at: usize,
    origin: &Origin,
    account: &UserId,
    people: &[PersonView],
    ask_it: Option<&ContactUrl>,
    bell: &Bell,
) -> Vec<El> {
    let one = |(index, shown): (usize, &PersonView)| {
        let subject = Subject { origin, account, peer: &shown.user_id, bell };
        person(&format!("{at}-{index}"), &subject, shown, ask_it)
    };
    people.iter().enumerate().map(one).collect()
}

fn person(id: &str, subject: &Subject<'_>, shown: &PersonView, ask_it: Option<&ContactUrl>) -> El {
    let since = format!("{} · {}", shown.user_id.as_str(), Msg("pins_since").with(&[&text::moment(shown.since)]));
    let tone = match shown.severity {
        Severity::Critical => "bad",
        Severity::Warning => "asks",
        Severity::Notice | Severity::Silent => "new",
    };
    let mut card = el("section")
        .class(&format!("problem person {tone}"))
        .child(el("h3").class("sentence").text(&text::sentence(shown.code)))
        .child(el("p").class("small since").text(&since))
        .child(el("p").text(&effect(shown).text()))
        .child(el("p").class("small").text(&text::advice(shown.code)));
    if let Some(problem) = shown.roster {
        let problem = format!("{} {}", Msg("pins_roster_problem").text(), text::sentence(problem));
        card = card.child(el("p").class("small").text(&problem));
    }
    let fresh = if shown.old_code.is_some() { Msg("pins_new_code") } else { Msg("pins_code") };
    for (label, code) in [(Msg("pins_old_code"), &shown.old_code), (fresh, &shown.new_code)] {
        if let Some(code) = code {
            card = card.child(keyed(&label.text(), code));
        }
    }
    if shown.acceptable && shown.new_code.is_some() {
        card = card.child(el("p").class("small").text(&Msg("pins_compare_help").text()));
    }
    if shown.shown.identity.is_none() && !shown.shown.devices.is_empty() {
        card = card.child(el("p").class("small").text(&Msg("pins_devices").text()));
        for (device, key) in &shown.shown.devices {
            card = card.child(keyed(device.as_str(), &grouped(key)));
        }
    }
    card = card.child(history(&shown.history));
    let decide = |name: &str, label, decision| decide(&format!("{name}-{id}"), label, subject, decision);
    let accept = |compared| Decision::Accept { shown: shown.shown.clone(), compared };
    let mut row = el("div").class("buttons");
    if shown.acceptable && shown.new_code.is_some() {
        row = row.child(decide("compared", Msg("pins_compared"), accept(true)).class("primary"));
    }
    row = row.children(ask_it.map(|url| ask(&format!("ask-it-{id}"), url)));
    if shown.severity == Severity::Notice {
        return card.child(row.child(decide("accept", Msg("pins_ok"), accept(false))));
    }
    if shown.acceptable {
        row = row.child(decide("accept", Msg("pins_accept"), accept(false)));
    }
    card.child(row.child(decide("hold", Msg("pins_keep"), Decision::KeepHolding)))
}

/// The way to IT. A tab of its own: what opens in the popup is gone with it.
fn ask(id: &str, url: &ContactUrl) -> El {
    el("a")
        .id(id)
        .class("button")
        .attr("href", url.as_str())
        .attr("target", "_blank")
        .attr("rel", "noreferrer noopener")
        .text(&Msg("pins_ask_it").text())
}

/// About whom something is decided, and what rings when it is done.
pub(super) struct Subject<'a> {
    pub(super) origin: &'a Origin,
    pub(super) account: &'a UserId,
    pub(super) peer: &'a UserId,
    pub(super) bell: &'a Bell,
}

/// A button that has a decision carried out.
pub(super) fn decide(id: &str, label: Msg, subject: &Subject<'_>, decision: Decision) -> El {
    let (origin, account) = (subject.origin.clone(), subject.account.clone());
    let (peer, bell) = (subject.peer.clone(), subject.bell.clone());
    button(id, &label.text(), move || {
        let (origin, account, peer) = (origin.clone(), account.clone(), peer.clone());
        let (bell, decision) = (bell.clone(), Box::new(decision.clone()));
        spawn_local(async move {
            let _ = browser::ask::<Status>(&PageRequest::Decide { origin, account, peer, decision }).await;
            bell.ring();
        });
    })
}

/// What comes of it, for what is sent now.
fn effect(shown: &PersonView) -> Msg {
    if shown.severity == Severity::Notice {
        return Msg("pins_newcomer");
    }
    match (shown.held, shown.acceptable, &shown.shown.identity) {
        (false, _, _) => Msg("pins_not_held"),
        (true, false, _) => Msg("pins_held_invalid"),
        (true, true, Some(_)) => Msg("pins_held_person"),
        (true, true, None) => Msg("pins_held_device"),
    }
}

/// One's own devices, and the log for whoever wants to keep it; nothing where nothing is pinned.
pub(crate) fn devices(at: usize, origin: &Origin, account: &UserId, devices: &[OwnDevice]) -> Option<El> {
    if devices.is_empty() {
        return None;
    }
    let device = |device: &OwnDevice| {
        let standing = match (device.present, device.standing) {
            (false, _) => Msg("devices_gone"),
            (true, Standing::Vouched) => Msg("devices_vouched"),
            (true, Standing::Unvouched) => Msg("devices_unvouched"),
            (true, Standing::Accepted) => Msg("devices_accepted"),
        };
        let since = Msg("devices_since").with(&[&text::moment(device.first_seen)]);
        el("li")
            .child(el("span").child(el("strong").text(device.id.as_str())).text(&format!(" · {}", standing.text())))
            .child(el("span").class("small").text(&since))
            .child(el("code").class("small").text(&grouped(&device.key)))
    };
    let (origin, account) = (origin.clone(), account.clone());
    let save = button(&format!("evidence-{at}"), &Msg("evidence_save").text(), move || {
        let (origin, account) = (origin.clone(), account.clone());
        spawn_local(async move {
            if let Ok(log) = browser::ask::<String>(&PageRequest::Evidence { origin, account }).await {
                browser::save_file("keystead-log.jsonl", "application/jsonl", &log);
            }
        });
    });
    Some(
        el("details")
            .id(&format!("devices-{at}"))
            .child(el("summary").text(&Msg("devices_open").text()))
            .child(el("p").class("small").text(&Msg("devices_help").text()))
            .child(el("ul").class("recipients").children(devices.iter().map(device)))
            .child(el("div").class("buttons").child(save)),
    )
}

/// What is wrong with what the person's browsers share, until that was read.
pub(super) fn shared(at: usize, shown: &DeploymentView, bell: &Bell) -> Option<El> {
    let ((code, since), account) = (shown.shared?, shown.account.clone()?);
    let (origin, bell) = (shown.origin.clone(), bell.clone());
    let read = button(&format!("shared-read-{at}"), &Msg("compromised_read").text(), move || {
        let request = PageRequest::SharedRead { origin: origin.clone(), account: account.clone() };
        let bell = bell.clone();
        spawn_local(async move {
            // The answer is the status, and the bell asks for it again anyway.
            let _ = browser::ask::<Status>(&request).await;
            bell.ring();
        });
    });
    let when = el("p").class("small").text(&Msg("problem_at").with(&[&text::moment(since)]));
    Some(super::problem(code, Tone::Bad).child(when).child(el("div").class("buttons").child(read)))
}

/// A key as people compare it: groups of four letters.
fn grouped(key: &PublicKey) -> String {
    let key: Vec<char> = key.to_base64().chars().collect();
    let groups: Vec<String> = key.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join(" ")
}

fn keyed(name: &str, code: &str) -> El {
    el("p").class("small keyed").child(el("strong").text(name)).child(el("code").text(code))
}

/// What happened with somebody, the newest first.
pub(super) fn history(lines: &[HistoryLine]) -> El {
    let line =
        |line: &HistoryLine| el("li").child(el("span").text(&text::moment(line.at))).text(" ").text(&what(line.what));
    el("details")
        .child(el("summary").class("small").text(&Msg("pins_history").text()))
        .child(el("ul").class("past small").children(lines.iter().map(line)))
}

/// What happened, as a sentence.
pub(super) fn what(happened: Happened) -> String {
    let said = match happened {
        Happened::Seen(code) => return text::sentence(code),
        Happened::Accepted => Msg("pins_event_accepted"),
        Happened::Compared => Msg("pins_event_compared"),
        Happened::Kept => Msg("pins_event_kept"),
        Happened::Asked => Msg("pins_event_asked"),
        Happened::Withdrawn => Msg("pins_event_withdrawn"),
        Happened::SeenElsewhere => Msg("pins_event_seen_elsewhere"),
        Happened::AcceptedElsewhere => Msg("pins_event_accepted_elsewhere"),
        Happened::ComparedElsewhere => Msg("pins_event_compared_elsewhere"),
        Happened::KeptElsewhere => Msg("pins_event_kept_elsewhere"),
        Happened::WithdrawnElsewhere => Msg("pins_event_withdrawn_elsewhere"),
        Happened::ResetElsewhere => Msg("pins_event_reset_elsewhere"),
        Happened::Withheld => Msg("pins_event_withheld"),
        Happened::Released => Msg("pins_event_released"),
    };
    said.text()
}
