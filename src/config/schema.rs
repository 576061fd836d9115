//! The JSON Schema of each kind of file, made from the types that read it.

use super::discover::FileKind;
use super::files::{AgentFile, ApplyFile, FactsFile, LogsFile, TopologyFile};
use super::fleet::FleetFile;
use super::lower::{ALIASES, Role, STEPS, has_long_form, main_setting};
use super::test_file::TestFile;
use crate::topology::buffer::BufferSettings;
use crate::{sinks, sources, transforms};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

/// The JSON Schema of a kind of file, with every component that it may name.
pub fn file_schema(kind: FileKind) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = match kind {
        FileKind::Agent => AgentFile::json_schema(&mut generator),
        FileKind::Apply => ApplyFile::json_schema(&mut generator),
        FileKind::Facts => FactsFile::json_schema(&mut generator),
        FileKind::Fleet => FleetFile::json_schema(&mut generator),
        FileKind::Logs => LogsFile::json_schema(&mut generator),
        FileKind::Topology => TopologyFile::json_schema(&mut generator),
        FileKind::Tests => TestFile::json_schema(&mut generator),
        FileKind::Vars => json_schema!({
            "type": "object",
            "description": "Variables for conditions, templates and tasks.",
            "properties": {},
        }),
    };
    let mut components = Components { generator: &mut generator };
    let mut parts = components.parts(kind);
    let when = "The whole file counts only on hosts where this expression holds.";
    if kind != FileKind::Tests {
        parts.push(("when", json!({"type": ["string", "boolean"], "description": when})));
    }
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, mut part) in parts {
            // What the type says about the key stays.
            let words = properties.get(name).and_then(|known| known.get("description")).cloned();
            if let (Some(words), Some(part)) = (words, part.as_object_mut()) {
                part.insert("description".into(), words);
            }
            properties.insert(name.to_owned(), part);
        }
    }
    let definitions = generator.take_definitions(true);
    if !definitions.is_empty() {
        schema.insert("$defs".into(), Value::Object(definitions));
    }
    if kind == FileKind::Apply {
        let tasks = json!({"type": "array", "items": {"type": "object"}});
        let words = "Desired state: a mapping with `tasks`, a plain list of tasks, or a playbook: a list of plays.";
        let definitions = schema.remove("$defs");
        let mut both = json_schema!({"description": words, "anyOf": [schema.to_value(), tasks]});
        definitions.and_then(|definitions| both.insert("$defs".into(), definitions));
        schema = both;
    }
    schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.to_value()
}

/// Makes the parts of a schema that depend on which components there are.
struct Components<'g> {
    generator: &'g mut SchemaGenerator,
}

