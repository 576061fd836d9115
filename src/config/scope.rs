//! Variables, and the constants that expressions on records may read.

use crate::event::fault::Diagnostic;
use crate::event::tree::{Node, Value as Tree};
use crate::expr::scope::{RESERVED, Scope, Vars};
use crate::expr::value::to_json;
use crate::host::facts::Facts;
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
/// named, and `facts` where one of `readers` mentions them.
pub(super) fn constants<'n>(
    scope: &Scope,
    vars: impl Iterator<Item = &'n String>,
    facts: &Arc<Facts>,
    mut readers: impl Iterator<Item = &'n Node>,
) -> serde_json::Map<String, serde_json::Value> {
    let mut constants = serde_json::Map::new();
    constants.insert("host".into(), to_json(&scope.lookup("host")));
    let vars = vars.map(|name| (name.clone(), to_json(&scope.lookup(name)))).collect();
    constants.insert("vars".into(), serde_json::Value::Object(vars));
    if readers.any(|node| mentions(node, "facts")) {
        constants.insert("facts".into(), facts.all());
    }
    constants
}

fn mentions(node: &Node, word: &str) -> bool {
    match &node.value {
        Tree::String(text) => text.contains(word),
        Tree::List(items) => items.iter().any(|item| mentions(item, word)),
        Tree::Map(entries) => entries.iter().any(|(_, node)| mentions(node, word)),
        _ => false,
    }
}
