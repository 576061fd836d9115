//! YAML for `from_yaml`, read as `PyYAML` reads it.

use super::dict::entries;
use crate::event::tree::Node;
use crate::event::yaml_scalar;
use crate::expr::call::list;
use crate::expr::value::from_node;
use indexmap::IndexMap;
use minijinja::value::{Value, ValueKind};
use saphyr_parser::{Event, Parser, ScalarStyle};
use std::collections::HashMap;

/// All documents.
pub(super) fn read(text: &str) -> Result<Vec<Value>, String> {
    let mut reader = Reader::default();
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|error| error.to_string())?;
        reader.take(event)?;
    }
    Ok(reader.documents)
}

/// What is read so far.
#[derive(Default)]
struct Reader {
    documents: Vec<Value>,
    open: Vec<(Open, usize)>,
    anchors: HashMap<usize, Value>,
    made: usize,
}

enum Open {
    List(Vec<Value>),
    Map(IndexMap<Value, Value>, Option<Value>, Vec<Value>),
}

/// How deep lists and mappings may stand in each other.
const DEEPEST: usize = 64;
/// Values that one text may stand for; aliases of aliases would else fill the memory.
const MOST_VALUES: usize = 1_000_000;

impl Reader {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        if self.open.len() > DEEPEST {
            return Err(format!("lists and mappings stand in each other {DEEPEST} deep"));
        }
        match event {
            Event::SequenceStart(anchor, _) => self.open.push((Open::List(Vec::new()), anchor)),
            Event::MappingStart(anchor, _) => {
                self.open.push((Open::Map(IndexMap::new(), None, Vec::new()), anchor));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some((open, anchor)) = self.open.pop() else { return Ok(()) };
                let value = match open {
                    Open::List(items) => items.into(),
                    Open::Map(map, _, merged) => with_merged(map, &merged),
                };
                self.add(value, anchor)?;
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.is_some_and(|tag| tag.suffix == "str");
                let value = match style {
                    ScalarStyle::Plain if !is_text => {
                        let scalar = yaml_scalar::resolve(&text, yaml_scalar::Dialect::Yaml11);
                        from_node(&Node::new(scalar))
                    }
                    _ => Value::from(text.as_ref()),
                };
                self.add(value, anchor)?;
            }
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned();
                let value = value.ok_or("an alias has no anchor")?;
                self.add(value, 0)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, value: Value, anchor: usize) -> Result<(), String> {
        self.made += 1;
        if self.made > MOST_VALUES {
            return Err("it stands for more than a million values".into());
        }
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        match self.open.last_mut().map(|(open, _)| open) {
            None => self.documents.push(value),
            Some(Open::List(items)) => items.push(value),
            Some(Open::Map(map, key, merged)) => match key.take() {
                None => *key = Some(value),
                Some(key) if key.as_str() == Some("<<") => match value.kind() {
                    ValueKind::Seq => merged.extend(list(&value).unwrap_or_default()),
                    _ => merged.push(value),
                },
                Some(key) => drop(map.insert(key, value)),
            },
        }
        Ok(())
    }
}

/// A mapping with the entries of those that `<<` names, as far as it has none of its own.
fn with_merged(map: IndexMap<Value, Value>, merged: &[Value]) -> Value {
    if merged.is_empty() {
        return map.into();
    }
    let mut whole = IndexMap::new();
    for (key, value) in merged.iter().flat_map(entries) {
        whole.entry(key).or_insert(value);
    }
    whole.extend(map);
    whole.into()
}
