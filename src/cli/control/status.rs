//! How everything is, put together from what the agent counts and what it knows.

use super::board::{Board, Listed, Load, Refused};
use crate::event::metric::{Family, SampleValue, Text};
use crate::host::clock;
use crate::sources::file::status::{SourceStatus, sources};
use crate::topology::context::Environment;
use crate::topology::health::State;
use crate::topology::runs::Recap;
use crate::topology::standings::Standing;
use crate::topology::tally::Tally;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// All of it. Times are in seconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::cli) struct Status {
    /// The agent's version.
    pub(in crate::cli) version: String,
    /// Its process.
    pub(in crate::cli) pid: u32,
    /// The node's name.
    pub(in crate::cli) host: String,
    /// Where it keeps its state.
    pub(in crate::cli) data_dir: String,
    /// When this was put together.
    pub(in crate::cli) at_seconds: f64,
    /// When it began.
    pub(in crate::cli) started_seconds: f64,
    /// What is wrong, one line each; nothing where all is well.
    pub(in crate::cli) problems: Vec<String>,
    /// The commit of the repository that is active, where one is followed.
    pub(in crate::cli) revision: Option<String>,
    /// The newer one that was not taken.
    pub(in crate::cli) refused: Option<Refused>,
    /// How often the config was loaded anew and taken.
    pub(in crate::cli) loads_taken: u64,
    /// How often it was loaded anew and refused.
    pub(in crate::cli) loads_refused: u64,
    /// The last time.
    pub(in crate::cli) last_load: Option<Load>,
    /// Why secrets could not be looked up anew, where that failed: they are what they were.
    pub(in crate::cli) secrets_failed: Option<String>,
    /// The components, in the order of the config.
    pub(in crate::cli) components: Vec<ComponentStatus>,
    /// The desired state, where one is declared.
    pub(in crate::cli) apply: Option<ApplyStatus>,
    /// How the checks of metrics stand, those that are worst first.
    pub(in crate::cli) checks: Vec<Standing>,
}

/// How one component is. Numbers count from the start of the agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::cli) struct ComponentStatus {
    /// Its name.
    pub(in crate::cli) name: String,
    /// `source`, `transform` or `sink`.
    pub(in crate::cli) role: String,
    /// What it is.
    #[serde(rename = "type")]
    pub(in crate::cli) type_name: String,
    /// `running`, `restarting`, `failing` or `ended`.
    pub(in crate::cli) state: String,
    /// Since when, where it is not running.
    pub(in crate::cli) since_seconds: Option<f64>,
    /// What went wrong last, where it is not running.
    pub(in crate::cli) reason: Option<String>,
    /// Records, samples and task sets that it took.
    pub(in crate::cli) received_events: u64,
    /// Their bytes.
    pub(in crate::cli) received_bytes: u64,
    /// What it passed on.
    pub(in crate::cli) sent_events: u64,
    /// Its bytes.
    pub(in crate::cli) sent_bytes: u64,
    /// Errors, single records included.
    pub(in crate::cli) errors: u64,
    /// Records that were given up for good.
    pub(in crate::cli) dropped: u64,
    /// Restarts after a failure.
    pub(in crate::cli) restarts: u64,
    /// Batches that wait in front of it.
    pub(in crate::cli) waiting_batches: u64,
    /// Their bytes.
    pub(in crate::cli) waiting_bytes: u64,
    /// Bytes of its disk buffer.
    pub(in crate::cli) disk_bytes: u64,
    /// Of a source: records whose fate is not known yet.
    pub(in crate::cli) in_flight: u64,
    /// Of a source of files: what is in them beyond its mark, which is written about once a second.
    pub(in crate::cli) behind_bytes: Option<u64>,
}

/// How the desired state is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::cli) struct ApplyStatus {
    /// Whether a run is under way.
    pub(in crate::cli) running: bool,
    /// The last whole run.
    pub(in crate::cli) last: Option<Recap>,
    /// When the next one is due.
    pub(in crate::cli) next_seconds: Option<f64>,
    /// Tasks that the last run found otherwise than it had left them, and who it was.
    pub(in crate::cli) drifted: Vec<String>,
    /// Tasks that put something right as soon as it was changed.
    pub(in crate::cli) repairs: u64,
}

