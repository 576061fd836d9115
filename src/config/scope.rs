//! Variables, and the constants that expressions on records may read.

use crate::event::fault::Diagnostic;
use crate::event::tree::{Node, Value as Tree};
use crate::expr::scope::{RESERVED, Scope, Vars};
use crate::expr::value::to_json;
use crate::host::facts::Facts;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The variables of a `vars` mapping, unrendered.
pub(super) fn variables(node: &Node, complaints: &mut Vec<Diagnostic>) -> Vars {
    let Some(entries) = node.as_map() else {
        let message = format!("found {}, expected names with their values", node.kind());
        complaints.push(Diagnostic::new(message, node.span.clone()));
        return Vars::new();
    };
    for (key, _) in entries.iter().filter(|(key, _)| RESERVED.contains(&&*key.name)) {
        let message = format!("`{}` is a name that no variable can have", key.name);
        complaints.push(Diagnostic::new(message, key.span.clone()));
    }
    entries.iter().map(|(key, value)| (key.name.to_string(), value.clone())).collect()
}

/// What expressions on records may read beside the record: `host`, those of the variables that are
/// named, and those of the `facts` that one of `readers` mentions.
pub(super) fn constants<'n>(
    scope: &Scope,
    vars: impl Iterator<Item = &'n String>,
    facts: &Arc<Facts>,
    readers: impl Iterator<Item = &'n Node>,
) -> serde_json::Map<String, serde_json::Value> {
    let mut constants = serde_json::Map::new();
    constants.insert("host".into(), to_json(&scope.lookup("host")));
    let vars = vars.map(|name| (name.clone(), to_json(&scope.lookup(name)))).collect();
    constants.insert("vars".into(), serde_json::Value::Object(vars));
    let mut mentioned = Mentioned::default();
    readers.for_each(|node| mentioned.look(node));
    let told = if mentioned.all {
        facts.all()
    } else {
        let fact = |name: String| Some((name.clone(), facts.get(&name)?.clone()));
        serde_json::Value::Object(mentioned.names.into_iter().filter_map(fact).collect())
    };
    if told.as_object().is_some_and(|told| !told.is_empty()) {
        constants.insert("facts".into(), told);
    }
    constants
}

/// Which facts texts speak of.
#[derive(Default)]
struct Mentioned {
    names: BTreeSet<String>,
    /// Whether it cannot be told, as in `facts[name]`.
    all: bool,
}

impl Mentioned {
    fn look(&mut self, node: &Node) {
        match &node.value {
            Tree::String(text) => self.look_at(text),
            Tree::List(items) => items.iter().for_each(|item| self.look(item)),
            Tree::Map(entries) => entries.iter().for_each(|(_, node)| self.look(node)),
            _ => {}
        }
    }

    fn look_at(&mut self, text: &str) {
        let is_of_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
        for (at, word) in text.match_indices("facts") {
            // A part of another name, such as `artifacts`.
            if text[..at].ends_with(is_of_name) {
                continue;
            }
            let rest = text[at + word.len()..].strip_prefix('.').unwrap_or_default();
            let name = &rest[..rest.find(|char| !is_of_name(char)).unwrap_or(rest.len())];
            // What is no fact may be a method, such as `get`.
            if Facts::names().any(|known| known == name) {
                self.names.insert(name.to_owned());
            } else {
                self.all = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_facts_that_are_named_are_gathered_unless_that_cannot_be_told() {
        let mentioned = |text: &str| {
            let mut mentioned = Mentioned::default();
            mentioned.look_at(text);
            (mentioned.names.into_iter().collect::<Vec<_>>(), mentioned.all)
        };
        let text = "facts.os.family == 'debian' and {{ facts.hostname }}";
        assert_eq!(mentioned(text), (vec!["hostname".into(), "os".into()], false));
        for text in ["facts[name]", "facts.get('os')", "{% for fact in facts %}"] {
            assert!(mentioned(text).1, "{text}");
        }
        assert_eq!(mentioned("/srv/artifacts/*.log"), (Vec::new(), false));
        assert_eq!(mentioned("status >= 500"), (Vec::new(), false));
    }
}
