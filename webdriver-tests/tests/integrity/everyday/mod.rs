//! What people do with Element every day works where its code is guarded, and nothing of it is refused.
//!
//! The first row is tried on whatever is served; its name says what that was. The others are about what the host page has
//! nothing of, and are in the table only with a real Element Web.

mod calls;
mod looks;
mod media;

use anyhow::{Result, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::client::Follower;
use keystead_webdriver_tests::rows::{Rows, note, output_dir};
use keystead_webdriver_tests::{Browser, BrowserKind, Company, Employee, Guarded, PATIENCE, Site, State, until};
use serde_json::json;

use crate::scene::{guarded_with, shown, wait_for_state};

const COMPOSER: &str = ".mx_BasicMessageComposer_input";
/// Element's view that asks whether it is to go on here or in another window.
const ASKS_WHICH: u64 = 1;
/// Its view once the person is logged in.
const LOGGED_IN: u64 = 8;
/// WebDriver's name for the key.
const ENTER: &str = "\u{e007}";

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    if !company.has_element_web() {
        rows.add_shared(
            kind,
            "every day, on the host page: messages, other pages, a restart, a logout",
            talks(company, kind),
        );
        return;
    }
    rows.add(kind, "every day, on Element: messages, other pages, a restart, a logout", talks(company, kind));
    rows.add(kind, "every day, on Element: attachments, pictures, avatars", media::files(company, kind));
    // In Firefox no time passes for a page that records where the machine has nothing to play sound.
    if kind == BrowserKind::Chromium {
        rows.add(kind, "every day, on Element: a voice message", media::voice(company, kind));
    }
    rows.add(kind, "every day, on Element: themes and a language", looks::changes(company, kind));
    rows.add(kind, "every day, on Element: its call widget, and Jitsi's", calls::opens(company, kind));
}

/// Somebody at a guarded Element, in a room with a colleague whose device stays and listens.
pub(crate) struct Day {
    pub(crate) ann: Employee,
    pub(crate) bob: Employee,
    pub(crate) guarded: Guarded,
    pub(crate) browser: Browser,
    pub(crate) phone: Follower,
}

impl Day {
    pub(crate) async fn begin(company: &Company, kind: BrowserKind, site: Site) -> Result<Self> {
        let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
        let bob = company.hire("bob").await?;
        let (guarded, browser) = guarded_with(company, kind, site).await?;
        browser.log_in(&guarded.url(), &ann.localpart, &ann.password).await?;
        shown(&browser, browser.wait_for_state(State::Complete, PATIENCE).await).await?;
        let phone = company.follow(&bob, &json!({ "identity": "make", "invite": [ann.user_id] })).await?;
        company.join(&ann, &phone.room_id).await?;
        browser.show_room(&phone.room_id).await?;
        // Element does so every five minutes, and goes on from there when it is loaded again; a room that is newer than that
        // it asks its homeserver about in a way that fails.
        browser.in_page("page.mxMatrixClientPeg.get().store.save(true);", vec![]).await?;
        Ok(Self { ann, bob, guarded, browser, phone })
    }

    /// Tries one thing, prints how it went, and sees to it that nothing was refused.
    pub(crate) async fn tries(&mut self, what: &str, doing: impl AsyncFnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let kind = self.browser.kind();
        let tried = async {
            let outcome = doing(self).await;
            if outcome.is_err() {
                let _ = self.picture("failed").await;
            }
            shown(&self.browser, outcome).await?;
            let view = self.browser.integrity().await?;
            ensure!(view["refusals"] == json!([]), "refused: {}", view["refusals"]);
            Ok(())
        };
        note(kind, what, tried).await
    }

    pub(crate) async fn picture(&self, name: &str) -> Result<()> {
        let file = format!("everyday-{name}-{}.png", self.browser.kind().name());
        self.browser.picture(&output_dir()?.join(file)).await
    }

    pub(crate) async fn show_room(&self) -> Result<()> {
        self.browser.show_room(&self.phone.room_id).await
    }

    /// Loads the page again as a person does. (Firefox's driver would leave out Element's service worker.)
    pub(crate) async fn reload(&self) -> Result<()> {
        self.browser.in_page("page.before = true; page.location.reload();", vec![]).await?;
        until("the page anew", PATIENCE, async || {
            let before = self.browser.in_page("return Boolean(page.before);", vec![]).await;
            Ok(before.is_ok_and(|before| before == false).then_some(()))
        })
        .await?;
        self.browser.wait_until_logged_in().await
    }

