//! Chromium and Firefox, driven by WebDriver, with the extension and the organisation's policy in them.

mod cage;
mod chromium;
mod extension;
mod firefox;
mod gnupg;
mod own_pages;
mod package;
mod records;
mod recover;
mod tabs;
mod update;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use keystead_testbed::{Service, free_port};
use serde_json::{Map, Value};
use tempfile::TempDir;
use thirtyfour::extensions::addons::firefox::FirefoxTools;
use thirtyfour::{Capabilities, WebDriver, WindowHandle};
use tokio::sync::Mutex;

use crate::{PATIENCE, until};

pub use extension::Extension;
pub use recover::RecoverPage;
pub use tabs::Beside;

/// How long a driver may take until it answers.
const UP_WITHIN: Duration = Duration::from_secs(30);
/// How long one script or one navigation may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// What it shows when it starts, unless a test wants it otherwise.
const EMPTY: &str = "about:blank";

/// The browsers that people use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BrowserKind {
    /// Chromium.
    Chromium,
    /// Firefox.
    Firefox,
}

impl BrowserKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Chromium, Self::Firefox];

    /// Its name as commands and folders write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
        }
    }

    /// Those that `KEYSTEAD_BROWSER` names; both where it is not set.
    ///
    /// # Errors
    /// If it names another.
    pub fn wanted() -> Result<Vec<Self>> {
        let Some(wanted) = std::env::var_os("KEYSTEAD_BROWSER").filter(|wanted| !wanted.is_empty()) else {
            return Ok(Self::ALL.to_vec());
        };
        let found = Self::ALL.into_iter().find(|kind| wanted == kind.name());
        Ok(vec![found.context("KEYSTEAD_BROWSER is neither chromium nor firefox")?])
    }
}

/// What a run wants of its browser.
#[derive(Debug)]
pub struct BrowserOptions {
    /// The extension.
    pub extension: Extension,
    /// The extension's managed policy; null for none.
    pub policy: Value,
}

/// A running browser with a profile of its own, all gone when this is dropped.
#[derive(Debug)]
pub struct Browser {
    kind: BrowserKind,
    session: WebDriver,
    driver: Service,
    page: WindowHandle,
    own: Mutex<Option<WindowHandle>>,
    extension_url: String,
    options: BrowserOptions,
    // Dropped after the processes that write to it: fields are dropped in their order.
    private: Arc<TempDir>,
    starts: u32,
    /// What it shows when it starts.
    opens: String,
}

/// A profile that nobody uses any more, gone when this is dropped.
#[derive(Debug)]
pub struct Profile(Arc<TempDir>);

impl Profile {
    /// Its directory.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.0.path().join("profile")
    }
}

impl Browser {
    /// Starts a browser with a new profile, the extension and the policy.
    ///
    /// # Errors
    /// If a part is not installed, or the browser does not start.
    pub async fn start(kind: BrowserKind, options: BrowserOptions) -> Result<Self> {
        let private = tempfile::Builder::new().prefix("keystead-browser-").tempdir()?;
        let private = Arc::new(private);
        fs::create_dir(private.path().join("profile"))?;
        fs::create_dir(downloads(private.path()))?;
        fs::create_dir(home(private.path()))?;
        let (driver, session) = open(kind, private.path(), &options, 0, EMPTY).await?;
        let page = session.window().await?;
        let extension_url = extension_url(kind, &session, &options).await?;
        let (own, opens) = (Mutex::default(), EMPTY.to_owned());
        Ok(Self { kind, session, driver, page, own, extension_url, options, private, starts: 0, opens })
    }

    /// Which browser it is.
    #[must_use]
    pub fn kind(&self) -> BrowserKind {
        self.kind
    }

    /// WebDriver's session; its window is the page's, except while the extension's own page is asked.
    #[must_use]
    pub fn session(&self) -> &WebDriver {
        &self.session
    }

    /// The directory of the profile.
    #[must_use]
    pub fn profile(&self) -> PathBuf {
        self.private.path().join("profile")
    }

    /// Where the browser puts what a person saves.
    #[must_use]
    pub fn downloads(&self) -> PathBuf {
        downloads(self.private.path())
    }

    /// What the browser names the extension's origin by: what is kept of it has that in its path.
    #[must_use]
    pub fn extension_origin(&self) -> String {
        self.extension_url.split("://").nth(1).unwrap_or_default().trim_end_matches('/').to_owned()
    }

