//! Another recovery key for an account with five secrets, beside a plain client that sends the same requests one after the
//! other: from the listing of the account's documents until the new key is in force, and, when that is settled a minute
//! later, from the listing until the last of the old key's entries is gone.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use keystead_testbed::{KeyKind, KeySpec};
use keystead_webdriver_tests::{BrowserKind, Company, PATIENCE, State, until};
use serde_json::{Value, json};

use crate::figure::{Figure, Samples, Target};
use crate::requests::{self, Own};

/// The most requests of a rotation.
const REQUESTS: f64 = 14.0;
/// How long it takes at most until a switch is settled, which is looked at a minute later, and what waited for that is done.
const SETTLED: Duration = Duration::from_secs(60 + 60);
/// The type of the fifth secret's document, which Keystead does not know.
const FIFTH: &str = "org.example.note";

/// What one rotation took, in milliseconds.
struct Rotation {
    total: f64,
    requests: f64,
    floor: f64,
    count: f64,
    /// How many requests it took to clear the old key's entries away.
    cleared: f64,
}

pub(crate) async fn bench(company: &Company, kind: BrowserKind, runs: usize) -> Result<Vec<Figure>> {
    let mut all = Vec::new();
    for run in 0..runs {
        let measured = rotation(company, kind).await.with_context(|| format!("run {run}"))?;
        eprintln!(
            "  {} {run}: {:.0} ms, {} requests in {:.0} ms, floor {:.0}; {} later",
            kind.name(),
            measured.total,
            measured.count,
            measured.requests,
            measured.floor,
            measured.cleared
        );
        all.push(measured);
    }
    let of = |value: fn(&Rotation) -> f64| all.iter().map(value).collect::<Samples>();
    let figure = |figure: &str, unit, value, target| {
        let against = (unit == "ms").then(|| ("one after another", of(|run| run.floor)));
        Figure { bench: "rotate", figure: figure.to_owned(), browser: Some(kind.name()), unit, value, against, target }
    };
    Ok(vec![
        figure("rotation of five secrets", "ms", of(|run| run.total), None),
        figure("its requests", "ms", of(|run| run.requests), None),
        figure(
            "requests until the new key is in force",
            "requests",
            of(|run| run.count),
            Some(Target::AtMost(REQUESTS)),
        ),
        figure("requests that clear the old entries, later", "requests", of(|run| run.cleared), None),
    ])
}

async fn rotation(company: &Company, kind: BrowserKind) -> Result<Rotation> {
    let (who, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let escrow = company.gpg.generate(&KeySpec::new("Escrow <escrow@example.org>", KeyKind::Ed25519)).await?;
    let certificate = company.gpg.export(&escrow).await?;
    company.sks.add_key(&certificate).await?;
    let desk = company.desk()?;
    let mut policy = company.policy(&desk);
    policy["escrow"] = json!({ "certificates": [certificate] });
    let browser = company.browser(kind, policy).await?;
    browser.log_in(&desk.element.url(), &who.localpart, &who.password).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    let (before, recovery_key) = company.open_sealed_recovery(&who).await?;
    let fifth = json!({ "recoveryKey": recovery_key, "name": FIFTH, "secret": "a note" });
    company.client("store-secret", &who, &fifth).await?;

    let asked = requests::own(&desk).len();
    company.sks.add_key(&company.gpg.revoked(&escrow).await?).await?;
    browser.tell(&json!({ "ask": "retry", "origin": desk.element.url() })).await?;
    let done = |rotation: &Value| rotation["compromised"].is_object() && rotation["compromised"]["backup"].is_null();
    browser
        .wait_for("another recovery key", SETTLED, |seen| {
            seen.progress.state == State::Complete && done(&seen.progress.rotation)
        })
        .await?;
    let rotated: Vec<Own> = requests::own(&desk).into_iter().skip(asked).collect();
    let over = asked + rotated.len();
    until("no entry under the old key", SETTLED, async || {
        let documents = company.account_data(&who).await?;
        let documents = documents.as_object().context("no documents")?;
        Ok(documents.values().all(|document| document["encrypted"].get(&before).is_none()).then_some(()))
    })
    .await?;
    let entries = company.account_data(&who).await?[FIFTH]["encrypted"].as_object().cloned().unwrap_or_default();
    let (id, _) = company.sealed_recovery(&who).await?;
    ensure!(id != before && entries.keys().eq([&id]), "the fifth secret is under {:?}", entries.keys());
    let cleared = from_listing(requests::own(&desk).into_iter().skip(over).collect())?;
    browser.quit().await?;

    // What follows the next look at the account's identity is the renewal of the key backup.
    let rotation = from_listing(rotated)?;
    let floor = requests::floor(&rotation).await.context("the same requests by a plain client")?;
    let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
    Ok(Rotation {
        total: millis(requests::from_first_to_last(&rotation)),
        requests: millis(requests::under_way(&rotation)),
        floor: millis(floor),
        count: rotation.len() as f64,
        cleared: cleared.len() as f64,
    })
}

/// From the listing of the account's documents to the last document that was written before the next look at its identity.
fn from_listing(mut requests: Vec<Own>) -> Result<Vec<Own>> {
    let listing = requests.iter().position(Own::lists).context("the documents were not listed")?;
    requests.drain(..listing);
    let end = requests.iter().position(Own::reads_identity).unwrap_or(requests.len());
    requests.truncate(end);
    let last = requests.iter().rposition(Own::writes).context("nothing was written")?;
    requests.truncate(last + 1);
    Ok(requests)
}
