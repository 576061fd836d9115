//! One task, once: its condition, its parameters, its work, and what counts as changed or failed.

use super::args::{normalize, set_conditions_aside};
use super::keywords::Keywords;
use super::looks::Looks;
use super::params::{Params, Stage, truth};
use super::report::{ChangeReport, ItemReport, Status};
use super::tasks::{Failure, Include, Module, Outcome, Task as Work, TaskContext};
use crate::event::secret::Masker;
use crate::event::task::{Named, Task, TaskSet};
use crate::event::tree::{Node, Value as Tree};
use crate::expr::jinja::Problem;
use crate::expr::scope::Scope;
use crate::expr::value::pairs;
use crate::host::machine::Machine;
use indexmap::IndexMap;
use minijinja::Value;
use std::path::PathBuf;

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
    pub(super) looks: &'a Looks,
    /// The task's number, which names it where others depend on it.
    pub(super) number: usize,
}

/// Keywords that are true or false, as they came out for a task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Switches {
    pub(super) no_log: bool,
    pub(super) check_mode: bool,
    pub(super) shows_diff: bool,
    pub(super) becomes: bool,
}

/// What one turn came to.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) label: String,
    pub(super) status: Status,
    pub(super) ignored: bool,
    pub(super) message: Option<String>,
    pub(super) hint: Option<String>,
    /// What `register` gets.
    pub(super) returned: IndexMap<String, Value>,
    /// Where set, nobody can know what it returned before this task has run.
    pub(super) depends_on: Option<usize>,
    pub(super) notifies: bool,
    pub(super) changes: Vec<ChangeReport>,
    /// Tasks to be run next, and the variables of the loop that they see.
    pub(super) include: Option<Include>,
    pub(super) locals: Vec<(String, Value)>,
    /// Variables for the rest of the run.
    pub(super) vars: Named,
}

/// What all turns of a task came to.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) status: Status,
    pub(super) ignored: bool,
    pub(super) message: Option<String>,
    pub(super) hint: Option<String>,
    pub(super) items: Vec<ItemReport>,
    pub(super) result: Value,
    pub(super) notifies: bool,
    pub(super) changes: Vec<ChangeReport>,
    /// Tasks to be run next, each with the variables of its turn.
    pub(super) includes: Vec<(Include, Vec<(String, Value)>)>,
}

