//! `driftless validate`: every error in all files, at once.

use super::Exit;
use super::elsewhere;
use super::session::Session;
use super::shell::{Output, Shell};
use crate::config::owned;
use crate::sinks::apply::notes;
use crate::topology::run::Topology;
use std::path::PathBuf;
use std::sync::Arc;

/// Check a config: every error in all files at once, with its place and how to mend it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  driftless validate\n  driftless validate ./hosts/web --output json\n  driftless validate . --host web1.example.com --facts web1.json"
)]
pub struct Args {
    /// Directories or files; the installed config where none is given.
    paths: Vec<PathBuf>,
    #[command(flatten)]
    elsewhere: elsewhere::Options,
    /// Whom the result is for.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    let elsewhere = match args.elsewhere.meant() {
        Ok(elsewhere) => elsewhere,
        Err(complaint) => return shell.complain(&[complaint], args.output),
    };
    let session = Session::new(&args.paths).on(elsewhere);
    let config = match session.load_or_complain(shell, args.output) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    // Some things only a component itself can say, when it is built.
    let environment = match session.environment(&config, shell, true) {
        Ok((environment, _)) => Arc::new(environment),
        Err(message) => return shell.fail(&message),
    };
    let mut complaints = owned::complaints(&config.others);
    complaints.extend(Topology::check(&config.graph, &environment).err().unwrap_or_default());
    if !complaints.is_empty() {
        return shell.complain(&complaints, args.output);
    }
    let mut notes = config.notes;
    notes.extend(session.note_facts());
    notes.extend(config.tasks.as_deref().map(notes::notes).unwrap_or_default());
    notes.extend(Topology::notes(&config.graph));
    let noted = shell.note(&notes, args.output);
    match args.output {
        Output::Json => noted,
        Output::Text => {
            let components = config.graph.nodes.len();
            let tasks = config.tasks.map_or(0, |set| set.count());
            shell.print(&format!("valid: {components} components, {tasks} tasks\n"))
        }
    }
}
