//! What each kind of file may say. Reading, `driftless schema` and the reference all come from
//! these types.

use super::secret_place::SecretPlace;
use crate::event::tree::{Node, Value};
use crate::net::git::settings::Settings as GitSettings;
use crate::sources::host_metrics;
use crate::topology::settings::{ByteSize, Period};
use crate::transforms::threshold;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// Settings of the agent itself (`agent.yml`). All but `shutdown_timeout`, `secrets`,
/// `secrets_interval` and `git` hold from one start to the next; a reload that changes them says so.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentFile {
    /// Where checkpoints and other state are kept. Default: `/var/lib/driftless` as root, else
    /// `$XDG_STATE_HOME/driftless`.
    pub data_dir: Option<PathBuf>,
    /// The node's name in records, paths and conditions. Default: the kernel's node name.
    pub host: Option<String>,
    /// Groups that this host belongs to, beside those of a `fleet` file. Conditions of files have them
    /// as `group_names`; `hosts` of plays, `--limit`, `vars/groups` and `group_vars` may name them. No
    /// variables are known here.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Further places of secrets, asked in this order for what is neither in the environment nor in
    /// systemd's credentials nor in a secrets file, and anew at each reload.
    #[serde(default)]
    pub secrets: Vec<SecretPlace>,
    /// Look all secrets up anew this often, from one second on, and start what uses a changed one
    /// anew. What cannot be looked up stays as it was. Default: at each reload only.
    pub secrets_interval: Option<Period>,
    /// Memory that batches on their way may take, all together. Default: `64MiB`.
    pub memory_limit: Option<ByteSize>,
    /// How long everything may take to drain after SIGTERM. Default: `30s`.
    pub shutdown_timeout: Option<Period>,
    /// The repository that the host is kept as: everything but this file then comes from there, and
    /// an `agent.yml` there does not count. No variables are known in this file then, and secrets
    /// only in `git.auth`.
    pub git: Option<GitSettings>,
}

impl AgentFile {
    /// Whether both ask for the same of what only a start can give.
    pub fn starts_like(&self, other: &Self) -> bool {
        (&self.data_dir, &self.host, &self.memory_limit)
            == (&other.data_dir, &other.host, &other.memory_limit)
    }
}

/// Desired state (`apply.yml`): a mapping with `tasks`, a plain list of tasks, or an Ansible playbook,
/// which is a list of plays. Files in `group_vars/` and `host_vars/` beside it hold variables for
/// `all`, for groups and for hosts; `roles/` holds roles.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyFile {
    /// Check everything again this often. Default: `30m`.
    #[serde(default)]
    #[schemars(with = "Option<Period>")]
    pub interval: Option<Node>,
    /// And repair at once when something changes that a task depends on. Default: no.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub watch: Option<Node>,
    /// Variables for tasks and templates.
    #[serde(default)]
    #[schemars(with = "Option<IndexMap<String, serde_json::Value>>")]
    pub vars: Option<Node>,
    /// Files of variables, the later ones winning.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub vars_files: Option<Node>,
    /// Roles, whose tasks come before `tasks`.
    #[serde(default)]
    #[schemars(with = "Option<Vec<serde_json::Value>>")]
    pub roles: Option<Node>,
    /// Tasks that come before those of roles.
    #[serde(default)]
    #[schemars(with = "Option<Vec<IndexMap<String, serde_json::Value>>>")]
    pub pre_tasks: Option<Node>,
    /// What should be, in order.
    #[serde(default)]
    #[schemars(with = "Option<Vec<IndexMap<String, serde_json::Value>>>")]
    pub tasks: Option<Node>,
    /// Tasks that come last, after the handlers of all others.
    #[serde(default)]
    #[schemars(with = "Option<Vec<IndexMap<String, serde_json::Value>>>")]
    pub post_tasks: Option<Node>,
    /// Tasks that run once at the end, when a task that changed something notified them.
    #[serde(default)]
    #[schemars(with = "Option<Vec<IndexMap<String, serde_json::Value>>>")]
    pub handlers: Option<Node>,
    /// Whether notified handlers run even where a task has failed. Default: they run next time.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub force_handlers: Option<Node>,
    /// Environment of all programs that tasks run.
    #[serde(default)]
    #[schemars(with = "Option<IndexMap<String, String>>")]
    pub environment: Option<Node>,
    /// Parameters that the tasks of a module have unless they say otherwise: `MODULE: {…}`.
    #[serde(default)]
    #[schemars(with = "Option<IndexMap<String, serde_json::Value>>")]
    pub module_defaults: Option<Node>,
    /// Plays of a playbook, which come after the rest of the file.
    #[serde(default)]
    #[schemars(with = "Option<Vec<IndexMap<String, serde_json::Value>>>")]
    pub plays: Option<Node>,
    /// Sinks for the record of every task that ran: a list of `type: {settings}`.
    #[serde(default)]
    #[schemars(with = "Vec<IndexMap<String, serde_json::Value>>")]
    pub audit: Vec<Node>,
}

