//! Sealing to every kind of key that people have: gpg opens the sealed recovery with each recipient's secret key alone.

use anyhow::{Result, ensure};
use keystead_testbed::{Gpg, KeyKind, KeySpec};
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{BrowserKind, Company, PATIENCE, State};
use serde_json::json;

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    for own in [KeyKind::Ed25519, KeyKind::Rsa3072, KeyKind::P256] {
        rows.add_shared(kind, &format!("recipients: {own:?} alone"), opens(company, kind, own, None));
        // Each kind is an escrow certificate once.
        let escrow = match own {
            KeyKind::Ed25519 => KeyKind::P256,
            KeyKind::Rsa3072 => KeyKind::Ed25519,
            KeyKind::P256 | KeyKind::Rsa1024 => KeyKind::Rsa3072,
        };
        rows.add_shared(kind, &format!("recipients: {own:?} and an escrow certificate of {escrow:?}"), {
            opens(company, kind, own, Some(escrow))
        });
    }
}

async fn opens(company: &Company, kind: BrowserKind, own: KeyKind, escrow: Option<KeyKind>) -> Result<()> {
    let (ann, own) = company.hire_with_key("ann", own).await?;
    let desk = company.desk()?;
    let mut policy = company.policy(&desk);
    let mut recipients = vec![own];
    if let Some(escrow) = escrow {
        let escrow = company.gpg.generate(&KeySpec::new("Escrow <escrow@example.org>", escrow)).await?;
        policy["escrow"] = json!({ "certificates": [company.gpg.export(&escrow).await?] });
        recipients.push(escrow);
    }
    let browser = company.browser(kind, policy).await?;
    browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
    let complete = browser.wait_for_state(State::Complete, PATIENCE).await?;
    let shown: Vec<_> = complete.progress.recipients.iter().map(|view| view["fingerprint"].clone()).collect();
    ensure!(json!(shown) == json!(recipients), "the popup names other recipients");
    browser.quit().await?;

    let wanted: Vec<&str> = recipients.iter().map(String::as_str).collect();
    company.sealed_to_exactly(&ann, &wanted).await?;
    let (_, message) = company.sealed_recovery(&ann).await?;
    let (key_id, recovery_key) = company.open_sealed_recovery(&ann).await?;
    for recipient in &recipients {
        let alone = Gpg::new()?;
        alone.import(&company.gpg.export_secret(recipient).await?).await?;
        let text = String::from_utf8(alone.decrypt(&message).await?)?;
        ensure!(text.contains(&format!("Recovery key: {recovery_key}\n")), "a recipient reads another text");
    }
    let opened = company.client("open", &ann, &json!({ "recoveryKey": recovery_key })).await?;
    ensure!(opened["keyId"] == key_id && opened["publicKeysMatch"] == true, "the recovery key opens something else");
    Ok(())
}
