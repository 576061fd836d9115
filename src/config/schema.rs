//! What each kind of file may say. Reading, `driftless schema` and the reference all come from
//! these types.

use super::discover::FileKind;
use super::lower::Role;
use crate::event::tree::Node;
use crate::topology::settings::{ByteSize, Period};
use crate::{sinks, sources, transforms};
use indexmap::IndexMap;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Settings of the agent itself (`agent.yml`).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentFile {
    /// Where checkpoints and other state are kept. Default: `/var/lib/driftless` as root, else
    /// `$XDG_STATE_HOME/driftless`.
    pub data_dir: Option<PathBuf>,
    /// The node's name in records, paths and conditions. Default: the kernel's node name.
    pub host: Option<String>,
    /// Memory that batches on their way may take, all together. Default: `64MiB`.
    pub memory_limit: Option<ByteSize>,
    /// How long everything may take to drain after SIGTERM. Default: `30s`.
    pub shutdown_timeout: Option<Period>,
}

/// Desired state (`apply.yml`): a mapping with `tasks`, or a plain list of tasks.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyFile {
    /// Check everything again this often. Default: `30m`.
    pub interval: Option<Period>,
    /// Variables for tasks and templates.
    #[serde(default)]
    #[schemars(with = "Option<IndexMap<String, serde_json::Value>>")]
    pub vars: Option<Node>,
    /// What should be, in order.
    #[serde(default)]
    #[schemars(with = "Option<Vec<IndexMap<String, serde_json::Value>>>")]
    pub tasks: Option<Node>,
    /// Tasks that run once at the end, when a task that changed something notified them.
    #[serde(default)]
    #[schemars(with = "Option<Vec<IndexMap<String, serde_json::Value>>>")]
    pub handlers: Option<Node>,
    /// Sinks for the record of every task that ran: a list of `type: {settings}`.
    #[serde(default)]
    #[schemars(with = "Vec<IndexMap<String, serde_json::Value>>")]
    pub audit: Vec<Node>,
}

/// Metrics of the host (`facts.yml`).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FactsFile {
    /// Poll this often for sinks that are pushed to; a scrape polls by itself. Default: `15s`.
    pub interval: Option<Period>,
    /// Collectors by node_exporter's names; `default` is the default set.
    pub collect: Option<Vec<String>>,
    /// Where metrics go: a list of `type: {settings}`.
    #[serde(default)]
    #[schemars(with = "Vec<IndexMap<String, serde_json::Value>>")]
    pub export: Vec<Node>,
}

/// Log pipelines (`logs.yml`).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogsFile {
    /// What is read: a `file` source each, unless `type` says otherwise. Beside the source's own
    /// settings: `paths` (short for `include`), `parse`, `keep`, `drop`, `set`, `remove`, `rename`.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, serde_json::Value>")]
    pub sources: Option<Node>,
    /// Where it goes: `NAME: {type: {settings}}`. Every output takes all sources, unless `inputs`
    /// beside the type names some.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, serde_json::Value>")]
    pub outputs: Option<Node>,
}

/// The whole language (`topology.yml`).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopologyFile {
    /// Components that bring batches in: `NAME: {type: TYPE, settings}`.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, serde_json::Value>")]
    pub sources: Option<Node>,
    /// Components that look at them: `NAME: {type: TYPE, inputs: [NAMES], settings}`.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, serde_json::Value>")]
    pub transforms: Option<Node>,
    /// Components that take them to a place: `NAME: {type: TYPE, inputs: [NAMES], settings}`.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, serde_json::Value>")]
    pub sinks: Option<Node>,
}

/// The JSON Schema of a kind of file, with every component that it may name.
pub fn file_schema(kind: FileKind) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = match kind {
        FileKind::Agent => AgentFile::json_schema(&mut generator),
        FileKind::Apply => ApplyFile::json_schema(&mut generator),
        FileKind::Facts => FactsFile::json_schema(&mut generator),
        FileKind::Logs => LogsFile::json_schema(&mut generator),
        FileKind::Topology => TopologyFile::json_schema(&mut generator),
        FileKind::Vars => json_schema!({
            "type": "object",
            "description": "Variables for conditions, templates and tasks.",
        }),
    };
    let mut part = |role: Role| match role {
        Role::Source => components(role, sources::NAMES, sources::schema, &mut generator),
        Role::Transform => components(role, transforms::NAMES, transforms::schema, &mut generator),
        Role::Sink => components(role, sinks::NAMES, sinks::schema, &mut generator),
    };
    let parts: &[(&str, Value)] = &match kind {
        FileKind::Topology => vec![
            ("sources", part(Role::Source)),
            ("transforms", part(Role::Transform)),
            ("sinks", part(Role::Sink)),
        ],
        FileKind::Agent | FileKind::Apply | FileKind::Facts | FileKind::Logs | FileKind::Vars => {
            Vec::new()
        }
    };
    for (name, part) in parts {
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert((*name).to_owned(), part.clone());
        }
    }
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        let when = "The whole file counts only on hosts where this expression holds.";
        properties.insert("when".into(), json!({"type": "string", "description": when}));
    }
    let definitions = generator.take_definitions(true);
    if !definitions.is_empty() {
        schema.insert("$defs".into(), Value::Object(definitions));
    }
    schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.to_value()
}

type SchemaOf = fn(&str, &mut SchemaGenerator) -> Option<Schema>;

/// A map of names to components of one role, told apart by `type`.
fn components(
    role: Role,
    names: &[&str],
    schema_of: SchemaOf,
    generator: &mut SchemaGenerator,
) -> Value {
    let variants: Vec<Value> = names
        .iter()
        .filter_map(|name| {
            let mut schema = schema_of(name, generator)?.to_value();
            let own = schema.as_object_mut()?.entry("properties").or_insert_with(|| json!({}));
            own.as_object_mut()?.extend(common_keys(role, name));
            Some(schema)
        })
        .collect();
    json!({"type": "object", "additionalProperties": {"oneOf": variants}})
}

/// The keys that every component has.
fn common_keys(role: Role, type_name: &str) -> Vec<(String, Value)> {
    let mut keys = vec![
        ("type".to_owned(), json!({"const": type_name})),
        (
            "enabled".to_owned(),
            json!({"type": "boolean", "default": true, "description": "Off where false."}),
        ),
        (
            "when".to_owned(),
            json!({"type": "string", "description": "On only where this expression holds."}),
        ),
    ];
    if role != Role::Source {
        let what = "Names of the components that it reads from.";
        let names = json!({"type": "array", "items": {"type": "string"}, "description": what});
        keys.push(("inputs".to_owned(), names));
    }
    keys
}
