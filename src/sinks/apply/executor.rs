//! Runs the tasks of a set in order, and the handlers that they notify.

use super::items;
use super::keywords::Keywords;
use super::looks::Looks;
use super::report::{ItemReport, Report, Status, TaskReport};
use super::tasks::{self, Failure, Module};
use super::turn::{Done, Job, Turn};
use crate::event::secret::{Masker, Secrets};
use crate::event::task::{Task, TaskSet};
use crate::event::tree::Node;
use crate::expr::jinja::Engine;
use crate::expr::scope::{Scope, Vars};
use crate::expr::value::pairs;
use crate::host::machine::Machine;
use indexmap::IndexMap;
use minijinja::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What tasks may read beside their own variables.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The one expression engine.
    pub engine: Arc<Engine>,
    /// What the host is like: the name `facts`.
    pub facts: Value,
    /// The host's name.
    pub host: String,
    /// The secrets that the config refers to.
    pub secrets: Secrets,
    /// Knows them, to keep them out of everything that is shown.
    pub masker: Masker,
    /// Variables that beat all others.
    pub extra_vars: Vars,
}

/// Which tasks run.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only those with one of these tags; all where empty.
    pub tags: Vec<String>,
    /// Not those with one of these.
    pub skip_tags: Vec<String>,
}

/// Hears how a run goes on, and may keep it from going on.
pub trait Observer {
    /// A task begins.
    fn started(&mut self, _name: &str, _handler: bool) {}

    /// A task has ended. An error ends the run before the next one begins.
    fn finished(&mut self, _task: &TaskReport) -> Result<(), String> {
        Ok(())
    }

    /// What an action came to when it was done before, where it is not to be done again.
    fn done_before(&mut self, _action: &Action<'_>) -> Option<Value> {
        None
    }

    /// An action was done and came to `result`. An error ends the run.
    fn done(&mut self, _action: &Action<'_>, _result: &Value) -> Result<(), String> {
        Ok(())
    }
}

/// A task that acts without looking first whether that is needed, such as a command.
#[derive(Clone, Copy, Debug)]
pub struct Action<'a> {
    /// The task.
    pub task: &'a Task,
    /// How often it is due; once a revision where nothing says so.
    pub every: Option<Duration>,
    /// Whether other tasks may read what it came to.
    pub is_read: bool,
}

/// Listens to nothing.
#[derive(Debug)]
pub struct Silent;

impl Observer for Silent {}

/// Runs `set` on `machine`. The first task that fails ends the run; the report says what was
/// done and what was not.
pub fn run(
    set: &TaskSet,
    machine: &mut Machine,
    inputs: &Inputs,
    selection: &Selection,
    observer: &mut dyn Observer,
) -> Report {
    machine.refuse_secrets(inputs.masker.clone());
    let looks = Looks::new(machine, &set.base);
    let scope = Scope::new(Arc::clone(&inputs.engine))
        .with_fixed("facts", inputs.facts.clone())
        .with_fixed("host", inputs.host.as_str().into())
        .with_fixed("inventory_hostname", inputs.host.as_str().into())
        .with_fixed("ansible_check_mode", machine.is_dry_run().into())
        .with_secrets(inputs.secrets.clone())
        .with_masker(inputs.masker.clone())
        .with_host(looks.clone())
        .with_vars(Arc::new(set.vars.clone()))
        .with_overriding(Arc::new(inputs.extra_vars.clone()));
    let report = Report {
        revision: set.revision.clone(),
        dry_run: machine.is_dry_run(),
        ..Report::default()
    };
    let mut executor = Executor {
        set,
        machine,
        inputs,
        selection,
        observer,
        scope,
        looks,
        results: Arc::default(),
        notified: BTreeSet::new(),
        report,
    };
    executor.run();
    executor.report
}

struct Executor<'a> {
    set: &'a TaskSet,
    machine: &'a mut Machine,
    inputs: &'a Inputs,
    selection: &'a Selection,
    observer: &'a mut dyn Observer,
    scope: Scope,
    looks: Arc<Looks>,
    results: Arc<IndexMap<String, Value>>,
    /// Handlers (by their place in the set) that were notified and have not run yet.
    notified: BTreeSet<usize>,
    report: Report,
}

/// Whether the run goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

/// Whether a task is one of the set's tasks or of its handlers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Task,
    Handler,
}

