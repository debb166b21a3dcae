//! The document is not as listed.

use anyhow::{Result, ensure};
use keystead_testbed::{Action, Answer};
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{Browser, BrowserKind, Company, Guarded, PATIENCE, until};

use crate::scene::{Attack, CHANGED, Cache, Then, UNLISTED, at, guarded, page_with, wait_for_refusal, withstand};

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add(kind, "a document that is not as listed is not shown", tampered(company, kind));
}

async fn tampered(company: &Company, kind: BrowserKind) -> Result<()> {
    let (guarded, browser) = guarded(company, kind).await?;
    for cache in [Cache::Empty, Cache::Full] {
        withstand(&browser, &guarded, cache, attacks(&guarded)).await?;
    }
    tried_again(&browser, &guarded).await?;
    browser.quit().await
}

/// Who tries again is not let in by that.
async fn tried_again(browser: &Browser, guarded: &Guarded) -> Result<()> {
    let html = format!("<script>{}</script>", guarded.payload("again").trim());
    let page = Answer::new(200, "text/html", page_with(guarded, &html));
    guarded.attack(vec![at("/", Action::Answer(page))]);
    let asked = || guarded.host.requests().iter().filter(|request| request.asked.path == "/").count();
    let _ = browser.session().goto(guarded.url()).await;
    for _ in 0..3 {
        wait_for_refusal(browser).await?;
        let before = asked();
        browser.press("Try again").await?;
        until("the host to be asked again", PATIENCE, async || Ok((asked() > before).then_some(()))).await?;
    }
    wait_for_refusal(browser).await?;
    ensure!(guarded.ran().is_empty(), "payloads ran: {:?}", guarded.ran());
    Ok(())
}

pub(crate) fn attacks(guarded: &Guarded) -> Vec<Attack> {
    let payload = |name: &str| guarded.payload(name).trim().to_owned();
    let quoted = |name: &str| payload(name).replace('"', "&quot;");
    let evil = |name: &str| at("/evil.js", Action::Answer(Answer::new(200, "text/javascript", payload(name))));
    let page = |name: &'static str, html: String| Attack {
        name,
        rules: vec![at("/", Action::Answer(Answer::new(200, "text/html", page_with(guarded, &html)))), evil(name)],
        path: String::new(),
        then: CHANGED,
    };
    let served = |name: &'static str, content_type: &'static str, body: String| Attack {
        name,
        rules: vec![at("/", Action::Answer(Answer::new(200, content_type, body))), evil(name)],
        path: String::new(),
        then: Then::Refused(&["KS-INT-CHANGED", "KS-INT-KIND"]),
    };
    let svg = format!("<svg xmlns=\"http://www.w3.org/2000/svg\"><script>{}</script></svg>", payload("svg"));
    let xhtml = format!(
        "<html xmlns=\"http://www.w3.org/1999/xhtml\"><head><script>{}</script></head></html>",
        payload("xhtml")
    );
    let with_header = |name: &'static str, value: &'static str| {
        let answer = Answer::new(200, "text/html", page_with(guarded, ""));
        let answer = match name.parse() {
            Ok(name) => answer.with_header(name, value),
            Err(_) => answer,
        };
        at("/", Action::Answer(answer))
    };
    vec![
        page("an extra script", "<script src=\"/evil.js\"></script>".into()),
        page("an inline script", format!("<script>{}</script>", payload("inline"))),
        page("a base", "<base href=\"http://127.0.0.1:9/\">".into()),
        page("a refresh", "<meta http-equiv=\"refresh\" content=\"0;url=/evil.html\">".into()),
        page("an event handler", format!("<img src=x onerror=\"{}\">", quoted("handler"))),
        page("an import map", "<script type=\"importmap\">{\"imports\":{\"x\":\"/evil.js\"}}</script><script type=\"module\">import \"x\";</script>".into()),
        page("a module preload", "<link rel=\"modulepreload\" href=\"/evil.js\">".into()),
        page("a frame with srcdoc", format!("<iframe srcdoc=\"&lt;script&gt;{}&lt;/script&gt;\"></iframe>", quoted("srcdoc"))),
        page("a frame with javascript:", format!("<iframe src=\"javascript:{}\"></iframe>", quoted("frame"))),
        page("a frame of the origin", "<iframe src=\"/evil.html\"></iframe>".into()),
        served("SVG in its place", "image/svg+xml", svg),
        served("XHTML in its place", "application/xhtml+xml", xhtml),
        served("a text in its place", "text/plain", "nothing".into()),
        Attack {
            name: "an unlisted document",
            rules: vec![at("/evil.html", Action::Answer(Answer::new(200, "text/html", format!("<script>{}</script>", payload("unlisted")))))],
            path: "evil.html".into(),
            then: UNLISTED,
        },
        Attack {
            name: "a document that is missing",
            rules: vec![at("/evil.html", Action::Answer(Answer::new(404, "text/html", format!("<script>{}</script>", payload("missing")))))],
            path: "evil.html".into(),
            then: UNLISTED,
        },
        Attack {
            name: "a document that moved",
            rules: vec![
                at("/", Action::redirect("/evil.html")),
                at("/evil.html", Action::Answer(Answer::new(200, "text/html", format!("<script>{}</script>", payload("moved"))))),
            ],
            path: String::new(),
            then: UNLISTED,
        },
        Attack { name: "another charset", rules: vec![with_header("content-type", "text/html; charset=utf-16")], path: String::new(), then: Then::Works },
        Attack { name: "a Link header", rules: vec![with_header("link", "</evil.js>; rel=modulepreload"), evil("link")], path: String::new(), then: Then::Works },
        Attack { name: "a Refresh header", rules: vec![with_header("refresh", "0;url=/evil.html"), at("/evil.html", Action::Answer(Answer::new(200, "text/html", format!("<script>{}</script>", payload("refresh")))))], path: String::new(), then: Then::Works },
        Attack {
            name: "a document that never ends, with a form",
            rules: vec![at("/", Action::Begin(Answer::new(200, "text/html", page_with(guarded, &format!("</head><body><input id=fake><script>{}</script>", payload("dripped"))))))],
            path: String::new(),
            then: Then::Unpainted,
        },
        Attack { name: "a 304 that nobody asked for", rules: vec![at("/", Action::Answer(Answer::new(304, "text/html", "")))], path: String::new(), then: Then::Unrun },
        Attack { name: "nothing", rules: Vec::new(), path: String::new(), then: Then::Works },
    ]
}
