//! `driftless drain`: has the running agent deliver everything and end.

use super::Exit;
use super::control::{Ask, At, Lost, Reply, complain};
use super::shell::{Output, Shell};
use crate::topology::settings::Period;

/// Have the running agent stop its sources, deliver all that was read, and end. Returns once it has.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 0: everything was delivered; 1: not everything in time, the rest is read again at the
next start; 2: no agent runs.

A service manager that is told to may start it again.

Examples:
  driftless drain
  driftless drain --timeout 5m")]
pub struct Args {
    #[command(flatten)]
    at: At,
    /// How long that may take. Default: `shutdown_timeout` of the agent's file.
    #[arg(long, value_name = "TIME", value_parser = period)]
    timeout: Option<Period>,
}

fn period(text: &str) -> Result<Period, String> {
    text.parse()
}

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    let timeout_seconds = args.timeout.map(|period| period.0.as_secs_f64());
    match args.at.ask(&Ask::Drain { timeout_seconds }) {
        Ok(Reply::Drained { delivered: true }) => shell.print("everything was delivered\n"),
        Ok(Reply::Drained { delivered: false }) => {
            shell.fail("not everything was delivered in time; the rest is read again")
        }
        Ok(other) => complain(&Lost::unlike(&other), Output::Text, shell),
        Err(lost) => complain(&lost, Output::Text, shell),
    }
}
