//! Values within a template.

use super::printf;
use crate::expr::promql::Element;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A value within a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Float(f64),
    Int(i64),
    Bool(bool),
    Map(Arc<BTreeMap<String, String>>),
    /// What `query` gave.
    List(Vec<Arc<Sample>>),
    /// One of it.
    Sample(Arc<Sample>),
}

/// A series that `query` gave, with its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) labels: Arc<BTreeMap<String, String>>,
    pub(super) value: f64,
}

impl Sample {
    pub(super) fn of(element: &Element) -> Arc<Self> {
        let pairs = element.labels.iter();
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Arc::new(Self { labels: Arc::new(pairs), value: element.value })
    }

    fn shown(&self) -> String {
        let labels = Value::Map(Arc::clone(&self.labels)).shown();
        format!("{{{labels} {}}}", printf::shortest(self.value))
    }
}

impl Value {
    /// A label that is not there is empty.
    pub(super) fn field(self, name: &str) -> Result<Self, String> {
        match self {
            Self::Map(map) => Ok(Self::Text(map.get(name).cloned().unwrap_or_default())),
            Self::Sample(sample) if name == "Labels" => Ok(Self::Map(Arc::clone(&sample.labels))),
            Self::Sample(sample) if name == "Value" => Ok(Self::Float(sample.value)),
            other => Err(format!("`{}` has no `.{name}`", other.shown())),
        }
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Float(value) => *value != 0.0,
            Self::Int(value) => *value != 0,
            Self::Bool(value) => *value,
            Self::Map(map) => !map.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Sample(_) => true,
        }
    }

    /// What is in it, each with its place or name.
    pub(super) fn items(&self) -> Result<Vec<(Self, Self)>, String> {
        match self {
            Self::List(list) => {
                let item = |(at, sample): (i64, &Arc<Sample>)| {
                    (Self::Int(at), Self::Sample(Arc::clone(sample)))
                };
                Ok((0..).zip(list).map(item).collect())
            }
            Self::Map(map) => {
                let pair = |(name, text): (&String, &String)| {
                    (Self::Text(name.clone()), Self::Text(text.clone()))
                };
                Ok(map.iter().map(pair).collect())
            }
            other => Err(format!("`range` cannot go through `{}`", other.shown())),
        }
    }

    /// As a template writes it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Float(value) => printf::shortest(*value),
            Self::Int(value) => value.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Map(map) => {
                let pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k}:{v}")).collect();
                format!("map[{}]", pairs.join(" "))
            }
            Self::List(list) => {
                let shown: Vec<String> = list.iter().map(|sample| sample.shown()).collect();
                format!("[{}]", shown.join(" "))
            }
            Self::Sample(sample) => sample.shown(),
        }
    }
}
