//! The popup: for each deployment the account, where it stands, its steps, who may open its recovery, what went wrong.

use keystead_core::{
    error::Code,
    integrity::IntegrityView,
    policy::{ContactUrl, host_patterns},
    status::{DeploymentView, PageRequest, PolicySource, Question, RecipientView, Role, State, Status},
};
use wasm_bindgen_futures::spawn_local;

use super::{
    decided::{self, ByAccount},
    headline::{Headline, StepState, Tone, headline, step_label, steps},
    people::people,
};
use crate::{
    browser::{self, Bell},
    dom::{El, Stage, button, el, icon},
    route::Route,
    text::{self, Msg},
};

const GEAR: &str = "M8 10.25a2.25 2.25 0 1 0 0-4.5 2.25 2.25 0 0 0 0 4.5zM8 1.5v2M8 12.5v2M1.5 8h2M12.5 8h2M3.4 3.4l1.4 1.4M11.2 11.2l1.4 1.4M12.6 3.4l-1.4 1.4M4.8 11.2l-1.4 1.4";
const CHECK: &str = "M3 8.5l3.25 3.25L13 4.75";
const CROSS: &str = "M4 4l8 8M12 4l-8 8";
const RING: &str = "M8 3a5 5 0 1 1 0 10A5 5 0 0 1 8 3z";
const ARC: &str = "M8 3a5 5 0 0 1 5 5";
const CLOCK: &str = "M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11zM8 5v3.25l2 1.5";
const DASH: &str = "M4 8h8";
const MARK: &str = "M8 3.5v5.25M8 11.75v.75";

/// Shows where every account stands, for as long as the popup is open.
pub(crate) async fn show(stage: &Stage) {
    let bell = Bell::of_background();
    let known = decided::Known::default();
    let mut drawn: Option<(Status, Vec<IntegrityView>, ByAccount)> = None;
    loop {
        let wait = match browser::ask::<Status>(&PageRequest::Status).await {
            Ok(status) => {
                let guarded = super::refused::all().await;
                let working = status.deployments.iter().any(|one| one.progress.state == State::Working);
                let decided = known.all();
                if !working {
                    known.ask(&status, &bell);
                }
                let news = (status, guarded, decided);
                if drawn.as_ref() != Some(&news) {
                    let (status, guarded, decided) = &news;
                    let hosts = hosts_to_ask(status).await;
                    stage.show(draw(status, guarded, decided, &hosts, &bell));
                    stage.say(&spoken(status));
                    drawn = Some(news);
                }
                working.then_some(1000)
            }
            Err(_) => {
                drawn = None;
                stage.show(page(false).child(no_answer()));
                stage.say(&Msg("no_answer").text());
                Some(2000)
            }
        };
        bell.wait(wait).await;
    }
}

/// What a click on *Allow access* asks for: known before the click, because nothing may be awaited in it.
async fn hosts_to_ask(status: &Status) -> Vec<String> {
    if status.deployments.iter().all(|one| one.permitted) {
        return Vec::new();
    }
    browser::policy_document().await.map(|document| host_patterns(&document)).unwrap_or_default()
}

fn draw(status: &Status, guarded: &[IntegrityView], known: &ByAccount, hosts: &[String], bell: &Bell) -> El {
    let own = matches!(status.policy, PolicySource::Own | PolicySource::None);
    let mut page = page(own);
    // That there is no policy is said below, in more words.
    let problem = status.policy_problem.as_ref().filter(|(code, _)| *code != Code::PolAbsent);
    if let Some((code, path)) = problem {
        page = page.child(policy_problem(*code, path));
    }
    match status.policy {
        PolicySource::None => page.child(no_policy()),
        PolicySource::AskIt if problem.is_some() => page,
        PolicySource::AskIt => page.child(ask_it()),
        PolicySource::Managed | PolicySource::Own if status.deployments.is_empty() => page.child(no_policy()),
        PolicySource::Managed | PolicySource::Own => {
            let around = Around { known, guarded, ask_it: status.ask_it.as_ref(), hosts, bell };
            page.children(status.deployments.iter().enumerate().map(|(at, one)| deployment(at, one, &around)))
        }
    }
}

