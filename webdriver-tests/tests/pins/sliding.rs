//! A client that uses sliding sync (MSC4186) instead of `/sync`: what it hears of rooms, devices and account data comes another
//! way, and all that is looked at is the same.

use anyhow::{Context, Result, ensure};
use keystead_testbed::HostPageOptions;
use keystead_webdriver_tests::{BrowserKind, Company, Extension, rows::Rows};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::quiet;
use crate::scene::{Scene, set_up_at};

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add_shared(
        kind,
        "with sliding sync a beginning is silent, somebody new is told of, and a ghost device gets no room key",
        sliding(company, kind),
    );
}

/// The client syncs in no other way.
fn slides(scene: &Scene) -> Result<()> {
    let requests = scene.desk.homeserver.requests();
    let count = |method: Method, path: &str| {
        let is_one = |asked: &keystead_testbed::Asked| asked.method == method && asked.path == path;
        requests.iter().filter(|request| is_one(&request.asked)).count()
    };
    let sliding = count(Method::POST, "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync");
    let classic = count(Method::GET, "/_matrix/client/v3/sync");
    ensure!(sliding > 0 && classic == 0, "{sliding} requests of sliding sync, {classic} of the other");
    Ok(())
}

async fn sliding(company: &Company, kind: BrowserKind) -> Result<()> {
    let features = json!({ "feature_simplified_sliding_sync": true });
    let config = Map::from_iter([("features".to_owned(), features)]);
    let desk = company.desk_with(HostPageOptions { config, ..HostPageOptions::default() })?;
    let extension = Extension::packed_for_tests(kind)?;
    let more: Value = json!({ "pins": {} });
    let mut scene = set_up_at(company, desk, kind, extension, more, async |_, _, _| Ok(())).await?;
    slides(&scene)?;
    quiet::watch(&scene.browser).await?;
    quiet::writes(&scene.browser, &mut scene.phone, "good morning").await?;
    scene.start_again().await?;
    quiet::watch(&scene.browser).await?;
    quiet::writes(&scene.browser, &mut scene.phone, "started again").await.context("started again")?;

    let room = scene.phone.room_id.clone();
    let carol = company.hire("carol").await?;
    company.invite(&scene.bob, &room, &carol).await?;
    company.join(&carol, &room).await?;
    let mut web = company.follow(&carol, &json!({ "roomId": room, "identity": "make" })).await?;
    let shown = scene.shown_of(&carol.user_id, "KS-PIN-NEWCOMER").await?;
    scene.accept(&shown).await?;

    let mut ghost = company.follow(&scene.bob, &json!({ "roomId": room })).await?;
    scene.ask_for_keys().await?;
    scene.send("held back").await?;
    scene.phone.reads("held back").await?;
    web.reads("held back").await?;
    ghost.cannot_read().await?;
    ensure!(scene.sent_to(&ghost.device_id)? == 0, "the ghost was sent a key");
    let shown = scene.shown("KS-PIN-DEVICE").await?;
    scene.notice().await?;
    scene.accept(&shown).await?;
    scene.send("after").await?;
    ghost.reads("after").await?;
    scene.phone.reads("after").await?;
    slides(&scene)?;
    scene.browser.quit().await
}
