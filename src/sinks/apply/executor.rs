//! Runs the plays of a task set that are for this host, in order.

use super::hosts::{Host, pattern_of};
use super::looks::Looks;
use super::parse::Parser;
use super::part::{ChangedBy, Left, TaskKey};
pub use super::pending::Pending;
use super::report::{Report, TaskReport};
pub use super::selection::Selection;
use super::tasks::Failure;
use crate::event::secret::{Masker, Secrets};
use crate::event::task::{Home, Play, Role, Task, TaskSet};
use crate::event::tree::Node;
use crate::expr::jinja::Engine;
use crate::expr::scope::{Scope, Vars};
use crate::host::machine::Machine;
use indexmap::IndexMap;
use minijinja::Value;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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
    /// Handlers that earlier runs have left.
    pub pending: Pending,
    /// Whether results hold how things differ, unless a task says otherwise.
    pub diffs: bool,
}

/// What is to become of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It runs.
    Run,
    /// It is left out.
    Skip,
}

/// Hears how a run goes on, and may keep it from going on.
pub trait Observer {
    /// A play begins.
    fn play(&mut self, _name: &str) {}

    /// A task is about to begin.
    fn asks(&mut self, _name: &str) -> Wish {
        Wish::Run
    }

    /// A task begins.
    fn started(&mut self, _name: &str, _handler: bool) {}

    /// A task has ended. An error ends the run before the next one begins.
    fn finished(&mut self, _task: &TaskReport) -> Result<(), String> {
        Ok(())
    }

    /// Whether somebody wants the run to end, so that nothing is to be waited for.
    fn is_interrupted(&self) -> bool {
        false
    }

    /// Why only some tasks run, where that is so.
    fn cause(&self) -> Option<&'static str> {
        None
    }

    /// What is known of who has changed what this task depends on.
    fn changed_by(&self, _key: &TaskKey) -> &[ChangedBy] {
        &[]
    }

    /// Whether it is to be told by their keys which task is which, and what they leave.
    fn remembers(&self) -> bool {
        false
    }

    /// What a task left when it ran before, where it is not to run again.
    fn left_before(&mut self, _key: &TaskKey, _task: &Task) -> Option<Left> {
        None
    }

    /// A task ran, did not fail, and leaves this for those behind it.
    fn leaves(&mut self, _key: &TaskKey, _left: Left) {}

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

/// Runs `set` on `machine`. The first task that fails, and that no `rescue` is for, ends the run;
/// the report says what was done and what was not.
pub fn run(
    set: &TaskSet,
    machine: &mut Machine,
    inputs: &Inputs,
    selection: &Selection,
    observer: &mut dyn Observer,
) -> Report {
    machine.refuse_secrets(inputs.masker.clone());
    machine.begin_at(&set.base);
    let looks = Looks::new(machine, &set.base);
    let scope = Scope::new(Arc::clone(&inputs.engine))
        .with_fixed("facts", inputs.facts.clone())
        .with_fixed("host", inputs.host.as_str().into())
        .with_fixed("inventory_hostname", inputs.host.as_str().into())
        .with_fixed("ansible_check_mode", machine.is_dry_run().into())
        .with_secrets(inputs.secrets.clone())
        .with_masker(inputs.masker.clone())
        .with_host(looks.clone())
        .with_overriding(Arc::new(inputs.extra_vars.clone()));
    let scope = super::magic::with_names(scope, set, inputs, selection);
    let report = Report {
        revision: set.revision.clone(),
        dry_run: machine.is_dry_run(),
        ..Report::default()
    };
    let mut executor = Executor {
        set,
        vars: Arc::new(set.vars.clone()),
        machine,
        inputs,
        selection,
        observer,
        outer: scope,
        looks,
        play: PlayState::default(),
        results: Arc::default(),
        included: Arc::default(),
        groups: set.groups.clone(),
        failed: None,
        is_forgiven: false,
        times: HashMap::new(),
        found: Vec::new(),
        waits_for: selection.start_at.clone(),
        report,
    };
    executor.run();
    executor.report
}

pub(super) struct Executor<'a> {
    pub(super) set: &'a TaskSet,
    vars: Arc<Vars>,
    pub(super) machine: &'a mut Machine,
    pub(super) inputs: &'a Inputs,
    pub(super) selection: &'a Selection,
    pub(super) observer: &'a mut dyn Observer,
    /// What is the same in all plays.
    outer: Scope,
    /// What expressions look at.
    pub(super) looks: Arc<Looks>,
    pub(super) play: PlayState,
    /// Registered results and what `set_fact` set.
    pub(super) results: Arc<IndexMap<String, Value>>,
    /// The groups that this host belongs to by now.
    pub(super) groups: Vec<String>,
    /// What `include_vars` read.
    pub(super) included: Arc<Vars>,
    /// The task that failed last, and its result, for `rescue`.
    pub(super) failed: Option<(Value, Value)>,
    /// Whether `meta: clear_host_errors` forgives what has failed.
    pub(super) is_forgiven: bool,
    /// How often the run came to the tasks at each place.
    pub(super) times: HashMap<String, usize>,
    /// The facts that the task of the moment has found.
    pub(super) found: Vec<(String, Value)>,
    /// The name of the first task that is to run.
    pub(super) waits_for: Option<String>,
    pub(super) report: Report,
}

