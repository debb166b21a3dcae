//! How rows begin: an older version at work, with somebody in a room with a colleague.

use anyhow::{Context, Result, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::client::Follower;
use keystead_webdriver_tests::{
    Browser, BrowserKind, BrowserOptions, Company, Desk, Employee, Extension, PATIENCE, State, until,
};
use serde_json::{Map, Value, json};

/// The version that is replaced.
const OLDER: &str = "0.0.9";
/// Fields that were added to records after the first ones were written: an older version's have none of them.
const ADDED: [&str; 10] =
    ["unmet", "newcomer", "only_lent", "drill", "begun", "trouble", "settle_at", "unfinished", "rotation", "not_now"];

/// A browser with the older version, and a policy that has pins in force, or none.
pub(crate) async fn older(company: &Company, kind: BrowserKind, desk: &Desk, gated: bool) -> Result<Browser> {
    let extension = Extension::packed_for_tests(kind)?;
    extension.set_version(OLDER)?;
    let mut policy = company.policy(desk);
    if gated {
        policy["pins"] = json!({});
    }
    let browser = Browser::start(kind, BrowserOptions { extension, policy }).await?;
    browser.wait_until_installed().await?;
    Ok(browser)
}

/// Has the page's session storage tell when the page first said that it is outdated, and when it was left.
const WATCH: &str = r"
    page.keysteadBefore = true;
    const note = (name) => page.sessionStorage.getItem(name) ?? page.sessionStorage.setItem(name, String(Date.now()));
    const look = () => page.document.querySelector('keystead-update') && note('keystead-said');
    new MutationObserver(look).observe(page.document, { childList: true, subtree: true });
    page.addEventListener('pagehide', () => note('keystead-left'));
";

/// Replaces the older version by the one that was built.
pub(crate) async fn update(browser: &mut Browser) -> Result<()> {
    let newer = Extension::packed_for_tests(browser.kind())?;
    update_to(browser, newer).await
}

/// Replaces the older version by this one.
pub(crate) async fn update_to(browser: &mut Browser, newer: Extension) -> Result<()> {
    browser.in_page(WATCH, vec![]).await?;
    browser.update(newer).await
}

/// For how long the page that was there before said that it is outdated, in milliseconds.
pub(crate) async fn said_for(browser: &Browser) -> Result<i64> {
    const TIMES: &str =
        "return ['keystead-said', 'keystead-left'].map((name) => Number(page.sessionStorage.getItem(name)));";
    let times = browser.in_page(TIMES, vec![]).await?;
    let [said, left] = [0, 1].map(|index| times[index].as_i64().unwrap_or_default());
    ensure!(said > 0 && left > 0, "the page never said that it is outdated, or was not left: {times}");
    Ok(left - said)
}

/// Is the page the one that was there before the update?
async fn is_from_before(browser: &Browser) -> Result<bool> {
    Ok(browser.in_page("return page.keysteadBefore === true;", vec![]).await? == true)
}

/// Waits until the page was loaded again.
pub(crate) async fn loaded_again(browser: &Browser) -> Result<()> {
    let anew = until("the page anew", PATIENCE, async || Ok((!is_from_before(browser).await?).then_some(()))).await;
    if anew.is_err() {
        let shown = browser.in_page(SHOWN, vec![]).await?;
        return anew.with_context(|| format!("the page shows {shown}"));
    }
    anew
}

/// What an outdated page waits for, perhaps.
const SHOWN: &str = r"
    const pending = (page.mxMatrixClientPeg?.get?.()?.getRooms?.() ?? []).map((room) => room.getPendingEvents().length);
    const fields = [...page.document.querySelectorAll('input, textarea')].map(({ id, type }) => id + ':' + type);
    const said = page.document.querySelector('keystead-update') !== null;
    return JSON.stringify({ view: page.matrixChat?.state?.view, pending, fields, said, url: page.location.href });
";

/// Rewrites a record as an older version would have written it; `None` where that is no other.
fn as_older(text: &str) -> Option<String> {
    fn without(value: &mut Value) {
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|name, _| !ADDED.contains(&name.as_str()));
            fields.values_mut().for_each(without);
        } else if let Some(parts) = value.as_array_mut() {
            parts.iter_mut().for_each(without);
        }
    }
    let mut record = serde_json::from_str(text).ok()?;
    let before = Value::clone(&record);
    without(&mut record);
    (record != before).then(|| record.to_string())
}

pub(crate) struct Scene {
    pub(crate) ann: Employee,
    pub(crate) fingerprint: String,
    pub(crate) bob: Employee,
    pub(crate) desk: Desk,
    /// Bob's device, which his identity vouches for.
    pub(crate) phone: Follower,
    pub(crate) browser: Browser,
}

/// What must be the same after the update.
#[derive(Debug, PartialEq)]
pub(crate) struct Kept {
    /// The account's recovery key, and under which id it is in force.
    recovery: (String, String),
    /// The account's own identity, as this browser keeps it.
    own: Option<String>,
    /// How many keys the vault has.
    wrapping_keys: u64,
    /// What is pinned of the colleague: the identity, since when, and the devices.
    peer: Value,
    /// The log of key changes.
    log: String,
}

