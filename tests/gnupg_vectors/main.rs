//! What the real gpgme-json answered, and what that means: `tests/vectors/gnupg`. A file is a header, an empty line and the
//! answers in their order, one a line. No vector has a secret: its keys were made for it and are gone.
#![allow(clippy::unwrap_used, clippy::panic, reason = "functions shared by tests are test code too")]

mod asked;

use std::{collections::VecDeque, fs, path::PathBuf};

use keystead_core::{
    effect::{Answer, Effect, NativeCommand, NativeError, Run, Step},
    ident::Fingerprint,
    secret::SecretText,
    time::UnixMillis,
};

use asked::{Asked, folder};

/// As a header's line has it.
fn asked_in(line: &str) -> Asked {
    let (what, of) = line.split_once(' ').unwrap_or((line, ""));
    match what {
        "decrypt" => Asked::Decrypt(serde_json::from_str(of).unwrap()),
        "sign" => Asked::Sign(Fingerprint::parse(of).unwrap()),
        "has" => Asked::Has(Fingerprint::parse(of).unwrap()),
        "versions" => Asked::Versions,
        other => panic!("{other}"),
    }
}

struct Vector {
    name: String,
    header: Vec<(String, String)>,
    answers: Vec<String>,
}

impl Vector {
    fn read_all() -> Vec<Self> {
        let mut paths: Vec<_> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let read = |path: PathBuf| {
            let text = fs::read_to_string(&path).unwrap();
            let (header, answers) = text.split_once("\n\n").unwrap();
            let pair = |line: &str| line.split_once(": ").map(|(k, v)| (k.to_owned(), v.to_owned())).unwrap();
            Self {
                name: path.file_stem().unwrap().to_string_lossy().into_owned(),
                header: header.lines().map(pair).collect(),
                answers: answers.lines().map(str::to_owned).collect(),
            }
        };
        paths.into_iter().map(read).collect()
    }

    fn header(&self, key: &str) -> &str {
        let found = self.header.iter().find(|(known, _)| known == key);
        &found.unwrap_or_else(|| panic!("{}: no {key}", self.name)).1
    }
}

/// Answers from a list; when that is used up, the host has died.
fn replay(asked: Asked, answers: &[String]) -> (String, usize) {
    let mut left: VecDeque<_> = answers.iter().cloned().collect();
    let mut run = Run::start(UnixMillis(0), |io| asked.ask(io));
    loop {
        let answer = match run.step() {
            Step::Done(result) => return (result, left.len()),
            Step::Do(Effect::Native(NativeCommand::Exchange(_))) => {
                Answer::Native(left.pop_front().map(SecretText::new).ok_or(NativeError::Died))
            }
            Step::Do(_) => Answer::Done,
        };
        run.answer(answer, UnixMillis(0));
    }
}

#[test]
fn answers_mean_what_they_should() {
    let vectors = Vector::read_all();
    assert!(vectors.len() >= 20, "{}", vectors.len());
    for vector in vectors {
        let (result, left) = replay(asked_in(vector.header("asked")), &vector.answers);
        assert_eq!((result.as_str(), left), (vector.header("expect"), 0), "{}", vector.name);
    }
}

#[test]
fn a_host_that_dies_before_any_of_its_answers_has_died() {
    for vector in Vector::read_all() {
        // What is found out after a failure only explains it, but does not make up for it.
        for given in 0..vector.answers.len() {
            let (result, _) = replay(asked_in(vector.header("asked")), &vector.answers[..given]);
            let explained = ["KS-GPG-NO-SECRET-KEY", "KS-GPG-DIED"].contains(&result.as_str());
            assert!(explained, "{} after {given}: {result}", vector.name);
        }
    }
}

/// Every answer with one byte changed: nothing panics, and what is returned is the text, or a code.
#[test]
fn altered_answers_are_refused_or_mean_another_error() {
    for vector in Vector::read_all().into_iter().filter(|vector| vector.header("asked").starts_with("decrypt")) {
        let last = vector.answers.len() - 1;
        for at in (0..vector.answers[last].len()).step_by(7) {
            let mut answers = vector.answers.clone();
            let mut bytes = answers[last].clone().into_bytes();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            answers[last] = String::from_utf8(bytes).unwrap();
            let (result, _) = replay(asked_in(vector.header("asked")), &answers);
            assert!(result.starts_with("KS-GPG-") || result.contains("text"), "{} at {at}: {result}", vector.name);
        }
    }
}
