//! G4 against key servers: each refused with its code, nothing sealed to anyone, nothing switched; and once the key server
//! has what it should have, the account is set up for the right certificate alone.

use std::time::Duration;

use anyhow::{Result, ensure};
use keystead_testbed::{Action, Answer, KeyKind, KeySpec, Proxy, Rule};
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{BrowserKind, Company, Desk, Employee, PATIENCE, State};
use serde_json::json;

use crate::scene::{retry, usable};

/// What is wrong with the key server, or with what it has.
#[derive(Clone, Copy, Debug)]
enum Attack {
    Nothing,
    Down,
    OtherPerson,
    Uncertified,
    Revoked,
    RevocationWithheld,
    RevokedAndExpired,
    Expired,
    SignOnly,
    Two,
    OtherFingerprint,
    Sha1,
    Rsa1024,
    Html,
    HtmlForKey,
    FiveMegabytes,
    Endless,
    Stalls,
    Redirect,
}

const TABLE: [(Attack, &str, &str); 19] = [
    (Attack::Nothing, "KS-DIR-NONE", "the key server has no certificate"),
    (Attack::Down, "KS-DIR-UNREACHABLE", "the key server is down"),
    (Attack::OtherPerson, "KS-DIR-WRONG-ADDRESS", "a colleague's certificate under the person's address"),
    (Attack::Uncertified, "KS-DIR-UNCERTIFIED", "a certificate with the person's address that nobody certified"),
    (Attack::Revoked, "KS-DIR-REVOKED", "a revoked certificate"),
    (Attack::RevocationWithheld, "KS-DIR-REVOKED", "a revocation that one of two key servers withholds"),
    (Attack::RevokedAndExpired, "KS-DIR-REVOKED", "an index line with the flags re"),
    (Attack::Expired, "KS-DIR-EXPIRED", "an expired certificate"),
    (Attack::SignOnly, "KS-DIR-NO-ENCRYPTION", "a certificate that can only sign"),
    (Attack::Two, "KS-DIR-AMBIGUOUS", "two good certificates for one address"),
    (Attack::OtherFingerprint, "KS-DIR-FINGERPRINT", "another certificate than the index said"),
    (Attack::Sha1, "KS-DIR-WEAK", "self-signatures over SHA-1"),
    (Attack::Rsa1024, "KS-DIR-WEAK", "RSA with 1024 bits"),
    (Attack::Html, "KS-DIR-NOT-A-KEY", "a web page for everything"),
    (Attack::HtmlForKey, "KS-DIR-NOT-A-KEY", "a web page where the certificate was due"),
    (Attack::FiveMegabytes, "KS-DIR-TOO-LARGE", "an answer of 5 MB"),
    (Attack::Endless, "KS-DIR-TOO-LARGE", "an answer that never ends"),
    (Attack::Stalls, "KS-DIR-TIMEOUT", "an answer that never begins"),
    (Attack::Redirect, "KS-DIR-REDIRECT", "a redirect to another host"),
];

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    for (attack, code, name) in TABLE {
        let name = format!("hostile key server: {name} ({code})");
        rows.add_shared(kind, &name, refused(company, kind, attack, code));
    }
    let name = "hostile key server: an index that calls a good certificate revoked and expired decides nothing";
    rows.add_shared(kind, name, lying_index(company, kind));
}