impl Scene {
    /// A first login with the older version, a room with a colleague, and a message that the colleague has read.
    pub(crate) async fn set_up(company: &Company, kind: BrowserKind) -> Result<Self> {
        let (ann, fingerprint) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
        let bob = company.hire("bob").await?;
        let desk = company.desk()?;
        let browser = older(company, kind, &desk, true).await?;
        browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
        browser.wait_for_state(State::Complete, PATIENCE).await?;
        let phone = company.follow(&bob, &json!({ "identity": "make", "invite": [ann.user_id] })).await?;
        company.join(&ann, &phone.room_id).await?;
        let mut scene = Self { ann, fingerprint, bob, desk, phone, browser };
        scene.show_room().await?;
        scene.send("before").await?;
        scene.phone.reads("before").await?;
        scene.age_stores().await?;
        Ok(scene)
    }

    /// Has this browser keep what it keeps as an older version wrote it.
    async fn age_stores(&self) -> Result<()> {
        let records = self.browser.records().await?;
        let records = records.as_object().context("no records")?;
        let aged = |(key, text): (&String, &Value)| Some((key.clone(), as_older(text.as_str()?)?.into()));
        let of_people = records.iter().filter(|(key, _)| key.starts_with("account|") || key.starts_with("pin|"));
        let aged: Map<String, Value> = of_people.filter_map(aged).collect();
        let has = |start: &str| aged.keys().any(|key| key.starts_with(start));
        ensure!(has("account|") && has("pin|"), "nothing older to write: {:?}", aged.keys());
        self.browser.write_records(&Value::Object(aged)).await
    }

    /// What must be the same after the update.
    pub(crate) async fn kept(&self, company: &Company) -> Result<Kept> {
        let element = self.desk.element.url();
        let records = self.browser.records().await?;
        let key = format!("pin|{element}|{}|{}", self.ann.user_id, self.bob.user_id);
        let pin: Value = serde_json::from_str(records[&key].as_str().context("nothing is kept of the colleague")?)?;
        let device =
            |(id, pin): (&String, &Value)| (id.clone(), json!([pin["keys"], pin["first_seen"], pin["standing"]]));
        let devices: Map<_, _> = pin["devices"].as_object().context("no devices")?.iter().map(device).collect();
        ensure!(devices.contains_key(&self.phone.device_id), "the colleague's device is not known");
        let log = format!("pin-log|{element}|{}", self.ann.user_id);
        Ok(Kept {
            recovery: company.open_sealed_recovery(&self.ann).await?,
            own: self.browser.pin(&element, &self.ann.user_id).await?,
            wrapping_keys: self.browser.wrapping_keys().await?,
            peer: json!([pin["identity"], pin["first_seen"], devices]),
            log: records[&log].as_str().context("no log")?.to_owned(),
        })
    }

    /// Checks that all is as it was before the update: the stores, one recovery key, and nobody to be told of.
    pub(crate) async fn all_is_kept(&self, company: &Company, before: &Kept) -> Result<()> {
        self.browser.wait_for_state(State::Complete, PATIENCE).await?;
        let now = self.kept(company).await?;
        ensure!(now.log.starts_with(&before.log), "the log is another one");
        ensure!(Kept { log: before.log.clone(), ..now } == *before, "something was not kept");
        one_recovery_key(company, &self.ann, &self.fingerprint).await?;
        let status = self.browser.status().await?;
        ensure!(status.deployments[0].people.is_empty(), "somebody is shown: {:?}", status.deployments[0].people);
        Ok(())
    }

    /// Opens the room in Element.
    pub(crate) async fn show_room(&self) -> Result<()> {
        self.browser.show_room(&self.phone.room_id).await
    }

    /// Sends a message with a new key from the browser.
    pub(crate) async fn send(&self, words: &str) -> Result<()> {
        const SEND: &str = r"
            const [roomId, words] = arguments;
            const client = page.mxMatrixClientPeg.get();
            client.getCrypto().forceDiscardSession(roomId).then(() => client.sendTextMessage(roomId, words));
        ";
        self.browser.in_page(SEND, vec![self.phone.room_id.as_str().into(), words.into()]).await.map(drop)
    }

    /// Waits until the page says that it is outdated.
    pub(crate) async fn says_so(&self) -> Result<()> {
        self.browser.find("header.mx_RoomHeader ~ keystead-update").await.map(drop)
    }

    /// How many requests with something encrypted for devices went to the homeserver.
    pub(crate) fn sent_to_devices(&self) -> usize {
        let requests = self.desk.homeserver.requests();
        let sent = requests.iter().map(|request| &request.asked);
        sent.filter(|asked| asked.method == "PUT" && asked.path.contains("/sendToDevice/m.room.encrypted/")).count()
    }
}

/// One recovery key is in force, with one sealed recovery for it, to the person's own certificate.
pub(crate) async fn one_recovery_key(company: &Company, who: &Employee, fingerprint: &str) -> Result<()> {
    let documents = company.secret_documents(who).await?;
    let keys = documents.keys().filter(|kind| kind.starts_with("m.secret_storage.key.")).count();
    let sealed = documents["io.keystead.recovery"]["keys"].as_object().map_or(0, Map::len);
    ensure!((keys, sealed) == (1, 1), "{keys} recovery keys, {sealed} sealed recoveries");
    company.sealed_to_exactly(who, &[fingerprint]).await?;
    let (key_id, recovery_key) = company.open_sealed_recovery(who).await?;
    let opened = company.client("open", who, &json!({ "recoveryKey": recovery_key })).await?;
    ensure!(opened["keyId"] == key_id && opened["publicKeysMatch"] == true, "the recovery key opens something else");
    Ok(())
}