    /// Everything that driver and browser printed since the last start; in Firefox with the consoles of all pages.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn output(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(output(self.private.path(), self.starts))?).into_owned())
    }

    /// Ends the browser as a person does, by closing it.
    ///
    /// # Errors
    /// If it does not end.
    pub async fn quit(self) -> Result<()> {
        self.session.clone().quit().await?;
        Ok(())
    }

    /// Ends the browser as a person does; its profile stays.
    ///
    /// # Errors
    /// If it does not end.
    pub async fn close(self) -> Result<Profile> {
        let profile = Profile(Arc::clone(&self.private));
        self.quit().await?;
        Ok(profile)
    }

    /// Ends the browser as a power cut does: SIGKILL to every process of it. What is left is the profile.
    ///
    /// # Errors
    /// If the processes cannot be listed.
    pub fn kill(&self) -> Result<()> {
        // The driver is the cage's first process: it goes with its child.
        for (id, _) in cage::descendants(self.driver.id())?.into_iter().skip(1) {
            // One that ended by itself meanwhile is as good.
            let _ = kill(id);
        }
        Ok(())
    }

    /// Ends the browser as a person does, and starts it again on the same profile with another policy.
    ///
    /// # Errors
    /// As for [`Browser::start`].
    pub async fn restart_with(&mut self, policy: Value) -> Result<()> {
        self.session.clone().quit().await?;
        self.options.policy = policy;
        self.start_anew().await
    }

    /// Ends the browser as a person does, and starts it again on the same profile with this as the first page that it shows.
    ///
    /// # Errors
    /// As for [`Browser::start`].
    pub async fn restart_with_page(&mut self, url: &str) -> Result<()> {
        self.session.clone().quit().await?;
        url.clone_into(&mut self.opens);
        self.start_anew().await
    }

    /// Starts the browser again on the same profile, after [`Browser::kill`].
    ///
    /// # Errors
    /// As for [`Browser::start`].
    pub async fn start_again(&mut self) -> Result<()> {
        self.session.clone().leak().map_err(|_| anyhow!("the session has ended"))?;
        self.start_anew().await
    }

    async fn start_anew(&mut self) -> Result<()> {
        self.starts += 1;
        for lock in ["SingletonLock", "SingletonSocket", "SingletonCookie", "lock"] {
            // Left behind by a browser that was killed; the new one has process ids of its own.
            let _ = fs::remove_file(self.profile().join(lock));
        }
        if self.kind == BrowserKind::Chromium {
            chromium::forget_the_end(self.private.path())?;
        }
        let (driver, session) = open(self.kind, self.private.path(), &self.options, self.starts, &self.opens).await?;
        self.driver = driver;
        self.page = session.window().await?;
        self.session = session;
        *self.own.lock().await = None;
        self.extension_url = extension_url(self.kind, &self.session, &self.options).await?;
        Ok(())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A row that failed has not quit: the driver's end takes the browser with it.
        let _ = self.session.clone().leak();
    }
}

/// Whether a person wants to watch: `KEYSTEAD_HEADED` is set.
fn headed() -> bool {
    std::env::var_os("KEYSTEAD_HEADED").is_some_and(|value| !value.is_empty())
}

fn kill(id: u32) -> Result<()> {
    let status = std::process::Command::new("kill").args(["-KILL", &id.to_string()]).status()?;
    if !status.success() {
        bail!("no process {id}");
    }
    Ok(())
}

/// The person's home, as far as the browser knows.
fn home(private: &Path) -> PathBuf {
    private.join("home")
}

fn downloads(private: &Path) -> PathBuf {
    private.join("downloads")
}

fn output(private: &Path, starts: u32) -> PathBuf {
    private.join(format!("output-{starts}.log"))
}

async fn open(
    kind: BrowserKind,
    private: &Path,
    options: &BrowserOptions,
    starts: u32,
    opens: &str,
) -> Result<(Service, WebDriver)> {
    let port = free_port()?;
    let profile = private.join("profile");
    let (name, command, capabilities) = match kind {
        BrowserKind::Chromium => {
            let command = chromium::driver(port, private, options)?;
            ("chromedriver", command, chromium::capabilities(private, options, opens))
        }
        BrowserKind::Firefox => {
            let command = firefox::driver(port, private, options)?;
            ("geckodriver", command, firefox::capabilities(&profile, private, opens)?)
        }
    };
    let mut driver = Service::start(name, command, &output(private, starts))?;
    let url = format!("http://127.0.0.1:{port}");
    let http = reqwest::Client::builder().no_proxy().build()?;
    let probe = format!("{url}/status");
    driver.ready(UP_WITHIN, async || http.get(&probe).send().await.is_ok()).await.context(cage::NEEDS)?;
    let capabilities: Map<String, Value> = serde_json::from_value(capabilities)?;
    let session =
        WebDriver::new(&url, Capabilities::from(capabilities)).await.with_context(|| format!("no {kind:?}"))?;
    if let Err(error) = set_up(kind, &session, private, options).await {
        // A browser in trouble may not end when it is asked to; it ends with its driver.
        let _ = session.leak();
        return Err(error);
    }
    Ok((driver, session))
}

async fn set_up(kind: BrowserKind, session: &WebDriver, private: &Path, options: &BrowserOptions) -> Result<()> {
    session.set_script_timeout(COMMAND_LIMIT).await?;
    session.set_page_load_timeout(COMMAND_LIMIT).await?;
    match kind {
        BrowserKind::Chromium => chromium::extension_is_loaded(private),
        BrowserKind::Firefox => {
            for dir in options.extension.dirs() {
                let dir = dir.to_str().context("a path that is no text")?;
                FirefoxTools::new(session.handle().clone()).install_addon(dir, Some(true)).await?;
            }
            Ok(())
        }
    }
}

/// The URL of the extension's own folder.
async fn extension_url(kind: BrowserKind, session: &WebDriver, options: &BrowserOptions) -> Result<String> {
    let id = options.extension.id();
    match kind {
        BrowserKind::Chromium => Ok(format!("chrome-extension://{id}/")),
        BrowserKind::Firefox => {
            // One that a policy names comes a moment later.
            let script = "return WebExtensionPolicy.getByID(arguments[0])?.getURL('') ?? null;";
            until("the extension in Firefox", PATIENCE, async || {
                let url = own_pages::in_chrome(session, script, vec![id.into()]).await?;
                Ok(url.as_str().map(str::to_owned))
            })
            .await
        }
    }
}
