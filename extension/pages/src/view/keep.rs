//! Keep this recovery key: shown where there is no directory that it could be sealed to.
//!
//! Threat: the one text that opens everything, left behind. So it is fetched only to be shown, taken out of the document
//! when the page goes to the background or is done, offered to no log, and its copies in this module's memory are wiped.
//! (JavaScript's own strings cannot be wiped; they go with the document.)

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use gloo::events::EventListener;
use keystead_core::{
    ident::{KeyId, Origin, UserId},
    secret::SecretText,
    status::{DeploymentView, PageRequest, Question, Refusal, Status},
    time::UnixMillis,
};
use serde::Deserialize;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::HtmlInputElement;

use crate::{
    browser::{self, Bell, NotDone},
    dom::{El, Stage, button, el},
    text::{self, Msg},
};

/// The key's place in the document.
const PLACE: &str = "recovery-key";
/// How long a background that has only just been started may take to come to its question.
const COMES_WITHIN_MS: u32 = 15_000;

struct Keep {
    stage: Rc<Stage>,
    origin: Origin,
    account: RefCell<Option<UserId>>,
    /// Which key this page is about; `None` before the first, and after one that is no more.
    key_id: RefCell<Option<KeyId>>,
    key: RefCell<Option<SecretText>>,
    drawn: Cell<bool>,
    /// The answer is on its way: what the status says meanwhile is not drawn.
    answering: Cell<bool>,
}

/// What the background answers.
#[derive(Deserialize)]
struct Shown {
    key_id: KeyId,
    text: String,
}

/// Shows the recovery key until the person has kept it; and another one that was made in its place, which is then the one
/// to keep.
pub(crate) async fn show(stage: Rc<Stage>, origin: Origin) {
    let bell = Bell::of_background();
    // A background that is stopped forgets the key, and makes another one.
    browser::stay_awake(&bell);
    let keep = Rc::new(Keep {
        stage,
        origin,
        account: RefCell::default(),
        key_id: RefCell::default(),
        key: RefCell::default(),
        drawn: Cell::new(false),
        answering: Cell::new(false),
    });
    let hiding = keep.clone();
    let document = gloo::utils::document();
    EventListener::new(&document, "visibilitychange", move |_| {
        if gloo::utils::document().hidden() {
            hiding.veil(Msg("keep_hidden"));
        }
    })
    .forget();
    let leaving = keep.clone();
    EventListener::new(&gloo::utils::window(), "pagehide", move |_| leaving.veil(Msg("keep_hidden"))).forget();

    let mut patience = Some(COMES_WITHIN_MS);
    loop {
        if !keep.answering.get()
            && let Ok(status) = browser::ask::<Status>(&PageRequest::Status).await
        {
            let shown = super::deployment(&status, &keep.origin);
            if !keep.look(shown, patience.is_none()).await {
                return nothing(&keep.stage);
            }
        }
        let started = js_sys::Date::now();
        bell.wait(patience.filter(|_| !keep.drawn.get())).await;
        patience = patience.and_then(|left| left.checked_sub((js_sys::Date::now() - started) as u32));
        if keep.stage.is_final() {
            return;
        }
    }
}

fn nothing(stage: &Stage) {
    let body = super::outcome(Msg("keep_nothing"), Msg("keep_nothing_detail"));
    stage.finish(super::page(Msg("keep_title"), body));
    stage.say(&Msg("keep_nothing").text());
}

impl Keep {
    /// Draws what the background says; `false` where there is nothing to keep.
    async fn look(self: &Rc<Self>, shown: Option<&DeploymentView>, waited: bool) -> bool {
        let Some(Question::Keep { key_id }) = shown.and_then(|shown| shown.progress.question.as_ref()) else {
            // A background that has only just been started comes to the question, with another key.
            let comes = shown.is_some_and(super::is_open) && (self.drawn.get() || !waited);
            if comes && self.key_id.replace(None).is_some() {
                self.forget(Msg("keep_again"));
            }
            return comes;
        };
        if self.key_id.borrow().as_ref() == Some(key_id) {
            return true;
        }
        let replaced = self.drawn.replace(true);
        if replaced {
            self.forget(Msg("keep_replaced"));
        } else {
            self.account.replace(shown.and_then(|shown| shown.account.clone()));
            self.stage.show(draw(self));
        }
        self.key_id.replace(Some(key_id.clone()));
        if gloo::utils::document().hidden() {
            self.put(Msg("keep_hidden"));
            self.stage.hide("show", false);
        } else {
            self.unveil().await;
        }
        true
    }

