//! *Believing it*, against homeservers: whatever a homeserver makes of an account, the page gets no backup key of the
//! server's choosing, what this browser has seen of the identity stays, and the person is told, with a code.

use anyhow::{Context, Result, ensure};
use keystead_testbed::{Action, Answer, Asked, Rule};
use keystead_webdriver_tests::rows::{Doing, Rows, note};
use keystead_webdriver_tests::{Browser, BrowserKind, Company, PATIENCE, State, until};
use reqwest::Method;
use serde_json::{Value, json};
use thirtyfour::By;

use crate::scene::{Scene, set_up};

const SECRETS: [&str; 4] =
    ["m.cross_signing.master", "m.cross_signing.self_signing", "m.cross_signing.user_signing", "m.megolm_backup.v1"];
const DEFAULT_KEY: &str = "m.secret_storage.default_key";
const SEALED: &str = "io.keystead.recovery";
/// Where a browser that has the wrapping key would restore without a click.
const RETAINED: &str = "always";

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    let table: [(&str, Doing<'c>); 6] = [
        ("an account of the server's own, sealed to the person, is asked about (KS-REC-BELIEVE), and refused", {
            Box::pin(forged_on_a_new_browser(company, kind))
        }),
        ("the same after a forced logout, where this browser knows better (KS-REC-IDENTITY)", {
            Box::pin(forged_after_a_forced_logout(company, kind))
        }),
        ("an old sealed recovery and old documents replayed (KS-REC-ROLLBACK)", Box::pin(replayed(company, kind))),
        ("a sealed recovery of another user (KS-REC-SEALED-FORGED)", Box::pin(of_another(company, kind))),
        ("a backup version that the account did not sign (KS-REC-BACKUP-UNTRUSTED)", {
            Box::pin(unsigned_backup(company, kind))
        }),
        ("each secret answered 404, {}, garbage, or another user's: nothing begins", {
            Box::pin(refused_starts(company, kind))
        }),
    ];
    for (name, doing) in table {
        rows.add_shared(kind, &format!("hostile restore: {name}"), doing);
    }
}

async fn forged_on_a_new_browser(company: &Company, kind: BrowserKind) -> Result<()> {
    let (scene, first) = set_up(company, kind, json!({})).await?;
    first.quit().await?;
    forge_account(company, &scene).await?;
    let element = scene.desk.element.url();
    let browser = company.browser(kind, company.policy(&scene.desk)).await?;
    browser.log_in(&element, &scene.ann.localpart, &scene.ann.password).await?;
    browser.wait_for_state(State::Recover, PATIENCE).await?;
    let (_, message) = company.sealed_recovery(&scene.ann).await?;
    let opened = String::from_utf8(company.gpg.decrypt(&message).await?)?;
    browser
        .on_recover_page(&element, async |page| {
            page.send(&opened).await?;
            page.find("#not-mine").await
        })
        .await?;
    is_told(&browser, "KS-REC-BELIEVE").await?;
    nothing_given(&scene, &browser, None).await?;
    browser
        .on_recover_page(&element, async |page| {
            page.find("#not-mine").await?.click().await?;
            page.find(".outcome").await?;
            Ok(())
        })
        .await?;
    nothing_given(&scene, &browser, None).await?;
    browser.quit().await
}

async fn forged_after_a_forced_logout(company: &Company, kind: BrowserKind) -> Result<()> {
    let (scene, browser) = set_up(company, kind, json!({ "retain_after_logout": RETAINED })).await?;
    forge_account(company, &scene).await?;
    let device = browser.in_page("return page.mxMatrixClientPeg.get().getDeviceId();", vec![]).await?;
    let device = device.as_str().context("no device")?;
    let path = format!("/_synapse/admin/v2/users/{}/devices/{device}", scene.ann.user_id);
    company.synapse.administer(Method::DELETE, &path, None).await?.ok()?;
    browser.wait_until_logged_out().await?;
    log_in(&scene, &browser).await?;
    browser.wait_for_code("KS-REC-IDENTITY", PATIENCE).await?;
    browser.wait_for_state(State::Failed, PATIENCE).await?;
    is_told(&browser, "KS-REC-IDENTITY").await?;
    nothing_given(&scene, &browser, Some(&master_key(&scene.identity)?)).await?;
    browser.quit().await
}

