//! `keystead manifest diff`: what changed between two releases, by kind.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use keystead_core::integrity::{ConfigFile, FileKind, ListedFile, Release, ReleaseVersion, Site};
use serde_json::{Value, json};

use super::open::{Opened, open};
use crate::failure::{Ending, Failure};

/// Show what changed between two releases, or two manifests, by kind
///
/// Files whose names have a hash in them, as bundlers write it, are compared with those that have another hash there. Of a
/// manifest with several releases, the newest is taken; --old-release and --new-release take others.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct ManifestDiff {
    /// The older release or manifest.
    old: PathBuf,
    /// The newer release or manifest.
    new: PathBuf,
    /// Which release of OLD.
    #[arg(long, value_parser = |text: &str| ReleaseVersion::parse(text), value_name = "VERSION")]
    old_release: Option<ReleaseVersion>,
    /// Which release of NEW.
    #[arg(long, value_parser = |text: &str| ReleaseVersion::parse(text), value_name = "VERSION")]
    new_release: Option<ReleaseVersion>,
    /// Name every file; without it, only documents, settings and numbers.
    #[arg(long)]
    files: bool,
    /// One JSON object a line for each change.
    #[arg(long)]
    json: bool,
}

/// A change of one file: what it is now, what it was.
struct Change<'a> {
    kind: FileKind,
    old: Option<&'a ListedFile>,
    new: Option<&'a ListedFile>,
}

impl Change<'_> {
    fn word(&self) -> &'static str {
        match (self.old, self.new) {
            (None, _) => "new",
            (_, None) => "gone",
            (Some(old), Some(new)) if old.sha256 == new.sha256 => "same",
            _ => "changed",
        }
    }

    fn path(&self) -> &str {
        self.new.or(self.old).map_or("", |file| file.path.as_str())
    }
}

impl ManifestDiff {
    /// Does it; what to read goes to `out`.
    ///
    /// # Errors
    /// [`Failure`] where one of both is not to be read.
    pub fn run(self, out: &mut String) -> Result<Ending, Failure> {
        let (old, new) = (open(&self.old)?, open(&self.new)?);
        let (old_release, new_release) =
            (release(&old, self.old_release.as_ref())?, release(&new, self.new_release.as_ref())?);
        let changes = changes(old_release.listing().files(), new_release.listing().files());
        if self.json {
            for change in changes.iter().filter(|change| change.word() != "same") {
                let hash = |file: Option<&ListedFile>| file.map(|file| file.sha256);
                let line = json!({
                    "path": change.path(), "kind": change.kind, "change": change.word(),
                    "old": hash(change.old), "new": hash(change.new),
                });
                out.push_str(&format!("{line}\n"));
            }
        } else {
            out.push_str(&format!("{} to {}\n", old_release.version().as_str(), new_release.version().as_str()));
            by_kind(&changes, self.files, out);
        }
        if let (Opened::Manifest(_, old), Opened::Manifest(_, new)) = (&old, &new) {
            sites(old.site(), new.site(), self.json, out);
        }
        Ok(Ending::Fine)
    }
}

fn release<'a>(opened: &'a Opened, wanted: Option<&ReleaseVersion>) -> Result<&'a Release, Failure> {
    let all = match opened {
        Opened::Release(release) => std::slice::from_ref(release),
        Opened::Manifest(_, manifest) => manifest.releases(),
    };
    let mut found = all.iter().filter(|release| wanted.is_none_or(|wanted| release.version() == wanted));
    found.next_back().ok_or_else(|| Failure::Usage("there is no release of that version".into()))
}

