//! Themes and languages: other styles and other texts, loaded while Element runs.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use keystead_webdriver_tests::{BrowserKind, Company, PATIENCE, Site, until};
use serde_json::Value;

use super::media::{close_settings, settings};
use super::{Day, is_back};

/// The class that Element gives a page with each theme.
const THEMES: [(&str, &str); 4] = [
    ("dark", "cpd-theme-dark"),
    ("light-high-contrast", "cpd-theme-light-hc"),
    ("dark", "cpd-theme-dark"),
    ("light", "cpd-theme-light"),
];

pub(super) async fn changes(company: &Company, kind: BrowserKind) -> Result<()> {
    let mut day = Day::begin(company, kind, Site::default()).await?;
    day.say("written first").await?;
    day.tries("themes", async |day| {
        settings(day, "USER_APPEARANCE_TAB").await?;
        let system = day.browser.find("input[name=systemTheme]").await?;
        if system.is_selected().await? {
            system.click().await?;
        }
        let mut seen: Vec<(&str, Value)> = Vec::new();
        for (theme, class) in THEMES {
            let shown = theme_of(day, theme, class).await?;
            for (other, before) in &seen {
                ensure!((*other == theme) == (*before == shown), "{theme} shows {shown}, {other} {before}");
            }
            seen.push((theme, shown));
            day.picture(&format!("theme-{theme}")).await?;
        }
        close_settings(day).await
    })
    .await?;
    day.tries("a language", async |day| {
        let words = word(day.guarded.desk.element.dir(), "de")?;
        ensure!(words != word(day.guarded.desk.element.dir(), "en")?, "the same in both languages");
        settings(day, "USER_PREFERENCES_TAB").await?;
        day.browser.find(".mx_LanguageDropdown .mx_Dropdown_input").await?.click().await?;
        day.browser.find("#mx_LanguageDropdown__de").await?.click().await?;
        let german = async || {
            let seen = "return [document.documentElement.lang, document.querySelector(arguments[0])?.ariaLabel];";
            let seen = day.browser.in_page(seen, vec![super::COMPOSER.into()]).await?;
            Ok((seen[0] == "de" && seen[1] == *words).then_some(()))
        };
        until("Element in German", PATIENCE, german).await?;
        day.picture("german").await?;
        is_back(day, "nach dem Neuladen").await
    })
    .await?;
    day.end().await
}

/// Chooses a theme; answers the colours that the page has then.
async fn theme_of(day: &Day, theme: &str, class: &str) -> Result<Value> {
    const SHOWN: &str = "
        const [theme, name] = arguments;
        const link = [...document.querySelectorAll('link[data-mx-theme]')].find((one) => one.dataset.mxTheme.toLowerCase() === theme);
        if (!document.body.classList.contains(name) || link.disabled || !link.sheet?.cssRules.length) return null;
        const style = getComputedStyle(document.body);
        const of = (name) => style.getPropertyValue(name);
        return [style.backgroundColor, of('--cpd-color-text-secondary'), of('--cpd-color-border-interactive-primary')];";
    day.browser.find(&format!("input[name=themeSelector][value={theme}]:enabled")).await?.click().await?;
    let shown = async || {
        let shown = day.browser.in_page(SHOWN, vec![theme.into(), class.into()]).await?;
        Ok(Some(shown).filter(|shown| !shown.is_null()))
    };
    until(&format!("the theme {theme}"), PATIENCE, shown).await
}

/// What the release has an empty composer say in a language.
fn word(release: &Path, language: &str) -> Result<String> {
    let read =
        |name: &str| -> Result<Value> { Ok(serde_json::from_slice(&std::fs::read(release.join("i18n").join(name))?)?) };
    let languages = read("languages.json")?;
    let texts = read(languages[language].as_str().context("no such language")?)?;
    Ok(texts["composer"]["placeholder_encrypted"].as_str().context("no such text")?.to_owned())
}
