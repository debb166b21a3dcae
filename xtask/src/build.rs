//! Builds the unpacked extension into `dist/chromium` and `dist/firefox`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use keystead_tools::{Versions, cargo_command, wasm_bindgen_version};

use crate::hosts::Pattern;
use crate::manifest::Manifest;
use crate::report::Report;
use crate::wasm::{Compiler, TARGET, path_with_first};
use crate::{Browser, cut, licences, optimise, paths, run, split};

/// The package that the background is compiled from.
const BACKGROUND: &str = "keystead-extension";

/// The background's module: what the browser compiles at every start of the background.
const FIRST_MODULE: &str = "keystead_extension_bg.wasm";
/// The part of it that is compiled when it is first needed.
const LATER_MODULE: &str = "keystead_extension_later.wasm";

/// Both parts of the background that was built last.
pub(crate) fn background_modules() -> [PathBuf; 2] {
    let background = paths::dist().join(Browser::Chromium.name()).join("background");
    [FIRST_MODULE, LATER_MODULE].map(|module| background.join(module))
}

/// How the extension is compiled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Profile {
    /// Quick to build.
    Development,
    /// Small, as people install it.
    Release,
}

impl Profile {
    /// The profile's name in `Cargo.toml`, and the name of its folder.
    fn name(self) -> &'static str {
        match self {
            Self::Development => "web-dev",
            Self::Release => "web",
        }
    }
}

/// Builds the extension so that it asks for access to each site.
pub(crate) fn build(profile: Profile) -> Result<()> {
    build_with(profile, &[])
}

/// Builds background and pages once, and puts them together for each browser, with access to these sites.
pub(crate) fn build_with(profile: Profile, sites: &[Pattern]) -> Result<()> {
    let report = Report::plain();
    let stage = paths::dist().join(".stage");
    if stage.exists() {
        fs::remove_dir_all(&stage)?;
    }
    fs::create_dir_all(&stage)?;
    // Trunk works offline, so that it downloads no tool of its own.
    report.step("dependencies", || {
        run::loud(Command::new("cargo").args(["fetch", "--locked", "--quiet"]).current_dir(paths::root()))
    })?;
    report.step("background", || background(profile, &stage.join("background")))?;
    report.step("pages", || pages(profile, &stage.join("pages")))?;
    fs::write(stage.join("libraries.txt"), licences::text()?)?;
    closure("hook", &HOOK, &stage.join("hook.js"))?;
    closure("hold", &HOLD, &stage.join("hold.js"))?;
    for browser in Browser::ALL {
        report.step(&format!("dist/{}", browser.name()), || assemble(browser, &stage, sites))?;
    }
    fs::remove_dir_all(&stage).context("cannot remove what was put together")
}

/// Builds the page that stands in for Element Web.
pub(crate) fn host_page() -> Result<()> {
    run::loud(Command::new(keystead_tools::node()?).arg("build.mjs").current_dir(paths::host()))
}

/// Compiles the background, in two parts.
fn background(profile: Profile, out: &Path) -> Result<()> {
    let module = bound(BACKGROUND, profile, out)?;
    let later = out.join(LATER_MODULE);
    let mut whole = fs::read(&module).context("there is no module")?;
    if profile == Profile::Release {
        whole = cut::without_debug(&whole)?;
    }
    let parts = split::split(&whole)?;
    fs::write(&module, parts.first)?;
    fs::write(&later, parts.later)?;
    let script = module.with_file_name("keystead_extension.js");
    let text = fs::read_to_string(&script).with_context(|| format!("cannot read {}", script.display()))?;
    fs::write(&script, split::with_loader(&text)?)?;
    if profile == Profile::Release {
        optimise::optimise(&module)?;
        optimise::optimise(&later)?;
    }
    Ok(())
}

/// Compiles one package of the workspace to a WebAssembly module and the JavaScript that loads it.
pub(crate) fn web_module(package: &str, profile: Profile, out: &Path) -> Result<()> {
    let module = bound(package, profile, out)?;
    if profile == Profile::Release { optimise::optimise(&module) } else { Ok(()) }
}