/// What belongs to the play that runs.
#[derive(Default)]
pub(super) struct PlayState {
    /// Its handlers, and those that came with includes.
    pub(super) handlers: Vec<Arc<Task>>,
    /// Those (by their place) that were notified and have not run yet.
    pub(super) notified: BTreeSet<usize>,
    vars: Arc<Vars>,
    vars_files: Vec<Arc<Vars>>,
    roles: Vec<Arc<Role>>,
    /// What Ansible calls the play and its roles.
    names: Vec<(&'static str, Value)>,
    scopes: HashMap<usize, Lived>,
}

/// What tasks of one home see and where they look.
#[derive(Clone)]
pub(super) struct Lived {
    /// Keeps the address from being another home's.
    _home: Arc<Home>,
    pub(super) scope: Scope,
    pub(super) search: Arc<Vec<PathBuf>>,
}

/// Whether the run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    /// A task has failed.
    Failed,
    /// The play is over.
    EndPlay,
    /// The role, or what else was included, is over.
    EndRole,
    /// The run is over.
    Stop,
}

impl Executor<'_> {
    fn run(&mut self) {
        let set = self.set;
        let mut left = BTreeSet::new();
        let mut heard = BTreeSet::new();
        let mut is_over = false;
        for play in &set.plays {
            if is_over {
                self.add_not_run(&play.steps);
                continue;
            }
            match self.is_meant(play) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(why) => {
                    self.report.stopped = Some(why);
                    is_over = true;
                    continue;
                }
            }
            is_over = self.play(play) == Next::Stop;
            heard.extend(self.play.handlers.iter().map(|handler| name_of(handler)));
            left.extend(self.pending_names());
        }
        if let (Some(name), None) = (&self.waits_for, &self.report.stopped) {
            self.report.stopped = Some(format!("there is no task `{name}` to start at"));
            return;
        }
        self.report.pending_handlers = left.iter().map(|name| self.masked(name)).collect();
        // What no play has any more is forgotten, once everything else is as declared.
        let mut names = self.inputs.pending.names();
        if !is_over {
            names.retain(|name| heard.contains(name) && left.contains(name));
        }
        names.extend(left);
        self.remember(names);
    }

    /// Writes down which handlers are still to run.
    pub(super) fn remember(&mut self, names: BTreeSet<String>) {
        if self.machine.is_dry_run() {
            return;
        }
        if let Err(error) = self.inputs.pending.set(names) {
            let why = format!("which handlers were notified cannot be written down: {error}");
            self.report.stopped.get_or_insert(why);
        }
    }

    fn is_meant(&self, play: &Play) -> Result<bool, String> {
        let Some(hosts) = &play.hosts else { return Ok(true) };
        let scope = self.outer.with_vars(Arc::clone(&self.vars));
        let hosts = scope
            .engine()
            .render_node(hosts, &scope)
            .map_err(|problem| problem.diagnostic().to_string())?;
        let host = Host { name: &self.inputs.host, groups: &self.groups };
        host.is_meant(&pattern_of(&hosts))
    }

    fn play(&mut self, play: &Play) -> Next {
        self.play = PlayState {
            handlers: play.handlers.iter().cloned().map(Arc::new).collect(),
            vars: Arc::new(play.vars.clone()),
            roles: play.roles.clone(),
            names: super::magic::of_play(play),
            ..PlayState::default()
        };
        if self.set.plays.len() > 1 {
            let name = self.masked(&play.name);
            self.observer.play(&name);
        }
        if let Err(failure) = self.read_vars_files(play) {
            self.report.stopped = Some(failure.message);
            return Next::Stop;
        }
        self.take_pending();
        let mut next = self.steps(&play.steps, &super::walk::Frame::default());
        match next {
            Next::Failed if !play.force_handlers => {}
            Next::Stop => {}
            // A notification is kept even where a play ends early.
            _ => {
                let flushed = self.flush(&super::walk::Frame::default());
                if next != Next::Failed {
                    next = flushed;
                }
            }
        }
        match next {
            Next::Failed | Next::Stop => Next::Stop,
            Next::GoOn | Next::EndPlay | Next::EndRole => Next::GoOn,
        }
    }

    /// Handlers that an earlier run has notified and not run are due in this one.
    fn take_pending(&mut self) {
        let names = self.inputs.pending.names();
        let handlers = self.play.handlers.iter().enumerate();
        let due = handlers.filter(|(_, handler)| names.contains(&name_of(handler)));
        let due: Vec<usize> = due.map(|(at, _)| at).collect();
        self.play.notified.extend(due);
    }

    /// The names of the handlers that are still to run.
    pub(super) fn pending_names(&self) -> BTreeSet<String> {
        let handlers = &self.play.handlers;
        self.play.notified.iter().filter_map(|at| handlers.get(*at)).map(|it| name_of(it)).collect()
    }

    fn read_vars_files(&mut self, play: &Play) -> Result<(), Failure> {
        for entry in &play.vars_files {
            let home = Home { directory: self.set.base.clone(), ..Home::default() };
            let scope = self.scope_of(&Arc::new(home.clone())).scope;
            let rendered = scope.engine().render_node(entry, &scope)?;
            let names = rendered.as_list().unwrap_or(std::slice::from_ref(&rendered));
            let parser = Parser::new(self.set, scope);
            let mut complaint = None;
            let found = names.iter().filter_map(Node::scalar_text).find_map(|name| {
                let found = parser.find_vars(name, &home, entry.span.as_ref());
                found.map_err(|why| complaint = Some(why)).ok()
            });
            let Some(path) = found else {
                return Err(complaint.map_or_else(
                    || Failure::new("`vars_files` names no file"),
                    |complaint| Failure::from(*complaint),
                ));
            };
            let node = self.set.library.read(&path).map_err(Failure::first)?;
            let entries = node.as_map().unwrap_or_default();
            let vars = entries.iter().map(|(key, node)| (key.name.to_string(), node.clone()));
            self.play.vars_files.push(Arc::new(vars.collect()));
            self.play.scopes.clear();
        }
        Ok(())
    }

    /// Makes the variables of these roles known to the rest of the play.
    pub(super) fn publish(&mut self, roles: Vec<Arc<Role>>) {
        if !roles.is_empty() {
            self.play.roles.extend(roles);
            self.play.scopes.clear();
        }
    }

    /// What tasks of `home` see: variables in Ansible's order of precedence, without those of the
    /// task itself.
    pub(super) fn scope_of(&mut self, home: &Arc<Home>) -> Lived {
        let address = Arc::as_ptr(home) as usize;
        if let Some(known) = self.play.scopes.get(&address) {
            return known.clone();
        }
        let play = &self.play;
        let mut scope = self.outer.clone();
        let mut layer = |vars: &Vars| {
            if !vars.is_empty() {
                scope = scope.with_vars(Arc::new(vars.clone()));
            }
        };
        let own = home.role.as_deref();
        // A role sees what those around it define, unless it says otherwise itself.
        let with_parents: Vec<&Role> =
            home.parents.iter().rev().map(Arc::as_ref).chain(own).collect();
        play.roles.iter().for_each(|role| layer(&role.defaults));
        with_parents.iter().for_each(|role| layer(&role.defaults));
        layer(&self.vars);
        layer(&play.vars);
        play.vars_files.iter().for_each(|vars| layer(vars));
        play.roles.iter().for_each(|role| layer(&role.vars));
        with_parents.iter().for_each(|role| layer(&role.vars));
        for (name, value) in &play.names {
            scope = scope.with_fixed(name, value.clone());
        }
        if !home.parents.is_empty() {
            let all = |tell: fn(&Role) -> String| -> Value {
                home.parents.iter().map(|role| tell(role)).collect()
            };
            scope = scope
                .with_fixed("ansible_parent_role_names", all(|role| role.name.clone()))
                .with_fixed(
                    "ansible_parent_role_paths",
                    all(|role| role.path.display().to_string()),
                );
        }
        if !home.params.is_empty() {
            scope = scope.with_params(Arc::new(home.params.clone()));
        }
        if !home.play.as_os_str().is_empty() {
            let play = std::path::absolute(&home.play).unwrap_or_else(|_| home.play.clone());
            scope = scope.with_fixed("playbook_dir", play.display().to_string().into());
        }
        if let Some(role) = own {
            let path = std::path::absolute(&role.path).unwrap_or_else(|_| role.path.clone());
            scope = scope
                .with_fixed("role_name", role.name.as_str().into())
                .with_fixed("ansible_role_name", role.name.as_str().into())
                .with_fixed("role_path", path.display().to_string().into());
        }
        let own = (self.inputs.host.as_str(), scope.lookup("vars"));
        scope = scope.with_fixed("hostvars", Value::from_pairs([own]));
        let search = Arc::new(super::parse::search(home, &self.set.base));
        let lived = Lived { _home: Arc::clone(home), scope, search };
        self.play.scopes.insert(address, lived.clone());
        lived
    }

    pub(super) fn masked(&self, text: &str) -> String {
        self.inputs.masker.mask(text).into_owned()
    }
}

/// The name under which a handler is written down.
pub(super) fn name_of(handler: &Task) -> String {
    handler.full_name().unwrap_or_else(|| handler.name.clone())
}
