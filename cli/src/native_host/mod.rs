//! `keystead native-host`: connects browsers with GnuPG.
//!
//! A browser starts only programs that a file in one of its folders names, and only for extensions which that file names.
//! The program is GnuPG's own `gpgme-json`. The file has a name of its own, not `gpgmejson`: distributions and other
//! programs register `gpgmejson` for other extensions, and a person's file hides the system's of the same name.

mod file;
mod place;
mod registration;

use std::{
    env,
    path::{Path, PathBuf},
};

use clap::Args;
use keystead_core::{
    error::{Code, Coded as _},
    gnupg::{self, HOST_NAME},
};

use self::{
    file::Written,
    place::{Browser, Machine, Scope},
    registration::{ExtensionId, Registration},
};
use crate::{
    driver::Driver,
    failure::{Ending, Failure},
    http::Http,
    native::NativeHost,
    words::words,
};

const PROGRAM: &str = "gpgme-json";

/// Where package managers put programs that are not in everybody's `PATH`.
const OTHER_FOLDERS: [&str; 4] = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/opt/local/bin"];

/// Which browsers, and for whom.
#[derive(Debug, Args)]
struct Where {
    /// The browser; may be given several times (default: all three).
    #[arg(long, value_enum)]
    browser: Vec<Browser>,
    /// For the person who runs this (default).
    #[arg(long)]
    user: bool,
    /// For everybody on this machine; needs an administrator's rights.
    #[arg(long, conflicts_with = "user")]
    system: bool,
    /// The folder of such files, where the browser keeps its data elsewhere; with one --browser.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["user", "system"])]
    folder: Option<PathBuf>,
}

/// One file that registers our host, or could.
struct Spot {
    browser: Browser,
    scope: Scope,
    path: PathBuf,
}

impl Spot {
    fn title(&self) -> String {
        format!("{}, {}", self.browser.name(), self.scope.name())
    }
}

impl Where {
    fn browsers(&self) -> Vec<Browser> {
        Browser::ALL.into_iter().filter(|browser| self.browser.is_empty() || self.browser.contains(browser)).collect()
    }

    fn spots(&self, scopes: &[Scope]) -> Result<Vec<Spot>, Failure> {
        if let Some(folder) = &self.folder {
            let [browser] = self.browser[..] else {
                return Err(Failure::Usage("--folder needs one --browser".into()));
            };
            let path = folder.join(format!("{HOST_NAME}.json"));
            return Ok(vec![Spot { browser, scope: Scope::User, path }]);
        }
        let Some(machine) = Machine::this() else { return Err(Failure::Usage(WINDOWS.into())) };
        let mut spots = Vec::new();
        for browser in self.browsers() {
            for &scope in scopes {
                let paths = machine.files(browser, scope)?;
                spots.extend(paths.into_iter().map(|path| Spot { browser, scope, path }));
            }
        }
        Ok(spots)
    }

    /// Where something is to be changed.
    fn to_change(&self) -> Result<Vec<Spot>, Failure> {
        self.spots(&[if self.system { Scope::System } else { Scope::User }])
    }
}

/// What a person does on Windows, where browsers look into the registry.
const WINDOWS: &str = "this registers hosts on Linux and macOS only. On Windows, save what \
    `install --dry-run --browser chrome --folder C:\\Keystead --gpgme-json PATH` shows, and name the file in the registry: \
    HKEY_CURRENT_USER\\Software\\Google\\Chrome\\NativeMessagingHosts\\com.keystead.gpgme; docs/native-host.md has the others";

/// Let the extension use GnuPG: registers gpgme-json with browsers.
#[derive(Debug, Args)]
pub struct NativeHostInstall {
    #[command(flatten)]
    at: Where,
    /// The program (default: the gpgme-json in PATH).
    #[arg(long, value_name = "PATH")]
    gpgme_json: Option<PathBuf>,
    /// The id of a copy of the extension that you signed yourself; may be given several times.
    #[arg(long, value_name = "ID", value_parser = ExtensionId::parse)]
    extension: Vec<ExtensionId>,
    /// Show what would be written, and write nothing.
    #[arg(long)]
    dry_run: bool,
}

impl NativeHostInstall {
    /// Does it; what to read goes to `out`.
    ///
    /// # Errors
    /// [`Failure`] where gpgme-json is not there or a file cannot be written.
    pub fn run(self, out: &mut String) -> Result<Ending, Failure> {
        let spots = self.at.to_change()?;
        let program = self.program()?;
        for spot in &spots {
            let text = Registration::new(spot.browser, &program, &self.extension).to_text();
            let (title, path) = (spot.title(), spot.path.display());
            if self.dry_run {
                out.push_str(&format!("{title}: would write {path}\n{text}"));
                continue;
            }
            let did = match file::write(&spot.path, &text, spot.scope)? {
                Written::New => "wrote",
                Written::Replaced => "replaced",
                Written::AlreadyThere => "already there:",
            };
            out.push_str(&format!("{title}: {did} {path}\n"));
        }
        if !self.dry_run {
            out.push_str(&format!(
                "Next: keystead native-host status, and in the policy restore.gnupg_host: {HOST_NAME}\n"
            ));
        }
        Ok(Ending::Fine)
    }

