//! `driftless logs status`: how far each source is in each file, and what waits in disk buffers.

use super::status_table;
use crate::cli::Exit;
use crate::cli::report::Colour;
use crate::cli::session::{Session, standard_data_dir};
use crate::cli::shell::{Output, Shell};
use crate::host::clock;
use crate::sources::file::status::{SourceStatus, sources};
use crate::topology::buffer::status::{BufferStatus, buffers};
use crate::topology::graph::Component;
use serde::Serialize;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

/// Show how far each source is in each file, and what waits in disk buffers.
///
/// Read from the data directory, whether an agent is running or not, without changing anything.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A source writes down how far it is about once a second, so a running agent may be a little further.
Exit code 1 where a checkpoint or a buffer is damaged or cannot be read.

Examples:
  driftless logs status
  driftless logs status --config /etc/driftless/config
  driftless logs status --output json | jq '.sources[].files[] | select(.lag_bytes > 0)'")]
pub(super) struct Args {
    /// The config whose `data_dir` is looked at: a directory or a file; may be given again. The
    /// installed one where none is given.
    #[arg(long, value_name = "PATH")]
    config: Vec<PathBuf>,
    /// Look at this data directory, without a config. Sinks that have been removed from the
    /// config then count as if they were still waited for.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data_dir: Option<PathBuf>,
    /// Whom the result is for.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// All that there is to say.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    /// The data directory.
    pub(super) data_dir: PathBuf,
    /// When this was looked at, in seconds since the epoch.
    pub(super) at_seconds: u64,
    pub(super) sources: Vec<SourceStatus>,
    pub(super) buffers: Vec<BufferStatus>,
}

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    let (data_dir, sinks) = match &args.data_dir {
        Some(data_dir) => (data_dir.clone(), None),
        None => match Session::new(&args.config).load_or_complain(shell, args.output) {
            Ok(config) => {
                let is_sink = |component: &Component| matches!(component, Component::Sink(_));
                let nodes = config.graph.nodes.iter();
                let sinks = nodes.filter(|(_, node)| is_sink(&node.component));
                let sinks: HashSet<String> = sinks.map(|(name, _)| name.to_string()).collect();
                (config.agent.data_dir.unwrap_or_else(standard_data_dir), Some(sinks))
            }
            Err(exit) => return exit,
        },
    };
    let is_sink = |name: &str| sinks.as_ref().is_none_or(|sinks| sinks.contains(name));
    let status = match look(&data_dir, &is_sink) {
        Ok(status) => status,
        Err(error) => return shell.fail(&format!("`{}`: {error}", data_dir.display())),
    };
    let text = match args.output {
        Output::Text => {
            let no_color = std::env::var("NO_COLOR").ok();
            let colour = Colour::choose(&io::stdout(), no_color.as_deref());
            status_table::draw(&status, colour)
        }
        Output::Json => match serde_json::to_string_pretty(&status) {
            Ok(json) => json + "\n",
            Err(error) => return shell.fail(&error.to_string()),
        },
    };
    let written = shell.show(&text);
    shell.end(written, if status.is_sound() { Exit::Success } else { Exit::Failed })
}

fn look(data_dir: &Path, is_sink: &dyn Fn(&str) -> bool) -> io::Result<Status> {
    Ok(Status {
        data_dir: data_dir.to_owned(),
        at_seconds: clock::now().as_secs(),
        sources: sources(data_dir, is_sink)?,
        buffers: buffers(data_dir)?,
    })
}

impl Status {
    fn is_sound(&self) -> bool {
        self.sources.iter().all(|source| source.problem.is_none() && source.damaged_lines == 0)
            && self
                .buffers
                .iter()
                .all(|buffer| buffer.problem.is_none() && buffer.damaged_segments == 0)
    }
}
