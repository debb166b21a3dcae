//! Signed documents that must be believed and that must be refused: `tests/vectors/signed`, one defect a file. A file is
//! a header, an empty line, the document's exact bytes, and the signature.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "functions shared by tests are test code too"
)]

mod cases;

use std::{collections::BTreeSet, fs, path::PathBuf};

use cases::cases;
use keystead_core::{
    error::Coded,
    ident::{Origin, UserId},
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

/// With `KEYSTEAD_WRITE_VECTORS` set, the files are written anew instead. Signatures differ from time to time; whether they
/// are what they should be, the test above tells.
#[test]
fn the_vectors_are_those_of_the_cases() {
    let write = std::env::var_os("KEYSTEAD_WRITE_VECTORS").is_some();
    let cases = cases();
    let names: BTreeSet<_> = cases.iter().map(|case| case.name.to_owned()).collect();
    for vector in Vector::read_all().into_iter().filter(|vector| !names.contains(&vector.name)) {
        assert!(write, "{} is of no case", vector.name);
        fs::remove_file(folder().join(format!("{}.txt", vector.name))).unwrap();
    }
    for case in cases {
        let path = folder().join(format!("{}.txt", case.name));
        let unsigned = case.unsigned();
        if write {
            let signature = case.signature.unwrap_or_else(|| sign(case.document.as_bytes(), case.key, case.signed_at));
            fs::write(path, unsigned + &signature).unwrap();
        } else {
            assert!(fs::read_to_string(path).unwrap().starts_with(&unsigned), "{}", case.name);
        }
    }
}
