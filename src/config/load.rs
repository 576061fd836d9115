//! Loads a whole config: all files, all errors, one graph.

mod agent;

use super::assemble::assemble;
use super::component::Reader;
use super::discover::{FileKind, Files, Found, discover, discover_but};
use super::files::{AgentFile, ApplyFile};
use super::fleet::{self, FleetFile};
use super::lower::{Lowering, Written};
use super::merge::{Counted, merged};
use super::owned::{self, Owned};
use super::rollout::Turn;
use super::scope::{constants, variables};
use super::secret_place::Further;
use super::secret_use::secret_names;
use super::secrets::{Places, misplaced};
use super::switched_off::is_on;
use super::task_set::{Origin, Target, task_set};
use crate::event::de::from_node;
use crate::event::fault::Diagnostic;
use crate::event::secret::{MASK, Masker, SecretText, Secrets};
use crate::event::task::SharedTaskSet;
use crate::event::tree::{Node, Value};
use crate::expr::jinja::Engine;
use crate::expr::scope::{Scope, Vars};
use crate::host::brief::Programs;
use crate::host::facts::{Facts, facts_value};
use crate::topology::graph::Graph;
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

/// What a config is read with: the host that it is for, and where secrets lie.
pub struct Surroundings<'a> {
    /// The one Jinja.
    pub engine: Arc<Engine>,
    /// The host's facts.
    pub facts: Arc<Facts>,
    /// The node's name.
    pub host: String,
    /// Whether the config may give another.
    pub naming: Naming,
    /// Groups that the host belongs to, whatever the config says.
    pub groups: Vec<String>,
    /// Where secrets are looked up.
    pub secret_places: Places<'a>,
    /// Whatever runs so that it tells secrets is one of these.
    pub programs: Programs,
    /// Learns the secrets before anything is made of them.
    pub masker: Masker,
}

/// Who says what a host is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// The config, where it says anything.
    OfConfig,
    /// Whoever reads the config as if it were on that host.
    Given,
}

/// A config that holds together.
#[derive(Debug)]
pub struct Config {
    /// The agent's own settings.
    pub agent: AgentFile,
    /// All components that are switched on here.
    pub graph: Graph,
    /// The secrets that the config refers to.
    pub secrets: Secrets,
    /// The desired state, where an apply file declares one.
    pub tasks: Option<SharedTaskSet>,
    /// The groups that the host belongs to.
    pub groups: Vec<String>,
    /// What expressions on records may read beside the record.
    pub constants: serde_json::Map<String, serde_json::Value>,
    /// The node's name.
    pub host: String,
    /// When the host's turn comes to take this config, where it says so.
    pub turn: Option<Turn>,
    /// Its files.
    pub files: Counted,
    /// Variables of other groups and hosts, which were not read.
    pub others: Vec<Owned>,
    /// What is worth knowing and no fault.
    pub notes: Vec<Diagnostic>,
}

/// A revision of the repository that a config says the host is kept as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The commit's full name.
    pub commit: String,
    /// The directory with its config.
    pub root: PathBuf,
}

/// Loads the config at `paths`, each a directory or a file. Where it follows a repository, only the
/// agent's own settings are read there, and everything else in `revision`, if there is one yet.
///
/// # Errors
/// Everything that is wrong in any file, at once.
pub fn load(
    paths: &[PathBuf],
    revision: Option<&Revision>,
    surroundings: &Surroundings<'_>,
) -> Result<Config, Vec<Diagnostic>> {
    let mut files = Files::default();
    for path in paths {
        let more = discover(path);
        files.found.extend(more.found);
        files.owned.extend(more.owned);
        files.complaints.extend(more.complaints);
        files.complaints.extend(misplaced(path));
    }
    let mut notes = Vec::new();
    let mut origin_paths = paths.to_vec();
    let follows = files.found.iter().any(follows);
    if follows {
        let local = files.found.extract_if(.., |file| file.kind != FileKind::Agent);
        notes.extend(local.map(|file| left_out(&file.path, "`git` has everything else come from")));
        files.owned.clear();
        if let Some(revision) = revision {
            let more = discover_but(&revision.root, Some(FileKind::Agent));
            let unread = more.left_out.iter();
            notes.extend(unread.map(|path| left_out(path, "`agent.yml` is never taken from")));
            files.found.extend(more.found);
            files.owned.extend(more.owned);
            files.complaints.extend(more.complaints);
            files.complaints.extend(misplaced(&revision.root));
            origin_paths = vec![revision.root.clone()];
        }
    }
    let is_whole = files.complaints.is_empty();
    let commit = revision.filter(|_| follows).map(|revision| revision.commit.clone());
    let origin = Origin::of(&origin_paths, &files.found).with_commit(commit);
    let complaints = std::mem::take(&mut files.complaints);
    let (which, further) = Default::default();
    let loading = Loading { surroundings, complaints, is_whole, which, further };
    let config = loading.run(files, origin)?;
    notes.extend(config.notes);
    Ok(Config { notes, ..config })
}

