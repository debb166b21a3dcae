//! The licences of everything that is compiled into the extension, as its packages carry them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::paths;
use crate::wasm::TARGET;

/// What the extension is compiled from: the background and the pages.
const ROOTS: [&str; 2] = ["keystead-extension", "keystead-pages"];
/// How the names of files with licences begin.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];

const ABOUT: &str = "\
The libraries that are compiled into Keystead beside the Rust standard library (MIT OR Apache-2.0): each with its licence, its
home, and the numbers of the texts that come with it, below. Text 1 is Keystead's own licence.
";

/// The part of cargo's metadata that is needed here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
    authors: Vec<String>,
    /// Absent where the package is a member of the workspace.
    source: Option<String>,
    manifest_path: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// Absent for what is linked; else `build` or `dev`.
    kind: Option<String>,
}

/// The text of the file.
pub(crate) fn text() -> Result<String> {
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", TARGET]);
    let output = cargo.current_dir(paths::root()).output().context("cannot start cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata is not as expected")?;
    let own = fs::read_to_string(paths::root().join("LICENSE")).context("cannot read LICENSE")?;
    write(&linked(&metadata), own)
}

/// Every package whose code is linked into the extension, except our own, in the order of their names.
fn linked(metadata: &Metadata) -> Vec<&Package> {
    let packages: BTreeMap<&str, &Package> = metadata.packages.iter().map(|p| (p.id.as_str(), p)).collect();
    let nodes: BTreeMap<&str, &Node> = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let roots = metadata.packages.iter().filter(|package| ROOTS.contains(&package.name.as_str()));
    let mut next: Vec<&str> = roots.map(|package| package.id.as_str()).collect();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    while let Some(id) = next.pop() {
        let (Some(package), Some(node)) = (packages.get(id), nodes.get(id)) else { continue };
        // Macros run in the compiler; what they write is the work of those who call them.
        let is_macro = package.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"));
        if is_macro || !seen.insert(id) {
            continue;
        }
        if package.source.is_some() {
            found.push(*package);
        }
        let linked = node.deps.iter().filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind.is_none()));
        next.extend(linked.map(|dep| dep.pkg.as_str()));
    }
    found.sort_by_key(|package| (&package.name, &package.version));
    found
}

fn write(packages: &[&Package], own: String) -> Result<String> {
    let mut texts = vec![own];
    let mut out = format!("{ABOUT}\n");
    for package in packages {
        let licence = package.license.as_deref().unwrap_or("see its text");
        let home = package.repository.as_deref().unwrap_or("https://crates.io");
        let numbers = texts_of(package, &mut texts)?;
        // A package without a text still names those to whom the work belongs.
        let texts =
            if numbers.is_empty() { package.authors.join(", ") } else { format!("text {}", numbers.join(", ")) };
        writeln!(out, "{} {}: {licence}; {home}; {texts}", package.name, package.version)?;
    }
    for (index, text) in texts.iter().enumerate() {
        write!(out, "\n==== text {} ====\n\n{}\n", index + 1, text.trim_matches('\n'))?;
    }
    Ok(out)
}

/// The numbers of a package's texts; those that no other package had are added.
fn texts_of(package: &Package, texts: &mut Vec<String>) -> Result<Vec<String>> {
    let folder = Path::new(&package.manifest_path).parent().context("a manifest lies in no folder")?;
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        if path.is_file() && NAMES.iter().any(|start| name.starts_with(start)) {
            files.push(path);
        }
    }
    files.sort();
    let mut numbers = Vec::new();
    for file in files {
        let text = String::from_utf8_lossy(&fs::read(&file)?).replace("\r\n", "\n");
        let known = texts.iter().position(|other| other.trim() == text.trim());
        let index = known.unwrap_or_else(|| {
            texts.push(text);
            texts.len() - 1
        });
        numbers.push((index + 1).to_string());
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_named_with_its_licence_and_nothing_else_is() {
        let text = text().unwrap();
        let (list, texts) = text.split_once("==== text 1 ====").unwrap();
        assert!(list.lines().any(|line| line.starts_with("sequoia-openpgp ") && line.contains("LGPL-2.0-or-later")));
        assert!(texts.contains("GNU LIBRARY GENERAL PUBLIC LICENSE"), "the LGPL's own text is there");
        assert!(texts.contains("Apache License"));
        for other in ["lalrpop ", "serde_derive ", "proptest ", "tokio ", "keystead-core "] {
            assert!(!list.lines().any(|line| line.starts_with(other)), "{other} is not in the extension");
        }
        assert!(!list.contains(": see its text;"), "each says its licence");
        let with_text = list.lines().filter(|line| line.contains("; text ")).count();
        assert!(with_text > 100, "{with_text} works come with a text");
    }
}