impl Executor<'_> {
    fn run(&mut self) {
        let set = self.set;
        let ended = set.tasks.iter().enumerate().find_map(|(at, task)| {
            let next = if is_flush(task) { self.flush() } else { self.task(task, Role::Task) };
            (next == Next::Stop).then_some(at)
        });
        match ended {
            Some(at) => {
                let rest = set.tasks[at + 1..].iter().filter(|task| !is_flush(task));
                self.report.not_run = rest.map(|task| self.masked(&task.name)).collect();
            }
            None => drop(self.flush()),
        }
        let pending = self.notified.iter().map(|at| self.masked(&set.handlers[*at].name));
        self.report.pending_handlers = pending.collect();
    }

    /// Runs notified handlers, in the order in which they are written, until none is left: a
    /// handler may notify another.
    fn flush(&mut self) -> Next {
        while let Some(at) = self.notified.pop_first() {
            if self.task(&self.set.handlers[at], Role::Handler) == Next::Stop {
                return Next::Stop;
            }
        }
        Next::GoOn
    }

    fn task(&mut self, task: &Task, role: Role) -> Next {
        let mut complaints = Vec::new();
        let keywords = Keywords::read(&task.keywords, &self.inputs.engine, &mut complaints);
        if role == Role::Task && !self.selection.includes(&keywords.tags) {
            return Next::GoOn;
        }
        let scope = match &keywords.vars {
            Some(vars) => self.scope.with_vars(Arc::clone(vars)),
            None => self.scope.clone(),
        };
        let scope = scope.with_results(Arc::clone(&self.results));
        let name = self.inputs.engine.render(&task.name, &scope).map(|name| name.to_string());
        let name = self.masked(name.as_deref().unwrap_or(&task.name));
        self.observer.started(&name, role == Role::Handler);
        self.looks.catch_up(self.machine);

        let started = Instant::now();
        drop(self.machine.take_seen());
        let number = self.report.tasks.len() + 1;
        let mut done = match (complaints.into_iter().next(), tasks::find(&task.module)) {
            (Some(complaint), _) => Done::from(Turn::failed(complaint.into())),
            (None, None) => {
                let why = format!("there is no module `{}`", task.module);
                Done::from(Turn::failed(Failure::new(why)))
            }
            (None, Some(module)) => self.turns_due(task, module, &keywords, &scope, number, role),
        };
        if let Some(register) = &keywords.register {
            Arc::make_mut(&mut self.results).insert(register.clone(), done.result.clone());
        }
        if done.notifies
            && let Err(failure) = self.notify(&keywords, &scope)
        {
            done.fail(failure);
        }
        self.looks.note(self.machine);
        let text = |text: String| match keywords.no_log {
            true => "(hidden: the task says `no_log`)".to_owned(),
            false => self.masked(&text),
        };
        let report = TaskReport {
            number,
            name,
            module: task.module.clone(),
            handler: role == Role::Handler,
            place: task.span.as_ref().map(ToString::to_string),
            status: done.status,
            ignored: done.ignored,
            message: done.message.map(text),
            hint: done.hint.map(text),
            items: done
                .items
                .into_iter()
                .map(|item| ItemReport {
                    label: text(item.label),
                    message: item.message.map(text),
                    ..item
                })
                .collect(),
            changes: done.changes,
            duration: started.elapsed(),
            seen: self.machine.take_seen(),
        };
        if let Err(why) = self.observer.finished(&report) {
            self.report.stopped.get_or_insert(why);
        }
        let failed = report.status == Status::Failed && !report.ignored;
        self.report.tasks.push(report);
        if failed || self.report.stopped.is_some() { Next::Stop } else { Next::GoOn }
    }

    /// Runs the task, unless it is an action that is not due. A handler is due when notified.
    fn turns_due(
        &mut self,
        task: &Task,
        module: &'static Module,
        keywords: &Keywords,
        scope: &Scope,
        number: usize,
        role: Role,
    ) -> Done {
        if role == Role::Handler || self.machine.is_dry_run() || !module.acts(&task.args) {
            return self.turns(task, module, keywords, scope, number);
        }
        let is_read = keywords.register.is_some() && !keywords.no_log;
        let action = Action { task, every: keywords.every, is_read };
        if let Some(result) = self.observer.done_before(&action) {
            return Done::before(&result);
        }
        let done = self.turns(task, module, keywords, scope, number);
        let was_done = match done.status {
            Status::Ok | Status::Changed => true,
            Status::Failed => done.ignored,
            Status::Skipped | Status::Unknown => false,
        };
        if was_done && let Err(why) = self.observer.done(&action, &done.result) {
            self.report.stopped = Some(why);
        }
        done
    }

    /// Runs the task once, or once for each item of its loop.
    fn turns(
        &mut self,
        task: &Task,
        module: &'static Module,
        keywords: &Keywords,
        scope: &Scope,
        number: usize,
    ) -> Done {
        let base = &self.set.base;
        let masker = &self.inputs.masker;
        let looks = Arc::clone(&self.looks);
        let job = Job { task, module, keywords, base, masker, looks: &looks, number };
        let Some(items) = &keywords.items else {
            let turn = job.run(self.machine, scope);
            self.keep_facts(&turn);
            return turn.into();
        };
        let items = match items::resolve(items, scope) {
            Ok(items) => items,
            // As in Ansible: a condition that says no forgives a loop that cannot be resolved.
            Err(failure) => {
                let unwanted = matches!(job.wanted(scope), Ok(Some(_)));
                return if unwanted { Turn::skipped(None) } else { job.failed(failure, scope) }
                    .into();
            }
        };
        let control = &keywords.control;
        let mut turns = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let mut scope = scope
                .with_results(Arc::clone(&self.results))
                .with_local(&control.loop_var, item.clone())
                .with_local("ansible_loop_var", control.loop_var.as_str().into());
            if let Some(name) = &control.index_var {
                scope = scope.with_local(name, index.into());
            }
            let mut turn = job.run(self.machine, &scope);
            turn.label = job.label(&item, &scope);
            turn.returned.insert(control.loop_var.clone(), item);
            self.keep_facts(&turn);
            turns.push(turn);
        }
        Done::of_loop(turns, number)
    }

    /// Takes over the variables that a task returned.
    fn keep_facts(&mut self, turn: &Turn) {
        if let Some(facts) = turn.returned.get("ansible_facts") {
            Arc::make_mut(&mut self.results).extend(pairs(facts));
        }
    }

    fn notify(&mut self, keywords: &Keywords, scope: &Scope) -> Result<(), Failure> {
        for node in &keywords.notify {
            let names = self.inputs.engine.render_node(node, scope)?;
            let names = names.as_list().unwrap_or(std::slice::from_ref(&names));
            for name in names.iter().filter_map(Node::scalar_text) {
                let hears = |handler: &Task| {
                    let listen = handler.keywords.get("listen");
                    handler.name == name || listen.is_some_and(|node| holds_word(node, name))
                };
                let handlers = self.set.handlers.iter().enumerate();
                let found: Vec<usize> =
                    handlers.filter(|(_, handler)| hears(handler)).map(|(at, _)| at).collect();
                if found.is_empty() {
                    return Err(Failure::new(format!("there is no handler `{name}`")));
                }
                self.notified.extend(found);
            }
        }
        Ok(())
    }

    fn masked(&self, text: &str) -> String {
        self.inputs.masker.mask(text).into_owned()
    }
}

