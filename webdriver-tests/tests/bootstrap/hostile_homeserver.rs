//! G2 and G4 against homeservers: refused or asked about with its code, nothing sealed to anyone else, nothing switched, no
//! identity replaced; and the account goes on where the homeserver behaves again.

use anyhow::{Context, Result, ensure};
use keystead_testbed::{Action, Answer, Asked, KeyKind, Rule};
use keystead_webdriver_tests::rows::{Doing, Rows};
use keystead_webdriver_tests::{Browser, BrowserKind, Company, Employee, PATIENCE, State, until};
use reqwest::Method;
use serde_json::{Value, json};

use crate::questions::answer;
use crate::scene::{at_work, complete, retry, usable};

/// The four secrets of an account.
const SECRETS: [&str; 4] =
    ["m.cross_signing.master", "m.cross_signing.self_signing", "m.cross_signing.user_signing", "m.megolm_backup.v1"];
const DEFAULT_KEY: &str = "m.secret_storage.default_key";
const SEALED: &str = "io.keystead.recovery";

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    let table: [(&str, Doing<'c>); 13] = [
        ("a colleague's address as 3PID is asked about (KS-DIR-CONFIRM), and refused", {
            Box::pin(third_party_id(company, kind))
        }),
        ("a colleague's session as the answer to the login (KS-DIR-OTHER-ACCOUNT)", {
            Box::pin(colleagues_session(company, kind))
        }),
        ("who came by single sign-on is asked once (KS-DIR-CONFIRM), and says yes", {
            Box::pin(single_sign_on(company, kind, true))
        }),
        ("who came by single sign-on is asked once (KS-DIR-CONFIRM), and says no", {
            Box::pin(single_sign_on(company, kind, false))
        }),
        ("another address of its own in the answer to the login is not followed", Box::pin(elsewhere(company, kind))),
        (
            "a default key slipped in before the first login (KS-REC-FOREIGN)",
            Box::pin(default_key_before(company, kind)),
        ),
        ("a default key slipped in later (KS-REC-FOREIGN)", Box::pin(default_key_later(company, kind))),
        ("an old default key replayed (KS-REC-ROLLBACK)", Box::pin(default_key_replayed(company, kind))),
        ("secrets answered 404 one by one (KS-REC-SECRET-MISSING)", {
            Box::pin(secrets_missing(company, kind, || Answer::matrix_error(404, "M_NOT_FOUND")))
        }),
        ("secrets answered {} one by one (KS-REC-SECRET-MISSING)", {
            Box::pin(secrets_missing(company, kind, || Answer::json(200, &json!({}))))
        }),
        ("a backup version signed by nobody (KS-REC-BACKUP-UNTRUSTED)", Box::pin(unsigned_backup(company, kind))),
        ("a forged sealed recovery before the first login", Box::pin(forged_before(company, kind))),
        ("a sealed recovery replaced by a forged one is written again", Box::pin(forged_later(company, kind))),
    ];
    for (name, doing) in table {
        rows.add_shared(kind, &format!("hostile homeserver: {name}"), doing);
    }
}

async fn third_party_id(company: &Company, kind: BrowserKind) -> Result<()> {
    let (colleague, fingerprint) = company.hire_with_key("colleague", KeyKind::Ed25519).await?;
    let ann = company.hire("ann").await?;
    company.synapse.set_addresses(&ann.user_id, &[&colleague.address]).await?;
    let desk = company.desk()?;
    let mut policy = company.policy(&desk);
    policy["directory"].as_object_mut().context("no directory")?.remove("address_template");
    let browser = company.browser(kind, policy).await?;
    browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
    browser.wait_for_state(State::Confirm, PATIENCE).await?;
    company.nothing_set_up(&ann).await?;
    answer(&browser, &desk, &[&ann.user_id, &colleague.address, &fingerprint], false).await?;
    retry(&browser, &desk).await?;
    let seen = browser.wait_for_code("KS-DIR-CONFIRM", PATIENCE).await?;
    ensure!(seen.progress.state == State::Waiting, "the state is {:?}", seen.progress.state);
    company.nothing_set_up(&ann).await?;
    usable(&browser).await?;
    browser.quit().await
}

