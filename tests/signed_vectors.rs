//! Signed documents that must be believed and that must be refused: `tests/vectors/signed`, one defect a file. A file is
//! a header, an empty line, the document's exact bytes, and the signature.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "functions shared by tests are test code too"
)]

use std::{fs, path::PathBuf};

use keystead_core::{
    error::Coded,
    ident::{Fingerprint, Origin, UserId},
    openpgp::{Certificate, SecretCertificate, sign_detached},
    signed::{MAX_BYTES, Person, Reader, Roster, SignedDocument, SignedError, Written},
    time::UnixMillis,
};

/// 2026-11-01, 2026-11-21 and 2027-01-01, all at 00:00 UTC.
const ISSUED: u64 = 1_793_491_200_000;
const NOW: u64 = 1_795_219_200_000;
const EXPIRES: u64 = 1_798_761_600_000;
const DAY: u64 = 86_400_000;
const DEPLOYMENT: &str = "https://chat.example.org";
const ARMOR: &str = "-----BEGIN PGP SIGNATURE-----";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/signed")
}

fn certificate(name: &str) -> Certificate {
    let armored = fs::read(folder().join(format!("keys/{name}.asc"))).unwrap();
    Certificate::parse_all(&armored).unwrap().remove(0)
}

fn sign(document: &[u8], name: &str, at: u64) -> String {
    let armored = fs::read(folder().join(format!("keys/{name}.sec.asc"))).unwrap();
    sign_detached(document, &SecretCertificate::parse(&armored, None).unwrap(), UnixMillis(at)).unwrap()
}

struct Vector {
    name: String,
    text: String,
}

impl Vector {
    fn read_all() -> Vec<Self> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "txt") {
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                found.push(Self { name, text: fs::read_to_string(path).unwrap() });
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    fn header(&self, key: &str) -> &str {
        let header = self.text.split_once("\n\n").unwrap().0;
        let mut lines = header.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(k, _)| *k == key).unwrap_or_else(|| panic!("{}: no {key}", self.name)).1
    }

    fn read(&self) -> Result<SignedDocument<Roster>, SignedError> {
        let rest = self.text.split_once("\n\n").unwrap().1;
        let (document, signature) = rest.split_at(rest.find(ARMOR).unwrap_or(rest.len()));
        let signers: Vec<_> = self.header("signers").split(", ").map(certificate).collect();
        let reader = Reader {
            signers: &signers,
            deployment: &Origin::parse(self.header("deployment")).unwrap(),
            newest_serial_seen: self.header("newest").parse().unwrap(),
            now: UnixMillis(self.header("at").parse().unwrap()),
        };
        reader.read(document.as_bytes(), signature)
    }
}

#[test]
fn every_vector_ends_as_its_header_says() {
    let vectors = Vector::read_all();
    assert!(vectors.len() >= 30, "{}", vectors.len());
    for vector in vectors {
        let found = match vector.read() {
            Ok(_) => "ok",
            Err(error) => error.code().as_str(),
        };
        assert_eq!(found, vector.header("expect"), "{}: {}", vector.name, vector.header("about"));
    }
}

#[test]
fn a_believed_document_says_who_signed_it_and_what_it_holds() {
    let vector = Vector::read_all().into_iter().find(|vector| vector.name == "good").unwrap();
    let document = vector.read().unwrap();
    assert_eq!(document.signature().signer(), &certificate("signer").fingerprint());
    assert_eq!((document.envelope.serial, document.body.people().len()), (7, 2));
    let ann = document.body.person(&UserId::parse("@ann:example.org").unwrap()).unwrap();
    assert_eq!(ann.email.as_str(), "ann@example.org");
    assert_eq!(ann.since, Some(UnixMillis(ISSUED)));
    assert!(document.body.person(&UserId::parse("@anna:example.org").unwrap()).is_none());
}

fn person(name: &str) -> Person {
    serde_json::from_value(serde_json::json!({
        "matrix_id": format!("@{name}:example.org"),
        "email": format!("{name}@example.org"),
        "fingerprint": "0123456789ABCDEF0123456789ABCDEF01234567",
    }))
    .unwrap()
}

fn write(roster: &Roster) -> Written {
    Written::make(Origin::parse(DEPLOYMENT).unwrap(), 7, UnixMillis(ISSUED), UnixMillis(EXPIRES), roster).unwrap()
}