fn page(options: bool) -> El {
    let mut head = el("header")
        .class("popup-head")
        .child(el("img").attr("src", "/icons/icon.svg").attr("alt", "").attr("width", "20").attr("height", "20"))
        .child(el("h1").class("brand").text(&Msg("name").text()));
    if options {
        let label = Msg("options_open").text();
        let open = button("options", "", browser::open_options);
        head = head.child(open.class("quiet").attr("aria-label", &label).attr("title", &label).child(icon(GEAR)));
    }
    el("div").class("popup").child(head)
}

/// What a screen reader is told of a change: the account and its headline, no more.
fn spoken(status: &Status) -> String {
    let one = |deployment: &DeploymentView| {
        let account = deployment.account.as_ref().map_or(super::host(&deployment.origin), |account| account.as_str());
        format!("{account}: {}", headline(deployment).title.text())
    };
    status.deployments.iter().map(one).collect::<Vec<_>>().join(". ")
}

fn banner(shown: Headline, detail: &str) -> El {
    let sign = match shown.tone {
        Tone::Good => icon(CHECK),
        Tone::Busy if shown.title == Msg("state_waiting") => icon(CLOCK),
        Tone::Busy => icon(ARC),
        Tone::Calm => icon(DASH),
        Tone::Asks | Tone::Bad => icon(MARK),
    };
    el("div")
        .class(&format!("banner {}", shown.tone.class()))
        .child(el("span").class("sign").child(sign))
        .child(el("h2").text(&shown.title.text()))
        .child(el("p").text(detail))
}

fn policy_problem(code: Code, path: &str) -> El {
    let card = el("section").class("card").child(super::problem(code, Tone::Bad));
    if path.is_empty() {
        return card;
    }
    card.child(el("p").class("small").text(&Msg("policy_field").text()).text(" ").child(el("code").text(path)))
}

fn no_policy() -> El {
    let shown = Headline { tone: Tone::Calm, title: Msg("policy_none"), detail: Msg("policy_none_detail") };
    el("section").class("card").child(banner(shown, &shown.detail.text())).child(
        el("div")
            .class("buttons")
            .child(button("set-up", &Msg("options_open").text(), browser::open_options).class("primary")),
    )
}

fn ask_it() -> El {
    let shown = Headline { tone: Tone::Calm, title: Msg("policy_ask_it"), detail: Msg("policy_ask_it_detail") };
    let code = el("code").text(Code::PolAbsent.as_str());
    el("section")
        .class("card")
        .child(banner(shown, &shown.detail.text()))
        .child(el("p").class("small").text(&Msg("problem_code").text()).text(" ").child(code))
}

fn no_answer() -> El {
    let shown = Headline { tone: Tone::Bad, title: Msg("no_answer"), detail: Msg("no_answer_detail") };
    el("section").class("card").child(banner(shown, &shown.detail.text()))
}

/// What a deployment's card needs besides.
struct Around<'a> {
    known: &'a ByAccount,
    guarded: &'a [IntegrityView],
    ask_it: Option<&'a ContactUrl>,
    hosts: &'a [String],
    bell: &'a Bell,
}

