//! A whole desired state: what apply files, playbooks and roles say should be.

use crate::event::fault::Diagnostic;
use crate::event::secret::Secrets;
use crate::event::tree::{Node, Span};
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Things by their names, unrendered: variables, or the keywords of a task.
pub type Named = IndexMap<String, Node>;

/// The desired state of one revision. The newest replaces an older one that still waits; nothing
/// may drop, sample or split it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskSet {
    /// What this state is called: a commit, or a hash of the files.
    pub revision: String,
    /// The config directory: `templates/`, `files/`, `roles/` and relative sources are looked for
    /// here, and no file of tasks outside it is read.
    pub base: PathBuf,
    /// Variables of `vars` files and of the groups and the host, unrendered.
    pub vars: Named,
    /// What `secrets.NAME` stands for; empty until the `secrets` transform has attached them.
    pub secrets: Secrets,
    /// The groups that this host belongs to.
    pub groups: Vec<String>,
    /// In the order written.
    pub plays: Vec<Play>,
    /// The files that were read for it, and how to read one that only a run can name.
    pub library: Library,
}

impl TaskSet {
    /// How many tasks are written in it, as far as that is known before a run.
    pub fn count(&self) -> usize {
        let mut count = 0;
        // What the program put in between has no place.
        let mut visit = |task: &Task| count += usize::from(task.span.is_some());
        self.plays.iter().for_each(|play| each_task(&play.steps, &mut visit));
        count
    }
}

/// A part of the state that is for some hosts. A file that is no playbook is one play for all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Play {
    /// `name:`, else its hosts.
    pub name: String,
    /// Which hosts it is for, as a pattern; every host where there is none.
    pub hosts: Option<Node>,
    /// Its own variables.
    pub vars: Named,
    /// Files of variables that only a run can name, each the first of a list that is there.
    pub vars_files: Vec<Node>,
    /// Its roles, whose variables all of its tasks see.
    pub roles: Vec<Arc<Role>>,
    /// Those of them that the play itself names.
    pub role_names: Vec<String>,
    /// Those that they depend on.
    pub dependency_names: Vec<String>,
    /// In the order in which they run.
    pub steps: Vec<Step>,
    /// Run once at the end when a task that changed something notified them.
    pub handlers: Vec<Task>,
    /// Whether notified handlers run even where a task has failed.
    pub force_handlers: bool,
    /// Where it begins.
    pub span: Option<Span>,
}

/// One step of a play.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A single task.
    Task(Task),
    /// Several that belong together.
    Block(Block),
}

/// Shows `visit` every task of `steps` in order, those of `rescue` and `always` too.
pub fn each_task<'a>(steps: &'a [Step], visit: &mut dyn FnMut(&'a Task)) {
    for step in steps {
        match step {
            Step::Task(task) => visit(task),
            Step::Block(block) => {
                for part in [&block.tasks, &block.rescue, &block.always] {
                    each_task(part, visit);
                }
            }
        }
    }
}

/// Tasks that fail together. What is said of all of them has been added to each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// `name:`, if any.
    pub name: String,
    /// What it does.
    pub tasks: Vec<Step>,
    /// What is done when one of those has failed.
    pub rescue: Vec<Step>,
    /// What is done in any case.
    pub always: Vec<Step>,
    /// Whether the changes of a block that failed are undone.
    pub rollback: bool,
    /// Where it begins.
    pub span: Option<Span>,
}

/// One task as written. Everything that may hold an expression is still unrendered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    /// `name:`, else the module's name.
    pub name: String,
    /// The module without `ansible.builtin.`: `copy`.
    pub module: String,
    /// The module's parameters.
    pub args: Node,
    /// All other keys of the task (`when`, `register`, `loop`, ...), checked to be known ones,
    /// with those of the blocks around it.
    pub keywords: Named,
    /// The keywords of the blocks around it alone: they hold for what the task includes too.
    pub around: Arc<Named>,
    /// Where it lives.
    pub home: Arc<Home>,
    /// Where it begins.
    pub span: Option<Span>,
}

/// Where a task lives: what it finds there beside the names and files of the whole set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Home {
    /// The directory of the file that it stands in.
    pub directory: PathBuf,
    /// The role that it belongs to.
    pub role: Option<Arc<Role>>,
    /// The roles that import or include that one, the nearest first.
    pub parents: Vec<Arc<Role>>,
    /// The directory of the play's own file; that of the set where it is not known.
    pub play: PathBuf,
    /// What it was included with: parameters of the role, variables of the include.
    pub params: Named,
}

/// A role, without its tasks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Role {
    /// What it is called where it is used.
    pub name: String,
    /// Its directory.
    pub path: PathBuf,
    /// Variables that every other definition hides, with those of the roles that it depends on.
    pub defaults: Named,
    /// Variables that hide those of the play, likewise.
    pub vars: Named,
}

/// Reads one file of tasks or variables.
pub type ReadFile = fn(&Path) -> Result<Node, Vec<Diagnostic>>;

/// Files of tasks and variables.
#[derive(Clone)]
pub struct Library {
    read: ReadFile,
    known: Arc<BTreeMap<PathBuf, Node>>,
}

impl Library {
    /// A library that has read nothing yet.
    pub fn new(read: ReadFile) -> Self {
        Self { read, known: Arc::default() }
    }

    /// The content of the file at `path`: as it was when the config was loaded, where it was read
    /// then.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(&self, path: &Path) -> Result<Node, Vec<Diagnostic>> {
        match self.known.get(path) {
            Some(node) => Ok(node.clone()),
            None => (self.read)(path),
        }
    }

    /// The same, remembered.
    ///
    /// # Errors
    /// As above.
    pub fn keep(&mut self, path: &Path) -> Result<Node, Vec<Diagnostic>> {
        let node = self.read(path)?;
        Arc::make_mut(&mut self.known).insert(path.to_owned(), node.clone());
        Ok(node)
    }

    /// The content of all files that were read and remembered.
    pub fn files(&self) -> impl Iterator<Item = (&PathBuf, &Node)> {
        self.known.iter()
    }
}

impl Default for Library {
    fn default() -> Self {
        let none = |path: &Path| {
            let message = format!("`{}` cannot be read: there are no files here", path.display());
            Err(vec![Diagnostic::new(message, None)])
        };
        Self::new(none)
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.known.keys()).finish()
    }
}

/// How a file is read does not count, only what was.
impl PartialEq for Library {
    fn eq(&self, other: &Self) -> bool {
        self.known == other.known
    }
}

/// A task set on its way, cheap to clone.
pub type SharedTaskSet = Arc<TaskSet>;