fn is_flush(task: &Task) -> bool {
    let action = task.args.get(tasks::META_ACTION).and_then(Node::as_str);
    task.module == "meta" && action == Some("flush_handlers")
}

fn holds_word(node: &Node, word: &str) -> bool {
    match node.as_list() {
        Some(items) => items.iter().any(|item| item.scalar_text() == Some(word)),
        None => {
            node.scalar_text().is_some_and(|text| text.split(',').any(|part| part.trim() == word))
        }
    }
}

impl Selection {
    /// Whether a task with these tags runs. `always` and `never` mean what they say unless a tag
    /// is named; `all`, `tagged` and `untagged` stand for sets of tasks.
    pub fn includes(&self, tags: &[String]) -> bool {
        let has = |tag: &str| tags.iter().any(|other| other == tag);
        let meant = |wanted: &str| match wanted {
            "all" => !has("never"),
            "tagged" => !tags.is_empty() && !has("never"),
            "untagged" => tags.is_empty(),
            tag => has(tag),
        };
        let wanted = match self.tags[..] {
            [] => !has("never"),
            _ => has("always") || self.tags.iter().any(|tag| meant(tag)),
        };
        let unwanted = |tag: &String| match tag.as_str() {
            "all" => !has("always"),
            "tagged" => !tags.is_empty(),
            "untagged" => tags.is_empty(),
            tag => has(tag),
        };
        wanted && !self.skip_tags.iter().any(unwanted)
    }
}
