//! The extension's own pages in every language, light and dark: nothing is cut, nothing is missing. Leaves pictures.
//!
//! What the person is asked stands on pages that come up in accounts of many kinds. Here the background's answer has each
//! question put into it; that the questions come up, and what an answer does, is what the other tables are about.

use anyhow::{Context, Result, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::fit::{LANGUAGES, fits};
use keystead_webdriver_tests::rows::{Rows, output_dir};
use keystead_webdriver_tests::{Browser, BrowserKind, BrowserOptions, Company, Employee, Extension, PATIENCE, State};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use thirtyfour::By;

use crate::scene::find;

/// The views of an account whose set-up is complete, and what is there when they are drawn.
const VIEWS: [(&str, &str, (u32, u32)); 4] = [
    ("popup", ".more", (420, 1000)),
    ("options", "fieldset", (900, 1000)),
    ("phone", "ol", (900, 1000)),
    ("drill", "#opened", (900, 1300)),
];

/// Puts into what the background says of an account how the address of the page wants it to stand.
const ASKED: &str = r#"
globalThis.keysteadAsk = async (message) => {
    const answer = await chrome.runtime.sendMessage(message);
    const asked = JSON.parse(new URLSearchParams(location.hash.split("?")[1]).get("asked"));
    if (asked && message.ask === "status") Object.assign(answer.Ok.deployments[0].progress, asked.progress);
    return asked?.[message.ask] ?? answer;
};
"#;
/// Longer names than most people have.
const ACCOUNT: &str = "@maximiliane.von-hohenberg:matrix.example.org";
const SECURITY_CODE: &str = "40283 11957 00412 86530 77194 20368";

/// A page on which the person is asked something.
struct Asked {
    /// What the picture is named by.
    name: &'static str,
    /// The view's name.
    view: &'static str,
    /// What is there when it is drawn.
    drawn: &'static str,
    /// What the background is to say.
    says: Value,
}

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    for language in LANGUAGES {
        let name = format!("pages: nothing is cut or missing in {language}, light and dark");
        rows.add_shared(kind, &name, fit(company, kind, language));
    }
}

async fn fit(company: &Company, kind: BrowserKind, language: &str) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    let element = desk.element.url();
    let mut policy = company.policy(&desk);
    policy["language"] = json!(language);
    policy["restore"] = json!({ "gnupg_host": "com.keystead.gpgme" });
    let extension = Extension::packed_for_tests(kind)?;
    extension.listen_before("pages/page.js", ASKED)?;
    extension.replace_in("pages/keystead-pages.js", "chrome.runtime.sendMessage(", "keysteadAsk(")?;
    let browser = Browser::start(kind, BrowserOptions { extension, policy }).await?;
    browser.wait_until_installed().await?;
    browser.log_in(&element, &ann.localpart, &ann.password).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    let mut headings = Vec::new();
    for (view, drawn, size) in VIEWS {
        let path = format!("pages/page.html#{view}?origin={element}");
        headings.extend(looks(&browser, &path, view, language, drawn, size).await?);
    }
    for Asked { name, view, drawn, says } in questions(company, &ann).await? {
        let says = utf8_percent_encode(&says.to_string(), NON_ALPHANUMERIC).to_string();
        let path = format!("pages/page.html#{view}?origin={element}&asked={says}");
        headings.extend(looks(&browser, &path, name, language, drawn, (900, 1500)).await?);
    }
    ensure!(headings.iter().all(|heading| !heading.is_empty()), "{headings:?}");
    browser.quit().await
}

/// Looks at a page, light and dark; answers its headings.
async fn looks(
    browser: &Browser,
    path: &str,
    name: &str,
    language: &str,
    drawn: &str,
    (width, height): (u32, u32),
) -> Result<Vec<String>> {
    let name = |dark: bool| format!("{name}-{language}-{}", if dark { "dark" } else { "light" });
    let browser_name = browser.kind().name();
    let looked = browser.in_own_page_at(path, async |session| {
        session.set_window_rect(0, 0, width, height).await?;
        let mut headings = Vec::new();
        for dark in [false, true] {
            browser.prefer_dark(dark).await?;
            find(session, drawn).await?;
            let fits = fits(session, "#view").await;
            let picture = output_dir()?.join(format!("page-{}-{browser_name}.png", name(dark)));
            session.find(By::Css("body")).await?.screenshot(&picture).await?;
            fits.with_context(|| name(dark))?;
            headings.push(session.find(By::Css("h1")).await?.text().await?);
        }
        Ok(headings)
    });
    looked.await.with_context(|| name(false))
}

/// Whatever a person can be asked.
async fn questions(company: &Company, ann: &Employee) -> Result<[Asked; 9]> {
    let (key_id, message) = company.sealed_recovery(ann).await?;
    let identity = company.identity(ann).await?;
    let master_key = identity[0].as_object().and_then(|keys| keys.values().next()).context("no master key")?;
    let asks = |state: &str, problem: &str, mut question: Value| {
        question["account"] = json!(ACCOUNT);
        json!({ "progress": { "state": state, "question": question, "problem": [problem, 1_700_000_000_000_u64] } })
    };
    let whose = |kind: &str| {
        let question = json!({ "ask": kind, "master_key": master_key, "security_code": SECURITY_CODE });
        asks("believe", "KS-REC-BELIEVE", question)
    };
    let recover = |gnupg: Value, group: Option<usize>, problem: &str| {
        let question = json!({ "ask": "recover", "message": message, "gnupg": gnupg, "group": group });
        asks("recover", problem, question)
    };
    let adopt = |passphrase: bool, group: Option<usize>, problem: &str| {
        asks("adopt", problem, json!({ "ask": "adopt", "passphrase": passphrase, "group": group }))
    };
    let certificate = json!({
        "ask": "confirm", "address": "maximiliane.von-hohenberg@example.org",
        "user_id": "Maximiliane von Hohenberg (Vertrieb) <maximiliane.von-hohenberg@example.org>",
        "fingerprint": "0123456789ABCDEF0123456789ABCDEF01234567",
    });
    let mut keep = asks("keep", "KS-REC-KEEP", json!({ "ask": "keep", "key_id": key_id }));
    let key = "EsTb 7c2W nQ9k Lm4R xY6v Hd3P uJ8s Zt5A qG1e Bf7N wK2o MrX9";
    keep["recovery_key"] = json!({ "Ok": { "key_id": key_id, "text": key } });
    let of = |name, view, drawn, says| Asked { name, view, drawn, says };
    Ok([
        of("recover", "recover", "#opened", recover(Value::Null, None, "KS-REC-RECOVER")),
        of("recover-gnupg", "recover", "#gnupg", recover(json!({ "problem": null }), None, "KS-REC-RECOVER")),
        of("recover-trouble", "recover", "#gnupg", {
            recover(json!({ "problem": "KS-GPG-NO-SECRET-KEY" }), Some(12), "KS-REC-CHECKSUM")
        }),
        of("adopt", "recover", "#not-now", adopt(true, None, "KS-REC-FOREIGN")),
        of("adopt-trouble", "recover", "#not-now", adopt(false, Some(3), "KS-REC-FORMAT")),
        of("believe", "recover", "#mine", whose("believe")),
        of("reset", "recover", "#mine", whose("reset")),
        of("confirm", "confirm", "#mine", asks("confirm", "KS-DIR-CONFIRM", certificate)),
        of("keep", "keep", ".key span", keep),
    ])
}