impl Job<'_> {
    /// Runs the task with the names in `scope`.
    pub(super) fn run(&self, machine: &mut Machine, scope: &Scope) -> Turn {
        match self.wanted(scope) {
            Ok(None) => {}
            Ok(Some(condition)) => return Turn::skipped(Some(condition)),
            Err(failure) => return self.failed(failure, scope),
        }
        let (params, environment) = match self.prepare(scope) {
            Ok(prepared) => prepared,
            Err(failure) => return self.failed(failure, scope),
        };
        let cx = TaskContext {
            base: &self.set.base,
            search: self.search,
            set: self.set,
            home: &self.task.home,
            scope,
            environment: &environment,
        };
        let work = (self.module.build)(params);
        if self.switches.check_mode && !machine.is_dry_run() {
            let (done, fork) = machine.without_effect(|fork| self.converge(&*work, fork, &cx));
            return self.judge(done, &fork, 0, scope);
        }
        let before = machine.journal().len();
        let done = self.converge(&*work, machine, &cx);
        self.judge(done, machine, before, scope)
    }

    /// The task's own work, and what the look-ups of its expressions ask to be kept.
    fn converge(
        &self,
        work: &dyn Work,
        machine: &mut Machine,
        cx: &TaskContext<'_>,
    ) -> Result<Outcome, Failure> {
        self.looks.settle(machine)?;
        let outcome = work.converge(machine, cx);
        self.looks.settle(machine)?;
        outcome
    }

    /// The first condition that says no, if any.
    pub(super) fn wanted(&self, scope: &Scope) -> Result<Option<String>, Failure> {
        for condition in &self.keywords.when {
            if !scope.engine().holds(condition, scope)? {
                return Ok(Some(condition.scalar_text().unwrap_or_default().to_owned()));
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
        let mut turn = Turn::failed(failure);
        self.forgive(&mut turn, scope);
        turn
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
        before: usize,
        scope: &Scope,
    ) -> Turn {
        let journal = &machine.journal()[before..];
        let Switches { no_log, shows_diff, .. } = self.switches;
        let report = |change| {
            let mut report = ChangeReport::new(change, self.masker, shows_diff && !no_log);
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
                let turn = Turn::failed(failure);
                if turn.depends_on.is_some() {
                    return Turn { changes, ..turn };
                }
                turn
            }
        };
        turn.changes = changes;
        if let Err(failure) = self.overrule(&mut turn, scope) {
            let changes = std::mem::take(&mut turn.changes);
            turn = Turn { changes, ..Turn::failed(failure) };
        }
        self.forgive(&mut turn, scope);
        turn
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

impl Turn {
    fn new(status: Status) -> Self {
        let flag = |wanted: Status| Value::from(status == wanted);
        let returned = IndexMap::from([
            ("changed".to_owned(), flag(Status::Changed)),
            ("failed".to_owned(), flag(Status::Failed)),
        ]);
        Self {
            label: String::new(),
            status,
            ignored: false,
            message: None,
            hint: None,
            returned,
            depends_on: None,
            notifies: status == Status::Changed,
            changes: Vec::new(),
            include: None,
            locals: Vec::new(),
            vars: Named::new(),
        }
    }

    /// Tried `attempts` times without reaching what `until` says.
    pub(super) fn not_reached(&mut self, attempts: usize) {
        self.status = Status::Failed;
        self.notifies = false;
        self.returned.insert("failed".into(), true.into());
        let why = match &self.message {
            Some(message) => format!("not reached in {attempts} attempts: {message}"),
            None => format!("not reached in {attempts} attempts"),
        };
        self.message = Some(why);
    }

    /// Left out because `condition` does not hold.
    pub(super) fn skipped(condition: Option<String>) -> Self {
        let mut turn = Self::new(Status::Skipped);
        turn.returned.insert("skipped".into(), true.into());
        turn.returned.insert("skip_reason".into(), "Conditional result was False".into());
        turn.message = condition.map(|condition| format!("`{condition}` does not hold"));
        turn
    }

    /// Not done, or not known before another task has run.
    pub(super) fn failed(failure: Failure) -> Self {
        if let Some(task) = failure.depends_on {
            return Self::unknown(task, &format!("depends on task {task}"));
        }
        let mut turn = Self::new(Status::Failed);
        turn.returned.insert("msg".into(), failure.message.as_str().into());
        turn.message = Some(failure.message);
        turn.hint = failure.hint;
        turn
    }

    fn unknown(task: usize, message: &str) -> Self {
        let message = Some(message.to_owned());
        let turn = Self::new(Status::Unknown);
        Self { depends_on: Some(task), message, notifies: true, ..turn }
    }

    fn of(outcome: Outcome, changed: bool) -> Self {
        let skipped = outcome.returned.get("skipped").is_some_and(Value::is_true);
        let status = match (&outcome.failed, changed) {
            (Some(_), _) => Status::Failed,
            (None, _) if skipped => Status::Skipped,
            (None, true) => Status::Changed,
            (None, false) => Status::Ok,
        };
        let mut turn = Self::new(status);
        turn.returned.insert("changed".into(), changed.into());
        turn.returned.extend(outcome.returned);
        turn.message = outcome.failed.or(outcome.message);
        turn.include = outcome.include;
        turn.vars = outcome.vars;
        turn
    }

    fn set_changed(&mut self, changed: bool) {
        self.returned.insert("changed".into(), changed.into());
        self.notifies = changed;
        match self.status {
            Status::Ok | Status::Changed => {
                self.status = if changed { Status::Changed } else { Status::Ok };
            }
            // A command that a dry run did not run stays unknown: it was only said not to change
            // anything.
            Status::Unknown | Status::Failed | Status::Skipped => {}
        }
    }

    fn set_failed(&mut self, failed: bool) {
        self.returned.insert("failed".into(), failed.into());
        self.returned.insert("failed_when_result".into(), failed.into());
        if failed {
            self.status = Status::Failed;
            self.notifies = false;
            self.message.get_or_insert_with(|| "`failed_when` says so".into());
        } else if self.status == Status::Failed {
            let changed = self.returned.get("changed").is_some_and(Value::is_true);
            self.status = if changed { Status::Changed } else { Status::Ok };
            self.notifies = changed;
        }
    }

    fn result(&self) -> Value {
        match self.depends_on {
            Some(task) => Problem::depends_on(task).into_value(),
            None => Value::from_pairs(self.returned.clone()),
        }
    }
}

impl From<Turn> for Done {
    fn from(turn: Turn) -> Self {
        let result = turn.result();
        let Turn { status, ignored, message, hint, notifies, changes, .. } = turn;
        let (items, includes) = (Vec::new(), turn.include.map(|it| (it, turn.locals)));
        let includes = includes.into_iter().collect();
        Self { status, ignored, message, hint, items, result, notifies, changes, includes }
    }
}

impl Done {
    /// Puts the turns of task number `number` together.
    pub(super) fn of_loop(turns: Vec<Turn>, number: usize) -> Self {
        let has = |status| turns.iter().any(|turn| turn.status == status);
        let status = if has(Status::Failed) {
            Status::Failed
        } else if has(Status::Unknown) {
            Status::Unknown
        } else if has(Status::Changed) {
            Status::Changed
        } else if turns.iter().all(|turn| turn.status == Status::Skipped) {
            Status::Skipped
        } else {
            Status::Ok
        };
        let failure = turns.iter().find(|turn| turn.status == Status::Failed && !turn.ignored);
        let ignored = status == Status::Failed && failure.is_none();
        let message = match failure {
            Some(turn) => {
                Some(format!("{}: {}", turn.label, turn.message.as_deref().unwrap_or_default()))
            }
            None if turns.is_empty() => Some("the loop has no items".into()),
            None => None,
        };
        let result = if turns.iter().any(|turn| turn.depends_on.is_some()) {
            Problem::depends_on(number).into_value()
        } else {
            let changed =
                turns.iter().any(|turn| turn.returned.get("changed").is_some_and(Value::is_true));
            Value::from_pairs([
                ("results", turns.iter().map(Turn::result).collect::<Vec<_>>().into()),
                ("changed", Value::from(changed)),
                ("failed", (status == Status::Failed).into()),
                ("skipped", (status == Status::Skipped).into()),
                ("msg", "All items completed".into()),
            ])
        };
        let hint = failure.and_then(|turn| turn.hint.clone());
        let notifies = turns.iter().any(|turn| turn.notifies) && failure.is_none();
        let mut done = Self {
            status,
            ignored,
            message,
            hint,
            items: Vec::new(),
            result,
            notifies,
            changes: Vec::new(),
            includes: Vec::new(),
        };
        for turn in turns {
            done.items.push(ItemReport {
                label: turn.label,
                status: turn.status,
                message: turn.message,
            });
            done.changes.extend(turn.changes);
            done.includes.extend(turn.include.map(|include| (include, turn.locals)));
        }
        done
    }

    /// An action that was done before and then came to `result`.
    pub(super) fn before(result: &Value) -> Self {
        let mut turn = Turn::new(Status::Ok);
        turn.message = Some("done before".into());
        let mut done = Self::from(turn);
        let mut returned: IndexMap<String, Value> = pairs(result).into_iter().collect();
        // Nothing changed now, whatever it did then.
        returned.insert("changed".into(), false.into());
        done.result = Value::from_pairs(returned);
        done
    }

    /// Makes a failure of it.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.status = Status::Failed;
        self.message = Some(failure.message);
        self.hint = failure.hint;
    }
}