    /// The key that is shown is not to be kept any more: takes it away, and whatever the person said of it.
    fn forget(&self, why: Msg) {
        self.key.replace(None);
        self.put(why);
        if let Some(kept) = gloo::utils::document().get_element_by_id("kept") {
            kept.unchecked_into::<HtmlInputElement>().set_checked(false);
        }
        self.enable(false);
        self.stage.enable("done", false);
        self.stage.hide("show", true);
        self.stage.tell("said", "");
        self.stage.trouble(&why.text());
    }

    fn account(&self) -> String {
        self.account.borrow().as_ref().map_or(super::host(&self.origin), UserId::as_str).to_owned()
    }

    /// Fetches the key and puts it into the document; it is the one that this page is about, or another look is due.
    async fn unveil(self: &Rc<Self>) {
        let request = PageRequest::RecoveryKey { origin: self.origin.clone() };
        let Shown { key_id, text } = match browser::ask::<Shown>(&request).await {
            Ok(shown) => shown,
            Err(why) => return self.stage.trouble(&text::not_done(why)),
        };
        let text = SecretText::new(text);
        if self.key_id.borrow().as_ref() != Some(&key_id) {
            return self.forget(Msg("keep_again"));
        }
        let Some(place) = gloo::utils::document().get_element_by_id(PLACE) else { return };
        let shown = text.expose("shown to the person, who must keep it");
        let groups = shown.split_whitespace().map(|group| el("span").text(group).text(" "));
        place.replace_children_with_node_1(&el("code").class("key").children(groups).as_node());
        self.key.replace(Some(text));
        self.stage.hide("show", true);
        self.enable(true);
    }

    /// Takes the key out of the document and out of memory; the person may have it shown again.
    fn veil(&self, why: Msg) {
        if self.key.replace(None).is_none() {
            return;
        }
        self.put(why);
        self.stage.tell("said", "");
        self.stage.hide("show", false);
        self.enable(false);
    }

    /// Puts words in the key's place.
    fn put(&self, words: Msg) {
        if let Some(place) = gloo::utils::document().get_element_by_id(PLACE) {
            place.replace_children_with_str_1(&words.text());
        }
    }

    fn enable(&self, yes: bool) {
        for id in ["copy", "save"] {
            self.stage.enable(id, yes);
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
        let about = Msg("keep_file").with(&[&self.account(), super::host(&self.origin), &text::moment(now)]);
        let content = SecretText::new(format!("{about}\n\n{}\n", key.expose("the person saves it")));
        let name = file_name(&self.account());
        browser::save_file(&name, "text/plain;charset=utf-8", content.expose("the file's content"));
        self.stage.tell("said", &Msg("keep_saved").text());
    }

    async fn done(self: Rc<Self>) {
        let Some(key_id) = self.key_id.borrow().clone() else { return };
        self.answering.set(true);
        self.stage.enable("done", false);
        let request = PageRequest::Kept { origin: self.origin.clone(), key_id };
        let answer = browser::ask::<Status>(&request).await;
        self.answering.set(false);
        match answer {
            Ok(_) => {
                self.key.replace(None);
                let body = super::outcome(Msg("keep_done_title"), Msg("keep_done_detail"));
                self.stage.finish(super::page(Msg("keep_title"), body));
                self.stage.say(&Msg("keep_done_title").text());
            }
            Err(NotDone::Refused(Refusal::Replaced | Refusal::NotAsked)) => {
                self.key_id.replace(None);
                self.forget(Msg("keep_again"));
            }
            Err(why) => {
                self.stage.enable("done", true);
                self.stage.trouble(&text::not_done(why));
            }
        }
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
    let label = Msg("keep_key").with(&[&keep.account()]);
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
    spawn_local(async move { keep.unveil().await });
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
