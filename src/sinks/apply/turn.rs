//! What one turn of a task came to, and all turns of it together.

use super::report::{ChangeReport, ItemReport, Status};
use super::tasks::{Failure, Include, Outcome};
use crate::event::task::Named;
use crate::event::tree::Node;
use crate::expr::jinja::Problem;
use crate::expr::value::{from_node, pairs};
use indexmap::IndexMap;
use minijinja::Value;

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
    /// Those that it has notified if anything was changed, by their place.
    pub(super) handlers: Vec<usize>,
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
    /// The handlers that are to run, by their place.
    pub(super) notifies: Vec<usize>,
    pub(super) changes: Vec<ChangeReport>,
    /// Tasks to be run next, each with the variables of its turn.
    pub(super) includes: Vec<(Include, Vec<(String, Value)>)>,
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
            handlers: Vec::new(),
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
    pub(super) fn skipped(condition: Option<&Node>) -> Self {
        let mut turn = Self::new(Status::Skipped);
        turn.returned.insert("skipped".into(), true.into());
        turn.returned.insert("skip_reason".into(), "Conditional result was False".into());
        if let Some(condition) = condition {
            turn.returned.insert("false_condition".into(), from_node(condition));
            let text = condition.scalar_text().unwrap_or_default();
            turn.message = Some(format!("`{text}` does not hold"));
        }
        turn
    }

    /// Not done, or not known before another task has run.
    pub(super) fn failed(failure: Failure) -> Self {
        if let Some(task) = failure.depends_on {
            return Self::unknown(task, &format!("depends on task {task}"));
        }
        let mut turn = Self::new(Status::Failed);
        turn.returned.insert("msg".into(), failure.message.as_str().into());
        if let Some(output) = failure.output {
            let text = |bytes: &[u8]| Value::from(String::from_utf8_lossy(bytes));
            turn.returned.insert("rc".into(), output.code().into());
            turn.returned.insert("stdout".into(), text(&output.stdout));
            turn.returned.insert("stderr".into(), text(&output.stderr));
            turn.tell_lines();
        }
        turn.message = Some(failure.message);
        turn.hint = failure.hint;
        turn
    }

    /// What a program said is told as lists of lines too, whichever task ran it.
    fn tell_lines(&mut self) {
        for (name, lines) in [("stdout", "stdout_lines"), ("stderr", "stderr_lines")] {
            if let Some(text) = self.returned.get(name).and_then(Value::as_str) {
                let all: Value = text.lines().map(Value::from).collect();
                self.returned.entry(lines.to_owned()).or_insert(all);
            }
        }
    }

    pub(super) fn unknown(task: usize, message: &str) -> Self {
        let message = Some(message.to_owned());
        let turn = Self::new(Status::Unknown);
        Self { depends_on: Some(task), message, notifies: true, ..turn }
    }

    pub(super) fn of(outcome: Outcome, changed: bool) -> Self {
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
        turn.tell_lines();
        turn.message = outcome.failed.or(outcome.message);
        turn.include = outcome.include;
        turn.vars = outcome.vars;
        turn
    }

    pub(super) fn set_changed(&mut self, changed: bool) {
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

    pub(super) fn set_failed(&mut self, failed: bool) {
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

    pub(super) fn result(&self) -> Value {
        match self.depends_on {
            Some(task) => Problem::depends_on(task).into_value(),
            None => Value::from_pairs(self.returned.clone()),
        }
    }
}

impl From<Turn> for Done {
    fn from(turn: Turn) -> Self {
        let result = turn.result();
        let Turn { status, ignored, message, hint, handlers, changes, .. } = turn;
        let notifies = if turn.notifies { handlers } else { Vec::new() };
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
            notifies: Vec::new(),
            changes: Vec::new(),
            includes: Vec::new(),
        };
        for turn in turns {
            done.items.push(ItemReport {
                label: turn.label,
                status: turn.status,
                message: turn.message,
            });
            // As in Ansible: one item that has changed speaks for all that were not skipped.
            if notifies {
                done.notifies.extend(turn.handlers);
            }
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
}
