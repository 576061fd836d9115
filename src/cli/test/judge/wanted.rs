//! A record as a test has it, and how one that was found differs from it.

use super::Line;
use crate::cli::found::Found;
use crate::event::tree::Node;
use crate::expr::value::{from_node, to_json};
use serde_json::{Map, Value};

/// A record as a test has it.
pub(super) enum Wanted {
    Line(String),
    Fields(Map<String, Value>),
}

impl Wanted {
    pub(super) fn of(node: &Node) -> Self {
        match to_json(&from_node(node)) {
            Value::Object(fields) => Self::Fields(fields),
            Value::String(line) => Self::Line(line),
            other => Self::Line(other.to_string()),
        }
    }

    pub(super) fn is(&self, found: &Found) -> bool {
        match self {
            Self::Line(line) => found.line.as_ref() == Some(line),
            Self::Fields(fields) => fields.len() == found.fields.len() && self.is_part_of(found),
        }
    }

    pub(super) fn is_part_of(&self, found: &Found) -> bool {
        match self {
            Self::Line(_) => self.is(found),
            Self::Fields(fields) => fields
                .iter()
                .all(|(name, value)| found.fields.get(name).is_some_and(|it| same(it, value))),
        }
    }

    /// How many of the fields are as expected.
    pub(super) fn likeness(&self, found: &Found) -> usize {
        let Self::Fields(fields) = self else { return 0 };
        let is_same = |(name, value): &(&String, &Value)| {
            found.fields.get(*name).is_some_and(|it| same(it, value))
        };
        fields.iter().filter(is_same).count()
    }

    /// Field by field; `whole` where no other fields are expected.
    pub(super) fn difference(&self, found: &Found, whole: bool) -> Vec<Line> {
        let fields = match self {
            Self::Fields(fields) => fields,
            Self::Line(_) => {
                return vec![Line::Missing(self.shown()), Line::Extra(found.shown())];
            }
        };
        let mut lines = Vec::new();
        for (name, value) in fields {
            match found.fields.get(name) {
                Some(it) if same(it, value) => lines.push(Line::Same(format!("{name}: {value}"))),
                other => {
                    lines.push(Line::Missing(format!("{name}: {value}")));
                    lines.extend(other.map(|it| Line::Extra(format!("{name}: {it}"))));
                }
            }
        }
        if whole {
            let more = found.fields.iter().filter(|(name, _)| !fields.contains_key(*name));
            lines.extend(more.map(|(name, value)| Line::Extra(format!("{name}: {value}"))));
        }
        lines
    }

    pub(super) fn shown(&self) -> String {
        match self {
            Self::Line(line) => Value::from(line.as_str()).to_string(),
            Self::Fields(fields) => Value::Object(fields.clone()).to_string(),
        }
    }
}

/// Whether two values are the same to a reader of JSON: `1` is `1.0`.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let is_same = |(name, a): (&String, &Value)| b.get(name).is_some_and(|b| same(a, b));
            a.len() == b.len() && a.iter().all(is_same)
        }
        _ => a == b,
    }
}
