//! One task, once: its condition, its parameters, its work, and what counts as changed or failed.

use super::args::{normalize, set_conditions_aside};
use super::difference;
use super::keywords::Keywords;
use super::looks::Looks;
use super::params::{Params, Stage, truth};
use super::pending::Pending;
use super::report::{ChangeReport, Status};
use super::tasks::{Failure, Module, Outcome, Task as Work, TaskContext};
use super::turn::Turn;
use crate::event::secret::Masker;
use crate::event::task::{Task, TaskSet};
use crate::event::tree::{Node, Value as Tree};
use crate::expr::jinja::Problem;
use crate::expr::scope::Scope;
use crate::expr::value::to_node;
use crate::host::machine::Machine;
use crate::host::machine::change::Change;
use crate::host::machine::path::Follow;
use minijinja::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A task and all that stays the same over the turns of its loop.
pub(super) struct Job<'a> {
    pub(super) task: &'a Task,
    pub(super) module: &'static Module,
    pub(super) keywords: &'a Keywords,
    pub(super) switches: Switches,
    pub(super) set: &'a TaskSet,
    /// Where its sources are looked for.
    pub(super) search: &'a [PathBuf],
    pub(super) masker: &'a Masker,
    /// Learns the secrets among its parameters.
    pub(super) passwords: &'a Masker,
    pub(super) looks: &'a Looks,
    /// Those of the play, where it notifies any.
    pub(super) handlers: &'a [Arc<Task>],
    pub(super) pending: &'a Pending,
    /// The task's number, which names it where others depend on it.
    pub(super) number: usize,
}

/// Keywords that are true or false, as they came out for a task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Switches {
    pub(super) no_log: bool,
    /// Whether it only looks; where nothing is said, as the run does.
    pub(super) check_mode: Option<bool>,
    pub(super) shows_diff: bool,
    /// Whether its result holds how things differ.
    pub(super) returns_diff: bool,
    pub(super) becomes: bool,
}

/// What the effects of a turn are looked at with.
#[derive(Clone, Copy)]
struct About<'a> {
    /// The path that the task is about, as it is written.
    path: Option<&'a str>,
    /// How many effects there were before it.
    before: usize,
    /// Which time it is tried.
    attempt: Option<usize>,
}