#[test]
fn what_is_written_is_read_and_has_the_same_bytes_each_time() {
    let one = Roster::new(vec![person("bob"), person("ann"), person("cid")]).unwrap();
    let other = Roster::new(vec![person("cid"), person("bob"), person("ann")]).unwrap();
    let written = write(&one);
    assert_eq!(written, write(&other), "whatever order the people came in");
    let (signers, deployment) = ([certificate("signer")], Origin::parse(DEPLOYMENT).unwrap());
    let reader = Reader { signers: &signers, deployment: &deployment, newest_serial_seen: 7, now: UnixMillis(NOW) };
    let read: SignedDocument<Roster> = reader.read(&written.bytes, &sign(&written.bytes, "signer", NOW)).unwrap();
    assert_eq!(read.body, one);
    assert_eq!(write(&read.body), written);
}

#[test]
fn every_altered_byte_is_noticed() {
    let document = write(&Roster::new(vec![person("ann")]).unwrap()).bytes;
    let signature = sign(&document, "signer", NOW);
    let (signers, deployment) = ([certificate("signer")], Origin::parse(DEPLOYMENT).unwrap());
    let reader = Reader { signers: &signers, deployment: &deployment, newest_serial_seen: 0, now: UnixMillis(NOW) };
    for index in 0..document.len() {
        let mut altered = document.clone();
        altered[index] ^= 1;
        assert_eq!(reader.read::<Roster>(&altered, &signature).unwrap_err(), SignedError::Signature, "byte {index}");
    }
    assert!(reader.read::<Roster>(&document, &signature).is_ok());
}

#[test]
fn a_document_that_is_too_large_is_not_even_verified() {
    let (signers, deployment) = ([certificate("signer")], Origin::parse(DEPLOYMENT).unwrap());
    let reader = Reader { signers: &signers, deployment: &deployment, newest_serial_seen: 0, now: UnixMillis(NOW) };
    let large = vec![b' '; MAX_BYTES + 1];
    assert_eq!(reader.read::<Roster>(&large, "").unwrap_err(), SignedError::TooLarge);
}

#[test]
fn a_roster_of_every_employee_of_a_large_company_fits() {
    let people = (0..40_000).map(|number| person(&format!("employee.number.{number}"))).collect();
    let size = write(&Roster::new(people).unwrap()).bytes.len();
    assert!(size < MAX_BYTES, "{size}");
}

#[test]
fn a_document_that_cannot_be_is_not_written() {
    let roster = Roster::new(vec![person("ann")]).unwrap();
    let make = |serial, issued, expires| {
        let deployment = Origin::parse(DEPLOYMENT).unwrap();
        Written::make(deployment, serial, UnixMillis(issued), UnixMillis(expires), &roster).map(|_| ())
    };
    assert_eq!(make(0, ISSUED, EXPIRES), Err(SignedError::Format { field: "serial".into() }));
    assert_eq!(make(1 << 53, ISSUED, EXPIRES), Err(SignedError::Format { field: "serial".into() }));
    assert_eq!(make(1, ISSUED, ISSUED), Err(SignedError::Format { field: "expires".into() }));
    assert_eq!(make(1, ISSUED, EXPIRES), Ok(()));
}

/// Writes the vectors anew; `cargo test --test signed_vectors -- --ignored`.
#[test]
#[ignore = "writes tests/vectors/signed"]
fn generate() {
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            fs::remove_file(path).unwrap();
        }
    }
    for case in cases() {
        let document = case.document.as_bytes();
        let signature = match case.signature {
            Some(signature) => signature,
            None => sign(document, case.key, case.signed_at),
        };
        let served = case.served.as_ref().unwrap_or(&case.document);
        let text = format!(
            "expect: {}\nabout: {}\ndeployment: {}\nsigners: {}\nnewest: {}\nat: {}\n\n{served}{signature}",
            case.expect, case.about, case.deployment, case.signers, case.newest, case.at
        );
        fs::write(folder().join(format!("{}.txt", case.name)), text).unwrap();
    }
}

