//! From apply files, playbooks and roles to a task set, and the check of all of it before anything
//! runs. Every complaint about every file at once, each with its place.

mod check;
mod files;
mod include;
mod inherit;
mod play;
mod role;
mod task;

use crate::event::fault::Diagnostic;
use crate::event::task::{Home, Library, Named, Role, Step, Task, TaskSet};
use crate::event::tree::Node;
use crate::expr::jinja::Engine;
use crate::expr::scope::Scope;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) use files::search;
pub(super) use include::Brought;
pub use role::RoleFiles;

/// Reads `file` into the plays of `set`, which says where its files are and what variables there
/// are. `scope` knows the names that are there before a run; a static import may be named with
/// them.
pub fn read(file: &Node, mut set: TaskSet, scope: &Scope) -> (TaskSet, Vec<Diagnostic>) {
    let mut parser = Parser::new(&set, scope.clone());
    parser.remembers = true;
    let mut complaints = Vec::new();
    parser.check_vars(&set.vars, &mut complaints);
    set.plays = parser.plays(file);
    parser.check_plays(&set.plays, &mut complaints);
    complaints.append(&mut parser.complaints);
    set.library = parser.library;
    (set, without_doubles(complaints))
}

/// What is said of a block is looked at in each of its tasks, and is wrong only once.
fn without_doubles(complaints: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut once: Vec<Diagnostic> = Vec::new();
    for complaint in complaints {
        if !once.contains(&complaint) {
            once.push(complaint);
        }
    }
    once
}

/// Reads steps, and the files that they name.
pub(super) struct Parser {
    base: PathBuf,
    /// The directory of the playbook that is being read.
    here: PathBuf,
    library: Library,
    /// Whether files that are read stay in the library.
    remembers: bool,
    scope: Scope,
    complaints: Vec<Diagnostic>,
    /// What the imports around a playbook say of all of its plays.
    outer: Named,
    /// Files that are being imported right now, the outermost first.
    open: Vec<PathBuf>,
    /// What includes will bring while a run is on, as far as that is known before.
    foreseen: Foreseen,
    /// Roles that were read for this play, with what they were given.
    given: Vec<Given>,
    /// Roles that tasks of this play import, and what is notified there.
    imported: Vec<Arc<Role>>,
    imported_handlers: Vec<Task>,
}

/// A role's directory, its parameters and the keywords that hold for all of it.
type Given = (PathBuf, Named, Arc<Named>);

#[derive(Default)]
struct Foreseen {
    steps: Vec<Step>,
    handlers: Vec<Task>,
    /// Files and roles that were looked into.
    seen: BTreeSet<PathBuf>,
    /// Some include's name is only known when a run comes to it.
    has_unknown: bool,
}

/// What holds for tasks because of where they stand.
#[derive(Clone, Default)]
struct Around {
    home: Arc<Home>,
    keywords: Arc<Named>,
}

/// A role and all that it brings.
struct LoadedRole {
    role: Arc<Role>,
    /// Those that it depends on.
    others: Vec<Arc<Role>>,
    steps: Vec<Step>,
    handlers: Vec<Task>,
}

impl Parser {
    pub(super) fn new(set: &TaskSet, scope: Scope) -> Self {
        Self {
            base: set.base.clone(),
            here: set.base.clone(),
            library: set.library.clone(),
            remembers: false,
            scope,
            complaints: Vec::new(),
            outer: Named::new(),
            open: Vec::new(),
            foreseen: Foreseen::default(),
            given: Vec::new(),
            imported: Vec::new(),
            imported_handlers: Vec::new(),
        }
    }

    /// The names that something of `home` may use before a run.
    fn scope_in(&self, home: &Home) -> Scope {
        let scope = match home.params.is_empty() {
            true => self.scope.clone(),
            false => self.scope.with_params(Arc::new(home.params.clone())),
        };
        let Some(role) = &home.role else { return scope };
        let path = std::path::absolute(&role.path).unwrap_or_else(|_| role.path.clone());
        scope
            .with_vars(Arc::new(role.defaults.clone()))
            .with_vars(Arc::new(role.vars.clone()))
            .with_fixed("role_name", role.name.as_str().into())
            .with_fixed("role_path", path.display().to_string().into())
    }

    fn engine(&self) -> &Engine {
        self.scope.engine()
    }

    fn complain(&mut self, why: impl Into<String>, node: &Node) -> &mut Diagnostic {
        self.push(Diagnostic::new(why, node.span.clone()))
    }

    fn push(&mut self, complaint: Diagnostic) -> &mut Diagnostic {
        self.complaints.push(complaint);
        let last = self.complaints.len() - 1;
        &mut self.complaints[last]
    }

    /// The text of a name that must be known before a run.
    fn known_name(&mut self, what: &str, node: &Node, home: &Home) -> Option<String> {
        let scope = self.scope_in(home);
        let rendered = match scope.engine().render_node(node, &scope) {
            Ok(rendered) => rendered,
            Err(problem) => {
                let why = format!("`{what}` is needed before the run begins: {problem}");
                let hint = "`include_tasks` and `include_role` take names that only a run knows";
                self.complain(why, node).hint = Some(hint.into());
                return None;
            }
        };
        match rendered.scalar_text() {
            Some(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            _ => {
                self.complain(format!("`{what}` is a name, and this is {}", node.kind()), node);
                None
            }
        }
    }
}
