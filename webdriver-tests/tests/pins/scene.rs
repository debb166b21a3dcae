//! How rows begin: somebody at a browser, in a room with a colleague whose device stays and listens.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use keystead_core::pins::verify_evidence;
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::client::Follower;
use keystead_webdriver_tests::rows::output_dir;
use keystead_webdriver_tests::{
    Browser, BrowserKind, BrowserOptions, Company, Desk, Employee, Extension, PATIENCE, State, until,
};
use serde_json::{Value, json};
use thirtyfour::{By, WebDriver, WebElement};

use crate::hand;

pub(crate) struct Scene {
    pub(crate) ann: Employee,
    pub(crate) bob: Employee,
    pub(crate) desk: Desk,
    /// Bob's device, which his identity vouches for.
    pub(crate) phone: Follower,
    pub(crate) browser: Browser,
    /// The policy that is in force there.
    pub(crate) policy: Value,
    /// Without this file the background cannot start.
    pub(crate) module: PathBuf,
}

async fn find(session: &WebDriver, css: &str) -> Result<WebElement> {
    until(css, PATIENCE, async || Ok(session.find(By::Css(css.to_owned())).await.ok())).await
}

/// Presses a button that goes when what it does is done.
async fn press(session: &WebDriver, button: &str) -> Result<()> {
    find(session, button).await?.click().await?;
    let gone = async || Ok(session.find(By::Css(button.to_owned())).await.is_err().then_some(()));
    until("a button that is done", PATIENCE, gone).await
}

/// A first login, a room with a colleague, and a message that the colleague has read.
pub(crate) async fn set_up(company: &Company, kind: BrowserKind) -> Result<Scene> {
    set_up_with(company, kind, Some(json!({ "ask_it": "mailto:it@example.org" }))).await
}

/// The same, with what the policy says of pins.
pub(crate) async fn set_up_with(company: &Company, kind: BrowserKind, pins: Option<Value>) -> Result<Scene> {
    let more = pins.map_or_else(|| json!({}), |pins| json!({ "pins": pins }));
    set_up_under(company, kind, more, async |_, _, _| Ok(())).await
}

/// The same, with these fields of the policy beside the usual ones, and what is to be done before the browser starts: it is
/// given the deployment, Ann with her certificate, and Bob.
pub(crate) async fn set_up_under(
    company: &Company,
    kind: BrowserKind,
    more: Value,
    before: impl AsyncFnOnce(&Desk, (&Employee, &str), &Employee) -> Result<()>,
) -> Result<Scene> {
    set_up_as(company, kind, Extension::packed_for_tests(kind)?, more, before).await
}

/// The same, with this copy of the extension.
pub(crate) async fn set_up_as(
    company: &Company,
    kind: BrowserKind,
    extension: Extension,
    more: Value,
    before: impl AsyncFnOnce(&Desk, (&Employee, &str), &Employee) -> Result<()>,
) -> Result<Scene> {
    set_up_at(company, company.desk()?, kind, extension, more, before).await
}

/// The same, at this desk.
pub(crate) async fn set_up_at(
    company: &Company,
    desk: Desk,
    kind: BrowserKind,
    extension: Extension,
    more: Value,
    before: impl AsyncFnOnce(&Desk, (&Employee, &str), &Employee) -> Result<()>,
) -> Result<Scene> {
    let (ann, certificate) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let bob = company.hire("bob").await?;
    before(&desk, (&ann, &certificate), &bob).await?;
    let mut policy = company.policy(&desk);
    for (field, value) in more.as_object().into_iter().flatten() {
        policy[field] = value.clone();
    }
    let module = extension.dir().join("background/keystead_extension_bg.wasm");
    let browser = Browser::start(kind, BrowserOptions { extension, policy: policy.clone() }).await?;
    browser.wait_until_installed().await?;
    browser.log_in(&desk.element.url(), &ann.localpart, &ann.password).await?;
    browser.wait_for_state(State::Complete, PATIENCE).await?;
    let phone = company.follow(&bob, &json!({ "identity": "make", "invite": [ann.user_id] })).await?;
    company.join(&ann, &phone.room_id).await?;
    let mut scene = Scene { ann, bob, desk, phone, browser, policy, module };
    scene.show_room().await?;
    scene.send("before").await?;
    scene.phone.reads("before").await?;
    ensure!(scene.people().await?.is_empty(), "somebody is shown before anything happened");
    Ok(scene)
}

