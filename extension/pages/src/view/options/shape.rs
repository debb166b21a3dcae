//! What the form looks like: the policy's schema, read for people.

use keystead_core::{error::Code, policy};
use serde_json::Value;

use crate::text;

/// What an armored certificate is called in the schema: the one kind of text that has many lines.
const CERTIFICATE: &str = "Armored certificate";

/// Whether the form has a place for something: if not, why, and at which path.
pub(crate) type Fits = Result<(), (Code, String)>;

/// One field of the policy.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shape {
    /// Its name in the document; empty for the entries of a list.
    pub(crate) field: String,
    /// The name of its texts.
    pub(crate) name: String,
    /// What it is called, in English.
    title: String,
    /// What it is for, in English.
    help: Option<String>,
    /// Must it be there?
    pub(crate) required: bool,
    /// What can be entered.
    pub(crate) kind: Kind,
}

/// What can be entered in a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// A line of text.
    Line,
    /// An armored OpenPGP certificate.
    Certificate,
    /// One of these words.
    Choice(Vec<String>),
    /// Any of these words.
    Choices(Vec<String>),
    /// A whole number.
    Whole {
        /// Not less.
        least: Option<i64>,
        /// Not more.
        most: Option<i64>,
    },
    /// Yes or no.
    Switch {
        /// What holds where the document says nothing.
        default: bool,
    },
    /// Any number of these.
    List(Box<Shape>),
    /// These fields together.
    Section(Vec<Shape>),
}

impl Shape {
    /// The fields of the whole policy, in the schema's order.
    pub(crate) fn of_policy() -> Vec<Self> {
        fields(policy::schema(), "policy")
    }

    /// What it is called, in the person's language.
    pub(crate) fn title(&self) -> String {
        text::named(&self.name).unwrap_or_else(|| self.title.clone())
    }

    /// What it is for, in the person's language.
    pub(crate) fn help(&self) -> Option<String> {
        self.help.as_ref().map(|help| text::named(&format!("{}_help", self.name)).unwrap_or_else(|| help.clone()))
    }

    fn fits(&self, value: &Value, path: &str) -> Fits {
        let entries = |item: &dyn Fn(&Value, &str) -> Fits| match value.as_array() {
            Some(all) => all.iter().enumerate().try_for_each(|(at, one)| item(one, &format!("{path}[{at}]"))),
            None => Err((Code::PolType, path.to_owned())),
        };
        let is = |yes: bool, path: &str| if yes { Ok(()) } else { Err((Code::PolType, path.to_owned())) };
        match &self.kind {
            Kind::Section(fields) => fields_fit(fields, value, path),
            Kind::List(item) => entries(&|one, path| item.fits(one, path)),
            Kind::Choices(words) => entries(&|one, path| is(words.iter().any(|word| one == word), path)),
            Kind::Choice(words) => is(words.iter().any(|word| value == word), path),
            Kind::Switch { .. } => is(value.is_boolean(), path),
            Kind::Whole { .. } => is(value.is_i64() || value.is_u64(), path),
            Kind::Line | Kind::Certificate => is(value.is_string(), path),
        }
    }
}

fn fields(node: &Value, name: &str) -> Vec<Shape> {
    let required = |field: &str| node["required"].as_array().is_some_and(|names| names.iter().any(|one| one == field));
    let properties = node["properties"].as_object().into_iter().flatten();
    properties.map(|(field, child)| shape(child, field, format!("{name}_{field}"), required(field))).collect()
}

fn shape(node: &Value, field: &str, name: String, required: bool) -> Shape {
    let text = |keyword: &str| node[keyword].as_str().map(str::to_owned);
    let (title, help) = (text("title").unwrap_or_default(), text("description"));
    let words = |node: &Value| -> Option<Vec<String>> {
        Some(node["enum"].as_array()?.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect())
    };
    let kind = match node["type"].as_str().unwrap_or_default() {
        "object" => Kind::Section(fields(node, &name)),
        "array" => match words(&node["items"]) {
            Some(words) => Kind::Choices(words),
            None => Kind::List(Box::new(shape(&node["items"], "", format!("{name}_item"), false))),
        },
        "integer" => Kind::Whole { least: node["minimum"].as_i64(), most: node["maximum"].as_i64() },
        // Chromium allows no `default` in a managed schema: the description says it.
        "boolean" => Kind::Switch { default: help.as_deref().is_some_and(|help| help.contains("Default: true")) },
        _ => match words(node) {
            Some(words) => Kind::Choice(words),
            None if title == CERTIFICATE => Kind::Certificate,
            None => Kind::Line,
        },
    };
    Shape { field: field.to_owned(), name, title, help, required, kind }
}

