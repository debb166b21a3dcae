//! `keystead manifest`: a made-up release, archives that were made to harm, signatures by files and by real GnuPG.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "functions shared by tests are test code too"
)]

mod releases;

use std::{fs, io::Write as _, path::Path};

use anyhow::Result;
use flate2::{Compression, write::GzEncoder};
use keystead_testbed::{Gpg, KeyKind, KeySpec};
use releases::{DEPLOYMENT, copy, files, key, make_manifest, manifest, said, vectors};
use tar::{Builder, EntryType, Header};
use tokio::process::Command;

#[tokio::test]
async fn the_golden_release_and_manifest_have_the_same_bytes_each_time() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let release = vectors().join("release").display().to_string();
    let output = manifest(folder.path(), &["build", &release, "-o", "release.json"]).await?;
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("\n  id "), "{}", said(&output));
    let golden = fs::read_to_string(vectors().join("release.json"))?;
    assert_eq!(fs::read_to_string(folder.path().join("release.json"))?, golden);
    let output = make_manifest(folder.path()).await?;
    assert!(output.status.success(), "{}", said(&output));
    for line in
        ["m.homeserver.base_url: https://matrix.example.org", "module \"modules/company.js\"", "help_url: https://it"]
    {
        assert!(said(&output).contains(line), "{line} in {}", said(&output));
    }
    let golden = fs::read_to_string(vectors().join("manifest.json"))?;
    assert_eq!(fs::read_to_string(folder.path().join("manifest.json"))?, golden);
    Ok(())
}

/// The id is what coreutils make of the folder.
#[tokio::test]
async fn the_id_of_a_release_can_be_had_without_keystead() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let release = vectors().join("release");
    let output = manifest(folder.path(), &["build", &release.display().to_string(), "-o", "release.json"]).await?;
    let script = "find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum";
    let sum = Command::new("sh").args(["-c", script]).current_dir(&release).output().await?;
    let id = String::from_utf8(sum.stdout)?.split(' ').next().unwrap_or_default().to_owned();
    assert!(id.len() == 64 && said(&output).contains(&format!("  id {id}\n")), "{id}: {}", said(&output));
    Ok(())
}

fn pack(entries: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for (path, bytes) in entries {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, &*bytes)?;
    }
    Ok(archive.into_inner()?)
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

#[tokio::test]
async fn folder_and_archive_in_any_order_give_the_same_bytes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let golden = fs::read_to_string(vectors().join("release.json"))?;
    let files = files(&vectors().join("release"))?;
    let named =
        |prefix: &str| files.iter().map(|(path, bytes)| (format!("{prefix}{path}"), bytes.clone())).collect::<Vec<_>>();
    let mut shuffled = named("element-v1.12.0/");
    // One order that is neither that of the names nor its reverse.
    shuffled.sort_by_key(|(path, _)| path.bytes().rev().collect::<Vec<_>>());
    let long = format!("{}/", "a".repeat(120));
    for (name, archive) in [
        ("plain.tar", pack(named(""))?),
        ("dotted.tar", pack(named("./"))?),
        ("foldered.tar.gz", gzip(&pack(shuffled)?)?),
        ("long-names.tar.gz", gzip(&pack(named(&long))?)?),
    ] {
        fs::write(folder.path().join(name), archive)?;
        let output = manifest(folder.path(), &["build", name]).await?;
        assert_eq!(String::from_utf8_lossy(&output.stdout), golden, "{name}: {}", said(&output));
    }
    // Written in another order, a folder lists them in another order.
    let again = folder.path().join("again");
    for (path, bytes) in files.iter().rev() {
        let path = again.join(path);
        fs::create_dir_all(path.parent().unwrap())?;
        fs::write(path, bytes)?;
    }
    let output = manifest(folder.path(), &["build", "again"]).await?;
    assert_eq!(String::from_utf8_lossy(&output.stdout), golden);
    Ok(())
}

