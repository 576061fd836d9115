//! What a block, an import, a role or a play says of all of its tasks, said of each of them.

use crate::event::task::Named;
use crate::event::tree::{Node, Value};

/// The keywords of something within `around`. Conditions, tags and the like add up, the outer ones
/// first; of everything else the nearest counts.
pub(super) fn inherit(around: &Named, own: Named) -> Named {
    if around.is_empty() {
        return own;
    }
    let mut all = around.clone();
    for (name, node) in own {
        let outer = all.get(&name);
        let node = match (outer, name.as_str()) {
            (Some(outer), "when" | "tags" | "notify" | "environment" | "module_defaults") => {
                both(outer, &node)
            }
            (Some(outer), "vars") => nearest(outer, node),
            _ => node,
        };
        all.insert(name, node);
    }
    all
}

fn both(outer: &Node, own: &Node) -> Node {
    let items = |node: &Node| match &node.value {
        Value::List(items) => items.clone(),
        Value::Null => Vec::new(),
        _ => vec![node.clone()],
    };
    let all = [items(outer), items(own)].concat();
    Node { value: Value::List(all), span: own.span.clone() }
}

fn nearest(outer: &Node, mut own: Node) -> Node {
    let (Some(outer), Value::Map(entries)) = (outer.as_map(), &mut own.value) else { return own };
    let more = outer.iter().filter(|(key, _)| !entries.iter().any(|(other, _)| other == key));
    let more: Vec<_> = more.cloned().collect();
    entries.splice(0..0, more);
    own
}