/// Pairs files by path, and then those left over by what their names are without hashes.
fn changes<'a>(old: &'a [ListedFile], new: &'a [ListedFile]) -> Vec<Change<'a>> {
    let mut by_path: BTreeMap<&str, (Option<&ListedFile>, Option<&ListedFile>)> = BTreeMap::new();
    old.iter().for_each(|file| by_path.entry(file.path.as_str()).or_default().0 = Some(file));
    new.iter().for_each(|file| by_path.entry(file.path.as_str()).or_default().1 = Some(file));
    let (paired, left): (Vec<_>, Vec<_>) = by_path.into_values().partition(|(old, new)| old.is_some() && new.is_some());
    let mut by_name: BTreeMap<String, (Vec<&ListedFile>, Vec<&ListedFile>)> = BTreeMap::new();
    for (old, new) in left {
        old.into_iter().for_each(|file| by_name.entry(without_hashes(file.path.as_str())).or_default().0.push(file));
        new.into_iter().for_each(|file| by_name.entry(without_hashes(file.path.as_str())).or_default().1.push(file));
    }
    let mut pairs = paired;
    for (old, new) in by_name.into_values() {
        let longest = old.len().max(new.len());
        pairs.extend((0..longest).map(|index| (old.get(index).copied(), new.get(index).copied())));
    }
    let change = |(old, new): (Option<&'a ListedFile>, Option<&'a ListedFile>)| {
        Some(Change { kind: new.or(old)?.kind, old, new })
    };
    let mut changes: Vec<_> = pairs.into_iter().filter_map(change).collect();
    changes.sort_by(|a, b| a.path().cmp(b.path()));
    changes
}

/// `bundles/9bfcc37aa98feeba4fce/a.76eaf74.svg` as `bundles/*/a.*.svg`.
fn without_hashes(path: &str) -> String {
    let mut text = String::new();
    for part in path.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let word = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let hex = word.bytes().all(|byte| byte.is_ascii_hexdigit()) && word.bytes().any(|byte| byte.is_ascii_digit());
        if word.len() >= 7 && hex {
            text.push('*');
            text.push_str(&part[word.len()..]);
        } else {
            text.push_str(part);
        }
    }
    text
}

fn by_kind(changes: &[Change<'_>], all_files: bool, out: &mut String) {
    for kind in FileKind::ALL {
        let of_kind = || changes.iter().filter(|change| change.kind == kind);
        let count = |word| of_kind().filter(|change| change.word() == word).count();
        let (changed, new, gone, same) = (count("changed"), count("new"), count("gone"), count("same"));
        if changed + new + gone + same == 0 {
            continue;
        }
        let line = format!("{}: {changed} changed, {new} new, {gone} gone, {same} the same\n", kind.as_str());
        out.push_str(&line);
        for change in of_kind().filter(|change| change.word() != "same" && (all_files || kind == FileKind::Document)) {
            let size = |file: Option<&ListedFile>| file.map_or("-".to_owned(), |file| file.size.to_string());
            let line = format!(
                "  {:<8} {} ({} to {} bytes)\n",
                change.word(),
                change.path(),
                size(change.old),
                size(change.new)
            );
            out.push_str(&line);
        }
    }
}

fn sites(old: &Site, new: &Site, as_json: bool, out: &mut String) {
    let mut line = |path: &str, word: &str, old: Option<&Value>, new: Option<&Value>| {
        let text = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
        out.push_str(&if as_json {
            format!("{}\n", json!({ "site": path, "change": word, "old": old, "new": new }))
        } else {
            format!("site: {path} {word}, {} to {}\n", text(old), text(new))
        });
    };
    if old.base() != new.base() {
        line("base", "changed", Some(&json!(old.base())), Some(&json!(new.base())));
    }
    let values = |site: &Site| -> BTreeMap<String, Value> {
        let all = site.config().iter().flat_map(|ConfigFile { path, values }| {
            values.iter().map(|(name, value)| (format!("{} {name}", path.as_str()), value.clone()))
        });
        all.collect()
    };
    let (before, after) = (values(old), values(new));
    let names: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for name in names.into_iter().filter(|name| before.get(*name) != after.get(*name)) {
        line(name, "changed", before.get(name), after.get(name));
    }
    for change in changes(old.listing().files(), new.listing().files()).iter().filter(|change| change.word() != "same")
    {
        let hash = |file: Option<&ListedFile>| file.map(|file| json!(file.sha256));
        line(change.path(), change.word(), hash(change.old).as_ref(), hash(change.new).as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_in_names_are_left_out() {
        for (path, expected) in [
            ("bundles/9bfcc37aa98feeba4fce/init.js", "bundles/*/init.js"),
            ("img/warning.76eaf74.svg", "img/warning.*.svg"),
            ("i18n/de_DE.1.json", "i18n/de_DE.1.json"),
            ("img/defaced.svg", "img/defaced.svg"),
            ("bundles/a/1234567.js", "bundles/a/*.js"),
        ] {
            assert_eq!(without_hashes(path), expected);
        }
    }
}
