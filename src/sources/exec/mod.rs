//! `exec`: runs a program and gives what it writes.

mod running;

use crate::event::Kinds;
use crate::event::log::stream::{OnLongLine, Text};
use crate::event::secret::SecretText;
use crate::host::program::Program;
use crate::topology::component::{BuildContext, Fault, Source, SourceConfig};
use crate::topology::context::SourceContext;
use crate::topology::output::Output;
use crate::topology::settings::{ByteSize, Period, RetrySettings};
use crate::topology::{multiline, text};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Runs a program, and gives each line that it writes as a record: the line is `message`, and
/// `stream` says whether it came from `stdout` or `stderr`.
///
/// ```yaml
/// sources:
///   disks: {type: exec, command: [lsblk, --json], interval: 1h}
///   kernel: {type: exec, command: [dmesg, --follow], mode: long_running}
///   api:
///     type: exec
///     command: [/usr/local/bin/poll-api]
///     environment: {API_TOKEN: "{{ secrets.API_TOKEN }}"}
///     multiline: {mode: python}
/// ```
///
/// With `multiline` a record that may go on waits for further lines of the same output, up to
/// `timeout`; where the output ends, it is taken as it is. Empty lines are no records.
///
/// There is no shell; `[sh, -c, ...]` is one. A secret in `command` is refused, since all users of
/// a host can read arguments; in `environment` it is safe. The program runs as the agent's user,
/// in a process group of its own, all of which is ended when the source stops. While the sinks are
/// behind, nothing is read, and the program has to wait as it would with any pipe. What it wrote
/// is held in memory until every sink has it; what a killed agent held is lost.
///
/// With `agent --once` the program is run once, to its end.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// When it is run.
    #[serde(default)]
    pub mode: Mode,
    /// For `interval`: how often, from one start to the next. A run that takes longer delays the
    /// next one.
    #[serde(default)]
    pub interval: Option<Period>,
    /// For `interval`: when a run is ended that takes so long; by default after a minute.
    #[serde(default)]
    pub timeout: Option<Period>,
    /// For `long_running`: the pauses before it is started again; they begin anew once it has run
    /// for longer than the longest of them.
    #[serde(default)]
    pub restart: RetrySettings,
    /// Which of its outputs become records; what goes to another is thrown away.
    #[serde(default = "both")]
    pub streams: Vec<Stream>,
    /// Whether the end of a run becomes a record: with `stream: exit`, the `exit_code` (negative
    /// for a signal), and in words as `message`.
    #[serde(default)]
    pub report_exit: ReportExit,
    /// Environment variables, beside those of the agent.
    #[serde(default)]
    pub environment: BTreeMap<String, SecretText>,
    /// Whether the program gets `environment` alone, without what the agent has.
    #[serde(default)]
    pub clear_environment: bool,
    /// The directory that it runs in, by default that of the agent.
    #[serde(default)]
    pub directory: Option<PathBuf>,
    /// The longest line, from 1KiB to 64MiB. What happens to a longer one says `on_long_line`.
    #[serde(default = "text::longest_line")]
    pub max_line_bytes: ByteSize,
    /// What happens to a line above `max_line_bytes`.
    #[serde(default)]
    pub on_long_line: OnLongLine,
    /// How the program writes text, as for the `file` source: `utf-8`, `utf-16le`, `latin1`, or
    /// another label of the WHATWG's Encoding Standard.
    #[serde(default = "text::utf_8")]
    pub encoding: String,
    /// What ends a line. Default: a line feed, and a carriage return before it is no part of the
    /// message.
    #[serde(default)]
    pub delimiter: Option<String>,
    /// Joins lines that belong together, of each output by itself. Default: each line is a record.
    #[serde(default)]
    pub multiline: Option<multiline::Config>,
    /// How long the program has to end by itself when it is told to (by SIGTERM), before it is
    /// killed.
    #[serde(default = "patience")]
    pub stop_timeout: Period,
}

/// When the program is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// At the start, and again at every `interval`.
    #[default]
    Interval,
    /// All the time: it is started again when it ends.
    LongRunning,
}

/// An output of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Which ends of runs become records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReportExit {
    /// Those with another exit status than 0.
    #[default]
    Failures,
    /// All.
    Always,
    /// None.
    Never,
}

const INTERVAL: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(60);

fn both() -> Vec<Stream> {
    vec![Stream::Stdout, Stream::Stderr]
}

fn patience() -> Period {
    Period(Duration::from_secs(5))
}

impl SourceConfig for Config {
    fn gives(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Source>, Fault> {
        let program = Program {
            argv: self.command.clone(),
            directory: self.directory.clone(),
            environment: self.environment.clone().into_iter().collect(),
            is_environment_cleared: self.clear_environment,
            stdout: self.streams.contains(&Stream::Stdout),
            stderr: self.streams.contains(&Stream::Stderr),
        };
        program.check(&cx.env.masker).map_err(|why| Fault::fatal(format!("`command`: {why}")))?;
        let text = self.check().map_err(Fault::fatal)?;
        Ok(Box::new(Exec { config: self.clone(), program, text: Arc::new(text) }))
    }
}

impl Config {
    /// How the outputs are cut, if nothing is wrong with the settings.
    fn check(&self) -> Result<Text, String> {
        if self.mode == Mode::LongRunning {
            for (name, setting) in [("interval", self.interval), ("timeout", self.timeout)] {
                if setting.is_some() {
                    return Err(format!("`{name}` is for the mode `interval`"));
                }
            }
        }
        if self.interval.is_some_and(|period| period.0 < Duration::from_millis(100)) {
            return Err("`interval` can be from 100ms on".to_owned());
        }
        text::check_longest(self.max_line_bytes, ByteSize(64 << 20))?;
        let bad = |name: &&String| name.is_empty() || name.contains(['=', '\0']);
        if let Some(name) = self.environment.keys().find(bad) {
            return Err(format!("`{name}` is no name of an environment variable"));
        }
        let (delimiter, multiline) = (self.delimiter.as_deref(), self.multiline.as_ref());
        let long = (self.max_line_bytes, self.on_long_line);
        text::text(&self.encoding, delimiter, multiline, long)
    }
}

struct Exec {
    config: Config,
    program: Program,
    /// How its outputs are cut.
    text: Arc<Text>,
}

#[async_trait]
impl Source for Exec {
    async fn run(self: Box<Self>, out: Output, cx: SourceContext) -> Result<(), Fault> {
        running::run(*self, out, cx).await
    }
}
