//! Makes WebAssembly smaller with wasm-opt, and remembers what came out: it takes a minute for the background.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use keystead_tools::Versions;
use sha2::{Digest as _, Sha256};

use crate::{hex, paths, run};

/// What rustc puts into WebAssembly by default, and every supported browser runs.
const WASM_FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];
const LEVEL: &str = "-Oz";
/// How many results are remembered: those of a few versions of background and pages.
const REMEMBERED: usize = 8;

/// Optimises a module in its place.
pub(crate) fn optimise(module: &Path) -> Result<()> {
    let store = paths::target().join("wasm-opt");
    fs::create_dir_all(&store)?;
    let mut hash = Sha256::new();
    hash.update(Versions::read()?.npm.binaryen);
    hash.update(LEVEL);
    hash.update(WASM_FEATURES.concat());
    hash.update(fs::read(module).with_context(|| format!("cannot read {}", module.display()))?);
    let known = store.join(hex(&hash.finalize())).with_extension("wasm");
    if !known.exists() {
        let unfinished = known.with_extension("unfinished");
        let mut wasm_opt = Command::new(keystead_tools::node()?);
        wasm_opt.arg(keystead_tools::wasm_opt()?).arg(LEVEL).args(WASM_FEATURES);
        run::loud(wasm_opt.arg(module).arg("-o").arg(&unfinished))?;
        fs::rename(&unfinished, &known)?;
        forget(&store)?;
    }
    fs::copy(&known, module).with_context(|| format!("cannot write {}", module.display()))?;
    Ok(())
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
