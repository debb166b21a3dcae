//! Open the account's history on this browser: by GnuPG, where it is connected; the sealed recovery to be opened elsewhere, a field for what came out of
//! it, and the one question whose identity that is.
//!
//! Threat: the one text that opens everything, left behind. What is typed is taken out of the document as it is sent, and
//! again when the page goes; it goes to the background only, and no browser is offered to remember it.

use std::{cell::RefCell, rc::Rc};

use gloo::events::EventListener;
use keystead_core::{
    error::Code,
    ident::{Origin, UserId},
    identity::PublicKey,
    secret::SecretText,
    status::{DeploymentView, GnupgView, PageRequest, Question, Refusal, State, Status, Typed},
};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::HtmlTextAreaElement;

use super::headline::Tone;
use crate::{
    browser::{self, Bell, NotDone},
    dom::{El, Stage, button, el},
    text::{self, Msg},
};

/// The field's place in the document.
pub(super) const FIELD: &str = "opened";
/// The place of what says that something is being checked.
const WORKING: &str = "working";
/// The name under which the sealed recovery is saved, and opened in the line beside it.
const FILE: &str = "sealed-recovery.asc";

/// The permission to speak to GnuPG.
pub(super) const NATIVE_MESSAGING: &str = "nativeMessaging";

struct Recover {
    stage: Rc<Stage>,
    origin: Origin,
    /// An attempt is under way: what the status says meanwhile is not drawn.
    trying: RefCell<bool>,
    /// The question that is drawn.
    drawn: RefCell<Option<Question>>,
}

/// Shows what the background waits for, as long as it waits.
pub(crate) async fn show(stage: Rc<Stage>, origin: Origin) {
    let bell = Bell::of_background();
    browser::stay_awake(&bell);
    let page = Rc::new(Recover { stage, origin, trying: RefCell::new(false), drawn: RefCell::default() });
    let mut sought = false;
    EventListener::new(&gloo::utils::window(), "pagehide", move |_| drop(take_typed())).forget();
    loop {
        if !*page.trying.borrow()
            && let Ok(status) = browser::ask::<Status>(&PageRequest::Status).await
        {
            let shown = super::deployment(&status, &page.origin);
            // The person has come to a question that was put off.
            if !std::mem::replace(&mut sought, true)
                && shown.is_some_and(|shown| shown.progress.state == State::Foreign)
            {
                let _ = browser::ask::<Status>(&PageRequest::Retry { origin: page.origin.clone() }).await;
                continue;
            }
            let question = shown.and_then(|shown| shown.progress.question.clone());
            let is_drawn = *page.drawn.borrow() == question;
            if question.is_none() && !is_drawn && shown.is_some_and(super::is_open) {
                // A background that was started again comes to the question again.
            } else if question.is_none() || !is_drawn {
                page.draw(shown, question.as_ref());
            }
        }
        bell.wait(None).await;
        if page.stage.is_final() {
            return;
        }
    }
}

/// What stands in the field, which is empty afterwards.
pub(super) fn take_typed() -> SecretText {
    let field = gloo::utils::document().get_element_by_id(FIELD).map(JsCast::unchecked_into::<HtmlTextAreaElement>);
    let typed = field.as_ref().map(HtmlTextAreaElement::value).unwrap_or_default();
    if let Some(field) = field {
        field.set_value("");
    }
    SecretText::new(typed)
}