    fn program(&self) -> Result<PathBuf, Failure> {
        let Some(given) = &self.gpgme_json else {
            let path = env::var_os("PATH").unwrap_or_default();
            let folders = env::split_paths(&path).chain(OTHER_FOLDERS.map(PathBuf::from));
            let found = folders.filter(|folder| folder.is_absolute()).map(|folder| folder.join(PROGRAM));
            return found.into_iter().find(|path| is_program(path)).ok_or(Failure::refused(Code::GpgNoHost));
        };
        let shown = given.display();
        if !given.is_absolute() || given.to_str().is_none() {
            return Err(Failure::Usage(format!("--gpgme-json: browsers take only whole paths, not {shown}")));
        }
        // What is only shown may be meant for another machine.
        if !self.dry_run && !is_program(given) {
            return Err(Failure::Usage(format!("--gpgme-json: {shown} is no program")));
        }
        Ok(given.clone())
    }
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

/// Take back what install did.
#[derive(Debug, Args)]
pub struct NativeHostUninstall {
    #[command(flatten)]
    at: Where,
    /// Show what would be removed, and remove nothing.
    #[arg(long)]
    dry_run: bool,
}

impl NativeHostUninstall {
    /// Does it; what to read goes to `out`.
    ///
    /// # Errors
    /// [`Failure`] where a file cannot be removed.
    pub fn run(self, out: &mut String) -> Result<Ending, Failure> {
        for spot in self.at.to_change()? {
            let did = match self.dry_run {
                true if file::read(&spot.path)?.is_some() => "would remove",
                false if file::remove(&spot.path)? => "removed",
                _ => "not there:",
            };
            out.push_str(&format!("{}: {did} {}\n", spot.title(), spot.path.display()));
        }
        Ok(Ending::Fine)
    }
}

/// Say which browsers can use GnuPG, and try it.
#[derive(Debug, Args)]
pub struct NativeHostStatus {
    #[command(flatten)]
    at: Where,
}

impl NativeHostStatus {
    /// Does it; what to read goes to `out`. Fine where every browser that was named can use GnuPG, or, if none was
    /// named, at least one; and nothing that is registered is broken.
    ///
    /// # Errors
    /// [`Failure`] where files cannot be read.
    pub async fn run(self, out: &mut String) -> Result<Ending, Failure> {
        let scopes: &[Scope] = match (self.at.user, self.at.system) {
            (true, _) => &[Scope::User],
            (_, true) => &[Scope::System],
            _ => &[Scope::User, Scope::System],
        };
        let (mut works, mut broken) = (Vec::new(), false);
        for spot in self.at.spots(scopes)? {
            let Some(text) = file::read(&spot.path)? else {
                out.push_str(&format!("{}: not registered\n", spot.title()));
                continue;
            };
            out.push_str(&format!("{}: {}\n", spot.title(), spot.path.display()));
            match try_out(spot.browser, &text).await {
                Ok(line) => {
                    works.push(spot.browser);
                    out.push_str(&format!("  {line}\n"));
                }
                Err(line) => {
                    broken = true;
                    out.push_str(&format!("  {line}\n"));
                }
            }
        }
        let missed = self.at.browser.iter().any(|browser| !works.contains(browser));
        Ok(if broken || missed || works.is_empty() { Ending::NotFine } else { Ending::Fine })
    }
}

/// Starts what is registered and asks which versions it has.
async fn try_out(browser: Browser, text: &str) -> Result<String, String> {
    let registration = Registration::read(browser, text)?;
    let program = registration.path;
    let failed = |code: Code| {
        let words = words(code);
        format!("{}: {}: {}\n  {}", program.display(), code.as_str(), words.sentence, words.next)
    };
    if !is_program(&program) {
        return Err(failed(Code::GpgNoHost));
    }
    let mut driver = Driver::new(Http::new().map_err(|error| error.to_string())?);
    driver.native = Some(NativeHost::new(&program));
    let versions = driver.run(|io| async move { gnupg::versions(&io).await }).await;
    let versions = versions.map_err(|error| failed(error.code()))?;
    let gnupg = versions.gnupg.ok_or_else(|| failed(Code::GpgNoGnupg))?;
    Ok(format!("{} works: gpgme {}, GnuPG {gnupg}", program.display(), versions.gpgme))
}