async fn refused(company: &Company, kind: BrowserKind, attack: Attack, code: &str) -> Result<()> {
    let ann = company.hire("ann").await?;
    let desk = company.desk()?;
    let mut policy = company.policy(&desk);
    let mounted = mount(company, &ann, &desk, attack).await?;
    if let Some(more) = &mounted.more {
        policy["directory"]["hkp"] = json!([desk.keyserver.url(), more.url()]);
    }
    let browser = company.browser(kind, policy).await?;
    browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;

    let seen = browser.wait_for_code(code, PATIENCE).await?;
    ensure!(seen.progress.state == State::Waiting, "{code} is shown as {:?}", seen.progress.state);
    ensure!(seen.progress.recipients.is_empty(), "somebody is a recipient");
    company.nothing_set_up(&ann).await?;
    let identity = company.identity(&ann).await?;
    usable(&browser).await?;

    let visited = mounted.elsewhere.as_ref().map(|proxy| proxy.requests().len());
    ensure!(visited.unwrap_or(0) == 0, "the host of the redirect was asked");

    desk.keyserver.behave();
    let good = match mounted.left {
        Left::Nobody => {
            let good = company.certified_key(&ann.address, KeyKind::Ed25519).await?;
            company.sks.add_key(&company.gpg.export(&good).await?).await?;
            good
        }
        Left::One { good, other } => {
            company.sks.add_key(&company.gpg.revoked(&other).await?).await?;
            good
        }
    };
    retry(&browser, &desk).await?;
    let complete = browser.wait_for_state(State::Complete, PATIENCE).await?;
    ensure!(complete.progress.recipients.len() == 1, "{} recipients", complete.progress.recipients.len());
    ensure!(complete.progress.recipients[0]["fingerprint"] == good, "the popup names another recipient");
    company.sealed_to_exactly(&ann, &[&good]).await?;
    ensure!(company.identity(&ann).await? == identity, "the identity was replaced");
    browser.quit().await
}

/// What stands when the key server behaves again.
enum Left {
    /// No certificate that can be accepted.
    Nobody,
    /// One too many.
    One { good: String, other: String },
}

struct Mounted {
    left: Left,
    /// A second key server.
    more: Option<Proxy>,
    /// A server that the policy does not name; kept running.
    elsewhere: Option<Proxy>,
}