impl Recover {
    fn draw(self: &Rc<Self>, shown: Option<&DeploymentView>, question: Option<&Question>) {
        self.drawn.replace(question.cloned());
        match question {
            Some(Question::Recover { account, message, gnupg, group }) => {
                // Said here as well: another place of the mistake is another question.
                let problem = group.and(shown).and_then(|shown| shown.progress.problem);
                let wrong = problem.map(|(code, _)| trouble(code, *group)).unwrap_or_default();
                self.stage.show(ask_to_open(self, account, message.as_deref(), gnupg.as_ref(), &wrong))
            }
            Some(Question::Adopt { account, passphrase, group }) => {
                let problem = shown.and_then(|shown| shown.progress.problem);
                let wrong = problem.filter(|(code, _)| *code != Code::RecForeign);
                let wrong = wrong.map(|(code, _)| trouble(code, *group)).unwrap_or_default();
                let (page, put_off) = (self.clone(), account.clone());
                let not_now = button("not-now", &Msg("adopt_not_now").text(), move || {
                    spawn_local(page.clone().put_off(put_off.clone()));
                });
                let buttons = el("div").class("buttons").child(not_now).child(self.send_button(true));
                self.stage.show(super::adopt::ask(account, *passphrase, field(), buttons, &wrong));
            }
            Some(Question::Believe { account, master_key, security_code }) => {
                self.stage.show(ask_to_believe(self, &BELIEVE, account, *master_key, security_code));
                self.stage.say(&BELIEVE.title.text());
            }
            Some(Question::Reset { account, master_key, security_code }) => {
                self.stage.show(ask_to_believe(self, &RESET, account, *master_key, security_code));
                self.stage.say(&RESET.title.text());
            }
            Some(_) | None => match shown.map(|shown| shown.progress.state) {
                Some(State::Complete) => self.finish(Msg("recover_done_title"), Msg("recover_done_detail")),
                // A run is under way: what it ends in comes.
                Some(State::Working) => self.stage.say(&Msg("recover_sending").text()),
                Some(State::Failed | State::Waiting) => {
                    let problem = shown.and_then(|shown| shown.progress.problem);
                    let problem = problem.map(|(code, _)| super::problem(code, Tone::Bad));
                    let body = el("div").class("body").children(problem);
                    self.stage.show(super::page(Msg("recover_title"), body));
                }
                _ => {
                    let nothing = super::outcome(Msg("recover_nothing"), Msg("recover_nothing_detail"));
                    self.stage.show(super::page(Msg("recover_title"), nothing));
                }
            },
        }
    }

    fn finish(&self, title: Msg, detail: Msg) {
        self.stage.finish(super::page(Msg("recover_title"), super::outcome(title, detail)));
        self.stage.say(&title.text());
    }

    async fn send(self: Rc<Self>) {
        let typed = Typed::new(take_typed());
        self.trying.replace(true);
        self.stage.enable("send", false);
        works(&self.stage, true);
        let answer = browser::ask::<Status>(&PageRequest::Recover { origin: self.origin.clone(), text: typed }).await;
        self.trying.replace(false);
        self.stage.enable("send", true);
        works(&self.stage, false);
        let status = match answer {
            Ok(status) => status,
            Err(NotDone::Refused(Refusal::NotAsked)) => return self.stage.trouble(&Msg("answer_nobody").text()),
            Err(why) => return self.stage.trouble(&text::not_done(why)),
        };
        let Some(shown) = super::deployment(&status, &self.origin) else { return };
        match (&shown.progress.question, shown.progress.problem) {
            (question @ Some(Question::Recover { group, .. } | Question::Adopt { group, .. }), Some((code, _))) => {
                let is_drawn = *self.drawn.borrow() == *question;
                if !is_drawn {
                    self.draw(Some(shown), question.as_ref());
                }
                self.stage.trouble(&trouble(code, *group));
            }
            (question, _) => self.draw(Some(shown), question.as_ref()),
        }
    }

    /// Has GnuPG asked. Browsers may start the extension anew when the permission is granted, and this page ends then: so
    /// the background notes first what the person wants.
    async fn ask_gnupg(self: Rc<Self>, account: UserId, granted: impl Future<Output = bool>) {
        self.trying.replace(true);
        self.stage.enable("gnupg", false);
        self.stage.tell("gnupg-said", &Msg("recover_gnupg_asking").text());
        let wish = PageRequest::WishGnupg { origin: self.origin.clone(), account };
        let wished = browser::ask::<Status>(&wish).await;
        let granted = granted.await;
        let answer = match wished {
            Ok(_) if granted => browser::ask::<Status>(&PageRequest::Retry { origin: self.origin.clone() }).await,
            other => other,
        };
        self.trying.replace(false);
        self.stage.enable("gnupg", true);
        let status = match answer {
            Ok(_) if !granted => {
                return self.stage.tell("gnupg-said", &text::sentence(Code::GpgPermission));
            }
            Ok(status) => status,
            Err(why) => return self.stage.tell("gnupg-said", &text::not_done(why)),
        };
        // Where GnuPG is still asked, that is what this page goes on saying.
        let shown = super::deployment(&status, &self.origin);
        self.draw(shown, shown.and_then(|shown| shown.progress.question.as_ref()));
    }

