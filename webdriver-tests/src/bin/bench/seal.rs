//! Sealing a recovery message beside OpenPGP.js, in the same page, with the same certificate.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use keystead_testbed::{Gpg, KeyKind, KeySpec};
use keystead_webdriver_tests::BrowserKind;
use serde::Deserialize;
use serde_json::json;

use crate::figure::{Figure, Samples, Target};
use crate::{bare_browser, own_page};

const ADDRESS: &str = "ann@example.org";
/// Kinds of certificates and what sealing to them must be beside OpenPGP.js.
const KINDS: [(KeyKind, &str, Option<Target>); 3] = [
    (KeyKind::Ed25519, "Cv25519", Some(Target::TimesAsFast(3.0))),
    (KeyKind::Rsa3072, "RSA-3072", Some(Target::TimesAsFast(1.0))),
    (KeyKind::P256, "P-256", None),
];

/// What the page did.
#[derive(Deserialize)]
struct Sealing {
    /// The message.
    text: String,
    samples: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    who: String,
    /// In milliseconds.
    time: f64,
    /// The armored message.
    result: String,
}

pub(crate) async fn bench(gpg: &Gpg, kind: BrowserKind, bare: &Path, runs: usize) -> Result<Vec<Figure>> {
    let browser = bare_browser(kind, bare).await?;
    let mut figures = Vec::new();
    for (key, name, target) in KINDS {
        let fingerprint = gpg.generate(&KeySpec::new(&format!("Ann <{ADDRESS}>"), key)).await?;
        own_page::open(&browser, "seal.html").await?;
        let job = json!({ "certificate": gpg.export(&fingerprint).await?, "address": ADDRESS, "runs": runs });
        let sealed = own_page::call(&browser, "sealing", vec![job.to_string().into()]).await?;
        let sealed: Sealing = serde_json::from_str(sealed.as_str().context("the page answered nothing")?)?;
        for Sample { who, result, .. } in &sealed.samples {
            let opened = gpg.decrypt(result).await.with_context(|| format!("gpg cannot open what {who} sealed"))?;
            ensure!(opened == sealed.text.as_bytes(), "{who} sealed another text");
        }
        let samples = |rival: &str| -> Samples {
            sealed.samples.iter().filter(|sample| sample.who == rival).map(|sample| sample.time).collect()
        };
        figures.push(Figure {
            bench: "seal",
            figure: format!("sealing to {name}"),
            browser: Some(kind.name()),
            unit: "ms",
            value: samples("keystead"),
            against: Some(("OpenPGP.js", samples("openpgp"))),
            target,
        });
    }
    browser.quit().await?;
    Ok(figures)
}
