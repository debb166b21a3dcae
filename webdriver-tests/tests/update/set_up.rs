//! A first set-up is under way while the extension is updated.

use anyhow::Result;
use keystead_testbed::{Action, KeyKind, Rule};
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{BrowserKind, Company, Extension, PATIENCE, State, until};

use crate::scene::{loaded_again, older, one_recovery_key, update_to};

/// What the older version writes last: the sealed recovery; the key description; the default key; the first secret.
const HELD: [&str; 4] =
    ["io.keystead.recovery", "m.secret_storage.key.", "m.secret_storage.default_key", "m.cross_signing.master"];

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    for held in HELD {
        let name = format!("a set-up that is updated while it writes {held} is finished, with one recovery key");
        rows.add_shared(kind, &name, under_way(company, kind, held));
    }
}

async fn under_way(company: &Company, kind: BrowserKind, held: &'static str) -> Result<()> {
    let (ann, fingerprint) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    let mut browser = older(company, kind, &desk, true).await?;
    let written = move |path: &str| path.contains("/account_data/") && path.contains(held);
    let writes = Rule::when("held", move |asked| asked.method == "PUT" && written(&asked.path), Action::Stall);
    desk.homeserver.add(writes.times(1));
    browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
    let begun = async || {
        let requests = desk.homeserver.requests();
        Ok(requests.iter().any(|request| request.rule.as_deref() == Some("held")).then_some(()))
    };
    until("a write that does not end", PATIENCE, begun).await?;
    // A record that is not finished needs parts of the core that a start has not read yet.
    let newer = Extension::packed_for_tests(kind)?;
    newer.reads_late()?;
    update_to(&mut browser, newer).await?;
    loaded_again(&browser).await?;
    browser.wait_for_state(State::Complete, PATIENCE * 2).await?;
    one_recovery_key(company, &ann, &fingerprint).await?;
    browser.quit().await
}
