//! The stream of desired states, run one after the other on a thread of its own.

use super::done::Ran;
use super::executor::{Action, Inputs, Observer, Pending, Selection};
use super::numbers::Numbers;
use super::record::run_recorded;
use super::report::{Report, Status, TaskReport};
use crate::event::Batch;
use crate::event::ack::{Ack, Outcome};
use crate::event::secret::Masker;
use crate::event::task::SharedTaskSet;
use crate::expr::jinja::Engine;
use crate::expr::scope::Vars;
use crate::host::clock;
use crate::host::facts::{Facts, facts_value};
use crate::topology::component::{Fault, StreamSink};
use crate::topology::context::{Environment, SinkContext};
use crate::topology::edge::{Envelope, Input};
use async_trait::async_trait;
use minijinja::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Runs the newest desired state, and again at every interval.
pub(super) struct Apply {
    pub(super) interval: Duration,
}

#[async_trait]
impl StreamSink for Apply {
    async fn run(self: Box<Self>, input: Input, cx: SinkContext) -> Result<(), Fault> {
        let env = Arc::clone(&cx.env);
        let numbers = env
            .telemetry
            .own(Numbers::new)
            .map_err(|error| Fault::fatal(format!("no metrics of its own: {error}")))?;
        env.runs.set_ended(false);
        let mut runner = Runner::new(Arc::clone(&env));
        let mut current: Option<SharedTaskSet> = None;
        let mut due = Instant::now();
        loop {
            let envelope = tokio::select! {
                envelope = input.next() => match envelope {
                    Some(envelope) => Some(envelope),
                    None => break,
                },
                () = sleep_until(due), if current.is_some() && !env.once => None,
            };
            let mut acks = Vec::new();
            if let Some(envelope) = envelope {
                take(envelope, &cx, &mut current, &mut acks);
            }
            // The newest one replaces those that wait.
            while let Some(envelope) = input.try_next().await {
                take(envelope, &cx, &mut current, &mut acks);
            }
            let Some(set) = current.clone() else { continue };
            let mut own = runner;
            env.runs.begin();
            let begun = Instant::now();
            let ran = tokio::task::spawn_blocking(move || {
                let end = own.run(&set);
                (own, end)
            })
            .await;
            // A bug in a task fails the run; the state stays the one to bring about.
            let (own, end) = ran.unwrap_or_else(|error| {
                (Runner::new(Arc::clone(&env)), Err(format!("a bug in the executor: {error}")))
            });
            runner = own;
            let took = begun.elapsed();
            cx.telemetry.busy(took);
            numbers.add(end.as_ref().ok(), took, clock::now());
            let failed = say_how_it_ended(&end, took);
            env.runs.end(failed);
            settle(acks, failed, &cx);
            due = Instant::now() + self.interval;
        }
        env.runs.set_ended(true);
        Ok(())
    }
}

/// Makes what came the current state; its ack waits for the end of the run.
fn take(
    envelope: Envelope,
    cx: &SinkContext,
    current: &mut Option<SharedTaskSet>,
    acks: &mut Vec<Ack>,
) {
    cx.telemetry.received(&envelope.batch);
    let (batch, ack, _) = envelope.open();
    if let Batch::Tasks(set) = batch {
        *current = Some(set);
    }
    acks.push(ack);
}

fn settle(acks: Vec<Ack>, failed: bool, cx: &SinkContext) {
    let sets = acks.len() as u64;
    if failed {
        cx.telemetry.errors(1);
        if sets > 0 {
            cx.telemetry.dropped("the run failed", sets);
        }
    } else {
        cx.telemetry.delivered(sets, sets);
    }
    let outcome = if failed { Outcome::Dropped } else { Outcome::Delivered };
    acks.into_iter().for_each(|ack| ack.settle(outcome));
}

/// Logs the end of a run, and tells whether it failed.
fn say_how_it_ended(end: &Result<Report, String>, took: Duration) -> bool {
    let duration_seconds = took.as_secs_f64();
    let report = match end {
        Ok(report) => report,
        Err(reason) => {
            tracing::error!(reason, "the desired state was not applied");
            return true;
        }
    };
    let recap = report.recap();
    let revision = report.revision.as_str();
    let (ok, changed, failed) = (recap.ok, recap.changed, recap.failed);
    if report.has_failed() {
        let (not_run, reason) = (report.not_run.len(), report.stopped.as_deref());
        tracing::error!(revision, ok, changed, failed, not_run, reason, "apply failed");
    } else if changed > 0 {
        tracing::info!(revision, ok, changed, duration_seconds, "applied");
    } else {
        tracing::debug!(revision, ok, duration_seconds, "as declared");
    }
    report.has_failed()
}

/// What runs need of the process, from one to the next.
struct Runner {
    env: Arc<Environment>,
    engine: Arc<Engine>,
    facts: Facts,
    ran: Option<Ran>,
}

impl Runner {
    fn new(env: Arc<Environment>) -> Self {
        let engine = Arc::new(Engine::new());
        Self { env, engine, facts: Facts::of_this_host(), ran: None }
    }

    fn run(&mut self, set: &SharedTaskSet) -> Result<Report, String> {
        let data_dir = &self.env.data_dir;
        let ran = match self.ran.take() {
            Some(mut ran) => {
                ran.enter(&set.revision);
                ran
            }
            None => Ran::load(data_dir, &set.revision).map_err(|error| {
                format!("what ran before, in `{}`: {error}", data_dir.display())
            })?,
        };
        let masker = self.env.masker.clone();
        let inputs = Inputs {
            engine: Arc::clone(&self.engine),
            facts: facts_value(&Arc::new(self.facts.again())),
            host: self.env.host.to_string(),
            secrets: set.secrets.clone(),
            masker: masker.clone(),
            extra_vars: Vars::new(),
            pending: Pending::default(),
            diffs: false,
        };
        let waits = |pid: &str| tracing::info!(pid, "another run goes on; this one waits for it");
        let mut journal = Journal { ran, masker };
        let everything = Selection::default();
        let check = || Ok(());
        let end = run_recorded(set, &inputs, &everything, data_dir, waits, check, &mut journal);
        self.ran = Some(journal.ran);
        end
    }
}

/// Logs what changed and what failed, and keeps actions from being done twice.
struct Journal {
    ran: Ran,
    masker: Masker,
}

impl Observer for Journal {
    fn finished(&mut self, task: &TaskReport) -> Result<(), String> {
        let name = task.name.as_str();
        let (module, place) = (task.module.as_str(), task.place.as_deref());
        let message = task.message.as_deref();
        match task.status {
            Status::Failed => {
                let (ignored, hint) = (task.ignored, task.hint.as_deref());
                tracing::error!(name, module, place, message, hint, ignored, "task failed");
            }
            _ if !task.changes.is_empty() => {
                let changes: Vec<&str> =
                    task.changes.iter().map(|change| change.summary.as_str()).collect();
                let changes = changes.join("; ");
                tracing::info!(name, module, place, changes, "task changed the host");
            }
            _ => {}
        }
        Ok(())
    }

    fn done_before(&mut self, action: &Action<'_>) -> Option<Value> {
        self.ran.result(action, clock::now())
    }

    fn done(&mut self, action: &Action<'_>, result: &Value) -> Result<(), String> {
        self.ran.remember(action, result, clock::now(), &self.masker).map_err(|error| {
            format!("that `{}` was done cannot be written down: {error}", action.task.name)
        })
    }
}