async fn replayed(company: &Company, kind: BrowserKind) -> Result<()> {
    let (scene, browser) = set_up(company, kind, json!({ "retain_after_logout": RETAINED })).await?;
    let old = company.secret_documents(&scene.ann).await?;
    // Another recovery key comes into force.
    company.put_account_data(&scene.ann, DEFAULT_KEY, &json!({})).await?;
    browser.lose_vault().await?;
    browser.ask(&json!({ "ask": "retry", "origin": scene.desk.element.url() })).await?;
    let replaced = async || {
        let now = company.account_data(&scene.ann).await?[DEFAULT_KEY].take();
        Ok((now["key"].is_string() && now != old[DEFAULT_KEY]).then_some(()))
    };
    until("a new default key", PATIENCE, replaced).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    browser.log_out().await?;
    for (name, content) in &old {
        company.put_account_data(&scene.ann, name, content).await?;
    }
    log_in(&scene, &browser).await?;
    browser.wait_for_code("KS-REC-ROLLBACK", PATIENCE).await?;
    is_told(&browser, "KS-REC-ROLLBACK").await?;
    nothing_given(&scene, &browser, Some(&master_key(&scene.identity)?)).await?;
    browser.quit().await
}

async fn of_another(company: &Company, kind: BrowserKind) -> Result<()> {
    let (scene, first) = set_up(company, kind, json!({})).await?;
    first.quit().await?;
    let (other, second) = set_up(company, kind, json!({})).await?;
    second.quit().await?;
    let (id, _) = company.sealed_recovery(&scene.ann).await?;
    let (_, message) = company.sealed_recovery(&other.ann).await?;
    let mut document = company.account_data(&scene.ann).await?[SEALED].take();
    document["keys"][&id]["message"] = message.clone().into();
    company.put_account_data(&scene.ann, SEALED, &document).await?;

    let browser = company.browser(kind, company.policy(&scene.desk)).await?;
    log_in(&scene, &browser).await?;
    browser.wait_for_state(State::Recover, PATIENCE).await?;
    let opened = String::from_utf8(company.gpg.decrypt(&message).await?)?;
    browser
        .on_recover_page(&scene.desk.element.url(), async |page| {
            page.send(&opened).await?;
            page.trouble().await
        })
        .await?;
    is_told(&browser, "KS-REC-SEALED-FORGED").await?;
    nothing_given(&scene, &browser, None).await?;
    browser.quit().await
}

async fn unsigned_backup(company: &Company, kind: BrowserKind) -> Result<()> {
    let (scene, browser) = set_up(company, kind, json!({ "retain_after_logout": RETAINED })).await?;
    browser.log_out().await?;
    let puppet = company.synapse.login_as(&scene.ann.user_id).await?;
    // A key that the server has the other half of.
    let public_key = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo";
    let version = json!({
        "algorithm": "m.megolm_backup.v1.curve25519-aes-sha2",
        "auth_data": { "public_key": public_key, "signatures": {} },
    });
    let path = "/_matrix/client/v3/room_keys/version";
    company.synapse.call(Method::POST, path, Some(&puppet.access_token), Some(&version)).await?.ok()?;
    log_in(&scene, &browser).await?;
    browser.wait_for_code("KS-REC-BACKUP-UNTRUSTED", PATIENCE).await?;
    is_told(&browser, "KS-REC-BACKUP-UNTRUSTED").await?;
    nothing_given(&scene, &browser, Some(&master_key(&scene.identity)?)).await?;
    browser.quit().await
}

