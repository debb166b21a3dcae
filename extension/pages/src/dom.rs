//! A small way to make elements: what is text stays text, and listeners live as long as their element is shown.

use std::cell::{Cell, RefCell};

use gloo::events::EventListener;
use wasm_bindgen::{JsCast, UnwrapThrowExt};
use web_sys::{Element, Event, HtmlButtonElement, HtmlElement};

/// An element that is being made, and the listeners in it.
pub(crate) struct El {
    element: Element,
    listeners: Vec<EventListener>,
}

/// Begins an element.
pub(crate) fn el(tag: &str) -> El {
    // Fails only for a name that no element can have, and every name here is a literal.
    El { element: gloo::utils::document().create_element(tag).unwrap_throw(), listeners: Vec::new() }
}

/// A line drawing of 16 by 16 units, in the colour of the text around it and silent for screen readers.
pub(crate) fn icon(path: &str) -> El {
    let svg = |tag: &str| El {
        element: gloo::utils::document().create_element_ns(Some("http://www.w3.org/2000/svg"), tag).unwrap_throw(),
        listeners: Vec::new(),
    };
    svg("svg")
        .attr("viewBox", "0 0 16 16")
        .attr("class", "icon")
        .attr("aria-hidden", "true")
        .child(svg("path").attr("d", path))
}

impl El {
    /// Adds classes.
    pub(crate) fn class(self, names: &str) -> Self {
        self.attr("class", names)
    }

    /// Names the element, so that focus and open state survive a new drawing.
    pub(crate) fn id(self, id: &str) -> Self {
        self.attr("id", id)
    }

    /// Sets an attribute.
    pub(crate) fn attr(self, name: &str, value: &str) -> Self {
        self.element.set_attribute(name, value).unwrap_throw();
        self
    }

    /// Sets an attribute without a value where `yes`.
    pub(crate) fn flag(self, name: &str, yes: bool) -> Self {
        if yes { self.attr(name, "") } else { self }
    }

    /// Appends text.
    pub(crate) fn text(self, text: &str) -> Self {
        self.element.append_with_str_1(text).unwrap_throw();
        self
    }

    /// Appends an element.
    pub(crate) fn child(mut self, child: Self) -> Self {
        self.element.append_child(&child.element).unwrap_throw();
        self.listeners.extend(child.listeners);
        self
    }

    /// Appends elements.
    pub(crate) fn children(self, children: impl IntoIterator<Item = Self>) -> Self {
        children.into_iter().fold(self, Self::child)
    }

    /// Listens.
    pub(crate) fn on(mut self, event: &'static str, then: impl FnMut(&Event) + 'static) -> Self {
        self.listeners.push(EventListener::new(&self.element, event, then));
        self
    }

    /// The element itself, of the kind it is known to be.
    pub(crate) fn as_node<T: JsCast>(&self) -> T {
        self.element.clone().unchecked_into()
    }
}

/// A button that does something.
pub(crate) fn button(id: &str, label: &str, mut then: impl FnMut() + 'static) -> El {
    el("button").id(id).attr("type", "button").text(label).on("click", move |_| then())
}

/// The part of the document that a view draws in, and the line that screen readers hear.
pub(crate) struct Stage {
    root: Element,
    live: Element,
    shown: RefCell<Option<El>>,
    ended: Cell<bool>,
}

impl Stage {
    /// Finds both in `page.html`.
    pub(crate) fn find() -> Self {
        let document = gloo::utils::document();
        let by_id = |id| document.get_element_by_id(id).unwrap_throw();
        Self { root: by_id("view"), live: by_id("live"), shown: RefCell::new(None), ended: Cell::new(false) }
    }

    /// Shows `drawn` in place of what is shown. What has the focus, and what is folded open, stays so by its id.
    pub(crate) fn show(&self, drawn: El) {
        let document = gloo::utils::document();
        let focused = document.active_element().map(|element| element.id()).filter(|id| !id.is_empty());
        let folds = self.root.query_selector_all("details[id]").unwrap_throw();
        let folds: Vec<(String, bool)> = (0..folds.length())
            .filter_map(|at| folds.item(at)?.dyn_into::<Element>().ok())
            .map(|fold| (fold.id(), fold.has_attribute("open")))
            .collect();

        self.root.replace_children_with_node_1(&drawn.element);
        // The old listeners go only now, with their elements.
        self.shown.replace(Some(drawn));

        for (id, open) in folds {
            if let Some(fold) = document.get_element_by_id(&id) {
                let _ = if open { fold.set_attribute("open", "") } else { fold.remove_attribute("open") };
            }
        }
        if let Some(element) = focused.and_then(|id| document.get_element_by_id(&id)) {
            let _ = element.unchecked_into::<HtmlElement>().focus();
        }
    }

    /// Tells screen readers, unless it is what they were told last.
    pub(crate) fn say(&self, text: &str) {
        if self.live.text_content().as_deref() != Some(text) {
            self.live.set_text_content(Some(text));
        }
    }

    /// Shows the last thing that this view shows.
    pub(crate) fn finish(&self, drawn: El) {
        self.ended.set(true);
        self.show(drawn);
    }

    /// Has [`Stage::finish`] been called?
    pub(crate) fn is_final(&self) -> bool {
        self.ended.get()
    }

    /// Writes a text into the element of this id, which is a live region of its own.
    pub(crate) fn tell(&self, id: &str, text: &str) {
        if let Some(element) = gloo::utils::document().get_element_by_id(id) {
            element.set_text_content(Some(text));
        }
    }

    /// Says near the buttons what did not work, to eyes and ears.
    pub(crate) fn trouble(&self, text: &str) {
        self.tell("trouble", text);
        self.say(text);
    }

    /// Lets the button of this id be pressed, or not.
    pub(crate) fn enable(&self, id: &str, yes: bool) {
        if let Some(button) = gloo::utils::document().get_element_by_id(id) {
            button.unchecked_into::<HtmlButtonElement>().set_disabled(!yes);
        }
    }

    /// Takes the element of this id out of sight and out of the order of the keyboard, or brings it back.
    pub(crate) fn hide(&self, id: &str, yes: bool) {
        if let Some(element) = gloo::utils::document().get_element_by_id(id) {
            let _ = if yes { element.set_attribute("hidden", "") } else { element.remove_attribute("hidden") };
        }
    }
}
