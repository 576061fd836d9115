//! What every command that reads a config needs: where it is, what it is read with, and the
//! environment that its components run in.

use super::Exit;
use super::elsewhere::Elsewhere;
use super::follow;
use super::shell::{Output, Shell};
use crate::config::discover::FileKind;
use crate::config::files::AgentFile;
use crate::config::load::{Config, Naming, Revision, Surroundings, load, load_topology};
use crate::config::secrets::Places;
use crate::event::fault::Diagnostic;
use crate::event::secret::Masker;
use crate::event::task::SharedTaskSet;
use crate::event::tree::Node;
use crate::expr::jinja::Engine;
use crate::host::brief::Programs;
use crate::host::core_dump;
use crate::host::facts::Facts;
use crate::host::roots::Roots;
use crate::topology::context::{Environment, SinkNames};
use crate::topology::memory::Memory;
use crate::topology::runs::Runs;
use crate::topology::settings::ByteSize;
use crate::topology::telemetry::Telemetry;
use arc_swap::ArcSwap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// Memory for batches on their way, unless the config says otherwise.
const MEMORY_LIMIT_BYTES: usize = 64 << 20;

/// One run of a command on one config.
pub(super) struct Session {
    pub(super) engine: Arc<Engine>,
    pub(super) facts: Arc<Facts>,
    paths: Vec<PathBuf>,
    /// The host that the config is read for, where it is not this one.
    elsewhere: Option<Elsewhere>,
    /// What runs for the sake of a config, and ends with it.
    programs: Programs,
}

impl Session {
    /// A session on these config paths; the standard place where there are none.
    pub(super) fn new(paths: &[PathBuf]) -> Self {
        let paths = if paths.is_empty() { vec![standard_config()] } else { paths.to_vec() };
        let (engine, facts) = (Arc::new(Engine::new()), Arc::new(Facts::new(Roots::live())));
        Self { engine, facts, paths, elsewhere: None, programs: Programs::default() }
    }

    /// The same for another host, where one is meant.
    #[must_use]
    pub(super) fn on(self, elsewhere: Option<Elsewhere>) -> Self {
        let Some(other) = elsewhere else { return self };
        let facts = Arc::new(other.facts(self.facts.again()));
        Self { facts, elsewhere: Some(other), ..self }
    }

    /// The facts that were asked for and are not those of the host that is meant.
    pub(super) fn note_facts(&self) -> Option<Diagnostic> {
        self.elsewhere.as_ref().and_then(|other| other.note_facts(&self.facts))
    }

    /// Ends the programs that are being asked for secrets: nobody waits for what they say any more.
    pub(super) fn end_programs(&self) {
        self.programs.end();
    }

    /// Where the config is.
    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Reads the config anew. `masker` learns its secrets, whether it is right or not. Where it
    /// follows a repository, this is what the agent has taken from there last.
    pub(super) fn load(&self, masker: &Masker) -> Result<Config, Vec<Diagnostic>> {
        let config = self.load_at(None, masker)?;
        let Some(git) = &config.agent.git else { return Ok(config) };
        let data_dir = data_dir(&config.agent);
        let url = &git.url;
        let (revision, note) = match follow::active(git, &data_dir) {
            Ok(Some(revision)) => {
                let commit = &revision.commit[..12];
                let note = format!("this is the commit {commit} of {url}, as the agent has it");
                (Some(revision), note)
            }
            Ok(None) => (
                None,
                format!("only agent.yml is looked at: the agent has taken nothing from {url} yet"),
            ),
            Err(error) => {
                (None, format!("only agent.yml is looked at: what the agent has of {url}: {error}"))
            }
        };
        let mut config = match &revision {
            Some(revision) => self.load_at(Some(revision), masker)?,
            None => config,
        };
        config.notes.insert(0, Diagnostic::new(note, None));
        Ok(config)
    }

    /// Reads the config anew, and everything but the agent's own settings from `revision` where it
    /// follows a repository.
    pub(super) fn load_at(
        &self,
        revision: Option<&Revision>,
        masker: &Masker,
    ) -> Result<Config, Vec<Diagnostic>> {
        self.load_with(masker, |surroundings| load(&self.paths, revision, surroundings))
    }

