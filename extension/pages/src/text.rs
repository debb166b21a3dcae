//! What the pages say, by name: the words stand in `static/_locales`.

use keystead_core::{error::Code, ident::Fingerprint, status::Refusal, time::UnixMillis};
use wasm_bindgen::JsValue;

use crate::{
    browser::{self, NotDone},
    catalogue,
};

/// The name of a text in `_locales`. Always written `Msg("name")`, so that a test finds every use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Msg(pub(crate) &'static str);

impl Msg {
    /// The text.
    pub(crate) fn text(self) -> String {
        self.with(&[])
    }

    /// The text with its placeholders filled, in their order.
    pub(crate) fn with(self, substitutions: &[&str]) -> String {
        catalogue::message(self.0, substitutions)
    }
}

/// What happened, as a sentence for the person.
pub(crate) fn sentence(code: Code) -> String {
    catalogue::message(&code.as_str().replace('-', "_"), &[])
}

/// What the person can do about it.
pub(crate) fn advice(code: Code) -> String {
    catalogue::message(&format!("{}_do", code.as_str().replace('-', "_")), &[])
}

/// Why the background did not do what the person wanted.
pub(crate) fn not_done(why: NotDone) -> String {
    match why {
        NotDone::NoAnswer => Msg("answer_failed").text(),
        NotDone::Refused(Refusal::Form) => Msg("answer_form").text(),
        NotDone::Refused(Refusal::NotAsked) => Msg("answer_not_asked").text(),
        NotDone::Refused(Refusal::Replaced) => Msg("keep_replaced").text(),
        NotDone::Refused(Refusal::NotSaved) => {
            format!("{} {}", sentence(Code::StoFailed), advice(Code::StoFailed))
        }
        NotDone::Refused(Refusal::NotStarted) => Msg("no_answer_detail").text(),
    }
}

/// A text whose name is made while the program runs; `None` where there is none.
pub(crate) fn named(name: &str) -> Option<String> {
    Some(catalogue::message(name, &[])).filter(|text| !text.is_empty())
}

/// The language of the texts: the browser's where they follow it (`de-AT`), else the one they are written in.
pub(crate) fn language() -> String {
    let written = Msg("language").text();
    let wanted = browser::ui_language();
    let same = wanted.split('-').next() == Some(written.as_str());
    if same && !catalogue::is_chosen() { wanted } else { written }
}

/// A moment as date and time in the person's own form.
pub(crate) fn moment(at: UnixMillis) -> String {
    let date = js_sys::Date::new(&JsValue::from_f64(at.0 as f64));
    let form = js_sys::Object::new();
    for (part, value) in [("dateStyle", "long"), ("timeStyle", "short")] {
        let _ = js_sys::Reflect::set(&form, &part.into(), &value.into());
    }
    String::from(date.to_locale_string(&language(), &form))
}

/// The time of day alone, for what is due soon.
pub(crate) fn time_of_day(at: UnixMillis) -> String {
    let date = js_sys::Date::new(&JsValue::from_f64(at.0 as f64));
    let form = js_sys::Object::new();
    let _ = js_sys::Reflect::set(&form, &"timeStyle".into(), &"medium".into());
    let within_a_day = (at.0 as f64 - js_sys::Date::now()).abs() < 12.0 * 3_600_000.0;
    if within_a_day { String::from(date.to_locale_string(&language(), &form)) } else { moment(at) }
}

/// A fingerprint as people compare it: groups of four digits.
pub(crate) fn groups(fingerprint: &Fingerprint) -> Vec<&str> {
    let text = fingerprint.as_str();
    (0..text.len()).step_by(4).filter_map(|at| text.get(at..(at + 4).min(text.len()))).collect()
}

/// A fingerprint in short: the 16 digits that are its key ID, at the end in version 4 and at the beginning in version 6.
pub(crate) fn short(fingerprint: &Fingerprint) -> String {
    let groups = groups(fingerprint);
    if groups.len() == 10 {
        format!("… {}", groups.get(6..).unwrap_or_default().join(" "))
    } else {
        format!("{} …", groups.get(..4).unwrap_or_default().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_come_in_groups_of_four() {
        let fingerprint = Fingerprint::parse("0123456789ABCDEF0123456789ABCDEF01234567").unwrap();
        assert_eq!(groups(&fingerprint).join(" "), "0123 4567 89AB CDEF 0123 4567 89AB CDEF 0123 4567");
    }

    #[test]
    fn a_fingerprint_in_short_is_its_key_id() {
        let of = |text: &str| short(&Fingerprint::parse(text).unwrap());
        assert_eq!(of("0123456789ABCDEF0123456789ABCDEF01234567"), "… 89AB CDEF 0123 4567");
        let version_6 = "CB186C4F0609A697E4D52DFA6C722B0C1F1E27C18A56708F6525EC27BAD9ACC9";
        assert_eq!(of(version_6), "CB18 6C4F 0609 A697 …");
    }
}
