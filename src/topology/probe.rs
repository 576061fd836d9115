//! Whether the agent is well and does what it is for, as somebody asks who starts it anew or sends
//! it work.

use super::context::Environment;
use super::health::{State, Trouble};
use super::tally::Tally;
use crate::host::clock;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A sink that fails for longer keeps records from their place.
const FAILS_TOO_LONG: Duration = Duration::from_secs(60);

/// A component that batches wait for, and that does nothing for so long, is stuck.
const STANDS_TOO_LONG: Duration = Duration::from_secs(60);

/// What has to change while batches wait.
const SIGNS_OF_LIFE: [&str; 5] = [
    "driftless_component_received_events_total",
    "driftless_component_sent_events_total",
    "driftless_component_errors_total",
    "driftless_component_restarts_total",
    "driftless_component_busy_seconds_total",
];

/// Remembers what was seen at earlier questions.
#[derive(Debug, Default)]
pub struct Probe {
    /// The components that batches wait for.
    standing: Mutex<HashMap<Arc<str>, Standing>>,
}

/// Counts, and since when they are these.
type Standing = ([u64; SIGNS_OF_LIFE.len()], Instant);

impl Probe {
    /// Why the agent is not well, one line each: components that have failed and are not at work,
    /// and those that are stuck.
    pub fn ills(&self, env: &Environment) -> Vec<String> {
        let troubles = env.telemetry.health().all();
        let mut ills: Vec<String> = troubles
            .iter()
            .filter(|(_, trouble)| trouble.state == State::Restarting)
            .map(|(name, trouble)| format!("{name} has failed: {}", trouble.reason))
            .collect();
        ills.extend(self.stuck(env, &troubles));
        ills
    }

    /// Why the agent does not yet, or no longer, do what it is for: all that makes it ill, sinks
    /// that have failed for long, and a desired state that was not run yet.
    pub fn lacks(&self, env: &Environment) -> Vec<String> {
        let mut lacks = self.ills(env);
        let now = clock::now();
        for (name, trouble) in env.telemetry.health().all() {
            let lasts = now.saturating_sub(trouble.since);
            if trouble.state == State::Failing && lasts >= FAILS_TOO_LONG {
                let seconds = lasts.as_secs();
                lacks.push(format!("{name} delivers nothing for {seconds} s: {}", trouble.reason));
            }
        }
        let is_declared = env.tasks.borrow().is_some();
        if is_declared && env.runs.watch().borrow().last.is_none() {
            lacks.push("the desired state was not run yet".to_owned());
        }
        lacks
    }

    /// A sink that fails tells so itself, and is not stuck.
    fn stuck(&self, env: &Environment, troubles: &BTreeMap<Arc<str>, Trouble>) -> Vec<String> {
        let families = env.telemetry.families();
        let tally = Tally::of(&families);
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = families
            .iter()
            .filter(|family| family.name == "driftless_buffer_batches")
            .flat_map(|family| &family.samples)
            .filter_map(|sample| sample.labels.first().map(|(_, name)| name.as_ref()))
            .filter(|name: &&str| tally.count("driftless_buffer_batches", name) > 0)
            .filter(|name| !troubles.contains_key(*name));
        let before = std::mem::take(&mut *standing);
        let mut stuck = Vec::new();
        for name in waiting {
            let counts = SIGNS_OF_LIFE.map(|metric| tally.count(metric, name));
            let since = before.get(name).filter(|(known, _)| *known == counts);
            let since = since.map_or_else(Instant::now, |(_, since)| *since);
            standing.insert(name.into(), (counts, since));
            // A run of the desired state takes as long as it takes, and the next one waits for it.
            if since.elapsed() >= STANDS_TOO_LONG && !env.runs.is_running() {
                let batches = tally.count("driftless_buffer_batches", name);
                stuck.push(format!("{name} is stuck: {batches} batches wait and nothing moves"));
            }
        }
        stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::testing::{environment_in, number};
    use std::path::Path;

    #[tokio::test(start_paused = true)]
    async fn a_component_that_batches_wait_for_and_that_does_nothing_for_a_minute_is_stuck() {
        let env = environment_in(Path::new("/nonexistent"));
        let (probe, name) = (Probe::default(), Arc::from("logs.out"));
        env.telemetry.edge(&name).enters(10);
        let sink = env.telemetry.component(&name);
        assert!(probe.ills(&env).is_empty());
        tokio::time::advance(STANDS_TOO_LONG).await;
        let ills = probe.ills(&env);
        assert_eq!(ills, ["logs.out is stuck: 1 batches wait and nothing moves"]);
        assert_eq!(probe.lacks(&env), ills);
        sink.received(&number(1));
        assert!(probe.ills(&env).is_empty(), "it moves");
        env.runs.begin();
        tokio::time::advance(STANDS_TOO_LONG).await;
        assert!(probe.ills(&env).is_empty(), "a run takes as long as it takes");
    }

    #[test]
    fn a_component_that_has_failed_is_ill_and_one_that_cannot_deliver_is_not() {
        let env = environment_in(Path::new("/nonexistent"));
        let (probe, name) = (Probe::default(), Arc::from("logs.out"));
        let sink = env.telemetry.component(&name);
        sink.not_at_work(State::Failing, "nobody is there");
        assert!(probe.ills(&env).is_empty() && probe.lacks(&env).is_empty(), "not for long");
        sink.not_at_work(State::Restarting, "no such directory");
        assert_eq!(probe.ills(&env), ["logs.out has failed: no such directory"]);
        sink.at_work();
        assert!(probe.ills(&env).is_empty());
    }
}
