//! Looking for a secret in places where it must not be: in every form that it is likely to have there.
//!
//! A search that finds nothing proves nothing by itself. Each is made with a [`Needle`] that was planted in the same place
//! and by the same kind of act first, and counts as failed where that one is not found.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use memchr::memmem;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Bytes in all the forms that are looked for: 32 of a recovery key, or a text that somebody typed.
pub struct Needle {
    bytes: Vec<u8>,
    texts: Vec<String>,
    forms: Vec<(String, Vec<u8>)>,
}

impl Needle {
    /// From a recovery key as people write it.
    ///
    /// # Errors
    /// If it is none.
    pub fn of_recovery_key(text: &str) -> Result<Self> {
        let compact: String = text.split_whitespace().collect();
        let decoded = bs58::decode(&compact).into_vec().context("no recovery key")?;
        ensure!(decoded.len() == 35 && decoded.starts_with(&[0x8b, 0x01]), "no recovery key");
        Ok(Self::new(decoded[2..34].to_vec()))
    }

    /// From a passphrase.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        let in_url = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let typed = [("as typed", text.to_owned()), ("in a URL", in_url)].map(|(name, text)| (name.to_owned(), text));
        Self::in_forms(text.as_bytes().to_vec(), typed.to_vec())
    }

    /// A control: random bytes.
    ///
    /// # Errors
    /// If the system has none.
    pub fn random() -> Result<Self> {
        let mut bytes = vec![0; 32];
        fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self::new(bytes))
    }

    fn new(bytes: Vec<u8>) -> Self {
        let parity = bytes.iter().fold(0x8b ^ 0x01, |parity, byte| parity ^ byte);
        let prefixed = [&[0x8b, 0x01], bytes.as_slice(), &[parity]].concat();
        let base58 = bs58::encode(prefixed).into_string();
        let grouped: Vec<&str> =
            (0..base58.len()).step_by(4).filter_map(|at| base58.get(at..base58.len().min(at + 4))).collect();
        let grouped = grouped.join(" ");
        let written = [("base58", base58), ("base58 in groups", grouped)];
        Self::in_forms(bytes, written.map(|(name, text)| (name.to_owned(), text)).to_vec())
    }

    /// The bytes, and the texts in which people write them, the plainest first.
    fn in_forms(bytes: Vec<u8>, written: Vec<(String, String)>) -> Self {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let plainest = written.first().map(|(_, text)| text.clone());
        let plain: Vec<String> = plainest.into_iter().chain([hex.clone(), STANDARD.encode(&bytes)]).collect();
        let mut texts = written;
        texts.extend([
            ("hex".to_owned(), hex),
            ("HEX".to_owned(), bytes.iter().map(|byte| format!("{byte:02X}")).collect()),
            ("decimal".to_owned(), bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(",")),
        ]);
        for (name, engine) in [("base64", &STANDARD), ("base64url", &URL_SAFE)] {
            for offset in 0..3 {
                // In a longer base64 text the bytes may begin at any of three places; the rims depend on the neighbours.
                let padded = [vec![0; offset], bytes.clone()].concat();
                let text = engine.encode(padded).trim_end_matches('=').to_owned();
                let inner = text.get(offset * 4 / 3 + usize::from(offset > 0)..text.len() - 1).unwrap_or_default();
                texts.push((format!("{name} at {offset}"), inner.to_owned()));
            }
        }
        let mut forms = vec![("raw".to_owned(), bytes.clone())];
        for (name, text) in texts {
            let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            forms.push((format!("{name} in UTF-16"), wide));
            forms.push((name, text.into_bytes()));
        }
        Self { bytes, texts: plain, forms }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its text in base58 or as it was typed, and those in hexadecimal and base64.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.texts.clone()
    }

    /// The names of the forms that are in `hay`.
    #[must_use]
    pub fn found_in(&self, hay: &[u8]) -> Vec<&str> {
        let forms = self.forms.iter().filter(|(_, form)| memmem::find(hay, form).is_some());
        forms.map(|(name, _)| name.as_str()).collect()
    }
}

/// Checks a place: the control is there in each of these forms, and no secret in any.
///
/// # Errors
/// If it is not so, with the place and the forms.
pub fn check(place: &str, hay: &[u8], control: &Needle, planted: &[&str], secrets: &[&Needle]) -> Result<()> {
    let seen = control.found_in(hay);
    for form in planted {
        ensure!(seen.contains(form), "{place}: the planted control was not found as {form}: the search sees nothing");
    }
    for (at, secret) in secrets.iter().enumerate() {
        let leaked = secret.found_in(hay);
        ensure!(leaked.is_empty(), "{place}: secret {at} is there as {}", leaked.join(", "));
    }
    Ok(())
}

/// Checks all files of a directory as one place.
///
/// # Errors
/// As for [`check`]; a leak names its file.
pub fn check_files(place: &str, dir: &Path, control: &Needle, planted: &[&str], secrets: &[&Needle]) -> Result<()> {
    let mut missing: Vec<&str> = planted.to_vec();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                dirs.push(entry.path());
            } else if kind.is_file() {
                // A browser that runs takes files away while we look.
                let Ok(bytes) = fs::read(entry.path()) else { continue };
                let seen = control.found_in(&bytes);
                missing.retain(|form| !seen.contains(form));
                for (at, secret) in secrets.iter().enumerate() {
                    let leaked = secret.found_in(&bytes);
                    if !leaked.is_empty() {
                        bail!("{place}: secret {at} is in {} as {}", entry.path().display(), leaked.join(", "));
                    }
                }
            }
        }
    }
    ensure!(
        missing.is_empty(),
        "{place}: the planted control was not found as {}: the search sees nothing",
        missing.join(", ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_found_inside_something_longer() {
        let needle = Needle::random().unwrap();
        for before in [vec![], vec![7], vec![7, 8], vec![7, 8, 9]] {
            let longer = [before, needle.bytes().to_vec(), vec![1, 2, 3, 4]].concat();
            for (engine, name) in [(&STANDARD, "base64 at"), (&URL_SAFE, "base64url at")] {
                let found = needle.found_in(engine.encode(&longer).as_bytes()).join(" ");
                assert!(found.contains(name), "{found}");
            }
            assert_eq!(needle.found_in(&longer), ["raw"]);
        }
        let text = needle.texts().join(" ");
        assert!(Needle::random().unwrap().found_in(text.as_bytes()).is_empty());
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(needle.found_in(&wide).contains(&"base58 in UTF-16"));
    }

    #[test]
    fn a_passphrase_is_found_however_it_is_written() {
        let needle = Needle::of_text("a few words");
        assert_eq!(needle.found_in(b"say: a few words."), ["raw", "as typed"]);
        assert_eq!(needle.found_in(b"?q=a%20few%20words"), ["in a URL"]);
        assert_eq!(needle.found_in(b"6120666577 20776f726473"), [""; 0]);
        assert_eq!(needle.found_in(b"612066657720776f726473"), ["hex"]);
        let longer = STANDARD.encode("now a few words more");
        assert!(!needle.found_in(longer.as_bytes()).is_empty());
    }

    #[test]
    fn a_recovery_key_is_read_as_people_write_it() {
        let needle = Needle::random().unwrap();
        let again = Needle::of_recovery_key(&needle.texts()[0]).unwrap();
        assert_eq!(again.bytes(), needle.bytes());
        assert!(Needle::of_recovery_key("EsTc 1234").is_err());
    }
}