    /// `first` where nothing else on the page is to be tried before.
    fn send_button(self: &Rc<Self>, first: bool) -> El {
        let page = self.clone();
        let send = button("send", &Msg("recover_send").text(), move || spawn_local(page.clone().send()));
        if first { send.class("primary") } else { send }
    }

    /// *Not now*, to somebody else's secret storage.
    async fn put_off(self: Rc<Self>, account: UserId) {
        drop(take_typed());
        let request = PageRequest::NotNow { origin: self.origin.clone(), account };
        match browser::ask::<Status>(&request).await {
            Ok(_) => self.finish(Msg("adopt_later"), Msg("adopt_later_detail")),
            Err(why) => self.stage.trouble(&text::not_done(why)),
        }
    }

    async fn answer(self: Rc<Self>, account: UserId, master_key: PublicKey, accept: bool) {
        self.trying.replace(true);
        works(&self.stage, true);
        let request = PageRequest::Believe { origin: self.origin.clone(), account, master_key, accept };
        let answer = browser::ask::<Status>(&request).await;
        self.trying.replace(false);
        works(&self.stage, false);
        let status = match answer {
            Ok(status) => status,
            Err(why) => return self.stage.trouble(&text::not_done(why)),
        };
        if !accept {
            return self.finish(Msg("believe_no_title"), Msg("believe_no_detail"));
        }
        let shown = super::deployment(&status, &self.origin);
        self.draw(shown, shown.and_then(|shown| shown.progress.question.as_ref()));
    }
}

/// The field for the one text that opens everything.
pub(super) fn field() -> El {
    el("textarea")
        .id(FIELD)
        .class("secret")
        .attr("rows", "5")
        .attr("autocomplete", "off")
        .attr("autocapitalize", "off")
        .attr("spellcheck", "false")
        .attr("aria-describedby", "enter-how")
}

/// That what was given is being checked: a passphrase is made into a key in some hundred thousand rounds, and nobody knows
/// how far that is.
pub(super) fn working() -> El {
    let label = Msg("recover_sending").text();
    el("div")
        .id(WORKING)
        .class("working")
        .attr("hidden", "")
        .child(el("div").class("bar").attr("role", "progressbar").attr("aria-label", &label))
        .child(el("p").text(&Msg("recover_working").text()))
}

/// Shows that, to eyes and ears, or takes it away again.
pub(super) fn works(stage: &Stage, yes: bool) {
    if yes {
        // What was wrong before is not said of this.
        stage.tell("trouble", "");
        stage.say(&Msg("recover_working").text());
    }
    stage.hide(WORKING, !yes);
}

/// What is wrong with what was typed, and where.
pub(super) fn trouble(code: Code, group: Option<usize>) -> String {
    let place = group.map(|group| Msg("recover_group").with(&[&group.to_string()]));
    std::iter::once(text::sentence(code)).chain(place).collect::<Vec<_>>().join(" ")
}

fn ask_to_open(
    page: &Rc<Recover>,
    account: &UserId,
    message: Option<&str>,
    gnupg: Option<&GnupgView>,
    wrong: &str,
) -> El {
    let by_hand = gnupg.is_none_or(|gnupg| gnupg.problem.is_some());
    let title = if message.is_some() { Msg("recover_enter_title") } else { Msg("recover_enter_only_title") };
    let enter = el("section")
        .child(el("h2").text(&title.text()))
        .child(el("p").id("enter-how").text(&Msg("recover_enter").text()))
        .child(el("label").attr("for", FIELD).class("visually-hidden").text(&Msg("recover_field").text()))
        .child(field());
    let body = el("div")
        .class("body")
        .child(el("p").class("lead").text(&Msg("recover_intro").with(&[account.as_str()])))
        .children(gnupg.map(|gnupg| with_gnupg(page, account, gnupg)))
        .children(message.map(|message| sealed(&page.stage, message)))
        .child(enter)
        .child(el("p").id("trouble").class("trouble").text(wrong))
        .child(working())
        .child(el("div").class("buttons").child(page.send_button(by_hand)));
    super::page(Msg("recover_title"), body)
}