fn deployment(at: usize, shown: &DeploymentView, around: &Around<'_>) -> El {
    let Around { known, guarded, ask_it, hosts, bell } = *around;
    let progress = &shown.progress;
    let line = headline(shown);
    let host = super::host(&shown.origin);
    let mut card = el("section").class("card").attr("data-state", state_name(shown));

    let mut who = el("p").class("who");
    if let Some(account) = &shown.account {
        who = who.child(el("strong").text(account.as_str()));
    }
    card = card.child(who.child(el("span").class("host").text(host))).child(banner(line, &line.detail.with(&[host])));
    let code = guarded.iter().find(|view| view.origin == shown.origin);
    let (first, last) = match code.filter(|view| view.state.calls()) {
        Some(view) => (Some(super::refused::line(at, view)), None),
        None => (None, code.map(|view| super::refused::line(at, view))),
    };
    card = card.children(first);

    if let Some((code, when)) = progress.problem {
        let since = if progress.state == State::Complete { Msg("problem_over") } else { Msg("problem_at") };
        card = card.child(
            super::problem(code, line.tone).child(el("p").class("small").text(&since.with(&[&text::moment(when)]))),
        );
    }
    if let Some(due) = progress.retry_at {
        card = card.child(el("p").class("small").text(&Msg("retry_at").with(&[&text::time_of_day(due)])));
    }
    card = card.child(buttons(at, shown, hosts, bell));
    if let Some(account) = &shown.account {
        card = card.children(super::people::shared(at, shown, bell));
        card = card.children(people(at, &shown.origin, account, &shown.people, ask_it, bell));
    }

    if shown.account.is_some() && progress.state != State::SignedOut && shown.permitted {
        card = card.child(step_list(at, shown));
    }
    if !progress.recipients.is_empty() {
        card = card
            .child(el("h3").text(&Msg("recipients").text()))
            .child(el("ul").class("recipients").children(progress.recipients.iter().map(recipient)));
    }
    card = super::rotation::add(card, at, shown, bell);
    if let Some(proven) = progress.sealed_proven_at {
        card = card.child(
            el("p")
                .class("proven")
                .text(&Msg("sealed_proven").text())
                .text(" ")
                .child(el("time").attr("data-unix-ms", &proven.0.to_string()).text(&text::moment(proven))),
        );
    }
    if let Some(account) = &shown.account {
        let decided = known.get(&(shown.origin.clone(), account.clone())).map_or(&[][..], Vec::as_slice);
        card = card.children(decided::section(at, &shown.origin, account, decided, bell));
        card = card.children(super::people::devices(at, &shown.origin, account, &shown.devices));
    }
    card.children(more(at, shown, bell)).children(last)
}

/// What a person may do besides, each at a second press at the earliest.
fn more(at: usize, shown: &DeploymentView, bell: &Bell) -> Option<El> {
    let works = shown.permitted && shown.progress.state == State::Complete;
    let offers = works.then(|| {
        let to = |id: &str, label: Msg, route: Route| {
            button(&format!("{id}-{at}"), &label.text(), move || browser::open_tab(&route.hash()))
        };
        let test = to("drill", Msg("drill_open"), Route::Drill(shown.origin.clone()));
        let test = if shown.drill_due { test.class("primary") } else { test };
        let phone = to("phone", Msg("phone_open"), Route::Phone(shown.origin.clone()));
        let due = shown.drill_due.then(|| el("p").class("due").text(&Msg("drill_due").text()));
        el("div")
            .class("offers")
            .children(due)
            .child(el("p").class("small").text(&super::last_drill(shown)))
            .child(el("div").class("buttons").child(test).child(phone))
    });
    let wipe = shown.holds_keys.then(|| {
        let (origin, account, bell) = (shown.origin.clone(), shown.account.clone(), bell.clone());
        let now = button(&format!("wipe-{at}"), &Msg("wipe_now").text(), move || {
            let request = PageRequest::Wipe { origin: origin.clone(), account: account.clone() };
            let bell = bell.clone();
            spawn_local(async move {
                let _ = browser::ask::<Status>(&request).await;
                bell.ring();
            });
        });
        el("details")
            .id(&format!("wiping-{at}"))
            .child(el("summary").text(&Msg("wipe_open").text()))
            .child(el("p").text(&Msg("wipe_does").text()))
            .child(el("p").text(&Msg("wipe_then").text()))
            .child(el("div").class("buttons").child(now.class("danger")))
    });
    if offers.is_none() && wipe.is_none() {
        return None;
    }
    Some(el("div").class("more").children(offers).children(wipe))
}

