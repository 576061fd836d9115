//! One task of a run: whether it is wanted, its turns, what it leaves.

use super::ansible_facts;
use super::executor::{Action, Executor, Lived, Next};
use super::items;
use super::job::{Job, Switches, seconds};
use super::keywords::{Keywords, Retry};
use super::part::{Left, TaskKey, Watched, shapes_the_run};
use super::report::{ItemReport, Status, TaskReport};
use super::tasks::{self, Failure, Include, Module};
use super::turn::{Done, Turn};
use super::walk::{Frame, failed_task};
use crate::event::secret::Masker;
use crate::event::task::Task;
use crate::event::tree::Node;
use crate::expr::scope::Scope;
use crate::expr::value::pairs;
use crate::host::watch::Stamp;
use minijinja::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a task with `until` is tried again, unless it says so.
const RETRIES: f64 = 3.0;
/// Seconds between two attempts, unless the task says so.
const DELAY: f64 = 5.0;

/// What a task wants to include, each with the variables of its turn.
type Includes = Vec<(Include, Vec<(String, Value)>)>;

impl Executor<'_> {
    /// Whether the `when` and the tags of a `meta` task let it do what it says.
    pub(super) fn wants_meta(&mut self, task: &Task, frame: &Frame) -> Result<bool, Failure> {
        // Those that the executor itself puts between sections have no place, and always count.
        if task.span.is_none() {
            return Ok(true);
        }
        let keywords = Keywords::read(&task.keywords, None, &mut Vec::new());
        if !frame.is_handler && !self.selection.includes(&keywords.tags) {
            return Ok(false);
        }
        if self.waits_for.is_some() {
            return Ok(false);
        }
        let (scope, _) = self.scope_for(task, &keywords, frame);
        for condition in &keywords.when {
            if !scope.engine().holds(condition, &scope)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn scope_for(&mut self, task: &Task, keywords: &Keywords, frame: &Frame) -> (Scope, Lived) {
        let lived = self.scope_of(&task.home);
        let mut scope = match &keywords.vars {
            Some(vars) => lived.scope.with_vars(Arc::clone(vars)),
            None => lived.scope.clone(),
        };
        if !self.included.is_empty() {
            scope = scope.with_vars(Arc::clone(&self.included));
        }
        for (name, value) in frame.locals.iter() {
            scope = scope.with_local(name, value.clone());
        }
        (scope.with_results(Arc::clone(&self.results)), lived)
    }

    pub(super) fn task(&mut self, task: &Task, frame: &Frame) -> (Next, Includes) {
        let mut complaints = Vec::new();
        let keywords = Keywords::read(&task.keywords, None, &mut complaints);
        if !frame.is_handler && !self.selection.includes(&keywords.tags) {
            return (Next::GoOn, Vec::new());
        }
        let (scope, lived) = self.scope_for(task, &keywords, frame);
        let name = self.inputs.engine.render(&task.name, &scope).map(|name| name.to_string());
        let name = self.masked(name.as_deref().unwrap_or(&task.name));
        if !frame.is_handler && !self.is_chosen(&name, &task.name) {
            return (Next::GoOn, Vec::new());
        }
        let place = task.span.as_ref().map(ToString::to_string);
        let key = if frame.is_handler { None } else { self.key_at(place.as_deref()) };
        if let Some(key) = &key
            && !shapes_the_run(task)
            && let Some(left) = self.observer.left_before(key, task)
        {
            self.take_over(left);
            return (Next::GoOn, Vec::new());
        }
        self.observer.started(&name, frame.is_handler);
        self.looks.catch_up(self.machine, &lived.search);

        let started = Instant::now();
        let effects = self.machine.journal().len();
        drop(self.machine.take_seen());
        let number = self.report.tasks.len() + 1;
        let switches = Switches::of(&keywords, self.inputs.diffs, &scope);
        // What the task's own parameters keep secret, an item of its loop may hold too.
        let passwords = Masker::default();
        let hides = switches.as_ref().map_or(true, |switches| switches.no_log);
        let done = match (complaints.into_iter().next(), tasks::find(&task.module), switches) {
            (Some(complaint), _, _) => Done::from(Turn::failed(complaint.into())),
            (None, None, _) => {
                let why = format!("there is no module `{}`", task.module);
                Done::from(Turn::failed(Failure::new(why)))
            }
            (None, Some(_), Err(failure)) => Done::from(Turn::failed(failure)),
            (None, Some(module), Ok(switches)) => {
                let (set, masker) = (self.set, &self.inputs.masker);
                let passwords = &passwords;
                let (keywords, search) = (&keywords, lived.search.as_slice());
                let looks = &*Arc::clone(&self.looks);
                let handlers = match keywords.notify.is_empty() {
                    true => Vec::new(),
                    false => self.play.handlers.clone(),
                };
                let (handlers, pending) = (handlers.as_slice(), &self.inputs.pending);
                let job = Job {
                    task,
                    module,
                    keywords,
                    switches,
                    set,
                    search,
                    masker,
                    passwords,
                    looks,
                    handlers,
                    pending,
                    number,
                };
                self.prepared(&job, &scope, frame)
            }
        };
        if let Some(register) = &keywords.register {
            Arc::make_mut(&mut self.results).insert(register.clone(), done.result.clone());
        }
        self.play.notified.extend(&done.notifies);
        if !keywords.notify.is_empty() {
            self.save_pending();
        }
        self.looks.note(self.machine);
        let seen = self.machine.take_seen();
        let watched = key.map(|key| Watched {
            stamps: seen.keys().map(|path| (path.clone(), Stamp::of(path))).collect(),
            // After the stamps, so that what comes in between is in one of the two.
            overtaken: self.machine.is_overtaken(effects),
            seen,
            key,
        });
        let text = |text: String| match hides {
            true => "(hidden: the task says `no_log`)".to_owned(),
            false => passwords.mask(&self.masked(&text)).into_owned(),
        };
        let report = TaskReport {
            number,
            name,
            module: task.module.clone(),
            handler: frame.is_handler,
            rescued: frame.is_rescued && done.status == Status::Failed && !done.ignored,
            place,
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
            watched,
        };
        let facts = std::mem::take(&mut self.found);
        let failed = report.status == Status::Failed && !report.ignored;
        if failed {
            self.failed = Some((failed_task(task), done.result));
        } else if let Some(watched) = &report.watched {
            let registered = keywords.register.map(|name| (name, done.result));
            self.observer.leaves(&watched.key, Left { registered, facts });
        }
        self.told(report);
        let next = match (self.report.stopped.is_some(), failed) {
            (true, _) => Next::Stop,
            (false, true) => Next::Failed,
            (false, false) => Next::GoOn,
        };
        (next, done.includes)
    }

    /// Runs the task as the user that it says.
    fn prepared(&mut self, job: &Job<'_>, scope: &Scope, frame: &Frame) -> Done {
        if let Err(failure) = self.become_user(job, scope) {
            return job.failed(failure, scope).into();
        }
        let done = self.turns_due(job, scope, frame);
        self.machine.before_next_change(None);
        if job.switches.becomes
            && let Err(fault) = self.machine.run_commands_as(None)
        {
            self.report.stopped = Some(fault.message);
        }
        done
    }

    fn become_user(&mut self, job: &Job<'_>, scope: &Scope) -> Result<(), Failure> {
        if !job.switches.becomes {
            return Ok(());
        }
        let user = job.keywords.user.as_ref();
        let rendered = user.map(|user| scope.engine().render_node(user, scope)).transpose()?;
        let name = rendered.as_ref().and_then(Node::scalar_text).filter(|name| !name.is_empty());
        let name = name.unwrap_or("root");
        if name != "root" && !job.module.runs_as() {
            let why = format!("`{}` cannot run as the user `{name}`", job.module.name);
            let hint = "commands can; of files, `owner`, `group` and `mode` say whose they are";
            return Err(Failure { hint: Some(hint.into()), ..Failure::new(why) });
        }
        // The rest leaves the host alone, which anybody may.
        if job.module.starts_programs() || !job.module.runs_as() {
            self.machine.run_commands_as(Some(name))?;
        }
        Ok(())
    }

    /// Runs the task, unless it is an action that is not due. A handler is due when notified.
    fn turns_due(&mut self, job: &Job<'_>, scope: &Scope, frame: &Frame) -> Done {
        let acts = job.module.acts(&job.task.args);
        if frame.is_handler || self.machine.is_dry_run() || !acts {
            return self.turns(job, scope);
        }
        let keywords = job.keywords;
        let is_read = keywords.register.is_some() && !job.switches.no_log;
        let action = Action { task: job.task, every: keywords.every, is_read };
        if let Some(result) = self.observer.done_before(&action) {
            return Done::before(&result);
        }
        let done = self.turns(job, scope);
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
    fn turns(&mut self, job: &Job<'_>, scope: &Scope) -> Done {
        let Some(items) = &job.keywords.items else {
            let turn = self.attempts(job, scope);
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
        let control = &job.keywords.control;
        let loop_var = match scope.engine().render(&control.loop_var, scope) {
            Ok(name) => name.to_string(),
            Err(problem) => return job.failed(problem.into(), scope).into(),
        };
        let mut turns: Vec<Turn> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let mut scope = scope
                .with_results(Arc::clone(&self.results))
                .with_local(&loop_var, item.clone())
                .with_local("ansible_loop_var", loop_var.as_str().into());
            let mut locals = vec![(loop_var.clone(), item.clone())];
            if let Some(name) = &control.index_var {
                scope = scope
                    .with_local(name, index.into())
                    .with_local("ansible_index_var", name.as_str().into());
                locals.push((name.clone(), index.into()));
            }
            if control.extended {
                let place = items::place_in(&items, index, control);
                scope = scope.with_local("ansible_loop", place.clone());
                locals.push(("ansible_loop".into(), place));
            }
            if index > 0
                && let Some(pause) = &control.pause
            {
                self.wait(seconds(pause, &scope).unwrap_or_default());
            }
            let mut turn = self.attempts(job, &scope);
            turn.label = job.label(item, &scope);
            locals.push(("ansible_loop_var".into(), loop_var.as_str().into()));
            if let Some(name) = &control.index_var {
                locals.push(("ansible_index_var".into(), name.as_str().into()));
            }
            turn.locals = locals;
            turn.returned.insert(loop_var.clone(), item.clone());
            turn.returned.insert("ansible_loop_var".into(), loop_var.as_str().into());
            self.keep_facts(&turn);
            let ends = control
                .break_when
                .as_ref()
                .is_some_and(|conditions| job.all(conditions, &turn, &scope).unwrap_or(false));
            turns.push(turn);
            if ends || self.observer.is_interrupted() {
                break;
            }
        }
        Done::of_loop(turns, job.number)
    }

    /// Runs the task until it is done, or has been tried often enough.
    fn attempts(&mut self, job: &Job<'_>, scope: &Scope) -> Turn {
        let Some(retry) = job.keywords.retry.as_ref().filter(|_| !self.machine.is_dry_run()) else {
            return job.run(self.machine, scope, None);
        };
        let Retry { until, retries, delay } = retry;
        let number = |node: &Option<Node>, otherwise: f64| match node {
            Some(node) => seconds(node, scope).map(|time| time.as_secs_f64()),
            None => Ok(otherwise),
        };
        let default = if until.is_some() { RETRIES } else { 0.0 };
        let limits = number(retries, default).and_then(|most| Ok((most, number(delay, DELAY)?)));
        let (most, delay) = match limits {
            Ok((most, delay)) => (most as usize, Duration::from_secs_f64(delay)),
            Err(failure) => return job.failed(failure, scope),
        };
        let mut changes = Vec::new();
        for attempt in 1.. {
            let mut turn = job.run(self.machine, scope, (most > 0).then_some(attempt));
            changes.append(&mut turn.changes);
            if turn.status == Status::Skipped {
                return turn;
            }
            let is_done = match until {
                Some(conditions) => job.all(conditions, &turn, scope),
                None => Ok(turn.status != Status::Failed),
            };
            let is_last = attempt > most || self.observer.is_interrupted();
            match is_done {
                Ok(false) if !is_last => {}
                Ok(is_done) => {
                    if !is_done {
                        turn.returned.insert("attempts".into(), most.max(1).into());
                        turn.not_reached(attempt);
                        job.forgive(&mut turn, scope);
                    }
                    turn.changes = changes;
                    return turn;
                }
                Err(failure) => {
                    let failed = job.failed(failure, scope);
                    return Turn { changes, ..failed };
                }
            }
            self.wait(delay);
        }
        job.failed(Failure::new("it was tried without end"), scope)
    }

    /// What tells the task that stands at `place` from the others, where somebody remembers it.
    fn key_at(&mut self, place: Option<&str>) -> Option<TaskKey> {
        let place = place.filter(|_| self.observer.remembers())?;
        let times = self.times.entry(place.to_owned()).or_default();
        *times += 1;
        Some(TaskKey { place: place.to_owned(), time: *times })
    }

    /// Makes known what a task that is left out has left before.
    fn take_over(&mut self, left: Left) {
        if let Some((name, value)) = left.registered {
            Arc::make_mut(&mut self.results).insert(name, value);
        }
        if !left.facts.is_empty() {
            self.know(left.facts);
        }
    }

    fn know(&mut self, found: Vec<(String, Value)>) {
        let known = self.results.get(ansible_facts::NAME);
        let all = ansible_facts::with(&self.inputs.facts, known, found.clone());
        let results = Arc::make_mut(&mut self.results);
        results.extend(found);
        results.insert(ansible_facts::NAME.into(), all);
    }

    /// Takes over the variables, and the group, that a task returned.
    fn keep_facts(&mut self, turn: &Turn) {
        if !turn.vars.is_empty() {
            let more = turn.vars.iter().map(|(name, node)| (name.clone(), node.clone()));
            Arc::make_mut(&mut self.included).extend(more);
        } else if let Some(facts) = turn.returned.get(ansible_facts::NAME)
            && !ansible_facts::are_own(facts)
        {
            let found = pairs(facts);
            self.found.extend_from_slice(&found);
            self.know(found);
        }
        if let Some(group) = turn.returned.get(tasks::ADDED_GROUP).and_then(Value::as_str)
            && !self.groups.iter().any(|known| known == group)
        {
            self.groups.push(group.to_owned());
            let names = self.groups.iter().map(Value::from).collect();
            Arc::make_mut(&mut self.results).insert("group_names".into(), names);
        }
    }
}

impl Module {
    /// Whether it runs programs on the host.
    fn starts_programs(&self) -> bool {
        matches!(self.name, "command" | "shell" | "script" | "raw")
    }
}
