//! The stream of desired states, run one after the other on a thread of its own.

use super::done::Ran;
use super::drift::{Drift, Extent, Looked};
use super::executor::{Action, Inputs, Observer, Pending, Selection};
use super::numbers::Numbers;
use super::part::{ChangedBy, Due, Left, TaskKey, in_words, refers_to};
use super::recap;
use super::record::run_recorded;
use super::report::{Report, Status, TaskReport};
use super::shorten::shorten;
use crate::event::Batch;
use crate::event::ack::{Ack, Outcome};
use crate::event::secret::Masker;
use crate::event::task::{SharedTaskSet, Task};
use crate::expr::jinja::Engine;
use crate::expr::scope::Vars;
use crate::host::clock;
use crate::host::facts::{Facts, facts_value};
use crate::topology::component::{Fault, StreamSink};
use crate::topology::context::{Environment, SinkContext};
use crate::topology::edge::{Envelope, Input};
use crate::topology::runs::{Part, Recap};
use async_trait::async_trait;
use minijinja::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

/// Runs the newest desired state, again at every interval, and parts of it where something drifts.
pub(super) struct Apply {
    pub(super) interval: Duration,
    pub(super) watch: bool,
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
        let mut drift = if self.watch && !env.once { listen(self.interval) } else { None };
        let mut runner = Runner::new(Arc::clone(&env), drift.is_some());
        let mut current: Option<SharedTaskSet> = None;
        let mut due = Instant::now();
        loop {
            // What something has drifted for; everything where there is none.
            let mut part = None;
            let mut is_selected = false;
            let envelope = tokio::select! {
                envelope = input.next() => match envelope {
                    Some(envelope) => Some(envelope),
                    None => break,
                },
                () = sleep_until(due), if current.is_some() && !env.once => None,
                () = env.runs.asked(), if current.is_some() => None,
                () = env.runs.part_asked(), if current.is_some() => {
                    is_selected = true;
                    None
                }
                drifted = drifted(&mut drift), if current.is_some() => {
                    match drifted {
                        Ok(keys) => part = Some(keys),
                        Err(error) => {
                            tracing::error!(%error, "the kernel tells of no changes any more; each interval looks for them");
                            drift = None;
                            continue;
                        }
                    }
                    None
                }
            };
            let mut acks = Vec::new();
            if let Some(envelope) = envelope {
                take(envelope, &cx, &mut current, &mut acks);
            }
            // The newest one replaces those that wait.
            while let Some(envelope) = input.try_next().await {
                take(envelope, &cx, &mut current, &mut acks);
                // What was asked for comes when all of it has run.
                (part, is_selected) = (None, false);
            }
            let selected = if is_selected { env.runs.next_part() } else { None };
            let (selection, answer) = selection_of(selected);
            let extent = match (&part, &answer) {
                (Some(_), _) => Extent::Due,
                (None, Some(_)) => Extent::Selected,
                (None, None) => Extent::Whole,
            };
            let Some(set) = current.clone() else { continue };
            let mut own = runner;
            let answers = env.runs.begin();
            let begun = Instant::now();
            let ran = tokio::task::spawn_blocking(move || {
                let end = own.run(&set, part, &selection);
                (own, end)
            })
            .await;
            // A bug in a task fails the run; the state stays the one to bring about.
            let (own, end) = ran.unwrap_or_else(|error| {
                let runner = Runner::new(Arc::clone(&env), drift.is_some());
                (runner, Err(format!("a bug in the executor: {error}")))
            });
            runner = own;
            let took = begun.elapsed();
            cx.telemetry.busy(took);
            let failed = say_how_it_ended(&end, took, extent);
            match extent {
                Extent::Whole => {
                    let now = clock::now();
                    numbers.add(end.as_ref().ok(), took, now);
                    due = Instant::now() + self.interval;
                    let next = now.saturating_add(self.interval).as_secs_f64();
                    env.runs.end_whole(recap::of(&end, took, &env.masker), answers, next);
                }
                Extent::Due => {
                    numbers.add_repairs(end.as_ref().ok());
                    env.runs.end(failed || env.runs.last_failed(), changed_by(&runner.looked));
                }
                Extent::Selected => {
                    end.iter().for_each(|report| numbers.add_changes(report));
                    env.runs.end(failed || env.runs.last_failed(), BTreeMap::new());
                }
            }
            if let Some(answer) = answer {
                // Whoever has asked may have gone meanwhile.
                answer.send(recap::of(&end, took, &env.masker)).ok();
            }
            if let Some(drift) = &mut drift {
                drift.ran(std::mem::take(&mut runner.looked), extent);
                numbers.watched(drift.counts());
            }
            settle(acks, failed, &cx);
        }
        env.runs.set_ended(true);
        Ok(())
    }
}

/// Which tasks are asked for, all where nobody asks, and where it is told what came of it.
fn selection_of(part: Option<Part>) -> (Selection, Option<oneshot::Sender<Recap>>) {
    let Some(Part { tags, skip_tags, answer }) = part else { return (Selection::default(), None) };
    (Selection { tags, skip_tags, ..Selection::default() }, Some(answer))
}

/// Who had changed what was repaired, in words, by the place of the task.
fn changed_by(looked: &[Looked]) -> BTreeMap<String, String> {
    let known = looked.iter().filter_map(|it| {
        let who = it.changed_by.clone()?;
        Some((it.watched.key.place.clone(), who))
    });
    known.collect()
}

