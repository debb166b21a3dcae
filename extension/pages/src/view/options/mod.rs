//! The person's own policy, for those without an organisation's: a form made from the policy's schema.

mod form;
mod shape;

use std::{cell::RefCell, rc::Rc};

use keystead_core::{
    error::Code,
    policy::host_patterns,
    status::{PageRequest, PolicySource, Status},
};
use serde_json::{Map, Value};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::HtmlInputElement;

use self::{form::Widget, shape::Shape};
use crate::{
    browser::{self, Bell},
    dom::{El, Stage, button, el},
    text::{self, Msg},
};

/// The largest file that is read: managed storage holds no more either.
const MOST_BYTES: f64 = 1_048_576.0;

struct Options {
    stage: Rc<Stage>,
    shapes: Vec<Shape>,
    form: RefCell<Option<Widget>>,
}

/// Shows the policy: to change, or to read where an organisation set it.
pub(crate) async fn show(stage: Rc<Stage>) {
    let bell = Bell::of_background();
    let status = loop {
        match browser::ask::<Status>(&PageRequest::Status).await {
            Ok(status) => break status,
            Err(_) => {
                stage.show(super::page(Msg("options_open"), super::note(Msg("no_answer"), Msg("no_answer_detail"))));
                bell.wait(Some(2000)).await;
            }
        }
    };
    let options = Rc::new(Options { stage, shapes: Shape::of_policy(), form: RefCell::default() });
    match status.policy {
        PolicySource::AskIt => {
            let body = super::note(Msg("policy_ask_it"), Msg("policy_ask_it_detail"));
            options.stage.show(super::page(Msg("options_open"), body));
        }
        PolicySource::Managed => options.read_only(&browser::managed_policy().await.unwrap_or_default()),
        PolicySource::None | PolicySource::Own => {
            let own = browser::own_policy().await;
            options.editable(&own.unwrap_or_else(|| Value::Object(Map::new())));
        }
    }
    if let Some((code, path)) = status.policy_problem {
        options.mark(code, &path, None);
    }
}

impl Options {
    fn read_only(&self, document: &Value) {
        let (form, widget) = form::draw_policy(&self.shapes, document);
        self.form.replace(Some(widget));
        let body = el("div")
            .class("body")
            .child(el("p").class("lead notice").text(&Msg("options_managed").text()))
            .child(el("fieldset").class("locked").attr("disabled", "").child(form));
        self.stage.show(super::page(Msg("options_open"), body));
    }

    fn editable(self: &Rc<Self>, document: &Value) {
        let (form, widget) = form::draw_policy(&self.shapes, document);
        self.form.replace(Some(widget));
        let on = |id: &str, label: Msg, then: fn(&Rc<Self>)| {
            let options = self.clone();
            button(id, &label.text(), move || then(&options))
        };
        let bar = el("div")
            .class("bar")
            .child(el("p").id("trouble").class("trouble"))
            .child(el("p").id("said").class("said").attr("role", "status"))
            .child(
                el("div")
                    .class("buttons")
                    .child(on("save", Msg("options_save"), |options| options.save()).class("primary"))
                    .child(on("import", Msg("options_import"), |_| pick()))
                    .child(on("export", Msg("options_export"), |options| options.export())),
            );
        let body = el("div")
            .class("body")
            .child(el("p").class("lead").text(&Msg("options_intro").text()))
            .child(form)
            .child(self.file_input())
            .child(bar);
        self.stage.show(super::page(Msg("options_open"), body));
    }

    fn file_input(self: &Rc<Self>) -> El {
        let options = self.clone();
        el("input")
            .id("import-file")
            .attr("type", "file")
            .attr("accept", ".json,application/json")
            .flag("hidden", true)
            .on("change", move |event| {
                let Some(input) = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) else {
                    return;
                };
                let file = input.files().and_then(|files| files.get(0));
                // The same file may be chosen again after it was corrected.
                input.set_value("");
                if let Some(file) = file {
                    spawn_local(options.clone().import(file));
                }
            })
    }

    fn document(&self) -> Value {
        let form = self.form.borrow();
        form.as_ref().and_then(Widget::read).unwrap_or_else(|| Value::Object(Map::new()))
    }

    /// Asks for access while the click still counts as one, then saves; the background checks.
    fn save(self: &Rc<Self>) {
        self.clear();
        let document = self.document();
        let patterns = host_patterns(&document);
        // Where there is no site to ask for, the background says what is missing.
        let granted = (!patterns.is_empty()).then(|| browser::request_hosts(&patterns));
        let options = self.clone();
        spawn_local(async move {
            if let Some(granted) = granted
                && !granted.await
            {
                return options.stage.trouble(&Msg("options_denied").text());
            }
            let request = PageRequest::SaveOwnPolicy { policy: document.clone() };
            match browser::ask::<Option<(Code, String, String)>>(&request).await {
                Ok(Some((code, path, expected))) => options.mark(code, &path, Some(&expected)),
                // That nothing was refused does not yet mean that it was saved.
                Ok(None) if browser::own_policy().await.as_ref() == Some(&document) => {
                    options.say(Msg("options_saved"));
                }
                Ok(None) => options.stage.trouble(&Msg("answer_failed").text()),
                Err(why) => options.stage.trouble(&text::not_done(why)),
            }
        });
    }

    async fn import(self: Rc<Self>, file: web_sys::File) {
        let read = if file.size() <= MOST_BYTES { JsFuture::from(file.text()).await.ok() } else { None };
        let document = read
            .and_then(|text| text.as_string())
            .and_then(|text| serde_json::from_str::<Value>(&text).ok())
            .filter(Value::is_object);
        self.clear();
        let Some(document) = document else { return self.stage.trouble(&Msg("options_import_bad").text()) };
        // What the form has no place for would be lost in it: refused, and said where.
        if let Err((code, path)) = shape::fits(&self.shapes, &document) {
            let text = format!("{} {} {path}", text::sentence(code), Msg("policy_field").text());
            return self.stage.trouble(&text);
        }
        self.editable(&document);
        self.say(Msg("options_imported"));
    }

    fn export(&self) {
        let document = serde_json::to_string_pretty(&self.document()).unwrap_or_default();
        browser::save_file("keystead-policy.json", "application/json", &format!("{document}\n"));
    }

    fn mark(&self, code: Code, path: &str, expected: Option<&str>) {
        let mut text = text::sentence(code);
        if let Some(expected) = expected {
            text = format!("{text} {}", Msg("options_expected").with(&[expected]));
        }
        if let Some(form) = self.form.borrow().as_ref() {
            form.mark(path, &format!("{text} ({})", code.as_str()));
        }
        self.stage.trouble(&Msg("options_refused").text());
    }

    fn clear(&self) {
        if let Some(form) = self.form.borrow().as_ref() {
            form.unmark();
        }
        self.stage.tell("trouble", "");
        self.stage.tell("said", "");
    }

    fn say(&self, what: Msg) {
        self.stage.tell("said", &what.text());
    }
}

fn pick() {
    if let Some(input) = gloo::utils::document().get_element_by_id("import-file") {
        input.unchecked_into::<HtmlInputElement>().click();
    }
}
