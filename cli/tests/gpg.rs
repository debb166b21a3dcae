//! `keystead roster sign --gpg`: real GnuPG signs, the reader believes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "functions shared by tests are test code too"
)]

use std::{fs, path::Path, process::Output};

use anyhow::Result;
use keystead_testbed::{Gpg, KeyKind, KeySpec};
use tokio::process::Command;

const DEPLOYMENT: &str = "https://chat.example.org";

async fn keystead(gpg: &Gpg, folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keystead"));
    command.args(arguments).current_dir(folder).env("GNUPGHOME", gpg.home());
    Ok(command.output().await?)
}

#[tokio::test]
async fn signatures_of_every_kind_of_key_are_believed() -> Result<()> {
    let (gpg, folder) = (Gpg::new()?, tempfile::tempdir()?);
    let staff =
        "matrix_id,email,fingerprint\n@ann:example.org,ann@example.org,00678DC98E2C2CE3AF94C8DD31BE56E5328EE4AB\n";
    fs::write(folder.path().join("staff.csv"), staff)?;
    let build = ["roster", "build", "staff.csv", "--deployment", DEPLOYMENT, "--serial", "1", "--expires", "1"];
    let output = keystead(&gpg, folder.path(), &[&build[..], &["-o", "roster.json"]].concat()).await?;
    assert!(output.status.success(), "{output:?}");
    for kind in [KeyKind::Ed25519, KeyKind::Rsa3072, KeyKind::P256] {
        let signer = gpg.generate(&KeySpec::new("IT <it@example.org>", kind)).await?;
        fs::write(folder.path().join("it.asc"), gpg.export(&signer).await?)?;
        let sign = keystead(&gpg, folder.path(), &["roster", "sign", "roster.json", "--gpg", &signer]).await?;
        assert_eq!(String::from_utf8_lossy(&sign.stdout), format!("roster.json.asc: signed by {signer}\n"), "{kind:?}");
        let verify = ["roster", "verify", "roster.json", "--signer", "it.asc", "--deployment", DEPLOYMENT];
        assert!(keystead(&gpg, folder.path(), &verify).await?.status.success(), "{kind:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_signature_that_no_reader_believes_is_not_written() -> Result<()> {
    let (gpg, folder) = (Gpg::new()?, tempfile::tempdir()?);
    fs::write(folder.path().join("roster.json"), r#"{"kind": "menu", "deployment": "https://chat.example.org"}"#)?;
    let signer = gpg.generate(&KeySpec::new("IT <it@example.org>", KeyKind::Ed25519)).await?;
    let output = keystead(&gpg, folder.path(), &["roster", "sign", "roster.json", "--gpg", &signer]).await?;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("KS-SGN-KIND: "), "{output:?}");
    let output =
        keystead(&gpg, folder.path(), &["roster", "sign", "roster.json", "--gpg", "nobody@example.org"]).await?;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!folder.path().join("roster.json.asc").exists());
    Ok(())
}