/// Whether this file has the host kept as a repository says.
fn follows(file: &Found) -> bool {
    file.kind == FileKind::Agent && file.node.get("git").is_some()
}

fn left_out(path: &std::path::Path, why: &str) -> Diagnostic {
    Diagnostic::new(format!("`{}` is not read: {why} the repository", path.display()), None)
}

/// Takes a topology that the program itself has put together, as if a file said it.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load_topology(
    topology: Node,
    surroundings: &Surroundings<'_>,
) -> Result<Config, Vec<Diagnostic>> {
    let found = vec![Found { kind: FileKind::Topology, path: PathBuf::new(), node: topology }];
    let origin = Origin::of(&[], &found);
    let files = Files { found, ..Files::default() };
    let (complaints, which, further) = Default::default();
    Loading { surroundings, complaints, is_whole: true, which, further }.run(files, origin)
}

struct Loading<'a> {
    surroundings: &'a Surroundings<'a>,
    complaints: Vec<Diagnostic>,
    /// Whether everything that was written is known. Else what is missing may be what could not
    /// be read.
    is_whole: bool,
    which: Counted,
    /// Places of secrets that the agent's own file names.
    further: Further,
}

/// The files of each kind as one, without those whose `when` does not hold.
#[derive(Default)]
struct Kinds {
    agent: Option<Node>,
    apply: Option<Node>,
    facts: Option<Node>,
    logs: Option<Node>,
    topology: Option<Node>,
}

