//! The real gpgme-json, with real key rings, agents and PIN windows; stand-ins only for hosts that misbehave.
#![allow(clippy::unwrap_used, clippy::panic, reason = "functions shared by tests are test code too")]

use std::{
    cell::RefCell,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use keystead_cli::{Driver, Http, NativeHost, now};
use keystead_core::{
    effect::{Answer, Effect, Io, NativeCommand, NativeError, NativeRequest, Run, Step},
    error::{Code, Coded as _},
    gnupg::{self, GnupgError},
    ident::{Fingerprint, KeyId, UserId},
    identity::derive_public,
    openpgp::{AcceptanceRule, Certificate, seal, verify_detached},
    recovery::{RecoveryKey, sealed::SealedNames},
    secret::{SecretBytes, SecretText},
};
use keystead_testbed::{Gpg, KeyKind, KeySpec, Pinentry, gpgme_json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

const ANN: &str = "Ann Lee <ann@example.org>";
const BOB: &str = "Bob <bob@example.org>";
const PIN: &str = "correct horse";

fn host(program: impl AsRef<Path>) -> Driver {
    let mut driver = Driver::new(Http::new().unwrap());
    driver.native = Some(NativeHost::new(program.as_ref()));
    driver
}

/// The real host on a key ring.
fn gnupg_of(gpg: &Gpg) -> Driver {
    let mut driver = Driver::new(Http::new().unwrap());
    let host = NativeHost::new(gpgme_json().unwrap()).env("GNUPGHOME", gpg.home()).env("LC_ALL", "C.UTF-8");
    driver.native = Some(host);
    driver
}

/// A host that is a shell script.
struct Script(TempDir);

impl Script {
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.sh");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        Self(folder)
    }

    fn driver(&self) -> Driver {
        host(self.0.path().join("host.sh"))
    }
}

async fn decrypt(driver: &Driver, message: &str) -> Result<String, GnupgError> {
    let opened = driver.run(|io| async move { gnupg::decrypt(&io, message).await }).await;
    opened.map(|text| text.expose("test").to_owned())
}

async fn sign(driver: &Driver, text: &str, signer: &str) -> Result<String, GnupgError> {
    let signer = Fingerprint::parse(signer).unwrap();
    driver.run(|io| async move { gnupg::sign(&io, text, &signer).await }).await
}

fn code<T: std::fmt::Debug>(result: Result<T, GnupgError>) -> Code {
    result.unwrap_err().code()
}

/// Ann's key ring with her locked key, and a message to her.
async fn locked(pinentry: Pinentry) -> (Gpg, String, String) {
    let gpg = Gpg::with_pinentry(&pinentry).unwrap();
    let ann = gpg.generate(&KeySpec::new(ANN, KeyKind::Ed25519).passphrase(PIN)).await.unwrap();
    let message = gpg.encrypt(b"for Ann", &[&ann]).await.unwrap();
    (gpg, ann, message)
}

async fn certificate(gpg: &Gpg, fingerprint: &str) -> Certificate {
    Certificate::parse_all(gpg.export(fingerprint).await.unwrap().as_bytes()).unwrap().remove(0)
}

#[tokio::test]
async fn a_sealed_recovery_opens_with_each_kind_of_key() {
    let names = SealedNames {
        user_id: UserId::parse("@ann:example.org").unwrap(),
        key_id: KeyId::parse("abc").unwrap(),
        master_key: derive_public(&SecretBytes::new([7; 32])),
        pins: None,
    };
    let key = RecoveryKey::make_random().unwrap();
    for kind in [KeyKind::Ed25519, KeyKind::Rsa3072, KeyKind::P256] {
        let gpg = Gpg::new().unwrap();
        let ann = gpg.generate(&KeySpec::new(ANN, kind)).await.unwrap();
        let certificate = certificate(&gpg, &ann).await;
        let rule = AcceptanceRule { fingerprint: Some(certificate.fingerprint()), ..AcceptanceRule::default() };
        let sealed = seal(&names.to_text(&key), &[rule.accept(&certificate, now()).unwrap()]).unwrap();
        let opened = decrypt(&gnupg_of(&gpg), &sealed).await.unwrap();
        let (read, opened) = SealedNames::parse(&SecretText::new(opened)).unwrap();
        assert_eq!(read, names, "{kind:?}");
        assert_eq!(opened.to_base58().expose("test"), key.to_base58().expose("test"), "{kind:?}");
    }
}

#[tokio::test]
async fn texts_arrive_as_they_were_sealed() {
    let gpg = Gpg::new().unwrap();
    let ann = gpg.generate(&KeySpec::new(ANN, KeyKind::Ed25519)).await.unwrap();
    let driver = gnupg_of(&gpg);
    let large = "0123456789\n".repeat(300_000);
    for text in ["", "plain", "a \"quoted\" \\ text\r\n\ttab", "Schlüssel 🔑\n", large.as_str()] {
        let message = gpg.encrypt(text.as_bytes(), &[&ann]).await.unwrap();
        assert!(decrypt(&driver, &message).await.unwrap() == text, "{} bytes", text.len());
    }
    let binary = gpg.encrypt(b"\xff\xfe", &[&ann]).await.unwrap();
    assert_eq!(code(decrypt(&driver, &binary).await), Code::GpgMessage);
}

#[tokio::test]
async fn a_reply_that_no_recovery_can_be_is_not_read_to_its_end() {
    let gpg = Gpg::new().unwrap();
    let ann = gpg.generate(&KeySpec::new(ANN, KeyKind::Ed25519)).await.unwrap();
    let message = gpg.encrypt(&vec![b'x'; 5_000_000], &[&ann]).await.unwrap();
    assert!(message.len() < 100_000, "it packs well");
    let driver = gnupg_of(&gpg);
    assert_eq!(code(decrypt(&driver, &message).await), Code::GpgTooLarge);
    let small = gpg.encrypt(b"small", &[&ann]).await.unwrap();
    assert_eq!(decrypt(&driver, &small).await.unwrap(), "small", "what was left of the large one is gone");
}

#[tokio::test]
async fn the_window_for_the_pin_decides() {
    let (gpg, ann, message) = locked(Pinentry::Types(PIN.to_owned())).await;
    let driver = gnupg_of(&gpg);
    assert_eq!(decrypt(&driver, &message).await.unwrap(), "for Ann");
    assert!(sign(&driver, "text", &ann).await.is_ok());
    for (pinentry, expected) in [
        (Pinentry::Cancels, Code::GpgCancelled),
        (Pinentry::Types("wrong".to_owned()), Code::GpgPin),
        (Pinentry::Runs("exit 1".to_owned()), Code::GpgAgent),
        (Pinentry::Missing, Code::GpgAgent),
    ] {
        gpg.set_pinentry(&pinentry).unwrap();
        assert_eq!(code(decrypt(&driver, &message).await), expected, "{pinentry:?}");
        assert_eq!(code(sign(&driver, "text", &ann).await), expected, "{pinentry:?}");
    }
}

#[tokio::test]
async fn another_s_message_no_key_and_no_agent_are_told_apart() {
    let (gpg, ann, message) = locked(Pinentry::Types(PIN.to_owned())).await;
    let has = async |gpg: &Gpg| {
        let ann = Fingerprint::parse(&ann).unwrap();
        gnupg_of(gpg).run(|io| async move { gnupg::has_secret_key(&io, &ann).await }).await.unwrap()
    };
    let public = gpg.export(&ann).await.unwrap();
    assert!(has(&gpg).await);

    let other = Gpg::new().unwrap();
    other.generate(&KeySpec::new(BOB, KeyKind::Ed25519)).await.unwrap();
    other.import(&public).await.unwrap();
    assert_eq!(code(decrypt(&gnupg_of(&other), &message).await), Code::GpgWrongKey);
    // Left to itself, gpgme-json would sign with Bob's.
    assert_eq!(code(sign(&gnupg_of(&other), "text", &ann).await), Code::GpgWrongKey);
    assert!(!has(&other).await);

    let nothing = Gpg::new().unwrap();
    for certificates in ["", public.as_str()] {
        if !certificates.is_empty() {
            nothing.import(certificates).await.unwrap();
        }
        assert_eq!(code(decrypt(&gnupg_of(&nothing), &message).await), Code::GpgNoSecretKey);
        assert_eq!(code(sign(&gnupg_of(&nothing), "text", &ann).await), Code::GpgNoSecretKey);
        assert!(!has(&nothing).await);
    }

    gpg.lose_agent().unwrap();
    assert_eq!(code(decrypt(&gnupg_of(&gpg), &message).await), Code::GpgAgent);
    assert_eq!(code(sign(&gnupg_of(&gpg), "text", &ann).await), Code::GpgAgent);
}

#[tokio::test]
async fn signatures_are_of_the_key_that_was_asked_for_and_fit_the_text() {
    let gpg = Gpg::new().unwrap();
    gpg.generate(&KeySpec::new(BOB, KeyKind::Ed25519)).await.unwrap();
    let driver = gnupg_of(&gpg);
    for kind in [KeyKind::Ed25519, KeyKind::Rsa3072, KeyKind::P256] {
        let ann = gpg.generate(&KeySpec::new(ANN, kind)).await.unwrap();
        let signers = [certificate(&gpg, &ann).await];
        for text in ["user: @ann:example.org\nkey id: ü\r\n", ""] {
            let signature = sign(&driver, text, &ann).await.unwrap();
            let signer = verify_detached(text.as_bytes(), &signature, &signers, now()).unwrap();
            assert_eq!(signer.as_str(), ann, "{kind:?}");
            assert!(verify_detached(b"other", &signature, &signers, now()).is_err());
        }
    }
    // A subkey that signs in its stead.
    let ann = gpg.generate(&KeySpec::new(ANN, KeyKind::Ed25519)).await.unwrap();
    gpg.run(&["--quick-add-key", &ann, "ed25519", "sign", "never"], b"").await.unwrap();
    let signature = sign(&driver, "text", &ann).await.unwrap();
    let signers = [certificate(&gpg, &ann).await];
    assert_eq!(verify_detached(b"text", &signature, &signers, now()).unwrap().as_str(), ann);
}

#[tokio::test]
async fn a_key_that_may_not_sign_any_more_is_not_asked() {
    let gpg = Gpg::new().unwrap();
    let old = KeySpec::new(ANN, KeyKind::Ed25519).made_at("20250101T120000").expires("10d");
    let old = gpg.generate(&old).await.unwrap();
    assert_eq!(code(sign(&gnupg_of(&gpg), "text", &old).await), Code::GpgUnusableKey);
    let revoked = gpg.generate(&KeySpec::new(ANN, KeyKind::Ed25519)).await.unwrap();
    gpg.import(&gpg.revoked(&revoked).await.unwrap()).await.unwrap();
    assert_eq!(code(sign(&gnupg_of(&gpg), "text", &revoked).await), Code::GpgUnusableKey);
}

#[tokio::test]
async fn damaged_messages_do_not_say_why() {
    let gpg = Gpg::new().unwrap();
    let ann = gpg.generate(&KeySpec::new(ANN, KeyKind::Ed25519)).await.unwrap();
    // Nothing that packs well: what is damaged lies in the text itself, and not in what says which kind of packet follows.
    let text: Vec<u8> = (0..10_u8).flat_map(|part| Sha256::digest([part; 9])).take(300).collect();
    let message = gpg.encrypt(&text, &[&ann]).await.unwrap();
    let lines: Vec<&str> = message.lines().filter(|line| !line.starts_with('=')).collect();
    let altered = |at: usize| {
        let mut lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        let other = if lines[at].as_bytes()[10] == b'A' { "B" } else { "A" };
        lines[at].replace_range(10..11, other);
        lines.join("\n")
    };
    for (what, message) in [
        ("session key", altered(3)),
        ("text", altered(lines.len() - 3)),
        ("end", lines[..lines.len() - 2].join("\n")),
        ("twice", message.repeat(2)),
    ] {
        assert_eq!(code(decrypt(&gnupg_of(&gpg), &message).await), Code::GpgMessage, "{what}");
    }
}

#[tokio::test]
async fn what_is_not_encrypted_to_a_certificate_reaches_nobody() {
    let gpg = Gpg::new().unwrap();
    let ann = gpg.generate(&KeySpec::new(ANN, KeyKind::Ed25519)).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let passphrase = ["--armor", "--passphrase", "the server's", "--symmetric"];
    let both = ["--armor", "--passphrase", "the server's", "--symmetric", "--encrypt", "--recipient", &ann];
    let signed = ["--armor", "--sign", "--local-user", &ann];
    // Nobody runs there: whatever is sent ends with another error.
    let nobody = host("/nonexistent/gpgme-json");
    for message in [
        text(gpg.run(&passphrase, b"text").await.unwrap()),
        text(gpg.run(&both, b"text").await.unwrap()),
        text(gpg.run(&signed, b"text").await.unwrap()),
        gpg.export(&ann).await.unwrap(),
        "hello".to_owned(),
        String::new(),
        "-----BEGIN PGP MESSAGE-----\n".repeat(20_000),
    ] {
        assert_eq!(code(decrypt(&nobody, &message).await), Code::GpgMessage);
    }
    let message = gpg.encrypt(b"text", &[&ann]).await.unwrap();
    assert_eq!(code(decrypt(&nobody, &message).await), Code::GpgNoHost);
    assert_eq!(code(decrypt(&Driver::new(Http::new().unwrap()), &message).await), Code::GpgNoHost);
}

#[tokio::test]
async fn a_host_that_is_killed_while_it_asks_for_the_pin_has_died_and_the_next_one_works() {
    let folder = tempfile::tempdir().unwrap();
    let id = folder.path().join("id");
    let (gpg, _, message) = locked(Pinentry::Runs(format!("kill -KILL $(cat {})", id.display()))).await;
    // Its process id is the script's: `exec` keeps it.
    let program = gpgme_json().unwrap();
    let script = Script::new(&format!(
        "echo $$ > {}; export GNUPGHOME={}; exec {}",
        id.display(),
        gpg.home().display(),
        program.display()
    ));
    let driver = script.driver();
    assert_eq!(code(decrypt(&driver, &message).await), Code::GpgDied);
    gpg.set_pinentry(&Pinentry::Types(PIN.to_owned())).unwrap();
    assert_eq!(decrypt(&driver, &message).await.unwrap(), "for Ann");
    // ... and has ended, with what it decrypted.
    let id = fs::read_to_string(&id).unwrap();
    assert!(!Path::new("/proc").join(id.trim()).exists(), "the host runs on");
}

/// A part of a reply, framed; lengths up to 127.
fn framed(message: &str) -> String {
    assert!(message.len() < 128 && !message.contains('\''));
    format!("printf '\\{:03o}\\000\\000\\000%s' '{message}'", message.len())
}

#[tokio::test]
async fn hosts_that_misbehave_each_have_their_code() {
    let gpg = Gpg::new().unwrap();
    let ann = gpg.generate(&KeySpec::new(ANN, KeyKind::Ed25519)).await.unwrap();
    let message = gpg.encrypt(b"text", &[&ann]).await.unwrap();
    let wait = "cat > /dev/null";
    let endless = |part: &str| format!("while {}; do :; done", framed(part));
    let rows = [
        ("ends at once", "exit 1".to_owned(), Code::GpgDied),
        ("half a length", format!("printf '\\001\\000'; {wait} & exit"), Code::GpgDied),
        ("half a message", "printf '\\144\\000\\000\\000{\"response\"'".to_owned(), Code::GpgDied),
        ("oversize length", format!("printf '\\000\\000\\000\\177'; {wait}"), Code::GpgTooLarge),
        ("no UTF-8", format!("printf '\\002\\000\\000\\000\\377\\376'; {wait}"), Code::GpgDied),
        ("a log line", format!("echo starting; {wait}"), Code::GpgTooLarge),
        ("no JSON", format!("{}; {wait}", framed("hello")), Code::GpgAnswer),
        ("no object", format!("{}; {wait}", framed("[1]")), Code::GpgAnswer),
        ("nothing", format!("{}; {wait}", framed("")), Code::GpgAnswer),
        ("no part", format!("{}; {wait}", framed("{}")), Code::GpgAnswer),
        ("not packed", format!("{}; {wait}", framed(r#"{"response":"e30="}"#)), Code::GpgAnswer),
        ("no Base64", format!("{}; {wait}", framed(r#"{"base64":true,"response":"!"}"#)), Code::GpgAnswer),
        ("no reply", format!("{}; {wait}", framed(r#"{"base64":true,"response":"e30="}"#)), Code::GpgAnswer),
        ("error without number", format!("{}; {wait}", framed(r#"{"type":"error","msg":"?"}"#)), Code::GpgAnswer),
        ("another error", format!("{}; {wait}", framed(r#"{"type":"error","code":117440513}"#)), Code::GpgFailed),
        ("more of nothing", endless(r#"{"base64":true,"more":true,"response":""}"#), Code::GpgAnswer),
        ("always more", endless(r#"{"base64":true,"more":true,"response":"IA=="}"#), Code::GpgTooLarge),
    ];
    for (what, script, expected) in rows {
        let script = Script::new(&script);
        assert_eq!(code(decrypt(&script.driver(), &message).await), expected, "{what}");
    }
}

#[tokio::test]
async fn a_host_that_does_not_answer_in_time_is_ended_and_not_heard_any_more() {
    // Answers messages of two bytes and no others; what is sent after silence goes to a new one.
    let first_byte = "$(head -c 1 | od -An -tu1 | tr -d ' ')";
    let script = Script::new(&format!("[ {first_byte} = 2 ] && {}; cat > /dev/null", framed("{}")));
    let driver = script.driver();
    let exchange = async |message: &str, timeout_ms| {
        let request = NativeRequest { name: "test", message: message.to_owned(), timeout_ms };
        match driver.perform(Effect::Native(NativeCommand::Exchange(request))).await {
            Answer::Native(answer) => answer.map(|text| text.expose("test").to_owned()),
            _ => panic!("another answer"),
        }
    };
    assert_eq!(exchange("{ }", 300).await, Err(NativeError::Timeout));
    assert_eq!(exchange("{}", 30_000).await, Ok("{}".to_owned()));
    assert!(matches!(driver.perform(Effect::Native(NativeCommand::Close)).await, Answer::Done));
    assert!(matches!(driver.perform(Effect::Native(NativeCommand::Close)).await, Answer::Done));
}

#[tokio::test]
async fn the_host_is_closed_whatever_came_of_it() {
    async fn names<T, F: Future<Output = T>>(driver: &Driver, flow: impl FnOnce(Io) -> F) -> Vec<String> {
        let names = RefCell::new(Vec::new());
        let mut run = Run::start(now(), flow);
        while let Step::Do(effect) = run.step() {
            names.borrow_mut().push(effect.name());
            run.answer(driver.perform(effect).await, now());
        }
        names.into_inner()
    }
    let (gpg, ann, message) = locked(Pinentry::Types(PIN.to_owned())).await;
    let ann = Fingerprint::parse(&ann).unwrap();
    let (ann, message) = (&ann, message.as_str());
    let driver = gnupg_of(&gpg);
    let decrypt = |io: Io| async move { gnupg::decrypt(&io, message).await.is_ok() };
    let sign = |io: Io| async move { gnupg::sign(&io, "text", ann).await.is_ok() };
    assert_eq!(names(&driver, decrypt).await, ["native hello", "native decrypt", "native close"]);
    assert_eq!(names(&driver, sign).await, ["native hello", "native key", "native sign", "native close"]);
    let versions = |io: Io| async move { gnupg::versions(&io).await.unwrap() };
    assert_eq!(names(&driver, versions).await, ["native hello", "native version", "native close"]);

    let nothing = Gpg::new().unwrap();
    let driver = gnupg_of(&nothing);
    let steps = ["native hello", "native decrypt", "native keys", "native agent", "native close"];
    assert_eq!(names(&driver, decrypt).await, steps);
    let steps = ["native hello", "native key", "native keys", "native agent", "native close"];
    assert_eq!(names(&driver, sign).await, steps);
    assert_eq!(names(&host("/nonexistent"), decrypt).await, ["native hello", "native close"]);
}

#[tokio::test]
async fn the_host_says_which_versions_it_has() {
    let versions = gnupg_of(&Gpg::new().unwrap()).run(|io| async move { gnupg::versions(&io).await }).await.unwrap();
    let numbers = |text: &str| text.split('.').filter(|part| part.parse::<u32>().is_ok()).count();
    assert!(numbers(&versions.gpgme) >= 2, "{versions:?}");
    assert!(numbers(&versions.gnupg.unwrap()) == 3);
}
