//! `driftless apply-now`: has the running agent apply its desired state now.

use super::Exit;
use super::control::{Ask, At, Lost, Reply, complain};
use super::shell::{Output, Shell};
use crate::topology::runs::Recap;
use serde_json::json;

/// Have the running agent apply its desired state now, without waiting for its interval, and show
/// what the run came to.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 0: the host is as declared; 1: something failed, or nothing is applied there; 2: no
agent runs.

Examples:
  driftless apply-now
  driftless apply-now --tags web,tls
  driftless apply-now --no-wait")]
pub struct Args {
    #[command(flatten)]
    at: At,
    /// Only tasks with one of these tags, and those tagged `always`. What they notify runs too.
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    tags: Vec<String>,
    /// No tasks with one of these tags.
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    skip_tags: Vec<String>,
    /// Return at once; the log tells what the run comes to.
    #[arg(long)]
    no_wait: bool,
    /// Whom the result is for.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    let (tags, skip_tags) = (args.tags.clone(), args.skip_tags.clone());
    let asked = args.at.ask(&Ask::ApplyNow { wait: !args.no_wait, tags, skip_tags });
    match (asked, args.output) {
        (Ok(Reply::Accepted), Output::Text) => shell.print("a run will begin\n"),
        (Ok(Reply::Accepted), Output::Json) => shell.print_json(&json!({"accepted": true})),
        (Ok(Reply::Ran(recap)), output) => {
            let exit = match output {
                Output::Text => {
                    for failure in &recap.failures {
                        shell.fail(failure);
                    }
                    shell.print(&line(&recap))
                }
                Output::Json => shell.print_json(&recap),
            };
            if recap.failed { Exit::Failed } else { exit }
        }
        (Ok(other), output) => complain(&Lost::unlike(&other), output, shell),
        (Err(lost), output) => complain(&lost, output, shell),
    }
}

/// A run in a line.
pub(super) fn line(recap: &Recap) -> String {
    let tasks = recap.tasks.iter().filter(|(_, count)| *count > 0);
    let tasks: Vec<String> = tasks.map(|(status, count)| format!("{count} {status}")).collect();
    let tasks = if tasks.is_empty() { "nothing was run".to_owned() } else { tasks.join(", ") };
    format!("{tasks} ({:.2} s)\n", recap.duration_seconds)
}