/// Has the form a place for everything in the document?
///
/// # Errors
/// [`Code::PolField`] or [`Code::PolType`] and the path of the first field that it has none for.
pub(crate) fn fits(shapes: &[Shape], document: &Value) -> Fits {
    fields_fit(shapes, document, "")
}

fn fields_fit(shapes: &[Shape], value: &Value, path: &str) -> Fits {
    let Some(all) = value.as_object() else { return Err((Code::PolType, path.to_owned())) };
    all.iter().try_for_each(|(field, value)| {
        let path = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
        let shape = shapes.iter().find(|shape| &shape.field == field).ok_or((Code::PolField, path.clone()))?;
        shape.fits(value, &path)
    })
}

/// One step of a path such as `deployments[0].homeserver`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'p> {
    /// A field.
    Field(&'p str),
    /// An entry of a list.
    Entry(usize),
}

/// The first step of a path and the rest; `None` at its end, or where it is no path.
pub(crate) fn first_step(path: &str) -> Option<(Step<'_>, &str)> {
    if let Some(rest) = path.strip_prefix('[') {
        let (index, rest) = rest.split_once(']')?;
        return Some((Step::Entry(index.parse().ok()?), rest.strip_prefix('.').unwrap_or(rest)));
    }
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (field, rest) = path.split_at(end);
    (!field.is_empty()).then_some((Step::Field(field), rest.strip_prefix('.').unwrap_or(rest)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at<'s>(shapes: &'s [Shape], field: &str) -> &'s Shape {
        shapes.iter().find(|shape| shape.field == field).unwrap()
    }

    fn inside(shape: &Shape) -> &[Shape] {
        match &shape.kind {
            Kind::Section(fields) => fields,
            Kind::List(item) => inside(item),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_kind_of_field_is_known_for_what_it_is() {
        let policy = Shape::of_policy();
        let deployment = inside(at(&policy, "deployments"));
        assert!(deployment.iter().all(|field| field.required && field.kind == Kind::Line));
        let directory = inside(at(&policy, "directory"));
        assert_eq!(at(directory, "wkd").kind, Kind::Switch { default: false });
        assert!(matches!(&at(directory, "certifiers").kind, Kind::List(item) if item.kind == Kind::Certificate));
        assert!(matches!(&at(directory, "on_missing").kind, Kind::Choice(words) if words.len() == 3));
        assert!(matches!(&at(directory, "certification_max_age_days").kind, Kind::Whole { least: Some(1), .. }));
        assert_eq!(at(inside(at(&policy, "pins")), "share").kind, Kind::Switch { default: true });
        assert!(matches!(&at(inside(at(&policy, "integrity")), "passive").kind, Kind::Choices(_)));
    }

    #[test]
    fn every_switch_says_its_default() {
        fn walk(shape: &Shape) {
            match &shape.kind {
                Kind::Switch { .. } => {
                    let help = shape.help.as_deref().unwrap_or_default();
                    assert!(help.contains("Default: true") || help.contains("Default: false"), "{}", shape.name);
                }
                Kind::Section(fields) => fields.iter().for_each(walk),
                Kind::List(item) => walk(item),
                _ => {}
            }
        }
        Shape::of_policy().iter().for_each(walk);
    }

    #[test]
    fn what_the_form_has_no_place_for_is_found() {
        let shapes = Shape::of_policy();
        let good = json!({ "deployments": [{ "origin": "" }], "directory": { "wkd": true }, "integrity": { "passive": ["font"] } });
        assert_eq!(fits(&shapes, &good), Ok(()));
        let bad = [
            (json!({ "directory": { "certifers": [] } }), Code::PolField, "directory.certifers"),
            (json!({ "deployments": [{}, { "origin": 1 }] }), Code::PolType, "deployments[1].origin"),
            (json!({ "directory": { "on_missing": "never" } }), Code::PolType, "directory.on_missing"),
            (json!({ "restore": { "retain_hours": 1.5 } }), Code::PolType, "restore.retain_hours"),
            (json!([]), Code::PolType, ""),
        ];
        for (document, code, path) in bad {
            assert_eq!(fits(&shapes, &document), Err((code, path.to_owned())));
        }
    }

    #[test]
    fn paths_are_walked_step_by_step() {
        let mut path = "deployments[12].homeserver";
        let mut steps = Vec::new();
        while let Some((step, rest)) = first_step(path) {
            steps.push(step);
            path = rest;
        }
        assert_eq!(steps, [Step::Field("deployments"), Step::Entry(12), Step::Field("homeserver")]);
        for bad in ["", "[x]", "[1", "."] {
            assert_eq!(first_step(bad), None, "{bad}");
        }
    }
}
