//! The command line: one file a sub-command.

pub mod agent;
pub mod apply;
mod apply_list;
pub mod apply_now;
mod apply_plan;
mod apply_report;
pub mod audit;
pub mod completions;
mod control;
pub mod docs;
pub mod drain;
mod elsewhere;
mod extra_vars;
pub mod facts;
mod follow;
mod found;
pub mod graph;
mod log_limit;
pub mod logs;
pub mod man;
mod manager;
mod refresh;
pub mod reload;
pub mod report;
mod runtime;
pub mod schema;
pub mod self_check;
mod session;
mod shell;
pub mod status;
mod table;
pub mod tap;
pub mod test;
mod told_facts;
pub mod top;
pub mod validate;

use clap::{CommandFactory, Parser, Subcommand};
use shell::Shell;
use std::ffi::OsString;
use std::process::ExitCode;

/// What a command ended with, as a shell sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything is as it should be.
    Success,
    /// Something failed, or the config is wrong; of checks, a warning.
    Failed,
    /// A dry run found changes that an apply would make; of checks, something critical; where a
    /// running agent is asked, that none runs.
    Pending,
    /// Nothing is known of what was asked.
    Unknown,
    /// The command line itself is wrong.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Failed => 1,
            Exit::Pending => 2,
            Exit::Unknown => 3,
            Exit::Usage => 64,
        })
    }
}

/// Keeps this host as a git repository says it should be, tells how it is, and sends its logs
/// where they belong.
#[derive(Debug, Parser)]
#[command(name = "driftless", version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed or config wrong, 2 changes pending (apply --dry-run) or no agent runs
(status, top, tap, reload, apply-now, drain), 64 wrong usage.

Examples:
  driftless agent --config /etc/driftless/config    run everything that the config says
  driftless status                                  tell how the running agent is
  driftless validate .                              check the config in this directory
  driftless apply . --dry-run                       show what would change on this host
  driftless test .                                  run the tests in its folder `tests`
  driftless graph . --format mermaid                draw it
  driftless facts os                                tell what this host runs";

#[derive(Debug, Subcommand)]
enum Command {
    Agent(agent::Args),
    Status(status::Args),
    Top(top::Args),
    Tap(tap::Args),
    Reload(reload::Args),
    ApplyNow(apply_now::Args),
    Drain(drain::Args),
    SelfCheck(self_check::Args),
    Apply(apply::Args),
    Logs(logs::Args),
    Validate(validate::Args),
    Graph(graph::Args),
    Test(test::Args),
    Facts(facts::Args),
    Audit(audit::Args),
    Schema(schema::Args),
    Docs(docs::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Runs the command that the arguments ask for.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut shell = Shell::new();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return shell.usage(&error).into(),
    };
    let exit = match cli.command {
        Command::Agent(args) => agent::run(&args, &mut shell),
        Command::Status(args) => status::run(&args, &mut shell),
        Command::Top(args) => top::run(&args, &mut shell),
        Command::Tap(args) => tap::run(&args, &mut shell),
        Command::Reload(args) => reload::run(&args, &mut shell),
        Command::ApplyNow(args) => apply_now::run(&args, &mut shell),
        Command::Drain(args) => drain::run(&args, &mut shell),
        Command::SelfCheck(args) => self_check::run(&args, &mut shell),
        Command::Apply(args) => apply::run(&args, &mut shell),
        Command::Audit(args) => audit::run(&args, &mut shell),
        Command::Logs(args) => logs::run(&args, &mut shell),
        Command::Validate(args) => validate::run(&args, &mut shell),
        Command::Facts(args) => facts::run(&args, &mut shell),
        Command::Graph(args) => graph::run(&args, &mut shell),
        Command::Test(args) => test::run(&args, &mut shell),
        Command::Schema(args) => schema::run(&args, &mut shell),
        Command::Docs(args) => docs::run(&args, &mut shell),
        Command::Completions(args) => completions::run(&args, &mut shell),
        Command::Man(args) => man::run(&args, &mut shell),
    };
    exit.into()
}

/// The whole command line, for completions and the manual page.
pub fn command() -> clap::Command {
    Cli::command()
}
