//! Whom the room says something of before anything has changed.

use anyhow::{Result, ensure};
use keystead_webdriver_tests::{BrowserKind, Company, rows::Rows};
use serde_json::json;

use crate::scene::set_up;

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add_shared(
        kind,
        "somebody new in a room in use is told of, and reads what is sent then",
        newcomer(company, kind),
    );
}

async fn newcomer(company: &Company, kind: BrowserKind) -> Result<()> {
    let mut scene = set_up(company, kind).await?;
    let carol = company.hire("carol").await?;
    company.invite(&scene.bob, &scene.phone.room_id, &carol).await?;
    company.join(&carol, &scene.phone.room_id).await?;
    let room = json!({ "roomId": scene.phone.room_id, "identity": "make" });
    let mut web = company.follow(&carol, &room).await?;
    let shown = scene.shown_of(&carol.user_id, "KS-PIN-NEWCOMER").await?;
    scene.notice().await?;
    scene.pictures("newcomer").await?;
    scene.picture_of_popup("newcomer").await?;
    ensure!(shown["severity"] == "notice" && shown["held"] == false, "{shown}");
    scene.send("welcome").await?;
    web.reads("welcome").await?;
    scene.phone.reads("welcome").await?;
    scene.accept(&shown).await?;
    scene.start_again().await?;
    scene.send("again").await?;
    web.reads("again").await?;
    ensure!(scene.people().await?.is_empty(), "told of twice");
    scene.browser.quit().await
}
