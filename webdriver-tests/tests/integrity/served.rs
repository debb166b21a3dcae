//! The same where Element Web lies in a folder of its origin, and where it is served over HTTPS.

use anyhow::{Result, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{BrowserKind, Company, PATIENCE, Site, State};
use serde_json::json;

use crate::scene::{Attack, CHANGED, Cache, Then, altered, at, guarded_with, page_with, shown, withstand, works};

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    let folder = Site { folder: "/element", ..Site::default() };
    rows.add_shared(kind, "Element in a folder of its origin is guarded as well", guards(company, kind, folder));
    let https = Site { https: true, ..Site::default() };
    rows.add_shared(kind, "Element over HTTPS is guarded as well", guards(company, kind, https));
}

async fn guards(company: &Company, kind: BrowserKind, site: Site) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let folder = site.folder;
    let (guarded, browser) = guarded_with(company, kind, site).await?;
    browser.log_in(&guarded.url(), &ann.localpart, &ann.password).await?;
    shown(&browser, browser.wait_for_state(State::Complete, PATIENCE).await).await?;
    browser.session().refresh().await?;
    shown(&browser, works(&browser).await).await?;
    let view = browser.integrity().await?;
    ensure!(view["refusals"] == json!([]) && view["state"] == "protected", "the popup shows {view}");
    ensure!(view["page"] == format!("{}/", guarded.url()), "the page is {}", view["page"]);
    let payload = guarded.payload("served");
    let index = page_with(&guarded, &format!("<script>{payload}</script>"));
    let index = keystead_testbed::Answer::new(200, "text/html", index);
    let page = if folder.is_empty() { "/" } else { "/element/" };
    let attack = |name, rules, then| Attack { name, rules, path: String::new(), then };
    let attacks = vec![
        attack(
            "a chunk",
            vec![altered(&guarded, "/init.js", |bytes| drop(bytes.splice(0..0, payload.bytes())))],
            CHANGED,
        ),
        attack("the document", vec![at(page, keystead_testbed::Action::Answer(index))], CHANGED),
        attack("nothing", Vec::new(), Then::Works),
    ];
    withstand(&browser, &guarded, Cache::Left, attacks).await?;
    browser.quit().await
}
