//! The real key server and the real Web Key Directory tool.

#![allow(clippy::panic, clippy::unwrap_used, reason = "functions shared by tests are test code too")]

use std::{fs, process::Command};

use keystead_core::{
    directory::{DirectoryConfig, Wanted, choose, hkp, lookup, wkd},
    effect::{Answer, Effect, HttpRequest, HttpResponse, Run, Step, Target, TransportError},
    error::Code,
    ident::EmailAddress,
    openpgp::AcceptanceRule,
    time::UnixMillis,
};
use keystead_testbed::{Gpg, KeyKind, KeySpec, Sks};
use url::Url;

/// 2027-01-15T08:00:00Z; the keys are made well before.
const AT: UnixMillis = UnixMillis(1_800_000_000_000);
const MADE: &str = "20260601T000000";

async fn perform(request: &HttpRequest) -> Result<HttpResponse, TransportError> {
    let Target::Url(url) = &request.target else { panic!("a key server gets no token") };
    // `sks` closes each connection; one that is used again would fail.
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    let answer = client.get(url.clone()).send().await.map_err(|_| TransportError::Unreachable)?;
    let status = answer.status().as_u16();
    let body = answer.bytes().await.map_err(|_| TransportError::Unreachable)?.to_vec();
    Ok(HttpResponse { status, content_type: String::new(), retry_after_ms: None, body })
}

async fn found(sks: &Sks, address: &EmailAddress) -> Result<String, Code> {
    let config = DirectoryConfig { hkp: vec![Url::parse(sks.url()).unwrap()], wkd: false };
    let mut run = Run::start(AT, |io| async move { lookup(&io, &config, &Wanted::of(address), vec![]).await });
    let looked = loop {
        match run.step() {
            Step::Done(looked) => break looked,
            Step::Do(Effect::Http(requests)) => {
                let mut answers = Vec::new();
                for request in &requests {
                    answers.push(perform(request).await);
                }
                run.answer(Answer::Http(answers), AT);
            }
            Step::Do(effect) => panic!("a lookup has no effect {}", effect.name()),
        }
    };
    assert!(looked.problems.is_empty(), "{:?}", looked.problems);
    let rule = AcceptanceRule { address: Some(address.clone()), ..AcceptanceRule::default() };
    choose(&looked, &rule, AT).map(|accepted| accepted.fingerprint().as_str().to_owned())
}

#[tokio::test]
async fn a_real_key_server_gives_each_kind_of_certificate_or_the_reason_why_not() {
    let (sks, gpg) = tokio::join!(Sks::start(), async { Gpg::new() });
    let (sks, gpg) = (sks.unwrap(), gpg.unwrap());
    let spec = |name: &str, kind| KeySpec::new(&format!("{name} <{name}@example.org>"), kind).made_at(MADE);
    let keys = [
        (spec("ann", KeyKind::Ed25519), "accepted"),
        (spec("rsa", KeyKind::Rsa3072), "accepted"),
        (spec("nist", KeyKind::P256), "accepted"),
        (spec("weak", KeyKind::Rsa1024), "KS-DIR-WEAK"),
        (spec("old", KeyKind::Rsa3072).sha1_signatures(), "KS-DIR-WEAK"),
        (spec("mute", KeyKind::Ed25519).sign_only(), "KS-DIR-NO-ENCRYPTION"),
        (spec("gone", KeyKind::Ed25519).expires("2027-01-10"), "KS-DIR-EXPIRED"),
    ];
    for (spec, expect) in &keys {
        let fingerprint = gpg.generate(spec).await.unwrap();
        let armored = gpg.export(&fingerprint).await.unwrap();
        sks.add_key(&armored).await.unwrap();
        let listed = gpg.run(&["--with-colons", "--list-keys", &fingerprint], b"").await.unwrap();
        let listed = String::from_utf8(listed).unwrap();
        let address = listed.split(['<', '>']).nth(1).unwrap();
        let address = EmailAddress::parse(address).unwrap();
        let outcome = found(&sks, &address).await;
        let word = outcome.as_ref().map_or_else(|code| code.as_str(), |_| "accepted");
        assert_eq!(word, *expect, "{}", address.as_str());
        if let Ok(chosen) = outcome {
            assert_eq!(chosen, fingerprint);
        }
    }

    let nobody = EmailAddress::parse("nobody@example.org").unwrap();
    assert_eq!(found(&sks, &nobody).await, Err(Code::DirNone));

    let ann = EmailAddress::parse("ann@example.org").unwrap();
    let request = hkp::index(&Url::parse(sks.url()).unwrap(), &ann);
    let entries = hkp::read_index(perform(&request).await).unwrap();
    assert_eq!(entries[0].user_ids, ["ann <ann@example.org>"]);
    sks.add_key(&gpg.revoked(entries[0].fingerprint.as_str()).await.unwrap()).await.unwrap();
    assert_eq!(found(&sks, &ann).await, Err(Code::DirRevoked));

    let twin = gpg.generate(&spec("rsa", KeyKind::Ed25519)).await.unwrap();
    sks.add_key(&gpg.export(&twin).await.unwrap()).await.unwrap();
    let rsa = EmailAddress::parse("rsa@example.org").unwrap();
    assert_eq!(found(&sks, &rsa).await, Err(Code::DirAmbiguous));
}

/// The tool that publishes certificates, wherever the distribution puts it.
fn wks_client() -> Command {
    let known = ["/usr/lib/gnupg/gpg-wks-client", "/usr/libexec/gpg-wks-client", "/usr/bin/gpg-wks-client"];
    Command::new(known.into_iter().find(|path| fs::exists(path).unwrap()).unwrap_or("gpg-wks-client"))
}

#[test]
fn wkd_urls_are_those_of_gnupg() {
    let addresses =
        ["Joe.Doe@Example.ORG", "ann@example.org", "a+b=c&d@mail.example.org", "ann_lee-1@xn--mnchen-3ya.de"];
    for text in addresses {
        let output = wks_client().args(["--print-wkd-url", text]).output().unwrap();
        let address = EmailAddress::parse(text).unwrap();
        let Target::Url(ours) = wkd::advanced(&address).unwrap().target else { panic!("a URL") };
        let theirs = String::from_utf8(output.stdout).unwrap();
        // GnuPG of some versions writes the domain as it was typed.
        let theirs = Url::parse(theirs.trim().replace("Example.ORG", "example.org").as_str()).unwrap();
        assert_eq!((ours.host_str(), ours.path()), (theirs.host_str(), theirs.path()), "{text}");
        // `l` is not compared: GnuPG lower-cases it, the draft wants the local part as it was given.
        let local = ours.query_pairs().next().unwrap().1.into_owned();
        assert_eq!(local, address.local());
    }
}
