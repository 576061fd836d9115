//! `driftless tap`: what passes a component of the running agent, as it passes.

use super::Exit;
use super::control::{Ask, At, Lost, Reply, complain};
use super::shell::{Output, Shell};

/// Show what a component of the running agent passes on, as it passes: records as JSON, samples of
/// metrics, and the revision of a desired state.
///
/// Nothing waits for whoever looks: what passes too fast goes by unseen, and how much that was is
/// said on standard error. `driftless status` lists the components.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 0: as many as asked for, or Ctrl-C; 1: there is no such component, or the agent has ended;
2: no agent runs.

Examples:
  driftless tap logs.nginx
  driftless tap parsed --limit 5 --where 'status >= 500'
  driftless tap archive | jq .message")]
pub struct Args {
    /// The component: a source or a transform shows what it passes on, a sink what it takes.
    #[arg(value_name = "ID")]
    component: String,
    /// Show what it takes instead.
    #[arg(long)]
    input: bool,
    /// End after so many records.
    #[arg(long, value_name = "NUMBER")]
    limit: Option<u64>,
    /// Show only records for which this holds.
    #[arg(long = "where", value_name = "EXPR")]
    condition: Option<String>,
    #[command(flatten)]
    at: At,
}

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    match look(args, shell) {
        Ok(exit) => exit,
        Err(lost) => complain(&lost, Output::Text, shell),
    }
}

fn look(args: &Args, shell: &mut Shell) -> Result<Exit, Lost> {
    let mut questions = args.at.connect()?;
    let (component, condition) = (args.component.clone(), args.condition.clone());
    questions.ask(&Ask::Tap { component, input: args.input, condition })?;
    let mut left = args.limit.unwrap_or(u64::MAX);
    while left > 0 {
        match questions.next()? {
            Reply::Record { line } => {
                left -= 1;
                let shown = shell.show(&(line + "\n"));
                if shown.is_err() {
                    return Ok(shell.end(shown, Exit::Success));
                }
            }
            Reply::Missed { records } => {
                shell.tell(&format!("({records} went by unseen)\n"));
            }
            other => return Err(Lost::unlike(&other)),
        }
    }
    Ok(Exit::Success)
}
