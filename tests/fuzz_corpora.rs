//! The fuzzing targets over their corpora, and over what comes of these by small changes: what a fuzzer found, or would
//! find at once, is found by every run of the tests.

#![allow(clippy::panic, clippy::unwrap_used, reason = "functions shared by tests are test code too")]

#[path = "../fuzz/src/lib.rs"]
#[allow(unreachable_pub)]
mod targets;

use std::{fs, path::Path};

use proptest::prelude::*;

fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap())).collect();
    files.sort();
    files
}

#[test]
fn every_file_of_every_corpus_does_no_harm_and_each_corpus_has_both_kinds() {
    for (name, target) in targets::TARGETS {
        let files = corpus(name);
        let read = files.iter().filter(|(_, bytes)| target(bytes)).count();
        assert!(files.len() >= 8, "{name}: {} files", files.len());
        assert!(read >= 2 && files.len() - read >= 2, "{name}: {read} of {} are read", files.len());
    }
}

#[test]
fn every_target_is_one_of_the_fuzzing_crate() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/Cargo.toml")).unwrap();
    let listed: Vec<_> =
        manifest.split("[[bin]]\nname = \"").skip(1).map(|rest| rest.split_once('"').unwrap().0).collect();
    assert_eq!(listed, targets::TARGETS.map(|(name, _)| name));
    for name in listed {
        let text =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/fuzz_targets/{name}.rs")));
        assert!(text.unwrap().contains(&format!("keystead_fuzz::{name}(data)")));
    }
}

proptest! {
    #[test]
    fn small_changes_do_no_harm(which in 0..targets::TARGETS.len(), file in any::<prop::sample::Index>(),
                                changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..5)) {
        let (name, target) = targets::TARGETS[which];
        let files = corpus(name);
        let mut bytes = file.get(&files).1.clone();
        for (at, value, kind) in changes {
            if bytes.is_empty() {
                bytes.push(value);
            }
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = value,
                1 => bytes.insert(at, value),
                _ => drop(bytes.remove(at)),
            }
        }
        target(&bytes);
    }
}