struct Case {
    name: &'static str,
    expect: &'static str,
    about: &'static str,
    /// What is signed.
    document: String,
    /// What is served, if it is something else.
    served: Option<String>,
    /// A signature to be served instead of one by `key`.
    signature: Option<String>,
    key: &'static str,
    signed_at: u64,
    signers: &'static str,
    deployment: &'static str,
    newest: u64,
    at: u64,
}

fn cases() -> Vec<Case> {
    let fingerprint = certificate("signer").fingerprint();
    let fingerprint = Fingerprint::as_str(&fingerprint);
    let key = "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik";
    let ann = format!(
        "{{\"matrix_id\":\"@ann:example.org\",\"email\":\"ann@example.org\",\"fingerprint\":\"{fingerprint}\",\"master_key\":\"{key}\",\"since\":{ISSUED}}}"
    );
    let bob = format!(
        "{{\"matrix_id\":\"@bob:example.org\",\"email\":\"bob@example.org\",\"fingerprint\":\"{fingerprint}\"}}"
    );
    let good = format!(
        "{{\n\"kind\": \"roster\",\n\"version\": 1,\n\"deployment\": \"{DEPLOYMENT}\",\n\"serial\": 7,\n\"issued\": {ISSUED},\n\"expires\": {EXPIRES},\n\"people\": [\n{ann},\n{bob}\n]\n}}\n"
    );
    let case = |name, expect, about| Case {
        name,
        expect,
        about,
        document: good.clone(),
        served: None,
        signature: None,
        key: "signer",
        signed_at: NOW - DAY,
        signers: "signer",
        deployment: DEPLOYMENT,
        newest: 0,
        at: NOW,
    };
    let replaced = |name, expect, about, from: &str, to: &str| {
        assert!(good.contains(from), "{name}");
        Case { document: good.replace(from, to), ..case(name, expect, about) }
    };
    let mut cases = vec![
        case("good", "ok", "nothing is wrong"),
        Case { newest: 7, ..case("good-seen-before", "ok", "the same document once more") },
        Case { signers: "stranger, signer", ..case("good-second-signer", "ok", "any signer will do") },
        Case {
            at: ISSUED - 60_000,
            signed_at: ISSUED,
            ..case("good-clock-behind", "ok", "the reader's clock is a minute behind")
        },
        replaced("good-nobody", "ok", "a roster of nobody", &format!("[\n{ann},\n{bob}\n]"), "[]"),
        Case {
            signers: "stranger",
            ..case("signer-not-named", "KS-SGN-SIGNER", "signed by somebody whom the policy does not name")
        },
        Case {
            key: "revoked",
            signers: "revoked",
            ..case("signer-revoked", "KS-SGN-SIGNER", "the signer's certificate was revoked since")
        },
        Case {
            key: "expired",
            signed_at: NOW - 200 * DAY,
            signers: "expired",
            ..case("signer-expired", "KS-SGN-SIGNER", "the signer's certificate expired since")
        },
        Case {
            served: Some(good.replace("ann@example.org", "eve@example.org")),
            ..case("altered", "KS-SGN-SIGNATURE", "another address after signing")
        },
        Case {
            served: Some(good.replace("\n", "\r\n")),
            ..case("altered-line-ends", "KS-SGN-SIGNATURE", "line ends changed on the way")
        },
        Case {
            signed_at: NOW + DAY,
            ..case("signed-tomorrow", "KS-SGN-SIGNATURE", "the signature is dated a day ahead")
        },
        Case { signature: Some(String::new()), ..case("signature-absent", "KS-SGN-FORMAT", "no signature") },
        Case {
            signature: Some("<html>Not found</html>\n".into()),
            ..case("signature-html", "KS-SGN-FORMAT", "a web page where the signature should be")
        },
        Case {
            deployment: "https://chat.example.com",
            ..case("deployment-other", "KS-SGN-DEPLOYMENT", "signed for another deployment")
        },
        Case {
            deployment: "https://chat.example.org:8443",
            ..case("deployment-port", "KS-SGN-DEPLOYMENT", "another port is another origin")
        },
        Case { newest: 8, ..case("serial-older", "KS-SGN-SERIAL", "a newer one was seen") },
        Case { at: EXPIRES, ..case("expired", "KS-SGN-EXPIRED", "it holds until, not at") },
        Case {
            at: ISSUED - 400_000,
            signed_at: ISSUED - 400_000,
            ..case("not-yet", "KS-SGN-NOT-YET", "issued in the future")
        },
    ];
    cases.extend([
        replaced("kind-other", "KS-SGN-KIND", "a true document of another kind", "\"roster\"", "\"release_manifest\""),
        replaced("kind-unknown", "KS-SGN-KIND", "a kind that there is not", "\"roster\"", "\"menu\""),
        replaced("kind-missing", "KS-SGN-KIND", "no kind", "\"kind\": \"roster\",\n", ""),
        replaced(
            "version-newer",
            "KS-SGN-FORMAT",
            "a version that this reader does not know",
            "\"version\": 1",
            "\"version\": 2",
        ),
        replaced("version-text", "KS-SGN-FORMAT", "a version that is a text", "\"version\": 1", "\"version\": \"1\""),
        replaced("serial-zero", "KS-SGN-FORMAT", "serial numbers begin at 1", "\"serial\": 7", "\"serial\": 0"),
        replaced(
            "serial-huge",
            "KS-SGN-FORMAT",
            "a number that not every reader keeps",
            "\"serial\": 7",
            "\"serial\": 9007199254740992",
        ),
        replaced("serial-negative", "KS-SGN-FORMAT", "a negative serial number", "\"serial\": 7", "\"serial\": -7"),
        replaced("serial-missing", "KS-SGN-FORMAT", "no serial number", "\"serial\": 7,\n", ""),
        replaced(
            "never-valid",
            "KS-SGN-FORMAT",
            "expires before it is issued",
            &format!("\"expires\": {EXPIRES}"),
            &format!("\"expires\": {ISSUED}"),
        ),
        replaced(
            "key-twice",
            "KS-SGN-FORMAT",
            "two serial numbers: which one counts?",
            "\"serial\": 7,\n",
            "\"serial\": 9,\n\"serial\": 7,\n",
        ),
        replaced(
            "key-twice-escaped",
            "KS-SGN-FORMAT",
            "the same key, written in another way",
            "\"serial\": 7,\n",
            "\"s\\u0065rial\": 9,\n\"serial\": 7,\n",
        ),
        replaced(
            "key-twice-in-person",
            "KS-SGN-FORMAT",
            "two addresses for one person",
            "\"email\":\"bob@",
            "\"email\":\"eve@example.org\",\"email\":\"bob@",
        ),
        replaced(
            "field-unknown",
            "KS-SGN-FORMAT",
            "a field that this version does not have",
            "\"serial\": 7,\n",
            "\"serial\": 7,\n\"note\": \"\",\n",
        ),
        replaced(
            "person-unknown-field",
            "KS-SGN-FORMAT",
            "a field of a person that this version does not have",
            "\"email\":\"bob@",
            "\"name\":\"Bob\",\"email\":\"bob@",
        ),
        replaced("person-twice", "KS-SGN-FORMAT", "one Matrix ID, two persons", "@bob:example.org", "@ann:example.org"),
        replaced(
            "person-without-fingerprint",
            "KS-SGN-FORMAT",
            "a person without a certificate",
            &format!(",\"fingerprint\":\"{fingerprint}\"}}"),
            "}",
        ),
        replaced(
            "person-short-key-id",
            "KS-SGN-FORMAT",
            "a key id is no fingerprint",
            &format!("\"fingerprint\":\"{fingerprint}\"}}"),
            "\"fingerprint\":\"0123456789ABCDEF\"}",
        ),
        replaced("person-master-key", "KS-SGN-FORMAT", "a master key that is none", key, "master"),
        replaced(
            "person-since-alone",
            "KS-SGN-FORMAT",
            "since without a master key",
            &format!("\"master_key\":\"{key}\","),
            "",
        ),
        replaced("people-object", "KS-SGN-FORMAT", "people must be a list", "[\n", "{\"0\": [\n"),
        Case {
            document: "[]\n".into(),
            ..case("not-an-object", "KS-SGN-FORMAT", "a list where the document should be")
        },
        Case { document: format!("{good}{good}"), ..case("twice", "KS-SGN-FORMAT", "two documents in one") },
        Case { document: String::new(), ..case("empty", "KS-SGN-FORMAT", "nothing, signed") },
    ]);
    cases
}