    /// Ends the browser and starts it again, and opens Element there.
    pub(crate) async fn starts_again(&mut self, company: &Company) -> Result<()> {
        self.browser.restart_with(self.guarded.policy(company, "enforce")).await?;
        self.browser.wait_until_installed().await?;
        self.browser.session().goto(self.guarded.url()).await?;
        // Where the page that was there had no time to say that it ended, Element asks which one is to go on.
        let view = async || Ok(self.browser.view().await?.filter(|view| [ASKS_WHICH, LOGGED_IN].contains(view)));
        if until("Element", PATIENCE, view).await? == ASKS_WHICH {
            self.browser.press("Continue").await?;
        }
        self.browser.wait_until_logged_in().await?;
        self.show_room().await
    }

    /// Writes a message, key by key; the colleague's device reads it.
    pub(crate) async fn say(&mut self, words: &str) -> Result<()> {
        self.browser.find(COMPOSER).await?.send_keys(format!("{words}{ENTER}")).await?;
        self.phone.reads(words).await
    }

    /// Nothing was refused in all that time, and the popup says so.
    pub(crate) async fn end(self) -> Result<()> {
        let view = wait_for_state(&self.browser, "protected").await?;
        ensure!(view["refusals"] == json!([]), "refused: {view}");
        ensure!(view["checked"].as_u64() > Some(0), "nothing was checked");
        self.browser.quit().await
    }
}

async fn talks(company: &Company, kind: BrowserKind) -> Result<()> {
    let mut day = Day::begin(company, kind, Site::default()).await?;
    day.tries("a message", async |day| day.say("written first").await).await?;
    day.tries("a reload", async |day| {
        day.reload().await?;
        is_back(day, "after a reload").await
    })
    .await?;
    day.tries("back and forward within Element", async |day| {
        day.browser.in_page("page.location.hash = '#/home';", vec![]).await?;
        wait_for_header(day, false).await?;
        day.browser.session().back().await?;
        wait_for_header(day, true).await?;
        day.browser.session().forward().await?;
        wait_for_header(day, false).await?;
        day.browser.session().back().await?;
        is_back(day, "after back and forward").await
    })
    .await?;
    day.tries("back and forward between Element and another page", async |day| {
        day.browser.session().goto("about:blank").await?;
        day.browser.session().back().await?;
        is_back(day, "after another page").await?;
        day.browser.session().forward().await?;
        day.browser.session().back().await?;
        is_back(day, "after another page once more").await
    })
    .await?;
    day.tries("another start of the browser", async |day| {
        day.starts_again(company).await?;
        is_back(day, "after another start").await
    })
    .await?;
    day.picture("talk").await?;
    day.tries("a logout and a login", async |day| {
        until("the room's keys in the backup", PATIENCE, async || {
            Ok((company.backed_up_keys(&day.ann).await? > 0).then_some(()))
        })
        .await?;
        let identity = company.identity(&day.ann).await?;
        day.browser.log_out().await?;
        day.browser.log_in(&day.guarded.url(), &day.ann.localpart, &day.ann.password).await?;
        day.browser.wait_until_logged_in().await?;
        day.show_room().await?;
        is_back(day, "after a login").await?;
        ensure!(company.identity(&day.ann).await? == identity, "the identity was replaced");
        Ok(())
    })
    .await?;
    day.end().await
}

/// The room is shown, what was written first can be read there, the background knows the page, and the person goes on
/// writing.
async fn is_back(day: &mut Day, words: &str) -> Result<()> {
    day.browser.wait_until_logged_in().await?;
    wait_for_header(day, true).await?;
    let synced = "return page.mxMatrixClientPeg?.get()?.getSyncState() ?? '';";
    let synced = async || Ok((day.browser.in_page(synced, vec![]).await? == "SYNCING").then_some(()));
    until("Element in touch with its homeserver", PATIENCE, synced).await?;
    day.browser.wait_until_readable(&day.phone.room_id, "written first").await?;
    day.browser.wait_for_state(State::Complete, PATIENCE).await?;
    day.say(words).await
}

/// Waits until a room is shown, or none.
async fn wait_for_header(day: &Day, wanted: bool) -> Result<()> {
    const SHOWN: &str = "return Boolean(document.querySelector('header.mx_RoomHeader'));";
    let shown = async || Ok((day.browser.in_page(SHOWN, vec![]).await? == wanted).then_some(()));
    until(if wanted { "the room" } else { "another view" }, PATIENCE, shown).await
}