fn buttons(at: usize, shown: &DeploymentView, hosts: &[String], bell: &Bell) -> El {
    let origin = shown.origin.clone();
    let row = el("div").class("buttons");
    if !shown.permitted {
        let patterns = hosts.to_vec();
        let bell = bell.clone();
        let allow = button(&format!("allow-{at}"), &Msg("allow").text(), move || {
            let asked = browser::request_hosts(&patterns);
            let bell = bell.clone();
            spawn_local(async move {
                asked.await;
                bell.ring();
            });
        });
        return row.child(allow.class("primary"));
    }
    let to = |id: &str, label: Msg, route: Route| {
        button(&format!("{id}-{at}"), &label.text(), move || browser::open_tab(&route.hash())).class("primary")
    };
    match shown.progress.state {
        State::Confirm => row.child(to("confirm", Msg("confirm_open"), Route::Confirm(origin))),
        State::Keep => row.child(to("keep", Msg("keep_open"), Route::Keep(origin))),
        State::Recover => row.child(to("recover", Msg("recover_open"), Route::Recover(origin))),
        State::Believe => row.child(to("believe", Msg("believe_open"), Route::Recover(origin))),
        State::Adopt => {
            let (bell, question) = (bell.clone(), shown.progress.question.clone());
            let not_now = button(&format!("not-now-{at}"), &Msg("adopt_not_now").text(), {
                let origin = origin.clone();
                move || {
                    let Some(Question::Adopt { account, .. }) = question.clone() else { return };
                    let (bell, origin) = (bell.clone(), origin.clone());
                    spawn_local(async move {
                        let _ = browser::ask::<Status>(&PageRequest::NotNow { origin, account }).await;
                        bell.ring();
                    });
                }
            });
            row.child(to("adopt", Msg("adopt_open"), Route::Recover(origin))).child(not_now)
        }
        State::Foreign if matches!(shown.progress.problem, Some((Code::RecReplaced, _))) => {
            row.child(to("replaced", Msg("replaced_open"), Route::Recover(origin)))
        }
        // Put off, or left alone: the way stays open.
        State::Foreign if matches!(shown.progress.problem, Some((Code::RecForeign, _))) => {
            let hash = Route::Recover(origin).hash();
            row.child(button(&format!("adopt-{at}"), &Msg("adopt_open").text(), move || browser::open_tab(&hash)))
        }
        State::Waiting | State::Failed => {
            let bell = bell.clone();
            row.child(button(&format!("retry-{at}"), &Msg("retry").text(), move || {
                let (bell, origin) = (bell.clone(), origin.clone());
                spawn_local(async move {
                    // The answer is the status, and the bell asks for it again anyway.
                    let _ = browser::ask::<Status>(&PageRequest::Retry { origin }).await;
                    bell.ring();
                });
            }))
        }
        State::NoPolicy | State::SignedOut | State::Working | State::Complete | State::Foreign | State::Declined => row,
    }
}

fn step_list(at: usize, shown: &DeploymentView) -> El {
    let steps = steps(&shown.progress);
    let done = steps.iter().filter(|(_, state)| *state == StepState::Done).count();
    let fold = matches!(shown.progress.state, State::Complete | State::Foreign | State::Declined);
    let item = |(name, state): (_, StepState)| {
        let sign = match state {
            StepState::Done => CHECK,
            StepState::Doing => ARC,
            StepState::Waiting => CLOCK,
            StepState::Failed => CROSS,
            StepState::Stopped => DASH,
            StepState::ToDo => RING,
        };
        // Done and to do are plain from the sign; the others are said to everyone.
        let quiet = matches!(state, StepState::Done | StepState::ToDo);
        el("li")
            .class(state.class())
            .attr("data-step", step_label(name).0.trim_start_matches("step_"))
            .child(icon(sign))
            .child(el("span").text(&step_label(name).text()))
            .child(el("span").class(if quiet { "visually-hidden" } else { "step-state" }).text(&state.label().text()))
    };
    el("details")
        .id(&format!("steps-{at}-{}", if fold { "folded" } else { "open" }))
        .flag("open", !fold)
        .child(el("summary").text(&Msg("steps").with(&[&done.to_string(), &steps.len().to_string()])))
        .child(el("ol").class("steps").children(steps.map(item)))
}

pub(super) fn recipient(shown: &RecipientView) -> El {
    let role = match shown.role {
        Role::Own => Msg("role_own"),
        Role::Escrow => Msg("role_escrow"),
    };
    el("li")
        .child(el("span").class("role").text(&role.text()))
        .child(el("span").class("user-id").text(&shown.user_id))
        .child(super::fingerprint(&shown.fingerprint))
}

/// The state's name for tests and styles.
fn state_name(shown: &DeploymentView) -> &'static str {
    match shown.progress.state {
        _ if !shown.permitted => "access",
        State::NoPolicy => "no-policy",
        State::SignedOut => "signed-out",
        State::Working => "working",
        State::Complete => "complete",
        State::Waiting => "waiting",
        State::Foreign => "foreign",
        State::Declined => "declined",
        State::Confirm => "confirm",
        State::Keep => "keep",
        State::Recover => "recover",
        State::Believe => "believe",
        State::Adopt => "adopt",
        State::Failed => "failed",
    }
}