impl Loading<'_> {
    fn run(mut self, files: Files, mut origin: Origin) -> Result<Config, Vec<Diagnostic>> {
        let Files { mut found, owned, .. } = files;
        let engine = Arc::clone(&self.surroundings.engine);
        let host = |name: &str| minijinja::Value::from(name);
        let scope = Scope::new(Arc::clone(&engine))
            .with_fixed("facts", facts_value(&self.surroundings.facts))
            .with_fixed("host", host(&self.surroundings.host));
        // The host's name comes first: what is for which host may depend on it.
        let agent_node = self.merged(&mut found, FileKind::Agent, &scope);
        let programs = || self.surroundings.programs.clone();
        let further = agent_node.as_ref().map(|agent| Further::of(agent, programs()));
        self.further = further.unwrap_or_default();
        let named = agent_node.as_ref().and_then(|node| self.host(node, &scope));
        let named = named.filter(|_| self.surroundings.naming == Naming::OfConfig);
        let host_name = named.unwrap_or_else(|| self.surroundings.host.clone());
        let scope = scope.with_fixed("host", host(&host_name));
        let agent_scope = scope.clone();
        let own = agent_node.as_ref().map(|node| fleet::own_groups(node, &engine, &scope));
        let own = own.unwrap_or_default();
        let fleet = self.fleet(&mut found, &scope);
        let all_own = [self.surroundings.groups.clone(), own.clone()].concat();
        let groups =
            fleet::groups(&fleet, &all_own, &host_name, &engine, &scope, &mut self.complaints);
        let turn = fleet
            .rollout
            .as_ref()
            .map(|rollout| rollout.turn(&host_name, &groups.of_host, &mut self.complaints));
        let scope = groups.in_scope(&scope);
        let mut vars_node = self.merged(&mut found, FileKind::Vars, &scope).unwrap_or_else(empty);
        let mut vars = variables(&vars_node, &mut self.complaints);
        for files in owned::of_host(&owned, &groups, &host_name, &mut self.complaints) {
            files.iter().for_each(|file| origin.add(file));
            let files = files.into_iter();
            let (which, complaints) = (&mut self.which, &mut self.complaints);
            if let Some(node) = merged(files, &engine, &scope, which, complaints) {
                vars.extend(variables(&node, &mut self.complaints));
                owned::replace(&mut vars_node, node);
            }
        }
        let vars = Arc::new(vars);
        let scope = scope.with_vars(Arc::clone(&vars));
        let kinds = Kinds {
            agent: agent_node,
            apply: self.merged(&mut found, FileKind::Apply, &scope),
            facts: self.merged(&mut found, FileKind::Facts, &scope),
            logs: self.merged(&mut found, FileKind::Logs, &scope),
            topology: self.merged(&mut found, FileKind::Topology, &scope),
        };
        let secret_names = secret_names(&vars);
        let follows = kinds.agent.as_ref().is_some_and(|node| node.get("git").is_some());
        // What comes out of the repository has no say in which repository that is.
        let agent_scope = if follows { &agent_scope } else { &scope };
        let agent = kinds.agent.as_ref();
        let agent = agent.and_then(|node| self.agent(node, &secret_names, agent_scope));
        let tasks_node = kinds.apply.clone();
        if let Some(agent) = agent.as_ref().filter(|agent| agent.groups != own) {
            self.complaints.push(fleet::unread_groups(&agent.groups, kinds.agent.as_ref()));
        }
        let apply = kinds.apply.as_ref().and_then(|node| self.apply_file(node.clone()));
        let tasks = apply.as_ref().map(|file| {
            let target = Target { host: &host_name, groups: &groups.of_host };
            task_set(file, Vars::clone(&vars), origin, &target, &scope, &mut self.complaints)
        });
        let components = self.lowered(kinds, apply);
        let off = self.switched_off(&components, &scope);
        let on = components.iter().filter(|written| !off.contains(&written.name));
        let of_tasks = tasks.iter().flat_map(|set| set.library.files()).map(|(_, node)| node);
        let users = on.map(|written| &written.node).chain([&vars_node]).chain(&tasks_node);
        let users = users.chain(of_tasks);
        let before = self.complaints.len();
        let (secrets, wanted) = self.secrets(users);
        let lacks_secrets = self.complaints.len() > before;
        let masks = wanted.iter().map(|name| (name.clone(), SecretText::new(MASK.into())));
        let blind_scope = scope.with_secrets(masks.collect());
        let full_scope = if secrets.is_empty() {
            blind_scope.clone()
        } else {
            scope.with_secrets(secrets.clone())
        };
        let reader = Reader {
            engine: &engine,
            scope: &full_scope,
            blind_scope: &blind_scope,
            secret_names: &secret_names,
            lacks_secrets,
            vars: &vars_node,
        };
        let graph = assemble(&components, off, &reader, self.is_whole, &mut self.complaints);
        if !self.complaints.is_empty() {
            return Err(self.complaints);
        }
        let readers = graph.nodes.values().map(|node| &node.spec);
        let shown = vars.keys().filter(|name| !secret_names.contains(*name));
        let constants = constants(&scope, shown, &self.surroundings.facts, readers);
        let agent = agent.unwrap_or_default();
        let tasks = tasks.map(Arc::new);
        let mut notes = owned::remarks(&owned, &groups);
        notes.extend(fleet::remarks(&fleet, &groups));
        let others = owned::others(owned, &groups, &host_name);
        let (host, groups) = (host_name, groups.of_host);
        Ok(Config {
            agent,
            graph,
            tasks,
            groups,
            secrets,
            constants,
            host,
            turn,
            files: self.which,
            others,
            notes,
        })
    }

    /// What the fleet's files say. They name no components.
    fn fleet(&mut self, found: &mut Vec<Found>, scope: &Scope) -> FleetFile {
        let node = self.merged(found, FileKind::Fleet, scope);
        let is_whole = self.is_whole;
        let fleet = node.and_then(|node| self.typed(node));
        self.is_whole = is_whole;
        fleet.unwrap_or_default()
    }

    fn merged(&mut self, found: &mut Vec<Found>, kind: FileKind, scope: &Scope) -> Option<Node> {
        let files = found.extract_if(.., |file| file.kind == kind);
        let (which, complaints) = (&mut self.which, &mut self.complaints);
        merged(files, &self.surroundings.engine, scope, which, complaints)
    }

    fn lowered(&mut self, kinds: Kinds, apply: Option<ApplyFile>) -> Vec<Written> {
        let mut lowering = Lowering::default();
        if let (Some(file), Some(node)) = (apply, kinds.apply) {
            lowering.apply(file, node.span.as_ref());
        }
        if let Some(node) = kinds.facts {
            let span = node.span.clone();
            lowering.facts(self.typed(node).unwrap_or_default(), span.as_ref());
        }
        if let Some(node) = kinds.topology {
            lowering.topology(self.typed(node).unwrap_or_default());
        }
        if let Some(node) = kinds.logs {
            lowering.logs(self.typed(node).unwrap_or_default());
        }
        self.is_whole &= lowering.is_whole;
        self.complaints.append(&mut lowering.complaints);
        lowering.components
    }

    /// Reads a file's top level. What is wrong in it is passed over, so that the rest is heard of
    /// in the same run.
    fn typed<T: DeserializeOwned>(&mut self, mut node: Node) -> Option<T> {
        let complaints = match from_node(&node, "this file") {
            Ok(file) => return Some(file),
            Err(complaints) => complaints,
        };
        self.is_whole = false;
        if let Value::Map(entries) = &mut node.value {
            entries.retain(|(key, value)| {
                let blamed = |it: &Diagnostic| it.span == key.span || it.span == value.span;
                !complaints.iter().any(blamed)
            });
        }
        self.complaints.extend(complaints);
        from_node(&node, "this file").ok()
    }

    /// A plain list is one of tasks or plays.
    fn apply_file(&mut self, node: Node) -> Option<ApplyFile> {
        match node.value {
            Value::List(_) => Some(ApplyFile { plays: Some(node), ..ApplyFile::default() }),
            _ => self.typed(node),
        }
    }

    fn switched_off(&mut self, components: &[Written], scope: &Scope) -> HashSet<Arc<str>> {
        let engine = &self.surroundings.engine;
        let off = components.iter().filter(|it| !is_on(it, engine, scope, &mut self.complaints));
        off.map(|written| Arc::clone(&written.name)).collect()
    }
}

fn empty() -> Node {
    Node::new(Value::Map(Vec::new()))
}
