//! `driftless reload`: has the running agent load its config anew.

use super::Exit;
use super::control::{Ask, At, Lost, Reply, complain};
use super::shell::{Output, Shell};
use serde_json::json;

/// Have the running agent load its config anew, and say whether it took it. What did not change
/// keeps running; of a config with an error nothing is taken. Where a repository is followed, its
/// newest revision is looked at next.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 0: the config was taken; 1: it was refused, and the old one goes on; 2: no agent runs.

Examples:
  driftless reload
  driftless reload --config /etc/driftless/config --output json")]
pub struct Args {
    #[command(flatten)]
    at: At,
    /// Whom the result is for.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    match (args.at.ask(&Ask::Reload), args.output) {
        (Ok(Reply::Taken { kept, started, stopped }), Output::Text) => {
            shell.print(&format!("taken: {kept} kept, {started} started, {stopped} stopped\n"))
        }
        (Ok(Reply::Taken { kept, started, stopped }), Output::Json) => shell.print_json(&json!({
            "taken": true, "kept": kept, "started": started, "stopped": stopped,
        })),
        (Ok(Reply::Refused { text, .. }), Output::Text) => {
            shell.tell(&text);
            shell.tell("refused: the old config goes on\n");
            Exit::Failed
        }
        (Ok(Reply::Refused { complaints, .. }), Output::Json) => {
            shell.print_json(&json!({"taken": false, "complaints": complaints}));
            Exit::Failed
        }
        (Ok(other), output) => complain(&Lost::unlike(&other), output, shell),
        (Err(lost), output) => complain(&lost, output, shell),
    }
}
