//! The texts of a language that is not the browser's own: the policy may name one.
//!
//! `chrome.i18n` follows the browser and nothing else, so the file of the other language is read here.

use std::{cell::RefCell, collections::BTreeMap};

use keystead_core::policy::Language;
use serde::Deserialize;

use crate::browser;

thread_local! {
    static CHOSEN: RefCell<Option<Catalogue>> = const { RefCell::new(None) };
}

/// `messages.json` of one language.
#[derive(Deserialize)]
#[serde(transparent)]
struct Catalogue(BTreeMap<String, Entry>);

#[derive(Deserialize)]
struct Entry {
    message: String,
    #[serde(default)]
    placeholders: BTreeMap<String, Placeholder>,
}

#[derive(Deserialize)]
struct Placeholder {
    content: String,
}

impl Catalogue {
    fn message(&self, name: &str, substitutions: &[&str]) -> String {
        let Some(entry) = self.0.get(name) else { return String::new() };
        let mut filled = String::new();
        // `$NAME$` by turns: text, name, text, name…
        for (index, part) in entry.message.split('$').enumerate() {
            let placeholder = entry.placeholders.get(&part.to_lowercase()).filter(|_| index % 2 == 1);
            let number = placeholder.and_then(|one| one.content.strip_prefix('$')?.parse::<usize>().ok());
            match number {
                Some(number) => filled.push_str(substitutions.get(number.wrapping_sub(1)).copied().unwrap_or_default()),
                None => filled.push_str(part),
            }
        }
        filled
    }
}

/// Reads the language that the policy in force names, if it names one that is not the browser's.
pub(crate) async fn choose() {
    let Some(language) = wanted().await else { return };
    let name = match language {
        Language::De => "de",
        Language::En => "en",
        Language::Fr => "fr",
    };
    if browser::message("language", &[]) == name {
        return;
    }
    let read = browser::read_file(&format!("/_locales/{name}/messages.json")).await;
    let read = read.and_then(|text| serde_json::from_str(&text).ok());
    CHOSEN.with(|chosen| chosen.replace(read));
}

async fn wanted() -> Option<Language> {
    serde_json::from_value(browser::policy_document().await?.get("language")?.clone()).ok()
}

/// A text in the chosen language, else in the browser's; empty where there is none of that name.
pub(crate) fn message(name: &str, substitutions: &[&str]) -> String {
    CHOSEN.with_borrow(|chosen| match chosen {
        Some(catalogue) => catalogue.message(name, substitutions),
        None => browser::message(name, substitutions),
    })
}

/// Has the policy chosen the language?
pub(crate) fn is_chosen() -> bool {
    CHOSEN.with_borrow(Option::is_some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_as_the_browser_does() {
        let text = r#"{
            "of": {"message": "$DONE$ von $ALL$ erledigt", "placeholders": {"all": {"content": "$2"}, "done": {"content": "$1"}}},
            "plain": {"message": "Fertig"}
        }"#;
        let catalogue: Catalogue = serde_json::from_str(text).unwrap();
        assert_eq!(catalogue.message("of", &["3", "7"]), "3 von 7 erledigt");
        assert_eq!(catalogue.message("of", &["3"]), "3 von  erledigt");
        // What is put in is not read again.
        assert_eq!(catalogue.message("of", &["$ALL$", "7"]), "$ALL$ von 7 erledigt");
        assert_eq!(catalogue.message("plain", &[]), "Fertig");
        assert_eq!(catalogue.message("none", &[]), "");
    }
}
