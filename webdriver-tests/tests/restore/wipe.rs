//! What a browser leaves on the disk after a session: with what the homeserver has, it opens everything where the policy
//! retains it, and nothing after a wipe. Either half alone opens nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _};
use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use keystead_webdriver_tests::rows::{Rows, output_dir};
use keystead_webdriver_tests::{BrowserKind, Company, Employee, PATIENCE, State};
use serde_json::json;
use thirtyfour::extensions::query::ElementQueryable as _;
use thirtyfour::{By, WebDriver, WebElement};

use crate::scene::set_up;

/// How many different bytes 32 random ones have at the least.
const DIFFERENT: usize = 20;

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add(kind, "wipe: what is retained opens with both halves only", retained(company, kind));
    rows.add(kind, "wipe: afterwards disk and server open nothing", wiped(company, kind));
}

async fn retained(company: &Company, kind: BrowserKind) -> Result<()> {
    let (scene, browser) = set_up(company, kind, json!({ "retain_after_logout": "always" })).await?;
    let server = Copies::of(company, &scene.ann).await?;
    browser.log_out().await?;
    browser.wait_for_state(State::SignedOut, PATIENCE).await?;
    let profile = browser.close().await?;
    let disk = stores(&profile.path())?;
    ensure!(server.open_with(&disk)?, "disk and server together open nothing: the search sees nothing");
    ensure!(!server.are_in(&disk)?, "the wrapped copy is on the disk, beside what opens it");
    ensure!(!server.open_with_text(&server.text), "the server has what opens the wrapped copy");
    Ok(())
}

async fn wiped(company: &Company, kind: BrowserKind) -> Result<()> {
    let (scene, browser) = set_up(company, kind, json!({ "retain_after_logout": "always" })).await?;
    let server = Copies::of(company, &scene.ann).await?;
    let picture = output_dir()?.join(format!("popup-wipe-{}.png", kind.name()));
    browser
        .in_own_page(async |session| {
            session.refresh().await?;
            find(session, "#wiping-0 summary").await?.click().await?;
            session.set_window_rect(0, 0, 420, 900).await?;
            session.find(By::Css("body")).await?.screenshot(&picture).await?;
            find(session, "#wipe-0").await?.click().await?;
            Ok(())
        })
        .await?;
    browser.wait_for_code("KS-REC-VAULT-LOST", PATIENCE).await?;
    ensure!(browser.wrapping_keys().await? == 0, "the vault holds a wrapping key");
    browser.log_out().await?;
    browser.wait_for_state(State::SignedOut, PATIENCE).await?;
    let profile = browser.close().await?;
    let disk = stores(&profile.path())?;
    ensure!(!server.open_with(&disk)?, "disk and server together open the recovery key");
    ensure!(!server.are_in(&disk)?, "the wrapped copy is on the disk");
    Ok(())
}

async fn find(session: &WebDriver, selector: &str) -> Result<WebElement> {
    Ok(session.query(By::Css(selector)).wait(PATIENCE, Duration::from_millis(50)).first().await?)
}

/// The wrapped copies of the recovery key that the homeserver has.
struct Copies {
    text: String,
    copies: Vec<Copy>,
}

struct Copy {
    key_id: String,
    iv: Vec<u8>,
    ciphertext: Vec<u8>,
}

impl Copies {
    async fn of(company: &Company, who: &Employee) -> Result<Self> {
        let document = company.account_data(who).await?["io.keystead.recovery"].take();
        let mut copies = Vec::new();
        for (key_id, entry) in document["keys"].as_object().context("no sealed recovery")? {
            for wrapped in entry["wrapped"].as_object().context("no wrapped copy")?.values() {
                let bytes = |field: &str| {
                    let text = wrapped[field].as_str().context("no text")?;
                    Ok::<_, anyhow::Error>(STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text))?)
                };
                copies.push(Copy { key_id: key_id.clone(), iv: bytes("iv")?, ciphertext: bytes("ciphertext")? });
            }
        }
        ensure!(!copies.is_empty(), "the homeserver has no wrapped copy");
        Ok(Self { text: document.to_string(), copies })
    }

    /// Is any run of 32 bytes in one of these files the key that opens a copy?
    fn open_with(&self, files: &[PathBuf]) -> Result<bool> {
        for file in files {
            if fs::read(file)?.windows(32).any(|window| self.opens(window)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn open_with_text(&self, text: &str) -> bool {
        text.as_bytes().windows(32).any(|window| self.opens(window))
    }

    fn opens(&self, window: &[u8]) -> bool {
        let mut seen = [false; 256];
        window.iter().for_each(|byte| seen[usize::from(*byte)] = true);
        if seen.iter().filter(|seen| **seen).count() < DIFFERENT {
            return false;
        }
        let Ok(cipher) = Aes256Gcm::new_from_slice(window) else { return false };
        self.copies.iter().any(|Copy { key_id, iv, ciphertext }| {
            let payload = Payload { msg: ciphertext, aad: key_id.as_bytes() };
            cipher.decrypt(iv.as_slice().into(), payload).is_ok()
        })
    }

    /// Is a copy in one of these files, as bytes or as the text it is kept as?
    fn are_in(&self, files: &[PathBuf]) -> Result<bool> {
        for file in files {
            let bytes = fs::read(file)?;
            for Copy { ciphertext, .. } in &self.copies {
                let text = STANDARD_NO_PAD.encode(ciphertext);
                let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                let forms = [ciphertext.as_slice(), text.as_bytes(), &wide];
                if forms.iter().any(|form| memchr::memmem::find(&bytes, form).is_some()) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// The files in which a profile has the extension's database.
fn stores(profile: &Path) -> Result<Vec<PathBuf>> {
    let (mut dirs, mut files) = (vec![profile.to_owned()], Vec::new());
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            let name = path.to_string_lossy().into_owned();
            let ours = name.contains("chrome-extension_") || name.contains("moz-extension+++");
            if path.is_dir() && !path.is_symlink() {
                dirs.push(path);
            } else if ours && path.is_file() {
                files.push(path);
            }
        }
    }
    if files.is_empty() {
        bail!("the profile has no database of the extension");
    }
    Ok(files)
}
