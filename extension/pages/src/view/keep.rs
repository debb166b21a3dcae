//! Keep this recovery key: shown where there is no directory that it could be sealed to.
//!
//! Threat: the one text that opens everything, left behind. So it is fetched only to be shown, taken out of the document
//! when the page goes to the background or is done, offered to no log, and its copies in this module's memory are wiped.
//! (JavaScript's own strings cannot be wiped; they go with the document.)

use std::{cell::RefCell, rc::Rc};

use gloo::events::EventListener;
use keystead_core::{
    ident::{Origin, UserId},
    secret::SecretText,
    status::{PageRequest, Question, Status},
    time::UnixMillis,
};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::HtmlInputElement;

use crate::{
    browser,
    dom::{El, Stage, button, el},
    text::{self, Msg},
};

/// The key's place in the document.
const PLACE: &str = "recovery-key";

struct Keep {
    stage: Rc<Stage>,
    origin: Origin,
    account: Option<UserId>,
    key: RefCell<Option<SecretText>>,
}

/// Shows the recovery key until the person has kept it.
pub(crate) async fn show(stage: Rc<Stage>, origin: Origin) {
    let account = match browser::ask::<Status>(&PageRequest::Status).await {
        Ok(status) => super::deployment(&status, &origin)
            .filter(|one| one.progress.question == Some(Question::Keep))
            .map(|one| one.account.clone()),
        Err(browser::NoAnswer) => None,
    };
    let Some(account) = account else { return nothing(&stage) };
    let keep = Rc::new(Keep { stage, origin, account, key: RefCell::default() });
    if !keep.fetch().await {
        return nothing(&keep.stage);
    }
    keep.stage.show(draw(&keep));
    keep.unveil();

    let hiding = keep.clone();
    let document = gloo::utils::document();
    EventListener::new(&document, "visibilitychange", move |_| {
        if gloo::utils::document().hidden() {
            hiding.veil();
        }
    })
    .forget();
    let leaving = keep.clone();
    EventListener::new(&gloo::utils::window(), "pagehide", move |_| leaving.veil()).forget();
}

fn nothing(stage: &Stage) {
    let body = super::outcome(Msg("keep_nothing"), Msg("keep_nothing_detail"));
    stage.finish(super::page(Msg("keep_title"), body));
    stage.say(&Msg("keep_nothing").text());
}

impl Keep {
    async fn fetch(&self) -> bool {
        let request = PageRequest::RecoveryKey { origin: self.origin.clone() };
        let answer = browser::ask::<Option<String>>(&request).await.ok().flatten();
        self.key.replace(answer.map(SecretText::new));
        self.key.borrow().is_some()
    }

    fn account(&self) -> &str {
        self.account.as_ref().map_or(super::host(&self.origin), UserId::as_str)
    }

    /// Puts the key into the document.
    fn unveil(&self) {
        let key = self.key.borrow();
        let Some((key, place)) = key.as_ref().zip(gloo::utils::document().get_element_by_id(PLACE)) else { return };
        let shown = key.expose("shown to the person, who must keep it");
        let groups = shown.split_whitespace().map(|group| el("span").text(group).text(" "));
        place.replace_children_with_node_1(&el("code").class("key").children(groups).as_node());
    }

    /// Takes the key out of the document and out of memory; the person may have it shown again.
    fn veil(self: &Rc<Self>) {
        if self.key.replace(None).is_none() {
            return;
        }
        let Some(place) = gloo::utils::document().get_element_by_id(PLACE) else { return };
        place.replace_children_with_str_1(&Msg("keep_hidden").text());
        self.stage.tell("said", "");
        self.stage.hide("show", false);
        for id in ["copy", "save"] {
            self.stage.enable(id, false);
        }
    }

    fn copy(self: &Rc<Self>) {
        let copied = self.key.borrow().as_ref().map(|key| {
            let clipboard = gloo::utils::window().navigator().clipboard();
            clipboard.write_text(key.expose("the person copies it"))
        });
        let keep = self.clone();
        spawn_local(async move {
            let Some(copied) = copied else { return };
            let said = if JsFuture::from(copied).await.is_ok() { Msg("keep_copied") } else { Msg("keep_copy_failed") };
            keep.stage.tell("said", &said.text());
        });
    }