async fn colleagues_session(company: &Company, kind: BrowserKind) -> Result<()> {
    let (colleague, _) = company.hire_with_key("colleague", KeyKind::Ed25519).await?;
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let session = company.synapse.login(&colleague.localpart, &colleague.password).await?;
    let desk = company.desk()?;
    desk.homeserver.add(answer_to_login(json!({
        "user_id": session.user_id, "device_id": session.device_id, "access_token": session.access_token,
    })));
    let browser = company.browser(kind, company.policy(&desk)).await?;
    browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
    browser.wait_for_code("KS-DIR-OTHER-ACCOUNT", PATIENCE).await?;
    company.nothing_set_up(&colleague).await?;
    company.nothing_set_up(&ann).await?;
    browser.quit().await
}

/// A client that moves to another address is one that nobody looks after.
async fn elsewhere(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, fingerprint) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    let address = format!("{}/elsewhere", desk.homeserver.url());
    let moved = Action::rewrite_json(move |_, answer| {
        answer["well_known"] = json!({ "m.homeserver": { "base_url": address } });
    });
    desk.homeserver.add(Rule::when("login", |asked| asked.path.ends_with("/login"), moved));
    let browser = company.browser(kind, company.policy(&desk)).await?;
    browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    company.sealed_to_exactly(&ann, &[&fingerprint]).await?;
    let elsewhere = desk.homeserver.requests().iter().filter(|it| it.asked.path.starts_with("/elsewhere")).count();
    ensure!(elsewhere == 0, "the client moved: {elsewhere} requests");
    browser.quit().await
}

/// Nobody types a name: the homeserver alone says who came back from the sign-on page.
async fn single_sign_on(company: &Company, kind: BrowserKind, yes: bool) -> Result<()> {
    let (ann, fingerprint) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let session = company.synapse.login(&ann.localpart, &ann.password).await?;
    let desk = company.desk()?;
    desk.homeserver.add(answer_to_login(json!({
        "user_id": session.user_id, "device_id": session.device_id, "access_token": session.access_token,
    })));
    let browser = company.browser(kind, company.policy(&desk)).await?;
    let element = desk.element.url();
    browser.session().goto(format!("{element}/#/login")).await?;
    browser.find("#mx_LoginForm_username").await?;
    browser
        .in_page("page.localStorage.setItem('mx_sso_hs_url', arguments[0]);", vec![desk.homeserver.url().into()])
        .await?;
    browser.session().goto(format!("{element}/?loginToken=from-the-sign-on-page")).await?;

    let asked = browser.wait_for_state(State::Confirm, PATIENCE).await?;
    ensure!(asked.progress.code() == Some("KS-DIR-CONFIRM"), "the code is {:?}", asked.progress.code());
    let asked = asked.progress.question.context("the popup asks nothing")?;
    let wanted = json!([ann.user_id, ann.address, format!("Somebody <{}>", ann.address), fingerprint]);
    let shown = json!([asked["account"], asked["address"], asked["user_id"], asked["fingerprint"]]);
    ensure!(shown == wanted, "the question shows {shown}, not {wanted}");
    company.nothing_set_up(&ann).await?;

    answer(&browser, &desk, &[&ann.user_id, &ann.address, &fingerprint], yes).await?;
    if yes {
        browser.wait_for_state(State::Complete, PATIENCE).await?;
        company.sealed_to_exactly(&ann, &[&fingerprint]).await?;
    } else {
        browser.wait_for("the refusal", PATIENCE, |seen| seen.progress.question.is_none()).await?;
        browser.ask(&json!({ "ask": "retry", "origin": element })).await?;
        let seen = browser.wait_for_code("KS-DIR-CONFIRM", PATIENCE).await?;
        ensure!(seen.progress.state == State::Waiting, "the state is {:?}", seen.progress.state);
        company.nothing_set_up(&ann).await?;
    }
    browser.quit().await
}

async fn default_key_before(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    slip_in(company, &ann).await?;
    let before = company.secret_documents(&ann).await?;
    let (_desk, browser) = at_work(company, kind, &ann).await?;
    browser.wait_for_code("KS-REC-FOREIGN", PATIENCE).await?;
    browser.wait_for_state(State::Foreign, PATIENCE).await?;
    ensure!(company.secret_documents(&ann).await? == before, "something was stored under the slipped-in key");
    cancelled(company, &ann, &browser).await?;
    browser.quit().await
}

