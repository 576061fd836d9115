//! Loads a whole config: all files, all errors, one graph.

use super::component::Reader;
use super::discover::{FileKind, Files, Found, discover};
use super::lower::{Lowering, Written};
use super::merge::merge;
use super::schema::{AgentFile, ApplyFile, FactsFile, LogsFile, TopologyFile};
use super::scope::constants;
use super::secret_use::references;
use super::secrets::{Places, misplaced, resolve};
use crate::event::de::from_node;
use crate::event::fault::Diagnostic;
use crate::event::secret::Secrets;
use crate::event::task::{SharedTaskSet, TaskSet};
use crate::event::tree::{Node, Value};
use crate::expr::jinja::Engine;
use crate::expr::scope::{RESERVED, Scope, Vars};
use crate::host::facts::{Facts, facts_value};
use crate::sinks::apply::parse::{check, parse_tasks};
use crate::topology::graph::Graph;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a config is read with: the host that it is for, and where secrets lie.
pub struct Surroundings<'a> {
    /// The one Jinja.
    pub engine: Arc<Engine>,
    /// The host's facts.
    pub facts: Arc<Facts>,
    /// The node's name, unless the config gives another.
    pub host: String,
    /// Where secrets are looked up.
    pub secret_places: Places<'a>,
}

/// A config that holds together.
#[derive(Debug)]
pub struct Config {
    /// The agent's own settings.
    pub agent: AgentFile,
    /// All components.
    pub graph: Graph,
    /// The secrets that the config refers to.
    pub secrets: Secrets,
    /// The desired state, where an apply file declares one.
    pub tasks: Option<SharedTaskSet>,
    /// What expressions on records may read beside the record.
    pub constants: serde_json::Map<String, serde_json::Value>,
    /// The node's name.
    pub host: String,
}

/// Loads the config at `paths`, each a directory or a file.
///
/// # Errors
/// Everything that is wrong in any file, at once.
pub fn load(paths: &[PathBuf], surroundings: &Surroundings<'_>) -> Result<Config, Vec<Diagnostic>> {
    let mut files = Files::default();
    for path in paths {
        let more = discover(path);
        files.found.extend(more.found);
        files.complaints.extend(more.complaints);
        files.complaints.extend(misplaced(path));
    }
    Loading { surroundings, complaints: files.complaints }.run(files.found, base_of(paths))
}

/// Where relative sources of tasks are looked for: the first path's directory.
fn base_of(paths: &[PathBuf]) -> PathBuf {
    match paths.first() {
        Some(path) if path.is_dir() => path.clone(),
        Some(path) => path.parent().map(Path::to_owned).unwrap_or_default(),
        None => PathBuf::new(),
    }
}

/// What a config is called where no commit names it: the beginning of a hash over its files.
fn revision(files: &[Found]) -> String {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.path.as_os_str().as_encoded_bytes());
        let text = file.node.span.as_ref().map_or("", |span| &span.file.text);
        // Lengths keep the boundary between files from moving unseen.
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

struct Loading<'a> {
    surroundings: &'a Surroundings<'a>,
    complaints: Vec<Diagnostic>,
}

