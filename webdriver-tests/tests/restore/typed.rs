//! What a person types to open history opens it, and is nowhere afterwards: not in the page, not in what the extension
//! stores, not in what the browser keeps on its disk. Every place is searched for a planted control first.

use anyhow::{Context, Result, ensure};
use keystead_testbed::KeyKind;
use keystead_webdriver_tests::browser::RecoverPage;
use keystead_webdriver_tests::rows::{Rows, shares};
use keystead_webdriver_tests::search::{Needle, check, check_files};
use keystead_webdriver_tests::{
    Browser, BrowserKind, BrowserOptions, Company, Desk, Employee, Extension, PATIENCE, State,
};
use serde_json::{Value, json};

const STORAGES: &str = include_str!("../../taps/storages.js");
const TAP: &str = include_str!("../../taps/tap.html");
const PASSPHRASE: &str = "nine purple herons over the frozen canal";
/// The kinds of store that a control is planted in.
const STORES: [&str; 5] = ["localStorage", "sessionStorage", "indexedDB", "storage.local", "storage.session"];

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add(
        kind,
        "typed: passphrase, recovery key and opened document are nowhere afterwards",
        nowhere(company, kind),
    );
}

/// One person at one browser, with what is planted and what was typed.
struct Desktop {
    ann: Employee,
    desk: Desk,
    browser: Browser,
    control: Needle,
    /// What was typed so far, and what it opens.
    secrets: Vec<Needle>,
}

async fn nowhere(company: &Company, kind: BrowserKind) -> Result<()> {
    let (ann, _) = company.hire_with_key("ann", KeyKind::Ed25519).await?;
    let own = company.client("own-recovery", &ann, &json!({ "passphrase": PASSPHRASE, "logout": true })).await?;
    let of_own = Needle::of_recovery_key(own["recoveryKey"].as_str().context("no recovery key")?)?;
    let desk = company.desk()?;
    let mut policy = company.policy(&desk);
    policy["restore"] = json!({ "retain_after_logout": "never" });
    policy["log_level"] = json!("debug");
    let extension = Extension::packed_for_tests(kind)?;
    extension.add_file("storages.js", STORAGES)?;
    extension.add_file("tap.html", TAP)?;
    let browser = Browser::start(kind, BrowserOptions { extension, policy }).await?;
    browser.wait_until_installed().await?;
    let secrets = vec![Needle::of_text(PASSPHRASE), of_own];
    let mut desktop = Desktop { ann, desk, browser, control: Needle::random()?, secrets };

    desktop.adopt().await?;
    let (_, recovery_key) = company.open_sealed_recovery(&desktop.ann).await?;
    desktop.secrets.push(Needle::of_recovery_key(&recovery_key)?);
    if !shares() || kind == BrowserKind::Chromium {
        // As it comes out of a note: in one piece, and with lines and spaces around it.
        let in_one_piece = format!("  {}\n", recovery_key.split_whitespace().collect::<String>());
        desktop.restore_with(&in_one_piece).await.context("with the recovery key")?;
    }
    if !shares() || kind == BrowserKind::Firefox {
        let (_, message) = company.sealed_recovery(&desktop.ann).await?;
        let opened = String::from_utf8(company.gpg.decrypt(&message).await?)?;
        desktop.restore_with(&opened.replace('\n', " \n")).await.context("with the opened document")?;
    }
    desktop.search().await
}

impl Desktop {
    fn element(&self) -> String {
        self.desk.element.url()
    }

    async fn log_in(&self, asked: State) -> Result<()> {
        self.browser.log_in(&self.element(), &self.ann.localpart, &self.ann.password).await?;
        self.browser.wait_for_state(asked, PATIENCE).await?;
        Ok(())
    }

    async fn is_whole(&self) -> Result<()> {
        self.browser.wait_until_logged_in().await?;
        self.browser.wait_for_state(State::Complete, PATIENCE).await?;
        Ok(())
    }

