//! A new browser on a machine that has GnuPG, connected by `keystead native-host install`; the real gpgme-json.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use keystead_testbed::{Gpg, Proxy};
use keystead_webdriver_tests::rows::{Rows, output_dir};
use keystead_webdriver_tests::{Browser, BrowserKind, BrowserOptions, Company, Extension, PATIENCE, State};
use serde_json::{Value, json};

use crate::scene::{Scene, set_up};

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add(kind, "GnuPG: a new browser opens history by itself", by_itself(company, kind));
    rows.add_shared(
        kind,
        "GnuPG: once the person's certificate vouches, no browser asks again",
        vouched(company, kind),
    );
    rows.add_shared(kind, "GnuPG: what it fails for is said, and trying again opens history", again(company, kind));
}

/// Where the roster vouches for the identity as well, nobody is asked anything.
async fn by_itself(company: &Company, kind: BrowserKind) -> Result<()> {
    let (scene, first) = set_up(company, kind, json!({})).await?;
    first.quit().await?;
    let files = Proxy::start("http://127.0.0.1:9")?;
    let mut policy = company.policy(&scene.desk);
    policy["roster"] = json!({
        "url": format!("{}/roster.json", files.url()), "signers": [company.certifier_certificate],
    });
    let directory = policy["directory"].as_object_mut();
    directory.into_iter().for_each(|directory| directory.retain(|field, _| field == "hkp"));
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let master_key = scene.identity[0].as_object().and_then(|keys| keys.values().next()).context("no master key")?;
    let roster = json!({
        "kind": "roster", "version": 1, "deployment": scene.desk.element.url(), "serial": 1,
        "issued": now - 60_000, "expires": now + 86_400_000,
        "people": [{
            "matrix_id": scene.ann.user_id, "email": scene.ann.address, "fingerprint": scene.certificate,
            "master_key": master_key,
        }],
    });
    company.publish_roster(&files, &roster, &company.certifier).await?;

    let laptop = laptop(company, &scene).await?;
    let browser = connected(kind, policy, &laptop, true).await?;
    browser.log_in(&scene.desk.element.url(), &scene.ann.localpart, &scene.ann.password).await?;
    scene.is_whole(company, &browser).await?;
    browser.quit().await
}

/// The first restore with GnuPG asks whose identity it is, and has the certificate say so; the next one asks nothing.
async fn vouched(company: &Company, kind: BrowserKind) -> Result<()> {
    let (scene, first) = set_up(company, kind, json!({})).await?;
    first.quit().await?;
    let laptop = laptop(company, &scene).await?;
    let element = scene.desk.element.url();
    let browser = connected(kind, company.policy(&scene.desk), &laptop, true).await?;
    browser.log_in(&element, &scene.ann.localpart, &scene.ann.password).await?;
    browser.wait_for_state(State::Believe, PATIENCE).await?;
    browser.on_recover_page(&element, async |page| page.believe().await).await?;
    scene.is_whole(company, &browser).await?;
    let before = output_dir()?.join(format!("drill-{}.png", kind.name()));
    let after = output_dir()?.join(format!("drill-good-{}.png", kind.name()));
    browser
        .on_drill_page(&element, async |page| {
            page.find("#opened").await?;
            page.picture(&before).await?;
            page.find("#gnupg").await?.click().await?;
            page.find(".outcome #close, .outcome + .buttons #close").await?;
            page.picture(&after).await
        })
        .await?;
    let entry = company.account_data(&scene.ann).await?["io.keystead.recovery"]["keys"].take();
    let witness = entry.as_object().and_then(|keys| keys.values().next()?["witness"].as_str().map(str::to_owned));
    ensure!(witness.is_some_and(|text| text.contains("PGP SIGNATURE")), "no signature lies beside the sealed recovery");
    browser.picture_of_popup(&output_dir()?.join(format!("popup-tested-{}.png", kind.name()))).await?;
    browser.quit().await?;

    let next = connected(kind, company.policy(&scene.desk), &laptop, true).await?;
    next.log_in(&element, &scene.ann.localpart, &scene.ann.password).await?;
    scene.is_whole(company, &next).await?;
    next.quit().await
}

async fn again(company: &Company, kind: BrowserKind) -> Result<()> {
    let (scene, first) = set_up(company, kind, json!({})).await?;
    first.quit().await?;
    let laptop = Gpg::new()?;
    // Chromium asks for the permission in a window of its own, which WebDriver cannot press.
    let granted = kind == BrowserKind::Chromium;
    let problem = if granted { "KS-GPG-NO-SECRET-KEY" } else { "KS-GPG-PERMISSION" };
    let browser = connected(kind, company.policy(&scene.desk), &laptop, granted).await?;
    let element = scene.desk.element.url();
    browser.log_in(&element, &scene.ann.localpart, &scene.ann.password).await?;
    let asked = browser.wait_for_state(State::Recover, PATIENCE).await?;
    let question = asked.progress.question.unwrap_or_default();
    ensure!(question["gnupg"]["problem"] == problem, "it says {}", question["gnupg"]);

    laptop.import(&company.gpg.export_secret(&scene.certificate).await?).await?;
    let picture = output_dir()?.join(format!("recover-gnupg-{}.png", kind.name()));
    browser
        .on_recover_page(&element, async |page| {
            let said = page.find(".problem").await?.text().await?;
            ensure!(said.contains(problem), "the page says {said}");
            page.find("#opened").await?;
            page.picture(&picture).await?;
            page.find("#gnupg").await?.click().await?;
            page.believe().await
        })
        .await?;
    scene.is_whole(company, &browser).await?;
    browser.quit().await
}

/// A key ring with the person's own key.
pub(crate) async fn laptop(company: &Company, scene: &Scene) -> Result<Gpg> {
    let laptop = Gpg::new()?;
    laptop.import(&company.gpg.export_secret(&scene.certificate).await?).await?;
    Ok(laptop)
}

/// A new browser that is connected with GnuPG; the extension may use it from the start, or has to ask.
async fn connected(kind: BrowserKind, policy: Value, gpg: &Gpg, granted: bool) -> Result<Browser> {
    let browser = beside_gnupg(kind, policy, granted).await?;
    browser.connect_gnupg(gpg)?;
    browser.wait_until_installed().await?;
    Ok(browser)
}

/// One that is to be connected with GnuPG.
pub(crate) async fn beside_gnupg(kind: BrowserKind, mut policy: Value, granted: bool) -> Result<Browser> {
    policy["restore"] = json!({ "gnupg_host": "com.keystead.gpgme" });
    let extension = Extension::packed_for_tests(kind)?;
    if granted {
        extension.grant("nativeMessaging")?;
    }
    Browser::start(kind, BrowserOptions { extension, policy }).await
}