/// Puts it together. Reads a few files.
pub(super) fn status(env: &Environment, board: &Board) -> Status {
    let known = board.read();
    let families = env.telemetry.families();
    let tally = Tally::of(&families);
    let troubles = env.telemetry.health().all();
    let behind = behind(env, &known.components);
    let components: Vec<ComponentStatus> = known
        .components
        .iter()
        .map(|listed| {
            let name = listed.name.as_str();
            let trouble = troubles.get(name);
            ComponentStatus {
                role: listed.role.to_owned(),
                type_name: listed.type_name.clone(),
                state: word(trouble.map(|trouble| trouble.state)).to_owned(),
                behind_bytes: behind.get(name).copied(),
                since_seconds: trouble.map(|trouble| trouble.since.as_secs_f64()),
                reason: trouble.map(|it| it.reason.clone()).filter(|reason| !reason.is_empty()),
                ..component(&tally, name)
            }
        })
        .collect();
    let apply = known.applies().then(|| {
        let progress = env.runs.watch().borrow().clone();
        ApplyStatus {
            running: progress.running,
            last: progress.last.map(Arc::unwrap_or_clone),
            next_seconds: progress.next_seconds,
            drifted: drifted(&families, &progress.changed_by),
            repairs: tally.count("driftless_apply_drift_repairs_total", ""),
        }
    });
    let mut status = Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        host: env.host.to_string(),
        data_dir: env.data_dir.display().to_string(),
        at_seconds: clock::now().as_secs_f64(),
        started_seconds: board.started.as_secs_f64(),
        problems: Vec::new(),
        revision: known.revision,
        refused: known.refused,
        loads_taken: known.taken,
        loads_refused: known.refusals,
        last_load: known.last_load,
        secrets_failed: known.secrets,
        components,
        apply,
        checks: checks(env),
    };
    status.problems = problems(&status);
    status
}

/// How far the sources of files are behind, by their marks on disk.
fn behind(env: &Environment, components: &[Listed]) -> HashMap<String, u64> {
    let is_sink = |name: &str| components.iter().any(|it| it.role == "sink" && it.name == name);
    // A mark that cannot be read is for `logs status` to tell of.
    let sources = sources(&env.data_dir, &is_sink).unwrap_or_default();
    let lag = |source: SourceStatus| {
        let bytes = source.files.iter().filter_map(|file| file.lag_bytes).sum();
        (source.source, bytes)
    };
    sources.into_iter().map(lag).collect()
}

fn checks(env: &Environment) -> Vec<Standing> {
    let mut checks = env.telemetry.standings().all();
    let worst = ["critical", "firing", "warning", "unknown", "pending", "ok"];
    checks.sort_by_key(|check| worst.iter().position(|state| *state == check.state));
    checks
}

fn word(state: Option<State>) -> &'static str {
    match state {
        None => "running",
        Some(State::Restarting) => "restarting",
        Some(State::Failing) => "failing",
        Some(State::Ended) => "ended",
    }
}

fn problems(status: &Status) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(Refused { commit, reason, .. }) = &status.refused {
        problems.push(match commit {
            Some(commit) => format!("the revision {commit} was not taken: {reason}"),
            None => format!("the repository could not be looked at: {reason}"),
        });
    }
    let complaints = status.last_load.iter().flat_map(|load| &load.complaints);
    problems.extend(complaints.map(|complaint| format!("the config was refused: {complaint}")));
    let secrets = status.secrets_failed.iter();
    problems.extend(secrets.map(|why| format!("secrets could not be looked up anew: {why}")));
    for component in &status.components {
        if let ("restarting" | "failing", Some(reason)) = (&*component.state, &component.reason) {
            problems.push(format!("{} is {}: {reason}", component.name, component.state));
        }
    }
    let last = status.apply.as_ref().and_then(|apply| apply.last.as_ref());
    let failures = last.filter(|last| last.failed).map(|last| last.failures.as_slice());
    match failures {
        Some([]) => problems.push("the last run of the desired state failed".to_owned()),
        Some(failures) => problems.extend(failures.iter().map(|it| format!("apply: {it}"))),
        None => {}
    }
    problems
}

fn drifted(families: &[Family], changed_by: &BTreeMap<String, String>) -> Vec<String> {
    let tasks = families.iter().filter(|family| family.name == "driftless_task_drift");
    let off = tasks
        .flat_map(|family| &family.samples)
        .filter(|sample| sample.value == SampleValue::Number(1.0));
    let label = |labels: &[(_, Text)], at: usize| {
        labels.get(at).map(|(_, value)| value.to_string()).unwrap_or_default()
    };
    off.map(|sample| {
        let (place, task) = (label(&sample.labels, 0), label(&sample.labels, 1));
        let who = changed_by.get(&place).map(|who| format!(" ({who})")).unwrap_or_default();
        format!("{place}: {task}{who}")
    })
    .collect()
}

fn component(tally: &Tally<'_>, name: &str) -> ComponentStatus {
    let count = |metric: &str| tally.count(&format!("driftless_{metric}"), name);
    ComponentStatus {
        name: name.to_owned(),
        received_events: count("component_received_events_total"),
        received_bytes: count("component_received_bytes_total"),
        sent_events: count("component_sent_events_total"),
        sent_bytes: count("component_sent_bytes_total"),
        errors: count("component_errors_total"),
        dropped: count("component_dropped_events_total"),
        restarts: count("component_restarts_total"),
        waiting_batches: count("buffer_batches"),
        waiting_bytes: count("buffer_bytes"),
        disk_bytes: count("disk_buffer_bytes"),
        in_flight: count("ledger_in_flight_records"),
        ..ComponentStatus::default()
    }
}
