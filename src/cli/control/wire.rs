//! What is said on the socket: a request is one line of JSON, and so is each part of its reply.

use super::status::Status;
use crate::topology::runs::Recap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which form of requests and replies this is. Another one is refused.
pub(super) const VERSION: u32 = 1;

/// A request may be this long.
pub(super) const LONGEST_REQUEST_BYTES: u64 = 64 << 10;

/// One line to the agent. The version is looked at before the rest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    pub(super) version: u32,
    pub(super) ask: Value,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::cli) enum Ask {
    /// How everything is.
    Status,
    /// Load the config anew.
    Reload,
    /// Apply the desired state now.
    ApplyNow {
        /// Whether the reply waits for the end of the run.
        wait: bool,
        /// Only tasks with one of these tags; all where there are none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tags: Vec<String>,
        /// No tasks with one of these.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        skip_tags: Vec<String>,
    },
    /// Stop the sources, deliver everything, end.
    Drain {
        /// How long that may take; what the config says where nothing is said.
        timeout_seconds: Option<f64>,
    },
    /// Show what passes a component, until the client hangs up.
    Tap {
        /// Its name.
        component: String,
        /// Whether what it takes is meant, and not what it passes on.
        input: bool,
        /// An expression that has to hold for a record to be shown.
        condition: Option<String>,
    },
}

/// One line from the agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::cli) enum Reply {
    /// How everything is.
    Status(Box<Status>),
    /// The config was taken.
    Taken {
        /// Units of the topology that go on untouched.
        kept: usize,
        /// Units that were started.
        started: usize,
        /// Units that were stopped.
        stopped: usize,
    },
    /// The config was refused, and the old one goes on.
    Refused {
        /// Why, for people.
        text: String,
        /// Why, for machines, as `validate --output json` has it.
        complaints: Value,
    },
    /// It will be done.
    Accepted,
    /// The run that was asked for is over.
    Ran(Recap),
    /// The agent has drained and ends.
    Drained {
        /// Whether everything was delivered in time.
        delivered: bool,
    },
    /// What passed.
    Record {
        /// It, as JSON.
        line: String,
    },
    /// What passed without being shown.
    Missed {
        /// So many records.
        records: u64,
    },
    /// It cannot be done.
    Error {
        /// Why.
        message: String,
    },
}
