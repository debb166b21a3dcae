//! Makes `tests/vectors/gnupg` anew, of what is installed: `cargo run --example make-gnupg-vectors`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure ends it, and loses nothing")]

mod asked;

use std::{cell::RefCell, fs};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keystead_cli::{Driver, Http, NativeHost, now};
use keystead_core::{
    effect::{Answer, Effect, NativeCommand, NativeRequest, Run, Step},
    gnupg,
    ident::Fingerprint,
    secret::SecretText,
};
use keystead_testbed::{Gpg, KeyKind, KeySpec, Pinentry, gpgme_json};

use asked::{Asked, TEXT, folder};

/// As a header's line has it.
fn line_of(asked: &Asked) -> String {
    match asked {
        Asked::Decrypt(message) => format!("decrypt {}", serde_json::to_string(message).unwrap()),
        Asked::Sign(signer) => format!("sign {}", signer.as_str()),
        Asked::Has(fingerprint) => format!("has {}", fingerprint.as_str()),
        Asked::Versions => "versions".to_owned(),
    }
}

/// Records what the real host answers.
struct Recorder {
    driver: Driver,
    program: String,
}

impl Recorder {
    async fn new(gpg: &Gpg) -> Self {
        let mut driver = Driver::new(Http::new().unwrap());
        let host = NativeHost::new(gpgme_json().unwrap()).env("GNUPGHOME", gpg.home()).env("LC_ALL", "C.UTF-8");
        driver.native = Some(host);
        let versions = driver.run(|io| async move { gnupg::versions(&io).await }).await.unwrap();
        let program = format!("gpgme {}, GnuPG {}", versions.gpgme, versions.gnupg.unwrap());
        Self { driver, program }
    }

    /// Runs a flow with the real host, each of whose answers may be changed on the way.
    async fn record(&self, name: &str, about: &str, asked: Asked, change: impl Fn(&str, String) -> String) {
        let (line, answers) = (line_of(&asked), RefCell::new(Vec::new()));
        let mut run = Run::start(now(), |io| asked.ask(io));
        let result = loop {
            let effect = match run.step() {
                Step::Done(result) => break result,
                Step::Do(effect) => effect,
            };
            let what = effect.name();
            let answer = match self.driver.perform(effect).await {
                Answer::Native(Ok(text)) => {
                    let text = change(&what, text.expose("test").to_owned());
                    answers.borrow_mut().push(text.clone());
                    Answer::Native(Ok(SecretText::new(text)))
                }
                other => other,
            };
            run.answer(answer, now());
        };
        let header = format!("expect: {result}\nabout: {about}\nprogram: {}\nasked: {line}\n", self.program);
        let text = header + "\n" + &answers.into_inner().join("\n") + "\n";
        fs::write(folder().join(format!("{name}.txt")), text).unwrap();
    }

    async fn keep(&self, name: &str, about: &str, asked: Asked) {
        self.record(name, about, asked, |_, answer| answer).await;
    }

