//! `driftless audit`: looks after the record of what was done to this host.

use super::Exit;
use super::session::standard_data_dir;
use super::shell::Shell;
use crate::host::audit::directory;
use crate::host::audit::verify::verify;
use std::path::PathBuf;

/// Look after the record of what was done to this host.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Verify(Verify),
}

/// Check that no record was removed, changed or moved. Exit code 1, and the number of the first
/// one, where one was.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  driftless audit verify\n  driftless audit verify /mnt/audit/2026-01.jsonl"
)]
struct Verify {
    /// A data directory, its `audit` directory, or one file of records. Default: the audit trail
    /// in the standard data directory.
    path: Option<PathBuf>,
}

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    let Command::Verify(args) = &args.command;
    let path = args.path.clone().unwrap_or_else(standard_data_dir);
    let below = directory(&path);
    let path = if below.is_dir() { below } else { path };
    match verify(&path) {
        Ok(found) if found.records == 0 => shell.print("no records\n"),
        Ok(found) => {
            let last = found.first + found.records - 1;
            let older = if found.first > 1 { "; older ones are not here" } else { "" };
            shell.print(&format!(
                "records {} to {last} are as they were written{older}\n",
                found.first
            ))
        }
        Err(broken) => shell.fail(&broken.to_string()),
    }
}