impl Loading<'_> {
    fn run(mut self, found: Vec<Found>, base: PathBuf) -> Result<Config, Vec<Diagnostic>> {
        let engine = Arc::clone(&self.surroundings.engine);
        let revision = revision(&found);
        let bare = Scope::new(Arc::clone(&engine))
            .with_fixed("facts", facts_value(&self.surroundings.facts))
            .with_fixed("host", self.surroundings.host.as_str().into());
        let (vars_files, others): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|file| file.kind == FileKind::Vars);
        let vars_node = self.merged(vars_files, &bare);
        let vars = Arc::new(self.vars(&vars_node));
        let scope = bare.with_vars(Arc::clone(&vars));
        let mut kinds: Vec<(FileKind, Node)> = Vec::new();
        for kind in FileKind::ALL {
            let of_kind: Vec<_> = others.iter().filter(|file| file.kind == kind).cloned().collect();
            if !of_kind.is_empty() {
                kinds.push((kind, self.merged(of_kind, &scope)));
            }
        }
        let secrets = self.secrets(kinds.iter().map(|(_, node)| node).chain([&vars_node]));
        let scope = scope.with_secrets(secrets.clone());

        let mut lowering = Lowering::default();
        let (mut agent, mut apply) = (AgentFile::default(), None);
        for (kind, node) in kinds {
            let span = node.span.clone();
            match kind {
                FileKind::Agent => {
                    if let Some(node) = self.rendered(&node, &scope) {
                        agent = self.typed(&node).unwrap_or_default();
                    }
                }
                FileKind::Topology => {
                    lowering.topology(self.typed::<TopologyFile>(&node).unwrap_or_default());
                }
                FileKind::Logs => lowering.logs(self.typed::<LogsFile>(&node).unwrap_or_default()),
                FileKind::Facts => {
                    let file = self.typed::<FactsFile>(&node).unwrap_or_default();
                    lowering.facts(file, span.as_ref());
                }
                FileKind::Apply => {
                    let file = self.apply_file(node).unwrap_or_default();
                    apply = Some(file.clone());
                    lowering.apply(file, span.as_ref());
                }
                FileKind::Vars => {}
            }
        }
        self.complaints.append(&mut lowering.complaints);
        let host = agent.host.clone().unwrap_or_else(|| self.surroundings.host.clone());
        let scope = scope.with_fixed("host", host.as_str().into());
        let reader = Reader { engine: &engine, scope: &scope, vars: &vars_node };
        let graph = self.graph(&lowering.components, &reader);
        let tasks = apply.map(|file| self.task_set(file, &vars, base, revision));
        if self.complaints.is_empty() {
            let readers = graph.nodes.values().map(|node| &node.spec);
            let constants = constants(&scope, &vars, &self.surroundings.facts, readers);
            Ok(Config { agent, graph, tasks, secrets, constants, host })
        } else {
            Err(self.complaints)
        }
    }

    /// The files of one kind as one, without those whose `when` does not hold.
    fn merged(&mut self, files: Vec<Found>, scope: &Scope) -> Node {
        let mut all: Option<Node> = None;
        for mut file in files {
            if let Some((_, condition)) = file.node.take("when") {
                match self.surroundings.engine.holds(&condition, scope) {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(complaint) => {
                        self.complaints.push(complaint.diagnostic());
                        continue;
                    }
                }
            }
            match &mut all {
                None => all = Some(file.node),
                Some(all) => merge(all, file.node, &mut self.complaints),
            }
        }
        all.unwrap_or_else(|| Node::new(Value::Map(Vec::new())))
    }

    fn vars(&mut self, node: &Node) -> Vars {
        let Some(entries) = node.as_map() else {
            let message = format!("found {}, expected names with their values", node.kind());
            self.complaints.push(Diagnostic::new(message, node.span.clone()));
            return Vars::new();
        };
        let mut vars = Vars::new();
        for (key, value) in entries {
            if RESERVED.contains(&&*key.name) {
                let message = format!("`{}` is a name that no variable can have", key.name);
                self.complaints.push(Diagnostic::new(message, key.span.clone()));
            }
            vars.insert(key.name.to_string(), value.clone());
        }
        vars
    }

    fn secrets<'n>(&mut self, nodes: impl Iterator<Item = &'n Node>) -> Secrets {
        let mut wanted = Vec::new();
        for found in nodes.map(references) {
            wanted.extend(found.names);
            self.complaints.extend(found.faults);
        }
        match resolve(&wanted, &self.surroundings.secret_places) {
            Ok(secrets) => secrets,
            Err(complaints) => {
                self.complaints.extend(complaints);
                Secrets::default()
            }
        }
    }

    fn rendered(&mut self, node: &Node, scope: &Scope) -> Option<Node> {
        match self.surroundings.engine.render_node(node, scope) {
            Ok(node) => Some(node),
            Err(complaint) => {
                self.complaints.push(complaint.diagnostic());
                None
            }
        }
    }

    fn typed<T: DeserializeOwned>(&mut self, node: &Node) -> Option<T> {
        match from_node(node, "this file") {
            Ok(file) => Some(file),
            Err(complaints) => {
                self.complaints.extend(complaints);
                None
            }
        }
    }

    /// A plain list is a list of tasks.
    fn apply_file(&mut self, node: Node) -> Option<ApplyFile> {
        match node.value {
            Value::List(_) => Some(ApplyFile { tasks: Some(node), ..ApplyFile::default() }),
            _ => self.typed(&node),
        }
    }

    fn task_set(
        &mut self,
        file: ApplyFile,
        shared: &Vars,
        base: PathBuf,
        revision: String,
    ) -> SharedTaskSet {
        let mut vars = shared.clone();
        if let Some(own) = &file.vars {
            vars.extend(self.vars(own));
        }
        let mut read = |list: Option<Node>| {
            list.map(|list| parse_tasks(&list, &mut self.complaints)).unwrap_or_default()
        };
        let (tasks, handlers) = (read(file.tasks), read(file.handlers));
        let secrets = Secrets::default();
        let set = TaskSet { revision, base, vars, secrets, tasks, handlers };
        self.complaints.extend(check(&set, &self.surroundings.engine));
        Arc::new(set)
    }

    fn graph(&mut self, components: &[Written], reader: &Reader<'_>) -> Graph {
        let mut graph = Graph::default();
        let before = self.complaints.len();
        for (at, written) in components.iter().enumerate() {
            if let Some(first) = components[..at].iter().find(|other| other.name == written.name) {
                let message = format!("`{}` is defined twice", written.name);
                self.complaints.push(
                    Diagnostic::new(message, written.span.clone())
                        .related(first.span.clone(), "the first definition"),
                );
                continue;
            }
            match reader.read(written) {
                Ok(Some(node)) => {
                    graph.nodes.insert(Arc::clone(&written.name), node);
                }
                Ok(None) => {}
                Err(complaints) => self.complaints.extend(complaints),
            }
        }
        // A component that could not be read would show as missing to all that read from it.
        if self.complaints.len() == before
            && let Err(complaints) = graph.wire()
        {
            self.complaints.extend(complaints);
        }
        graph
    }
}
