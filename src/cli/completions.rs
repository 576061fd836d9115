//! `driftless completions`: what a shell needs to complete our command line.

use super::Exit;
use super::shell::Shell;

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  driftless completions bash > /etc/bash_completion.d/driftless")]
pub struct Args {
    /// The shell.
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "driftless", &mut script);
    shell.print(&String::from_utf8_lossy(&script))
}
