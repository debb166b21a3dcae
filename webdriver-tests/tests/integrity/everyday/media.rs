//! Attachments, pictures, avatars, voice messages: encrypted in the page, opened by another client, and shown again.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use flate2::{Compression, Crc, write::ZlibEncoder};
use keystead_webdriver_tests::{BrowserKind, Company, PATIENCE, Site, until};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use thirtyfour::{By, WebElement};

use super::Day;

/// What is not known of a picture before it was decoded.
const PAINTED: &str = "
    const picture = [...document.querySelectorAll(arguments[0])].at(-1);
    return Boolean(picture?.complete && picture.naturalWidth > 0 && picture.getBoundingClientRect().width > 0);";
/// How long a recording is at least.
const RECORDED: &str = "00:02";

pub(super) async fn files(company: &Company, kind: BrowserKind) -> Result<()> {
    let mut day = Day::begin(company, kind, Site::default()).await?;
    let folder = tempfile::Builder::new().prefix("keystead-attached-").tempdir()?;
    let place = |name: &str| folder.path().join(name);
    let text: Vec<u8> = (0..300_000_u32).flat_map(|index| format!("{index}\n").into_bytes()).collect();
    day.tries("an attachment goes up", async |day| {
        let heard = attach(day, place("attached.txt"), &text).await?;
        ensure!(heard["msgtype"] == "m.file", "it is {}", heard["msgtype"]);
        Ok(())
    })
    .await?;
    day.tries("an attachment comes down, through the frame for it", async |day| {
        // Its button is there while the pointer is on the message. (A press on the message itself only decrypts, at first.)
        let message = last(day, ".mx_EventTile:has(.mx_MFileBody_info)").await?;
        day.browser.session().action_chain().move_to_element_center(&message).perform().await?;
        day.browser.find(".mx_MessageActionBar_downloadButton").await?.click().await?;
        let saved = day.browser.downloads().join("attached.txt");
        until("the saved file", PATIENCE, async || Ok((std::fs::read(&saved)? == text).then_some(()))).await?;
        ensure!(has_frame(day, "/usercontent/").await?, "it came in another way");
        Ok(())
    })
    .await?;
    let picture = png(1200, 900);
    day.tries("a picture goes up, with a thumbnail and a blur", async |day| {
        let heard = attach(day, place("picture.png"), &picture).await?;
        ensure!(heard["msgtype"] == "m.image" && heard["info"]["w"] == 1200, "it is {heard}");
        ensure!(heard["thumbnail"]["size"].as_u64() > Some(0), "it has no thumbnail: {heard}");
        // A worker makes it.
        ensure!(heard["info"]["xyz.amorgan.blurhash"].is_string(), "it has no blur: {heard}");
        Ok(())
    })
    .await?;
    day.tries("a picture is shown", async |day| {
        painted(day, ".mx_MImageBody img.mx_MImageBody_thumbnail").await?;
        day.picture("picture").await
    })
    .await?;
    day.tries("an avatar is set and shown", async |day| {
        settings(day, "USER_ACCOUNT_TAB").await?;
        choose(day, ".mx_UserProfileSettings input[type=file]", place("avatar.png"), &png(200, 200)).await?;
        let path = format!("/_matrix/client/v3/profile/{}/avatar_url", day.ann.user_id);
        let set = async || {
            let answer = company.synapse.call(Method::GET, &path, None, None).await?.ok();
            Ok(answer.ok().filter(|answer| answer["avatar_url"].is_string()).map(drop))
        };
        until("an avatar on the homeserver", PATIENCE, set).await?;
        painted(day, ".mx_UserProfileSettings img.mx_AvatarSetting_avatarDisplay").await?;
        close_settings(day).await?;
        painted(day, ".mx_UserMenu_userAvatar img").await
    })
    .await?;
    day.tries("both are shown after a reload", async |day| {
        day.reload().await?;
        painted(day, ".mx_MImageBody img.mx_MImageBody_thumbnail").await?;
        painted(day, ".mx_UserMenu_userAvatar img").await
    })
    .await?;
    day.tries("both are shown after another start of the browser", async |day| {
        day.starts_again(company).await?;
        painted(day, ".mx_MImageBody img.mx_MImageBody_thumbnail").await?;
        painted(day, ".mx_UserMenu_userAvatar img").await?;
        day.picture("avatar").await
    })
    .await?;
    day.end().await
}