impl Components<'_> {
    fn parts(&mut self, kind: FileKind) -> Vec<(&'static str, Value)> {
        match kind {
            FileKind::Topology => vec![
                ("sources", self.typed(Role::Source)),
                ("transforms", self.typed(Role::Transform)),
                ("sinks", self.typed(Role::Sink)),
            ],
            FileKind::Logs => {
                let beside = [("inputs".to_owned(), inputs())];
                let outputs = self.one_sink(beside.into_iter().collect());
                vec![
                    ("sources", self.log_sources()),
                    ("outputs", json!({"type": "object", "additionalProperties": outputs})),
                ]
            }
            FileKind::Facts => {
                let list = |sink: Value| json!({"type": "array", "items": sink});
                let sinks = list(self.one_sink(Map::new()));
                vec![("export", sinks), ("alerts", list(self.alerts()))]
            }
            FileKind::Apply => {
                vec![("audit", json!({"type": "array", "items": self.one_sink(Map::new())}))]
            }
            FileKind::Agent | FileKind::Fleet | FileKind::Vars | FileKind::Tests => Vec::new(),
        }
    }

    /// The schemas of all components of a role, by name.
    fn all(&mut self, role: Role) -> Vec<(&'static str, Value)> {
        let (names, schema): (_, fn(&str, &mut SchemaGenerator) -> Option<Schema>) = match role {
            Role::Source => (sources::NAMES, sources::schema),
            Role::Transform => (transforms::NAMES, transforms::schema),
            Role::Sink => (sinks::NAMES, sinks::schema),
        };
        let schemas = names
            .iter()
            .filter_map(|name| Some((*name, schema(name, &mut *self.generator)?.to_value())));
        schemas.collect()
    }

    fn buffer(&mut self) -> Value {
        let mut schema = self.generator.subschema_for::<BufferSettings>().to_value();
        if let Some(schema) = schema.as_object_mut() {
            let what = "What waits in front of it, where, and what happens when that is full.";
            schema.insert("description".into(), what.into());
        }
        schema
    }

    /// A map of names to components of one role, told apart by `type`.
    fn typed(&mut self, role: Role) -> Value {
        let variants: Vec<Value> = self
            .all(role)
            .into_iter()
            .map(|(name, mut schema)| {
                let mut keys = common_keys();
                keys.insert("type".into(), json!({"const": name}));
                if role != Role::Source {
                    keys.insert("inputs".into(), inputs());
                    keys.insert("buffer".into(), self.buffer());
                }
                extend(&mut schema, keys);
                require(&mut schema, "type");
                schema
            })
            .collect();
        json!({"type": "object", "additionalProperties": {"oneOf": variants}})
    }

    /// A map of names to sources with the steps that their lines go through. What has no `type`
    /// is a `file`.
    fn log_sources(&mut self) -> Value {
        let steps = self.steps();
        let variants: Vec<Value> = self
            .all(Role::Source)
            .into_iter()
            .map(|(name, mut schema)| {
                let mut keys = common_keys();
                keys.extend(steps.clone());
                keys.insert("type".into(), json!({"const": name}));
                extend(&mut schema, keys);
                if name != "file" {
                    require(&mut schema, "type");
                }
                for (short, long) in ALIASES {
                    alias(&mut schema, short, long);
                }
                schema
            })
            .collect();
        json!({"type": "object", "additionalProperties": {"oneOf": variants}})
    }

    /// The steps of a log source, from the settings of the transforms that they stand for.
    fn steps(&mut self) -> Map<String, Value> {
        let transforms = self.all(Role::Transform);
        let find = |name: &str| transforms.iter().find(|(it, _)| *it == name).map(|(_, it)| it);
        let property = |schema: &Value, name: &str| schema.get("properties")?.get(name).cloned();
        let steps = STEPS.iter().filter_map(|step| {
            let schema = match *step {
                "keep" | "drop" => property(find("filter")?, step)?,
                step if has_long_form(step) => {
                    let whole = find(step)?;
                    json!({"anyOf": [property(whole, main_setting(step))?, whole]})
                }
                step => property(find(step)?, main_setting(step))?,
            };
            Some(((*step).to_owned(), schema))
        });
        steps.collect()
    }

    /// As [`Self::one_sink`], where `http` may speak as Alertmanager does.
    fn alerts(&mut self) -> Value {
        let mut sinks = self.all(Role::Sink);
        let mut spoken = sinks.iter().find(|(name, _)| *name == "alertmanager").cloned();
        if let Some((_, spoken)) = &mut spoken {
            let format = json!({"const": "alertmanager", "description": "How alerts are told."});
            extend(spoken, [("format".to_owned(), format)].into_iter().collect());
            require(spoken, "format");
        }
        for (name, schema) in &mut sinks {
            if *name == "http"
                && let Some((_, spoken)) = &spoken
            {
                *schema = json!({"anyOf": [schema, spoken]});
            }
        }
        self.one_of(sinks, Map::new())
    }

    /// `type: {settings}`, or only the type; `beside` may stand next to it.
    fn one_sink(&mut self, beside: Map<String, Value>) -> Value {
        let sinks = self.all(Role::Sink);
        self.one_of(sinks, beside)
    }

    fn one_of(&mut self, mut sinks: Vec<(&str, Value)>, beside: Map<String, Value>) -> Value {
        let buffer = self.buffer();
        for (_, schema) in &mut sinks {
            let beside_its_own = || [("buffer".to_owned(), buffer.clone())].into_iter().collect();
            match schema.get_mut("anyOf").and_then(Value::as_array_mut) {
                Some(forms) => forms.iter_mut().for_each(|form| extend(form, beside_its_own())),
                None => extend(schema, beside_its_own()),
            }
        }
        let names: Vec<&str> = sinks.iter().map(|(name, _)| *name).collect();
        let one_of: Vec<Value> = names.iter().map(|name| json!({"required": [name]})).collect();
        let mut properties = beside;
        properties.extend(common_keys());
        properties.insert("buffer".to_owned(), buffer);
        for (name, schema) in &sinks {
            properties.insert((*name).to_owned(), json!({"anyOf": [schema, {"type": "null"}]}));
        }
        json!({"anyOf": [
            {"enum": names},
            {
                "type": "object",
                "properties": properties,
                "additionalProperties": false,
                "oneOf": one_of,
            },
        ]})
    }
}

/// The keys that every component has.
fn common_keys() -> Map<String, Value> {
    let enabled = "Off where false.";
    let when = "On only where this expression holds.";
    [
        ("enabled".to_owned(), json!({"type": "boolean", "default": true, "description": enabled})),
        ("when".to_owned(), json!({"type": ["string", "boolean"], "description": when})),
    ]
    .into_iter()
    .collect()
}

fn inputs() -> Value {
    let what = "Names of the components that it reads from.";
    let names = json!({"type": "array", "items": {"type": "string"}});
    json!({"anyOf": [names, {"type": "string"}], "description": what})
}

fn extend(schema: &mut Value, keys: Map<String, Value>) {
    if let Some(schema) = schema.as_object_mut()
        && let Some(properties) =
            schema.entry("properties").or_insert_with(|| json!({})).as_object_mut()
    {
        properties.extend(keys);
    }
}

fn require(schema: &mut Value, key: &str) {
    if let Some(schema) = schema.as_object_mut()
        && let Some(keys) = schema.entry("required").or_insert_with(|| json!([])).as_array_mut()
    {
        keys.push(key.into());
    }
}

/// Lets the key `long` be written `short` too, where the schema has it.
fn alias(schema: &mut Value, short: &str, long: &str) {
    let Some(known) = schema.get("properties").and_then(|keys| keys.get(long)).cloned() else {
        return;
    };
    extend(schema, [(short.to_owned(), known)].into_iter().collect());
    let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) else { return };
    let before = required.len();
    required.retain(|key| key != long);
    if required.len() < before
        && let Some(schema) = schema.as_object_mut()
    {
        let either = json!([{"required": [short]}, {"required": [long]}]);
        schema.insert("oneOf".into(), either);
    }
}