    /// Takes a topology that the program itself has put together.
    pub(super) fn load_node(
        &self,
        topology: Node,
        masker: &Masker,
    ) -> Result<Config, Vec<Diagnostic>> {
        self.load_with(masker, |surroundings| load_topology(topology, surroundings))
    }

    /// Reads the config as if this host had another name, other facts and other secrets.
    pub(super) fn load_as(
        &self,
        host: &str,
        facts: Facts,
        secret: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, Vec<Diagnostic>> {
        let surroundings = Surroundings {
            engine: Arc::clone(&self.engine),
            facts: Arc::new(facts),
            host: host.to_owned(),
            naming: Naming::OfConfig,
            groups: Vec::new(),
            secret_places: Places { environment: secret, credentials: None, files: Vec::new() },
            programs: self.programs.clone(),
            masker: Masker::default(),
        };
        load(&self.paths, None, &surroundings)
    }

    /// Reads the config as it is here, and asks nobody for a secret: each has a stand-in.
    pub(super) fn load_without_secrets(&self) -> Result<Config, Vec<Diagnostic>> {
        let secret = |name: &str| Some(Elsewhere::secret(name));
        let surroundings = Surroundings {
            secret_places: Places { environment: &secret, credentials: None, files: Vec::new() },
            ..self.surroundings(&secret, &Masker::default())
        };
        load(&self.paths, None, &surroundings)
    }

    /// This host, with the places of secrets that it has.
    fn surroundings<'s>(
        &self,
        environment: &'s dyn Fn(&str) -> Option<String>,
        masker: &Masker,
    ) -> Surroundings<'s> {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        Surroundings {
            engine: Arc::clone(&self.engine),
            facts: Arc::new(self.facts.again()),
            host: self.hostname(),
            naming: Naming::OfConfig,
            groups: Vec::new(),
            secret_places: Places::standard(environment, home.as_deref()),
            programs: self.programs.clone(),
            masker: masker.clone(),
        }
    }

    fn load_with(
        &self,
        masker: &Masker,
        load: impl FnOnce(&Surroundings<'_>) -> Result<Config, Vec<Diagnostic>>,
    ) -> Result<Config, Vec<Diagnostic>> {
        if let Some(other) = &self.elsewhere {
            return self.load_on(other, masker, load);
        }
        let environment = |name: &str| std::env::var(name).ok();
        let config = load(&self.surroundings(&environment, masker))?;
        let login = config.agent.git.as_ref().and_then(|git| git.auth.as_ref());
        if (!config.secrets.is_empty() || login.is_some())
            && let Err(error) = core_dump::forbid()
        {
            let message =
                format!("a crash could show secrets, and that cannot be forbidden: {error}");
            return Err(vec![Diagnostic::new(message, None)]);
        }
        Ok(config)
    }

    /// Reads the config as it is on another host, and says what is not as it would be there.
    fn load_on(
        &self,
        other: &Elsewhere,
        masker: &Masker,
        load: impl FnOnce(&Surroundings<'_>) -> Result<Config, Vec<Diagnostic>>,
    ) -> Result<Config, Vec<Diagnostic>> {
        let secret = |name: &str| Some(Elsewhere::secret(name));
        let surroundings = Surroundings {
            engine: Arc::clone(&self.engine),
            // Not looked at anew, so that one can tell which were asked for.
            facts: Arc::clone(&self.facts),
            host: other.name.clone(),
            naming: Naming::Given,
            groups: other.groups.clone(),
            secret_places: Places { environment: &secret, credentials: None, files: Vec::new() },
            programs: self.programs.clone(),
            masker: masker.clone(),
        };
        let mut config = load(&surroundings)?;
        config.notes.extend(other.notes(&config));
        Ok(config)
    }

    fn hostname(&self) -> String {
        let name = self.facts.get("hostname").and_then(|name| name.as_str());
        name.unwrap_or("localhost").to_owned()
    }

    /// Reads the config, or reports all that is wrong with it.
    pub(super) fn load_or_complain(
        &self,
        shell: &mut Shell,
        output: Output,
    ) -> Result<Config, Exit> {
        let masker = shell.masker.clone();
        self.load(&masker).map_err(|complaints| shell.complain(&complaints, output))
    }

    /// What the config's files look like from outside: changes when one of them does.
    pub(super) fn stamp(&self) -> Stamp {
        let mut stamp = Stamp::default();
        for path in &self.paths {
            stamp.add(path, 0, &|name| is_part_of_config(name));
        }
        stamp
    }

    /// The environment for the config's components, and where new desired states are put.
    pub(super) fn environment(
        &self,
        config: &Config,
        shell: &Shell,
        once: bool,
    ) -> Result<(Environment, watch::Sender<Option<SharedTaskSet>>), String> {
        let telemetry = Telemetry::new().map_err(|error| error.to_string())?;
        let limit = config.agent.memory_limit.map_or(MEMORY_LIMIT_BYTES, ByteSize::as_usize);
        let (tasks_in, tasks) = watch::channel(config.tasks.clone());
        let environment = Environment {
            host: config.host.as_str().into(),
            data_dir: data_dir(&config.agent),
            keeps_state: true,
            memory: Memory::new(limit),
            telemetry,
            sinks: SinkNames::default(),
            secrets: ArcSwap::from_pointee(config.secrets.clone()),
            masker: shell.masker.clone(),
            constants: ArcSwap::from_pointee(config.constants.clone()),
            tasks,
            deliveries: Default::default(),
            runs: Runs::default(),
            once,
        };
        Ok((environment, tasks_in))
    }
}

/// Whether a file or folder in a config directory matters to it. What the agent itself writes
/// there (a scratch directory has it all in one place) must not make it load its config anew.
fn is_part_of_config(name: &Path) -> bool {
    let stem = name.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let is_tree =
        ["yml", "yaml"].map(Some).contains(&name.extension().and_then(|end| end.to_str()));
    let folders = ["templates", "files", "roles", "tasks", "handlers", "group_vars", "host_vars"];
    is_tree || folders.contains(&stem) || FileKind::of_config().any(|kind| kind.name() == stem)
}

/// Inode, size and times of every file of a config, templates and all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp(Vec<(PathBuf, u64, u64, i64, i64)>);

/// Deeper than this there is no config.
const DEEPEST: usize = 16;

impl Stamp {
    fn add(&mut self, path: &Path, depth: usize, matters: &dyn Fn(&Path) -> bool) {
        let Ok(metadata) = path.metadata() else { return };
        if !metadata.is_dir() {
            let (inode, size) = (metadata.ino(), metadata.size());
            self.0.push((path.to_owned(), inode, size, metadata.ctime(), metadata.ctime_nsec()));
            return;
        }
        let Ok(entries) = path.read_dir() else { return };
        let names = entries.flatten().map(|entry| PathBuf::from(entry.file_name()));
        let mut names: Vec<PathBuf> = names.filter(|name| matters(name)).collect();
        names.sort();
        for name in names.iter().filter(|_| depth < DEEPEST) {
            self.add(&path.join(name), depth + 1, &|_| true);
        }
    }
}

/// `/etc/driftless/config`, else `~/.config/driftless/config`.
pub(super) fn standard_config() -> PathBuf {
    let system = Path::new("/etc/driftless/config");
    let home =
        std::env::var_os("HOME").map(|home| Path::new(&home).join(".config/driftless/config"));
    match home {
        Some(home) if !system.exists() => home,
        _ => system.to_owned(),
    }
}

/// Where the agent keeps its state.
pub(super) fn data_dir(agent: &AgentFile) -> PathBuf {
    agent.data_dir.clone().unwrap_or_else(standard_data_dir)
}

/// `/var/lib/driftless` as root, else `$XDG_STATE_HOME/driftless`.
pub(super) fn standard_data_dir() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return "/var/lib/driftless".into();
    }
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/state")));
    state.unwrap_or_else(|| "/var/tmp".into()).join("driftless")
}
