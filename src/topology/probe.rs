//! Whether the agent is well and does what it is for, as somebody asks who starts it anew or sends
//! it work.

use super::context::Environment;
use super::full::Place;
use super::health::{State, Trouble};
use super::tally::Tally;
use crate::event::time::write_rfc3339;
use crate::host::clock;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A sink that fails for longer keeps records from their place.
const FAILS_TOO_LONG: Duration = Duration::from_secs(60);

/// A component that batches wait for, and that does nothing for so long, is stuck.
const STANDS_TOO_LONG: Duration = Duration::from_secs(60);

/// A buffer that is full for longer keeps a source from reading on, or loses what comes.
const FULL_TOO_LONG: Duration = Duration::from_secs(60);

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
    /// that have failed for long, buffers that are full for long, and a desired state that was not
    /// run yet.
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
        for (name, place, since) in env.telemetry.fullness().all() {
            let lasts = since.elapsed();
            if lasts >= FULL_TOO_LONG {
                let what = if place == Place::Disk { "disk buffer" } else { "buffer" };
                let seconds = lasts.as_secs();
                let since = rfc3339(now.saturating_sub(lasts));
                lacks.push(format!("the {what} of {name} is full since {since} ({seconds} s)"));
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

fn rfc3339(since_epoch: Duration) -> String {
    let mut text = Vec::new();
    write_rfc3339(&mut text, i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX));
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ack::{Ack, SinkSet};
    use crate::topology::buffer::WhenFull;
    use crate::topology::edge::{EdgeLimits, Envelope, edge};
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

    #[tokio::test(start_paused = true)]
    async fn a_buffer_that_nothing_leaves_for_a_minute_is_lacking_until_something_does() {
        let env = environment_in(Path::new("/nonexistent"));
        let (probe, name) = (Probe::default(), Arc::from("logs.out"));
        let drops =
            EdgeLimits { batches: 1, when_full: WhenFull::DropNewest, ..EdgeLimits::default() };
        let (sender, input) = edge(drops, env.telemetry.edge(&name));
        let envelope = || Envelope::new(number(1), Ack::unobserved(SinkSet::NONE), None);
        assert!(sender.send(envelope()).await);
        tokio::time::advance(FULL_TOO_LONG).await;
        let tells = |lacks: Vec<String>| lacks.iter().any(|lack| lack.contains("is full since"));
        assert!(!tells(probe.lacks(&env)), "nobody has found it full");
        sender.send(envelope()).await;
        tokio::time::advance(FULL_TOO_LONG / 2).await;
        sender.send(envelope()).await;
        assert!(!tells(probe.lacks(&env)), "not for long");
        tokio::time::advance(FULL_TOO_LONG / 2).await;
        let lacks = probe.lacks(&env);
        let lack = lacks.iter().find(|lack| lack.contains("is full since")).unwrap();
        assert!(lack.starts_with("the buffer of logs.out") && lack.ends_with("(60 s)"), "{lack}");
        drop(input.next().await);
        assert!(!tells(probe.lacks(&env)), "there is room");
        let waits = EdgeLimits { batches: 1, ..EdgeLimits::default() };
        let (sender, input) = edge(waits, env.telemetry.edge(&name));
        assert!(sender.send(envelope()).await);
        let writer = tokio::spawn(async move { sender.send(envelope()).await });
        tokio::time::sleep(FULL_TOO_LONG).await;
        assert!(tells(probe.lacks(&env)), "its writer waits");
        drop(input.next().await);
        assert!(!tells(probe.lacks(&env)) && writer.await.unwrap());
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
