//! The compiler for WebAssembly: rustup's where it can be had, else Debian's with a standard library built on the spot.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{paths, run};

/// The target triple of the extension.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";
const LINKER: &str = "/usr/bin/wasm-ld-19";
const LIBRARY: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";
/// The same of rustup's, in the toolchain's folder.
const SOURCES: &str = "lib/rustlib/src/rust/library/std/Cargo.toml";

/// Names of functions that say which crate's they are: the module is divided by them. Compilers differ in what they do
/// unasked.
const NAMES: &str = "-Csymbol-mangling-version=v0";

/// What the compiler of the release does beside its profile, with a standard library that is built for it.
///
/// A panic stops the background at once and says nothing, as there is nobody to read it: texts and places of panics, and
/// what would write values for people who debug, are a tenth of the module.
const SMALL: [&str; 4] =
    ["-Zunstable-options", "-Cpanic=immediate-abort", "-Zfmt-debug=none", "-Zlocation-detail=none"];

/// A compiler for WebAssembly.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Compiler {
    /// The toolchain that builds everything else has the target, and the sources of the standard library.
    Rustup,
    /// Debian's `rustc-web` and its sources of the standard library.
    Debian,
}

impl Compiler {
    /// The compiler that this machine has.
    pub(crate) fn find() -> Option<Self> {
        if rustup_has_all() {
            Some(Self::Rustup)
        } else if [RUSTC, CARGO, LINKER, LIBRARY].iter().all(|file| Path::new(file).exists()) {
            Some(Self::Debian)
        } else {
            None
        }
    }

    /// Lets rustup add what is missing: soon done or refused.
    pub(crate) fn add_with_rustup(within: Duration) -> bool {
        let add = |what: [&str; 3]| {
            let mut rustup = Command::new("rustup");
            run::succeeds_within(rustup.args(what).current_dir(paths::root()), within)
        };
        add(["target", "add", TARGET]) && add(["component", "add", "rust-src"]) && rustup_has_all()
    }

    /// The cargo that goes with it, where it is not the one in `PATH`.
    pub(crate) fn own_cargo(self) -> Option<&'static str> {
        match self {
            Self::Rustup => None,
            Self::Debian => Some(CARGO),
        }
    }

    /// `cargo`, set to build for WebAssembly; the caller adds the rest.
    pub(crate) fn cargo(self, subcommand: &str) -> Command {
        let mut cargo = Command::new(self.own_cargo().unwrap_or("cargo"));
        cargo.args([subcommand, "--target", TARGET]).current_dir(paths::root());
        self.set_environment(&mut cargo);
        cargo
    }

    /// Sets the environment in which a command that calls `cargo` (such as Trunk) builds for WebAssembly.
    pub(crate) fn set_environment(self, command: &mut Command) {
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", NAMES);
        if self == Self::Rustup {
            return;
        }
        // cargo, called by cargo xtask, has told us which of rustup's toolchains it is; that must not reach the other one.
        for name in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC_WRAPPER"] {
            command.env_remove(name);
        }
        build_library(command);
        command
            .env("RUSTC", RUSTC)
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", LINKER)
            .env("PATH", path_with_first(Path::new("/usr/bin")));
    }

    /// Sets, beside the rest, what makes a release small, and the same wherever it is built.
    pub(crate) fn set_release_environment(command: &mut Command) {
        // Where panics come from is in the module as the path of a source file. Cargo compiles our own by relative paths.
        let mut flags: Vec<String> = [("cargo", paths::cargo_home()), ("target", paths::target())]
            .map(|(name, folder)| format!("--remap-path-prefix={}=/{name}", folder.display()))
            .into();
        flags.push(NAMES.to_owned());
        flags.extend(SMALL.map(str::to_owned));
        build_library(command);
        // This variable outdoes all other places of flags: what a person or a configuration adds would show in the bytes.
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        command.env("CARGO_UNSTABLE_BUILD_STD_FEATURES", "optimize_for_size");
    }
}

/// Has the standard library built on the spot; stable compilers do it for those who ask in this way.
fn build_library(command: &mut Command) {
    command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort");
}

/// `PATH` with one folder before all others.
pub(crate) fn path_with_first(first: &Path) -> std::ffi::OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(PathBuf::from(first)).chain(env::split_paths(&path));
    env::join_paths(folders).unwrap_or(path)
}

fn rustup_has_all() -> bool {
    let rustc = |what: &[&str]| {
        let printed = run::answer(Command::new("rustc").args(what).current_dir(paths::root()));
        printed.map(|path| PathBuf::from(path.trim()))
    };
    let library = rustc(&["--print", "sysroot"]).map(|root| root.join(SOURCES));
    let target = rustc(&["--print", "target-libdir", "--target", TARGET]);
    target.is_some_and(|dir| dir.is_dir()) && library.is_some_and(|file| file.exists())
}