/// Compiles one package of the workspace, as wasm-bindgen leaves it; says where the module is.
fn bound(package: &str, profile: Profile, out: &Path) -> Result<PathBuf> {
    let compiler = compiler()?;
    let mut cargo = compiler.cargo("build");
    cargo.args(["--package", package, "--profile", profile.name()]);
    if profile == Profile::Release {
        Compiler::set_release_environment(&mut cargo);
    }
    run::loud(&mut cargo)?;
    let name = package.replace('-', "_");
    let module = paths::target().join(TARGET).join(profile.name()).join(format!("{name}.wasm"));
    let mut bindgen = Command::new(cargo_command("wasm-bindgen-cli", &wasm_bindgen_version()?, "wasm-bindgen")?);
    bindgen.args(["--target", "web", "--no-typescript", "--out-dir"]).arg(out).arg(module);
    run::loud(&mut bindgen)?;
    Ok(out.join(format!("{name}_bg.wasm")))
}

fn compiler() -> Result<Compiler> {
    Compiler::find().context("no compiler for WebAssembly: run `cargo xtask setup`")
}

fn pages(profile: Profile, out: &Path) -> Result<()> {
    let compiler = compiler()?;
    let mut trunk = Command::new(cargo_command("trunk", &Versions::read()?.cargo.trunk, "trunk")?);
    trunk.args(["build", "--offline", "--cargo-profile", profile.name(), "--dist"]).arg(out);
    trunk.current_dir(paths::root());
    compiler.set_environment(&mut trunk);
    if profile == Profile::Release {
        Compiler::set_release_environment(&mut trunk);
    }
    // Trunk takes the commands that it finds first. Another wasm-bindgen would do nothing, another cargo everything anew.
    let first = out.with_extension("commands");
    fs::create_dir_all(&first)?;
    let bindgen = cargo_command("wasm-bindgen-cli", &wasm_bindgen_version()?, "wasm-bindgen")?;
    symlink(bindgen, first.join("wasm-bindgen"))?;
    if let Some(cargo) = compiler.own_cargo() {
        symlink(cargo, first.join("cargo"))?;
    }
    trunk.env("PATH", path_with_first(&first));
    run::loud(&mut trunk)?;
    if profile == Profile::Release {
        for file in files_below(out)?.into_iter().filter(|file| file.extension().is_some_and(|kind| kind == "wasm")) {
            optimise::optimise(&file)?;
        }
    }
    Ok(())
}

/// The page hook's parts, in their order.
const HOOK: [&str; 6] = ["locals", "port", "bridge", "session", "wire", "commands"];

/// The parts of what builds documents, in their order.
const HOLD: [&str; 6] = ["locals", "port", "files", "workers", "worklets", "build"];

/// Makes one closure of a script's parts: in the page's world nothing of it may have a name that the page can use.
fn closure(folder: &str, parts: &[&str], out: &Path) -> Result<()> {
    let mut whole = String::from("(() => {\n\"use strict\";\n");
    for part in parts {
        let part = paths::root().join(format!("extension/{folder}/{part}.js"));
        whole += &fs::read_to_string(&part).with_context(|| format!("cannot read {}", part.display()))?;
    }
    whole += "})();\n";
    fs::write(out, whole).with_context(|| format!("cannot write {}", out.display()))
}

/// Puts one browser's extension together beside its final place, and moves it there.
fn assemble(browser: Browser, stage: &Path, sites: &[Pattern]) -> Result<()> {
    let root = paths::root();
    let whole = stage.join(browser.name());
    fs::create_dir_all(&whole)?;
    let parts = [
        (stage.join("background"), "background"),
        (stage.join("pages"), "pages"),
        (root.join("manifest.json"), "manifest.json"),
        (root.join("extension/js"), "js"),
        (stage.join("hook.js"), "js/hook.js"),
        (stage.join("hold.js"), "js/hold.js"),
        (root.join("static/icons"), "icons"),
        (root.join("static/_locales"), "_locales"),
        (root.join("static/policy.managed.json"), "policy.managed.json"),
        (root.join("LICENSE"), "LICENSE"),
        (root.join("static/licenses"), "licenses"),
        (stage.join("libraries.txt"), "licenses/libraries.txt"),
    ];
    for (from, to) in parts {
        copy(&from, &whole.join(to))?;
    }
    let path = whole.join("manifest.json");
    let mut manifest = Manifest::read(&path)?;
    manifest.permit(browser);
    if !sites.is_empty() {
        manifest.grant(sites);
    }
    manifest.write(&path)?;
    let place = paths::dist().join(browser.name());
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::rename(&whole, &place).with_context(|| format!("cannot write {}", place.display()))
}

/// Copies a file, or a folder with everything below it.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let context = || format!("cannot copy {}", from.display());
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from).with_context(context)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else {
        fs::copy(from, to).with_context(context)?;
    }
    Ok(())
}

/// All files in a folder and in those below it.
pub(crate) fn files_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}