pub(super) async fn voice(company: &Company, kind: BrowserKind) -> Result<()> {
    let mut day = Day::begin(company, kind, Site::default()).await?;
    day.tries("a voice message is recorded and sent", async |day| {
        day.browser.find(".mx_MessageComposer_buttonMenu").await?.click().await?;
        let item = ".mx_MessageComposer_Menu .mx_IconizedContextMenu_item:has(.mx_MessageComposer_voiceMessage)";
        day.browser.find(item).await?.click().await?;
        let long_enough = async || {
            let clock = day.browser.find(".mx_VoiceRecordComposerTile_recording .mx_Clock").await?.text().await?;
            Ok((*clock >= *RECORDED).then_some(()))
        };
        until("a recording", PATIENCE, long_enough).await?;
        day.picture("recording").await?;
        day.browser.find(".mx_VoiceRecordComposerTile_stop").await?.click().await?;
        day.browser.find(".mx_MessageComposer_sendMessage").await?.click().await?;
        let heard = day.phone.hears(|line| line["msgtype"] == "m.audio").await?;
        let sound = &heard["attachment"];
        ensure!(sound["start"] == "OggS" && sound["size"].as_u64() > Some(2_000), "what was sent is {heard}");
        ensure!(heard["info"]["duration"].as_u64() > Some(1_500), "what was sent is {heard}");
        // Other clients draw it; one that is no list of numbers they take for no message at all.
        let wave: Vec<u64> = serde_json::from_value(heard["waveform"].clone())?;
        ensure!(wave.iter().any(|loud| *loud > 0), "nothing is heard in it: {heard}");
        Ok(())
    })
    .await?;
    day.tries("a voice message is played to its end", async |day| {
        let play = ".mx_MVoiceMessageBody .mx_PlayPauseButton_play:not(.mx_PlayPauseButton_disabled)";
        last(day, play).await?.click().await?;
        day.browser.find(".mx_MVoiceMessageBody .mx_PlayPauseButton_pause").await?;
        day.browser.find(".mx_MVoiceMessageBody .mx_PlayPauseButton_play").await?;
        day.picture("voice").await
    })
    .await?;
    day.end().await
}

/// Attaches a file as the composer's button does; answers what the colleague's device found, which is that file.
async fn attach(day: &mut Day, file: PathBuf, bytes: &[u8]) -> Result<Value> {
    let name = file.file_name().and_then(|name| name.to_str()).context("no name")?.to_owned();
    choose(day, ".mx_MessageComposer input[type=file]", file, bytes).await?;
    day.browser.find(".mx_UploadConfirmDialog .mx_Dialog_primary").await?.click().await?;
    let heard = day.phone.hears(|line| line["body"] == *name).await?;
    let sha256: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    ensure!(heard["attachment"]["sha256"] == *sha256, "another file came: {heard}");
    Ok(heard)
}

/// Chooses a file with these bytes in a field for files.
async fn choose(day: &Day, field: &str, file: PathBuf, bytes: &[u8]) -> Result<()> {
    std::fs::write(&file, bytes)?;
    day.browser.find(field).await?.send_keys(file.to_str().context("a path that is no text")?).await?;
    Ok(())
}

/// The last of these, where it can be seen.
async fn last(day: &Day, selector: &str) -> Result<WebElement> {
    day.browser.find(selector).await?;
    let all = day.browser.session().find_all(By::Css(selector)).await?;
    let last = all.into_iter().next_back().context("it is gone")?;
    last.scroll_into_view().await?;
    Ok(last)
}

/// Is there a frame with this in its address?
async fn has_frame(day: &Day, part: &str) -> Result<bool> {
    const FRAMES: &str =
        "return [...document.querySelectorAll('iframe')].some(({ src }) => src.includes(arguments[0]));";
    Ok(day.browser.in_page(FRAMES, vec![part.into()]).await? == true)
}

/// Waits until the last such picture was decoded, and takes room.
async fn painted(day: &Day, selector: &str) -> Result<()> {
    let painted = async || Ok((day.browser.in_page(PAINTED, vec![selector.into()]).await? == true).then_some(()));
    until(&format!("the picture {selector}"), Duration::from_secs(20), painted).await
}

/// Opens Element's settings at a place.
pub(super) async fn settings(day: &Day, tab: &str) -> Result<()> {
    let action = json!({ "action": "view_user_settings", "initialTabId": tab });
    day.browser.in_page("page.mxDispatcher.dispatch(arguments[0]);", vec![action]).await?;
    day.browser.find(".mx_UserSettingsDialog").await.map(drop)
}

pub(super) async fn close_settings(day: &Day) -> Result<()> {
    day.browser.find(".mx_UserSettingsDialog .mx_Dialog_cancelButton").await?.click().await?;
    let gone = async || {
        let there = day.browser.in_page("return document.querySelector('.mx_UserSettingsDialog');", vec![]).await?;
        Ok(there.is_null().then_some(()))
    };
    until("closed settings", PATIENCE, gone).await
}

/// A picture with colours that run into each other.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut lines = Vec::new();
    for y in 0..height {
        lines.push(0);
        lines.extend(
            (0..width).flat_map(|x| [x * 255 / width, y * 255 / height, 160].map(|part| part.to_le_bytes()[0])),
        );
    }
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    let _ = packed.write_all(&lines);
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |name: &[u8], data: &[u8]| {
        let mut crc = Crc::new();
        crc.update(name);
        crc.update(data);
        let length = u32::try_from(data.len()).unwrap_or_default();
        for part in [&length.to_be_bytes(), name, data, &crc.sum().to_be_bytes()] {
            bytes.extend_from_slice(part);
        }
    };
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    chunk(b"IHDR", &header);
    chunk(b"IDAT", &packed.finish().unwrap_or_default());
    chunk(b"IEND", b"");
    bytes
}
