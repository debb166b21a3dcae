//! Makes WebAssembly smaller with wasm-opt, and remembers what came out: it takes a minute for the background.
//!
//! What counts is the size when compressed, as packages and web servers send it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use keystead_tools::Versions;
use sha2::{Digest as _, Sha256};

use crate::{hex, order, paths, run};

/// What rustc puts into WebAssembly by default, and every supported browser runs.
const WASM_FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];
/// What the compiler made of loops and branches is done anew, which is smaller.
const SMALLER: [&str; 7] = ["--flatten", "--rereloop", "-Oz", "-Oz", "-Oz", "--strip-debug", "--strip-producers"];
/// Puts functions into the order of their names, and takes these away.
const REORDER: [&str; 2] = ["--reorder-functions-by-name", "--strip-debug"];
/// How many results are remembered: those of a few versions of background and pages.
const REMEMBERED: usize = 8;

/// Optimises a module in its place.
pub(crate) fn optimise(module: &Path) -> Result<()> {
    let store = paths::target().join("wasm-opt");
    fs::create_dir_all(&store)?;
    let read = |file: &Path| fs::read(file).with_context(|| format!("cannot read {}", file.display()));
    let mut hash = Sha256::new();
    hash.update(Versions::read()?.npm.binaryen);
    // Who changes how this is done gets other results.
    for part in [include_str!("optimise.rs"), include_str!("order.rs")] {
        hash.update(part);
    }
    hash.update(read(module)?);
    let known = store.join(hex(&hash.finalize())).with_extension("wasm");
    if !known.exists() {
        let unfinished = known.with_extension("unfinished");
        wasm_opt(&SMALLER, module, &unfinished)?;
        fs::write(&unfinished, order::name_functions(&read(&unfinished)?)?)?;
        wasm_opt(&REORDER, &unfinished, &unfinished)?;
        fs::rename(&unfinished, &known)?;
        forget(&store)?;
    }
    fs::copy(&known, module).with_context(|| format!("cannot write {}", module.display()))?;
    Ok(())
}

fn wasm_opt(passes: &[&str], from: &Path, to: &Path) -> Result<()> {
    let mut wasm_opt = Command::new(keystead_tools::node()?);
    wasm_opt.arg(keystead_tools::wasm_opt()?).args(WASM_FEATURES).args(passes);
    run::loud(wasm_opt.arg(from).arg("-o").arg(to))
}

/// Removes all results but the newest.
fn forget(store: &Path) -> Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(store)? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort();
    let old = files.len().saturating_sub(REMEMBERED);
    for (_, path) in files.into_iter().take(old) {
        fs::remove_file(path)?;
    }
    Ok(())
}