    fn save(&self) {
        let key = self.key.borrow();
        let Some(key) = key.as_ref() else { return };
        let now = UnixMillis(js_sys::Date::now() as u64);
        let about = Msg("keep_file").with(&[self.account(), super::host(&self.origin), &text::moment(now)]);
        let content = SecretText::new(format!("{about}\n\n{}\n", key.expose("the person saves it")));
        let name = file_name(self.account());
        browser::save_file(&name, "text/plain;charset=utf-8", content.expose("the file's content"));
        self.stage.tell("said", &Msg("keep_saved").text());
    }

    async fn done(self: Rc<Self>) {
        let request = PageRequest::Kept { origin: self.origin.clone() };
        if browser::ask::<Status>(&request).await.is_err() {
            return self.stage.trouble(&Msg("answer_failed").text());
        }
        self.key.replace(None);
        let body = super::outcome(Msg("keep_done_title"), Msg("keep_done_detail"));
        self.stage.finish(super::page(Msg("keep_title"), body));
        self.stage.say(&Msg("keep_done_title").text());
    }
}

/// A name that every file system takes.
fn file_name(account: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let account: String = account.trim_start_matches('@').chars().map(plain).collect();
    format!("recovery-key-{account}.txt")
}

fn draw(keep: &Rc<Keep>) -> El {
    let on = |id: &str, label: Msg, then: fn(&Rc<Keep>)| {
        let keep = keep.clone();
        button(id, &label.text(), move || then(&keep))
    };
    let label = Msg("keep_key").with(&[keep.account()]);
    let key = el("section")
        .class("key-card")
        .child(el("h2").id("key-label").text(&label))
        .child(el("p").id(PLACE).attr("role", "group").attr("aria-labelledby", "key-label"))
        .child(
            el("div")
                .class("buttons")
                .child(on("copy", Msg("keep_copy"), Keep::copy))
                .child(on("save", Msg("keep_save"), |keep| keep.save()))
                .child(on("show", Msg("keep_show"), show_again).flag("hidden", true)),
        )
        .child(el("p").id("said").class("said").attr("role", "status"));
    let place = el("section").child(el("h2").text(&Msg("keep_where_title").text())).child(
        el("ul")
            .class("bullets")
            .child(el("li").text(&Msg("keep_where_manager").text()))
            .child(el("li").text(&Msg("keep_where_not").text())),
    );
    let stage = keep.stage.clone();
    let check = el("input").id("kept").attr("type", "checkbox").on("change", move |event| {
        let checked = event.target().is_some_and(|input| input.unchecked_into::<HtmlInputElement>().checked());
        stage.enable("done", checked);
    });
    let done = on("done", Msg("keep_done"), |keep| spawn_local(keep.clone().done()));
    let body = el("div")
        .class("body")
        .child(el("p").class("lead").text(&Msg("keep_intro").text()))
        .child(key)
        .child(place)
        .child(el("label").class("check").child(check).child(el("span").text(&Msg("keep_check").text())))
        .child(el("p").id("trouble").class("trouble"))
        .child(el("div").class("buttons").child(done.class("primary").flag("disabled", true)));
    super::page(Msg("keep_title"), body)
}

fn show_again(keep: &Rc<Keep>) {
    let keep = keep.clone();
    spawn_local(async move {
        if keep.fetch().await && !gloo::utils::document().hidden() {
            keep.unveil();
            keep.stage.hide("show", true);
            for id in ["copy", "save"] {
                keep.stage.enable(id, true);
            }
        } else {
            keep.stage.trouble(&Msg("answer_failed").text());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_hold_nothing_that_a_file_system_or_a_shell_reads() {
        assert_eq!(file_name("@ann:example.org:8448"), "recovery-key-ann-example.org-8448.txt");
        assert_eq!(file_name("@../a$(b):c"), "recovery-key-..-a--b--c.txt");
    }
}