/// An entry whose name no builder would write.
fn entry(archive: &mut Vec<u8>, name: &[u8], kind: EntryType, size: u64, bytes: &[u8]) {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    archive.extend(header.as_bytes());
    archive.extend(bytes);
    archive.resize(archive.len().next_multiple_of(512), 0);
}

#[tokio::test]
async fn archives_that_were_made_to_harm_are_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let good = || pack(files(&vectors().join("release")).unwrap()).unwrap();
    // Without the two empty blocks at its end, so that more can follow.
    let open = || {
        let mut archive = good();
        archive.truncate(archive.len() - 1024);
        archive
    };
    let with = |name: &[u8], kind: EntryType, size: u64, bytes: &[u8]| {
        let mut archive = open();
        entry(&mut archive, name, kind, size, bytes);
        archive
    };
    let file = |name: &[u8]| with(name, EntryType::Regular, 1, b"x");
    let pax = |field: &str| {
        // Its own length stands before it; these are all of two digits.
        let record = format!("{} {field}\n", field.len() + 4);
        let mut archive = with(b"pax", EntryType::XHeader, record.len() as u64, record.as_bytes());
        entry(&mut archive, b"name", EntryType::Regular, 1, b"x");
        archive
    };
    let many = {
        let mut archive = Vec::new();
        (0..20_001).for_each(|number| entry(&mut archive, format!("f{number}").as_bytes(), EntryType::Regular, 0, b""));
        archive
    };
    let zeros = {
        let mut archive = open();
        for number in 0..17 {
            entry(&mut archive, format!("zeros{number}").as_bytes(), EntryType::Regular, 64 << 20, b"");
            if number < 16 {
                archive.extend(vec![0; 64 << 20]);
            }
        }
        archive
    };
    let html = |text: &[u8]| with(b"other.html", EntryType::Regular, text.len() as u64, text);
    let cut = good()[..good().len() / 2].to_vec();
    let table: Vec<(&str, &str, Vec<u8>)> = vec![
        ("absolute path", "KS-INT-PATH", file(b"/etc/passwd")),
        ("path above", "KS-INT-PATH", file(b"../../x.js")),
        ("path above inside", "KS-INT-PATH", file(b"a/../../x.js")),
        ("backslashes", "KS-INT-PATH", file(b"a\\x.js")),
        ("percent", "KS-INT-PATH", file(b"a%2e.js")),
        ("no UTF-8", "KS-INT-PATH", file(b"a\xff.js")),
        ("folder above", "KS-INT-PATH", with(b"../a/", EntryType::Directory, 0, b"")),
        ("absolute folder", "KS-INT-PATH", with(b"/", EntryType::Directory, 0, b"")),
        ("pax path above", "KS-INT-PATH", pax("path=../x.js")),
        ("symbolic link", "KS-INT-LINK", with(b"link", EntryType::Symlink, 0, b"")),
        ("hard link", "KS-INT-LINK", with(b"link", EntryType::Link, 0, b"")),
        ("device", "KS-INT-LINK", with(b"null", EntryType::Char, 0, b"")),
        ("pipe", "KS-INT-LINK", with(b"pipe", EntryType::Fifo, 0, b"")),
        ("pax link", "KS-INT-LINK", pax("linkpath=/etc")),
        ("duplicate", "KS-INT-DUPLICATE", file(b"index.html")),
        ("duplicate by dot", "KS-INT-DUPLICATE", file(b"./index.html")),
        ("duplicate by pax", "KS-INT-DUPLICATE", pax("path=index.html")),
        ("file and folder", "KS-INT-DUPLICATE", file(b"version/x.js")),
        ("huge file", "KS-INT-BOMB", with(b"huge", EntryType::Regular, 65 << 20, b"")),
        ("huge in all", "KS-INT-BOMB", zeros),
        ("many files", "KS-INT-BOMB", many),
        ("huge name", "KS-INT-BOMB", with(b"long", EntryType::GNULongName, 1 << 20, &vec![b'a'; 1 << 20])),
        ("pax size", "KS-INT-BOMB", pax("size=1")),
        ("sparse", "KS-INT-ARCHIVE", pax("GNU.sparse.major=1")),
        ("truncated", "KS-INT-ARCHIVE", cut),
        ("text", "KS-INT-ARCHIVE", b"<html>Not found</html>".to_vec()),
        ("empty", "KS-INT-ARCHIVE", Vec::new()),
        (
            "damaged header",
            "KS-INT-ARCHIVE",
            with(b"x", EntryType::Regular, 1, b"x")
                .iter()
                .enumerate()
                .map(|(at, byte)| if at == 1 { byte ^ 1 } else { *byte })
                .collect(),
        ),
        ("document that is no UTF-8", "KS-INT-DOCUMENT", html(b"<p>\xff")),
        ("document with a script without end", "KS-INT-DOCUMENT", html(b"<script>x")),
        ("no Element", "KS-INT-RELEASE", pack([("readme".to_owned(), b"x".to_vec())])?),
        ("no index.html", "KS-INT-RELEASE", pack([("version".to_owned(), b"1.0".to_vec())])?),
    ];
    for (name, code, archive) in table {
        for (file, bytes) in [("release.tar", archive.clone()), ("release.tar.gz", gzip(&archive)?)] {
            fs::write(folder.path().join(file), bytes)?;
            let output = manifest(folder.path(), &["build", file, "-o", "release.json"]).await?;
            let said = said(&output);
            assert!(said.starts_with(&format!("{code}: ")), "{name}, {file}: {said}");
            assert_eq!(output.status.code(), Some(1), "{name}");
            assert!(!folder.path().join("release.json").exists(), "{name}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_compressed_archive_that_ends_early_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let whole = gzip(&pack(files(&vectors().join("release"))?)?)?;
    fs::write(folder.path().join("release.tar.gz"), &whole[..whole.len() / 2])?;
    let output = manifest(folder.path(), &["build", "release.tar.gz"]).await?;
    assert!(said(&output).starts_with("KS-INT-ARCHIVE: "), "{}", said(&output));
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn folders_with_links_are_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    copy(&vectors().join("release"), &folder.path().join("release"))?;
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("release/passwd"))?;
    let output = manifest(folder.path(), &["build", "release"]).await?;
    assert!(said(&output).starts_with("KS-INT-LINK: "), "{}", said(&output));
    Ok(())
}

#[tokio::test]
async fn the_makers_signature_is_checked_first() -> Result<()> {
    let (gpg, folder) = (Gpg::new()?, tempfile::tempdir()?);
    let archive = folder.path().join("element.tar.gz");
    fs::write(&archive, gzip(&pack(files(&vectors().join("release"))?)?)?)?;
    let makers = gpg.generate(&KeySpec::new("Releases <releases@example.com>", KeyKind::Rsa3072)).await?;
    let others = gpg.generate(&KeySpec::new("Others <others@example.com>", KeyKind::Ed25519)).await?;
    for (name, fingerprint) in [("makers.asc", &makers), ("others.asc", &others)] {
        fs::write(folder.path().join(name), gpg.export(fingerprint).await?)?;
    }
    let mut sign = Command::new("gpg");
    sign.args(["--batch", "--armor", "--detach-sign", "--local-user", &makers, "element.tar.gz"]);
    assert!(sign.current_dir(folder.path()).env("GNUPGHOME", gpg.home()).output().await?.status.success());
    let build = async |signer: &str| -> Result<String> {
        let arguments =
            ["build", "element.tar.gz", "--signature", "element.tar.gz.asc", "--signer", signer, "-o", "r.json"];
        Ok(said(&manifest(folder.path(), &arguments).await?))
    };
    let good = build("makers.asc").await?;
    assert!(good.starts_with("r.json: Element Web 1.12.0\n"), "{good}");
    assert!(build("others.asc").await?.starts_with("KS-SGN-SIGNER: "));
    // Whatever is in it: it is not even looked into.
    fs::write(&archive, "not an archive")?;
    assert!(build("makers.asc").await?.starts_with("KS-SGN-SIGNATURE: "));
    let alone = manifest(folder.path(), &["build", "element.tar.gz", "--signer", "makers.asc"]).await?;
    assert_eq!(alone.status.code(), Some(2), "a signer without a signature");
    Ok(())
}

async fn verify(folder: &Path, file: &str, more: &[&str]) -> Result<String> {
    let arguments = [&["verify", file, "--deployment", DEPLOYMENT], more].concat();
    Ok(said(&manifest(folder, &arguments).await?))
}

#[tokio::test]
async fn manifests_are_signed_and_verified() -> Result<()> {
    let (gpg, folder) = (Gpg::new()?, tempfile::tempdir()?);
    let folder = folder.path();
    make_manifest(folder).await?;
    let output = manifest(folder, &["sign", "manifest.json", "--key", &key("signer.sec.asc")]).await?;
    assert!(output.status.success(), "{}", said(&output));
    let (signer, stranger) = (key("signer.asc"), key("stranger.asc"));
    let good = ["--signer", &*signer];
    assert!(verify(folder, "manifest.json", &good).await?.contains("  Element Web 1.12.0: 22 files, id "));
    let soon = verify(folder, "manifest.json", &[&good[..], &["--at", "2026-12-25"]].concat()).await?;
    assert!(soon.contains("ends within seven days"), "{soon}");
    for (code, arguments) in [
        ("KS-SGN-SIGNER", vec!["--signer", &*stranger]),
        ("KS-SGN-SERIAL", [&good[..], &["--newest-serial", "8"]].concat()),
        ("KS-SGN-EXPIRED", [&good[..], &["--at", "2026-12-31"]].concat()),
        ("KS-SGN-DEPLOYMENT", [&good[..], &["--deployment", "https://chat.example.com"]].concat()),
    ] {
        let arguments = if code == "KS-SGN-DEPLOYMENT" {
            said(&manifest(folder, &[&["verify", "manifest.json"], &arguments[..]].concat()).await?)
        } else {
            verify(folder, "manifest.json", &arguments).await?
        };
        assert!(arguments.starts_with(code), "{code}: {arguments}");
    }
    let whole = fs::read(folder.join("manifest.json"))?;
    fs::write(folder.join("manifest.json"), &whole[..whole.len() / 2])?;
    assert!(verify(folder, "manifest.json", &good).await?.starts_with("KS-SGN-SIGNATURE: "), "truncated");
    let altered = String::from_utf8(whole.clone())?.replace("matrix.example.org", "matrix.example.net");
    fs::write(folder.join("manifest.json"), altered)?;
    assert!(verify(folder, "manifest.json", &good).await?.starts_with("KS-SGN-SIGNATURE: "));
    fs::write(folder.join("manifest.json"), [whole.clone(), vec![b' '; 9 << 20]].concat())?;
    assert!(verify(folder, "manifest.json", &good).await?.contains("more than 8 MiB"));

    fs::write(folder.join("manifest.json"), &whole)?;
    let it = gpg.generate(&KeySpec::new("IT <it@example.org>", KeyKind::Ed25519)).await?;
    fs::write(folder.join("it.asc"), gpg.export(&it).await?)?;
    let mut sign = Command::new(env!("CARGO_BIN_EXE_keystead"));
    sign.args(["manifest", "sign", "manifest.json", "--gpg", &it]).current_dir(folder).env("GNUPGHOME", gpg.home());
    let output = sign.output().await?;
    assert_eq!(said(&output), format!("manifest.json.asc: signed by {it}\n"));
    assert!(verify(folder, "manifest.json", &["--signer", "it.asc"]).await?.starts_with("manifest.json: good\n"));
    Ok(())
}

#[tokio::test]
async fn releases_are_revoked() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    make_manifest(folder).await?;
    let revoke = ["revoke", "manifest.json", "--release", "1.12.0", "--serial", "1", "--reason", "leaks keys"];
    let output = manifest(folder, &revoke).await?;
    assert!(said(&output).starts_with("manifest.json.revoked: 1 release, serial 1, "), "{}", said(&output));
    let output = manifest(folder, &["sign", "manifest.json.revoked", "--key", &key("signer.sec.asc")]).await?;
    assert!(output.status.success(), "{}", said(&output));
    let good = verify(folder, "manifest.json.revoked", &["--signer", &key("signer.asc")]).await?;
    assert!(good.contains("  Element Web 1.12.0, id ") && good.contains(": leaks keys\n"), "{good}");
    let again = [&revoke[..5], &["2", "--previous", "manifest.json.revoked", "-o", "next"]].concat();
    assert!(said(&manifest(folder, &again).await?).starts_with("next: 1 release, serial 2, "), "it is named once");
    let unknown = manifest(folder, &["revoke", "manifest.json", "--release", "1.11.0", "--serial", "1"]).await?;
    assert_eq!(unknown.status.code(), Some(2), "{}", said(&unknown));
    Ok(())
}

