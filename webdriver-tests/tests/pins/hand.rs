//! What somebody does at a browser, whichever of theirs it is, and what is shown and kept there.

use anyhow::{Context, Result, anyhow, ensure};
use keystead_testbed::Recorded;
use keystead_webdriver_tests::{Browser, PATIENCE, until};
use serde_json::{Value, json};

/// Sends a message to a room.
pub(crate) async fn send(browser: &Browser, room_id: &str, words: &str) -> Result<()> {
    let send = "page.mxMatrixClientPeg.get().sendTextMessage(arguments[0], arguments[1]);";
    browser.in_page(send, vec![room_id.into(), words.into()]).await.map(drop)
}

/// Has the next message of a room have a new key.
pub(crate) async fn discard(browser: &Browser, room_id: &str) -> Result<()> {
    let discard = "page.mxMatrixClientPeg.get().getCrypto().forceDiscardSession(arguments[0]);";
    browser.in_page(discard, vec![room_id.into()]).await.map(drop)
}

/// Has Element ask for somebody's keys now.
pub(crate) async fn ask_for_keys(browser: &Browser, user: &str) -> Result<()> {
    const ASK: &str = r"
        const crypto = page.mxMatrixClientPeg.get().getCrypto();
        page.keysteadAsked = false;
        const request = crypto.olmMachine.queryKeysForUsers([new crypto.olmMachine.userId.constructor(arguments[0])]);
        const done = () => { page.keysteadAsked = true; };
        crypto.outgoingRequestProcessor.makeOutgoingRequest(request).then(done, done);
    ";
    browser.in_page(ASK, vec![user.into()]).await?;
    let asked = async || Ok((browser.in_page("return page.keysteadAsked;", vec![]).await? == true).then_some(()));
    until("an answer about somebody's keys", PATIENCE, asked).await
}

/// The token of Element's session.
pub(crate) async fn token(browser: &Browser) -> Result<String> {
    let token = browser.in_page("return page.mxMatrixClientPeg.get().getAccessToken();", vec![]).await?;
    Ok(token.as_str().context("no session")?.to_owned())
}

/// Of whom the popup says something.
pub(crate) async fn people(browser: &Browser) -> Result<Vec<Value>> {
    Ok(browser.status().await?.deployments.into_iter().next().context("no deployment")?.people)
}

/// Waits until the popup says nothing of anybody.
pub(crate) async fn nobody(browser: &Browser) -> Result<()> {
    let gone = async || {
        let people = people(browser).await?;
        if people.is_empty() { Ok(Some(())) } else { Err(anyhow!("the popup shows {people:?}")) }
    };
    until("nobody in the popup", PATIENCE, gone).await
}

/// Waits until the popup says this of somebody, and answers with the whole of it.
pub(crate) async fn shown(browser: &Browser, user: &str, code: &str) -> Result<Value> {
    until(&format!("{code} in the popup"), PATIENCE, async || {
        let found = people(browser).await?.into_iter().find(|one| one["user_id"] == user);
        Ok(found.filter(|one| one["code"] == code))
    })
    .await
}

/// Accepts what is shown of somebody; what else there is to say of them is another question.
pub(crate) async fn accept(
    browser: &Browser,
    (element, account): (&str, &str),
    shown: &Value,
    compared: bool,
) -> Result<()> {
    let decision = json!({ "decision": "accept", "shown": shown["shown"], "compared": compared });
    let ask = json!({
        "ask": "decide", "origin": element, "account": account, "peer": shown["user_id"], "decision": decision,
    });
    let answer = browser.ask(&ask).await?;
    let left = answer["deployments"][0]["people"].as_array().context("no people")?;
    let same = |one: &Value| one["user_id"] == shown["user_id"] && one["code"] == shown["code"];
    ensure!(!left.iter().any(same), "still shown: {left:?}");
    Ok(())
}

/// Waits until there is a notice in the room.
pub(crate) async fn notice(browser: &Browser) -> Result<()> {
    browser.find("header.mx_RoomHeader + keystead-notice").await.map(drop)
}

/// Loads the page again.
pub(crate) async fn load_again(browser: &Browser) -> Result<()> {
    browser.in_page("page.before = true; page.location.reload();", vec![]).await?;
    // What is there until then is logged in as well.
    until("the page anew", PATIENCE, async || {
        let before = browser.in_page("return Boolean(page.before);", vec![]).await;
        Ok(before.is_ok_and(|before| before == false).then_some(()))
    })
    .await?;
    browser.wait_until_logged_in().await
}

/// A record that this browser keeps; null where there is none.
pub(crate) async fn record(browser: &Browser, key: &str) -> Result<Value> {
    let records = browser.records().await?;
    records[key].as_str().map_or(Ok(Value::Null), |text| Ok(serde_json::from_str(text)?))
}

/// How many of these requests' messages are encrypted to a Curve25519 key, under whatever name.
pub(crate) fn encrypted_to(key: &str, requests: &[Recorded]) -> Result<usize> {
    let mut count = 0;
    for request in requests {
        if request.asked.method == "PUT" && request.asked.path.contains("/sendToDevice/") {
            let body: Value = serde_json::from_slice(&request.asked.body)?;
            let users = body["messages"].as_object().into_iter().flatten();
            let messages = users.flat_map(|(_, devices)| devices.as_object().into_iter().flatten());
            count += messages.filter(|(_, message)| message["ciphertext"].get(key).is_some()).count();
        }
    }
    Ok(count)
}

/// How many of these requests carry something encrypted for somebody's device.
pub(crate) fn sent_to((user, device): (&str, &str), requests: &[Recorded]) -> Result<usize> {
    let mut count = 0;
    for request in requests {
        if request.asked.method == "PUT" && request.asked.path.contains("/sendToDevice/m.room.encrypted/") {
            let body: Value = serde_json::from_slice(&request.asked.body)?;
            count += usize::from(body["messages"][user].get(device).is_some());
        }
    }
    Ok(count)
}