async fn mount(company: &Company, ann: &Employee, desk: &Desk, attack: Attack) -> Result<Mounted> {
    let Company { gpg, sks, .. } = company;
    let user_id = format!("Somebody <{}>", ann.address);
    let certified = async || company.certified_key(&ann.address, KeyKind::Ed25519).await;
    let server = &desk.keyserver;
    let mut mounted = Mounted { left: Left::Nobody, more: None, elsewhere: None };
    let (key, html) = ("application/pgp-keys", "text/html");
    let page = "<!DOCTYPE html><title>Sign in to the guest network</title><p>Welcome";
    match attack {
        Attack::Nothing => {}
        Attack::Down => server.add(Rule::on_any("/pks/", Action::Drop)),
        Attack::OtherPerson => {
            let mallory = company.certified_key(&format!("mallory-{}", ann.address), KeyKind::Ed25519).await?;
            server.add(index(&[&mallory], &user_id, ""));
            server.add(get(Action::Answer(Answer::new(200, key, gpg.export(&mallory).await?))));
        }
        Attack::Uncertified => {
            let forged = gpg.generate(&KeySpec::new(&user_id, KeyKind::Ed25519)).await?;
            sks.add_key(&gpg.export(&forged).await?).await?;
        }
        Attack::Revoked => {
            let lost = certified().await?;
            sks.add_key(&gpg.export(&lost).await?).await?;
            sks.add_key(&gpg.revoked(&lost).await?).await?;
        }
        Attack::RevocationWithheld => {
            let lost = certified().await?;
            sks.add_key(&gpg.revoked(&lost).await?).await?;
            server.add(index(&[&lost], &user_id, ""));
            server.add(get(Action::Answer(Answer::new(200, key, gpg.export(&lost).await?))));
            mounted.more = Some(Proxy::start(sks.url())?);
        }
        Attack::RevokedAndExpired => {
            let spec = KeySpec::new(&user_id, KeyKind::Ed25519).made_at("20200101T120000").expires("2d");
            let old = gpg.generate(&spec).await?;
            server.add(index(&[&old], &user_id, "re"));
            server.add(get(Action::Answer(Answer::new(200, key, gpg.revoked(&old).await?))));
        }
        Attack::Expired => {
            let spec = KeySpec::new(&user_id, KeyKind::Ed25519).made_at("20200101T120000").expires("2d");
            sks.add_key(&gpg.export(&gpg.generate(&spec).await?).await?).await?;
        }
        Attack::SignOnly => {
            let spec = KeySpec::new(&user_id, KeyKind::Ed25519).sign_only();
            let signer = gpg.generate(&spec).await?;
            gpg.certify(&company.certifier, &signer).await?;
            sks.add_key(&gpg.export(&signer).await?).await?;
        }
        Attack::Two => {
            let (good, other) = (certified().await?, certified().await?);
            sks.add_key(&gpg.export(&good).await?).await?;
            sks.add_key(&gpg.export(&other).await?).await?;
            mounted.left = Left::One { good, other };
        }
        Attack::OtherFingerprint => {
            let (named, sent) = (certified().await?, certified().await?);
            server.add(index(&[&named], &user_id, ""));
            server.add(get(Action::Answer(Answer::new(200, key, gpg.export(&sent).await?))));
        }
        Attack::Sha1 => {
            let weak = gpg.generate(&KeySpec::new(&user_id, KeyKind::Ed25519).sha1_signatures()).await?;
            gpg.certify(&company.certifier, &weak).await?;
            sks.add_key(&gpg.export(&weak).await?).await?;
        }
        Attack::Rsa1024 => {
            let weak = company.certified_key(&ann.address, KeyKind::Rsa1024).await?;
            sks.add_key(&gpg.export(&weak).await?).await?;
        }
        Attack::Html => server.add(Rule::on_any("/pks/", Action::Answer(Answer::new(200, html, page)))),
        Attack::HtmlForKey => {
            server.add(index(&[&certified().await?], &user_id, ""));
            server.add(get(Action::Answer(Answer::new(200, html, page))));
        }
        Attack::FiveMegabytes => {
            let found = certified().await?;
            let mut long = gpg.export(&found).await?.into_bytes();
            long.resize(5_000_000, b'\n');
            server.add(index(&[&found], &user_id, ""));
            server.add(get(Action::Answer(Answer::new(200, key, long))));
        }
        Attack::Endless => {
            server.add(index(&[&certified().await?], &user_id, ""));
            let chunk = vec![b'\n'; 1 << 14].into();
            server.add(get(Action::Endless { content_type: key, chunk }));
        }
        Attack::Stalls => server.add(Rule::on_any("/pks/", Action::Stall)),
        Attack::Redirect => {
            let wanted = certified().await?;
            let elsewhere = Proxy::start(sks.url())?;
            elsewhere.add(get(Action::Answer(Answer::new(200, key, gpg.export(&wanted).await?))));
            let url = elsewhere.url().replace("127.0.0.1", "localhost");
            server.add(index(&[&wanted], &user_id, ""));
            server.add(get(Action::redirect(&format!("{url}/pks/lookup?op=get"))));
            mounted.elsewhere = Some(elsewhere);
        }
    }
    Ok(mounted)
}

async fn lying_index(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, good) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    desk.keyserver.add(index(&[&good], &format!("Somebody <{}>", ann.address), "re"));
    let browser = company.browser(kind, company.policy(&desk)).await?;
    browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
    browser.wait_for_state(State::Complete, PATIENCE + Duration::from_secs(15)).await?;
    company.sealed_to_exactly(&ann, &[&good]).await?;
    browser.quit().await
}

/// A rule that answers every search with an index of these certificates, all with one user ID.
fn index(fingerprints: &[&str], user_id: &str, flags: &str) -> Rule {
    let mut lines = format!("info:1:{}\n", fingerprints.len());
    for fingerprint in fingerprints {
        lines += &format!("pub:{fingerprint}:22:256:1700000000::{flags}\nuid:{user_id}:1700000000::\n");
    }
    let answer = Action::Answer(Answer::new(200, "text/plain", lines));
    Rule::when("index", |asked| asked.query.contains("op=index"), answer)
}

/// A rule for every request for a certificate.
fn get(action: Action) -> Rule {
    Rule::when("get", |asked| asked.query.contains("op=get"), action)
}