/// One wrong secret is enough, whichever it is: a restore begins when every one of them opens.
async fn refused_starts(company: &Company, kind: BrowserKind) -> Result<()> {
    let (other, second) = set_up(company, kind, json!({})).await?;
    second.quit().await?;
    let of_other = company.account_data(&other.ann).await?;
    let (scene, browser) = set_up(company, kind, json!({ "retain_after_logout": RETAINED })).await?;
    let own = company.account_data(&scene.ann).await?;
    let pin = master_key(&scene.identity)?;
    browser.log_out().await?;
    let mut first = true;
    for secret in SECRETS {
        let mut garbage = own[secret].clone();
        entry(&mut garbage)?["ciphertext"] = "AAAA".into();
        let mut transplanted = own[secret].clone();
        *entry(&mut transplanted)? = entry(&mut of_other[secret].clone())?.clone();
        let answers = [
            ("404", Answer::matrix_error(404, "M_NOT_FOUND"), "KS-REC-SECRET-MISSING"),
            ("{}", Answer::json(200, &json!({})), "KS-REC-SECRET-MISSING"),
            ("garbage", Answer::json(200, &garbage), "KS-REC-MAC"),
            ("another user's ciphertext", Answer::json(200, &transplanted), "KS-REC-MAC"),
        ];
        for (what, answer, code) in answers {
            scene.desk.homeserver.set_rules([Rule::when(secret, reads(secret), Action::Answer(answer))]);
            note(kind, &format!("{secret} answered {what}"), async {
                if std::mem::take(&mut first) {
                    log_in(&scene, &browser).await?;
                } else {
                    browser.ask(&json!({ "ask": "retry", "origin": scene.desk.element.url() })).await?;
                }
                browser.wait_for_code(code, PATIENCE).await?;
                is_told(&browser, code).await?;
                nothing_given(&scene, &browser, Some(&pin)).await
            })
            .await?;
        }
    }
    scene.desk.homeserver.behave();
    browser.ask(&json!({ "ask": "retry", "origin": scene.desk.element.url() })).await?;
    scene.is_whole(company, &browser).await?;
    browser.quit().await
}

/// The homeserver makes identity, backup and secret storage of its own, and seals the recovery key to the person, as anyone
/// can who has the certificate.
async fn forge_account(company: &Company, scene: &Scene) -> Result<()> {
    let own = company.client("own-recovery", &scene.ann, &json!({ "anew": true, "logout": true })).await?;
    let id = own["keyId"].as_str().context("no key id")?;
    let user_id = &scene.ann.user_id;
    let (_, server) = user_id.split_once(':').context("no server name")?;
    let forged = company.identity(&scene.ann).await?;
    ensure!(forged != scene.identity, "the identity is the same still");
    let text = format!(
        "Keystead sealed recovery, version 1\n\nRecovery key: {}\nUser: {user_id}\nServer: {server}\nKey id: {id}\n\
         Master key: {}\n",
        own["recoveryKey"].as_str().context("no recovery key")?,
        master_key(&forged)?,
    );
    let message = company.gpg.encrypt(text.as_bytes(), &[&scene.certificate]).await?;
    let sealed = json!({ "keys": { id: {
        "message": message, "recipients": [scene.certificate], "sealed_at": 1_700_000_000_000_u64, "wrapped": {},
    } } });
    company.put_account_data(&scene.ann, SEALED, &sealed).await
}

async fn log_in(scene: &Scene, browser: &Browser) -> Result<()> {
    browser.log_in(&scene.desk.element.url(), &scene.ann.localpart, &scene.ann.password).await
}

/// Element's client has no backup key, nor has the session been taken in; and this browser's pin is as it was.
async fn nothing_given(scene: &Scene, browser: &Browser, pin: Option<&str>) -> Result<()> {
    ensure!(!browser.page_has_backup_key().await?, "the page has a backup key");
    let seen = browser.pin(&scene.desk.element.url(), &scene.ann.user_id).await?;
    ensure!(seen.as_deref() == pin, "the pin is {seen:?}, not {pin:?}");
    Ok(())
}

/// The popup shows a sentence, what to do, and the code.
async fn is_told(browser: &Browser, code: &str) -> Result<()> {
    browser
        .in_own_page(async |session| {
            until("the sentence in the popup", PATIENCE, async || {
                let problem = session.find(By::Css(".problem")).await?.text().await?;
                let lines = problem.lines().filter(|line| !line.trim().is_empty()).count();
                Ok((problem.contains(code) && lines >= 3).then_some(()))
            })
            .await
        })
        .await
}

/// The one entry of a secret's document.
fn entry(document: &mut Value) -> Result<&mut Value> {
    document["encrypted"].as_object_mut().and_then(|entries| entries.values_mut().next()).context("no entry")
}

fn master_key(identity: &Value) -> Result<String> {
    let key = identity[0].as_object().and_then(|keys| keys.values().next()?.as_str());
    Ok(key.context("no master key")?.to_owned())
}

fn reads(document: &'static str) -> impl Fn(&Asked) -> bool {
    move |asked| asked.method == Method::GET && asked.path.ends_with(&format!("/account_data/{document}"))
}
