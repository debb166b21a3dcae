//! Element's call widget and Jitsi's, as far as they come with no server behind them: both are documents of the release in
//! frames, with scripts, modules and workers of their own.

use anyhow::{Result, ensure};
use keystead_webdriver_tests::{BrowserKind, Company, PATIENCE, Site, until};
use reqwest::Method;
use serde_json::{Value, json};
use thirtyfour::By;

use super::Day;

/// Where nobody answers.
const NOWHERE: &str = "127.0.0.1:9";
const CALL: &str = "iframe[src*='/widgets/element-call/']";
const JITSI: &str = "iframe[src*='/jitsi.html']";

pub(super) async fn opens(company: &Company, kind: BrowserKind) -> Result<()> {
    let config = json!({ "features": { "feature_group_calls": true }, "jitsi": { "preferred_domain": NOWHERE } });
    let config = config.as_object().cloned().unwrap_or_default();
    let mut day = Day::begin(company, kind, Site { config, ..Site::default() }).await?;
    may_call(company, &day).await?;
    day.tries("Jitsi's widget shows its own page, and begins to load the meeting", async |day| {
        start(day, "Jitsi Conference").await?;
        says(day, JITSI, "Join Conference").await?;
        day.picture("jitsi").await?;
        const MEETING: &str = "
            const frame = page.document.querySelector(arguments[0]).contentDocument;
            const button = frame.querySelector('#joinButton');
            if (button.onclick && !frame.querySelector('iframe')) button.click();
            return frame.querySelector('iframe')?.src ?? '';";
        let meeting = async || {
            let seen = day.browser.in_page(MEETING, vec![JITSI.into()]).await?;
            Ok(seen.as_str().is_some_and(|url| url.starts_with(&format!("https://{NOWHERE}/"))).then_some(()))
        };
        until("the meeting", PATIENCE, meeting).await
    })
    .await?;
    day.tries("the call widget shows its lobby and the person's own camera", async |day| {
        start(day, "Element Call").await?;
        const LOBBY: &str = "
            const video = page.document.querySelector(arguments[0])?.contentDocument?.querySelector('video');
            return Boolean(video && video.videoWidth > 0 && !video.paused);";
        let lobby = async || Ok((day.browser.in_page(LOBBY, vec![CALL.into()]).await? == true).then_some(()));
        until("the lobby", PATIENCE, lobby).await?;
        day.picture("call-lobby").await
    })
    .await?;
    day.tries("the call widget says itself that the homeserver has no calls", async |day| {
        const JOIN: &str = "
            const frame = page.document.querySelector(arguments[0]).contentDocument;
            const join = [...frame.querySelectorAll('button')].find((one) => /join|start/i.test(one.textContent));
            join?.click();
            return Boolean(join);";
        ensure!(day.browser.in_page(JOIN, vec![CALL.into()]).await? == true, "nothing to press");
        says(day, CALL, "MISSING_MATRIX_RTC").await?;
        day.picture("call").await
    })
    .await?;
    day.end().await
}

/// A third person is in the room, so that a call is a widget; and the person may begin one.
async fn may_call(company: &Company, day: &Day) -> Result<()> {
    let room = &day.phone.room_id;
    let carol = company.hire("carol").await?;
    company.invite(&day.bob, room, &carol).await?;
    company.join(&carol, room).await?;
    let token = company.synapse.login_as(&day.bob.user_id).await?.access_token;
    let path = format!("/_matrix/client/v3/rooms/{room}/state/m.room.power_levels/");
    let mut levels = company.synapse.call(Method::GET, &path, Some(&token), None).await?.ok()?;
    levels["users"][&day.ann.user_id] = 50.into();
    levels["events"]["org.matrix.msc3401.call.member"] = 0.into();
    company.synapse.call(Method::PUT, &path, Some(&token), Some(&levels)).await?.ok()?;
    Ok(())
}

/// Begins a call of this kind in the room.
async fn start(day: &Day, kind: &str) -> Result<()> {
    let button = "header.mx_RoomHeader button[aria-label='Video call']:enabled";
    let option = format!(".mx_RoomHeader_videoCallOption[aria-label='{kind}']");
    // The header is drawn anew while members come in.
    until(&format!("{kind} to choose"), PATIENCE, async || {
        if day.browser.session().find(By::Css(&*option)).await.is_err() {
            day.browser.find(button).await?.click().await?;
        }
        day.browser.session().find(By::Css(&*option)).await?.click().await?;
        Ok(Some(()))
    })
    .await
}

/// Waits until a frame shows these words.
async fn says(day: &Day, frame: &str, words: &str) -> Result<()> {
    const TEXT: &str = "return page.document.querySelector(arguments[0])?.contentDocument?.body?.innerText ?? '';";
    let mut last = Value::Null;
    let says = async || {
        last = day.browser.in_page(TEXT, vec![frame.into()]).await?;
        Ok(last.as_str().is_some_and(|text| text.contains(words)).then_some(()))
    };
    let outcome = until(&format!("{words:?} in the frame"), PATIENCE, says).await;
    outcome.map_err(|error| error.context(format!("it says {last}")))
}