impl Scene {
    /// Opens the room in Element.
    pub(crate) async fn show_room(&self) -> Result<()> {
        self.browser.show_room(&self.phone.room_id).await
    }

    /// Sends a message from the browser.
    pub(crate) async fn send(&self, words: &str) -> Result<()> {
        hand::send(&self.browser, &self.phone.room_id, words).await
    }

    /// Of whom the popup says something.
    pub(crate) async fn people(&self) -> Result<Vec<Value>> {
        hand::people(&self.browser).await
    }

    /// Waits until the popup says this of Bob, and answers with the whole of it.
    pub(crate) async fn shown(&self, code: &str) -> Result<Value> {
        self.shown_of(&self.bob.user_id, code).await
    }

    /// The same of somebody else.
    pub(crate) async fn shown_of(&self, user: &str, code: &str) -> Result<Value> {
        hand::shown(&self.browser, user, code).await
    }

    /// Has the next message of the room have a new key.
    pub(crate) async fn discard(&self) -> Result<()> {
        hand::discard(&self.browser, &self.phone.room_id).await
    }

    /// How long, in milliseconds, a message with a new key takes until the homeserver has it: the middle one of several.
    pub(crate) async fn time_of_a_message(&self) -> Result<f64> {
        const TIME: &str = r"
            const [roomId] = arguments;
            page.keysteadTimes = undefined;
            (async () => {
                const client = page.mxMatrixClientPeg.get();
                const times = [];
                for (let index = 0; index < 15; index += 1) {
                    await client.getCrypto().forceDiscardSession(roomId);
                    const begin = performance.now();
                    await client.sendTextMessage(roomId, `timed ${index}`);
                    times.push(performance.now() - begin);
                }
                page.keysteadTimes = times.sort((one, other) => one - other);
            })();
        ";
        self.browser.in_page(TIME, vec![self.phone.room_id.as_str().into()]).await?;
        let done = async || Ok(self.browser.in_page("return page.keysteadTimes?.[7] ?? null;", vec![]).await?.as_f64());
        until("the messages", PATIENCE, done).await
    }

    /// Pictures of the room, light and dark.
    pub(crate) async fn pictures(&self, name: &str) -> Result<()> {
        let browser = self.browser.kind().name();
        for (dark, scheme) in [(true, "dark"), (false, "light")] {
            self.browser.prefer_dark(dark).await?;
            self.browser.picture(&output_dir()?.join(format!("pins-{name}-room-{scheme}-{browser}.png"))).await?;
        }
        Ok(())
    }

    /// A picture of the popup.
    pub(crate) async fn picture_of_popup(&self, name: &str) -> Result<()> {
        let browser = self.browser.kind().name();
        self.browser.picture_of_popup(&output_dir()?.join(format!("pins-{name}-popup-{browser}.png"))).await
    }

    /// Takes back, in the popup, what was accepted of somebody.
    pub(crate) async fn take_back(&self, user: &str) -> Result<()> {
        self.press_of_decided(user, "withdraw").await
    }

    /// Has the popup ask again what stays held back of somebody.
    pub(crate) async fn ask_again(&self, user: &str) -> Result<()> {
        self.press_of_decided(user, "ask-again").await
    }

    /// Presses a button of somebody about whom something was decided; it goes.
    async fn press_of_decided(&self, user: &str, name: &str) -> Result<()> {
        let button = format!(".decided [data-user='{user}'] button[id^='{name}']");
        let to = output_dir()?.join(format!("pins-{name}-popup-{}.png", self.browser.kind().name()));
        self.browser
            .in_own_page(async |session| {
                // It stays open from the last time.
                if find(session, ".decided").await?.attr("open").await?.is_none() {
                    find(session, ".decided > summary").await?.click().await?;
                }
                find(session, &button).await?;
                session.set_window_rect(0, 0, 420, 720).await?;
                find(session, "body").await?.screenshot(&to).await?;
                press(session, &button).await
            })
            .await
    }

