//! A native messaging host that answers at once as gpgme-json does: what GnuPG and its owner take is not measured.

use std::fs;
use std::io::{Read as _, Write as _, stdin, stdout};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The argument that has this program be the host.
const AS_HOST: &str = "--answer-as-gnupg";
/// GnuPG's value for a request that it does not know.
const UNKNOWN: u32 = 33_554_569;

/// The file whose text this program is to answer with, if it was started as the host.
pub(crate) fn wanted() -> Option<PathBuf> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == AS_HOST).then(|| arguments.next().map(PathBuf::from))?
}

/// Makes a program in this folder that answers with this text.
pub(crate) fn make(folder: &Path, text: &str) -> Result<PathBuf> {
    let (opened, program) = (folder.join("opened"), folder.join("host.sh"));
    fs::write(&opened, text)?;
    let own = std::env::current_exe()?;
    fs::write(&program, format!("#!/bin/sh\nexec '{}' {AS_HOST} '{}'\n", own.display(), opened.display()))?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700))?;
    Ok(program)
}

/// Answers until the browser has no more requests.
pub(crate) fn answer(opened: &Path) -> Result<()> {
    let text = fs::read_to_string(opened)?;
    let mut length = [0; 4];
    while stdin().read_exact(&mut length).is_ok() {
        let mut request = vec![0; usize::try_from(u32::from_ne_bytes(length))?];
        stdin().read_exact(&mut request)?;
        let request: Value = serde_json::from_slice(&request)?;
        let reply = match request["op"].as_str().context("no request")? {
            "help" => json!({ "type": "help", "msg": "" }),
            "decrypt" => json!({
                "type": "plaintext", "data": text, "base64": false,
                "dec_info": { "legacy_cipher_nomdc": false, "recipients": [{}] },
            }),
            "keylist" => json!({ "keys": [] }),
            _ => json!({ "type": "error", "code": UNKNOWN, "msg": "Unknown request" }),
        };
        let response = STANDARD.encode(reply.to_string());
        let reply = json!({ "base64": true, "more": false, "response": response }).to_string();
        stdout().write_all(&u32::try_from(reply.len())?.to_ne_bytes())?;
        stdout().write_all(reply.as_bytes())?;
        stdout().flush()?;
    }
    Ok(())
}