impl Job<'_> {
    /// Runs the task with the names in `scope`. Where it is tried several times, `attempt` is
    /// which time this is.
    pub(super) fn run(&self, machine: &mut Machine, scope: &Scope, attempt: Option<usize>) -> Turn {
        machine.look_anew();
        match self.wanted(scope) {
            Ok(None) => {}
            Ok(Some(condition)) => return Turn::skipped(Some(condition)),
            // Where nobody can know yet, the handlers may have to run.
            Err(failure) => {
                let handlers = self.handlers_of(scope).unwrap_or_default();
                return Turn { handlers, ..self.failed(failure, scope) };
            }
        }
        let announced = self.must_be_here(scope).and_then(|()| self.announce(machine, scope));
        let handlers = match announced {
            Ok(handlers) => handlers,
            Err(failure) => return self.failed(failure, scope),
        };
        let (params, environment) = match self.prepare(scope) {
            Ok(prepared) => prepared,
            Err(failure) => return Turn { handlers, ..self.failed(failure, scope) },
        };
        let cx = TaskContext {
            base: &self.set.base,
            search: self.search,
            set: self.set,
            home: &self.task.home,
            scope,
            environment: &environment,
            is_read: self.keywords.register.is_some() || self.keywords.failed_when.is_some(),
        };
        let about = params.text("path").filter(|_| self.switches.returns_diff);
        let about = about.map(str::to_owned);
        let work = (self.module.build)(params);
        let before = machine.journal().len();
        let about = About { path: about.as_deref(), before, attempt };
        let turn = match self.switches.check_mode {
            Some(true) if !machine.is_dry_run() => {
                let (done, fork) = machine.without_effect(|fork| self.converge(&*work, fork, &cx));
                self.judge(done, &fork, About { before: 0, ..about }, scope)
            }
            Some(false) => {
                let done = machine.with_commands(|machine| self.converge(&*work, machine, &cx));
                self.judge(done, machine, about, scope)
            }
            _ => {
                let done = self.converge(&*work, machine, &cx);
                self.judge(done, machine, about, scope)
            }
        };
        Turn { handlers, ..turn }
    }

    /// The task's own work, and what the look-ups of its expressions ask to be kept.
    fn converge(
        &self,
        work: &dyn Work,
        machine: &mut Machine,
        cx: &TaskContext<'_>,
    ) -> Result<Outcome, Failure> {
        self.looks.settle(machine)?;
        let limit = self.keywords.timeout.as_ref();
        let limit = limit.map(|limit| seconds(limit, cx.scope)).transpose()?;
        // As in Ansible, zero is no limit.
        machine.limit_time(limit.filter(|limit| !limit.is_zero()));
        let outcome = work.converge(machine, cx);
        machine.limit_time(None);
        self.looks.settle(machine)?;
        outcome
    }

    /// Refuses a task that is for another host.
    fn must_be_here(&self, scope: &Scope) -> Result<(), Failure> {
        let Some(node) = &self.keywords.delegate_to else { return Ok(()) };
        let rendered = scope.engine().render_node(node, scope)?;
        let name = rendered.scalar_text().unwrap_or_default();
        let host = scope.lookup("inventory_hostname");
        if matches!(name, "localhost" | "127.0.0.1" | "::1" | "") || host.as_str() == Some(name) {
            return Ok(());
        }
        Err(Failure::new(format!("`delegate_to` can only be this host, and this is `{name}`")))
    }

    /// The first condition that says no, if any.
    pub(super) fn wanted(&self, scope: &Scope) -> Result<Option<&Node>, Failure> {
        for condition in &self.keywords.when {
            if !scope.engine().holds(condition, scope)? {
                return Ok(Some(condition));
            }
        }
        Ok(None)
    }

    /// What an item is called in reports.
    pub(super) fn label(&self, item: &Value, scope: &Scope) -> String {
        let label = self.keywords.control.label.as_ref();
        let label = label.and_then(|label| scope.engine().render_value(label, scope).ok());
        label.unwrap_or_else(|| item.clone()).to_string()
    }

    /// The turn that ends with `failure`, before or in place of the task's own work.
    pub(super) fn failed(&self, failure: Failure, scope: &Scope) -> Turn {
        let mut turn = self.unless_denied(failure);
        self.forgive(&mut turn, scope);
        turn
    }

    /// The turn that ends with `failure`; what only a dry run cannot do is unknown before this
    /// task has run.
    fn unless_denied(&self, failure: Failure) -> Turn {
        if failure.is_denial {
            Turn::unknown(self.number, &failure.message)
        } else {
            Turn::failed(failure)
        }
    }

    /// Renders and reads the parameters, and the environment of programs.
    fn prepare(&self, scope: &Scope) -> Result<(Params, Vec<(String, String)>), Failure> {
        let (module, engine) = (self.module, scope.engine());
        let args =
            normalize(module.name, &module.spec, &self.task.args).map_err(|e| Failure::from(*e))?;
        let (args, conditions) = set_conditions_aside(&module.spec, &args);
        let mut args = engine.render_node(&args, scope)?;
        if let Tree::Map(entries) = &mut args.value {
            entries.extend(conditions);
        }
        args.span = args.span.or_else(|| self.task.span.clone());
        let params = Params::read(module.name, &module.spec, &args, Stage::Rendered)
            .map_err(Failure::first)?;
        params.refuse_secrets(&module.spec, self.masker)?;
        let secrets = params.secrets(&module.spec);
        if !secrets.is_empty() {
            self.passwords.add(&secrets);
        }
        let complaints = (module.check)(&params);
        if !complaints.is_empty() {
            return Err(Failure::first(complaints));
        }
        let mut environment = Vec::new();
        if let Some(node) = &self.keywords.environment {
            let node = engine.render_node(node, scope)?;
            for map in node.as_list().unwrap_or(std::slice::from_ref(&node)) {
                for (key, value) in map.as_map().unwrap_or_default() {
                    let text = value.scalar_text().unwrap_or_default().to_owned();
                    environment.push((key.name.to_string(), text));
                }
            }
        }
        Ok((params, environment))
    }

    /// Decides what the outcome counts as.
    fn judge(
        &self,
        done: Result<Outcome, Failure>,
        machine: &Machine,
        about: About<'_>,
        scope: &Scope,
    ) -> Turn {
        let journal = &machine.journal()[about.before..];
        let Switches { no_log, shows_diff, returns_diff, .. } = self.switches;
        let report = |change| {
            let mut report = ChangeReport::new(change, self.masker, shows_diff && !no_log);
            report.summary = self.passwords.mask(&report.summary).into_owned();
            report.diff = report.diff.map(|text| self.passwords.mask(&text).into_owned());
            if no_log {
                report.summary = format!("{}: (hidden: the task says `no_log`)", report.path);
            }
            report
        };
        let changes: Vec<_> = journal.iter().map(report).collect();
        let mut turn = match done {
            Ok(outcome) if outcome.unknown => Turn::unknown(self.number, "would run"),
            Ok(outcome) => Turn::of(outcome, !changes.is_empty()),
            Err(failure) => {
                let turn = self.unless_denied(failure);
                if turn.depends_on.is_some() {
                    return Turn { changes, ..turn };
                }
                turn
            }
        };
        turn.changes = changes;
        if let Some(attempt) = about.attempt {
            turn.returned.insert("attempts".into(), attempt.into());
        }
        // What a task tells itself, as some of Ansible's modules do, stays.
        if returns_diff
            && !no_log
            && self.module.spec.hides.is_empty()
            && turn.depends_on.is_none()
            && !turn.returned.contains_key("diff")
            && let Some(diff) = self.difference(machine, about.path, journal)
        {
            turn.returned.insert("diff".into(), diff);
        }
        if let Err(failure) = self.overrule(&mut turn, scope) {
            let changes = std::mem::take(&mut turn.changes);
            turn = Turn { changes, ..self.unless_denied(failure) };
        }
        self.forgive(&mut turn, scope);
        turn
    }

    fn difference(
        &self,
        machine: &Machine,
        written: Option<&str>,
        journal: &[Change],
    ) -> Option<Value> {
        let resolved = |written| {
            let path = Path::new(written);
            let is_itself = |path: &PathBuf| journal.iter().any(|change| change.path == *path);
            machine
                .resolve(path, Follow::No)
                .ok()
                .filter(is_itself)
                .or_else(|| machine.resolve(path, Follow::Yes).ok())
        };
        let path = written.and_then(|written| Some((written, resolved(written)?)));
        let path = path.as_ref().map(|(written, resolved)| (*written, resolved.as_path()));
        let around = difference::Around { masker: self.masker, now: machine.now() };
        difference::of(self.module.name, path, journal, &around)
    }

    /// Whether all of these conditions hold, which may read the task's own result.
    pub(super) fn all(
        &self,
        conditions: &[Node],
        turn: &Turn,
        scope: &Scope,
    ) -> Result<bool, Failure> {
        Ok(self.holds(conditions, turn, scope)?)
    }

    fn holds(&self, conditions: &[Node], turn: &Turn, scope: &Scope) -> Result<bool, Problem> {
        let scope = match &self.keywords.register {
            Some(name) => scope.with_local(name, turn.result()),
            None => scope.clone(),
        };
        for condition in conditions {
            if !scope.engine().holds(condition, &scope)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `changed_when` and `failed_when`, which may read the task's own result.
    fn overrule(&self, turn: &mut Turn, scope: &Scope) -> Result<(), Failure> {
        let all = |conditions: &[Node], turn: &Turn| self.holds(conditions, turn, scope);
        // In a dry run a condition about what the task returned has no answer, and needs none.
        let known = |answer: Result<bool, Problem>| match answer {
            Err(problem) if problem.depends_on.is_some() => Ok(None),
            answer => answer.map(Some),
        };
        if let Some(conditions) = &self.keywords.changed_when {
            match known(all(conditions, turn)) {
                Ok(Some(changed)) => turn.set_changed(changed),
                Ok(None) => {}
                // The failure that is there already is the one to tell.
                Err(_) if turn.status == Status::Failed => {}
                Err(problem) => return Err(problem.into()),
            }
        }
        if let Some(conditions) = &self.keywords.failed_when
            && let Some(failed) = known(all(conditions, turn))?
        {
            turn.set_failed(failed);
        }
        Ok(())
    }

    /// Lets a failure pass where the task says so.
    pub(super) fn forgive(&self, turn: &mut Turn, scope: &Scope) {
        let Some(condition) = &self.keywords.ignore_errors else { return };
        if turn.status == Status::Failed {
            // Where that cannot be told, the failure stands.
            let known = truth(condition).map(Ok);
            let said = known.unwrap_or_else(|| scope.engine().holds(condition, scope));
            turn.ignored = said.unwrap_or(false);
        }
    }
}

impl Switches {
    /// What the keywords that are true or false come to; `diffs` says whether results hold how
    /// things differ where the task does not.
    pub(super) fn of(keywords: &Keywords, diffs: bool, scope: &Scope) -> Result<Self, Failure> {
        let is_on = |node: &Option<Node>, otherwise: bool| -> Result<bool, Failure> {
            let Some(node) = node else { return Ok(otherwise) };
            if let Some(known) = truth(node) {
                return Ok(known);
            }
            let rendered = scope.engine().render_node(node, scope)?;
            // `{{ omit }}` leaves the keyword out.
            if rendered.value == Tree::Null {
                return Ok(otherwise);
            }
            truth(&rendered).ok_or_else(|| {
                Failure::new(format!(
                    "true or false is needed here, and this is {}",
                    rendered.kind()
                ))
            })
        };
        Ok(Self {
            no_log: is_on(&keywords.no_log, false)?,
            check_mode: if is_on(&keywords.check_mode, false)? {
                Some(true)
            } else {
                // Only what says no, and not what says nothing, overrules a dry run.
                (!is_on(&keywords.check_mode, true)?).then_some(false)
            },
            shows_diff: is_on(&keywords.diff, true)?,
            returns_diff: is_on(&keywords.diff, diffs)?,
            becomes: is_on(&keywords.becomes, false)?,
        })
    }
}

/// A number of seconds, or of times, that may be an expression.
pub(super) fn seconds(node: &Node, scope: &Scope) -> Result<Duration, Failure> {
    let value = scope
        .engine()
        .render_value(node, scope)
        .map_err(|problem| Failure::from(problem.located(node.span.as_ref())))?;
    let text = to_node(&value);
    let number = text.scalar_text().and_then(|text| text.trim().parse::<f64>().ok());
    let number = number.filter(|number| (0.0..1e9).contains(number));
    number
        .map(Duration::from_secs_f64)
        .ok_or_else(|| Failure::new(format!("a number is needed here, and this is `{value}`")))
}
