//! The form: draws the shapes with the document's values, reads them back, and shows at a field what is wrong with it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use serde_json::{Map, Value};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, HtmlInputElement, HtmlSelectElement, HtmlTextAreaElement};

use super::shape::{Kind, Shape, Step, first_step};
use crate::{
    dom::{El, button, el},
    text::Msg,
};

/// Sections that stay open also where they are empty: what everybody has to fill in.
const ALWAYS_OPEN: [&str; 2] = ["deployments", "directory"];

/// A field on the page.
pub(super) struct Widget {
    input: Input,
    /// What takes the focus when there is something wrong, and the line that says so.
    focus: Element,
    error: Element,
}

enum Input {
    Line(HtmlInputElement),
    Lines(HtmlTextAreaElement),
    Choice(HtmlSelectElement),
    Choices(Vec<(String, HtmlInputElement)>),
    Whole(HtmlInputElement),
    Switch(HtmlInputElement, bool),
    List(Rc<List>),
    Section(Vec<(String, Widget)>),
}

/// The whole policy: draws it, and returns what reads it back.
pub(super) fn draw_policy(shapes: &[Shape], document: &Value) -> (El, Widget) {
    let error = error_line("policy");
    let mut form = el("div").class("sections").child(error.1);
    let mut fields = Vec::new();
    let mut rest = el("div").class("fields");
    for shape in shapes {
        let value = document.get(&shape.field);
        let (drawn, widget) = draw(shape, &format!("policy-{}", shape.field), value);
        fields.push((shape.field.clone(), widget));
        if matches!(shape.kind, Kind::Section(_) | Kind::List(_)) {
            let open = value.is_some() || ALWAYS_OPEN.contains(&shape.field.as_str());
            let summary = el("summary").child(el("h2").text(&shape.title()));
            form = form.child(
                el("details").id(&format!("section-{}", shape.field)).flag("open", open).child(summary).child(drawn),
            );
        } else {
            rest = rest.child(drawn);
        }
    }
    let form = form.child(el("div").class("section").child(rest));
    let focus = form.as_node();
    (form, Widget { input: Input::Section(fields), focus, error: error.0 })
}

/// The line under a field that says what is wrong: the element, and the same to be appended.
fn error_line(id: &str) -> (Element, El) {
    let line = el("p").id(&format!("{id}-error")).class("field-error");
    (line.as_node(), line)
}

fn draw(shape: &Shape, id: &str, value: Option<&Value>) -> (El, Widget) {
    match &shape.kind {
        Kind::Section(fields) => draw_section(shape, fields, id, value),
        Kind::List(item) => List::draw(shape, item, id, value),
        Kind::Choices(words) => draw_choices(shape, words, id, value),
        Kind::Switch { default } => {
            let on = value.and_then(Value::as_bool).unwrap_or(*default);
            let input = el("input").id(id).attr("type", "checkbox").flag("checked", on);
            let node: HtmlInputElement = input.as_node();
            leaf(shape, id, input, Input::Switch(node, *default))
        }
        Kind::Choice(words) => {
            let chosen = value.and_then(Value::as_str);
            let option = |word: &str, label: &str| {
                el("option").attr("value", word).flag("selected", chosen == Some(word)).text(label)
            };
            let mut input = el("select").id(id);
            if !shape.required {
                input = input.child(option("", &Msg("options_default").text()));
            }
            let input = input.children(words.iter().map(|word| option(word, word)));
            let node = input.as_node();
            leaf(shape, id, input, Input::Choice(node))
        }
        Kind::Whole { least, most } => {
            let mut input = el("input").id(id).attr("type", "number").attr("step", "1").attr("inputmode", "numeric");
            for (name, bound) in [("min", least), ("max", most)] {
                if let Some(bound) = bound {
                    input = input.attr(name, &bound.to_string());
                }
            }
            let input = input.attr("value", &value.map(Value::to_string).unwrap_or_default());
            let node = input.as_node();
            leaf(shape, id, input, Input::Whole(node))
        }
        Kind::Line => {
            let input = plain(el("input").id(id).attr("type", "text"))
                .attr("value", value.and_then(Value::as_str).unwrap_or_default());
            let node = input.as_node();
            leaf(shape, id, input, Input::Line(node))
        }
        Kind::Certificate => {
            let input = plain(el("textarea").id(id).attr("rows", "6"))
                .attr("placeholder", "-----BEGIN PGP PUBLIC KEY BLOCK-----")
                .text(value.and_then(Value::as_str).unwrap_or_default());
            let node = input.as_node();
            leaf(shape, id, input, Input::Lines(node))
        }
    }
}

