//! What the agent knows of itself beyond its metrics, for those who ask.

use crate::host::clock;
use crate::topology::graph::Graph;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// All of it; the agent writes, the socket reads.
#[derive(Debug)]
pub(in crate::cli) struct Board {
    /// When the agent began, as time since the epoch.
    pub(super) started: Duration,
    known: Mutex<Known>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) components: Vec<Listed>,
    /// The commit that is active.
    pub(super) revision: Option<String>,
    pub(super) refused: Option<Refused>,
    /// Why secrets could not be looked up anew.
    pub(super) secrets: Option<String>,
    pub(super) last_load: Option<Load>,
    pub(super) taken: u64,
    pub(super) refusals: u64,
}

impl Known {
    /// Whether there is a desired state.
    pub(super) fn applies(&self) -> bool {
        self.components.iter().any(|listed| listed.type_name == "apply")
    }
}

/// A component of the graph.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) role: &'static str,
    pub(super) type_name: String,
}

/// A revision that was not taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::cli) struct Refused {
    /// Which one, where that is known.
    pub(in crate::cli) commit: Option<String>,
    /// Why.
    pub(in crate::cli) reason: String,
    /// When that was found, in seconds since the epoch.
    pub(in crate::cli) at_seconds: f64,
}

/// The config was loaded anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::cli) struct Load {
    /// When, in seconds since the epoch.
    pub(in crate::cli) at_seconds: f64,
    /// What was wrong with it; it was taken where nothing was.
    pub(in crate::cli) complaints: Vec<String>,
}

impl Load {
    /// A load that comes to this now.
    pub(in crate::cli) fn now(complaints: Vec<String>) -> Self {
        Self { at_seconds: clock::now().as_secs_f64(), complaints }
    }
}

impl Board {
    /// What is known at the start.
    pub(in crate::cli) fn new(graph: &Graph, revision: Option<String>) -> Self {
        let known = Known { components: listed(graph), revision, ..Known::default() };
        Self { started: clock::now(), known: Mutex::new(known) }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn read(&self) -> Known {
        self.known().clone()
    }

    /// The topology is this one now.
    pub(in crate::cli) fn set_graph(&self, graph: &Graph) {
        self.known().components = listed(graph);
    }

    /// The config was loaded anew, with this revision.
    pub(in crate::cli) fn loaded(&self, load: Load, revision: Option<String>) {
        let mut known = self.known();
        if load.complaints.is_empty() {
            known.taken += 1;
            known.revision = revision;
        } else {
            known.refusals += 1;
        }
        known.last_load = Some(load);
    }

    /// Secrets were looked up anew, or could not be, for this reason.
    pub(in crate::cli) fn secrets(&self, reason: Option<String>) {
        self.known().secrets = reason;
    }

    /// A revision was not taken, or the newest one is active.
    pub(in crate::cli) fn refused(&self, refused: Option<(Option<String>, &str)>) {
        self.known().refused = refused.map(|(commit, reason)| {
            let (reason, at_seconds) = (reason.to_owned(), clock::now().as_secs_f64());
            Refused { commit, reason, at_seconds }
        });
    }
}

fn listed(graph: &Graph) -> Vec<Listed> {
    let listed = graph.nodes.iter().map(|(name, node)| Listed {
        name: name.to_string(),
        role: node.role(),
        type_name: node.type_name.to_string(),
    });
    listed.collect()
}
