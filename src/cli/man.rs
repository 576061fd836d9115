//! `driftless man`: the manual pages.

use super::Exit;
use super::shell::Shell;
use std::path::PathBuf;

/// Print the manual page, or write one page a command into a directory.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  driftless man | man -l -\n  driftless man --out /usr/local/share/man/man1"
)]
pub struct Args {
    /// Write all pages into this directory instead.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    if let Some(dir) = &args.out {
        return match clap_mangen::generate_to(super::command(), dir) {
            Ok(()) => Exit::Success,
            Err(error) => shell.fail(&format!("`{}`: {error}", dir.display())),
        };
    }
    let mut page = Vec::new();
    match clap_mangen::Man::new(super::command()).render(&mut page) {
        Ok(()) => shell.print(&String::from_utf8_lossy(&page)),
        Err(error) => shell.fail(&error.to_string()),
    }
}
