//! A whole desired state: what an apply file says should be.

use crate::event::secret::Secrets;
use crate::event::tree::{Node, Span};
use indexmap::IndexMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The desired state of one revision. The newest replaces an older one that still waits; nothing
/// may drop, sample or split it.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskSet {
    /// What this state is called: a commit, or a hash of the files.
    pub revision: String,
    /// Where `templates/`, `files/` and relative sources are looked for.
    pub base: PathBuf,
    /// Variables of `vars` files and of the apply file, unrendered.
    pub vars: IndexMap<String, Node>,
    /// What `secrets.NAME` stands for; empty until the `secrets` transform has attached them.
    pub secrets: Secrets,
    /// In the order written.
    pub tasks: Vec<Task>,
    /// Run once at the end when a task that changed something notified them.
    pub handlers: Vec<Task>,
}

/// One task as written. Everything that may hold an expression is still unrendered.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// `name:`, else the module's name.
    pub name: String,
    /// The module without `ansible.builtin.`: `copy`.
    pub module: String,
    /// The module's parameters; a mapping, or text for the free form.
    pub args: Node,
    /// All other keys of the task (`when`, `register`, `loop`, ...), checked to be known ones.
    pub keywords: IndexMap<String, Node>,
    /// Where the task begins.
    pub span: Option<Span>,
}

/// A task set on its way, cheap to clone.
pub type SharedTaskSet = Arc<TaskSet>;