fn listen(interval: Duration) -> Option<Drift> {
    let drift = Drift::new(interval);
    drift
        .inspect_err(|error| {
            tracing::error!(%error, "the kernel tells of no changes; each interval looks for them");
        })
        .ok()
}

async fn drifted(drift: &mut Option<Drift>) -> std::io::Result<Due> {
    match drift {
        Some(drift) => drift.next().await,
        None => std::future::pending().await,
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
fn say_how_it_ended(end: &Result<Report, String>, took: Duration, extent: Extent) -> bool {
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
    } else if changed > 0 && extent == Extent::Due {
        tracing::info!(revision, changed, duration_seconds, "drift repaired");
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
    /// What the tasks of the last whole run have left, where parts of it may run.
    memory: Option<HashMap<TaskKey, Left>>,
    /// What the tasks of the last run have looked at, for the same reason.
    looked: Vec<Looked>,
}

impl Runner {
    fn new(env: Arc<Environment>, remembers: bool) -> Self {
        let (engine, facts) = (Arc::new(Engine::new()), Facts::of_this_host());
        let memory = remembers.then(HashMap::new);
        Self { env, engine, facts, ran: None, memory, looked: Vec::new() }
    }

    /// Runs the tasks of `part`, those that depend on what they leave, and their handlers; where there
    /// is none, all tasks of the selection.
    fn run(
        &mut self,
        set: &SharedTaskSet,
        part: Option<Due>,
        selection: &Selection,
    ) -> Result<Report, String> {
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
        let mut memory = self.memory.take();
        if let (Some(memory), None, true) = (&mut memory, &part, selection.is_everything()) {
            memory.clear();
        }
        let part = part.map(|part| masked(part, &masker));
        let (looked, renewed) = (Vec::new(), BTreeSet::new());
        let mut journal = Journal { ran, masker, memory, part, renewed, looked };
        let check = || Ok(());
        let end = run_recorded(set, &inputs, selection, data_dir, waits, check, &mut journal);
        self.ran = Some(journal.ran);
        self.memory = journal.memory;
        self.looked = journal.looked;
        end
    }
}

/// The same without secrets.
fn masked(mut part: Due, masker: &Masker) -> Due {
    for changed in part.values_mut().flatten() {
        changed.path = masker.mask(&changed.path).into_owned();
        changed.writer.exe = changed.writer.exe.take().map(|exe| masker.mask(&exe).into_owned());
    }
    part
}

/// Logs what changed and what failed, keeps actions from being done twice, and tasks from running
/// that a part has nothing to do with.
struct Journal {
    ran: Ran,
    masker: Masker,
    memory: Option<HashMap<TaskKey, Left>>,
    part: Option<Due>,
    /// Variables that are other ones than in the last whole run.
    renewed: BTreeSet<String>,
    looked: Vec<Looked>,
}

impl Observer for Journal {
    fn finished(&mut self, task: &TaskReport) -> Result<(), String> {
        let name = task.name.as_str();
        let (module, place) = (task.module.as_str(), task.place.as_deref());
        let message = task.message.as_deref().map(|message| shorten(message, &self.masker));
        let message = message.as_deref();
        let watched = task.watched.as_ref();
        let changed_by = watched.and_then(|watched| in_words(self.changed_by(&watched.key)));
        let changed_by = changed_by.as_deref();
        match task.status {
            Status::Failed => {
                let (ignored, hint) = (task.ignored, task.hint.as_deref());
                tracing::error!(name, module, place, message, hint, ignored, "task failed");
            }
            _ if !task.changes.is_empty() => {
                let changes: Vec<&str> =
                    task.changes.iter().map(|change| change.summary.as_str()).collect();
                let changes = changes.join("; ");
                let changes = &*shorten(&changes, &self.masker);
                tracing::info!(name, module, place, changes, changed_by, "task changed the host");
            }
            _ => {}
        }
        if let Some(watched) = &task.watched {
            self.looked.push(Looked {
                name: task.name.clone(),
                watched: watched.clone(),
                has_changed: !task.changes.is_empty(),
                changed_by: changed_by.map(str::to_owned),
            });
        }
        Ok(())
    }

    fn cause(&self) -> Option<&'static str> {
        self.part.is_some().then_some("drift")
    }

    fn changed_by(&self, key: &TaskKey) -> &[ChangedBy] {
        self.part.as_ref().and_then(|part| part.get(key)).map(Vec::as_slice).unwrap_or_default()
    }

    fn remembers(&self) -> bool {
        self.memory.is_some()
    }

    fn left_before(&mut self, key: &TaskKey, task: &Task) -> Option<Left> {
        let part = self.part.as_ref()?;
        if part.contains_key(key) || refers_to(task, &self.renewed) {
            return None;
        }
        // Who has failed has left nothing.
        Some(self.memory.as_ref()?.get(key).cloned().unwrap_or_default())
    }

    fn leaves(&mut self, key: &TaskKey, left: Left) {
        let Some(memory) = &mut self.memory else { return };
        match memory.get(key) {
            Some(before) => {
                self.renewed.extend(left.differs_from(before).map(str::to_owned));
            }
            None => drop(memory.insert(key.clone(), left)),
        }
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
