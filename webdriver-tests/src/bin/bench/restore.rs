//! From a login to *ready*, in the browser that was used before and in a new one, beside matrix-js-sdk's own restore with
//! the recovery key at hand. Ready is Element's view with the device verified and the key of the backup in place.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::search::Needle;
use keystead_webdriver_tests::{
    Browser, BrowserKind, BrowserOptions, Company, Desk, Employee, Extension, PATIENCE, State,
};
use serde_json::{Value, json};

use crate::figure::{Figure, Samples, Target};
use crate::{bare_browser, gnupg_host};

/// How many times as long as the SDK's own restore it may take.
const TIMES: f64 = 1.2;
const SEALED: &str = "io.keystead.recovery";

/// Sends the form. Where there is a key, the SDK restores with it as soon as Element asks to confirm the identity. Tells
/// when the form was sent, when Element asked, and when all was ready, in milliseconds since 1970.
const RESTORE: &str = r"
    const [key, done] = arguments;
    const page = window.wrappedJSObject ?? window;
    const sent = Date.now();
    document.querySelector('.mx_Login_submit').click();
    const restore = async (client) => {
        const crypto = client.getCrypto();
        const bytes = page.Uint8Array.from(key);
        client.cryptoCallbacks.getSecretStorageKey = async ({ keys }) => [Object.keys(keys)[0], bytes];
        await crypto.userHasCrossSigningKeys(undefined, true);
        await crypto.bootstrapCrossSigning({});
        await crypto.loadSessionBackupPrivateKeyFromSecretStorage();
        await crypto.checkKeyBackupAndEnable();
        page.mxSetupEncryptionStore.done();
    };
    const isReady = async (client) => {
        const crypto = client.getCrypto();
        const device = await crypto.getDeviceVerificationStatus(client.getUserId(), client.getDeviceId());
        return Boolean(device?.crossSigningVerified && (await crypto.getSessionBackupPrivateKey()));
    };
    let asked;
    const failed = (error) => done(String(error));
    const look = async () => {
        const view = page.matrixChat?.state?.view;
        const client = page.mxMatrixClientPeg?.get();
        if (view === 6 && !asked) {
            asked = Date.now();
            if (key) restore(client).catch(failed);
        }
        if (view === 8 && (await isReady(client))) done([sent, asked ?? sent, Date.now()]);
        else setTimeout(() => look().catch(failed), 5);
    };
    look().catch(failed);
";

/// What one run took, in milliseconds.
#[derive(Default)]
struct Took {
    again: Samples,
    new: Samples,
    covered: Samples,
    sdk_again: Samples,
    sdk_new: Samples,
    sdk_covered: Samples,
}

pub(crate) async fn bench(company: &Company, kind: BrowserKind, bare: &Path, runs: usize) -> Result<Vec<Figure>> {
    let mut took = Took::default();
    for run in 0..runs {
        one(company, kind, bare, &mut took).await.with_context(|| format!("run {run}"))?;
        eprintln!("  {} {run}: done", kind.name());
    }
    let figure = |figure: &str, value, against| {
        let (figure, browser) = (figure.to_owned(), Some(kind.name()));
        let (against, target) = (Some(("matrix-js-sdk", against)), Some(Target::AtMostTimes(TIMES)));
        Figure { bench: "restore", figure, browser, unit: "ms", value, against, target }
    };
    let covered = figure("of that, Element's question is there", took.covered, took.sdk_covered);
    Ok(vec![
        figure("re-login to ready", took.again, took.sdk_again),
        Figure { target: None, ..covered },
        figure("new browser to ready", took.new, took.sdk_new),
    ])
}

async fn one(company: &Company, kind: BrowserKind, bare: &Path, took: &mut Took) -> Result<()> {
    let (who, certificate) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let desk = company.desk()?;
    let element = desk.element.url();
    let mut policy = company.policy(&desk);
    policy["restore"] = json!({ "retain_after_logout": "always", "gnupg_host": "com.keystead.gpgme" });

    let extension = Extension::packed_for_tests(kind)?;
    let browser = Browser::start(kind, BrowserOptions { extension, policy: policy.clone() }).await?;
    browser.wait_until_installed().await?;
    browser.log_in(&element, &who.localpart, &who.password).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    vouch(company, &who, &certificate).await?;
    browser.log_out().await?;
    let [again, covered] = restored(&browser, &desk, &who, Value::Null).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    browser.quit().await?;

    let (_, message) = company.sealed_recovery(&who).await?;
    let opened = String::from_utf8(company.gpg.decrypt(&message).await?)?;
    let folder = tempfile::tempdir()?;
    let host = gnupg_host::make(folder.path(), &opened)?;
    let extension = Extension::packed_for_tests(kind)?;
    extension.grant("nativeMessaging")?;
    let browser = Browser::start(kind, BrowserOptions { extension, policy }).await?;
    browser.connect_host(&host)?;
    browser.wait_until_installed().await?;
    let [new, _] = restored(&browser, &desk, &who, Value::Null).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    browser.quit().await?;

    let (_, recovery_key) = company.open_sealed_recovery(&who).await?;
    let key = json!(Needle::of_recovery_key(&recovery_key)?.bytes());
    let browser = bare_browser(kind, bare).await?;
    let [sdk_new, _] = restored(&browser, &desk, &who, key.clone()).await?;
    browser.in_page("page.mxDispatcher.dispatch({ action: 'logout' });", vec![]).await?;
    browser.wait_until_emptied().await?;
    let [sdk_again, sdk_covered] = restored(&browser, &desk, &who, key).await?;
    browser.quit().await?;

    took.again.extend([again]);
    took.covered.extend([covered]);
    took.new.extend([new]);
    took.sdk_again.extend([sdk_again]);
    took.sdk_covered.extend([sdk_covered]);
    took.sdk_new.extend([sdk_new]);
    Ok(())
}

/// Logs in; answers how long it took until all was ready, and for how much of that Element's question was there.
async fn restored(browser: &Browser, desk: &Desk, who: &Employee, key: Value) -> Result<[f64; 2]> {
    let session = browser.session();
    session.goto(format!("{}/#/login", desk.element.url())).await?;
    browser.find("#mx_LoginForm_username").await?.send_keys(&who.localpart).await?;
    browser.find("#mx_LoginForm_password").await?.send_keys(&who.password).await?;
    let told = session.execute_async(RESTORE, vec![key]).await?.json().clone();
    let times: Vec<f64> = serde_json::from_value(told.clone()).with_context(|| format!("the page says {told}"))?;
    let [sent, asked, ready] = times.try_into().map_err(|_| anyhow!("the page did not tell three times"))?;
    Ok([ready - sent, ready - asked])
}

/// The person's own certificate vouches for the identity, as after a first restore with GnuPG: nobody is asked.
async fn vouch(company: &Company, who: &Employee, certificate: &str) -> Result<()> {
    let (id, _) = company.sealed_recovery(who).await?;
    let identity = company.identity(who).await?;
    let master_key = identity[0].as_object().and_then(|keys| keys.values().next()?.as_str());
    let (_, server) = who.user_id.split_once(':').context("no server name")?;
    // The fields in the order of canonical JSON.
    let statement = format!(
        r#"{{"key_id":"{id}","kind":"io.keystead.witness","master_key":"{}","server":"{server}","user_id":"{}","version":1}}"#,
        master_key.context("no master key")?,
        who.user_id
    );
    let mut document = company.account_data(who).await?[SEALED].take();
    document["keys"][&id]["witness"] = company.gpg.sign_detached(statement.as_bytes(), certificate).await?.into();
    company.put_account_data(who, SEALED, &document).await
}
