//! A room is open while the extension is updated.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::rows::{Rows, output_dir};
use keystead_webdriver_tests::{BrowserKind, Company, PATIENCE, State, until};
use serde_json::json;

use crate::scene::{Scene, loaded_again, older, said_for, update};

pub(crate) const COMPOSER: &str = ".mx_BasicMessageComposer_input";
pub(crate) const DRAFT: &str = "not finished yet";
/// How long people have at least to read why the page is loaded again, in milliseconds.
const READ_WITHIN: i64 = 5000;
/// How long a page that must not be loaded again by itself is looked at: twice as long as the extension waits otherwise.
pub(crate) const WATCHED: Duration = Duration::from_secs(13);

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add(
        kind,
        "under an open room the page says so and is loaded again, and everything is as it was",
        alone(company, kind),
    );
    rows.add_shared(kind, "a page that is not gated says so too before it is loaded again", not_gated(company, kind));
    rows.add_shared(
        kind,
        "with a draft the page stays, nothing goes to devices, and the draft is there after the reload",
        draft(company, kind),
    );
    rows.add_shared(
        kind,
        "a message that was not sent keeps the page from being loaded again by itself",
        unsent(company, kind),
    );
}

async fn alone(company: &Company, kind: BrowserKind) -> Result<()> {
    let mut scene = Scene::set_up(company, kind).await?;
    let before = scene.kept(company).await?;
    update(&mut scene.browser).await?;
    loaded_again(&scene.browser).await?;
    let said = said_for(&scene.browser).await?;
    ensure!(said >= READ_WITHIN, "nobody can read in {said} ms why");
    scene.browser.wait_until_logged_in().await?;
    scene.show_room().await?;
    scene.all_is_kept(company, &before).await?;
    scene.send("after").await?;
    scene.phone.reads("after").await?;
    // The gate is there, and compares with what was pinned before.
    let mut ghost = company.follow(&scene.bob, &json!({ "roomId": scene.phone.room_id })).await?;
    scene.send("held back").await?;
    scene.phone.reads("held back").await?;
    ghost.cannot_read().await?;
    let told = async || {
        let status = scene.browser.status().await?;
        let people = &status.deployments[0].people;
        let is_told = people.iter().any(|one| one["code"] == "KS-PIN-DEVICE");
        if is_told { Ok(Some(())) } else { Err(anyhow!("the popup shows {people:?}")) }
    };
    until("the ghost in the popup", PATIENCE, told).await?;
    stays(&scene, WATCHED).await?;
    scene.browser.quit().await
}

async fn not_gated(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    let mut browser = older(company, kind, &desk, false).await?;
    browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    update(&mut browser).await?;
    loaded_again(&browser).await?;
    let said = said_for(&browser).await?;
    ensure!(said >= READ_WITHIN, "nobody can read in {said} ms why");
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    browser.quit().await
}

/// The page is not loaded again by itself, from now on.
pub(crate) async fn stays(scene: &Scene, time: Duration) -> Result<()> {
    scene.browser.in_page("page.keysteadStays = true;", vec![]).await?;
    let watched = Instant::now();
    while watched.elapsed() < time {
        let is_there = scene.browser.in_page("return page.keysteadStays === true;", vec![]).await?;
        ensure!(is_there == true, "the page was loaded again by itself");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(())
}

async fn draft(company: &Company, kind: BrowserKind) -> Result<()> {
    const SEND: &str = r"
        const client = page.mxMatrixClientPeg.get();
        const url = `${client.getHomeserverUrl()}/_matrix/client/v3/sendToDevice/m.room.encrypted/keystead-update`;
        page.fetch(url, {
            method: 'PUT',
            headers: { Authorization: `Bearer ${client.getAccessToken()}`, 'Content-Type': 'application/json' },
            body: JSON.stringify({ messages: {} }),
        }).catch(() => {});
    ";
    let mut scene = Scene::set_up(company, kind).await?;
    let before = scene.kept(company).await?;
    scene.browser.find(COMPOSER).await?.send_keys(DRAFT).await?;
    update(&mut scene.browser).await?;
    scene.says_so().await?;
    let picture = format!("update-outdated-{}.png", kind.name());
    scene.browser.picture(&output_dir()?.join(picture)).await?;
    let sent = scene.sent_to_devices();
    scene.browser.in_page(SEND, vec![]).await?;
    stays(&scene, WATCHED).await?;
    ensure!(scene.sent_to_devices() == sent, "something went to devices");
    press_reload(&scene).await?;
    loaded_again(&scene.browser).await?;
    scene.browser.wait_until_logged_in().await?;
    scene.show_room().await?;
    let text = async || {
        let text = scene.browser.find(COMPOSER).await?.text().await?;
        Ok((text.trim() == DRAFT).then_some(()))
    };
    until("the draft", PATIENCE, text).await?;
    scene.all_is_kept(company, &before).await?;
    scene.browser.find(COMPOSER).await?.send_keys("\u{e007}").await?;
    scene.phone.reads(DRAFT).await?;
    scene.browser.quit().await
}

/// Presses the notice's button, which is at its lower left: nothing but the person can look into the notice.
async fn press_reload(scene: &Scene) -> Result<()> {
    const PLACE: &str = r"
        const { left, bottom } = page.document.querySelector('keystead-update').getBoundingClientRect();
        return [Math.round(left) + 40, Math.round(bottom) - 30];
    ";
    let place = scene.browser.in_page(PLACE, vec![]).await?;
    let at = |index: usize| place[index].as_i64().unwrap_or_default();
    scene.browser.session().action_chain().move_to(at(0), at(1)).click().perform().await?;
    Ok(())
}

async fn unsent(company: &Company, kind: BrowserKind) -> Result<()> {
    const PENDING: &str = "return page.mxMatrixClientPeg.get().getRoom(arguments[0]).getPendingEvents().length;";
    let mut scene = Scene::set_up(company, kind).await?;
    // Another room is shown, or none: what waits is not seen there.
    scene.browser.in_page("page.mxDispatcher.dispatch({ action: 'view_home_page' });", vec![]).await?;
    scene.desk.homeserver.cut();
    scene.send("waits").await?;
    let pending = async || {
        let pending = scene.browser.in_page(PENDING, vec![scene.phone.room_id.as_str().into()]).await?;
        Ok((pending == 1).then_some(()))
    };
    until("a message that waits", PATIENCE, pending).await?;
    update(&mut scene.browser).await?;
    scene.browser.find("keystead-update").await?;
    stays(&scene, WATCHED).await?;
    scene.browser.quit().await
}
