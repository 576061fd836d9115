//! The names that an expression on a log record may use.

use super::jinja::Engine;
use super::value::{from_json, to_json};
use crate::event::log::{FieldRef, OwnedRecord, RecordRef};
use minijinja::value::{Enumerator, Object, Value};
use minijinja::{Environment, UndefinedBehavior};
use serde_json::{Map, Value as Json};
use std::sync::Arc;

/// What is the same for all records: `facts`, `vars`, `host`, and the library.
#[derive(Debug)]
pub struct Names {
    facts: Value,
    vars: Value,
    host: Value,
    environment: Environment<'static>,
}

impl Names {
    /// Takes `facts`, `vars` and `host` out of `constants`.
    pub fn new(constants: &Map<String, Json>) -> Arc<Self> {
        let constant = |name: &str| constants.get(name).map_or_else(|| Value::UNDEFINED, from_json);
        let mut environment = Engine::new().environment().clone();
        // A missing field may be tested for truth: `user or 'nobody'`.
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        Arc::new(Self {
            facts: constant("facts"),
            vars: constant("vars"),
            host: constant("host"),
            environment,
        })
    }

    /// The library.
    pub(super) fn environment(&self) -> &Environment<'static> {
        &self.environment
    }

    /// What a name stands for that no field can hide; undefined where it stands for nothing,
    /// `None` where it is not reserved.
    pub(super) fn reserved(&self, name: &str) -> Option<Value> {
        match name {
            "facts" => Some(self.facts.clone()),
            "vars" => Some(self.vars.clone()),
            "host" => Some(self.host.clone()),
            // Config puts secrets in where they are written; none is known here.
            "secrets" => Some(Value::UNDEFINED),
            _ => None,
        }
    }

    /// The variable of this name.
    pub(super) fn variable(&self, name: &str) -> Option<Value> {
        self.vars.get_attr(name).ok().filter(|value| !value.is_undefined())
    }

    /// All names for one record, as Jinja takes them.
    pub(super) fn with(self: &Arc<Self>, record: OwnedRecord) -> Value {
        Value::from_object(Root { names: Arc::clone(self), record })
    }
}

#[derive(Debug)]
struct Root {
    names: Arc<Names>,
    record: OwnedRecord,
}

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        match key {
            "source" => Some((&*self.record.view().batch().origin.source).into()),
            "record" => Some(Value::from_object(Fields(self.record.clone()))),
            _ => self
                .names
                .reserved(key)
                .or_else(|| field(&self.record.view(), key))
                .or_else(|| self.names.variable(key)),
        }
    }
}

/// The name `record`: the fields, whatever they are called.
#[derive(Debug)]
struct Fields(OwnedRecord);

impl Object for Fields {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        field(&self.0.view(), key.as_str()?)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.view().fields().map(|(name, _)| name.into()).collect())
    }
}

fn field(record: &RecordRef<'_>, name: &str) -> Option<Value> {
    record.get(name).map(to_jinja)
}

/// A field's value as Jinja sees it. Bytes that are not UTF-8 are replaced.
fn to_jinja(value: FieldRef<'_>) -> Value {
    match value.as_text() {
        Some(text) => String::from_utf8_lossy(&text).into(),
        None => from_json(&value.to_json()),
    }
}

/// A value that an expression yielded, kept so that it can be a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Made {
    /// Text.
    Text(String),
    /// Anything else, as JSON.
    Json(String),
}

impl Made {
    /// Keeps a value; `None` for one that is undefined.
    pub(super) fn of(value: &Value) -> Option<Self> {
        if value.is_undefined() {
            return None;
        }
        Some(match value.as_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => match to_json(value) {
                Json::String(text) => Self::Text(text),
                other => Self::Json(other.to_string()),
            },
        })
    }

    /// As a field.
    pub fn as_ref(&self) -> FieldRef<'_> {
        match self {
            Self::Text(text) => FieldRef::Text(text.as_bytes()),
            Self::Json(json) => FieldRef::Json(json.as_bytes()),
        }
    }
}
