//! The `keystead` command: for the people who run a deployment.
#![allow(clippy::print_stderr)]

use std::{io::Write as _, process::ExitCode};

use clap::{Parser, Subcommand};
use keystead_cli::{
    DirectoryCheck, Ending, EvidenceVerify, Failure, ManifestAddSite, ManifestBuild, ManifestCheck, ManifestDiff,
    ManifestRevoke, ManifestSign, ManifestVerify, NativeHostInstall, NativeHostStatus, NativeHostUninstall,
    PolicyCheck, PolicyHosts, RosterBuild, RosterSet, RosterSign, RosterVerify,
};

/// Prepares and checks what Keystead needs: policy, roster, directory, GnuPG.
///
/// Exit codes: 0 all is well, 1 something was refused or is not ready, 2 the command was called in a way that cannot work.
#[derive(Debug, Parser)]
#[command(name = "keystead", version)]
enum Keystead {
    /// The signed list of people.
    #[command(subcommand)]
    Roster(RosterCommand),
    /// The signed list of Element Web's files
    ///
    /// In this order: build one from each release that may run, add-site puts your own settings and files to them, sign.
    /// Then check before an upgrade goes live, and from time to time after.
    #[command(subcommand)]
    Manifest(ManifestCommand),
    /// Where certificates are found.
    #[command(subcommand)]
    Directory(DirectoryCommand),
    /// The settings that browsers get.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// The connection of browsers with GnuPG.
    #[command(subcommand)]
    NativeHost(NativeHostCommand),
    /// Logs of key changes that browsers wrote.
    #[command(subcommand)]
    Evidence(EvidenceCommand),
}

#[derive(Debug, Subcommand)]
enum RosterCommand {
    Build(RosterBuild),
    Sign(RosterSign),
    Set(Box<RosterSet>),
    Verify(RosterVerify),
}

#[derive(Debug, Subcommand)]
enum ManifestCommand {
    Build(ManifestBuild),
    AddSite(ManifestAddSite),
    Sign(ManifestSign),
    Verify(ManifestVerify),
    Diff(ManifestDiff),
    Check(ManifestCheck),
    Revoke(ManifestRevoke),
}

#[derive(Debug, Subcommand)]
enum DirectoryCommand {
    Check(DirectoryCheck),
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    Check(PolicyCheck),
    Hosts(PolicyHosts),
}

#[derive(Debug, Subcommand)]
enum EvidenceCommand {
    Verify(EvidenceVerify),
}

#[derive(Debug, Subcommand)]
enum NativeHostCommand {
    Install(NativeHostInstall),
    Uninstall(NativeHostUninstall),
    Status(NativeHostStatus),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut out = String::new();
    let ending = perform(Keystead::parse(), &mut out).await;
    // Whoever reads us may have read enough.
    let _ = std::io::stdout().write_all(out.as_bytes());
    match ending {
        Ok(ending) => ending.into(),
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn perform(command: Keystead, out: &mut String) -> Result<Ending, Failure> {
    match command {
        Keystead::Roster(RosterCommand::Build(command)) => command.run(out),
        Keystead::Roster(RosterCommand::Sign(command)) => command.run(out),
        Keystead::Roster(RosterCommand::Set(command)) => command.run(out),
        Keystead::Roster(RosterCommand::Verify(command)) => command.run(out),
        Keystead::Manifest(ManifestCommand::Build(command)) => command.run(out),
        Keystead::Manifest(ManifestCommand::AddSite(command)) => command.run(out),
        Keystead::Manifest(ManifestCommand::Sign(command)) => command.run(out),
        Keystead::Manifest(ManifestCommand::Verify(command)) => command.run(out),
        Keystead::Manifest(ManifestCommand::Diff(command)) => command.run(out),
        Keystead::Manifest(ManifestCommand::Check(command)) => command.run(out).await,
        Keystead::Manifest(ManifestCommand::Revoke(command)) => command.run(out),
        Keystead::Directory(DirectoryCommand::Check(command)) => command.run(out).await,
        Keystead::Policy(PolicyCommand::Check(command)) => command.run(out),
        Keystead::Policy(PolicyCommand::Hosts(command)) => command.run(out),
        Keystead::Evidence(EvidenceCommand::Verify(command)) => command.run(out).await,
        Keystead::NativeHost(NativeHostCommand::Install(command)) => command.run(out),
        Keystead::NativeHost(NativeHostCommand::Uninstall(command)) => command.run(out),
        Keystead::NativeHost(NativeHostCommand::Status(command)) => command.run(out).await,
    }
}