    /// Nothing of what was typed is in the page's document.
    async fn not_in(&self, page: &RecoverPage<'_>, when: &str) -> Result<()> {
        let texts = self.control.texts();
        let all = page.everything(&texts[0], &texts[1]).await?;
        let secrets: Vec<_> = self.secrets.iter().collect();
        check(when, all.as_bytes(), &self.control, &["base58", "hex"], &secrets)
    }

    /// Somebody else's secret storage is opened, with another recovery key first, which does not open it.
    async fn adopt(&mut self) -> Result<()> {
        self.log_in(State::Adopt).await?;
        let wrong = Needle::random()?;
        self.secrets.push(wrong);
        let this = &*self;
        let wrong = this.secrets.last().map(Needle::texts).unwrap_or_default();
        this.browser
            .on_recover_page(&this.element(), async |page| {
                // What was typed and not sent goes with the page.
                page.find("#opened").await?.send_keys(PASSPHRASE).await?;
                let seen = this.not_in(page, "a page that is typed in").await;
                let seen = seen.map_or_else(|found| found.to_string(), |()| "nothing".to_owned());
                ensure!(seen.contains("secret 0"), "where something is typed there is {seen}");
                page.leave_and_come_back().await?;
                page.find("#opened").await?;
                this.not_in(page, "a page that was left while it was typed in").await?;

                page.send(&wrong[0]).await?;
                page.trouble().await?;
                this.not_in(page, "a page that refused what was typed").await?;
                page.send(PASSPHRASE).await?;
                page.find("#mine").await?;
                this.not_in(page, "a page that asks whose identity it is").await?;
                page.believe().await?;
                this.not_in(page, "a page that is done").await?;
                page.leave_and_come_back().await?;
                this.not_in(page, "a page that was done, and come back to").await
            })
            .await?;
        self.is_whole().await
    }

    /// The next session, restored with this.
    async fn restore_with(&self, typed: &str) -> Result<()> {
        self.browser.log_out().await?;
        self.log_in(State::Recover).await?;
        self.browser
            .on_recover_page(&self.element(), async |page| {
                page.send(typed).await?;
                // Whose identity it is was said before.
                page.find(".outcome").await?;
                self.not_in(page, "a page that is done").await?;
                page.leave_and_come_back().await?;
                self.not_in(page, "a page that was done, and come back to").await
            })
            .await?;
        self.is_whole().await
    }

    /// What the extension stores, and what the browser has on its disk.
    async fn search(self) -> Result<()> {
        let secrets: Vec<_> = self.secrets.iter().collect();
        let arguments = vec![json!(self.control.texts()), json!(self.control.bytes())];
        let places = self.browser.in_own_page_at("tap.html", async |session| {
            let plant =
                "const page = window.wrappedJSObject ?? window; return page.keysteadPlant(arguments[0], arguments[1]);";
            session.execute(plant, arguments).await?;
            let read = "const page = window.wrappedJSObject ?? window; return page.keysteadPlaces();";
            let places = session.execute(read, vec![]).await?.json().clone();
            Ok(serde_json::from_str::<Value>(places.as_str().context("no places")?)?)
        });
        let places = places.await?;
        for store in STORES {
            let stored = places[store].as_str().with_context(|| format!("there is no {store}"))?;
            check(store, stored.as_bytes(), &self.control, &["base58", "hex"], &secrets)?;
        }
        check("all stores", places.to_string().as_bytes(), &self.control, &["base58"], &secrets)?;
        let stored = ["raw", "base58"];
        check_files("profile while logged in", &self.browser.profile(), &self.control, &stored, &secrets)?;

        // Where somebody was.
        let visited = Needle::random()?;
        let address = format!("{}/config.json?control={}", self.element(), visited.texts()[0]);
        self.browser.session().goto(address).await?;
        let profile = self.browser.close().await?;
        check_files("profile of a closed browser", &profile.path(), &self.control, &stored, &secrets)?;
        check_files("the browser's history", &profile.path(), &visited, &["base58"], &secrets)
    }
}
