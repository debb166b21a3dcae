//! What `cargo xtask demo` runs: a new employee's first login, then the loss of every device.
//!
//! The one argument is the folder for pictures, the sealed recovery and the report. Nothing secret is printed or left:
//! the sealed recovery there opens only with the employee's OpenPGP key, which ends with the demo.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command that speaks to a person")]

mod report;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::{Browser, BrowserKind, Company, Desk, Employee, PATIENCE, State, until};
use serde_json::{Value, json};

use crate::report::Report;

const MESSAGE: &str = "written before the second device existed";
/// What the independent client says of the second device, and what that means.
const RESTORED: [(&str, &str); 5] = [
    ("secretStorageReady", "secret storage opens with the key that gpg took from the sealed recovery"),
    ("crossSigningReady", "the second device has the account's identity"),
    ("deviceVerified", "the second device is verified"),
    ("backupActive", "the key backup is in use"),
    ("publicKeysMatch", "every secret belongs to the public key on the homeserver"),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match demo().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn demo() -> Result<()> {
    let out = std::env::args_os().nth(1).map(PathBuf::from).context("say where pictures and report go")?;
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let kind = *BrowserKind::wanted()?.first().context("no browser")?;
    println!("A new employee logs in to Element Web, in {}:", kind.name());
    let mut report = Report::new(kind.name());
    let told = tell(kind, &out, &mut report).await.and_then(|()| report.all_hold());
    report.write(&out.join("report.json"), told.as_ref().err().map(|error| format!("{error:#}")).as_deref())?;
    told?;
    println!(
        "All of it took {:.1} s. Pictures, sealed recovery, report: {}",
        report.elapsed().as_secs_f64(),
        out.display()
    );
    Ok(())
}

async fn tell(kind: BrowserKind, out: &Path, report: &mut Report) -> Result<()> {
    let company = Company::found().await.context("the services did not start")?;
    let desk = company.desk()?;
    report.done("homeserver, key server and host page are ready");

    let (ann, fingerprint) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let bob = company.hire("bob").await?;
    report.done("the employee has an account, and an OpenPGP key that the company's certifier has certified");

    let open = async { company.browser(kind, company.policy(&desk)).await.context("the browser did not start") };
    let (browser, room_id) = tokio::try_join!(open, colleague_invites(&company, &bob, &ann))?;
    report.done("the browser is open, with the extension and the company's policy; a colleague has made a room");
    note_versions(&company, &browser, report).await?;

    first_login(&browser, &desk, &ann, report).await.context("the first login did not come to its end")?;
    report.check("Element asks the person nothing", browser.view().await? == Some(8));
    browser.picture(&out.join("element.png")).await?;
    browser.picture_of_popup(&out.join("popup.png")).await?;
    report.done("pictures are taken");

    let event = colleague_writes(&company, &room_id, &bob, &ann).await.context("a colleague cannot write")?;
    report.done("a colleague has written, and the message's key is in the backup");
    browser.quit().await?;
    report.done("the browser is closed, its profile is gone");

    let (_, sealed) = company.sealed_recovery(&ann).await?;
    fs::write(out.join("sealed-recovery.asc"), sealed)?;
    company.sealed_to_exactly(&ann, &[&fingerprint]).await?;
    let (key_id, recovery_key) = company.open_sealed_recovery(&ann).await?;
    report.fact("recipient", fingerprint.as_str());
    report.done(format!("gpg has opened the sealed recovery, which is sealed to {fingerprint} and nobody else"));

    let open = json!({ "recoveryKey": recovery_key, "events": [event] });
    let opened = company.client("open", &ann, &open).await.context("the second device was not restored")?;
    report.done("a second, clean device has restored the account from it");
    for (field, meaning) in RESTORED {
        report.check(meaning, opened[field] == true);
    }
    report.check("the recovery key is the one in force", opened["keyId"] == key_id);
    report.check("the message from before opens on the second device", opened["events"][0]["plaintext"] == MESSAGE);
    let room_id = event["roomId"].as_str().context("the message is in no room")?;
    second_profile(&company, kind, &desk, &ann, room_id, out, report).await.context("a clean profile was not restored")
}

/// A new laptop: a clean profile with the extension, and what gpg opened.
async fn second_profile(
    company: &Company,
    kind: BrowserKind,
    desk: &Desk,
    ann: &Employee,
    room_id: &str,
    out: &Path,
    report: &mut Report,
) -> Result<()> {
    let browser = company.browser(kind, company.policy(desk)).await.context("the browser did not start")?;
    let element = desk.element.url();
    browser.log_in(&element, &ann.localpart, &ann.password).await?;
    browser.wait_for_state(State::Recover, PATIENCE).await?;
    report.done("the browser is open on a clean profile, and the employee logs in: the sealed recovery is offered");
    let (_, sealed) = company.sealed_recovery(ann).await?;
    let opened = String::from_utf8(company.gpg.decrypt(&sealed).await?)?;
    let pictures = [out.join("recover.png"), out.join("believe.png")];
    browser
        .on_recover_page(&element, async |page| {
            page.find("#message").await?;
            page.picture_of_all(&pictures[0]).await?;
            page.send(&opened).await?;
            page.find("#mine").await?;
            page.picture_of_all(&pictures[1]).await?;
            page.believe().await
        })
        .await?;
    report.done("what gpg opened is pasted, and the security code recognised");
    browser.wait_until_logged_in().await?;
    browser.wait_until_readable(room_id, MESSAGE).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    report.check("the message from before is read in the new browser, and everything is in place there", true);
    browser.picture_of_popup(&out.join("popup-new-browser.png")).await?;
    browser.quit().await
}

/// Logs in with name and password, then only watches: Element's view, and what the popup shows.
async fn first_login(browser: &Browser, desk: &Desk, who: &Employee, report: &mut Report) -> Result<()> {
    browser.log_in(&desk.element.url(), &who.localpart, &who.password).await?;
    let sent = Instant::now();
    report.done("name and password are typed and sent: from here on the person does nothing");
    let mut logged_in = false;
    let mut shown = None;
    let complete = until("the state Complete", PATIENCE, async || {
        if !logged_in && browser.view().await? == Some(8) {
            logged_in = true;
            report.done("Element shows the person's rooms");
        }
        let status = browser.status().await?;
        let deployment = status.deployments.first().context("the popup shows no deployment")?;
        let now = (deployment.progress.state, deployment.progress.step.clone());
        if shown.as_ref() != Some(&now) {
            let (state, step) = &now;
            let step = step.as_ref().map(|step| format!(", at {step}")).unwrap_or_default();
            report.done(format!("the popup shows: {state:?}{step}"));
            shown = Some(now);
        }
        match deployment.progress.state {
            State::Complete if logged_in => Ok(Some(deployment.clone())),
            _ => bail!("the popup shows: {status}"),
        }
    });
    let complete = complete.await?;
    report.fact("complete_after_login_ms", u64::try_from(sent.elapsed().as_millis())?);
    report.check("the popup names the account", complete.account.as_deref() == Some(&*who.user_id));
    report.check("the popup names one recipient", complete.progress.recipients.len() == 1);
    report.check("the sealed recovery was read back and proven", complete.progress.sealed_proven_at.is_some());
    Ok(())
}

/// A colleague makes an encrypted room and invites the employee; answers the room's id.
async fn colleague_invites(company: &Company, bob: &Employee, ann: &Employee) -> Result<String> {
    let invite = json!({ "messages": [], "invite": [ann.user_id], "logout": true });
    let room = company.client("send", bob, &invite).await.context("a colleague cannot make a room")?;
    Ok(room["roomId"].as_str().context("the colleague's room has no id")?.to_owned())
}

/// A colleague writes an encrypted message while the employee's browser is the only device; waits for its key's backup.
async fn colleague_writes(company: &Company, room_id: &str, bob: &Employee, ann: &Employee) -> Result<Value> {
    company.join(ann, room_id).await?;
    let message = json!({ "roomId": room_id, "messages": [MESSAGE], "awaitJoin": [ann.user_id], "logout": true });
    let sent = company.client("send", bob, &message).await?;
    let backed_up = async || Ok((company.backed_up_keys(ann).await? > 0).then_some(()));
    until("the message's key in the backup", PATIENCE, backed_up).await?;
    Ok(json!({ "roomId": room_id, "eventId": sent["eventIds"][0] }))
}

/// What took part, by its own word.
async fn note_versions(company: &Company, browser: &Browser, report: &mut Report) -> Result<()> {
    let capabilities = serde_json::to_value(browser.session().handle().capabilities())?;
    report.version("browser", capabilities["browserVersion"].clone());
    let http = reqwest::Client::builder().no_proxy().build()?;
    let homeserver = http.get(format!("{}/_matrix/client/versions", company.synapse.url())).send().await?;
    report.version("homeserver", homeserver.headers().get("server").and_then(|server| server.to_str().ok()));
    let gpg = String::from_utf8(company.gpg.run(&["--version"], b"").await?)?;
    report.version("gpg", gpg.lines().next().unwrap_or_default());
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("host/node_modules/matrix-js-sdk/package.json");
    let sdk: Value = serde_json::from_slice(&fs::read(sdk).context("the host page's node packages are missing")?)?;
    report.version("matrix-js-sdk", sdk["version"].clone());
    report.version("keystead", env!("CARGO_PKG_VERSION"));
    Ok(())
}