async fn default_key_later(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, desk, browser) = complete(company, kind).await?;
    let identity = company.identity(&ann).await?;
    let (_, recovery_key) = company.open_sealed_recovery(&ann).await?;
    let ours = company.account_data(&ann).await?[DEFAULT_KEY].clone();
    slip_in(company, &ann).await?;
    let before = company.secret_documents(&ann).await?;
    retry(&browser, &desk).await?;
    browser.wait_for_code("KS-REC-FOREIGN", PATIENCE).await?;
    ensure!(company.secret_documents(&ann).await? == before, "something was stored under the slipped-in key");
    ensure!(company.identity(&ann).await? == identity, "the identity was replaced");

    company.put_account_data(&ann, DEFAULT_KEY, &ours).await?;
    retry(&browser, &desk).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    let opened = company.client("open", &ann, &json!({ "recoveryKey": recovery_key })).await?;
    ensure!(opened["publicKeysMatch"] == true, "the recovery key opens something else");
    browser.quit().await
}

async fn default_key_replayed(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, desk, browser) = complete(company, kind).await?;
    let old = company.account_data(&ann).await?[DEFAULT_KEY].clone();
    // A default key that is gone is put back.
    company.put_account_data(&ann, DEFAULT_KEY, &json!({})).await?;
    retry(&browser, &desk).await?;
    let back = async || Ok((company.account_data(&ann).await?[DEFAULT_KEY] == old).then_some(()));
    until("the default key as it was", PATIENCE, back).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;

    // One that this browser can no longer open is replaced.
    company.put_account_data(&ann, DEFAULT_KEY, &json!({})).await?;
    browser.lose_vault().await?;
    retry(&browser, &desk).await?;
    let switched = async || {
        let data = company.account_data(&ann).await?;
        Ok((data[DEFAULT_KEY] != old && data[DEFAULT_KEY]["key"].is_string()).then_some(()))
    };
    until("a new default key", PATIENCE, switched).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;

    company.put_account_data(&ann, DEFAULT_KEY, &old).await?;
    let before = company.secret_documents(&ann).await?;
    retry(&browser, &desk).await?;
    browser.wait_for_code("KS-REC-ROLLBACK", PATIENCE).await?;
    ensure!(company.secret_documents(&ann).await? == before, "something was stored under the old key");
    browser.quit().await
}

async fn secrets_missing(company: &Company, kind: BrowserKind, answer: impl Fn() -> Answer) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    let browser = company.browser(kind, company.policy(&desk)).await?;
    let mut first = None;
    for secret in SECRETS {
        desk.homeserver.set_rules([Rule::when(secret, reads(secret), Action::Answer(answer()))]);
        if first.is_none() {
            browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
        } else {
            retry(&browser, &desk).await?;
        }
        browser.wait_for_code("KS-REC-SECRET-MISSING", PATIENCE).await.with_context(|| secret)?;
        desk.homeserver.behave();
        retry(&browser, &desk).await?;
        browser.wait_for_state(State::Complete, PATIENCE).await.with_context(|| secret)?;
        let now = (company.identity(&ann).await?, company.sealed_recovery(&ann).await?);
        ensure!(*first.get_or_insert_with(|| now.clone()) == now, "{secret}: identity or recovery key was replaced");
    }
    let (_, recovery_key) = company.open_sealed_recovery(&ann).await?;
    let opened = company.client("open", &ann, &json!({ "recoveryKey": recovery_key })).await?;
    ensure!(opened["publicKeysMatch"] == true, "the recovery key opens something else");
    browser.quit().await
}

async fn unsigned_backup(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    let unsigned = Action::rewrite_json(|_, body| {
        if let Some(auth_data) = body["auth_data"].as_object_mut() {
            auth_data.remove("signatures");
        }
    });
    desk.homeserver.add(Rule::when("backup", reads_path("/room_keys/version"), unsigned));
    let browser = company.browser(kind, company.policy(&desk)).await?;
    browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
    browser.wait_for_code("KS-REC-BACKUP-UNTRUSTED", PATIENCE).await?;
    company.nothing_set_up(&ann).await?;
    let identity = company.identity(&ann).await?;
    desk.homeserver.behave();
    retry(&browser, &desk).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    ensure!(company.identity(&ann).await? == identity, "the identity was replaced");
    browser.quit().await
}

