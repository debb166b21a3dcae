//! The manifest is not to be believed.

use anyhow::{Context, Result, ensure};
use keystead_testbed::{KeyKind, KeySpec};
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{BrowserKind, Company, Guarded, PATIENCE, Term, until};
use serde_json::json;

use crate::scene::{wait_for_state, works};

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add_shared(kind, "a manifest that is not to be believed changes nothing", unbelieved(company, kind));
    rows.add_shared(kind, "without a manifest nothing runs", without(company, kind));
}

async fn unbelieved(company: &Company, kind: BrowserKind) -> Result<()> {
    let guarded = Guarded::start(company).await?;
    // Two more whom the policy names: one was revoked since, the other's certificate has expired.
    let revoked = company.gpg.generate(&KeySpec::new("Ian <ian@example.org>", KeyKind::Ed25519).sign_only()).await?;
    let spec = KeySpec::new("Ivy <ivy@example.org>", KeyKind::Ed25519).sign_only();
    let expired = company.gpg.generate(&spec.made_at("20260101T120000").expires("2026-03-01")).await?;
    let mut policy = guarded.policy(company, "enforce");
    let signers = policy["integrity"]["signers"].as_array_mut().context("the policy names no signers")?;
    signers.push(company.gpg.revoked(&revoked).await?.into());
    signers.push(company.gpg.export(&expired).await?.into());
    let browser = company.browser(kind, policy).await?;
    wait_for_state(&browser, "protected").await?;
    let stranger = company.gpg.generate(&KeySpec::new("Eve <eve@example.org>", KeyKind::Ed25519).sign_only()).await?;
    let (good, signature) = guarded.manifest.clone();
    let sign = async |document: &[u8], signer: &str| company.gpg.sign_detached(document, signer).await;
    let own = &*guarded.signer;
    let older = guarded.another(1, 90).await?;
    let ended = guarded.another_for(9, Term { from: "2026-01-01".into(), days: 30 }).await?;
    let twice = String::from_utf8_lossy(&good).replacen("\"serial\": 2,", "\"serial\": 3,\n\"serial\": 3,", 1);
    let big = [good.as_slice(), &vec![b' '; 9 << 20]].concat();
    let other = String::from_utf8_lossy(&good).replace(&guarded.host.url(), "https://chat.example.net");
    let bad: Vec<(&str, Vec<u8>, String, &[&str])> = vec![
        ("signed by a stranger", good.clone(), sign(&good, &stranger).await?, &["KS-SGN-SIGNER", "KS-SGN-SIGNATURE"]),
        ("signed by one who was revoked", good.clone(), sign(&good, &revoked).await?, &["KS-SGN-SIGNER"]),
        (
            "signed by one whose certificate has expired",
            good.clone(),
            company.gpg.sign_detached_at(&good, &expired, "20260201T120000").await?,
            &["KS-SGN-SIGNER"],
        ),
        ("with no signature", good.clone(), "nothing".into(), &["KS-SGN-SIGNATURE", "KS-SGN-FORMAT"]),
        ("changed after it was signed", other.clone().into_bytes(), signature, &["KS-SGN-SIGNATURE"]),
        (
            "for another deployment",
            other.clone().into_bytes(),
            sign(other.as_bytes(), own).await?,
            &["KS-SGN-DEPLOYMENT"],
        ),
        ("that has ended", ended.clone(), sign(&ended, own).await?, &["KS-SGN-EXPIRED"]),
        ("older than the last", older.clone(), sign(&older, own).await?, &["KS-SGN-SERIAL"]),
        ("cut short", good[..good.len() / 2].to_vec(), sign(&good[..good.len() / 2], own).await?, &["KS-SGN-FORMAT"]),
        ("no JSON", b"manifest".to_vec(), sign(b"manifest", own).await?, &["KS-SGN-FORMAT"]),
        ("with a field twice", twice.clone().into_bytes(), sign(twice.as_bytes(), own).await?, &["KS-SGN-FORMAT"]),
        ("of nine megabytes", big.clone(), sign(&big, own).await?, &["KS-SGN-TOO-LARGE"]),
    ];
    let mut wrong = Vec::new();
    for (name, document, signature, codes) in bad {
        guarded.publish(&document, &signature);
        let views = browser.ask(&json!({ "ask": "integrity_again", "origin": guarded.host.url() })).await?;
        let code = views[0]["problem"].as_str().unwrap_or("nothing").to_owned();
        if !codes.contains(&&*code) || views[0]["state"] != "protected" {
            wrong.push(format!("{name}: {code}, {}", views[0]["state"]));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    browser.session().goto(guarded.host.url()).await?;
    works(&browser).await?;
    // One that is newer and good is taken.
    let newer = guarded.another(4, 5).await?;
    guarded.publish(&newer, &sign(&newer, own).await?);
    let views = browser.ask(&json!({ "ask": "integrity_again", "origin": guarded.host.url() })).await?;
    ensure!(views[0]["problem"].is_null() && views[0]["warning"] == "KS-INT-EXPIRING", "the newer one: {}", views[0]);
    browser.session().goto(guarded.host.url()).await?;
    works(&browser).await?;
    browser.quit().await
}

async fn without(company: &Company, kind: BrowserKind) -> Result<()> {
    let guarded = Guarded::start(company).await?;
    guarded.publish(b"nothing", "nothing");
    let browser = company.browser(kind, guarded.policy(company, "enforce")).await?;
    let _ = browser.session().goto(guarded.host.url()).await;
    until("the page that explains it", PATIENCE, async || {
        let shown = browser.session().current_url().await?;
        Ok(shown.as_str().contains("#refused").then_some(()))
    })
    .await?;
    let view = browser.integrity().await?;
    ensure!(view["state"] == "refused", "the popup shows {view}");
    // As soon as there is a good one, the page can be had.
    guarded.behave();
    browser.press("Try again").await?;
    works(&browser).await?;
    browser.quit().await
}
