//! The extension as device management brings it: a package that the browser installs because the organisation's policy says
//! so, and has from its very start the next time.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use keystead_testbed::{Action, Answer, Proxy, Rule};
use serde_json::{Value, json};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

use super::BrowserKind;

/// A package, and where the browser finds it.
#[derive(Debug)]
pub(super) struct Package {
    dir: TempDir,
    /// Chromium asks a server for it.
    server: Option<Proxy>,
    id: String,
}

impl Package {
    /// Packs an unpacked extension, whose id in Firefox is `id`; Chromium's packages have one of their own.
    ///
    /// # Errors
    /// If the browser does not pack it.
    pub(super) fn make(kind: BrowserKind, unpacked: &Path, id: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("keystead-package-").tempdir()?;
        match kind {
            BrowserKind::Firefox => {
                archive(unpacked, &dir.path().join("package.xpi"))?;
                Ok(Self { dir, server: None, id: id.to_owned() })
            }
            BrowserKind::Chromium => {
                let packed = pack(unpacked, dir.path())?;
                let id = id_of(&packed)?;
                let server = serve(&id, packed)?;
                Ok(Self { dir, server: Some(server), id })
            }
        }
    }

    /// The id under which the browser knows it.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// What Chromium's policy says of it.
    pub(super) fn forced(&self) -> Value {
        let url = self.server.as_ref().map(Proxy::url).unwrap_or_default();
        // Its pages and its background are looked into as those of other extensions are.
        json!({ "ExtensionInstallForcelist": [format!("{};{url}/update.xml", self.id)], "DeveloperToolsAvailability": 1 })
    }

    /// The file that Firefox installs.
    pub(super) fn file(&self) -> PathBuf {
        self.dir.path().join("package.xpi")
    }
}

/// Has Chromium pack a folder under a new key.
fn pack(unpacked: &Path, dir: &Path) -> Result<Vec<u8>> {
    let copy = dir.join("package");
    super::extension::copy_dir(unpacked, &copy)?;
    let manifest = copy.join("manifest.json");
    let mut text: Value = serde_json::from_slice(&fs::read(&manifest)?)?;
    text.as_object_mut().context("no manifest")?.remove("key");
    fs::write(manifest, text.to_string())?;
    let chromium = ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(keystead_tools::on_path);
    let mut command = Command::new(chromium.context("chromium is not installed")?);
    command.args(["--no-sandbox", "--headless=new", "--disable-gpu", "--no-first-run"]);
    command.arg(format!("--user-data-dir={}", dir.join("packing").display()));
    command.arg(format!("--pack-extension={}", copy.display()));
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    fs::read(dir.join("package.crx")).with_context(|| format!("Chromium packed nothing: {status}"))
}

/// The id in a package's header (CRX3): the last 16 bytes of that, in the letters a to p.
fn id_of(packed: &[u8]) -> Result<String> {
    let size = packed.get(8..12).context("no package")?;
    let size = u32::from_le_bytes(size.try_into()?) as usize;
    let header = packed.get(12..12 + size).context("half a package")?;
    let id = header.last_chunk::<16>().context("no header")?;
    ensure!(packed.starts_with(b"Cr24"), "another kind of package");
    let letter = |half: u8| char::from(b'a' + half);
    Ok(id.iter().flat_map(|byte| [letter(byte >> 4), letter(byte & 15)]).collect())
}

/// Serves a package as a server for updates does.
fn serve(id: &str, packed: Vec<u8>) -> Result<Proxy> {
    let server = Proxy::start("http://127.0.0.1:9")?;
    let update = format!(
        "<?xml version='1.0' encoding='UTF-8'?>\n<gupdate xmlns='http://www.google.com/update2/response' protocol='2.0'>\
         <app appid='{id}'><updatecheck codebase='{}/package.crx' version='{}'/></app></gupdate>\n",
        server.url(),
        env!("CARGO_PKG_VERSION"),
    );
    let file = |path: &'static str, answer| Rule::when(path, move |asked| asked.path == path, Action::Answer(answer));
    server.set_rules([
        file("/update.xml", Answer::new(200, "text/xml", update)),
        file("/package.crx", Answer::new(200, "application/x-chrome-extension", packed)),
    ]);
    Ok(server)
}

/// Puts a folder into an archive.
fn archive(folder: &Path, to: &Path) -> Result<()> {
    fn add(zip: &mut zip::ZipWriter<File>, folder: &Path, name: &str) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let own = entry.file_name();
            let own = own.to_str().context("a name that is no text")?;
            let name = if name.is_empty() { own.to_owned() } else { format!("{name}/{own}") };
            if entry.file_type()?.is_dir() {
                add(zip, &entry.path(), &name)?;
            } else {
                zip.start_file(name, SimpleFileOptions::default())?;
                zip.write_all(&fs::read(entry.path())?)?;
            }
        }
        Ok(())
    }
    let mut zip = zip::ZipWriter::new(File::create(to)?);
    add(&mut zip, folder, "")?;
    zip.finish()?;
    Ok(())
}