    /// What the host answers to a message of ours.
    async fn answer(&self, message: serde_json::Value) -> String {
        let request = NativeRequest { name: "test", message: message.to_string(), timeout_ms: 60_000 };
        match self.driver.perform(Effect::Native(NativeCommand::Exchange(request))).await {
            Answer::Native(Ok(text)) => text.expose("test").to_owned(),
            _ => panic!("no answer"),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    fs::create_dir_all(folder()).unwrap();
    let key = |name: &str| KeySpec::new(&format!("{name} <{name}@example.org>"), KeyKind::Ed25519);
    let gpg = Gpg::with_pinentry(&Pinentry::Types("correct".to_owned())).unwrap();
    let ann = gpg.generate(&key("ann").passphrase("correct")).await.unwrap();
    let message = gpg.encrypt(TEXT.as_bytes(), &[&ann]).await.unwrap();
    let decrypt = || Asked::Decrypt(message.clone());
    let fingerprint = || Fingerprint::parse(&ann).unwrap();
    let recorder = Recorder::new(&gpg).await;
    recorder.keep("decrypted", "the person types the right passphrase", decrypt()).await;
    recorder.keep("signed", "the person types the right passphrase", Asked::Sign(fingerprint())).await;
    recorder.keep("has", "the secret key is there", Asked::Has(fingerprint())).await;
    recorder.keep("versions", "what answers", Asked::Versions).await;

    let other_text = gpg.encrypt("Schlüssel".as_bytes(), &[&ann]).await.unwrap();
    recorder.keep("decrypted-utf8", "a text that is not ASCII", Asked::Decrypt(other_text)).await;
    let binary = gpg.encrypt(b"\xff\xfe\x00", &[&ann]).await.unwrap();
    recorder.keep("decrypted-binary", "what was encrypted is no text", Asked::Decrypt(binary)).await;

    let mut parts = vec![recorder.answer(serde_json::json!({ "op": "help", "chunksize": 262_144 })).await];
    let mut next = serde_json::json!({ "op": "decrypt", "data": message, "chunksize": 200 });
    loop {
        let part = recorder.answer(next).await;
        let more = part.contains(r#""more":true"#);
        parts.push(part);
        if !more {
            break;
        }
        next = serde_json::json!({ "op": "getmore", "chunksize": 200 });
    }
    let header = format!("expect: the text\nabout: a reply in many parts\nprogram: {}\n", recorder.program);
    let text = format!("{header}asked: {}\n\n{}\n", line_of(&decrypt()), parts.join("\n"));
    fs::write(folder().join("decrypted-in-parts.txt"), text).unwrap();

    for (name, about, from, to) in [
        ("no-integrity", "the message had no integrity protection", "nomdc\":false", "nomdc\":true"),
        ("no-recipient", "the message was encrypted to nobody", "\"recipients\":[{", "\"recipients\":[],\"was\":[{"),
        ("another-type", "the reply is of another kind", "\"type\":\"plaintext\"", "\"type\":\"plain\""),
        ("no-data", "the reply has no text", "\"data\":\"", "\"date\":\""),
    ] {
        let change =
            |what: &str, answer: String| if what == "native decrypt" { repacked(&answer, from, to) } else { answer };
        recorder.record(name, about, decrypt(), change).await;
    }

    for (name, about, pinentry) in [
        ("cancelled", "the person closes the window", Pinentry::Cancels),
        ("wrong-passphrase", "the person types a wrong passphrase", Pinentry::Types("wrong".to_owned())),
        ("pinentry-missing", "there is no window to type into", Pinentry::Missing),
    ] {
        gpg.set_pinentry(&pinentry).unwrap();
        recorder.keep(name, about, decrypt()).await;
        recorder.keep(&format!("sign-{name}"), about, Asked::Sign(fingerprint())).await;
    }
    gpg.lose_agent().unwrap();
    recorder.keep("agent-missing", "the agent is not there", decrypt()).await;
    recorder.keep("sign-agent-missing", "the agent is not there", Asked::Sign(fingerprint())).await;

    let nothing = Gpg::new().unwrap();
    let empty = Recorder::new(&nothing).await;
    empty.keep("no-secret-key", "an empty key ring", decrypt()).await;
    empty.keep("sign-no-secret-key", "an empty key ring", Asked::Sign(fingerprint())).await;
    empty.keep("has-not", "an empty key ring", Asked::Has(fingerprint())).await;

    let other = Gpg::new().unwrap();
    let bob = other.generate(&key("bob")).await.unwrap();
    let recorder = Recorder::new(&other).await;
    recorder.keep("wrong-key", "a message to another key", decrypt()).await;
    recorder.keep("sign-wrong-key", "the signature of another key is wanted", Asked::Sign(fingerprint())).await;
    let damaged = other.encrypt(TEXT.as_bytes(), &[&bob]).await.unwrap();
    let lines: Vec<_> = damaged.lines().filter(|line| !line.starts_with('=')).collect();
    let cut = lines[..lines.len() - 2].join("\n");
    recorder.keep("damaged", "the end of the message is missing", Asked::Decrypt(cut)).await;
    let old = other.generate(&key("old").made_at("20250101T120000").expires("10d")).await.unwrap();
    let old = Asked::Sign(Fingerprint::parse(&old).unwrap());
    recorder.keep("sign-expired", "the key has expired", old).await;

    // As gpgme-json does where the key that it should sign with is gone since it was listed.
    let signed = Asked::Sign(Fingerprint::parse(&bob).unwrap());
    let carol = other.generate(&key("carol")).await.unwrap();
    let by_carol =
        serde_json::json!({ "op": "sign", "armor": true, "keys": [carol], "data": TEXT, "chunksize": 262_144 });
    let by_carol = recorder.answer(by_carol).await;
    let change = |what: &str, answer: String| if what == "native sign" { by_carol.clone() } else { answer };
    recorder.record("signed-by-another", "another key of the key ring has signed", signed, change).await;
}

/// A reply in one part with something in it replaced.
fn repacked(answer: &str, from: &str, to: &str) -> String {
    let part: serde_json::Value = serde_json::from_str(answer).unwrap();
    let reply = String::from_utf8(STANDARD.decode(part["response"].as_str().unwrap()).unwrap()).unwrap();
    assert!(reply.contains(from), "{reply}");
    let response = STANDARD.encode(reply.replace(from, to));
    serde_json::json!({ "base64": true, "more": false, "response": response }).to_string()
}
