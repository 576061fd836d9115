//! `driftless schema`: the JSON Schema of every kind of config file, for editors.

use super::Exit;
use super::shell::Shell;
use crate::config::discover::FileKind;
use crate::config::schema::file_schema;

/// Print the JSON Schema of a kind of config file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  driftless schema logs > ~/.cache/driftless-logs.schema.json")]
pub struct Args {
    /// The kind of file; all of them, by name, where none is given.
    #[arg(value_enum)]
    kind: Option<FileKind>,
}

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    let schema = match args.kind {
        Some(kind) => file_schema(kind),
        None => {
            let all = FileKind::ALL.map(|kind| (kind.name().to_owned(), file_schema(kind)));
            serde_json::Value::Object(all.into_iter().collect())
        }
    };
    match serde_json::to_string_pretty(&schema) {
        Ok(text) => shell.print(&format!("{text}\n")),
        Err(error) => shell.fail(&error.to_string()),
    }
}
