//! Goes through the steps of a play: blocks with what rescues them, includes, `meta`.

use super::executor::{Executor, Next, Wish};
use super::parse::Parser;
use super::report::{ChangeReport, Status, TaskReport};
use super::tasks::{self, Failure, Include};
use crate::event::task::{Block, Step, Task};
use crate::event::tree::Node;
use minijinja::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// More includes within each other are one that never ends.
const DEEPEST_INCLUDE: usize = 64;

/// What holds for steps because of how the run came to them.
#[derive(Clone, Default)]
pub(super) struct Frame {
    /// The variables of loops around an include.
    pub(super) locals: Arc<Vec<(String, Value)>>,
    /// Whether a failure is rescued.
    pub(super) is_rescued: bool,
    /// Whether it is a handler, or what one includes.
    pub(super) is_handler: bool,
    pub(super) depth: usize,
}

impl Executor<'_> {
    pub(super) fn steps(&mut self, steps: &[Step], frame: &Frame) -> Next {
        for (at, step) in steps.iter().enumerate() {
            let next = match step {
                Step::Task(task) => self.step(task, frame),
                Step::Block(block) => self.block(block, frame),
            };
            if next == Next::GoOn {
                continue;
            }
            if matches!(next, Next::Failed | Next::Stop) {
                self.add_not_run(&steps[at + 1..]);
            }
            return next;
        }
        Next::GoOn
    }

    pub(super) fn step(&mut self, task: &Task, frame: &Frame) -> Next {
        if task.module == "meta" {
            return self.meta(task, frame);
        }
        let (next, includes) = self.task(task, frame);
        for (include, locals) in includes {
            if next != Next::GoOn {
                break;
            }
            let after = self.include(&include, locals, task, frame);
            if !matches!(after, Next::GoOn | Next::EndRole) {
                return after;
            }
        }
        next
    }

    fn include(
        &mut self,
        include: &Include,
        locals: Vec<(String, Value)>,
        task: &Task,
        frame: &Frame,
    ) -> Next {
        let mut all = Vec::clone(&frame.locals);
        all.extend(locals);
        let frame = Frame { locals: Arc::new(all), depth: frame.depth + 1, ..frame.clone() };
        let scope = self.scope_of(&task.home).scope;
        let brought = if frame.depth > DEEPEST_INCLUDE {
            Err(Failure::new(format!("more than {DEEPEST_INCLUDE} files include each other")))
        } else {
            Parser::new(self.set, scope).bring(include, task).map_err(|complaints| {
                let more = complaints.len().saturating_sub(1);
                let first = Failure::first(complaints);
                let message = match more {
                    0 => first.message,
                    more => format!("{} (and {more} more complaints)", first.message),
                };
                Failure { message, ..first }
            })
        };
        let brought = match brought {
            Ok(brought) => brought,
            Err(failure) => return self.failed_by_itself(task, failure, &frame),
        };
        self.publish(brought.roles);
        self.play.handlers.extend(brought.handlers.into_iter().map(Arc::new));
        self.steps(&brought.steps, &frame)
    }

    fn block(&mut self, block: &Block, frame: &Frame) -> Next {
        let effects = self.machine.journal().len();
        let notified = self.play.notified.clone();
        let (tasks, not_run) = (self.report.tasks.len(), self.report.not_run.len());
        let is_rescued = frame.is_rescued || !block.rescue.is_empty();
        let mut next = self.steps(&block.tasks, &Frame { is_rescued, ..frame.clone() });
        if next == Next::Failed {
            if block.rollback {
                self.roll_back(block, effects, &notified);
            }
            if !block.rescue.is_empty() {
                self.report.not_run.truncate(not_run);
                if let Some((task, result)) = self.failed.take() {
                    let results = Arc::make_mut(&mut self.results);
                    results.insert("ansible_failed_task".into(), task);
                    results.insert("ansible_failed_result".into(), result);
                }
                next = self.steps(&block.rescue, frame);
            }
        }
        if matches!(next, Next::GoOn | Next::Failed) && !block.always.is_empty() {
            let failed = self.failed.take();
            self.is_forgiven = false;
            let after = self.steps(&block.always, frame);
            if self.is_forgiven && next == Next::Failed && after == Next::GoOn {
                self.forgive(tasks, not_run);
                next = Next::GoOn;
            } else if next == Next::GoOn || after == Next::Stop {
                next = after;
            } else {
                self.failed = failed;
            }
        }
        next
    }

    /// Counts what has failed since there were so many tasks as rescued.
    fn forgive(&mut self, tasks: usize, not_run: usize) {
        self.is_forgiven = false;
        self.report.not_run.truncate(not_run);
        for task in &mut self.report.tasks[tasks..] {
            task.rescued |= task.status == Status::Failed && !task.ignored;
        }
    }

    /// Undoes what a block has done, and what it has notified.
    fn roll_back(&mut self, block: &Block, effects: usize, notified: &BTreeSet<usize>) {
        let started = std::time::Instant::now();
        let mark = self.machine.journal().len();
        let left = self.machine.undo(effects);
        let masker = &self.inputs.masker;
        let undone = &self.machine.journal()[mark..];
        let changes: Vec<_> =
            undone.iter().map(|change| ChangeReport::new(change, masker, true)).collect();
        self.play.notified.clone_from(notified);
        self.save_pending();
        if changes.is_empty() && left.is_empty() {
            return;
        }
        let message = (!left.is_empty()).then(|| {
            let left: Vec<_> = left.iter().map(|fault| fault.message.as_str()).collect();
            self.masked(&format!("not undone: {}", left.join("; ")))
        });
        let name = if block.name.is_empty() { "block" } else { &block.name };
        let report = TaskReport {
            number: self.report.tasks.len() + 1,
            name: self.masked(&format!("rollback of {name}")),
            module: "rollback".into(),
            place: block.span.as_ref().map(ToString::to_string),
            status: Status::Changed,
            message,
            changes,
            duration: started.elapsed(),
            ..TaskReport::default()
        };
        self.told(report);
    }

    fn meta(&mut self, task: &Task, frame: &Frame) -> Next {
        let action = task.args.get(tasks::META_ACTION).and_then(Node::as_str);
        let action = action.unwrap_or_default();
        match self.wants_meta(task, frame) {
            Ok(true) => {}
            Ok(false) => return Next::GoOn,
            Err(failure) => return self.failed_by_itself(task, failure, frame),
        }
        match action {
            "flush_handlers" => self.flush(frame),
            "end_play" | "end_host" | "end_batch" => Next::EndPlay,
            "end_role" => Next::EndRole,
            "clear_host_errors" => {
                self.is_forgiven = true;
                Next::GoOn
            }
            "clear_facts" => {
                // What the host is like is looked at when it is asked for; only what was set goes.
                self.results = Arc::default();
                Next::GoOn
            }
            _ => Next::GoOn,
        }
    }

    /// Ends a task that could not do what only the executor can do for it.
    pub(super) fn failed_by_itself(
        &mut self,
        task: &Task,
        failure: Failure,
        frame: &Frame,
    ) -> Next {
        let result = Value::from_pairs([
            ("failed", Value::from(true)),
            ("changed", false.into()),
            ("msg", failure.message.as_str().into()),
        ]);
        let report = TaskReport {
            number: self.report.tasks.len() + 1,
            name: self.masked(&task.name),
            module: task.module.clone(),
            handler: frame.is_handler,
            rescued: frame.is_rescued,
            place: task.span.as_ref().map(ToString::to_string),
            status: Status::Failed,
            message: Some(self.masked(&failure.message)),
            hint: failure.hint.map(|hint| self.masked(&hint)),
            ..TaskReport::default()
        };
        self.failed = Some((failed_task(task), result));
        self.told(report);
        if self.report.stopped.is_some() { Next::Stop } else { Next::Failed }
    }

    /// Passes a report on and keeps it.
    pub(super) fn told(&mut self, report: TaskReport) {
        if let Err(why) = self.observer.finished(&report) {
            self.report.stopped.get_or_insert(why);
        }
        self.report.tasks.push(report);
    }

    /// Notes the tasks among `steps` as ones that did not run.
    pub(super) fn add_not_run(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Task(task) if task.module == "meta" => {}
                Step::Task(task) => {
                    let name = self.masked(&task.name);
                    self.report.not_run.push(name);
                }
                Step::Block(block) => {
                    self.add_not_run(&block.tasks);
                    self.add_not_run(&block.always);
                }
            }
        }
    }

    /// Whether the task is wanted by those who choose tasks by name.
    pub(super) fn is_chosen(&mut self, name: &str, written: &str) -> bool {
        if let Some(first) = &self.waits_for {
            let glob = globset::Glob::new(first).map(|glob| glob.compile_matcher());
            let fits =
                |name: &str| first == name || glob.as_ref().is_ok_and(|glob| glob.is_match(name));
            if !fits(name) && !fits(written) {
                return false;
            }
            self.waits_for = None;
        }
        self.observer.asks(name) == Wish::Run
    }

    /// Lets time pass, unless somebody wants the run to end or it is a dry one.
    pub(super) fn wait(&self, time: Duration) {
        /// As long as somebody who presses Ctrl-C does not notice.
        const SLICE: Duration = Duration::from_millis(100);
        let mut left = time;
        while !left.is_zero() && !self.machine.is_dry_run() && !self.observer.is_interrupted() {
            let slice = left.min(SLICE);
            std::thread::sleep(slice);
            left -= slice;
        }
    }
}

/// `ansible_failed_task`.
pub(super) fn failed_task(task: &Task) -> Value {
    let place = task.span.as_ref().map(ToString::to_string).unwrap_or_default();
    Value::from_pairs([
        ("name", Value::from(task.name.as_str())),
        ("action", task.module.as_str().into()),
        ("place", place.into()),
    ])
}
