//! The organisation's signed list of people decides who is who, in the browser.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use keystead_testbed::{KeyKind, KeySpec, Proxy};
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{BrowserKind, Company, PATIENCE, State};
use serde_json::json;

use crate::scene::{finishes, retry};

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add_shared(
        kind,
        "a roster that another key signed is not believed; the organisation's is",
        roster(company, kind),
    );
}

async fn roster(company: &Company, kind: BrowserKind) -> Result<()> {
    let ann = company.hire("ann").await?;
    // Nobody certified the certificate, and no template makes this address: the roster alone names both.
    let address = format!("ann.of.{}@example.org", ann.localpart);
    let own = company.gpg.generate(&KeySpec::new(&format!("Ann <{address}>"), KeyKind::Ed25519)).await?;
    company.sks.add_key(&company.gpg.export(&own).await?).await?;
    let stranger = company.gpg.generate(&KeySpec::new("Stranger <stranger@example.org>", KeyKind::Ed25519)).await?;

    let desk = company.desk()?;
    let files = Proxy::start("http://127.0.0.1:9")?;
    let mut policy = company.policy(&desk);
    policy["roster"] = json!({
        "url": format!("{}/roster.json", files.url()), "signers": [company.certifier_certificate],
    });
    let directory = policy["directory"].as_object_mut();
    directory.into_iter().for_each(|directory| directory.retain(|field, _| field == "hkp"));

    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let document = json!({
        "kind": "roster", "version": 1, "deployment": desk.element.url(), "serial": 1,
        "issued": now - 60_000, "expires": now + 86_400_000,
        "people": [{ "matrix_id": ann.user_id, "email": address, "fingerprint": own }],
    });
    company.publish_roster(&files, &document, &stranger).await?;
    let browser = company.browser(kind, policy).await?;
    browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
    let refused = browser.wait_for("a refused roster", PATIENCE, |seen| {
        seen.progress.code().is_some_and(|code| code.starts_with("KS-SGN-"))
    });
    let refused = refused.await?;
    ensure!(refused.progress.state == State::Waiting, "the state is {:?}", refused.progress.state);
    company.nothing_set_up(&ann).await?;

    company.publish_roster(&files, &document, &company.certifier).await?;
    retry(&browser, &desk).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    finishes(company, &ann, &own, &desk, &browser).await?;
    browser.quit().await
}
