//! `keystead directory check` against a real key server with keys that real GnuPG made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "functions shared by tests are test code too"
)]

use std::{fs, path::Path, process::Output};

use anyhow::{Context as _, Result};
use keystead_testbed::{Action, Answer, Gpg, KeyKind, KeySpec, Proxy, Rule, Sks};
use tempfile::TempDir;
use tokio::process::Command;

async fn keystead(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keystead"));
    Ok(command.args(arguments).current_dir(folder).output().await?)
}

/// The answer's lines, those of errors too.
fn lines(output: &Output) -> Vec<String> {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
}

struct Company {
    folder: TempDir,
    gpg: Gpg,
    sks: Sks,
    certifier: String,
    rows: Vec<String>,
}

impl Company {
    async fn new() -> Result<Self> {
        let (gpg, sks, folder) = (Gpg::new()?, Sks::start().await?, tempfile::tempdir()?);
        let certifier = gpg.generate(&KeySpec::new("IT <it@example.org>", KeyKind::Ed25519).sign_only()).await?;
        fs::write(folder.path().join("certifier.asc"), gpg.export(&certifier).await?)?;
        Ok(Self { folder, gpg, sks, certifier, rows: vec!["matrix_id,email,fingerprint".into()] })
    }

    fn list(&mut self, name: &str, fingerprint: &str) {
        self.rows.push(format!("@{name}:example.org,{name}@example.org,{fingerprint}"));
    }

    fn spec(name: &str) -> KeySpec {
        KeySpec::new(&format!("{name} <{name}@example.org>"), KeyKind::Ed25519)
    }

    async fn publish(&self, spec: &KeySpec, certified: bool) -> Result<String> {
        let fingerprint = self.gpg.generate(spec).await?;
        if certified {
            self.gpg.certify(&self.certifier, &fingerprint).await?;
        }
        self.sks.add_key(&self.gpg.export(&fingerprint).await?).await?;
        Ok(fingerprint)
    }

    async fn check(&self, arguments: &[&str]) -> Result<Output> {
        fs::write(self.folder.path().join("staff.csv"), self.rows.join("\n"))?;
        keystead(self.folder.path(), &[&["directory", "check", "staff.csv"], arguments].concat()).await
    }
}

