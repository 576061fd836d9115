//! The executor as a sink: brings the host to what a task set says.

mod act;
pub mod ansible_facts;
mod args;
mod difference;
mod done;
mod drift;
pub mod executor;
mod expand;
pub mod hosts;
mod items;
mod job;
mod keywords;
mod late;
pub mod list;
mod looks;
mod magic;
pub mod notes;
mod notify;
mod numbers;
pub mod params;
pub mod parse;
pub mod part;
mod pending;
mod recap;
pub mod record;
pub mod report;
mod selection;
mod shorten;
mod sink;
pub mod tasks;
mod turn;
mod walk;
pub mod words;

use crate::event::Kinds;
use crate::topology::component::{BuildContext, BuiltSink, Fault, SinkConfig};
use crate::topology::settings::Period;
use schemars::JsonSchema;
use serde::Deserialize;
use sink::Apply;
use std::time::Duration;

/// Brings this host to what the tasks of a desired state say, at once when a new one comes and
/// again at every `interval`. One run at a time changes the host; each task is put on record
/// before the next one begins, for the `audit` source to pass on. An apply file stands for this
/// sink, with all that leads to it.
///
/// What acts without looking first (`command` without `creates` or `removes`) is done once a
/// revision of the config, or as often as its `every` says.
///
/// ```yaml
/// sources: {desired: {type: config_dir}}
/// transforms: {with_secrets: {type: secrets, inputs: [desired]}}
/// sinks: {host: {type: apply, inputs: [with_secrets], interval: 10m}}
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Check everything again this often.
    #[serde(default = "half_an_hour")]
    pub interval: Period,
    /// And repair at once when something changes that a task has looked at: its file, whose it is,
    /// the template that it is made from. Only that task runs, those that read what it registers, and
    /// its handlers. Its own writes trigger nothing. A path that somebody changes back again and again
    /// is repaired ever more slowly, and that is said.
    #[serde(default)]
    pub watch: bool,
}

fn half_an_hour() -> Period {
    Period(Duration::from_secs(30 * 60))
}

impl SinkConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::TASKS
    }

    fn build(&self, _: &BuildContext) -> Result<BuiltSink, Fault> {
        if self.interval.0 < Duration::from_millis(100) {
            let message = format!("`interval` is {}; it can be from 100ms on", self.interval);
            return Err(Fault::fatal(message));
        }
        Ok(BuiltSink::Stream(Box::new(Apply { interval: self.interval.0, watch: self.watch })))
    }
}