/// No guessing and no correcting by the browser: these are names and addresses.
fn plain(input: El) -> El {
    input.attr("spellcheck", "false").attr("autocomplete", "off").attr("autocapitalize", "off")
}

fn help(shape: &Shape, id: &str) -> Option<El> {
    shape.help().map(|text| el("p").id(&format!("{id}-help")).class("help").text(&text))
}

fn leaf(shape: &Shape, id: &str, control: El, input: Input) -> (El, Widget) {
    let (error, error_el) = error_line(id);
    let help = help(shape, id);
    let described = if help.is_some() { format!("{id}-help {id}-error") } else { format!("{id}-error") };
    let control = control.attr("aria-describedby", &described).flag("required", shape.required);
    let focus = control.as_node();
    let switch = matches!(input, Input::Switch(..));
    let mut label = el("label").attr("for", id).text(&shape.title());
    if shape.required {
        label = label.text(" ").child(el("span").class("required").text(&Msg("options_required").text()));
    }
    let field = el("div").class(if switch { "field switch" } else { "field" });
    let field = if switch { field.child(control).child(label) } else { field.child(label).child(control) };
    (field.children(help).child(error_el), Widget { input, focus, error })
}

fn draw_section(shape: &Shape, fields: &[Shape], id: &str, value: Option<&Value>) -> (El, Widget) {
    let (error, error_el) = error_line(id);
    let mut section = el("div").class("fields").attr("tabindex", "-1").children(help(shape, id)).child(error_el);
    let mut widgets = Vec::new();
    for field in fields {
        let (drawn, widget) =
            draw(field, &format!("{id}-{}", field.field), value.and_then(|all| all.get(&field.field)));
        section = section.child(drawn);
        widgets.push((field.field.clone(), widget));
    }
    let focus = section.as_node();
    (section, Widget { input: Input::Section(widgets), focus, error })
}

fn draw_choices(shape: &Shape, words: &[String], id: &str, value: Option<&Value>) -> (El, Widget) {
    let chosen = |word: &String| value.and_then(Value::as_array).is_some_and(|all| all.iter().any(|one| one == word));
    let (error, error_el) = error_line(id);
    let mut group = el("fieldset")
        .class("field choices")
        .attr("tabindex", "-1")
        .child(el("legend").text(&shape.title()))
        .children(help(shape, id));
    let mut inputs = Vec::new();
    for word in words {
        let input = el("input").id(&format!("{id}-{word}")).attr("type", "checkbox").flag("checked", chosen(word));
        inputs.push((word.clone(), input.as_node()));
        group = group.child(el("label").class("check").child(input).child(el("code").text(word)));
    }
    let group = group.child(error_el);
    let focus = group.as_node();
    (group, Widget { input: Input::Choices(inputs), focus, error })
}

/// A list: its entries come and go.
struct List {
    item: Shape,
    id: String,
    rows: RefCell<Vec<Row>>,
    body: Element,
    next: Cell<usize>,
}

struct Row {
    number: usize,
    widget: Widget,
    // Holds the row's listeners.
    drawn: El,
}

impl List {
    fn draw(shape: &Shape, item: &Shape, id: &str, value: Option<&Value>) -> (El, Widget) {
        let (error, error_el) = error_line(id);
        let body = el("div").class("rows");
        let list = Rc::new(Self {
            item: item.clone(),
            id: id.to_owned(),
            rows: RefCell::default(),
            body: body.as_node(),
            next: Cell::new(0),
        });
        for entry in value.and_then(Value::as_array).into_iter().flatten() {
            list.add(Some(entry));
        }
        // The first deployment waits to be filled in; a certificate within a section that nobody wants does not.
        if shape.required && matches!(item.kind, Kind::Section(_)) && list.rows.borrow().is_empty() {
            list.add(None);
        }
        let adding = list.clone();
        let add_id = format!("{id}-add");
        let add = button(&add_id, &Msg("options_add").with(&[&item.title()]), move || adding.add(None)).class("add");
        let focus = add.as_node();
        let whole = el("fieldset").class("field list").child(el("legend").text(&shape.title()));
        let whole = whole.children(help(shape, id)).child(error_el).child(body).child(add);
        (whole, Widget { input: Input::List(list), focus, error })
    }

