//! `driftless test`: unit tests of pipelines, written beside the config.

mod files;
mod judge;
mod prepared;
mod show;

use super::Exit;
use super::report::Colour;
use super::session::standard_config;
use super::shell::{Output, Shell};
use judge::Outcome;
use prepared::Prepared;
use std::path::PathBuf;

/// Run the tests of a config's pipelines: its own transforms on given records. Nothing is read
/// from logs and nothing is sent.
#[derive(Debug, clap::Args)]
#[command(after_help = "Without FILES the tests are those in the folder `tests` of the config.

Examples:
  driftless test
  driftless test ./hosts/web
  driftless test --config ./hosts/web tests/nginx.yml --name redact")]
pub struct Args {
    /// The config that is tested; else each test says it, or it is the directory that holds the
    /// folder `tests`.
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Files of tests, folders of such files, and config directories that have a folder `tests`.
    #[arg(value_name = "FILES")]
    files: Vec<PathBuf>,
    /// Only tests whose name has this in it.
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Whom the result is for.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    let files = match files::test_files(args, &standard_config()) {
        Ok(files) => files,
        Err(complaints) => return shell.complain(&complaints, args.output),
    };
    let prepared = match prepared::prepare(&files, args.name.as_deref(), shell) {
        Ok(prepared) => prepared,
        Err(complaints) => return shell.complain(&complaints, args.output),
    };
    if prepared.is_empty() {
        let name = args.name.as_deref().unwrap_or_default();
        return shell.fail(&format!("no test has `{name}` in its name"));
    }
    let colour = Colour::choose(&std::io::stdout(), std::env::var("NO_COLOR").ok().as_deref());
    let mut results: Vec<(&Prepared, Outcome)> = Vec::new();
    for test in &prepared {
        let result = test.run();
        if args.output == Output::Text {
            let written = shell.show(&show::one(test, &result, colour));
            if written.is_err() {
                return shell.end(written, Exit::Failed);
            }
        }
        results.push((test, result));
    }
    let failed = results.iter().any(|(_, result)| !result.is_ok());
    let exit = if failed { Exit::Failed } else { Exit::Success };
    let rest = match args.output {
        Output::Text => show::recap(&results),
        Output::Json => show::json(&results),
    };
    let written = shell.show(&rest);
    shell.end(written, exit)
}
