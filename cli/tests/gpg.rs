//! `keystead roster sign --gpg` and `roster set --gpg`: real GnuPG signs, the reader believes.
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

#[tokio::test]
async fn a_new_master_key_is_one_command() -> Result<()> {
    const KEY: &str = "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik";
    let (gpg, folder) = (Gpg::new()?, tempfile::tempdir()?);
    let folder = folder.path();
    let staff =
        "matrix_id,email,fingerprint\n@ann:example.org,ann@example.org,00678DC98E2C2CE3AF94C8DD31BE56E5328EE4AB\n";
    fs::write(folder.join("staff.csv"), staff)?;
    let build = ["roster", "build", "staff.csv", "--deployment", DEPLOYMENT, "--serial", "8", "--expires", "90"];
    keystead(&gpg, folder, &[&build[..], &["-o", "roster.json"]].concat()).await?;
    let it = gpg.generate(&KeySpec::new("IT <it@example.org>", KeyKind::Ed25519)).await?;
    let other = gpg.generate(&KeySpec::new("Eve <eve@example.org>", KeyKind::Ed25519)).await?;
    let set = |user: &'static str, key: &'static str, signer: &str, more: &[&'static str]| {
        let words = ["roster", "set", user, "--master-key", key, "--gpg", signer].map(str::to_owned);
        words.into_iter().chain(more.iter().map(|word| (*word).to_owned())).collect::<Vec<_>>()
    };
    let run = async |words: Vec<String>| {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let output = keystead(&gpg, folder, &words).await?;
        let said =
            String::from_utf8_lossy(&if output.status.success() { output.stdout } else { output.stderr }).into_owned();
        anyhow::Ok((output.status.code(), said))
    };
    let (code, said) = run(set("@ann:example.org", KEY, &it, &[])).await?;
    assert_eq!(code, Some(2), "no signature yet: {said}");
    keystead(&gpg, folder, &["roster", "sign", "roster.json", "--gpg", &it]).await?;
    let before = fs::read(folder.join("roster.json"))?;
    for (words, code, begin) in [
        (set("@ann:example.org", KEY, &other, &[]), 1, "KS-SGN-SIGNER"),
        (set("@bob:example.org", KEY, &it, &[]), 2, "keystead: roster.json: nobody of that Matrix ID"),
        (set("@ann:example.org", KEY, &it, &["--since", "2999-01-01"]), 2, "keystead: --since is in the future"),
        (set("@ann:example.org", "short", &it, &[]), 2, "error: invalid value 'short'"),
    ] {
        let (ended, said) = run(words).await?;
        assert!(ended == Some(code) && said.starts_with(begin), "{ended:?}: {said}");
        assert!(fs::read(folder.join("roster.json"))? == before, "nothing is written: {said}");
    }
    let (code, said) = run(set("@ann:example.org", KEY, &it, &[])).await?;
    assert!(code == Some(0) && said.contains("serial 9"), "{said}");
    fs::write(folder.join("it.asc"), gpg.export(&it).await?)?;
    let verify = ["roster", "verify", "roster.json", "--signer", "it.asc", "--deployment", DEPLOYMENT];
    let newest = [&verify[..], &["--newest-serial", "9"]].concat();
    assert!(keystead(&gpg, folder, &newest).await?.status.success());
    let roster = fs::read_to_string(folder.join("roster.json"))?;
    assert!(roster.contains(&format!("\"master_key\":\"{KEY}\",\"since\":")), "{roster}");
    Ok(())
}