    fn add(self: &Rc<Self>, value: Option<&Value>) {
        let number = self.next.replace(self.next.get() + 1);
        let id = format!("{}-{number}", self.id);
        let (drawn, widget) = draw(&self.item, &id, value);
        let list = Rc::downgrade(self);
        let remove = button(&format!("{id}-remove"), &Msg("options_remove").text(), move || {
            if let Some(list) = list.upgrade() {
                list.remove(number);
            }
        });
        let remove = remove
            .attr("aria-label", &Msg("options_remove_of").with(&[&self.item.title(), &(number + 1).to_string()]))
            .class("remove");
        let drawn = el("div").class("row").child(drawn).child(remove);
        let _ = self.body.append_child(&drawn.as_node());
        if value.is_none() {
            widget.focus_first();
        }
        self.rows.borrow_mut().push(Row { number, widget, drawn });
    }

    fn remove(&self, number: usize) {
        let row = {
            let mut rows = self.rows.borrow_mut();
            rows.iter().position(|row| row.number == number).map(|at| rows.remove(at))
        };
        if let Some(row) = row {
            row.drawn.as_node::<Element>().remove();
        }
        focus_id(&format!("{}-add", self.id));
    }
}

fn focus_id(id: &str) {
    if let Some(element) = gloo::utils::document().get_element_by_id(id) {
        let _ = element.unchecked_into::<HtmlElement>().focus();
    }
}

impl Widget {
    /// The value as the document has it; `None` where nothing is entered.
    pub(super) fn read(&self) -> Option<Value> {
        let text = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        match &self.input {
            Input::Line(input) => text(input.value()).map(Value::String),
            // An armored text ends with a line break; what surrounds it is not part of it.
            Input::Lines(input) => text(input.value()).map(|text| Value::String(format!("{text}\n"))),
            Input::Choice(input) => text(input.value()).map(Value::String),
            Input::Choices(inputs) => {
                let chosen = inputs.iter().filter(|(_, input)| input.checked());
                let chosen: Vec<_> = chosen.map(|(word, _)| Value::String(word.clone())).collect();
                (!chosen.is_empty()).then_some(Value::Array(chosen))
            }
            // What is no number stays a text: the validation says so at the field.
            Input::Whole(input) if input.validity().bad_input() => Some(Value::String("?".to_owned())),
            Input::Whole(input) => text(input.value())
                .map(|text| text.parse::<serde_json::Number>().map_or(Value::String(text), Value::Number)),
            Input::Switch(input, default) => (input.checked() != *default).then(|| Value::Bool(input.checked())),
            Input::List(list) => {
                let entries: Vec<_> = list.rows.borrow().iter().map(|row| row.widget.read_entry()).collect();
                (!entries.is_empty()).then_some(Value::Array(entries))
            }
            Input::Section(fields) => {
                let read = |(name, field): &(String, Self)| field.read().map(|value| (name.clone(), value));
                let all: Map<String, Value> = fields.iter().filter_map(read).collect();
                (!all.is_empty()).then_some(Value::Object(all))
            }
        }
    }

    /// An entry of a list is there even where it is empty, so that paths count as the page does.
    fn read_entry(&self) -> Value {
        self.read().unwrap_or_else(|| match self.input {
            Input::Section(_) => Value::Object(Map::new()),
            _ => Value::String(String::new()),
        })
    }

    /// Shows what is wrong at the field of this path, or at the nearest that there is, and goes there.
    pub(super) fn mark(&self, path: &str, text: &str) {
        match (&self.input, first_step(path)) {
            (Input::Section(fields), Some((Step::Field(name), rest))) => {
                if let Some((_, field)) = fields.iter().find(|(field, _)| field == name) {
                    return field.mark(rest, text);
                }
            }
            (Input::List(list), Some((Step::Entry(index), rest))) => {
                if let Some(row) = list.rows.borrow().get(index) {
                    return row.widget.mark(rest, text);
                }
            }
            _ => {}
        }
        self.error.set_text_content(Some(text));
        let _ = self.focus.set_attribute("aria-invalid", "true");
        if let Ok(Some(fold)) = self.error.closest("details") {
            let _ = fold.set_attribute("open", "");
        }
        let _ = self.focus.unchecked_ref::<HtmlElement>().focus();
    }

    /// Takes back what was marked.
    pub(super) fn unmark(&self) {
        self.error.set_text_content(None);
        let _ = self.focus.remove_attribute("aria-invalid");
        match &self.input {
            Input::Section(fields) => fields.iter().for_each(|(_, field)| field.unmark()),
            Input::List(list) => list.rows.borrow().iter().for_each(|row| row.widget.unmark()),
            _ => {}
        }
    }

    fn focus_first(&self) {
        match &self.input {
            Input::Section(fields) => {
                if let Some((_, field)) = fields.first() {
                    field.focus_first();
                }
            }
            _ => {
                let _ = self.focus.unchecked_ref::<HtmlElement>().focus();
            }
        }
    }
}