    /// Has the popup say no more of what is held back: of the only one whom it shows.
    pub(crate) async fn keep_holding(&self) -> Result<()> {
        self.browser.in_own_page(async |session| press(session, ".problem button[id^='hold']").await).await
    }

    /// How many badges there are in a place of the page.
    pub(crate) async fn badges(&self, place: &str) -> Result<u64> {
        const COUNT: &str = "
            const places = [...page.document.querySelectorAll(arguments[0])];
            return places.filter((place) => place.querySelector('keystead-badge')).length;
        ";
        let count = self.browser.in_page(COUNT, vec![place.into()]).await?;
        count.as_u64().context("no number")
    }

    /// Waits until Bob, and nobody else, has a badge in the list of members, and on his own panel.
    pub(crate) async fn badge_of_bob(&self) -> Result<()> {
        const SHOW: &str =
            "page.document.querySelector('.mx_RoomHeader_members, .mx_RoomHeader .mx_FacePile').click();";
        const OPEN: &str = "page.document.querySelector('.mx_MemberTileView:has(keystead-badge)').click();";
        self.browser.in_page(SHOW, vec![]).await?;
        let in_list = async || Ok((self.badges(".mx_MemberTileView").await? == 1).then_some(()));
        until("a badge in the list", PATIENCE, in_list).await?;
        self.pictures("badge").await?;
        self.browser.in_page(OPEN, vec![]).await?;
        let on_panel = async || Ok((self.badges(".mx_UserInfo_profile_mxid").await? == 1).then_some(()));
        until("a badge on the panel", PATIENCE, on_panel).await
    }

    /// Waits until there is a notice in the room.
    pub(crate) async fn notice(&self) -> Result<()> {
        hand::notice(&self.browser).await
    }

    /// Waits until there is none any more.
    pub(crate) async fn no_notice(&self) -> Result<()> {
        const NONE: &str = "return !page.document.querySelector('keystead-notice');";
        let gone = async || Ok((self.browser.in_page(NONE, vec![]).await? == true).then_some(()));
        until("a room without a notice", PATIENCE, gone).await
    }

    /// Accepts what is shown of somebody.
    pub(crate) async fn accept(&self, shown: &Value) -> Result<()> {
        hand::accept(&self.browser, (&self.desk.element.url(), &self.ann.user_id), shown, false).await?;
        ensure!(self.people().await?.is_empty(), "somebody is still shown");
        Ok(())
    }

    /// The log of key changes, as the popup saves it; the browser signed it.
    pub(crate) async fn log(&self) -> Result<String> {
        self.log_of(&self.browser).await
    }

    /// The same of another browser of Ann's.
    pub(crate) async fn log_of(&self, browser: &Browser) -> Result<String> {
        let ask = json!({ "ask": "evidence", "origin": self.desk.element.url(), "account": self.ann.user_id });
        let log = browser.ask(&ask).await?.as_str().unwrap_or_default().to_owned();
        ensure!(log.is_empty() || verify_evidence(&log)?.signed.is_some(), "nobody signed it: {log}");
        Ok(log)
    }

    /// Loads the page again, with a background that has just started.
    pub(crate) async fn start_again(&self) -> Result<()> {
        self.browser.stop_background().await?;
        self.load_again().await
    }

    /// Loads the page again.
    pub(crate) async fn load_again(&self) -> Result<()> {
        hand::load_again(&self.browser).await?;
        self.show_room().await
    }

    /// Has Element ask for Bob's keys now.
    pub(crate) async fn ask_for_keys(&self) -> Result<()> {
        hand::ask_for_keys(&self.browser, &self.bob.user_id).await
    }

    /// How many messages that are encrypted to a Curve25519 key went over the wire, under whatever name.
    pub(crate) fn encrypted_to(&self, key: &str) -> Result<usize> {
        hand::encrypted_to(key, &self.desk.homeserver.requests())
    }

    /// How many messages to a device of Bob's went over the wire.
    pub(crate) fn sent_to(&self, device: &str) -> Result<usize> {
        hand::sent_to((&self.bob.user_id, device), &self.desk.homeserver.requests())
    }
}