#[tokio::test]
async fn a_difference_is_told_by_kind() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let next = folder.path().join("next");
    copy(&vectors().join("release"), &next)?;
    fs::rename(next.join("bundles/0123456789abcdef0123"), next.join("bundles/fedcba9876543210fedc"))?;
    for (path, bytes) in files(&next)? {
        let text = String::from_utf8(bytes)?.replace("0123456789abcdef0123", "fedcba9876543210fedc");
        fs::write(next.join(path), text)?;
    }
    fs::write(next.join("version"), "1.12.1")?;
    fs::write(next.join("new.js"), "let a;")?;
    fs::remove_file(next.join("media/ring.mp3"))?;
    let output = manifest(folder.path(), &["build", "next", "-o", "next.json"]).await?;
    assert!(output.status.success(), "{}", said(&output));
    let old = vectors().join("release.json").display().to_string();
    let text = said(&manifest(folder.path(), &["diff", &old, "next.json", "--files"]).await?);
    for line in [
        "1.12.0 to 1.12.1\n",
        "document: 2 changed, 0 new, 0 gone, 2 the same\n",
        "script: 1 changed, 1 new, 0 gone, 4 the same\n",
        "  new      new.js (- to 6 bytes)\n",
        "worker: 0 changed, 0 new, 0 gone, 2 the same\n",
        "media: 0 changed, 0 new, 1 gone, 0 the same\n",
        "  gone     media/ring.mp3 (17 to - bytes)\n",
        "data: 1 changed, 0 new, 0 gone, 1 the same\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let json = said(&manifest(folder.path(), &["diff", &old, "next.json", "--json"]).await?);
    let changes: Vec<serde_json::Value> = json.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(changes.len(), 6, "{json}");
    Ok(())
}

#[tokio::test]
async fn settings_with_a_foreign_module_are_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let release = vectors().join("release.json").display().to_string();
    for (config, code) in [
        ("{\"modules\": [\"https://elsewhere.example/x.js\"]}", "KS-INT-CONFIG"),
        ("{\"modules\": [\"modules/none.js\"]}", "KS-INT-CONFIG"),
        ("{\"modules\": \"x\"}", "KS-INT-CONFIG"),
        ("{\"brand\": 1, \"brand\": 2}", "KS-INT-CONFIG"),
        ("[]", "KS-INT-CONFIG"),
    ] {
        fs::create_dir_all(folder.path().join("site"))?;
        fs::write(folder.path().join("site/config.json"), config)?;
        let mut arguments = vec!["add-site", &*release, "--site", "site", "--deployment", DEPLOYMENT, "--serial", "7"];
        arguments.extend(["--expires", "60", "-o", "manifest.json"]);
        let output = manifest(folder.path(), &arguments).await?;
        assert!(said(&output).starts_with(code), "{config}: {}", said(&output));
    }
    Ok(())
}