impl ApplyFile {
    /// What it says of tasks, as the executor's language reads it.
    pub(super) fn play(&self) -> Node {
        let parts = [
            ("vars", &self.vars),
            ("vars_files", &self.vars_files),
            ("roles", &self.roles),
            ("pre_tasks", &self.pre_tasks),
            ("tasks", &self.tasks),
            ("post_tasks", &self.post_tasks),
            ("handlers", &self.handlers),
            ("force_handlers", &self.force_handlers),
            ("environment", &self.environment),
            ("module_defaults", &self.module_defaults),
            ("plays", &self.plays),
        ];
        let entries =
            parts.into_iter().filter_map(|(name, node)| Some((name.into(), node.clone()?)));
        Node::new(Value::Map(entries.collect()))
    }
}

/// Metrics of the host (`facts.yml`).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FactsFile {
    /// Poll this often for sinks that are pushed to; a scrape polls by itself. Default: `15s`.
    #[serde(default)]
    #[schemars(with = "Option<Period>")]
    pub interval: Option<Node>,
    /// Collectors by `node_exporter`'s names; `default` is the default set.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub collect: Option<Node>,
    /// How long the collectors may take. Default: `5s`.
    #[serde(default)]
    #[schemars(with = "Option<Period>")]
    pub timeout: Option<Node>,
    /// Settings of single collectors: `filesystem: {mount_points: {exclude: ^/mnt}}`.
    #[serde(default)]
    #[schemars(with = "Option<host_metrics::options::Options>")]
    pub options: Option<Node>,
    /// Where metrics go: a list of `type: {settings}`.
    #[serde(default)]
    #[schemars(with = "Vec<IndexMap<String, serde_json::Value>>")]
    pub export: Vec<Node>,
    /// Checks on these metrics: a list, as in the `checks` of `threshold`.
    #[serde(default)]
    #[schemars(with = "Option<Vec<threshold::Check>>")]
    pub thresholds: Option<Node>,
    /// Files of Prometheus rules, which run as they are; relative to this file. `*` stands for any
    /// part of a name.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub rule_files: Option<Node>,
    /// Labels that rules and checks find on every series that has none of its own: `job`,
    /// `instance`.
    #[serde(default)]
    #[schemars(with = "Option<IndexMap<String, String>>")]
    pub labels: Option<Node>,
    /// Where the changes of their states go: a list of `type: {settings}`.
    #[serde(default)]
    #[schemars(with = "Vec<IndexMap<String, serde_json::Value>>")]
    pub alerts: Vec<Node>,
}

/// Log pipelines (`logs.yml`).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogsFile {
    /// What is read: a `file` source each, unless `type` says otherwise. Beside the source's own
    /// settings: `paths` (short for `include`), and what happens to its lines, in this order: `parse`,
    /// `keep`, `drop`, `sample`, `dedupe`, `throttle`, `rename`, `set`, `remove`, `redact`.
    #[serde(default)]
    #[schemars(with = "Option<IndexMap<String, serde_json::Value>>")]
    pub sources: Option<Node>,
    /// Where it goes: `NAME: {type: {settings}}`. Every output takes all sources, unless `inputs`
    /// beside the type names some.
    #[serde(default)]
    #[schemars(with = "Option<IndexMap<String, serde_json::Value>>")]
    pub outputs: Option<Node>,
}

/// The whole language (`topology.yml`).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopologyFile {
    /// Components that bring batches in: `NAME: {type: TYPE, settings}`.
    #[serde(default)]
    #[schemars(with = "Option<IndexMap<String, serde_json::Value>>")]
    pub sources: Option<Node>,
    /// Components that look at them: `NAME: {type: TYPE, inputs: [NAMES], settings}`.
    #[serde(default)]
    #[schemars(with = "Option<IndexMap<String, serde_json::Value>>")]
    pub transforms: Option<Node>,
    /// Components that take them to a place: `NAME: {type: TYPE, inputs: [NAMES], settings}`.
    #[serde(default)]
    #[schemars(with = "Option<IndexMap<String, serde_json::Value>>")]
    pub sinks: Option<Node>,
}
