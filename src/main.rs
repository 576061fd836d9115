//! Parses arguments, runs the command, sets the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    driftless::cli::run(std::env::args_os())
}
