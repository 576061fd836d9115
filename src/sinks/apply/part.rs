//! Runs of some tasks only: what tells one task from the others, and what those that are left out
//! have left in the last full run.

use crate::event::task::Task;
use crate::event::tree::{Node, Value as Tree};
use crate::host::machine::seen::Seen;
use crate::host::watch::Stamp;
use crate::host::writers::Writer;
use minijinja::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

/// Modules whose work is the run itself: variables, and which tasks there are.
const SHAPING: [&str; 6] =
    ["add_host", "group_by", "include_role", "include_tasks", "include_vars", "set_fact"];

/// Which task of a run it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskKey {
    /// Where it stands.
    pub place: String,
    /// Which time the run comes to it, since an include in a loop brings it again and again.
    pub time: usize,
}

/// The tasks that are due because something is not as they left it, and what is known of who has
/// changed that.
pub type Due = BTreeMap<TaskKey, Vec<ChangedBy>>;

/// Who has changed something that a task depends on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ChangedBy {
    /// What was changed.
    pub path: String,
    /// The process.
    #[serde(flatten)]
    pub writer: Writer,
}

impl fmt::Display for ChangedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, writer } = self;
        write!(f, "{path} by pid {}", writer.pid)?;
        if let Some(exe) = &writer.exe {
            write!(f, " ({exe})")?;
        }
        if let Some(uid) = writer.uid {
            write!(f, " of uid {uid}")?;
        }
        Ok(())
    }
}

/// The same in words, where anything is known.
pub fn in_words(changed_by: &[ChangedBy]) -> Option<String> {
    let words: Vec<String> = changed_by.iter().map(ToString::to_string).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

/// What is known of a task that ran, for whoever watches over what it did.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// Which task.
    pub key: TaskKey,
    /// What it looked at: when that changes, the task is due again.
    pub seen: Seen,
    /// What that was like when it had ended.
    pub stamps: Vec<(PathBuf, Stamp)>,
    /// Whether somebody has already changed what it made.
    pub overtaken: bool,
}

/// What a task leaves for those behind it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Left {
    /// The variable that `register` names, and its value.
    pub registered: Option<(String, Value)>,
    /// Facts that it found.
    pub facts: Vec<(String, Value)>,
}

impl Left {
    /// The names of variables that are not what they were in `before`.
    pub fn differs_from<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a str> {
        let is_known = |entry: &(String, Value)| before.entries().any(|known| known == entry);
        self.entries().filter(move |entry| !is_known(entry)).map(|(name, _)| name.as_str())
    }

    fn entries(&self) -> impl Iterator<Item = &(String, Value)> {
        self.registered.iter().chain(&self.facts)
    }
}

/// Whether the run would be another one without the task.
pub(super) fn shapes_the_run(task: &Task) -> bool {
    SHAPING.contains(&task.module.as_str())
}

/// Whether anything in the task may refer to one of the variables `names`. What a template refers to
/// stands in its file.
pub fn refers_to(task: &Task, names: &BTreeSet<String>) -> bool {
    if names.is_empty() || task.module == "template" {
        return !names.is_empty();
    }
    let is_named = |text: &str| names.iter().any(|name| text.contains(name.as_str()));
    holds(&task.args, &is_named) || task.keywords.iter().any(|(_, node)| holds(node, &is_named))
}

fn holds(node: &Node, is_named: &impl Fn(&str) -> bool) -> bool {
    match &node.value {
        Tree::List(items) => items.iter().any(|item| holds(item, is_named)),
        Tree::Map(entries) => {
            entries.iter().any(|(key, node)| is_named(&key.name) || holds(node, is_named))
        }
        _ => node.scalar_text().is_some_and(is_named),
    }
}
