//! The names that a config's expressions may use: facts gathered when first read, and the
//! constants that expressions on records see.

use crate::event::tree::{Node, Value as Tree};
use crate::expr::scope::Scope;
use crate::expr::value::{from_json, to_json};
use crate::host::facts::Facts;
use minijinja::value::{Enumerator, Object, Value};
use std::fmt;
use std::sync::Arc;

struct LazyFacts(Arc<Facts>);

impl fmt::Debug for LazyFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("facts")
    }
}

/// The facts as `facts` in expressions: each is gathered when an expression first reads it.
pub(super) fn facts_value(facts: &Arc<Facts>) -> Value {
    Value::from_object(LazyFacts(Arc::clone(facts)))
}

impl Object for LazyFacts {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(key.as_str()?).map(from_json)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(Facts::names().map(Value::from).collect())
    }
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
