//! Test the backup: by GnuPG, or with the sealed recovery opened elsewhere; what came of it.
//!
//! Threat: as on the recover page, whose field and message these are: nothing that is typed stays.

use std::rc::Rc;

use gloo::events::EventListener;
use keystead_core::{
    error::Code,
    ident::Origin,
    restore::drill::Drill,
    status::{DrillStart, PageRequest, Status, Typed},
};
use wasm_bindgen_futures::spawn_local;

use super::{
    headline::Tone,
    recover::{self, FIELD, NATIVE_MESSAGING},
};
use crate::{
    browser::{self, Bell},
    dom::{El, Stage, button, el},
    text::{self, Msg},
};

struct Page {
    stage: Rc<Stage>,
    origin: Origin,
}

/// Shows it, for as long as it is open.
pub(crate) async fn show(stage: Rc<Stage>, origin: Origin) {
    let bell = Bell::of_background();
    browser::stay_awake(&bell);
    EventListener::new(&gloo::utils::window(), "pagehide", move |_| drop(recover::take_typed())).forget();
    let waiting = el("div").class("body").child(el("p").text(&Msg("recover_sending").text()));
    stage.show(super::page(Msg("drill_title"), waiting));
    let status = browser::ask::<Status>(&PageRequest::Status).await.ok();
    let shown = status.as_ref().and_then(|status| super::deployment(status, &origin));
    let last = shown.map(super::last_drill).unwrap_or_default();
    let request = PageRequest::DrillStart { origin: origin.clone() };
    let page = Rc::new(Page { stage, origin });
    match browser::ask::<Result<DrillStart, Code>>(&request).await {
        Ok(Ok(start)) => page.stage.show(page.draw(&last, &start)),
        Ok(Err(code)) => page.problem(code),
        Err(why) => {
            let body = el("div").class("body").child(el("p").text(&text::not_done(why)));
            page.stage.finish(super::page(Msg("drill_title"), body));
        }
    }
    while !page.stage.is_final() {
        bell.wait(None).await;
    }
}

impl Page {
    fn draw(self: &Rc<Self>, last: &str, start: &DrillStart) -> El {
        let page = self.clone();
        let send = button("send", &Msg("drill_compare").text(), move || spawn_local(page.clone().by_hand()));
        let (title, how) = match start.message {
            Some(_) => (Msg("recover_enter_title"), Msg("recover_enter")),
            None => (Msg("recover_enter_only_title"), Msg("drill_enter_kept")),
        };
        let enter = el("section")
            .child(el("h2").text(&title.text()))
            .child(el("p").id("enter-how").text(&how.text()))
            .child(el("label").attr("for", FIELD).class("visually-hidden").text(&Msg("recover_field").text()))
            .child(recover::field());
        let gnupg = start.message.as_ref().filter(|_| start.gnupg).map(|_| self.with_gnupg());
        let body = el("div")
            .class("body")
            .child(el("p").class("lead").text(&Msg("drill_intro").text()))
            .child(el("p").id("last").class("small").text(last))
            .children(gnupg)
            .children(start.message.as_ref().map(|message| recover::sealed(&self.stage, message)))
            .child(enter)
            .child(el("p").id("trouble").class("trouble"))
            .child(recover::working())
            .child(el("div").class("buttons").child(send.class("primary")));
        super::page(Msg("drill_title"), body)
    }

    fn with_gnupg(self: &Rc<Self>) -> El {
        let page = self.clone();
        let ask = button("gnupg", &Msg("drill_gnupg").text(), move || {
            let granted = browser::request_permission(NATIVE_MESSAGING);
            spawn_local(page.clone().by_gnupg(granted));
        });
        el("section")
            .child(el("h2").text(&Msg("recover_gnupg_title").text()))
            .child(el("p").text(&Msg("drill_gnupg_how").text()))
            .child(el("p").id("gnupg-said").class("said").attr("role", "status"))
            .child(el("div").class("buttons").child(ask.class("primary")))
    }

    async fn by_gnupg(self: Rc<Self>, granted: impl Future<Output = bool>) {
        self.stage.enable("gnupg", false);
        self.stage.tell("gnupg-said", &Msg("recover_gnupg_asking").text());
        let said = if granted.await { self.ask(None).await } else { Some(text::sentence(Code::GpgPermission)) };
        self.stage.enable("gnupg", true);
        if let Some(said) = said {
            self.stage.tell("gnupg-said", &said);
        }
    }

    async fn by_hand(self: Rc<Self>) {
        let typed = Typed::new(recover::take_typed());
        self.stage.enable("send", false);
        recover::works(&self.stage, true);
        let said = self.ask(Some(typed)).await;
        self.stage.enable("send", true);
        recover::works(&self.stage, false);
        if let Some(said) = said {
            self.stage.trouble(&said);
        }
    }

    /// Has it tested; what to say where that came to nothing.
    async fn ask(&self, given: Option<Typed>) -> Option<String> {
        let request = PageRequest::Drill { origin: self.origin.clone(), given };
        match browser::ask::<Result<Drill, Code>>(&request).await {
            Ok(Ok(drill)) => self.end(&drill),
            Ok(Err(code)) => return Some(recover::trouble(code, None)),
            Err(why) => return Some(text::not_done(why)),
        }
        None
    }

    fn end(&self, drill: &Drill) {
        if let Some(code) = drill.problem {
            return self.problem(code);
        }
        let detail = if drill.witnessed { Msg("drill_good_witnessed") } else { Msg("drill_good_detail") };
        self.stage.finish(super::page(Msg("drill_title"), super::outcome(Msg("drill_good"), detail)));
        self.stage.say(&Msg("drill_good").text());
    }

    fn problem(&self, code: Code) {
        let note = super::note(Msg("drill_bad"), Msg("drill_bad_detail"));
        self.stage.finish(super::page(Msg("drill_title"), note.child(super::problem(code, Tone::Bad))));
        self.stage.say(&Msg("drill_bad").text());
    }
}