/// GnuPG opens it, if the person wants; and why it did not when it was last asked.
fn with_gnupg(page: &Rc<Recover>, account: &UserId, gnupg: &GnupgView) -> El {
    let (page, account) = (page.clone(), account.clone());
    let label = if gnupg.problem.is_some() { Msg("recover_gnupg_again") } else { Msg("recover_gnupg_open") };
    let ask = button("gnupg", &label.text(), move || {
        let granted = browser::request_permission(NATIVE_MESSAGING);
        spawn_local(page.clone().ask_gnupg(account.clone(), granted));
    });
    el("section")
        .child(el("h2").text(&Msg("recover_gnupg_title").text()))
        .child(el("p").text(&Msg("recover_gnupg").text()))
        .children(gnupg.problem.map(|code| super::problem(code, Tone::Asks)))
        .child(el("p").id("gnupg-said").class("said").attr("role", "status"))
        .child(el("div").class("buttons").child(if gnupg.problem.is_none() { ask.class("primary") } else { ask }))
}

/// The armored message, and three ways to open it.
pub(super) fn sealed(stage: &Rc<Stage>, message: &str) -> El {
    let (copied, said) = (message.to_owned(), stage.clone());
    let copy = button("copy", &Msg("recover_copy").text(), move || {
        let writing = gloo::utils::window().navigator().clipboard().write_text(&copied);
        let stage = said.clone();
        spawn_local(async move {
            let done = JsFuture::from(writing).await.is_ok();
            stage.tell("said", &if done { Msg("recover_copied") } else { Msg("recover_copy_failed") }.text());
        });
    });
    let (saved, stage) = (message.to_owned(), stage.clone());
    let save = button("save", &Msg("recover_save").text(), move || {
        browser::save_file(FILE, "application/pgp-encrypted", &saved);
        stage.tell("said", &Msg("recover_saved").text());
    });
    let way = |text: Msg| el("li").text(&text.text());
    let terminal =
        way(Msg("recover_how_terminal")).child(el("pre").child(el("code").text(&format!("gpg --decrypt {FILE}"))));
    el("section")
        .child(el("h2").text(&Msg("recover_sealed_title").text()))
        .child(el("p").text(&Msg("recover_sealed").text()))
        .child(
            el("pre")
                .id("message")
                .class("armor")
                .attr("tabindex", "0")
                .attr("role", "group")
                .attr("aria-label", &Msg("recover_message").text())
                .child(el("code").text(message)),
        )
        .child(el("div").class("buttons").child(save).child(copy))
        .child(el("p").id("said").class("said").attr("role", "status"))
        .child(
            el("ul")
                .class("bullets")
                .child(terminal)
                .child(way(Msg("recover_how_mail")))
                .child(way(Msg("recover_how_other"))),
        )
}

/// What a person is asked about an identity.
struct About {
    title: Msg,
    intro: Msg,
    code: Msg,
    how: Msg,
    no: Msg,
    yes: Msg,
}

/// One that was opened.
const BELIEVE: About = About {
    title: Msg("believe_title"),
    intro: Msg("believe_intro"),
    code: Msg("believe_code"),
    how: Msg("believe_how"),
    no: Msg("believe_no"),
    yes: Msg("believe_yes"),
};

/// One that is new.
const RESET: About = About {
    title: Msg("reset_title"),
    intro: Msg("reset_intro"),
    code: Msg("reset_code"),
    how: Msg("reset_how"),
    no: Msg("reset_no"),
    yes: Msg("reset_yes"),
};

fn ask_to_believe(page: &Rc<Recover>, about: &About, account: &UserId, master_key: PublicKey, code: &str) -> El {
    let answer = |id: &str, label: Msg, accept: bool| {
        let (page, account) = (page.clone(), account.clone());
        button(id, &label.text(), move || spawn_local(page.clone().answer(account.clone(), master_key, accept)))
    };
    let groups = code.split(' ').map(|group| el("span").text(group).text(" "));
    let body = el("div")
        .class("body")
        .child(el("p").class("lead").text(&about.intro.with(&[account.as_str()])))
        .child(
            el("section").class("key-card").child(el("h2").id("code-label").text(&about.code.text())).child(
                el("p")
                    .attr("role", "group")
                    .attr("aria-labelledby", "code-label")
                    .child(el("code").class("key code").children(groups)),
            ),
        )
        .child(el("p").text(&about.how.text()))
        .child(el("p").id("trouble").class("trouble"))
        .child(working())
        .child(
            el("div")
                .class("buttons")
                .child(answer("not-mine", about.no, false))
                .child(answer("mine", about.yes, true)),
        );
    super::page(about.title, body)
}