/// The homeserver makes a recovery key of its own, seals it to the person (anyone can), and makes it the default key.
async fn forged_before(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, fingerprint) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let forged = slip_in(company, &ann).await?;
    company.put_account_data(&ann, SEALED, &forged_sealed(company, &forged, &fingerprint).await?).await?;
    let before = company.secret_documents(&ann).await?;
    let (_desk, browser) = at_work(company, kind, &ann).await?;
    browser.wait_for_state(State::Foreign, PATIENCE).await?;
    ensure!(company.secret_documents(&ann).await? == before, "something was stored under the forged key");
    cancelled(company, &ann, &browser).await?;
    browser.quit().await
}

/// Element itself asks for the recovery key that the homeserver slipped in. The person cancels and can work. (Identity and
/// backup are then Element's to repair: its SDK does not publish on a second try what it made at the first.)
async fn cancelled(company: &Company, who: &Employee, browser: &Browser) -> Result<()> {
    company.put_account_data(who, DEFAULT_KEY, &json!({})).await?;
    browser.press("Cancel").await?;
    browser.press("Retry").await?;
    browser.wait_until_logged_in().await?;
    ensure!(company.sealed_recovery(who).await.is_err(), "there is a recovery key for an account without an identity");
    Ok(())
}

async fn forged_later(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, desk, browser) = complete(company, kind).await?;
    let (key_id, message) = company.sealed_recovery(&ann).await?;
    let data = company.account_data(&ann).await?;
    let fingerprint = data[SEALED]["keys"][&key_id]["recipients"][0].as_str().context("no recipient")?.to_owned();
    let mut forged = data[SEALED].clone();
    forged["keys"][&key_id]["message"] =
        forged_sealed(company, &key_id, &fingerprint).await?["keys"][&key_id]["message"].clone();
    company.put_account_data(&ann, SEALED, &forged).await?;
    // A homeserver may only be late: what it has lost is written again when it was asked for a minute.
    browser.tell(&json!({ "ask": "retry", "origin": desk.element.url() })).await?;
    let ours = async || Ok((company.sealed_recovery(&ann).await? == (key_id.clone(), message.clone())).then_some(()));
    until("the sealed recovery as it was", PATIENCE * 3, ours).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    browser.quit().await
}

/// Makes a key that somebody else holds the account's default key; answers its id.
async fn slip_in(company: &Company, victim: &Employee) -> Result<String> {
    let mallory = company.hire("mallory").await?;
    let own = company.client("own-recovery", &mallory, &json!({ "logout": true })).await?;
    let id = own["keyId"].as_str().context("no key id")?.to_owned();
    let kind = format!("m.secret_storage.key.{id}");
    let description = company.account_data(&mallory).await?[&kind].clone();
    company.put_account_data(victim, &kind, &description).await?;
    company.put_account_data(victim, DEFAULT_KEY, &json!({ "key": id })).await?;
    Ok(id)
}

async fn forged_sealed(company: &Company, key_id: &str, fingerprint: &str) -> Result<Value> {
    let text = "Keystead sealed recovery\n\nRecovery key: EsTc forged\n";
    let message = company.gpg.encrypt(text.as_bytes(), &[fingerprint]).await?;
    Ok(json!({ "keys": { key_id: {
        "message": message, "recipients": [fingerprint], "sealed_at": 1_700_000_000_000_u64,
        "wrapped": { "iv": "AAAAAAAAAAAAAAAA", "ciphertext": "AAAA" },
    } } }))
}

fn answer_to_login(answer: Value) -> Rule {
    let logs_in = |asked: &Asked| asked.method == Method::POST && asked.path.ends_with("/login");
    Rule::when("login", logs_in, Action::Answer(Answer::json(200, &answer)))
}

fn reads(document: &'static str) -> impl Fn(&Asked) -> bool {
    move |asked| asked.method == Method::GET && asked.path.ends_with(&format!("/account_data/{document}"))
}

fn reads_path(end: &'static str) -> impl Fn(&Asked) -> bool {
    move |asked| asked.method == Method::GET && asked.path.ends_with(end)
}