#[tokio::test]
async fn everybody_gets_a_line_with_the_reason() -> Result<()> {
    let mut company = Company::new().await?;
    let ann = company.publish(&Company::spec("ann"), true).await?;
    company.list("ann", "");
    company.list("bob", "");
    let cid = company.publish(&Company::spec("cid"), true).await?;
    company.sks.add_key(&company.gpg.revoked(&cid).await?).await?;
    company.list("cid", "");
    company.publish(&Company::spec("dan").made_at("20200101T000000").expires("2020-06-01"), false).await?;
    company.list("dan", "");
    company.publish(&Company::spec("eve").sign_only(), true).await?;
    company.list("eve", "");
    company.publish(&Company::spec("fay"), true).await?;
    company.list("fay", &ann);
    company.publish(&Company::spec("gus"), true).await?;
    let gus = company.publish(&Company::spec("gus"), true).await?;
    company.list("gus", "");
    company.publish(&Company::spec("hal"), false).await?;
    company.list("hal", "");

    let url = company.sks.url().to_owned();
    let output = company.check(&["--hkp", &url, "--certifier", "certifier.asc"]).await?;
    let found = lines(&output);
    let expected = [
        format!("@ann:example.org: OK {ann}"),
        "@bob:example.org: KS-DIR-NONE: ".into(),
        "@cid:example.org: KS-DIR-REVOKED: ".into(),
        "@dan:example.org: KS-DIR-EXPIRED: ".into(),
        "@eve:example.org: KS-DIR-NO-ENCRYPTION: ".into(),
        "@fay:example.org: KS-DIR-WRONG-ADDRESS: ".into(),
        "@gus:example.org: KS-DIR-AMBIGUOUS: ".into(),
        "@hal:example.org: KS-DIR-UNCERTIFIED: ".into(),
        "1 of 8 people are ready".into(),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (line, beginning) in found.iter().zip(&expected) {
        assert!(line.starts_with(beginning), "{line} instead of {beginning}");
    }
    assert_eq!(output.status.code(), Some(1));

    // A fingerprint says which of two is meant; without a certifier nobody needs a certification.
    company.rows.truncate(2);
    company.list("gus", &gus);
    company.list("hal", "");
    let output = company.check(&["--hkp", &url]).await?;
    assert_eq!(lines(&output)[3], "3 of 3 people are ready");
    assert_eq!(output.status.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn old_certifications_are_told_from_none() -> Result<()> {
    let mut company = Company::new().await?;
    let it = company.gpg.generate(&Company::spec("old-it").sign_only().made_at("20200101T000000")).await?;
    fs::write(company.folder.path().join("old.asc"), company.gpg.export(&it).await?)?;
    let ann = company.gpg.generate(&Company::spec("ann").made_at("20200101T000000")).await?;
    company.gpg.certify_at(&it, &ann, "20200201T000000").await?;
    company.sks.add_key(&company.gpg.export(&ann).await?).await?;
    company.list("ann", "");
    let url = company.sks.url().to_owned();
    for (age, expected) in [("100", "@ann:example.org: KS-DIR-CERTIFICATION-OLD"), ("36500", "@ann:example.org: OK ")] {
        let output = company.check(&["--hkp", &url, "--certifier", "old.asc", "--max-age", age]).await?;
        assert!(lines(&output)[0].starts_with(expected), "{:?}", lines(&output));
    }
    Ok(())
}

#[tokio::test]
async fn a_source_that_fails_is_named_and_hides_nobody() -> Result<()> {
    let mut company = Company::new().await?;
    let ann = company.publish(&Company::spec("ann"), false).await?;
    company.list("ann", "");
    company.list("bob", "");
    let broken = Proxy::start(company.sks.url())?;
    broken.add(Rule::on_any("/", Action::Answer(Answer::new(200, "text/html", "<html>Welcome</html>"))));
    let (good, broken) = (company.sks.url().to_owned(), broken.url());
    let output = company.check(&["--hkp", &broken, "--hkp", &good]).await?;
    let found = lines(&output);
    assert_eq!(found[0], format!("@ann:example.org: OK {ann}"));
    assert!(found[1].starts_with("@bob:example.org: KS-DIR-NOT-A-KEY: "), "{found:?}");
    let source = broken.trim_start_matches("http://");
    assert!(found[2].starts_with(&format!("{source}: KS-DIR-NOT-A-KEY for 2 people: ")), "{found:?}");
    assert_eq!(output.status.code(), Some(1));
    Ok(())
}

#[tokio::test]
async fn json_is_one_object_a_line() -> Result<()> {
    let mut company = Company::new().await?;
    let ann = company.publish(&Company::spec("ann"), false).await?;
    company.list("ann", "");
    company.list("bob", "");
    let url = company.sks.url().to_owned();
    let output = company.check(&["--hkp", &url, "--json"]).await?;
    let found: Vec<serde_json::Value> =
        lines(&output).iter().map(|line| serde_json::from_str(line).context("JSON")).collect::<Result<_>>()?;
    assert_eq!(found.len(), 2);
    assert_eq!((&found[0]["ok"], &found[0]["fingerprint"]), (&true.into(), &ann.into()));
    assert_eq!(found[0]["user_id"], "ann <ann@example.org>");
    assert_eq!((&found[1]["ok"], &found[1]["code"]), (&false.into(), &"KS-DIR-NONE".into()));
    assert!(found[1]["what_to_do"].as_str().is_some_and(|text| !text.is_empty()));
    Ok(())
}

#[tokio::test]
async fn sources_and_certifiers_can_come_from_the_policy() -> Result<()> {
    let mut company = Company::new().await?;
    company.publish(&Company::spec("ann"), true).await?;
    company.publish(&Company::spec("bob"), false).await?;
    company.list("ann", "");
    company.list("bob", "");
    let policy = serde_json::json!({
        "deployments": [{
            "origin": "https://chat.example.org",
            "homeserver": "https://matrix.example.org",
            "server_name": "example.org",
        }],
        "directory": {
            "hkp": [company.sks.url()],
            "certifiers": [company.gpg.export(&company.certifier).await?],
        },
    });
    fs::write(company.folder.path().join("policy.json"), policy.to_string())?;
    let found = lines(&company.check(&["--policy", "policy.json"]).await?);
    assert!(found[0].starts_with("@ann:example.org: OK "), "{found:?}");
    assert!(found[1].starts_with("@bob:example.org: KS-DIR-UNCERTIFIED: "), "{found:?}");
    Ok(())
}

/// A policy with a roster that a web host of ours serves, for these people.
async fn policy_with_roster(
    company: &Company,
    host: &Proxy,
    people: &[(&str, &str, &str)],
) -> Result<serde_json::Value> {
    let rows = people.iter().map(|(name, email, fingerprint)| format!("@{name}:example.org,{email},{fingerprint}"));
    let list: Vec<_> = std::iter::once("matrix_id,email,fingerprint".to_owned()).chain(rows).collect();
    let folder = company.folder.path();
    fs::write(folder.join("people.csv"), list.join("\n"))?;
    fs::write(folder.join("it.sec.asc"), company.gpg.export_secret(&company.certifier).await?)?;
    let build = ["roster", "build", "people.csv", "--deployment", "https://chat.example.org", "--serial", "1"];
    let build = keystead(folder, &[&build[..], &["--expires", "9", "-o", "roster.json"]].concat()).await?;
    anyhow::ensure!(build.status.success(), "{:?}", lines(&build));
    let sign = keystead(folder, &["roster", "sign", "roster.json", "--key", "it.sec.asc"]).await?;
    anyhow::ensure!(sign.status.success(), "{:?}", lines(&sign));
    for name in ["roster.json.asc", "roster.json"] {
        let text = fs::read_to_string(folder.join(name))?;
        host.add(Rule::on_any(&format!("/{name}"), Action::Answer(Answer::new(200, "text/plain", text))));
    }
    Ok(serde_json::json!({
        "deployments": [{
            "origin": "https://chat.example.org",
            "homeserver": "https://matrix.example.org",
            "server_name": "example.org",
        }],
        "roster": {
            "url": format!("{}/roster.json", host.url()),
            "signers": [company.gpg.export(&company.certifier).await?],
        },
        "directory": { "hkp": [company.sks.url()], "address_template": "{localpart}@example.org" },
    }))
}

#[tokio::test]
async fn a_policy_is_checked_as_the_extension_will_follow_it() -> Result<()> {
    let mut company = Company::new().await?;
    let host = Proxy::start(company.sks.url())?;
    let ann = company.publish(&Company::spec("ann"), false).await?;
    let bob = company.publish(&Company::spec("bob"), false).await?;
    company.publish(&Company::spec("cid"), false).await?;
    let escrow = company.publish(&Company::spec("escrow"), false).await?;
    let roster = [("ann", "ann@example.org", &*ann), ("bob", "robert@example.org", &*bob)];
    let mut policy = policy_with_roster(&company, &host, &roster).await?;
    policy["escrow"]["certificates"] = serde_json::json!([company.gpg.export(&escrow).await?]);
    fs::write(company.folder.path().join("policy.json"), policy.to_string())?;
    company.list("ann", &ann);
    company.list("bob", "");
    company.list("cid", "");
    company.list("dan", "");
    let output = company.check(&["--policy", "policy.json"]).await?;
    let expected = [
        format!("escrow {escrow}: OK"),
        format!("@ann:example.org: OK {ann}"),
        "@bob:example.org: KS-DIR-CONTRADICTION: ".into(),
        // Not in the roster: by the template, and nobody vouches for the certificate.
        "@cid:example.org: OK ".into(),
        "@dan:example.org: KS-DIR-NONE: ".into(),
        "2 of 4 people are ready".into(),
    ];
    let found = lines(&output);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (line, beginning) in found.iter().zip(&expected) {
        assert!(line.starts_with(beginning), "{line} instead of {beginning}");
    }
    assert_eq!(found[1], expected[1], "in the roster: silent for who types a name");
    assert!(found[3].ends_with(", asked once"), "{}", found[3]);

    // The list and the roster disagree on whose certificate it is; the escrow certificate was revoked meanwhile.
    company.rows.truncate(1);
    company.list("ann", &bob);
    company.sks.add_key(&company.gpg.revoked(&escrow).await?).await?;
    let output = company.check(&["--policy", "policy.json"]).await?;
    let found = lines(&output);
    assert!(found[0].starts_with(&format!("escrow {escrow}: KS-DIR-REVOKED: ")), "{found:?}");
    assert!(found[1].starts_with("@ann:example.org: KS-DIR-FINGERPRINT: "), "{found:?}");
    assert_eq!(output.status.code(), Some(1));

    let signature = fs::read_to_string(company.folder.path().join("roster.json.asc"))?;
    host.set_rules(
        [("/roster.json.asc", &*signature), ("/roster.json", "{}")]
            .map(|(path, text)| Rule::on_any(path, Action::Answer(Answer::new(200, "text/plain", text.to_owned())))),
    );
    let found = lines(&company.check(&["--policy", "policy.json"]).await?);
    assert!(found[0].starts_with("KS-SGN-SIGNATURE: "), "{found:?}");

    company.rows[1] = company.rows[1].replace(":example.org", ":example.com");
    let found = lines(&company.check(&["--policy", "policy.json"]).await?);
    assert_eq!(found[1].trim(), "line 2: matrix_id: not on example.org");
    Ok(())
}
